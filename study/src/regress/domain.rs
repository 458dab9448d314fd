//! Distance of a sample from the training samples, by Hotelling's T² and the residual Q of principal components (Jackson and Mudholkar 1979).
//!
//! Both are added, each in units of its median over held-out samples, as in the combined index of Yue and Qin (2001). The limit is a
//! quantile of held-out samples. A sample is seen as it is, and as the model sees it: a derivative shows narrow bands of a foreign
//! mineral, and a band mask hides others.

use super::conformal;
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Share of the variance that the components keep. The brightness alone has most of it.
const KEPT: f64 = 0.999;
/// Training samples for each component, at least.
const PER_COMPONENT: usize = 4;

/// Principal components of training samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    /// Mean of each feature.
    pub mean: DVector<f64>,
    /// Factor of each centred feature.
    pub scale: DVector<f64>,
    /// Orthonormal components `(features, components)`.
    pub components: DMatrix<f64>,
    /// Variance along each component.
    pub variances: DVector<f64>,
}

/// T² and Q of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// Squared distance along the components, in units of their variances.
    pub t2: f64,
    /// Squared distance from the components.
    pub q: f64,
}

/// Factors that make T² and Q one distance, and its limit 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Factor of T².
    pub t2: f64,
    /// Factor of Q.
    pub q: f64,
}

impl Domain {
    /// Components of samples `(samples, features)`, two or more. `scaled` divides the features by their spread.
    pub fn fit(samples: &DMatrix<f64>, scaled: bool) -> Self {
        let mean = samples.row_mean().transpose();
        let count = (samples.nrows().max(2) - 1) as f64;
        let mut centred = samples.clone();
        let mut scale = DVector::repeat(samples.ncols(), 1.0);
        for column in 0..samples.ncols() {
            centred.column_mut(column).add_scalar_mut(-mean[column]);
            let spread = (centred.column(column).norm_squared() / count).sqrt();
            if scaled && spread > 1e-12 {
                scale[column] = 1.0 / spread;
                centred.column_mut(column).scale_mut(scale[column]);
            }
        }
        if !scaled {
            // One factor for all features makes distances free of their unit.
            let total = (centred.norm_squared() / count).sqrt();
            scale.fill(if total > 0.0 { 1.0 / total } else { 1.0 });
            centred *= scale[0];
        }
        let eigen = SymmetricEigen::new(&centred * centred.transpose());
        let mut order: Vec<usize> = (0..samples.nrows()).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let total: f64 = eigen.eigenvalues.iter().map(|value| value.max(0.0)).sum();
        let (mut kept, mut sum) = (Vec::new(), 0.0);
        for i in order {
            let value = eigen.eigenvalues[i];
            if sum >= KEPT * total || value <= 1e-12 * total || (kept.len() + 1) * PER_COMPONENT > samples.nrows() {
                break;
            }
            sum += value;
            kept.push(i);
        }
        let mut components = DMatrix::zeros(samples.ncols(), kept.len());
        for (column, i) in kept.iter().enumerate() {
            components.set_column(column, &(centred.tr_mul(&eigen.eigenvectors.column(*i)) / eigen.eigenvalues[*i].sqrt()));
        }
        let variances = DVector::from_iterator(kept.len(), kept.iter().map(|i| eigen.eigenvalues[*i] / count));
        Self { mean, scale, components, variances }
    }

    /// T² and Q of samples `(samples, features)`.
    pub fn parts(&self, samples: &DMatrix<f64>) -> Vec<Parts> {
        let part = |row: usize| {
            let centred = (samples.row(row).transpose() - &self.mean).component_mul(&self.scale);
            let scores = self.components.tr_mul(&centred);
            let t2 = scores.iter().zip(&self.variances).map(|(score, variance)| score * score / variance).sum();
            Parts { t2, q: (centred - &self.components * scores).norm_squared() }
        };
        (0..samples.nrows()).map(part).collect()
    }
}

impl Limits {
    /// Limits of several views of the same samples. About a share `accept` of ordinary samples lies within all of them. `held_out` has T² and Q
    /// of held-out samples, `[view][sample]`. With too few samples, the farthest is the limit.
    pub fn new(held_out: &[Vec<Parts>], accept: f64) -> Vec<Self> {
        let unit = |view: &[Parts], of: &dyn Fn(&Parts) -> f64| -> f64 {
            let mut sorted: Vec<f64> = view.iter().map(of).collect();
            sorted.sort_by(f64::total_cmp);
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
            // Features without a residual have none to judge by.
            if median > 1e-15 { 1.0 / median } else { 0.0 }
        };
        let of_view = |view: &Vec<Parts>| Self { t2: unit(view, &|parts| parts.t2), q: unit(view, &|parts| parts.q) };
        let raw: Vec<Self> = held_out.iter().map(of_view).collect();
        let count = held_out.first().map_or(0, Vec::len);
        let farthest = |sample: usize| raw.iter().zip(held_out).map(|(limits, view)| limits.distance(&view[sample])).fold(0.0, f64::max);
        let mut distances: Vec<f64> = (0..count).map(farthest).collect();
        distances.sort_by(f64::total_cmp);
        let at = conformal::place(count, accept).min(count);
        let limit = distances.get(at.saturating_sub(1)).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        raw.into_iter().map(|limits| Self { t2: limits.t2 / limit, q: limits.q / limit }).collect()
    }

    /// Distance of a sample. Beyond 1 it is refused.
    pub fn distance(&self, parts: &Parts) -> f64 {
        self.t2 * parts.t2 + self.q * parts.q
    }

    /// Why a sample with these parts is refused, in words. Empty for one that is not.
    pub fn why(&self, parts: &Parts) -> &'static str {
        match self.distance(parts) > 1.0 {
            false => "",
            true if self.t2 * parts.t2 > self.q * parts.q => "far along the known directions (T2)",
            true => "in a direction that no known sample has (Q)",
        }
    }
}
