//! Rows of pictures: counts of a camera, and reflectance on the grid.

use super::wish::{Bands, union};
use super::{Door, Source, Tap, kind, message};
use crate::join::Row;
use crate::sync::lock;
use contract::Frame;
use half::f16;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Messages that the door of a picture holds: some seconds.
const MESSAGES: usize = 512;
/// The byte of a saturated element.
const SATURATED: u8 = 255;
/// The byte of full scale.
const FULL: f32 = 254.0;
/// Values of a row are bytes: 255 is saturated, else the share of full scale is (v / 254)^2. The eye sees a root, so dark steps stay small.
const ROOT: u8 = 0;
/// Values of a row are half floats of reflectance. NaN is no value.
const HALF: u8 = 1;

/// Rows that wait while a reader holds the door.
const WAITING: usize = 8;

/// Writes the rows of one picture.
#[derive(Debug)]
struct Picture {
    /// Rows that are not written yet, oldest first, and memory for others.
    waiting: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    tap: Tap,
    door: Arc<Door>,
    number: u8,
    source: Source,
    bands: Bands,
    /// The wishes that `bands` came from.
    wishes_number: u64,
}

impl Picture {
    fn new(tap: Tap, number: u8, source: Source) -> Self {
        let door = tap.add_door(MESSAGES);
        let waiting = VecDeque::with_capacity(WAITING + 1);
        Self { waiting, spare: Vec::with_capacity(WAITING + 1), tap, door, number, source, bands: Bands::new(), wishes_number: u64::MAX }
    }

    /// Brings the bands up to date with the wishes.
    fn follow_wishes(&mut self) {
        let now = self.tap.0.wishes_number.load(Ordering::Acquire);
        if now != self.wishes_number {
            self.wishes_number = now;
            self.bands = union(&lock(&self.tap.0.wishes), &self.source.name, &self.source.rgb, self.source.wavelengths_nm.len());
        }
    }

    /// Writes a row. `values` writes `[band][pixel]` behind the header, for the bands and the source of the picture.
    fn write(&mut self, index: i64, y_mm: f64, encoding: u8, values: impl FnOnce(&mut Vec<u8>, &Bands, &Source)) {
        let (Ok(bands), Ok(pixels)) = (u8::try_from(self.bands.len()), u32::try_from(self.source.pixels)) else { return };
        let mut row = self.spare.pop().unwrap_or_default();
        row.clear();
        message(&mut row, kind::PICTURE, |body| {
            body.extend_from_slice(&[self.number, encoding, bands, 0]);
            body.extend_from_slice(&pixels.to_le_bytes());
            body.extend_from_slice(&self.source.stride.to_le_bytes());
            body.extend_from_slice(&index.to_le_bytes());
            body.extend_from_slice(&y_mm.to_le_bytes());
            self.bands.iter().for_each(|band| body.extend_from_slice(&band.to_le_bytes()));
            values(body, &self.bands, &self.source);
        });
        self.waiting.push_back(row);
        if self.waiting.len() > WAITING {
            self.spare.extend(self.waiting.pop_front());
            self.door.refuse();
        }
        while self.waiting.front().is_some_and(|row| self.door.write_made(row)) {
            self.spare.extend(self.waiting.pop_front());
        }
    }
}

/// Writes every n-th line of a camera to the tap.
#[derive(Debug)]
pub struct LineTap {
    picture: Picture,
    /// The first frame number of which a row is due.
    due: u64,
    full: f32,
}

impl LineTap {
    #[expect(clippy::cast_possible_truncation, reason = "counts need no more than f32")]
    pub(super) fn new(tap: Tap, number: u8, source: Source) -> Self {
        let full = source.full_scale_counts.unwrap_or(f64::from(u16::MAX)) as f32;
        Self { picture: Picture::new(tap, number, source), due: 0, full }
    }

    /// Adds a line: its frame number and its place along the tray, mm. Lines come in order.
    pub fn line(&mut self, number: u64, y_mm: f64, frame: &Frame) {
        if number < self.due || !self.picture.tap.watched() {
            return;
        }
        let stride = u64::from(self.picture.source.stride.max(1));
        let first = number - number % stride;
        self.due = first + stride;
        self.picture.follow_wishes();
        let Ok(index) = i64::try_from(first) else { return };
        let full = self.full;
        if let Some(counts) = frame.slot.as_u16() {
            self.picture.write(index, y_mm, ROOT, |body, bands, source| {
                let (detector, merged) = (source.detector_pixels, source.merged);
                for band in bands {
                    let line = counts.chunks_exact(detector).nth(usize::from(*band)).unwrap_or(&[]);
                    body.extend(line.chunks(merged).map(|pixels| root(pixels, full)));
                }
            });
        } else if let Some(values) = frame.slot.as_f32() {
            self.picture.write(index, y_mm, HALF, |body, bands, source| {
                let (detector, merged) = (source.detector_pixels, source.merged);
                for band in bands {
                    let line = values.chunks_exact(detector).nth(usize::from(*band)).unwrap_or(&[]);
                    for pixels in line.chunks(merged) {
                        #[expect(clippy::cast_precision_loss, reason = "few pixels are merged")]
                        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
                        body.extend_from_slice(&f16::from_f32(mean).to_le_bytes());
                    }
                }
            });
        }
    }
}

/// The byte of merged elements: the root of their mean. Saturated where one of them is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the value is clamped; few pixels are merged"
)]
fn root(counts: &[u16], full: f32) -> u8 {
    let (mut sum, mut most) = (0_u32, 0);
    for count in counts {
        sum += u32::from(*count);
        most = most.max(*count);
    }
    if f32::from(most) >= full {
        return SATURATED;
    }
    let share = sum as f32 / counts.len() as f32 / full;
    (FULL * share.max(0.0).sqrt()).round().min(FULL) as u8
}

/// Writes every n-th row of the grid to the tap.
#[derive(Debug)]
pub struct GridTap {
    picture: Picture,
}

impl GridTap {
    pub(super) fn new(tap: Tap, number: u8, source: Source) -> Self {
        Self { picture: Picture::new(tap, number, source) }
    }

    /// Whether the row of this number is shown.
    pub(super) fn shows(&self, index: i64) -> bool {
        self.picture.tap.watched() && index.rem_euclid(i64::from(self.picture.source.stride.max(1))) == 0
    }

    /// Adds a row of the grid and its place along the tray, mm. Rows come in order.
    pub fn row(&mut self, row: &Row, y_mm: f64) {
        if !self.shows(row.index) {
            return;
        }
        self.picture.follow_wishes();
        self.picture.write(row.index, y_mm, HALF, |body, bands, source| {
            let (all, merged) = (source.wavelengths_nm.len(), source.merged);
            for band in bands {
                let band = row.band(usize::from(*band), all);
                for pixel in 0..source.pixels {
                    body.extend_from_slice(&f16::from_f32(band.at(pixel * merged)).to_le_bytes());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_the_root_of_the_share_of_full_scale() {
        assert_eq!(root(&[0], 4095.0), 0);
        assert_eq!(root(&[4095], 4095.0), SATURATED);
        assert_eq!(root(&[4094], 4095.0), 254);
        assert_eq!(root(&[0, 4095], 4095.0), SATURATED, "one saturated element is seen");
        for counts in [10_u16, 100, 1000, 3000] {
            let share = (f32::from(root(&[counts], 4095.0)) / FULL).powi(2);
            assert!((share - f32::from(counts) / 4095.0).abs() < 0.005, "{counts}: {share}");
        }
    }
}
