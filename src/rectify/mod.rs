//! Lines of one camera to rows of the millimetre grid.
//!
//! Across the belt a grid pixel is the area-weighted mean of the camera's pixels when these are smaller, and their linear
//! interpolation when they are larger. Along the belt the same holds for lines. A row that no line covers is NaN with a reason.

mod pixel_weights;
mod row;

pub(crate) use pixel_weights::mean;
pub use pixel_weights::{FieldOfView, PixelWeights, Resampling};
pub use row::CameraRow;

use crate::acquire::{Gap, Stamp};
use crate::calibrate::{Line, Quality, Reflectance};
use crate::recycler::Recycler;
use crate::simd::{Simd, WithSimd, widest};
use row::{Mean, Resampled};
use std::collections::VecDeque;
use std::sync::Arc;

/// The stage of one camera.
pub struct Rectify {
    across: PixelWeights,
    bands: usize,
    pixel_mm: f64,
    /// Whether several lines are averaged into a row.
    average: bool,
    /// Distance of two lines, mm, for the reach of a line beside a gap.
    line_mm: f64,
    /// The line that is being laid.
    laying: Option<Arc<Resampled>>,
    /// Lines that rows to come may need.
    window: VecDeque<Arc<Resampled>>,
    /// Laid lines, and means of them, that rows may still be made of.
    lines: Recycler<Resampled>,
    means: Recycler<Resampled>,
    /// Lines of a mean and their weights.
    parts: Vec<(usize, f32)>,
    /// What a row is made of that no line covers.
    void: Arc<Resampled>,
    gap: bool,
    next_row: Option<i64>,
}

/// A grid this much coarser than the lines averages them.
const AVERAGE_FROM: f64 = 1.25;
/// Slack when a row's centre is compared with a line's place, mm: positions are known to no better.
const SLACK_MM: f64 = 1e-6;

impl Rectify {
    /// A stage that lays `bands` bands by `across`; rows are `pixel_mm` apart, lines about `line_mm`.
    pub fn new(across: PixelWeights, bands: usize, pixel_mm: f64, line_mm: f64) -> Self {
        let width = across.width();
        let (values, brightness) = (vec![f32::NAN; width * bands], vec![f32::NAN; width]);
        let void = Resampled { values, brightness, quality: unseen(&across, Quality::GAP), ..Resampled::default() };
        Self {
            void: Arc::new(void),
            across,
            bands,
            pixel_mm,
            average: pixel_mm >= AVERAGE_FROM * line_mm,
            line_mm,
            laying: None,
            window: VecDeque::new(),
            lines: Recycler::default(),
            means: Recycler::default(),
            parts: Vec::new(),
            gap: false,
            next_row: None,
        }
    }

    /// Notes that lines are missing before the next one.
    pub fn gap(&mut self, _gap: Gap) {
        self.gap = true;
    }

    /// Takes a line and gives every row that is complete with it.
    pub fn process(&mut self, line: &Line<Reflectance>, out: &mut dyn FnMut(CameraRow)) {
        widest(Lay { line, laying: self.begin(line.stamp) });
        self.laid(out);
    }

