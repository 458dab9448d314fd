//! The descent to the map, with exact forces.

use super::affinity::Affinities;
use super::config::TsneConfig;
use ndarray::Array2;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Points that the inner loop takes together.
const LANES: usize = 16;
/// Points of one task. The sums do not depend on it.
const ROWS: usize = 64;
/// Coordinate that fills the last vector lanes. It is so far away that its force is zero.
const FAR: f32 = 1e18;
/// Shortest extent of an axis. A shorter axis is magnified.
const SHORT: f32 = 1e-5;

/// A map of spectra in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Points `(spectra, 2)`. The axes have no unit.
    pub points: Array2<f32>,
    /// Kullback-Leibler divergence of the map's affinities from those of the spectra, in nats.
    pub kl_divergence: f64,
}

/// The forces on a point. `weight` is its share of the sum that divides the repulsion.
#[derive(Clone, Copy, Default)]
struct Force {
    attraction: [f32; 2],
    repulsion: [f32; 2],
    weight: f64,
}

struct Forces<'a> {
    x: &'a [f32],
    y: &'a [f32],
    affinities: &'a Affinities,
    first: usize,
    out: &'a mut [Force],
}

impl WithSimd for Forces<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (xs, _) = self.x.as_chunks::<LANES>();
        let (ys, _) = self.y.as_chunks::<LANES>();
        for (i, out) in (self.first..).zip(self.out) {
            let (xi, yi) = (self.x[i], self.y[i]);
            let (mut weight, mut along_x, mut along_y) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
            for (x, y) in xs.iter().zip(ys) {
                for lane in 0..LANES {
                    let (dx, dy) = (xi - x[lane], yi - y[lane]);
                    let q = 1.0 / (1.0 + (dx * dx + dy * dy));
                    weight[lane] += q;
                    along_x[lane] += q * q * dx;
                    along_y[lane] += q * q * dy;
                }
            }
            let (mut ax, mut ay) = (0.0, 0.0);
            let row = self.affinities.start[i]..self.affinities.start[i + 1];
            for (&j, &p) in self.affinities.column[row.clone()].iter().zip(&self.affinities.value[row]) {
                let (dx, dy) = (xi - self.x[j as usize], yi - self.y[j as usize]);
                let pq = p / (1.0 + (dx * dx + dy * dy));
                ax += pq * dx;
                ay += pq * dy;
            }
            *out = Force {
                attraction: [ax, ay],
                repulsion: [along_x.iter().sum(), along_y.iter().sum()],
                // A point does not repel itself.
                weight: weight.iter().map(|&w| f64::from(w)).sum::<f64>() - 1.0,
            };
        }
    }
}

/// Descends from `start` `(n, 2)` along the gradient of the divergence. Each coordinate has a momentum and a gain.
pub(super) fn descend(p: &Affinities, start: Array2<f32>, config: &TsneConfig, mut go_on: impl FnMut(usize) -> bool) -> Embedding {
    let n = start.nrows();
    let padded = n.next_multiple_of(LANES);
    let axis = |a: usize| start.column(a).iter().copied().chain(std::iter::repeat(FAR)).take(padded).collect::<Vec<f32>>();
    let mut at = [axis(0), axis(1)];
    let (mut step, mut gain) = (vec![[0.0_f32; 2]; n], vec![[1.0_f32; 2]; n]);
    let mut forces = vec![Force::default(); n];
    let rate = config.learning_rate.unwrap_or_else(|| (n as f64 / config.early_exaggeration / 4.0).max(50.0)) as f32;
    let arch = pulp::Arch::new();
    for iteration in 0..config.iterations {
        let early = iteration < config.exaggerated_iterations;
        let exaggeration = if early { config.early_exaggeration as f32 } else { 1.0 };
        let momentum = if early { 0.5 } else { 0.8 };
        let [x, y] = &at;
        forces.par_chunks_mut(ROWS).enumerate().for_each(|(block, out)| {
            arch.dispatch(Forces { x, y, affinities: p, first: block * ROWS, out });
        });
        let total = forces.iter().map(|f| f.weight).sum::<f64>() as f32;
        for (i, force) in forces.iter().enumerate() {
            for a in 0..2 {
                let gradient = 4.0 * (exaggeration * force.attraction[a] - force.repulsion[a] / total);
                let gain = &mut gain[i][a];
                *gain = if step[i][a] * gradient < 0.0 { *gain + 0.2 } else { (*gain * 0.8).max(0.01) };
                step[i][a] = momentum * step[i][a] - rate * *gain * gradient;
                at[a][i] += step[i][a];
            }
        }
        for (a, at) in at.iter_mut().enumerate() {
            keep_apart(&mut at[..n], step.iter_mut().map(|s| &mut s[a]));
        }
        if !go_on(iteration + 1) {
            break;
        }
    }
    let points = Array2::from_shape_fn((n, 2), |(i, a)| at[a][i]);
    let kl_divergence = divergence(p, &points);
    Embedding { points, kl_divergence }
}

/// Centres an axis, and magnifies a very short one. Exaggerated attraction can draw points so close together that rounding would merge
/// them. Forces along a short axis are proportional to its length, so that its scale does not matter.
fn keep_apart<'a>(at: &mut [f32], steps: impl Iterator<Item = &'a mut f32>) {
    let mean = (at.iter().map(|&v| f64::from(v)).sum::<f64>() / at.len() as f64) as f32;
    at.iter_mut().for_each(|v| *v -= mean);
    let longest = at.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    if longest > 0.0 && longest < SHORT {
        let factor = 10.0 * SHORT / longest;
        at.iter_mut().for_each(|v| *v *= factor);
        steps.for_each(|v| *v *= factor);
    }
}

/// The divergence of the map from the affinities, in nats.
fn divergence(p: &Affinities, points: &Array2<f32>) -> f64 {
    let q = |i: usize, j: usize| {
        let [dx, dy] = [0, 1].map(|a| f64::from(points[[i, a]]) - f64::from(points[[j, a]]));
        1.0 / (1.0 + dx * dx + dy * dy)
    };
    let n = points.nrows();
    let sums: Vec<f64> = (0..n).into_par_iter().map(|i| (0..n).filter(|&j| j != i).map(|j| q(i, j)).sum()).collect();
    let total: f64 = sums.iter().sum();
    let mut kl = 0.0;
    for i in 0..n {
        for at in p.start[i]..p.start[i + 1] {
            let value = f64::from(p.value[at]);
            if value > 0.0 {
                kl += value * (value * total / q(i, p.column[at] as usize)).ln();
            }
        }
    }
    kl
}
