//! Principal components.

use crate::data::{DataError, Spectra};
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Spectra that are read together.
const BATCH: usize = 2048;

/// Gives some rows `[row][band]` by their numbers.
pub(crate) type RowsOf<'a> = dyn Fn(&[u32]) -> Result<Vec<f32>, DataError> + Sync + 'a;

/// Why there are no principal components.
#[derive(Debug, thiserror::Error)]
pub enum PcaError {
    /// The spectra cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The spectra have fewer components.
    #[error("{wanted} components of {spectra} spectra with {bands} bands: there are at most {most}; ask for fewer")]
    TooMany {
        /// Number of wanted components.
        wanted: usize,
        /// Number of spectra.
        spectra: usize,
        /// Bands of a spectrum.
        bands: usize,
        /// Largest number of components.
        most: usize,
    },
}

/// Principal components of unscaled spectra.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// Wavelengths of the bands, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Mean spectrum, reflectance.
    pub mean: Vec<f64>,
    /// Orthonormal components `[component][band]`, by falling variance. The largest value of each is positive.
    pub components: Vec<Vec<f64>>,
    /// Variance along each component, over n - 1.
    pub variances: Vec<f64>,
    /// Variance of all bands together, over n - 1.
    pub total_variance: f64,
}

impl Pca {
    /// Computes the first components. Memory does not grow with the number of spectra.
    ///
    /// # Errors
    ///
    /// [`PcaError::TooMany`] for no component or too many. [`PcaError::Data`] for spectra that cannot be read.
    pub fn fit(spectra: &Spectra, components: usize) -> Result<Self, PcaError> {
        Self::of(spectra.wavelengths_nm(), spectra.len(), components, &|rows| spectra.rows(rows))
    }

