//! Classification of whole containers by the codes of their pixels, each left out once.

use crate::codes::{Codes, CodesError};
use crate::table::Place;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use ndarray::Array2;

/// Quantiles among the features of a container.
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];
/// Numbers that a container has for each number of a code: mean, standard deviation and quantiles.
pub const FEATURES: usize = 2 + QUANTILES.len();
/// Share of the pooled covariance that is replaced by as much in all directions.
const SHRINKAGE: f64 = 0.1;

/// Mean, standard deviation and quantiles of the codes of each sample, `(samples, FEATURES * latent)`.
///
/// The means of all numbers come first. The unit is the scatter within a sample: codes are multiplied with `W^(-1/2)`. W is the pooled
/// covariance within the samples that `learned` accepts. A sample without spectra has zeros.
///
/// # Errors
///
/// [`CodesError`] for codes that cannot be read.
pub fn features(codes: &Codes, places: &[Place], samples: usize, learned: impl Fn(usize) -> bool) -> Result<Array2<f32>, CodesError> {
    let latent = codes.dim().1;
    let mut of: Vec<Vec<f32>> = vec![Vec::new(); samples];
    for batch in codes.batches() {
        let (first, values) = batch?;
        values.rows().into_iter().zip(&places[first..]).for_each(|(row, place)| of[place.sample as usize].extend(row));
    }
    let (mut scatter, mut count) = (DMatrix::<f64>::zeros(latent, latent), 0.0_f64);
    for (_, values) in of.iter().enumerate().filter(|(sample, values)| learned(*sample) && !values.is_empty()) {
        let rows = values.len() / latent;
        let mean = mean_of(values, latent);
        let deviations = DMatrix::from_fn(latent, rows, |i, row| f64::from(values[row * latent + i]) - mean[i]);
        scatter += &deviations * deviations.transpose();
        count += rows as f64 - 1.0;
    }
    let eigen = SymmetricEigen::new(scatter / count.max(1.0));
    // Codes that are equal within every sample have no scatter.
    let least = (eigen.eigenvalues.max() * 1e-9).max(1e-30);
    let roots = DMatrix::from_diagonal(&eigen.eigenvalues.map(|value| value.max(least).sqrt().recip()));
    let whitening = &eigen.eigenvectors * roots * eigen.eigenvectors.transpose();
    let mut found = Array2::zeros((samples, FEATURES * latent));
    for (values, mut row) in of.into_iter().zip(found.rows_mut()) {
        if values.is_empty() {
            continue;
        }
        let count = values.len() / latent;
        let codes = DMatrix::from_fn(latent, count, |i, row| f64::from(values[row * latent + i]));
        let codes = &whitening * codes;
        for i in 0..latent {
            let mut of_one: Vec<f64> = codes.row(i).iter().copied().collect();
            of_one.sort_by(f64::total_cmp);
            let mean = of_one.iter().sum::<f64>() / count as f64;
            let variance = of_one.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count as f64 - 1.0).max(1.0);
            let quantiles = QUANTILES.map(|share| of_one[(share * (count - 1) as f64).round() as usize]);
            for (k, value) in [mean, variance.sqrt()].into_iter().chain(quantiles).enumerate() {
                row[k * latent + i] = value as f32;
            }
        }
    }
    Ok(found)
}

fn mean_of(values: &[f32], latent: usize) -> Vec<f64> {
    let mut mean = vec![0.0; latent];
    values.chunks_exact(latent).for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v)));
    let rows = (values.len() / latent) as f64;
    mean.iter_mut().for_each(|sum| *sum /= rows);
    mean
}

