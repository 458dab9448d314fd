//! Yaw: the line of a camera is turned on the belt, so that its pixels see places further along or further back.
//!
//! Each row is put together pixel by pixel. A pixel at `x` comes from the lines around the row's place minus `(x - middle) tan(yaw)`.

use super::row::Resampled;
use super::{FieldOfView, LEAST_LOST, LEAST_WEIGHT, PixelWeights, SLACK_MM};
use crate::scan::Quality;
use crate::simd::{Simd, WithSimd};
use std::collections::VecDeque;
use std::sync::Arc;

/// The turn of a camera's line, on the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Yaw {
    /// How much further along than the middle of the line each grid pixel is seen, mm. `None` where the camera does not see the pixel.
    ahead_mm: Vec<Option<f64>>,
    /// Least and largest of these.
    seen_mm: (f64, f64),
}

impl Yaw {
    /// The turn by `yaw_deg` degrees of a line with these `weights` on a grid of `pixel_mm` mm. The centre of grid pixel 0 lies at `x0_mm`.
    ///
    /// The line turns about the middle of `view`, from across towards along the belt. `None` where it is not turned.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub fn new(yaw_deg: f64, view: FieldOfView, x0_mm: f64, pixel_mm: f64, weights: &PixelWeights) -> Option<Self> {
        if yaw_deg == 0.0 {
            return None;
        }
        let (middle_mm, slope) = (view.shift_mm + view.field_of_view_mm / 2.0, yaw_deg.to_radians().tan());
        let ahead = |pixel: usize| weights.sees(pixel).then_some((x0_mm + pixel as f64 * pixel_mm - middle_mm) * slope);
        let ahead_mm: Vec<Option<f64>> = (0..weights.width()).map(ahead).collect();
        let span = |(least, most): (f64, f64), mm: &f64| (least.min(*mm), most.max(*mm));
        let (least, most) = ahead_mm.iter().flatten().fold((f64::INFINITY, f64::NEG_INFINITY), span);
        // A camera that sees nothing of the grid gives rows as one that is not turned.
        let seen_mm = if least <= most { (least, most) } else { (0.0, 0.0) };
        Some(Self { ahead_mm, seen_mm })
    }

    /// Least and largest distance by which pixels see further along than the middle of the line, mm. They are negative for pixels that see
    /// further back.
    pub(super) fn seen_mm(&self) -> (f64, f64) {
        self.seen_mm
    }

    /// The same range, with the middle of the line.
    pub(super) fn range_mm(&self) -> (f64, f64) {
        (self.seen_mm.0.min(0.0), self.seen_mm.1.max(0.0))
    }

    /// Largest distance along the belt between the middle of the line and a pixel, mm.
    pub fn reach_mm(&self) -> f64 {
        let (least, most) = self.range_mm();
        most.max(-least)
    }
}

/// Lines of a camera on the grid, from which rows are put together.
pub(super) struct Lines<'a> {
    pub window: &'a VecDeque<Arc<Resampled>>,
    /// Place of the scan's first line, mm.
    pub begin_mm: f64,
    /// Whether the window holds the scan's last line.
    pub end: bool,
    /// Half of the distance of two lines, mm.
    pub half_line: f64,
}

/// The lines that make up each pixel of a row.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Index of a line in the window, and its weight. Those of one pixel after those of another.
    parts: Vec<(u32, f32)>,
    /// Index behind the parts of each pixel, and the flags that they do not have.
    pixels: Vec<(u32, u8)>,
}

