//! Fits of a library's spectra to the windows of pixels. A vector register holds one value of several pixels. Every pixel adds its own
//! values in one order, whatever the vector unit.

use super::prepare::{Prepared, Template, Window};
use crate::simd::Simd;

/// Most pixels side by side in a vector register.
pub(super) const MOST_LANES: usize = 16;

/// A window of some pixels without its continuum.
///
/// It has the reflectance of the continuum in the middle of the window, and the right shoulder over the left one. The last number is the
/// sum of the squared deviations from the mean depth. It is NaN where the window has no values.
pub(super) type Seen<S> = [<S as Simd>::f32s; 3];

/// How well a spectrum of the library fits a window of some pixels.
///
/// It has the square of the correlation, the depth of the fitted absorption, and the square of that depth over its noise. All are 0 where
/// the correlation is negative, or the window has no values.
pub(super) type Fit<S> = [<S as Simd>::f32s; 3];

/// `a` where `mask` says so, else `b`. The method of the same name is a call for each register, since it is not always inlined.
#[inline(always)]
pub(super) fn select<S: Simd>(s: S, mask: S::m32s, a: S::f32s, b: S::f32s) -> S::f32s {
    s.transmute_f32s_u32s(s.select_u32s(mask, s.transmute_u32s_f32s(a), s.transmute_u32s_f32s(b)))
}

/// Number of partial sums. They hide the latency of an addition.
const PARTIAL: usize = 4;

/// Removes the continuum of a window. `values` are those of the pyramid.
#[inline(always)]
pub(super) fn remove<S: Simd>(s: S, prepared: &Prepared, window: &Window, values: &[S::f32s], depths: &mut [S::f32s]) -> Seen<S> {
    let splat = |value: f32| s.splat_f32s(value);
    let shoulder = |side: usize| {
        let sum = values[window.shoulders[side].clone()].iter().fold(splat(0.0), |sum, value| s.add_f32s(sum, *value));
        s.mul_f32s(sum, splat(window.inverse[side]))
    };
    let (left, right) = (shoulder(0), shoulder(1));
    let (rise, one) = (s.sub_f32s(right, left), splat(1.0));
    let (mut sum, mut square) = (splat(0.0), splat(0.0));
    let tables = window.tables..window.tables + window.all.len();
    let (places, weights) = (&prepared.places[tables.clone()], &prepared.weights[tables]);
    for (((value, depth), place), weight) in values[window.all.clone()].iter().zip(depths).zip(places).zip(weights) {
        let continuum = s.add_f32s(left, s.mul_f32s(rise, splat(*place)));
        *depth = s.sub_f32s(one, s.div_f32s(*value, continuum));
        let weighted = s.mul_f32s(splat(*weight), *depth);
        sum = s.add_f32s(sum, weighted);
        square = s.add_f32s(square, s.mul_f32s(weighted, *depth));
    }
    let squares = s.sub_f32s(square, s.mul_f32s(s.mul_f32s(sum, sum), splat(window.inverse_n)));
    let least = splat(prepared.min_level);
    let bright = s.and_m32s(s.greater_than_f32s(left, least), s.greater_than_f32s(right, least));
    let level = s.mul_f32s(s.add_f32s(left, right), splat(0.5));
    [level, s.div_f32s(right, left), select(s, bright, squares, splat(f32::NAN))]
}

/// Fits a spectrum of the library to a window.
#[inline(always)]
pub(super) fn fit<S: Simd>(s: S, prepared: &Prepared, template: &Template, squares: S::f32s, depths: &[S::f32s]) -> Fit<S> {
    let zero = s.splat_f32s(0.0);
    let shape = &prepared.shapes[template.shape..template.shape + depths.len()];
    let mut sums = [zero; PARTIAL];
    let (blocks, shapes) = (depths.chunks_exact(PARTIAL), shape.chunks_exact(PARTIAL));
    for (sum, (depth, shape)) in sums.iter_mut().zip(blocks.remainder().iter().zip(shapes.remainder())) {
        *sum = s.mul_f32s(*depth, s.splat_f32s(*shape));
    }
    for (depths, shapes) in blocks.zip(shapes) {
        for (sum, (depth, shape)) in sums.iter_mut().zip(depths.iter().zip(shapes)) {
            *sum = s.add_f32s(*sum, s.mul_f32s(*depth, s.splat_f32s(*shape)));
        }
    }
    let along = s.add_f32s(s.add_f32s(sums[0], sums[1]), s.add_f32s(sums[2], sums[3]));
    let explained = s.mul_f32s(along, along);
    // A window without values compares as false.
    let seen = s.and_m32s(s.greater_than_f32s(along, zero), s.greater_than_or_equal_f32s(squares, s.splat_f32s(SMALLEST)));
    let rounding = s.mul_f32s(squares, s.splat_f32s(ROUNDING));
    let rest = s.sub_f32s(squares, explained);
    let rest = select(s, s.greater_than_f32s(rest, rounding), rest, rounding);
    let (one, share) = (s.splat_f32s(1.0), s.div_f32s(explained, squares));
    let share = select(s, s.greater_than_f32s(share, one), one, share);
    let snr_squared = s.div_f32s(s.mul_f32s(explained, s.splat_f32s(template.freedom)), rest);
    let depth = s.mul_f32s(along, s.splat_f32s(template.scale));
    [select(s, seen, share, zero), select(s, seen, depth, zero), select(s, seen, snr_squared, zero)]
}

/// Least sum of squares. Below it, the window is a straight line to the last bits.
const SMALLEST: f32 = 1e-9;
/// Share of the squares that is left at least. It stands for rounding.
const ROUNDING: f32 = 1e-6;
