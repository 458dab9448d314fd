//! The loss of VICReg on the codes of pairs.

use ndarray::{Array2, Axis};

/// Addend to each variance before its root.
const EPSILON: f32 = 1e-4;

/// Weights of the three terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    pub invariance: f32,
    pub variance: f32,
    pub covariance: f32,
}

/// Loss of a batch, and its terms without their weights.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Loss {
    pub sum: f64,
    pub invariance: f64,
    pub variance: f64,
    pub covariance: f64,
}

/// Loss of codes `a` and `b`, `(pairs, latent)`, with its gradients to both.
///
/// The terms are the mean of `(a - b)²`, the mean over the numbers of `max(0, 1 - s)`, and the sum of the squared covariances of
/// different numbers over their count. s is the standard deviation. The last two are summed over `a` and `b`.
pub(super) fn vicreg(a: &Array2<f32>, b: &Array2<f32>, weights: Weights) -> (Loss, [Array2<f32>; 2]) {
    let (n, d) = (a.nrows() as f32, a.ncols() as f32);
    let difference = a - b;
    let mut loss = Loss { invariance: f64::from(difference.iter().map(|v| v * v).sum::<f32>() / (n * d)), ..Loss::default() };
    let gradient = difference * (2.0 * weights.invariance / (n * d));
    let opposite = -&gradient;
    let mut gradients = [gradient, opposite];
    for (codes, gradient) in [a, b].into_iter().zip(&mut gradients) {
        let mean = codes.sum_axis(Axis(0)) / n;
        let centred = codes - &mean;
        let mut covariance = centred.t().dot(&centred) / (n - 1.0);
        let deviations: Vec<f32> = covariance.diag().iter().map(|variance| (variance + EPSILON).sqrt()).collect();
        covariance.diag_mut().fill(0.0);
        loss.variance += f64::from(deviations.iter().map(|s| (1.0 - s).max(0.0)).sum::<f32>() / d);
        loss.covariance += f64::from(covariance.iter().map(|c| c * c).sum::<f32>() / d);
        gradient.scaled_add(4.0 * weights.covariance / (d * (n - 1.0)), &centred.dot(&covariance));
        for ((mut to, from), s) in gradient.columns_mut().into_iter().zip(centred.columns()).zip(&deviations) {
            if *s < 1.0 {
                to.scaled_add(-weights.variance / (d * s * (n - 1.0)), &from);
            }
        }
    }
    loss.sum = f64::from(weights.invariance) * loss.invariance
        + f64::from(weights.variance) * loss.variance
        + f64::from(weights.covariance) * loss.covariance;
    (loss, gradients)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        // The first number has a deviation above 1, the others below.
        let mut codes = || Array2::from_shape_fn((9, 3), |(_, j)| (random.random::<f32>() - 0.5) * [6.0, 1.0, 0.5][j]);
        let (a, b) = (codes(), codes());
        let terms = [(25.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 4.0), (25.0, 10.0, 4.0)];
        for (invariance, variance, covariance) in terms {
            let weights = Weights { invariance, variance, covariance };
            let (_, gradients) = vicreg(&a, &b, weights);
            for (i, at) in (0..2).flat_map(|i| (0..27).map(move |at| (i, [at / 3, at % 3]))) {
                let moved = |by: f32| {
                    let mut both = [a.clone(), b.clone()];
                    both[i][at] += by;
                    vicreg(&both[0], &both[1], weights).0.sum
                };
                let numeric = (moved(5e-3) - moved(-5e-3)) / 1e-2;
                let found = f64::from(gradients[i][at]);
                assert!((found - numeric).abs() < 4e-3 * numeric.abs().max(1.0), "{weights:?} {i} {at:?}: {found} {numeric}");
            }
        }
    }

    #[test]
    fn terms_by_hand() {
        // Codes of deviation √(4/3), with a covariance of 4/3 between the numbers.
        let a = ndarray::array![[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]];
        let b = &a * 0.5;
        let (loss, _) = vicreg(&a, &b, Weights { invariance: 1.0, variance: 1.0, covariance: 1.0 });
        assert!((loss.invariance - 0.25).abs() < 1e-6);
        assert!((loss.variance - (1.0 - (1.0_f64 / 3.0 + 1e-4).sqrt())).abs() < 1e-5);
        assert!((loss.covariance - ((4.0_f64 / 3.0).powi(2) + (1.0_f64 / 3.0).powi(2))).abs() < 1e-5);
        assert!((loss.sum - loss.invariance - loss.variance - loss.covariance).abs() < 1e-12);
    }
}
