//! Ridge regression and partial least squares, each for a whole path of settings at once.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Penalties of the ridge, in units of the largest eigenvalue of the scatter, the strongest first.
pub const PENALTIES: [f64; 15] = [1.0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7];

/// A kind of model with its setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Setting {
    /// Ridge regression (Hoerl and Kennard 1970) with a relative penalty.
    Ridge(f64),
    /// Partial least squares (de Jong 1993) with a number of components.
    Pls(usize),
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ridge(penalty) => write!(f, "ridge {penalty:e}"),
            Self::Pls(components) => write!(f, "pls {components}"),
        }
    }
}

/// All settings that are tried, those of the stiffest models first.
pub fn settings(components: usize) -> Vec<Setting> {
    (1..=components).map(Setting::Pls).chain(PENALTIES.map(Setting::Ridge)).collect()
}

/// Linear models of one training set, a column of weights for each setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    /// Mean of each feature over the training samples.
    pub mean: DVector<f64>,
    /// Weights `(features, settings)` of the features as they are.
    pub weights: DMatrix<f64>,
    /// Mean label of the training samples.
    pub intercept: f64,
    /// Largest eigenvalue of the scatter, the unit of the penalties.
    pub unit: f64,
}

impl Models {
    /// Fits every setting of [`settings`] to features `(samples, features)` and labels.
    pub fn fit(features: &DMatrix<f64>, labels: &DVector<f64>, components: usize, scaled: bool) -> Self {
        let (mean, mut centred) = centre(features);
        let mut scale = DVector::repeat(features.ncols(), 1.0);
        if scaled {
            let count = (features.nrows().max(2) - 1) as f64;
            for (column, scale) in scale.iter_mut().enumerate() {
                let spread = (centred.column(column).norm_squared() / count).sqrt();
                // A constant feature tells nothing.
                *scale = if spread > 1e-12 { 1.0 / spread } else { 0.0 };
                centred.column_mut(column).scale_mut(*scale);
            }
        }
        let intercept = labels.mean();
        let centred_labels = labels.add_scalar(-intercept);
        let pls = pls(&centred, &centred_labels, components);
        let (ridge, unit) = ridge(&centred, &centred_labels, &PENALTIES);
        let mut weights = DMatrix::zeros(features.ncols(), components + PENALTIES.len());
        weights.columns_mut(0, components).copy_from(&pls);
        weights.columns_mut(components, PENALTIES.len()).copy_from(&ridge);
        for (row, scale) in scale.iter().enumerate() {
            weights.row_mut(row).scale_mut(*scale);
        }
        Self { mean, weights, intercept, unit }
    }

    /// Values `(samples, settings)` of features `(samples, features)`.
    pub fn values(&self, features: &DMatrix<f64>) -> DMatrix<f64> {
        let mut centred = features.clone();
        for (column, mean) in self.mean.iter().enumerate() {
            centred.column_mut(column).add_scalar_mut(-mean);
        }
        (centred * &self.weights).add_scalar(self.intercept)
    }
}

fn centre(features: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
    let mean = features.row_mean().transpose();
    let mut centred = features.clone();
    for (column, mean) in mean.iter().enumerate() {
        centred.column_mut(column).add_scalar_mut(-mean);
    }
    (mean, centred)
}

/// Weights `(features, penalties)` that minimise the squared error plus the penalty times their squares, and the unit of the penalties.
/// Features and labels are centred.
pub fn ridge(features: &DMatrix<f64>, labels: &DVector<f64>, penalties: &[f64]) -> (DMatrix<f64>, f64) {
    // The smaller of both products of the features has all of their eigenvalues.
    let dual = features.nrows() < features.ncols();
    let product = if dual { features * features.transpose() } else { features.tr_mul(features) };
    let eigen = SymmetricEigen::new(product);
    let unit = eigen.eigenvalues.max().max(f64::MIN_POSITIVE);
    let along = if dual { eigen.eigenvectors.tr_mul(labels) } else { eigen.eigenvectors.tr_mul(&features.tr_mul(labels)) };
    let solved = DMatrix::from_fn(along.len(), penalties.len(), |i, j| along[i] / (eigen.eigenvalues[i].max(0.0) + penalties[j] * unit));
    let solved = &eigen.eigenvectors * solved;
    (if dual { features.tr_mul(&solved) } else { solved }, unit)
}

