//! How far a spectrum is from those that a model was trained on.
//!
//! Two distances tell it, each in units of the limit that 99.9 % of the training spectra stay within. One is that of the embedding from the
//! mean of the training embeddings (Mahalanobis 1936). The other is the residual of the model's reconstruction. The larger one counts.

use super::metadata::{CODES_COVARIANCE, CODES_LIMIT, CODES_MEAN};

/// Largest difference of two values that are equal in a symmetric matrix, relative to the variances.
const ASYMMETRY: f64 = 1e-6;
/// Least part of a variance that the dimensions before it leave. Less is rounding.
const LEAST_VARIANCE: f64 = 1e-12;

/// Mean and covariance of the training embeddings, and their limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    mean: Vec<f64>,
    /// Cholesky factor of the covariance, its lower triangle row by row.
    factor: Vec<f64>,
    /// Distance that 99.9 % of the training embeddings stay within, standard deviations.
    limit: f64,
}

impl Codes {
    /// Mean `[dimension]`, covariance `[dimension][dimension]`, and the limit of the distance.
    ///
    /// # Errors
    /// The key of the entry that is wrong, and its fault. Sizes differ, the covariance is not symmetric or not positive definite, or the
    /// limit is not above 0.
    pub(super) fn new(mean: Vec<f64>, covariance: &[f64], limit: &[f64]) -> Result<Self, (&'static str, String)> {
        let d = mean.len();
        if d == 0 {
            return Err((CODES_MEAN, "expected one number per dimension of an embedding, found none".to_owned()));
        }
        let wrong = |problem: String| (CODES_COVARIANCE, problem);
        if covariance.len() != d * d {
            return Err(wrong(format!("expected {d} x {d} numbers, as {CODES_MEAN} has {d}, found {}", covariance.len())));
        }
        let at = |row: usize, column: usize| covariance[row * d + column];
        if let Some(row) = (0..d).find(|row| at(*row, *row).is_nan() || at(*row, *row) <= 0.0) {
            return Err(wrong(format!("variances are above 0, found {} for number {row} of an embedding", at(row, row))));
        }
        let mut factor: Vec<f64> = Vec::with_capacity(d * (d + 1) / 2);
        for row in 0..d {
            let first = row * (row + 1) / 2;
            for column in 0..=row {
                let (one, other) = (at(row, column), at(column, row));
                if (one - other).abs() > ASYMMETRY * (at(row, row) * at(column, column)).sqrt() {
                    return Err(wrong(format!("must be symmetric, found {one} in row {row} and {other} in row {column}")));
                }
                let before = column * (column + 1) / 2;
                let known: f64 = (0..column).map(|k| factor[first + k] * factor[before + k]).sum();
                let rest = one - known;
                if column < row {
                    factor.push(rest / factor[before + column]);
                } else if rest > LEAST_VARIANCE * one {
                    factor.push(rest.sqrt());
                } else {
                    let problem = "must be positive definite, but number";
                    return Err(wrong(format!("{problem} {row} of an embedding follows from those before it; leave it out")));
                }
            }
        }
        Ok(Self { mean, factor, limit: above_zero(limit).map_err(|problem| (CODES_LIMIT, problem))? })
    }

    /// Number of dimensions of an embedding.
    pub(super) fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Distance of an embedding in units of the limit. `solved` has room for an embedding.
    fn distance(&self, embedding: &[f32], solved: &mut [f64]) -> f64 {
        let (mut rest, mut sum) = (&self.factor[..], 0.0);
        for (i, (value, mean)) in embedding.iter().zip(&self.mean).enumerate() {
            let (row, behind) = rest.split_at(i + 1);
            rest = behind;
            let known: f64 = row.iter().zip(&solved[..i]).map(|(factor, before)| factor * before).sum();
            solved[i] = (f64::from(*value) - mean - known) / row[i];
            sum += solved[i] * solved[i];
        }
        sum.sqrt() / self.limit
    }
}

/// The one number of an entry, which is above 0.
pub(super) fn above_zero(numbers: &[f64]) -> Result<f64, String> {
    match numbers {
        [limit] if *limit > 0.0 => Ok(*limit),
        [limit] => Err(format!("a limit is above 0, found {limit}")),
        _ => Err(format!("expected one number, found {}", numbers.len())),
    }
}

/// The judgement of a model's spectra.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Novelty {
    codes: Option<Codes>,
    /// Residual that 99.9 % of the training spectra stay within.
    residual_limit: Option<f64>,
    /// Room for an embedding.
    solved: Vec<f64>,
}

