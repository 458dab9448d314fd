//! The stage: one line of counts to one line of reflectance.

use super::{Calibration, Quality};
use crate::acquire::Stamp;
use contract::{Frame, Layout};
use std::sync::Arc;

/// One line of the scene. What its numbers mean is part of its type: a line of counts cannot reach the encoder.
#[derive(Debug)]
pub struct Line<V> {
    /// Where and when it was taken.
    pub stamp: Stamp,
    values: V,
}

/// Detector counts `[band][pixel]`, in the camera's frame.
pub type Counts = Frame;

/// Reflectance `[pixel][band]` with a quality byte per pixel.
#[derive(Debug, Default)]
pub struct Reflectance {
    values: Vec<f32>,
    quality: Vec<u8>,
}

impl Line<Counts> {
    /// A line of counts.
    pub fn new(stamp: Stamp, frame: Frame) -> Self {
        Self { stamp, values: frame }
    }
}

impl Line<Reflectance> {
    /// Reflectance `[pixel][band]`.
    pub fn values(&self) -> &[f32] {
        &self.values.values
    }

    /// Flags of each pixel, see [`Quality`].
    pub fn quality(&self) -> &[u8] {
        &self.values.quality
    }
}

/// A bad element and the good elements of the same pixel, before and after it in the spectrum, that it is interpolated from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Patch {
    pixel: u32,
    band: u32,
    from: (u32, u32),
    /// Weight of the second.
    weight: f32,
}

/// Side of the square blocks in which a line is transposed: two blocks of counts and one of reflectance stay in the first cache.
const BLOCK: usize = 16;

/// The stage of one camera.
pub struct Calibrate {
    layout: Layout,
    calibration: Arc<Calibration>,
    saturation: Option<f32>,
    patches: Vec<Patch>,
    /// Signal above dark under which an element is too weak, counts.
    weak: f32,
    /// Dark level of the line at hand, where it changes with time.
    dark: Vec<f32>,
    /// Bands that are too weak, per pixel.
    weak_bands: Vec<u16>,
    line: Line<Reflectance>,
}

impl Calibrate {
    /// A stage for frames of `layout`; counts at or above `saturation` are flagged.
    ///
    /// An element is too weak when its signal above dark is under `weak_sigmas` times the detector's noise; a pixel is flagged
    /// when more than half of its bands are.
    pub fn new(layout: Layout, calibration: Arc<Calibration>, saturation: Option<f64>, weak_sigmas: f32) -> Self {
        let (patches, weak) = match &*calibration {
            Calibration::Referenced(referenced) => (patches(&referenced.bad, layout), weak_sigmas * referenced.dark.noise()),
            Calibration::Scaled { .. } => (Vec::new(), 0.0),
        };
        let stamp = Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        let values = Reflectance { values: vec![0.0; layout.elements()], quality: vec![0; layout.pixels] };
        #[expect(clippy::cast_possible_truncation, reason = "a level of counts needs no more than f32")]
        Self {
            layout,
            calibration,
            saturation: saturation.map(|level| level as f32),
            patches,
            weak,
            dark: Vec::new(),
            weak_bands: vec![0; layout.pixels],
            line: Line { stamp, values },
        }
    }

    /// Reflectance of a line of counts; the frame's slot goes back to its pool. The result is valid until the next call.
    pub fn process(&mut self, line: Line<Counts>) -> &Line<Reflectance> {
        self.line.stamp = line.stamp;
        self.line.values.quality.fill(0);
        let slot = &line.values.slot;
        match (slot.as_u16(), slot.as_f32()) {
            (Some(counts), _) => self.convert(counts, f32::from),
            (_, Some(values)) => self.convert(values, |value| value),
            _ => {}
        }
        &self.line
    }