/// Weights `(features, components)` of partial least squares, for one component to the most, by SIMPLS (de Jong 1993, for one label).
/// Where the features have fewer, the last weights repeat. Features and labels are centred.
pub fn pls(features: &DMatrix<f64>, labels: &DVector<f64>, most: usize) -> DMatrix<f64> {
    let bands = features.ncols();
    let mut weights = DMatrix::zeros(bands, most);
    let mut sum = DVector::zeros(bands);
    let mut basis: Vec<DVector<f64>> = Vec::new();
    let mut covariance = features.tr_mul(labels);
    let first = covariance.norm();
    let rank = most.min(features.nrows().saturating_sub(1)).min(bands);
    let mut ended = first == 0.0;
    for component in 0..most {
        ended |= component >= rank || covariance.norm() <= 1e-12 * first;
        if !ended {
            let scores = features * &covariance;
            let norm = scores.norm();
            if norm > 0.0 {
                let (direction, scores) = (&covariance / norm, scores / norm);
                let mut loading = features.tr_mul(&scores);
                sum.axpy(scores.dot(labels), &direction, 1.0);
                // Twice, against rounding.
                for _ in 0..2 {
                    basis.iter().for_each(|known| loading.axpy(-known.dot(&loading), known, 1.0));
                }
                let length = loading.norm().max(f64::MIN_POSITIVE);
                loading /= length;
                covariance.axpy(-loading.dot(&covariance), &loading, 1.0);
                basis.iter().for_each(|known| covariance.axpy(-known.dot(&covariance), known, 1.0));
                basis.push(loading);
            }
        }
        weights.set_column(component, &sum);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (DMatrix<f64>, DVector<f64>) {
        let features = DMatrix::from_fn(8, 3, |i, j| ((3 * i + 5 * j) as f64).sin() + 0.1 * (i * j) as f64);
        let labels = DVector::from_fn(8, |i, _| 2.0 + (i as f64 * 0.7).cos());
        (features, labels)
    }

    #[test]
    fn all_components_and_no_penalty_are_least_squares() {
        let (features, labels) = example();
        let (_, centred) = centre(&features);
        let centred_labels = labels.add_scalar(-labels.mean());
        let exact = (centred.tr_mul(&centred)).try_inverse().unwrap() * centred.tr_mul(&centred_labels);
        let by_pls = pls(&centred, &centred_labels, 5);
        assert!((by_pls.column(2) - &exact).amax() < 1e-10);
        assert_eq!(by_pls.column(4), by_pls.column(2), "there are three components");
        let (by_ridge, _) = ridge(&centred, &centred_labels, &[0.0]);
        assert!((by_ridge.column(0) - &exact).amax() < 1e-10);
        // One component: along the covariance, as far as least squares go.
        let along = centred.tr_mul(&centred_labels);
        let scores = &centred * &along;
        let one = &along * (scores.dot(&centred_labels) / scores.norm_squared());
        assert!((by_pls.column(0) - one).amax() < 1e-12);
    }

    #[test]
    fn more_features_than_samples_give_the_same_ridge() {
        let (features, labels) = example();
        let wide = features.rows(0, 3).transpose();
        let wide = DMatrix::from_fn(3, 3, |i, j| wide[(i, j)]).resize(3, 6, 0.3);
        let labels = labels.rows(0, 3).into_owned();
        let (_, centred) = centre(&wide);
        let centred_labels = labels.add_scalar(-labels.mean());
        let (weights, unit) = ridge(&centred, &centred_labels, &[0.1]);
        let penalty = DMatrix::identity(6, 6) * (0.1 * unit);
        let exact = (centred.tr_mul(&centred) + penalty).try_inverse().unwrap() * centred.tr_mul(&centred_labels);
        assert!((weights.column(0) - exact).amax() < 1e-10);
    }

    #[test]
    fn scaling_of_a_feature_changes_nothing_in_scaled_models() {
        let (features, labels) = example();
        let mut stretched = features.clone();
        stretched.column_mut(1).scale_mut(1000.0);
        let (a, b) = (Models::fit(&features, &labels, 2, true), Models::fit(&stretched, &labels, 2, true));
        assert!((a.values(&features) - b.values(&stretched)).amax() < 1e-9);
    }
}
