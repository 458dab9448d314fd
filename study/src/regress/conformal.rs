//! Intervals by CV+ (Barber, Candès, Ramdas and Tibshirani 2021).
//!
//! Split-conformal intervals (Lei and others 2018) need samples that train nothing. Laboratories have dozens of samples, so that every one
//! is needed for both. CV+ gives each sample the model without its fold. The guarantee is weaker: at least twice the nominal level minus 1,
//! less a small term. In practice the coverage is about nominal.

/// Place of the finite-sample quantile among `count` sorted values, from 1: `level * (count + 1)`, rounded up. It may lie beyond the last.
pub fn place(count: usize, level: f64) -> usize {
    (level * (count + 1) as f64 - 1e-9).ceil() as usize
}

/// Fewest calibration samples with a finite interval at a level.
pub fn fewest(level: f64) -> usize {
    (1..).find(|count| place(*count, level) <= *count).unwrap_or(usize::MAX)
}

/// The interval at a level. `calibration` has, for each calibration sample, the value that the model without its fold gives to the new
/// sample, and the error of that model on the calibration sample. Too few samples give an infinite interval.
pub fn interval(calibration: impl Iterator<Item = (f64, f64)>, level: f64) -> (f64, f64) {
    let (mut lower, mut upper): (Vec<f64>, Vec<f64>) = calibration.map(|(value, error)| (value - error, value + error)).unzip();
    let (count, place) = (upper.len(), place(upper.len(), level));
    if place > count {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    lower.sort_by(f64::total_cmp);
    upper.sort_by(f64::total_cmp);
    (lower[count - place], upper[place - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_that_of_finite_samples() {
        assert_eq!((place(9, 0.9), place(10, 0.9), place(99, 0.9), place(8, 0.9)), (9, 10, 90, 9));
        assert_eq!((fewest(0.9), fewest(0.95), fewest(0.5)), (9, 19, 1));
    }

    #[test]
    fn an_interval_counts_from_both_ends() {
        let of = |count: usize, level| interval((1..=count).map(|i| (10.0, i as f64)), level);
        assert_eq!(of(9, 0.9), (1.0, 19.0));
        assert_eq!(of(19, 0.9), (-8.0, 28.0));
        assert_eq!(of(8, 0.9), (f64::NEG_INFINITY, f64::INFINITY));
        // Models that differ widen the interval.
        let (low, high) = interval((1..=9).map(|i| (f64::from(i), 1.0)), 0.9);
        assert_eq!((low, high), (0.0, 10.0));
    }
}
