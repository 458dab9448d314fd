//! Rows of the grid with the bands of one camera. A row refers to resampled lines until it is written into the joined row.

use super::pixel_weights::mean;
use crate::simd::{Simd, WithSimd};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A line resampled onto the grid across the belt.
#[derive(Debug, Clone, Default)]
pub(super) struct Resampled {
    pub time_ns: i64,
    pub y_mm: f64,
    /// Whether lines are missing before this one.
    pub after_gap: bool,
    /// Sum of the squared weights of the camera's lines in this one. It is 1 for a line of the camera.
    pub squares: f32,
    /// Reflectance `[pixel][band]`. It is NaN outside the field of view.
    pub values: Vec<f32>,
    /// Mean over the bands `[pixel]`.
    pub brightness: Vec<f32>,
    /// Flags `[pixel]`.
    pub quality: Vec<u8>,
}

/// A row of the grid with the bands of one camera.
///
/// It refers to one resampled line, or to the two lines on either side. Values are computed where they are written.
/// So no value is written twice.
#[derive(Debug, Clone)]
pub struct CameraRow {
    /// Number of the row. Its centre lies at `y = index * pixel_mm`.
    pub index: i64,
    /// Time at which this camera saw the row, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    pub(super) line: Arc<Resampled>,
    /// The line behind the row, and its weight.
    pub(super) next: Option<(Arc<Resampled>, f32)>,
}

impl CameraRow {
    /// A row with its own values `[pixel][band]` and flags `[pixel]`.
    pub fn new(index: i64, time_ns: i64, values: Vec<f32>, quality: Vec<u8>) -> Self {
        let brightness = values.chunks(values.len().div_ceil(quality.len().max(1)).max(1)).map(mean).collect();
        Self { index, time_ns, line: Arc::new(Resampled { values, brightness, quality, squares: 1.0, ..Resampled::default() }), next: None }
    }

    /// Sum of the squared weights of the camera's lines in the row. It is NaN where no line covers the row.
    ///
    /// Noise that is independent from line to line has this share of the variance of one line.
    pub fn squares(&self) -> f32 {
        let line = self.line.squares;
        self.next.as_ref().map_or(line, |(next, weight)| (1.0 - weight) * (1.0 - weight) * line + weight * weight * next.squares)
    }

    /// Reflectance of the row `[pixel][band]`.
    #[inline(always)]
    pub fn values(&self) -> RowValues<'_> {
        let next = self.next.as_ref().map(|(next, weight)| (next.values.as_slice(), *weight));
        RowValues { line: &self.line.values, next }
    }

    /// Mean reflectance of a pixel over the camera's bands. It is NaN where the pixel has no value.
    #[inline(always)]
    pub fn brightness(&self, pixel: usize) -> f32 {
        let line = self.line.brightness[pixel];
        self.next.as_ref().map_or(line, |(next, weight)| line + (next.brightness[pixel] - line) * weight)
    }

    /// Flags of a pixel as in [`Quality`](crate::scan::Quality).
    #[inline(always)]
    pub fn quality(&self, pixel: usize) -> u8 {
        self.line.quality[pixel] | self.next.as_ref().map_or(0, |(next, _)| next.quality[pixel])
    }
}

/// The values of a row `[pixel][band]`. A missing value is NaN.
#[derive(Debug, Clone, Copy)]
pub struct RowValues<'a> {
    line: &'a [f32],
    next: Option<(&'a [f32], f32)>,
}

impl RowValues<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether the row has no values.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Value number `i`.
    #[inline(always)]
    pub fn at(&self, i: usize) -> f32 {
        let line = self.line[i];
        self.next.map_or(line, |(next, weight)| line + (next[i] - line) * weight)
    }

    /// Writes the values `range` to `to`. The lengths of both are equal.
    #[inline(always)]
    pub fn write(&self, range: Range<usize>, to: &mut [f32]) {
        let line = &self.line[range.clone()];
        match self.next {
            None => to.copy_from_slice(line),
            Some((next, weight)) => {
                let next = &next[range];
                (0..line.len()).for_each(|i| to[i] = line[i] + (next[i] - line[i]) * weight);
            }
        }
    }
}

/// The weighted mean of lines.
pub(super) struct Mean<'a> {
    pub lines: &'a VecDeque<Arc<Resampled>>,
    /// Index into `lines` and weight of each line.
    pub parts: &'a [(usize, f32)],
    pub out: &'a mut Resampled,
}

/// Number of values that are averaged together. They stay in the first cache.
const TOGETHER: usize = 2048;

impl WithSimd for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { lines, parts, out } = self;
        let n = parts.first().map_or(0, |(first, _)| lines[*first].values.len());
        out.values.resize(n, 0.0);
        out.squares = parts.iter().map(|(_, weight)| weight * weight).sum();
        for from in (0..n).step_by(TOGETHER) {
            let here = from..(from + TOGETHER).min(n);
            let to = &mut out.values[here.clone()];
            for (i, (line, weight)) in parts.iter().enumerate() {
                let line = &lines[*line].values[here.clone()];
                if i == 0 {
                    (0..to.len()).for_each(|i| to[i] = line[i] * weight);
                } else {
                    (0..to.len()).for_each(|i| to[i] += line[i] * weight);
                }
            }
        }
        out.brightness.clear();
        out.quality.clear();
        for (i, (line, weight)) in parts.iter().enumerate() {
            let (brightness, flags) = (lines[*line].brightness.iter().map(|brightness| brightness * weight), &lines[*line].quality);
            if i == 0 {
                out.brightness.extend(brightness);
                out.quality.extend_from_slice(flags);
            } else {
                out.brightness.iter_mut().zip(brightness).for_each(|(all, brightness)| *all += brightness);
                out.quality.iter_mut().zip(flags).for_each(|(all, flags)| *all |= flags);
            }
        }
    }
}