    fn convert<T: Copy>(&mut self, counts: &[T], number: impl Fn(T) -> f32 + Copy) {
        let calibration = Arc::clone(&self.calibration);
        match &*calibration {
            Calibration::Referenced(referenced) => {
                if referenced.drift.is_some() {
                    let mut dark = std::mem::take(&mut self.dark);
                    referenced.dark_at(self.line.stamp.time_ns, &mut dark);
                    self.referenced(counts, number, &dark, &referenced.gain, &referenced.bad);
                    self.dark = dark;
                } else {
                    self.referenced(counts, number, &referenced.dark.mean, &referenced.gain, &referenced.bad);
                }
                self.mend();
            }
            Calibration::Scaled { scale, ignore } => self.scaled(counts, number, *scale, *ignore),
        }
    }

    fn referenced<T: Copy>(&mut self, counts: &[T], number: impl Fn(T) -> f32 + Copy, dark: &[f32], gain: &[f32], bad: &[u8]) {
        let Layout { pixels, bands, .. } = self.layout;
        let out = &mut self.line.values.values;
        let quality = &mut self.line.values.quality;
        let saturation = self.saturation.unwrap_or(f32::INFINITY);
        self.weak_bands.fill(0);
        for first_band in (0..bands).step_by(BLOCK) {
            let last_band = (first_band + BLOCK).min(bands);
            for first in (0..pixels).step_by(BLOCK) {
                let n = BLOCK.min(pixels - first);
                for band in first_band..last_band {
                    let at = band * pixels + first;
                    let row = (&counts[at..at + n], &dark[at..at + n], &gain[at..at + n], &bad[at..at + n]);
                    let flags = &mut quality[first..first + n];
                    let weak = &mut self.weak_bands[first..first + n];
                    for i in 0..n {
                        let value = number(row.0[i]);
                        let signal = value - row.1[i];
                        out[(first + i) * bands + band] = signal * row.2[i];
                        let good = u8::from(row.3[i] == 0);
                        flags[i] |= u8::from(value >= saturation) & good;
                        weak[i] += u16::from(signal < self.weak) & u16::from(good);
                    }
                }
            }
        }
        const { assert!(Quality::SATURATED == 1, "the comparison above gives the flag itself") };
        for (flags, weak) in quality.iter_mut().zip(&self.weak_bands) {
            if usize::from(*weak) * 2 > bands {
                *flags |= Quality::LOW_SIGNAL;
            }
        }
    }

    fn mend(&mut self) {
        let bands = self.layout.bands;
        let Reflectance { values, quality } = &mut self.line.values;
        for patch in &self.patches {
            let spectrum = &mut values[patch.pixel as usize * bands..(patch.pixel as usize + 1) * bands];
            if patch.from.0 == u32::MAX {
                // No element of this pixel works: there is nothing to interpolate from.
                spectrum[patch.band as usize] = f32::NAN;
                quality[patch.pixel as usize] |= Quality::NO_DATA;
                continue;
            }
            let (a, b) = (spectrum[patch.from.0 as usize], spectrum[patch.from.1 as usize]);
            spectrum[patch.band as usize] = a + (b - a) * patch.weight;
            quality[patch.pixel as usize] |= Quality::BAD_PIXEL;
        }
    }

    fn scaled<T: Copy>(&mut self, values: &[T], number: impl Fn(T) -> f32, scale: f64, ignore: Option<f64>) {
        let Layout { pixels, bands, .. } = self.layout;
        let Reflectance { values: out, quality } = &mut self.line.values;
        for band in 0..bands {
            for pixel in 0..pixels {
                let value = f64::from(number(values[band * pixels + pixel]));
                let void = !value.is_finite() || ignore == Some(value);
                #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
                let reflectance = if void { f32::NAN } else { (value / scale) as f32 };
                out[pixel * bands + band] = reflectance;
                if void {
                    quality[pixel] |= Quality::NO_DATA;
                }
            }
        }
    }
}

