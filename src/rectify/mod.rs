//! Lines of one camera to rows of the millimetre grid.
//!
//! Across the belt a grid pixel is the area-weighted mean of the camera's pixels when these are smaller, and their linear
//! interpolation when they are larger. Along the belt the same holds for lines. A row that no line covers is NaN with a reason.

mod across;

pub use across::{Across, Optics};

use crate::acquire::{Gap, Stamp};
use crate::calibrate::{Line, Quality, Reflectance};
use std::collections::VecDeque;

/// A row of the grid with the bands of one camera.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaneRow {
    /// Number of the row: its centre lies at `y = index * pixel_mm`.
    pub index: i64,
    /// When this camera saw it, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Reflectance `[pixel][band]`, NaN where there is no value.
    pub values: Vec<f32>,
    /// Flags of each pixel, see [`Quality`].
    pub quality: Vec<u8>,
}

/// A line laid on the grid across the belt, waiting for its neighbours along it.
#[derive(Debug, Default)]
struct Laid {
    frame: u64,
    time_ns: i64,
    y_mm: f64,
    /// Whether lines are missing between the line before and this one.
    after_gap: bool,
    values: Vec<f32>,
    quality: Vec<u8>,
}

/// The stage of one camera.
pub struct Rectify {
    across: Across,
    bands: usize,
    pixel_mm: f64,
    /// Whether several lines are averaged into a row.
    average: bool,
    /// Distance of two lines, mm, for the reach of a line beside a gap.
    line_mm: f64,
    /// Lines that rows to come may need.
    window: VecDeque<Laid>,
    spare: Vec<Laid>,
    gap: bool,
    next_row: Option<i64>,
}

/// A grid this much coarser than the lines averages them.
const AVERAGE_FROM: f64 = 1.25;
/// Slack when a row's centre is compared with a line's place, mm: positions are known to no better.
const SLACK_MM: f64 = 1e-6;

impl Rectify {
    /// A stage that lays `bands` bands by `across`; rows are `pixel_mm` apart, lines about `line_mm`.
    pub fn new(across: Across, bands: usize, pixel_mm: f64, line_mm: f64) -> Self {
        Self {
            across,
            bands,
            pixel_mm,
            average: pixel_mm >= AVERAGE_FROM * line_mm,
            line_mm,
            window: VecDeque::new(),
            spare: Vec::new(),
            gap: false,
            next_row: None,
        }
    }

    /// Notes that lines are missing before the next one.
    pub fn gap(&mut self, _gap: Gap) {
        self.gap = true;
    }

    /// Takes a line and gives every row that is complete with it. `out` fills its own buffers from the row it is shown.
    pub fn process(&mut self, line: &Line<Reflectance>, out: &mut dyn FnMut(RowView<'_>)) {
        let mut laid = self.spare.pop().unwrap_or_default();
        let Stamp { frame, time_ns, y_mm, .. } = line.stamp;
        (laid.frame, laid.time_ns, laid.y_mm) = (frame, time_ns, y_mm);
        laid.after_gap = std::mem::take(&mut self.gap);
        self.across.lay(line.values(), line.quality(), self.bands, &mut laid.values, &mut laid.quality);
        self.window.push_back(laid);
        if self.average {
            self.averaged(false, out)
        } else {
            self.interpolated(false, out)
        }
        self.trim();
    }

    /// Gives the rows that only the last line covers.
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(RowView<'_>)) {
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

    fn interpolated(&mut self, end: bool, out: &mut dyn FnMut(RowView<'_>)) {
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
    fn averaged(&mut self, end: bool, out: &mut dyn FnMut(RowView<'_>)) {
        let Some(newest) = self.window.back().map(|laid| laid.y_mm) else { return };
        let (half_row, half_line) = (self.pixel_mm / 2.0, self.line_mm / 2.0);
        let first = self.window[0].y_mm - half_line;
        let mut row = self.next_row.unwrap_or_else(|| self.row_from(first));
        // A row is complete when the newest line begins behind it.
        while self.centre(row) + half_row <= newest - half_line + SLACK_MM || (end && self.centre(row) < newest + half_line - SLACK_MM) {
            let (lo, hi) = (self.centre(row) - half_row, self.centre(row) + half_row);
            let overlap = |laid: &Laid| ((laid.y_mm + half_line).min(hi) - (laid.y_mm - half_line).max(lo)).max(0.0);
            let total: f64 = self.window.iter().map(overlap).sum();
            let nearest = self.window.len() - 1;
            out(if total < half_row { self.void(nearest, row) } else { self.mean(row, overlap, total) });
            row += 1;
        }
        self.next_row = Some(row);
    }

    fn mean(&self, row: i64, overlap: impl Fn(&Laid) -> f64, total: f64) -> RowView<'_> {
        let parts: Vec<(&Laid, f32)> = self
            .window
            .iter()
            .filter_map(|laid| {
                #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
                let weight = (overlap(laid) / total) as f32;
                (weight > 0.0).then_some((laid, weight))
            })
            .collect();
        let time_ns = parts.first().map_or(0, |part| part.0.time_ns);
        RowView { index: row, time_ns, content: Content::Mean(parts) }
    }

    fn copy(&self, line: usize, row: i64) -> RowView<'_> {
        let laid = &self.window[line];
        RowView { index: row, time_ns: laid.time_ns, content: Content::Mean(vec![(laid, 1.0)]) }
    }

    fn between(&self, a: usize, b: usize, part: f64, row: i64) -> RowView<'_> {
        let (before, after) = (&self.window[a], &self.window[b]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "times between two lines are short")]
        let time_ns = before.time_ns + ((after.time_ns - before.time_ns) as f64 * part) as i64;
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32")]
        RowView { index: row, time_ns, content: Content::Between(before, after, part as f32) }
    }

    fn void(&self, line: usize, row: i64) -> RowView<'_> {
        RowView { index: row, time_ns: self.window[line].time_ns, content: Content::Void(&self.across) }
    }