impl Plan {
    /// Plans the row at `y_mm`. With `half_row`, half of a row's length in mm, lines are averaged. Else they are interpolated.
    pub fn row(&mut self, lines: &Lines<'_>, yaw: &Yaw, y_mm: f64, half_row: Option<f64>) {
        self.parts.clear();
        self.pixels.clear();
        for ahead_mm in &yaw.ahead_mm {
            let flags = match (*ahead_mm, half_row) {
                (None, _) => Quality::OUT_OF_VIEW,
                (Some(ahead_mm), None) => self.between(lines, y_mm - ahead_mm),
                (Some(ahead_mm), Some(half_row)) => self.mean(lines, y_mm - ahead_mm, half_row),
            };
            #[expect(clippy::cast_possible_truncation, reason = "a row has far fewer than 2^32 parts")]
            self.pixels.push((self.parts.len() as u32, flags));
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more than f32, and a window has few lines")]
    fn part(&mut self, line: usize, weight: f64) {
        self.parts.push((line as u32, weight as f32));
    }

    /// Adds the one or two lines around the place `at`, mm. Returns the flags of a pixel without a line.
    fn between(&mut self, lines: &Lines<'_>, at: f64) -> u8 {
        let Lines { window, half_line, .. } = *lines;
        let behind = window.partition_point(|line| line.y_mm < at);
        match (behind.checked_sub(1), window.get(behind)) {
            (None, Some(first)) if at >= first.y_mm - half_line - SLACK_MM => self.part(behind, 1.0),
            // Before the last line ends the scan, a place behind it is at most the tolerance behind it.
            (Some(last), None) if at < window[last].y_mm + if lines.end { half_line - SLACK_MM } else { 2.0 * SLACK_MM } => {
                self.part(last, 1.0);
            }
            (Some(before), Some(after)) => {
                let (from, to) = (window[before].y_mm, after.y_mm);
                if !after.after_gap {
                    let part = ((at - from) / (to - from)).clamp(0.0, 1.0);
                    // The other line's missing values stay out.
                    if part <= f64::from(LEAST_WEIGHT) {
                        self.part(before, 1.0);
                    } else if part >= 1.0 - f64::from(LEAST_WEIGHT) {
                        self.part(behind, 1.0);
                    } else {
                        self.part(before, 1.0 - part);
                        self.part(behind, part);
                    }
                } else if at <= from + half_line + SLACK_MM {
                    self.part(before, 1.0);
                } else if at >= to - half_line - SLACK_MM {
                    self.part(behind, 1.0);
                } else {
                    return Quality::GAP;
                }
            }
            _ => return Quality::OUT_OF_VIEW,
        }
        0
    }

    /// Adds the lines that overlap the row around the place `at`, mm. Returns the flags that they do not have.
    fn mean(&mut self, lines: &Lines<'_>, at: f64, half_row: f64) -> u8 {
        let Lines { window, begin_mm, end, half_line } = *lines;
        let last_mm = window.back().map_or(f64::NEG_INFINITY, |line| line.y_mm);
        if at < begin_mm - half_line - SLACK_MM || (end && at >= last_mm + half_line - SLACK_MM) {
            return Quality::OUT_OF_VIEW;
        }
        let (lo, hi) = (at - half_row, at + half_row);
        let first = window.partition_point(|line| line.y_mm + half_line <= lo);
        let (mut total, mut lost, mut behind) = (0.0, 0.0, first);
        while let Some(line) = window.get(behind) {
            let (from, to) = (line.y_mm - half_line, line.y_mm + half_line);
            if line.after_gap {
                // The line before the gap may lie too far back to be in the window.
                let since = behind.checked_sub(1).map_or(f64::NEG_INFINITY, |before| window[before].y_mm + half_line);
                lost += (from.min(hi) - since.max(lo)).max(0.0);
            }
            if from >= hi {
                break;
            }
            total += to.min(hi) - from.max(lo);
            behind += 1;
        }
        if total < half_row {
            return Quality::GAP;
        }
        for (number, line) in window.range(first..behind).enumerate() {
            let weight = ((line.y_mm + half_line).min(hi) - (line.y_mm - half_line).max(lo)) / total;
            if weight > f64::from(LEAST_WEIGHT) {
                self.part(first + number, weight);
            }
        }
        if lost > LEAST_LOST * 2.0 * half_row { Quality::BAD_PIXEL } else { 0 }
    }
}

/// Puts a row together as it was planned.
pub(super) struct PutTogether<'a> {
    pub window: &'a VecDeque<Arc<Resampled>>,
    pub plan: &'a Plan,
    pub bands: usize,
    pub out: &'a mut Resampled,
}

impl WithSimd for PutTogether<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { window, plan, bands, out } = self;
        out.values.resize(plan.pixels.len() * bands, f32::NAN);
        out.brightness.clear();
        out.quality.clear();
        let (mut begin, mut squares, mut covered) = (0, 0.0, 0.0);
        for (pixel, (end, flags)) in plan.pixels.iter().enumerate() {
            let parts = &plan.parts[begin..*end as usize];
            begin = *end as usize;
            let to = &mut out.values[pixel * bands..(pixel + 1) * bands];
            let of = |line: u32| &window[line as usize].values[pixel * bands..(pixel + 1) * bands];
            match *parts {
                [] => to.fill(f32::NAN),
                [(line, 1.0)] => to.copy_from_slice(of(line)),
                [(a, weight_a), (b, weight_b)] => {
                    let (a, b) = (of(a), of(b));
                    (0..bands).for_each(|band| to[band] = a[band] * weight_a + b[band] * weight_b);
                }
                [(first, weight), ref rest @ ..] => {
                    let first = of(first);
                    (0..bands).for_each(|band| to[band] = first[band] * weight);
                    for (line, weight) in rest {
                        let line = of(*line);
                        (0..bands).for_each(|band| to[band] += line[band] * weight);
                    }
                }
            }
            let (mut brightness, mut quality) = (if parts.is_empty() { f32::NAN } else { 0.0 }, *flags);
            for (line, weight) in parts {
                let line = &window[*line as usize];
                brightness += line.brightness[pixel] * weight;
                quality |= line.quality[pixel];
                squares += weight * weight;
            }
            covered += if parts.is_empty() { 0.0 } else { 1.0 };
            out.brightness.push(brightness);
            out.quality.push(quality);
        }
        // Pixels have different weights. The noise of a row is known by its mean over them, which is NaN without any.
        out.squares = squares / covered;
    }
}