/// For each bad element (`[band][pixel]`), the good elements around it in its pixel's spectrum.
fn patches(bad: &[u8], layout: Layout) -> Vec<Patch> {
    let Layout { pixels, bands, .. } = layout;
    let mut patches = Vec::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "detectors have far fewer than 2^24 elements a side")]
    for pixel in 0..pixels {
        let is_bad = |band: usize| bad[band * pixels + pixel] != 0;
        for band in (0..bands).filter(|band| is_bad(*band)) {
            let before = (0..band).rev().find(|b| !is_bad(*b));
            let after = (band + 1..bands).find(|b| !is_bad(*b));
            let (from, weight) = match (before, after) {
                (Some(a), Some(b)) => ((a as u32, b as u32), (band - a) as f32 / (b - a) as f32),
                (Some(a), None) | (None, Some(a)) => ((a as u32, a as u32), 0.0),
                (None, None) => ((u32::MAX, u32::MAX), 0.0),
            };
            patches.push(Patch { pixel: pixel as u32, band: band as u32, from, weight });
        }
    }
    patches
}

#[cfg(test)]
mod tests {
    use super::super::{Reference, Referenced};
    use super::*;
    use contract::{Exposure, FrameInfo, FramePool, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 5, bands: 4, format: PixelFormat::U16 };

    fn reference(level: impl Fn(usize) -> f32) -> Reference {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        Reference {
            mean: (0..20).map(level).collect(),
            sd: vec![2.0; 20],
            frames: 10,
            level_sd: 0.1,
            taken_ns: 0,
            temperature_c: None,
            exposure,
        }
    }

    fn stage(dead: Option<usize>) -> Calibrate {
        let dark = reference(|_| 100.0);
        let white = reference(|i| if Some(i) == dead { 100.0 } else { 1100.0 });
        let referenced = Referenced::new(dark, white, vec![0.95; 4], LAYOUT, Some(4095.0)).unwrap();
        Calibrate::new(LAYOUT, Arc::new(Calibration::Referenced(Box::new(referenced))), Some(4095.0), 5.0)
    }

    fn line(counts: impl Fn(usize) -> u16) -> Line<Counts> {
        let pool = FramePool::new(LAYOUT, 1);
        let mut slot = pool.try_take().unwrap();
        slot.as_u16_mut().unwrap().iter_mut().enumerate().for_each(|(i, c)| *c = counts(i));
        Line::new(Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 }, Frame { info: FrameInfo::default(), slot })
    }

    #[test]
    fn dark_gives_zero_and_the_panel_its_own_reflectance() {
        let mut stage = stage(None);
        assert!(stage.process(line(|_| 100)).values().iter().all(|r| *r == 0.0));
        let panel = stage.process(line(|_| 1100));
        assert!(panel.values().iter().all(|r| (r - 0.95).abs() < 1e-6));
        assert!(panel.quality().iter().all(|q| *q == 0));
    }

    #[test]
    fn bands_and_pixels_are_transposed() {
        let values = stage(None).process(line(|i| 100 + u16::try_from(i).unwrap())).values().to_vec();
        for pixel in 0..5 {
            for band in 0..4 {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let expected = (band * 5 + pixel) as f32 * 0.95 / 1000.0;
                assert!((values[pixel * 4 + band] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn saturation_weak_signal_and_dead_elements_are_flagged_and_mended() {
        let mut stage = stage(Some(7)); // band 1, pixel 2
        let mended = stage.process(line(|i| match i {
            3 => 4095,         // band 0, pixel 3: saturated
            7 => 0,            // dead
            4 | 9 | 14 => 101, // pixel 4: three of four bands weak
            2 => 300,
            12 => 500,
            _ => 600,
        }));
        assert_eq!(mended.quality(), [0, 0, Quality::BAD_PIXEL, Quality::SATURATED, Quality::LOW_SIGNAL]);
        assert!((mended.values()[2 * 4 + 1] - 0.95 * 0.3).abs() < 1e-6, "halfway between 200 and 400 counts of 1000");
    }

    #[test]
    fn scaled_recordings_keep_their_reflectance_and_their_no_data() {
        let calibration = Arc::new(Calibration::Scaled { scale: 1000.0, ignore: Some(0.0) });
        let mut stage = Calibrate::new(LAYOUT, calibration, None, 5.0);
        let out = stage.process(line(|i| if i == 6 { 0 } else { 250 }));
        assert_eq!(out.quality(), [0, Quality::NO_DATA, 0, 0, 0]);
        assert!(out.values()[5].is_nan());
        assert_eq!(out.values()[0], 0.25);
    }
}