    /// Computes the first components of `n` rows, which `rows` gives some at a time, one behind the other.
    pub(crate) fn of(wavelengths_nm: &[f64], n: usize, components: usize, spectra: &RowsOf<'_>) -> Result<Self, PcaError> {
        let bands = wavelengths_nm.len();
        let most = bands.min(n.saturating_sub(1));
        if components == 0 || components > most {
            return Err(PcaError::TooMany { wanted: components, spectra: n, bands, most });
        }
        let rows: Vec<u32> = (0..n as u32).collect();
        let mut mean = vec![0.0_f64; bands];
        for some in rows.chunks(BATCH) {
            for spectrum in spectra(some)?.chunks_exact(bands) {
                mean.iter_mut().zip(spectrum).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= n as f64);
        // Deviations from the mean avoid cancellation. Batches are added in their order, so that threads change nothing.
        let mut scatter = DMatrix::<f64>::zeros(bands, bands);
        for group in rows.chunks(BATCH * 8) {
            let parts: Vec<Result<DMatrix<f64>, DataError>> = group.par_chunks(BATCH).map(|some| part(spectra, some, &mean)).collect();
            for part in parts {
                scatter += part?;
            }
        }
        scatter /= (n - 1) as f64;
        let total_variance = scatter.trace();
        let eigen = SymmetricEigen::new(scatter);
        let mut order: Vec<usize> = (0..bands).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let component = |i: &usize| -> Vec<f64> {
            let column = eigen.eigenvectors.column(*i);
            let sign = column[column.iamax()].signum();
            column.iter().map(|value| sign * value).collect()
        };
        Ok(Self {
            wavelengths_nm: wavelengths_nm.to_vec(),
            mean,
            components: order.iter().take(components).map(component).collect(),
            variances: order.iter().take(components).map(|i| eigen.eigenvalues[*i].max(0.0)).collect(),
            total_variance,
        })
    }

    /// A copy with the first components only.
    pub fn first(&self, components: usize) -> Self {
        let mut fewer = self.clone();
        fewer.components.truncate(components);
        fewer.variances.truncate(components);
        fewer
    }

    /// Coordinates of some spectra along the components, `(rows, components)`.
    ///
    /// # Errors
    ///
    /// [`PcaError::Data`] for other wavelengths, and for spectra that cannot be read.
    pub fn encode(&self, spectra: &Spectra, rows: &[u32]) -> Result<Array2<f32>, PcaError> {
        Ok(spectra.encode(&self.wavelengths_nm, rows, self.components.len(), |spectra| self.encode_spectra(&spectra))?)
    }

    /// Coordinates `[row][component]` of spectra `[row][band]`.
    pub fn encode_spectra(&self, spectra: &[f32]) -> Vec<f32> {
        let along = |spectrum: &[f32], component: &[f64]| -> f32 {
            let terms = spectrum.iter().zip(&self.mean).zip(component);
            terms.map(|((value, mean), weight)| (f64::from(*value) - mean) * weight).sum::<f64>() as f32
        };
        spectra.chunks_exact(self.mean.len()).flat_map(|s| self.components.iter().map(move |c| along(s, c))).collect()
    }

    /// Root mean square of spectra `[row][band]` less their reconstruction, reflectance, `[row]`.
    pub fn residuals(&self, spectra: &[f32]) -> Vec<f32> {
        let (bands, kept) = (self.mean.len(), self.decode(&self.encode_spectra(spectra)));
        let residual = |(spectrum, kept): (&[f32], &[f32])| {
            let squares: f64 = spectrum.iter().zip(kept).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (squares / bands as f64).sqrt() as f32
        };
        spectra.chunks_exact(bands).zip(kept.chunks_exact(bands)).map(residual).collect()
    }

    /// Spectra `[row][band]` of coordinates `[row][component]`.
    pub fn decode(&self, codes: &[f32]) -> Vec<f32> {
        let band = |codes: &[f32], i: usize| -> f32 {
            let sum: f64 = codes.iter().zip(&self.components).map(|(code, component)| f64::from(*code) * component[i]).sum();
            (self.mean[i] + sum) as f32
        };
        codes.chunks_exact(self.components.len()).flat_map(|codes| (0..self.mean.len()).map(move |i| band(codes, i))).collect()
    }
}

/// Scatter matrix of some spectra about the mean.
fn part(spectra: &RowsOf<'_>, rows: &[u32], mean: &[f64]) -> Result<DMatrix<f64>, DataError> {
    let bands = mean.len();
    let values = spectra(rows)?;
    let deviations = DMatrix::from_fn(bands, rows.len(), |band, row| f64::from(values[row * bands + band]) - mean[band]);
    Ok(&deviations * deviations.transpose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipse_gives_its_axes() {
        // The points lie evenly on an ellipse about (5, 1) with half-axes 2 and 1, rotated by 30 degrees. Their variances are 2 and 0.5,
        // over n.
        let n = 360;
        let (sin, cos) = 30.0_f64.to_radians().sin_cos();
        let point = |i: usize| {
            let (b, a) = (i as f64).to_radians().sin_cos();
            [(5.0 + 2.0 * a * cos - b * sin) as f32, (1.0 + 2.0 * a * sin + b * cos) as f32]
        };
        let spectra = Spectra::new(vec![400.0, 500.0], (0..n).flat_map(point).collect());
        let pca = Pca::fit(&spectra, 2).unwrap();
        let with_n = (n - 1) as f64 / n as f64;
        assert!((pca.variances[0] * with_n - 2.0).abs() < 1e-5 && (pca.variances[1] * with_n - 0.5).abs() < 1e-5, "{:?}", pca.variances);
        assert!((pca.components[0][0] - cos).abs() < 1e-5 && (pca.components[0][1] - sin).abs() < 1e-5, "{:?}", pca.components);
        let values = spectra.rows(&[7]).unwrap();
        let back = pca.decode(&pca.encode_spectra(&values));
        assert!(back.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-5));
        assert!(matches!(Pca::fit(&spectra, 3), Err(PcaError::TooMany { most: 2, .. })));
    }
}