    /// Begins the next line, taken at `stamp`: its spectra go to what is given, and then [`Rectify::laid`] is called.
    pub fn begin(&mut self, stamp: Stamp) -> Resampling<'_> {
        let after_gap = std::mem::take(&mut self.gap);
        let laying = self.laying.insert(self.lines.take());
        // A recycler gives what nobody else holds.
        let laid = Arc::make_mut(laying);
        let Stamp { time_ns, y_mm, .. } = stamp;
        (laid.time_ns, laid.y_mm, laid.after_gap) = (time_ns, y_mm, after_gap);
        if laid.values.is_empty() {
            laid.values.resize(self.across.width() * self.bands, f32::NAN);
            laid.brightness.resize(self.across.width(), f32::NAN);
            laid.quality = unseen(&self.across, 0);
        }
        Resampling { across: &self.across, values: &mut laid.values, brightness: &mut laid.brightness, quality: &mut laid.quality }
    }

    /// Notes that the line that was begun is complete, and gives every row that is complete with it.
    pub fn laid(&mut self, out: &mut dyn FnMut(CameraRow)) {
        self.window.extend(self.laying.take());
        if self.average {
            self.averaged(false, out)
        } else {
            self.interpolated(false, out)
        }
        self.trim();
    }

    /// Gives the rows that only the last line covers.
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(CameraRow)) {
        if self.average {
            self.averaged(true, out)
        } else {
            self.interpolated(true, out)
        }
        self.window.clear();
    }

    /// First row whose centre is at or after `y_mm`.
    #[expect(clippy::cast_possible_truncation, reason = "row numbers are far below 2^52")]
    fn row_from(&self, y_mm: f64) -> i64 {
        ((y_mm - SLACK_MM) / self.pixel_mm).ceil() as i64
    }

    #[expect(clippy::cast_precision_loss, reason = "row numbers are far below 2^52")]
    fn centre(&self, row: i64) -> f64 {
        row as f64 * self.pixel_mm
    }

    fn interpolated(&mut self, end: bool, out: &mut dyn FnMut(CameraRow)) {
        let Some(last) = self.window.len().checked_sub(1) else { return };
        let half = self.line_mm / 2.0;
        let y = self.window[last].y_mm;
        if self.window.len() == 1 {
            let mut row = self.next_row.unwrap_or_else(|| self.row_from(y - half));
            // Before the first line there is nothing to interpolate with.
            while self.centre(row) <= y + SLACK_MM {
                out(self.copy(last, row));
                row += 1;
            }
            self.next_row = Some(row);
        } else {
            let before = self.window[last - 1].y_mm;
            let mut row = self.next_row.unwrap_or_else(|| self.row_from(before));
            while self.centre(row) <= y + SLACK_MM {
                let at = self.centre(row);
                out(if !self.window[last].after_gap {
                    self.between(last - 1, last, ((at - before) / (y - before)).clamp(0.0, 1.0), row)
                } else if at <= before + half + SLACK_MM {
                    self.copy(last - 1, row)
                } else if at >= y - half - SLACK_MM {
                    self.copy(last, row)
                } else {
                    self.void(last, row)
                });
                row += 1;
            }
            self.next_row = Some(row);
        }
        if end {
            let mut row = self.next_row.unwrap_or_else(|| self.row_from(y));
            while self.centre(row) < y + half - SLACK_MM {
                out(self.copy(last, row));
                row += 1;
            }
            self.next_row = Some(row);
        }
    }

    /// Rows as area-weighted means of the lines they cover.
    fn averaged(&mut self, end: bool, out: &mut dyn FnMut(CameraRow)) {
        let Some(newest) = self.window.back().map(|laid| laid.y_mm) else { return };
        let (half_row, half_line) = (self.pixel_mm / 2.0, self.line_mm / 2.0);
        let first = self.window[0].y_mm - half_line;
        let mut row = self.next_row.unwrap_or_else(|| self.row_from(first));
        // A row is complete when the newest line begins behind it.
        while self.centre(row) + half_row <= newest - half_line + SLACK_MM || (end && self.centre(row) < newest + half_line - SLACK_MM) {
            let (lo, hi) = (self.centre(row) - half_row, self.centre(row) + half_row);
            let overlap = |laid: &Resampled| ((laid.y_mm + half_line).min(hi) - (laid.y_mm - half_line).max(lo)).max(0.0);
            let total: f64 = self.window.iter().map(|laid| overlap(laid)).sum();
            let nearest = self.window.len() - 1;
            out(if total < half_row { self.void(nearest, row) } else { self.mean(row, overlap, total) });
            row += 1;
        }
        self.next_row = Some(row);
    }

    fn mean(&mut self, row: i64, overlap: impl Fn(&Resampled) -> f64, total: f64) -> CameraRow {
        self.parts.clear();
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
        let weights = self.window.iter().map(|laid| (overlap(laid) / total) as f32);
        self.parts.extend(weights.enumerate().filter(|(_, weight)| *weight > 0.0));
        match self.parts[..] {
            [] => self.void(self.window.len() - 1, row),
            [(line, _)] => self.copy(line, row),
            [(first, _), ..] => {
                let mut mean = self.means.take();
                widest(Mean { lines: &self.window, parts: &self.parts, out: Arc::make_mut(&mut mean) });
                self.means.keep(Arc::clone(&mean));
                CameraRow { index: row, time_ns: self.window[first].time_ns, line: mean, next: None }
            }
        }
    }

    fn copy(&self, line: usize, row: i64) -> CameraRow {
        let laid = &self.window[line];
        CameraRow { index: row, time_ns: laid.time_ns, line: Arc::clone(laid), next: None }
    }

    fn between(&self, a: usize, b: usize, part: f64, row: i64) -> CameraRow {
        let (before, after) = (&self.window[a], &self.window[b]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "times between two lines are short")]
        let time_ns = before.time_ns + ((after.time_ns - before.time_ns) as f64 * part) as i64;
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
        let part = part as f32;
        // Weights of nearly 0 or 1 keep a neighbour's NaN out and its value exact.
        let (line, next) = if part <= 1e-6 {
            (before, None)
        } else if part >= 1.0 - 1e-6 {
            (after, None)
        } else {
            (before, Some((Arc::clone(after), part)))
        };
        CameraRow { index: row, time_ns, line: Arc::clone(line), next }
    }

    fn void(&self, line: usize, row: i64) -> CameraRow {
        CameraRow { index: row, time_ns: self.window[line].time_ns, line: Arc::clone(&self.void), next: None }
    }

    fn trim(&mut self) {
        let needed = self.next_row.map_or(f64::NEG_INFINITY, |row| self.centre(row) - self.pixel_mm / 2.0 - self.line_mm);
        while self.window.len() > 1 && (!self.average || self.window[0].y_mm < needed) {
            if let Some(laid) = self.window.pop_front() {
                self.lines.keep(laid);
            }
        }
    }
}

/// Flags of a line or row of which nothing is seen: `seen` where the camera sees the grid.
fn unseen(across: &PixelWeights, seen: u8) -> Vec<u8> {
    (0..across.width()).map(|pixel| if across.sees(pixel) { seen } else { Quality::OUT_OF_VIEW }).collect()
}

/// Lays a whole line on the grid.
struct Lay<'a> {
    line: &'a Line<Reflectance>,
    laying: Resampling<'a>,
}

impl WithSimd for Lay<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(mut self, _: V) {
        self.line.spectra(&mut self.laying);
    }
}

#[cfg(test)]
mod tests;
