//! Resampling of one camera's lines onto the rows of the millimetre grid.
//!
//! Across the belt, smaller camera pixels are averaged into a grid pixel by area. Larger camera pixels are interpolated linearly.
//! Along the belt, lines are averaged or interpolated in the same way. A row of which lines cover less than half is NaN and carries a flag.
//! A row of which a smaller part is lost is the mean of the other lines, and carries another flag.
//! Where the line of a camera is turned (yaw), all of this holds for each pixel of a row.

mod pixel_weights;
mod row;
mod yaw;

pub(crate) use pixel_weights::mean;
pub use pixel_weights::{FieldOfView, PixelWeights, Resampling};
pub use row::CameraRow;
pub use yaw::Yaw;

use crate::acquire::{Gap, Stamp};
use crate::calibrate::{Line, Reflectance};
use crate::recycler::Recycler;
use crate::scan::Quality;
use crate::simd::{Simd, WithSimd, widest};
use row::{Mean, Resampled};
use std::collections::VecDeque;
use std::sync::Arc;
use yaw::{Lines, Plan, PutTogether};

/// The stage that resamples the lines of one camera onto the grid.
pub struct Rectify {
    weights: PixelWeights,
    bands: usize,
    pixel_mm: f64,
    /// Whether several lines are averaged into a row.
    average: bool,
    /// Distance of two lines, mm. It decides how far a line reaches beside a gap.
    line_mm: f64,
    /// The line that is being resampled.
    resampling: Option<Arc<Resampled>>,
    /// Lines that later rows may need.
    window: VecDeque<Arc<Resampled>>,
    /// Memory of resampled lines and of their means. Rows may still refer to both.
    lines: Recycler<Resampled>,
    means: Recycler<Resampled>,
    /// Index into `window` and weight of each line of a mean.
    parts: Vec<(usize, f32)>,
    /// Values and flags of a row that no line covers.
    void: Arc<Resampled>,
    /// The turn of the line, and the plan of a row that is put together from several lines.
    turn: Option<(Yaw, Plan)>,
    /// Place of the first line, mm.
    begin_mm: Option<f64>,
    gap: bool,
    next_row: Option<i64>,
}

/// Ratio of grid pixel to line distance above which lines are averaged. Interpolation would use some lines more than others.
const AVERAGE_ABOVE: f64 = 1.0 + 1e-6;
/// Share of a row that may be lost without a flag.
const LEAST_LOST: f64 = 0.05;
/// Weights up to this one are left out, so that a missing value that hardly counts stays out.
const LEAST_WEIGHT: f32 = 1e-6;
/// Tolerance when the centre of a row is compared with the position of a line, mm. Positions are not known better than that.
const SLACK_MM: f64 = 1e-6;

impl Rectify {
    /// A stage that resamples `bands` bands by `weights`.
    ///
    /// Rows are `pixel_mm` mm apart. Lines are about `line_mm` mm apart.
    pub fn new(weights: PixelWeights, bands: usize, pixel_mm: f64, line_mm: f64) -> Self {
        let width = weights.width();
        let (values, brightness) = (vec![f32::NAN; width * bands], vec![f32::NAN; width]);
        let void = Resampled { values, brightness, squares: f32::NAN, quality: unseen(&weights, Quality::GAP), ..Resampled::default() };
        Self {
            void: Arc::new(void),
            weights,
            bands,
            pixel_mm,
            average: pixel_mm > AVERAGE_ABOVE * line_mm,
            line_mm,
            resampling: None,
            window: VecDeque::new(),
            lines: Recycler::default(),
            means: Recycler::default(),
            parts: Vec::new(),
            turn: None,
            begin_mm: None,
            gap: false,
            next_row: None,
        }
    }

    /// The same stage for a camera whose line is turned.
    pub fn with_yaw(mut self, yaw: Option<Yaw>) -> Self {
        self.turn = yaw.map(|yaw| (yaw, Plan::default()));
        self
    }

    /// Records that lines are missing before the next line.
    pub fn gap(&mut self, _gap: Gap) {
        self.gap = true;
    }

    /// Takes a whole line. Every row that is now complete goes to `out`.
    pub fn process(&mut self, line: &Line<Reflectance>, out: &mut dyn FnMut(CameraRow)) {
        widest(Resample { line, onto: self.begin_line(line.stamp) });
        self.end_line(out);
    }