impl Novelty {
    /// The judgement by what a model carries. `None` where it carries nothing.
    pub fn of(codes: Option<Codes>, residual_limit: Option<f64>) -> Option<Self> {
        let solved = vec![0.0; codes.as_ref().map_or(0, Codes::dimensions)];
        (codes.is_some() || residual_limit.is_some()).then_some(Self { codes, residual_limit, solved })
    }

    /// Mean, covariance and limit of the training embeddings, where the model carries them.
    pub fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    /// Adds the novelty of embeddings `[row][dimension]` with the residuals `[row]` to `out`. Beyond 1, a spectrum is unlike the training.
    #[expect(clippy::cast_possible_truncation, reason = "novelty is written as float32")]
    pub fn judge(&mut self, embeddings: &[f32], dimensions: usize, residuals: &[f32], out: &mut Vec<f32>) {
        let Self { codes, residual_limit, solved } = self;
        out.extend(embeddings.chunks_exact(dimensions).enumerate().map(|(row, embedding)| {
            let distance = codes.as_ref().map_or(0.0, |codes| codes.distance(embedding, solved));
            let residual = residual_limit.zip(residuals.get(row)).map_or(0.0, |(limit, found)| f64::from(*found) / limit);
            distance.max(residual).min(f64::from(f32::MAX)) as f32
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(mean: &[f64], covariance: &[f64], limit: &[f64]) -> Result<Codes, (&'static str, String)> {
        Codes::new(mean.to_vec(), covariance, limit)
    }

    #[test]
    fn faults_name_the_entry() {
        let good = [4.0, 1.0, 1.0, 9.0];
        assert!(codes(&[0.0, 0.0], &good, &[3.0]).is_ok());
        for (mean, covariance, limit, key, said) in [
            (&[0.0, 0.0][..], &good[..3], &[3.0][..], CODES_COVARIANCE, "expected 2 x 2 numbers"),
            (&[], &[], &[3.0], CODES_MEAN, "found none"),
            (&[0.0, 0.0], &[4.0, 1.0, 2.0, 9.0], &[3.0], CODES_COVARIANCE, "symmetric"),
            (&[0.0, 0.0], &[4.0, 6.0, 6.0, 9.0], &[3.0], CODES_COVARIANCE, "positive definite"),
            (&[0.0, 0.0], &[4.0, 7.0, 7.0, 9.0], &[3.0], CODES_COVARIANCE, "positive definite"),
            (&[0.0, 0.0], &[4.0, 0.0, 0.0, -9.0], &[3.0], CODES_COVARIANCE, "above 0, found -9"),
            (&[0.0], &[0.0], &[3.0], CODES_COVARIANCE, "above 0, found 0"),
            (&[0.0, 0.0], &good, &[0.0], CODES_LIMIT, "above 0"),
            (&[0.0, 0.0], &good, &[1.0, 2.0], CODES_LIMIT, "expected one number, found 2"),
        ] {
            let (found, problem) = codes(mean, covariance, limit).unwrap_err();
            assert!(found == key && problem.contains(said), "{found}: {problem}");
        }
    }

    #[test]
    fn the_larger_of_distance_and_residual_counts() {
        // By hand: the inverse of the covariance is [[9, -1], [-1, 4]] / 35.
        let (x, y) = (2.0_f64, -3.0_f64);
        let distance = ((9.0 * x * x - 2.0 * x * y + 4.0 * y * y) / 35.0).sqrt();
        let known = codes(&[1.0, 5.0], &[4.0, 1.0, 1.0, 9.0], &[0.5]).unwrap();
        let judged = |codes: Option<&Codes>, limit: Option<f64>, residuals: &[f32]| {
            let mut out = Vec::new();
            Novelty::of(codes.cloned(), limit).unwrap().judge(&[3.0, 2.0, 1.0, 5.0], 2, residuals, &mut out);
            out
        };
        let near = |found: Vec<f32>, expected: [f64; 2]| {
            assert!(
                found.len() == 2 && found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6),
                "{found:?} {expected:?}"
            );
        };
        near(judged(Some(&known), None, &[]), [distance / 0.5, 0.0]);
        near(judged(None, Some(0.25), &[1.0, 0.1]), [4.0, 0.4]);
        near(judged(Some(&known), Some(0.01), &[0.001, 0.5]), [distance / 0.5, 50.0]);
        assert_eq!(Novelty::of(None, None), None);
        let far = codes(&[0.0], &[1e-300], &[1e-30]).unwrap();
        let mut out = Vec::new();
        Novelty::of(Some(far), None).unwrap().judge(&[f32::MAX], 1, &[], &mut out);
        assert_eq!(out, [f32::MAX], "no infinity reaches a file");
    }
}