    fn trim(&mut self) {
        let needed = self.next_row.map_or(f64::NEG_INFINITY, |row| self.centre(row) - self.pixel_mm / 2.0 - self.line_mm);
        while self.window.len() > 1 && (!self.average || self.window[0].y_mm < needed) {
            self.spare.extend(self.window.pop_front());
        }
    }
}

/// A row about to be written: the lines it is made of and their weights.
pub struct RowView<'a> {
    /// Number of the row.
    pub index: i64,
    /// When the camera saw it, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    content: Content<'a>,
}

enum Content<'a> {
    Between(&'a Laid, &'a Laid, f32),
    Mean(Vec<(&'a Laid, f32)>),
    Void(&'a Across),
}

impl RowView<'_> {
    /// Writes the row into `row`, of `bands` bands, keeping its buffers.
    pub fn write(&self, bands: usize, row: &mut LaneRow) {
        (row.index, row.time_ns) = (self.index, self.time_ns);
        match &self.content {
            Content::Between(a, b, part) => {
                // Weights of exactly 0 or 1 keep a neighbour's NaN out and its value exact.
                if *part <= 1e-6 {
                    copy(a, row);
                } else if *part >= 1.0 - 1e-6 {
                    copy(b, row);
                } else {
                    row.values.clear();
                    row.values.extend(a.values.iter().zip(&b.values).map(|(a, b)| a + (b - a) * part));
                    row.quality.clear();
                    row.quality.extend(a.quality.iter().zip(&b.quality).map(|(a, b)| a | b));
                }
            }
            Content::Mean(parts) => {
                let Some(((first, weight), rest)) = parts.split_first() else { return };
                copy(first, row);
                if rest.is_empty() {
                    return;
                }
                row.values.iter_mut().for_each(|v| *v *= weight);
                for (laid, weight) in rest {
                    row.values.iter_mut().zip(&laid.values).for_each(|(v, l)| *v += l * weight);
                    row.quality.iter_mut().zip(&laid.quality).for_each(|(q, l)| *q |= l);
                }
            }
            Content::Void(across) => {
                row.values.clear();
                row.values.resize(across.width() * bands, f32::NAN);
                row.quality.clear();
                row.quality.extend((0..across.width()).map(|p| if across.sees(p) { Quality::GAP } else { Quality::OUT_OF_VIEW }));
            }
        }
    }
}

fn copy(laid: &Laid, row: &mut LaneRow) {
    row.values.clone_from(&laid.values);
    row.quality.clone_from(&laid.quality);
}

#[cfg(test)]
mod tests;
