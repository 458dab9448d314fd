//! The linear answer to what two pixels of one container have in common.

use super::absorption::log_absorption;
use super::error::PairsError;
use super::moments::{Moments, Scatter};
use crate::data::Spectra;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Directions of ln K/S with the largest variance in total over the variance within pairs.
///
/// They solve `T v = λ (W + r I) v` (Fukunaga 1990, Introduction to Statistical Pattern Recognition, chapter 10). T is the total covariance,
/// and W that within pairs. r is a share of the mean variance of a band within pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Wavelengths of the bands, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Mean ln K/S of each band.
    pub mean: Vec<f64>,
    /// Directions `[code][band]`, by falling ratio. The variance of each within pairs is 1, with the ridge. Its largest value is positive.
    pub directions: Vec<Vec<f64>>,
    /// Total variance over that within pairs, for each direction.
    pub ratios: Vec<f64>,
    /// The ridge, as a share of the mean variance of a band within pairs.
    pub ridge: f64,
    /// Number of spectra that were learned from.
    pub spectra: usize,
}

impl Pairs {
    /// Finds the first `latent` directions of the groups that `takes` accepts.
    ///
    /// # Errors
    ///
    /// [`PairsError::TooMany`] for more directions than bands. [`PairsError::TooFew`] for fewer than two containers. [`PairsError::NoPairs`]
    /// and [`PairsError::NoScatter`] for spectra without pairs, or whose pairs are all equal.
    pub fn fit(moments: &Moments, takes: impl Fn(usize) -> bool, latent: usize, ridge: f64) -> Result<Self, PairsError> {
        Self::of(&moments.scatter(takes)?, moments.wavelengths_nm(), latent, ridge)
    }

    pub(super) fn of(scatter: &Scatter, wavelengths_nm: &[f64], latent: usize, ridge: f64) -> Result<Self, PairsError> {
        let bands = wavelengths_nm.len();
        if latent == 0 || latent > bands {
            return Err(PairsError::TooMany { wanted: latent, bands });
        }
        let mean_variance = scatter.within.trace() / bands as f64;
        // Equal pairs leave what rounding leaves of the total variance.
        let rounding = 1e-12 * scatter.total.trace() / bands as f64;
        if !(mean_variance > rounding && mean_variance.is_finite()) {
            return Err(PairsError::NoScatter);
        }
        let within = &scatter.within + DMatrix::identity(bands, bands) * (ridge * mean_variance);
        let eigen = SymmetricEigen::new(within);
        // Rounding may leave directions of no variance slightly negative.
        let least = mean_variance * ridge.max(1e-12);
        let whitening = DMatrix::from_columns(
            &eigen.eigenvectors.column_iter().zip(eigen.eigenvalues.iter()).map(|(v, l)| v / l.max(least).sqrt()).collect::<Vec<_>>(),
        );
        let whitened = SymmetricEigen::new(whitening.transpose() * &scatter.total * &whitening);
        let mut order: Vec<usize> = (0..bands).collect();
        order.sort_by(|a, b| whitened.eigenvalues[*b].total_cmp(&whitened.eigenvalues[*a]));
        let direction = |i: &usize| -> Vec<f64> {
            let column: DVector<f64> = &whitening * whitened.eigenvectors.column(*i);
            let sign = column[column.iamax()].signum();
            column.iter().map(|value| sign * value).collect()
        };
        Ok(Self {
            wavelengths_nm: wavelengths_nm.to_vec(),
            mean: scatter.mean.iter().copied().collect(),
            directions: order.iter().take(latent).map(direction).collect(),
            ratios: order.iter().take(latent).map(|i| whitened.eigenvalues[*i]).collect(),
            ridge,
            spectra: scatter.spectra,
        })
    }

    /// A copy with the first directions only.
    pub fn first(&self, latent: usize) -> Self {
        let mut fewer = self.clone();
        fewer.directions.truncate(latent);
        fewer.ratios.truncate(latent);
        fewer
    }