    /// Begins the next line, taken at `stamp`.
    ///
    /// The caller writes the spectra of the line to the returned value. Then it calls [`Rectify::end_line`].
    pub fn begin_line(&mut self, stamp: Stamp) -> Resampling<'_> {
        let after_gap = std::mem::take(&mut self.gap);
        // A recycler only returns memory without another owner: `make_mut` copies nothing.
        let line = Arc::make_mut(self.resampling.insert(self.lines.take()));
        let Stamp { time_ns, y_mm, .. } = stamp;
        (line.time_ns, line.y_mm, line.after_gap, line.squares) = (time_ns, y_mm, after_gap, 1.0);
        if line.values.is_empty() {
            line.values.resize(self.weights.width() * self.bands, f32::NAN);
            line.brightness.resize(self.weights.width(), f32::NAN);
            line.quality = unseen(&self.weights, 0);
        }
        Resampling { weights: &self.weights, values: &mut line.values, brightness: &mut line.brightness, quality: &mut line.quality }
    }

    /// Ends the line that [`Rectify::begin_line`] began. Every row that is now complete goes to `out`.
    pub fn end_line(&mut self, out: &mut dyn FnMut(CameraRow)) {
        self.window.extend(self.resampling.take());
        self.rows(false, out);
        self.trim();
    }

    /// Ends the scan. The rows that only the last line covers go to `out`.
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(CameraRow)) {
        self.rows(true, out);
        self.window.clear();
    }

    /// Gives the rows that are complete. `end` tells that no further line comes.
    fn rows(&mut self, end: bool, out: &mut dyn FnMut(CameraRow)) {
        match self.turn.take() {
            Some((yaw, mut plan)) => {
                self.turned(&yaw, &mut plan, end, out);
                self.turn = Some((yaw, plan));
            }
            None if self.average => self.averaged(end, out),
            None => self.interpolated(end, out),
        }
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
            // No line lies before the first one, so nothing can be interpolated.
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
                    self.void(last - 1, last, row)
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

    /// Gives rows as area-weighted means of the lines that they cover.
    fn averaged(&mut self, end: bool, out: &mut dyn FnMut(CameraRow)) {
        let Some(newest) = self.window.back().map(|line| line.y_mm) else { return };
        let (half_row, half_line) = (self.pixel_mm / 2.0, self.line_mm / 2.0);
        let first = self.window[0].y_mm - half_line;
        let mut row = self.next_row.unwrap_or_else(|| self.row_from(first));
        // A row is complete once the newest line begins behind the row.
        while self.centre(row) + half_row <= newest - half_line + SLACK_MM || (end && self.centre(row) < newest + half_line - SLACK_MM) {
            let (lo, hi) = (self.centre(row) - half_row, self.centre(row) + half_row);
            let overlap = |line: &Resampled| ((line.y_mm + half_line).min(hi) - (line.y_mm - half_line).max(lo)).max(0.0);
            let total: f64 = self.window.iter().map(|line| overlap(line)).sum();
            let lost = self.lost_mm(lo, hi) > LEAST_LOST * self.pixel_mm;
            out(if total < half_row { self.void_between(row) } else { self.mean(row, overlap, total, lost) });
            row += 1;
        }
        self.next_row = Some(row);
    }

    /// Gives rows whose pixels come from different lines.
    fn turned(&mut self, yaw: &Yaw, plan: &mut Plan, end: bool, out: &mut dyn FnMut(CameraRow)) {
        let (Some(first), Some(newest)) = (self.window.front().map(|line| line.y_mm), self.window.back().map(|line| line.y_mm)) else {
            return;
        };
        let begin_mm = *self.begin_mm.get_or_insert(first);
        let half_line = self.line_mm / 2.0;
        let half_row = self.average.then_some(self.pixel_mm / 2.0);
        let ((least, _), (seen_least, seen_most)) = (yaw.range_mm(), yaw.seen_mm());
        // A row is complete once the pixel that sees furthest back has the lines around it.
        let complete = newest + least + SLACK_MM - half_row.map_or(0.0, |half_row| half_row + half_line);
        let mut row = self.next_row.unwrap_or_else(|| self.row_from(begin_mm - half_line + seen_least));
        while self.centre(row) <= complete || (end && self.centre(row) < newest + half_line + seen_most - SLACK_MM) {
            plan.row(&Lines { window: &self.window, begin_mm, end, half_line }, yaw, self.centre(row), half_row);
            let mut mean = self.means.take();
            widest(PutTogether { window: &self.window, plan, bands: self.bands, out: Arc::make_mut(&mut mean) });
            self.means.keep(Arc::clone(&mean));
            let (before, after) = self.around(row);
            out(CameraRow { index: row, time_ns: self.time_ns(before, after, row), line: mean, next: None });
            row += 1;
        }
        self.next_row = Some(row);
    }

    /// Length of the part of `lo..hi` over which lines are missing, mm.
    fn lost_mm(&self, lo: f64, hi: f64) -> f64 {
        let half_line = self.line_mm / 2.0;
        let after_gap = self.window.iter().enumerate().filter(|(_, line)| line.after_gap);
        let lost = after_gap.map(|(at, line)| {
            // The line before the gap may lie too far back to be in the window.
            let from = at.checked_sub(1).map_or(f64::NEG_INFINITY, |before| self.window[before].y_mm + half_line);
            ((line.y_mm - half_line).min(hi) - from.max(lo)).max(0.0)
        });
        lost.sum()
    }

    /// The weighted mean of lines. `lost` tells that some of the row's lines are missing.
    fn mean(&mut self, row: i64, overlap: impl Fn(&Resampled) -> f64, total: f64, lost: bool) -> CameraRow {
        self.parts.clear();
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
        let weights = self.window.iter().map(|line| (overlap(line) / total) as f32);
        self.parts.extend(weights.enumerate().filter(|(_, weight)| *weight > LEAST_WEIGHT));
        match self.parts[..] {
            [] => self.void_between(row),
            [(line, _)] if !lost => self.copy(line, row),
            [(first, _), ..] => {
                let mut mean = self.means.take();
                let out = Arc::make_mut(&mut mean);
                widest(Mean { lines: &self.window, parts: &self.parts, out });
                if lost {
                    let seen = out.quality.iter_mut().filter(|flags| **flags & Quality::OUT_OF_VIEW == 0);
                    seen.for_each(|flags| *flags |= Quality::BAD_PIXEL);
                }
                self.means.keep(Arc::clone(&mean));
                CameraRow { index: row, time_ns: self.window[first].time_ns, line: mean, next: None }
            }
        }
    }

    fn copy(&self, line: usize, row: i64) -> CameraRow {
        let line = &self.window[line];
        CameraRow { index: row, time_ns: line.time_ns, line: Arc::clone(line), next: None }
    }

    fn between(&self, a: usize, b: usize, part: f64, row: i64) -> CameraRow {
        let (before, after) = (&self.window[a], &self.window[b]);
        let time_ns = time_between(before.time_ns, after.time_ns, part);
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
        let part = part as f32;
        // A weight of nearly 0 or 1 is rounded: the other line's NaN stays out, and the value stays exact.
        let (line, next) = if part <= 1e-6 {
            (before, None)
        } else if part >= 1.0 - 1e-6 {
            (after, None)
        } else {
            (before, Some((Arc::clone(after), part)))
        };
        CameraRow { index: row, time_ns, line: Arc::clone(line), next }
    }

    /// A row without values. Its time is that between two lines, as its place is.
    fn void(&self, before: usize, after: usize, row: i64) -> CameraRow {
        CameraRow { index: row, time_ns: self.time_ns(before, after, row), line: Arc::clone(&self.void), next: None }
    }

    /// The time of the place of a row between two lines, ns.
    fn time_ns(&self, before: usize, after: usize, row: i64) -> i64 {
        let (before, after) = (&self.window[before], &self.window[after]);
        let way_mm = after.y_mm - before.y_mm;
        let part = if way_mm > 0.0 { ((self.centre(row) - before.y_mm) / way_mm).clamp(0.0, 1.0) } else { 1.0 };
        time_between(before.time_ns, after.time_ns, part)
    }

    /// A row without values between the lines of the window.
    fn void_between(&self, row: i64) -> CameraRow {
        let (before, after) = self.around(row);
        self.void(before, after, row)
    }

    /// The lines of the window around the place of a row.
    fn around(&self, row: i64) -> (usize, usize) {
        let after = self.window.partition_point(|line| line.y_mm < self.centre(row)).min(self.window.len() - 1);
        (after.saturating_sub(1), after)
    }

    fn trim(&mut self) {
        // The pixel that sees furthest along needs the oldest lines.
        let most = self.turn.as_ref().map_or(0.0, |(yaw, _)| yaw.range_mm().1);
        let needed = self.next_row.map_or(f64::NEG_INFINITY, |row| self.centre(row) - most);
        let average_from = needed - self.pixel_mm / 2.0 - self.line_mm;
        let is_needed = |window: &VecDeque<Arc<Resampled>>| match (self.average, &self.turn) {
            (true, _) => window[0].y_mm >= average_from,
            (false, None) => false,
            // Its place may lie between the oldest line and the next.
            (false, Some(_)) => window[1].y_mm > needed,
        };
        while self.window.len() > 1 && !is_needed(&self.window) {
            if let Some(line) = self.window.pop_front() {
                self.lines.keep(line);
            }
        }
    }
}

/// The time at the share `part` of the way from one time to another, ns. The times of a recording may be any.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share of the difference is no larger than it")]
fn time_between(before_ns: i64, after_ns: i64, part: f64) -> i64 {
    let way = i128::from(after_ns) - i128::from(before_ns);
    let at = i128::from(before_ns) + (way as f64 * part) as i128;
    let (least, most) = (before_ns.min(after_ns), before_ns.max(after_ns));
    i64::try_from(at.clamp(least.into(), most.into())).unwrap_or(after_ns)
}

/// Flags `[pixel]` of a line or row without values: `seen` within the field of view, `OUT_OF_VIEW` elsewhere.
fn unseen(weights: &PixelWeights, seen: u8) -> Vec<u8> {
    (0..weights.width()).map(|pixel| if weights.sees(pixel) { seen } else { Quality::OUT_OF_VIEW }).collect()
}

/// Resamples a whole line onto the grid.
struct Resample<'a> {
    line: &'a Line<Reflectance>,
    onto: Resampling<'a>,
}

impl WithSimd for Resample<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(mut self, _: V) {
        self.line.spectra(&mut self.onto);
    }
}

#[cfg(test)]
mod tests;
