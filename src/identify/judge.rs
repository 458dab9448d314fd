//! The best minerals of some pixels by the fits of their windows.

use super::fit::{Fit, Seen, select};
use super::prepare::{Candidate, Prepared};
use crate::simd::Simd;

/// Minerals of some pixels in the order of their group.
pub(super) struct Ranked<S: Simd> {
    /// The code, which is a small whole number.
    pub code: S::f32s,
    /// 1 where it passed every threshold, else 0.
    pub passed: S::f32s,
    /// The score.
    pub score: S::f32s,
}

// A derived implementation would ask it of the vector unit.
impl<S: Simd> Clone for Ranked<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Ranked<S> {}

/// The two best minerals of each group, `[group][rank]`. Those that pass every threshold come first.
#[inline(always)]
pub(super) fn best<S: Simd>(s: S, prepared: &Prepared, windows: &[Seen<S>], fits: &[Fit<S>]) -> [[Ranked<S>; 2]; 2] {
    let zero = s.splat_f32s(0.0);
    let none = Ranked { code: zero, passed: zero, score: zero };
    let mut best = [[none; 2]; 2];
    for candidate in &prepared.candidates {
        let one = judge(s, prepared, candidate, windows, fits);
        let [first, second] = &mut best[candidate.group];
        let other = s.not_m32s(s.equal_f32s(first.code, one.code));
        let wins = before(s, &one, first);
        let (pushes, follows) = (s.and_m32s(wins, other), s.and_m32s(other, before(s, &one, second)));
        *second = choose(s, pushes, first, &choose(s, follows, &one, second));
        *first = choose(s, wins, &one, first);
    }
    best
}

/// Whether `a` comes before `b`.
#[inline(always)]
fn before<S: Simd>(s: S, a: &Ranked<S>, b: &Ranked<S>) -> S::m32s {
    let scored = s.and_m32s(s.equal_f32s(a.passed, b.passed), s.greater_than_f32s(a.score, b.score));
    s.or_m32s(s.greater_than_f32s(a.passed, b.passed), scored)
}

#[inline(always)]
fn choose<S: Simd>(s: S, mask: S::m32s, a: &Ranked<S>, b: &Ranked<S>) -> Ranked<S> {
    Ranked { code: select(s, mask, a.code, b.code), passed: select(s, mask, a.passed, b.passed), score: select(s, mask, a.score, b.score) }
}

/// The score of a candidate, and whether it passes every threshold.
#[inline(always)]
fn judge<S: Simd>(s: S, prepared: &Prepared, candidate: &Candidate, windows: &[Seen<S>], fits: &[Fit<S>]) -> Ranked<S> {
    let (zero, one) = (s.splat_f32s(0.0), s.splat_f32s(1.0));
    let at_least = |value, least: f32| s.greater_than_or_equal_f32s(value, s.splat_f32s(least));
    let within =
        |value, [least, most]: [f32; 2]| s.and_m32s(at_least(value, least), s.greater_than_or_equal_f32s(s.splat_f32s(most), value));
    let (mut fit, mut depth) = (zero, zero);
    let mut passed = s.equal_f32s(zero, zero);
    for part in &prepared.parts[candidate.parts.clone()] {
        let ([part_fit, part_depth, snr_squared], [level, slope, _]) = (fits[part.template], windows[part.window]);
        let weight = s.splat_f32s(part.weight);
        fit = s.add_f32s(fit, s.mul_f32s(weight, part_fit));
        depth = s.add_f32s(depth, s.mul_f32s(weight, part_depth));
        let shaped = s.and_m32s(at_least(part_fit, part.min_fit), at_least(part_depth, part.min_depth));
        let clear = s.and_m32s(shaped, at_least(snr_squared, prepared.min_snr_squared));
        passed = s.and_m32s(passed, clear);
        if let Some(range) = part.level {
            passed = s.and_m32s(passed, within(level, range));
        }
        if let Some(range) = part.slope {
            passed = s.and_m32s(passed, within(slope, range));
        }
    }
    passed = s.and_m32s(passed, s.and_m32s(at_least(fit, candidate.min_fit), at_least(depth, candidate.min_depth)));
    for not in &prepared.not[candidate.not.clone()] {
        let [other_fit, other_depth, _] = fits[not.template];
        let share = s.greater_than_or_equal_f32s(other_depth, s.mul_f32s(s.splat_f32s(not.min_ratio), depth));
        let shaped = s.and_m32s(at_least(other_fit, not.min_fit), at_least(other_depth, not.min_depth));
        passed = s.and_m32s(passed, s.not_m32s(s.and_m32s(shaped, share)));
    }
    let score = (0..prepared.fit_power).fold(depth, |score, _| s.mul_f32s(score, fit));
    Ranked { code: s.splat_f32s(f32::from(candidate.code)), passed: select(s, passed, one, zero), score }
}