    /// Codes of some spectra, `(rows, latent)`.
    ///
    /// # Errors
    ///
    /// [`PairsError::Data`] for other wavelengths, and for spectra that cannot be read.
    pub fn encode(&self, spectra: &Spectra, rows: &[u32]) -> Result<Array2<f32>, PairsError> {
        Ok(spectra.encode(&self.wavelengths_nm, rows, self.directions.len(), |spectra| self.encode_spectra(spectra))?)
    }

    /// Codes `[row][latent]` of spectra `[row][band]`, reflectance.
    pub fn encode_spectra(&self, mut spectra: Vec<f32>) -> Vec<f32> {
        log_absorption(&mut spectra);
        let bands = self.mean.len();
        let along = |spectrum: &[f32], direction: &[f64]| -> f32 {
            let terms = spectrum.iter().zip(&self.mean).zip(direction);
            terms.map(|((value, mean), weight)| (f64::from(*value) - mean) * weight).sum::<f64>() as f32
        };
        spectra.chunks_exact(bands).flat_map(|s| self.directions.iter().map(move |d| along(s, d))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::absorption::tests::reflectance;
    use crate::pairs::partners::Partner;
    use crate::table::Place;

    /// Two containers at `±between`, whose pixels lie at the ends of the axes of an ellipse with half-axes `axes`, `turns` times.
    fn two(between: [f64; 2], axes: [f64; 2], turns: usize) -> (Spectra, Vec<Place>) {
        let mut values = Vec::new();
        let mut places = Vec::new();
        for (sample, sign) in [(0, 1.0), (1, -1.0)] {
            for i in 0..4 * turns {
                let along = [[axes[0], 0.0], [-axes[0], 0.0], [0.0, axes[1]], [0.0, -axes[1]]][i % 4];
                values.extend((0..2).map(|band| reflectance(sign * between[band] + along[band] - 0.3)));
                places.push(Place { sample, line: (i / 20) as i32, pixel: (i % 20) as i32 });
            }
        }
        (Spectra::new(vec![500.0, 600.0], values), places)
    }

    #[test]
    fn two_ellipses_give_the_direction_of_fisher() {
        // The covariance within is diag(a²/2, c²/2), times n / (n - 1). The direction is then W⁻¹ b, and the ratio 1 + bᵀ W⁻¹ b.
        let (between, axes) = ([0.2, 0.3], [0.4, 1.2]);
        let (spectra, places) = two(between, axes, 250);
        let moments = Moments::of(&spectra, &places, (&[0, 0], 1), Partner::Container, 0).unwrap();
        let found = Pairs::fit(&moments, |_| true, 2, 0.0).unwrap();
        let within = [axes[0] * axes[0] / 2.0, axes[1] * axes[1] / 2.0];
        let fisher = [between[0] / within[0], between[1] / within[1]];
        let ratio = 1.0 + between[0] * fisher[0] + between[1] * fisher[1];
        let (d, slope) = (&found.directions[0], fisher[1] / fisher[0]);
        assert!((d[1] / d[0] - slope).abs() < 1e-3 * slope, "{d:?} {fisher:?}");
        assert!((found.ratios[0] - ratio).abs() < 5e-3 * ratio && (found.ratios[1] - 1.0).abs() < 5e-3, "{:?} {ratio}", found.ratios);
        let variance = d[0] * d[0] * within[0] + d[1] * d[1] * within[1];
        assert!((variance - 1.0).abs() < 5e-3, "{variance}");
        // Principal components would take the long axis of the ellipses instead.
        assert!(d[0].abs() > d[1].abs());
        // Codes of the two containers lie on either side of 0.
        let codes = found.encode(&spectra, &(0..2000).collect::<Vec<_>>()).unwrap();
        let mean = |rows: std::ops::Range<usize>| rows.map(|row| f64::from(codes[[row, 0]])).sum::<f64>() / 1000.0;
        let expected = between[0] * d[0] + between[1] * d[1];
        assert!((mean(0..1000) - expected).abs() < 1e-3 && (mean(1000..2000) + expected).abs() < 1e-3);
    }

    #[test]
    fn pairs_by_distance_need_no_containers() {
        // Pixels at random have partners at random, whose scatter is that within the container.
        let (spectra, mut places) = two([0.2, 0.3], [0.4, 1.2], 250);
        // A step of 7 through the places breaks up the order of the pixels.
        (0..1000).for_each(|i| {
            let at = i * 7 % 1000;
            let (line, pixel) = ((at / 25) as i32, (at % 25) as i32);
            (places[i].line, places[i].pixel, places[1000 + i].line, places[1000 + i].pixel) = (line, pixel, line, pixel);
        });
        let fit = |partner| {
            let moments = Moments::of(&spectra, &places, (&[0, 0], 1), partner, 3).unwrap();
            Pairs::fit(&moments, |_| true, 1, 0.0).unwrap()
        };
        let (by_container, by_distance) = (fit(Partner::Container), fit(Partner::Distance));
        let ratio = by_distance.ratios[0] / by_container.ratios[0];
        assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
        assert_eq!(by_distance, fit(Partner::Distance), "the same seed draws the same pairs");
        let apart: Vec<Place> = places.iter().map(|place| Place { line: place.line * 100, pixel: place.pixel * 100, ..*place }).collect();
        let moments = Moments::of(&spectra, &apart, (&[0, 0], 1), Partner::Distance, 3).unwrap();
        assert!(matches!(Pairs::fit(&moments, |_| true, 1, 0.0), Err(PairsError::NoPairs)));
    }

    #[test]
    fn a_ridge_takes_what_has_no_scatter() {
        // The second band is constant within and differs between, which without a ridge would have no end of a ratio.
        let (spectra, places) = two([0.2, 0.3], [0.4, 0.0], 50);
        let moments = Moments::of(&spectra, &places, (&[0, 0], 1), Partner::Container, 0).unwrap();
        let found = Pairs::fit(&moments, |_| true, 2, 1e-3).unwrap();
        assert!(found.ratios.iter().chain(found.directions.iter().flatten()).all(|value| value.is_finite()), "{found:?}");
        assert!(found.directions[0][1].abs() > 10.0 * found.directions[0][0].abs());
        assert!(matches!(Pairs::fit(&moments, |_| true, 3, 1e-3), Err(PairsError::TooMany { wanted: 3, bands: 2 })));
        assert!(matches!(Pairs::fit(&moments, |_| false, 1, 1e-3), Err(PairsError::TooFew { containers: 0, .. })));
        let (flat, places) = two([0.2, 0.3], [0.0, 0.0], 50);
        let moments = Moments::of(&flat, &places, (&[0, 0], 1), Partner::Container, 0).unwrap();
        assert!(Pairs::fit(&moments, |_| true, 1, 1e-3).is_err_and(|e| e.to_string().contains("all equal")));
    }

    #[test]
    fn groups_that_are_left_out_change_what_is_learned() {
        let (spectra, mut places) = two([0.2, 0.3], [0.4, 1.2], 250);
        // Four containers, two in each group.
        places.iter_mut().enumerate().for_each(|(row, place)| place.sample = 2 * place.sample + u32::from(row % 1000 >= 500));
        let groups = [0, 1, 0, 1];
        let moments = Moments::of(&spectra, &places, (&groups, 2), Partner::Container, 0).unwrap();
        let (all, one) = (Pairs::fit(&moments, |_| true, 2, 0.0).unwrap(), Pairs::fit(&moments, |group| group == 1, 2, 0.0).unwrap());
        assert_eq!((all.spectra, one.spectra), (2000, 1000));
        // The same by the rows of that group alone.
        let rows: Vec<u32> = (0..2000).filter(|row| groups[places[*row as usize].sample as usize] == 1).collect();
        let alone = Spectra::new(vec![500.0, 600.0], spectra.rows(&rows).unwrap());
        let of: Vec<Place> = rows.iter().map(|row| places[*row as usize]).collect();
        let moments = Moments::of(&alone, &of, (&groups, 2), Partner::Container, 0).unwrap();
        let same = Pairs::fit(&moments, |_| true, 2, 0.0).unwrap();
        for (a, b) in one.directions.iter().flatten().zip(same.directions.iter().flatten()) {
            assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} {b}");
        }
    }
}