/// Linear discriminants (Fisher 1936) with equal shares of the classes and a shrunk covariance (Friedman 1989).
pub(super) fn discriminate(values: &DMatrix<f64>, class: &[u16], classes: usize, left_out: usize) -> Option<u16> {
    let features = values.nrows();
    let mut means = vec![DVector::<f64>::zeros(features); classes];
    let mut counts = vec![0.0_f64; classes];
    for (i, class) in class.iter().enumerate().filter(|(i, _)| *i != left_out) {
        means[usize::from(*class)] += values.column(i);
        counts[usize::from(*class)] += 1.0;
    }
    means.iter_mut().zip(&counts).for_each(|(mean, count)| *mean /= count.max(1.0));
    let others: Vec<usize> = (0..class.len()).filter(|i| *i != left_out).collect();
    let deviations = DMatrix::from_columns(&others.iter().map(|i| values.column(*i) - &means[usize::from(class[*i])]).collect::<Vec<_>>());
    let known = counts.iter().filter(|count| **count > 0.0).count();
    let pooled = &deviations * deviations.transpose() / (others.len() as f64 - known as f64).max(1.0);
    let level = (pooled.trace() / features as f64).max(f64::MIN_POSITIVE);
    let shrunk = pooled * (1.0 - SHRINKAGE) + DMatrix::identity(features, features) * (SHRINKAGE * level);
    let solved = shrunk.cholesky()?;
    let one = values.column(left_out);
    let distance = |class: usize| {
        let away = one - &means[class];
        away.dot(&solved.solve(&away))
    };
    let there = (0..classes).filter(|class| counts[*class] > 0.0).map(|class| (class, distance(class)));
    there.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class as u16)
}

/// Takes from every column of `values` the mean of its class in each of `others`, one after the other. The means leave `left_out` out.
pub(super) fn without(values: &DMatrix<f64>, others: &[(&[u16], usize)], left_out: usize) -> DMatrix<f64> {
    let mut rest = values.clone();
    for (class, classes) in others {
        let mut means = vec![DVector::<f64>::zeros(values.nrows()); *classes];
        let mut counts = vec![0.0_f64; *classes];
        for (i, class) in class.iter().enumerate().filter(|(i, _)| *i != left_out) {
            means[usize::from(*class)] += rest.column(i);
            counts[usize::from(*class)] += 1.0;
        }
        means.iter_mut().zip(&counts).for_each(|(mean, count)| *mean /= count.max(1.0));
        for (mut column, class) in rest.column_iter_mut().zip(*class) {
            column -= &means[usize::from(*class)];
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn features_are_in_units_of_the_scatter_within() {
        // Two samples at 3 and 9, whose codes spread evenly over ±√3 · 2, so that their standard deviation is 2.
        let at = |row: usize| ((row % 1000) as f32 / 999.0 - 0.5) * 4.0 * 3.0_f32.sqrt() + [3.0, 9.0][row / 1000];
        let codes = Codes::from(Array2::from_shape_fn((2000, 1), |(row, _)| at(row)));
        let places: Vec<Place> = (0..2000).map(|row| Place { sample: row / 1000, line: 0, pixel: row as i32 }).collect();
        let found = features(&codes, &places, 3, |_| true).unwrap();
        let quantile = 0.8 * 3.0_f32.sqrt();
        let expected = [1.5, 1.0, 1.5 - quantile, 1.5, 1.5 + quantile, 4.5, 1.0, 4.5 - quantile, 4.5, 4.5 + quantile];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01), "{found}");
        assert!(found.row(2).iter().all(|value| *value == 0.0));
    }

    #[test]
    fn a_small_factor_shows_once_the_large_one_is_known() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        // 72 containers of 2 x 3 x 12 classes. The month moves the mean by a twentieth of what the plant does.
        let [size, plant, month] =
            [|i| i % 2, |i| i / 2 % 3, |i: u16| i / 6].map(|of: fn(u16) -> u16| (0..72).map(of).collect::<Vec<u16>>());
        let of_month: Vec<[f64; 4]> = (0..12).map(|_| std::array::from_fn(|_| random.random::<f64>() - 0.5)).collect();
        let values = DMatrix::from_fn(4, 72, |row, i| {
            let large = 10.0 * f64::from(plant[i]) * [1.0, -0.5, 0.7, 0.2][row] + 7.0 * f64::from(size[i]) * [0.1, 1.0, -0.4, 0.6][row];
            large + of_month[usize::from(month[i])][row] + 0.05 * (random.random::<f64>() - 0.5)
        });
        let share = |values: &dyn Fn(usize) -> DMatrix<f64>, class: &[u16], classes: usize| {
            (0..72).filter(|i| discriminate(&values(*i), class, classes, *i) == Some(class[*i])).count() as f64 / 72.0
        };
        assert_eq!(share(&|_| values.clone(), &plant, 3), 1.0);
        let alone = share(&|_| values.clone(), &month, 12);
        let known = share(&|i| without(&values, &[(&size, 2), (&plant, 3)], i), &month, 12);
        assert!(alone < 0.5 && known > 0.9, "{alone} {known}");
    }
}
