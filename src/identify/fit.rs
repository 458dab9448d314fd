//! Fits of a library's spectra to the windows of a pixel. Sums have one order on every vector unit.

use super::prepare::{Prepared, Template, Window};

/// Number of partial sums, side by side in a vector register.
pub(super) const LANES: usize = 8;

/// A window of a pixel without its continuum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    /// Reflectance of the continuum in the middle of the window.
    pub level: f32,
    /// The right shoulder over the left one.
    pub slope: f32,
    /// Sum of the squared deviations from the mean depth. NaN where the window has no values.
    pub squares: f32,
}

/// How well a spectrum of the library fits a window of the pixel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Fit {
    /// Square of the correlation. 0 where it is negative, or the window has no values.
    pub fit: f32,
    /// Depth of the fitted absorption.
    pub depth: f32,
    /// Depth over its noise, squared.
    pub snr_squared: f32,
}

/// Adds the partial sums, always in the same order.
#[inline(always)]
fn total(sums: [f32; LANES]) -> f32 {
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

/// The sum of products of two lists, whose length is a multiple of [`LANES`].
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        (0..LANES).for_each(|i| sums[i] += a[i] * b[i]);
    }
    total(sums)
}

/// The mean of a few values.
#[inline(always)]
fn mean(values: &[f32], inverse: f32) -> f32 {
    values.iter().sum::<f32>() * inverse
}

/// Removes the continuum of a window. `values` are those of the pyramid. `depths` has room for the window, with whole lanes.
#[inline(always)]
pub(super) fn remove(prepared: &Prepared, window: &Window, values: &[f32], depths: &mut [f32]) -> Seen {
    let shoulder = |side: usize| mean(&values[window.shoulders[side].clone()], window.inverse[side]);
    let (left, right) = (shoulder(0), shoulder(1));
    let values = &values[window.all.clone()];
    let n = values.len();
    let places = &prepared.places[window.tables..window.tables + n];
    let weights = &prepared.weights[window.tables..window.tables + depths.len()];
    let (of_values, behind) = depths.split_at_mut(n);
    let rise = right - left;
    for i in 0..n {
        of_values[i] = 1.0 - values[i] / (left + rise * places[i]);
    }
    behind.fill(0.0);
    let (mut sums, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    for (depths, weights) in depths.chunks_exact(LANES).zip(weights.chunks_exact(LANES)) {
        for i in 0..LANES {
            let weighted = weights[i] * depths[i];
            sums[i] += weighted;
            squares[i] += weighted * depths[i];
        }
    }
    let (sum, square) = (total(sums), total(squares));
    let bright = left > prepared.min_level && right > prepared.min_level;
    let squares = if bright { square - sum * sum * window.inverse_n } else { f32::NAN };
    Seen { level: (left + right) * 0.5, slope: right / left, squares }
}

/// Fits a spectrum of the library to a window.
#[inline(always)]
pub(super) fn fit(prepared: &Prepared, template: &Template, freedom: f32, seen: Seen, depths: &[f32]) -> Fit {
    let along = dot(depths, &prepared.shapes[template.shape..template.shape + depths.len()]);
    let explained = along * along;
    // A window without values compares as false.
    if along > 0.0 && seen.squares >= SMALLEST {
        let rest = (seen.squares - explained).max(seen.squares * ROUNDING);
        Fit { fit: (explained / seen.squares).min(1.0), depth: along * template.scale, snr_squared: explained * freedom / rest }
    } else {
        Fit::default()
    }
}

/// Least sum of squares. Below it, the window is a straight line to the last bits.
const SMALLEST: f32 = 1e-9;
/// Share of the squares that is left at least. It stands for rounding.
const ROUNDING: f32 = 1e-6;
