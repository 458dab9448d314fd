//! Exact nearest neighbours of every row.

use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows whose distances are calculated together. They share each fetched column.
const ROWS: usize = 8;
/// Distances of a row that fit into the first cache together.
const TILE: usize = 1024;

/// The `k` nearest other rows of each of `n` rows, nearest first.
pub(super) struct Neighbours {
    pub k: usize,
    /// Indices of rows, `n * k`.
    pub index: Vec<u32>,
    /// Squared Euclidean distances, `n * k`.
    pub squared: Vec<f32>,
}

/// Squared distances from some rows to all rows. Values are stored column by column.
struct Distances<'a> {
    columns: &'a [Vec<f32>],
    rows: std::ops::Range<usize>,
    /// Squared distances, `rows.len() * n`.
    out: &'a mut [f32],
    n: usize,
}

impl WithSimd for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for from in (0..self.n).step_by(TILE) {
            let to = (from + TILE).min(self.n);
            for column in self.columns {
                for (r, i) in self.rows.clone().enumerate() {
                    let here = column[i];
                    let sums = &mut self.out[r * self.n + from..r * self.n + to];
                    for (sum, &there) in sums.iter_mut().zip(&column[from..to]) {
                        let d = here - there;
                        *sum += d * d;
                    }
                }
            }
        }
    }
}

/// Finds the `k < n` nearest other rows of every row of `values` `(n, features)`. Rows at equal distance keep their order.
pub(super) fn nearest(values: ArrayView2<f32>, k: usize) -> Neighbours {
    let n = values.nrows();
    let columns: Vec<Vec<f32>> = values.columns().into_iter().map(|c| c.to_vec()).collect();
    let (mut index, mut squared) = (vec![0; n * k], vec![0.0; n * k]);
    let arch = pulp::Arch::new();
    index.par_chunks_mut(ROWS * k).zip(squared.par_chunks_mut(ROWS * k)).enumerate().for_each_init(
        || (vec![0.0_f32; ROWS * n], Vec::with_capacity(n)),
        |(distances, order), (block, (index, squared))| {
            let rows = block * ROWS..(block * ROWS + index.len() / k);
            let distances = &mut distances[..rows.len() * n];
            distances.fill(0.0);
            arch.dispatch(Distances { columns: &columns, rows: rows.clone(), out: distances, n });
            for (r, i) in rows.enumerate() {
                let distances = &distances[r * n..(r + 1) * n];
                order.clear();
                // Squared distances are not negative, so that their bits sort like their values. The index decides between equal ones.
                order.extend((0..n).filter(|&j| j != i).map(|j| (u64::from(distances[j].to_bits()) << 32) | j as u64));
                order.select_nth_unstable(k - 1);
                order[..k].sort_unstable();
                for (at, &key) in order[..k].iter().enumerate() {
                    index[r * k + at] = key as u32;
                    squared[r * k + at] = f32::from_bits((key >> 32) as u32);
                }
            }
        },
    );
    Neighbours { k, index, squared }
}
