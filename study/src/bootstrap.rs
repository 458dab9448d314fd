//! Percentiles of a bootstrap (Efron 1979).

/// Draws with replacement.
pub(crate) const DRAWS: usize = 2000;

/// The 2.5th and the 97.5th percentile of what is finite among the drawn values. NaN where nothing is.
pub(crate) fn middle(drawn: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = drawn.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((share * (sorted.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(f64::NAN);
    (at(0.025), at(0.975))
}
