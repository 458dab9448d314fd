//! Affinities of pairs of spectra.

use super::neighbours::Neighbours;
use rayon::prelude::*;

/// Largest number of steps of the search for a bandwidth.
const STEPS: usize = 100;
/// Tolerance of the entropy at the end of the search, in nats.
const TOLERANCE: f64 = 1e-5;

/// A symmetric sparse matrix of probabilities, row by row. Their sum is 1.
pub(super) struct Affinities {
    /// Starts of the rows in `column` and `value`, `n + 1` of them.
    pub start: Vec<usize>,
    pub column: Vec<u32>,
    pub value: Vec<f32>,
}

/// Gaussian weights of one row's neighbours. Bisection finds the precision at which their entropy is that of `perplexity` equal neighbours.
fn conditional(squared: &[f32], perplexity: f64) -> Vec<f64> {
    let wanted = perplexity.ln();
    let nearest = f64::from(squared[0]);
    let (mut low, mut high, mut precision) = (f64::NEG_INFINITY, f64::INFINITY, 1.0_f64);
    let mut weights = vec![0.0; squared.len()];
    for _ in 0..STEPS {
        // Subtracting the nearest distance changes no probability, and keeps the sum above zero.
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (w, &d) in weights.iter_mut().zip(squared) {
            let d = f64::from(d) - nearest;
            *w = (-precision * d).exp();
            sum += *w;
            weighted += d * *w;
        }
        weights.iter_mut().for_each(|w| *w /= sum);
        let excess = sum.ln() + precision * weighted / sum - wanted;
        if excess.abs() <= TOLERANCE {
            break;
        }
        if excess > 0.0 {
            low = precision;
            precision = if high.is_infinite() { precision * 2.0 } else { (precision + high) / 2.0 };
        } else {
            high = precision;
            precision = if low.is_infinite() { precision / 2.0 } else { (precision + low) / 2.0 };
        }
    }
    weights
}

/// Joint probabilities `(p(j|i) + p(i|j)) / 2n` of van der Maaten and Hinton 2008.
pub(super) fn joint(near: &Neighbours, perplexity: f64) -> Affinities {
    let k = near.k;
    let n = near.index.len() / k;
    let given: Vec<Vec<f64>> = near.squared.par_chunks(k).map(|row| conditional(row, perplexity)).collect();
    let mut rows: Vec<Vec<(u32, f64)>> = vec![Vec::with_capacity(2 * k); n];
    for (i, weights) in given.iter().enumerate() {
        for (&j, &w) in near.index[i * k..(i + 1) * k].iter().zip(weights) {
            rows[i].push((j, w));
            rows[j as usize].push((i as u32, w));
        }
    }
    let total: f64 = given.iter().flatten().sum::<f64>() * 2.0;
    let mut joint = Affinities { start: vec![0], column: Vec::new(), value: Vec::new() };
    for mut row in rows {
        row.sort_by_key(|&(j, _)| j);
        for same in row.chunk_by(|a, b| a.0 == b.0) {
            joint.column.push(same[0].0);
            joint.value.push((same.iter().map(|(_, w)| w).sum::<f64>() / total) as f32);
        }
        joint.start.push(joint.column.len());
    }
    joint
}
