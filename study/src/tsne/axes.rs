//! Start of the descent, along the two directions of largest variance.

use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Standard deviation of the first axis at the start. It is small, so that the forces decide.
const SPREAD: f64 = 1e-4;
/// Rounds of the power iteration. The start needs only a few digits.
const ROUNDS: usize = 200;

/// The first two principal components of `values` `(n, features)`, scaled down, as `(n, 2)`. A missing axis has a fine zigzag. Points on a
/// line could not pass one another.
pub(super) fn principal_start(values: ArrayView2<f32>) -> Array2<f32> {
    let (n, d) = values.dim();
    let mean = values.mapv(f64::from).mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(d));
    let centred = values.mapv(f64::from) - &mean;
    let covariance = centred.t().dot(&centred) / n as f64;
    let first = leading(&covariance, None);
    let second = leading(&covariance, Some(&first));
    let mut start = Array2::zeros((n, 2));
    let mut scale = 0.0;
    for (axis, direction) in [first, second].iter().enumerate() {
        let scores = centred.dot(direction);
        let deviation = (scores.mapv(|s| s * s).sum() / n as f64).sqrt();
        if axis == 0 && deviation > 0.0 {
            scale = SPREAD / deviation;
        }
        let flat = deviation * scale < SPREAD * 1e-6;
        for (i, &s) in scores.iter().enumerate() {
            // Multiples of the golden ratio fill the interval evenly.
            let zigzag = ((i as f64 * 0.618_033_988_749_894_9).fract() - 0.5) * SPREAD;
            start[[i, axis]] = if flat { zigzag } else { s * scale } as f32;
        }
    }
    start
}

/// Eigenvector of the largest eigenvalue, orthogonal to `but`, by power iteration. Its largest component is positive.
fn leading(covariance: &Array2<f64>, but: Option<&Array1<f64>>) -> Array1<f64> {
    let d = covariance.nrows();
    let mut v = Array1::from_shape_fn(d, |i| 1.0 + 0.1 * ((i * 7 % 11) as f64));
    for _ in 0..ROUNDS {
        v = covariance.dot(&v);
        if let Some(but) = but {
            let along = v.dot(but);
            v = v - but * along;
        }
        let length = v.dot(&v).sqrt();
        if length <= f64::MIN_POSITIVE {
            return Array1::zeros(d);
        }
        v /= length;
    }
    let largest = v.iter().copied().fold(0.0_f64, |m, x| if x.abs() > m.abs() { x } else { m });
    v * largest.signum()
}
