//! What an encoder knows: how far the codes of its training lie from their middle, and what principal components leave over of its spectra.
//!
//! hyclusd compares spectra with it, and warns of those that are unlike anything in the training.

use crate::pca::Pca;
use nalgebra::{Cholesky, DMatrix, DVector};

/// Share of the training spectra within each limit.
const WITHIN: f64 = 0.999;

/// Mean and covariance of training codes, and the limits that 99.9 % of the training spectra stay within.
///
/// The limits are quantiles of the spectra themselves, because codes are not normally distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Mean of the codes.
    pub mean: Vec<f64>,
    /// Covariance of the codes `[code][code]`, row by row, over n - 1.
    pub covariance: Vec<f64>,
    /// Limit of the Mahalanobis distance from the mean, standard deviations.
    pub codes_limit: f64,
    /// Principal components of the spectra, and the limit of the residual that they leave over, reflectance. `None` where they leave nothing.
    pub span: Option<(Pca, f64)>,
}

impl Known {
    /// From codes `[row][latent]`, and from the residuals `[row]` of principal components. `None` where a code follows from others, or does not
    /// vary.
    pub fn of(codes: &[f32], latent: usize, span: Option<(Pca, Vec<f32>)>) -> Option<Self> {
        let values = DMatrix::from_row_iterator(codes.len() / latent.max(1), latent, codes.iter().map(|code| f64::from(*code)));
        let count = values.nrows();
        if count <= latent + 1 {
            return None;
        }
        let mean = values.row_mean();
        let centred = DMatrix::from_fn(count, latent, |row, code| values[(row, code)] - mean[code]);
        let covariance = centred.tr_mul(&centred) / (count - 1) as f64;
        let factor = Cholesky::new(covariance.clone())?.unpack();
        if (0..latent).any(|code| factor[(code, code)].powi(2) <= 1e-10 * covariance[(code, code)]) {
            return None;
        }
        let distance = |row: usize| -> Option<f64> {
            let from_mean: DVector<f64> = centred.row(row).transpose();
            Some(factor.solve_lower_triangular(&from_mean)?.norm())
        };
        let codes_limit = limit((0..count).map(distance).collect::<Option<_>>()?)?;
        let span = span.and_then(|(pca, residuals)| Some((pca, limit(residuals.into_iter().map(f64::from).collect())?)));
        let covariance = covariance.transpose().iter().copied().collect();
        Some(Self { mean: mean.iter().copied().collect(), covariance, codes_limit, span })
    }
}

/// The least of the values that 99.9 % do not exceed. `None` where it is not above 0.
fn limit(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = (WITHIN * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().filter(|limit| *limit > 0.0 && limit.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components that are not looked at.
    fn pca() -> Pca {
        Pca { wavelengths_nm: vec![400.0], mean: vec![0.0], components: vec![vec![1.0]], variances: vec![1.0], total_variance: 1.0 }
    }

    #[test]
    fn the_limits_hold_99_9_percent() {
        // A line of codes beside one of half the step, in another order: their correlation is small and known to no one but the sums.
        let count = 5000;
        let codes: Vec<f32> = (0..count).flat_map(|i| [i as f32, ((i * 1237) % count) as f32 / 2.0]).collect();
        let residuals: Vec<f32> = (1..=count).map(|i| i as f32).collect();
        let known = Known::of(&codes, 2, Some((pca(), residuals))).unwrap();
        assert_eq!(known.span.as_ref().map(|(_, limit)| *limit), Some(4995.0));
        assert!((known.mean[0] - 2499.5).abs() < 1e-9 && (known.mean[1] - 1249.75).abs() < 1e-9, "{:?}", known.mean);
        // Variance of 0 to n - 1, over n - 1.
        let variance = count as f64 * (count as f64 + 1.0) / 12.0;
        assert!((known.covariance[0] / variance - 1.0).abs() < 1e-9 && (known.covariance[3] * 4.0 / variance - 1.0).abs() < 1e-9);
        assert_eq!(known.covariance[1], known.covariance[2]);
        let [a, b, _, d] = known.covariance[..] else { panic!() };
        let distance = |code: &[f32]| {
            let (x, y) = (f64::from(code[0]) - known.mean[0], f64::from(code[1]) - known.mean[1]);
            ((d * x * x - 2.0 * b * x * y + a * y * y) / (a * d - b * b)).sqrt()
        };
        let within = codes.chunks_exact(2).filter(|code| distance(code) <= known.codes_limit + 1e-9).count();
        assert!((4995..=4997).contains(&within), "{within}");
    }

    #[test]
    fn codes_without_scatter_tell_nothing() {
        let twice: Vec<f32> = (0..100).flat_map(|i| [i as f32, 2.0 * i as f32]).collect();
        assert_eq!(Known::of(&twice, 2, None), None);
        assert_eq!(Known::of(&[1.0; 100], 2, None), None);
        assert_eq!(Known::of(&[1.0, 2.0, 3.0], 2, None), None);
        let none = Known::of(&[0.0, 1.0, 2.0, 5.0], 1, Some((pca(), vec![0.0; 4]))).unwrap();
        assert_eq!(none.span, None, "components that leave nothing over have no limit");
    }
}
