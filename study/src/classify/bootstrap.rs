//! Intervals over samples, and chances under exchanged labels.

use crate::bootstrap::{DRAWS, middle};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// The middle 95 % of `value` over draws of `count` samples with replacement (Efron 1979). `value` gets the drawn samples.
pub(super) fn interval(count: usize, value: impl Fn(&[usize]) -> f64) -> (f64, f64) {
    let mut random = Pcg64Mcg::seed_from_u64(0);
    let mut draw = |_| value(&(0..count).map(|_| random.random_range(0..count.max(1))).collect::<Vec<_>>());
    middle((0..DRAWS).map(&mut draw))
}

/// The chance of `found` or more where labels say nothing, from values under exchanged labels. It is at least `1 / (exchanged + 1)`.
pub(super) fn chance(found: f64, exchanged: &[f64]) -> f64 {
    (1 + exchanged.iter().filter(|value| **value >= found).count()) as f64 / (1 + exchanged.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_covers_the_standard_error() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let (low, high) = interval(100, |drawn| drawn.iter().map(|i| values[*i]).sum::<f64>() / 100.0);
        // The standard error of a share of a half is 0.05.
        assert!((low - 0.402).abs() < 0.015 && (high - 0.598).abs() < 0.015, "{low} {high}");
    }

    #[test]
    fn a_chance_counts_itself() {
        assert_eq!(chance(0.5, &[0.1, 0.5, 0.7, 0.2]), 0.6);
        assert_eq!(chance(0.9, &[0.1; 19]), 0.05);
    }
}
