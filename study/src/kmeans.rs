//! k-means by Lloyd's algorithm from k-means++ starts. The elbow is the inertia for growing numbers of clusters.

use ndarray::{Array2, ArrayView2};
use pulp::{Simd, WithSimd};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows that one task assigns. Sums are added in the order of the tasks, so that threads change nothing.
const ROWS: usize = 4096;

/// `[kmeans]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmeansConfig {
    /// Largest number of clusters of the elbow.
    pub most_clusters: usize,
    /// Number of spectra, drawn evenly over the samples.
    pub points: usize,
    /// Starts for each number of clusters. The start of least inertia counts.
    pub starts: usize,
    /// Most rounds of one start.
    pub rounds: usize,
    /// Tolerance that ends a start. It bounds the squared movement of all centres, as a share of the mean variance of a feature.
    pub tolerance: f64,
    /// Seed of the choice of spectra and of the starts.
    pub seed: u64,
}

impl Default for KmeansConfig {
    fn default() -> Self {
        Self { most_clusters: 9, points: 10_000, starts: 5, rounds: 300, tolerance: 1e-4, seed: 0 }
    }
}

/// Why there are no clusters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KmeansError {
    /// There are more clusters than spectra.
    #[error("{clusters} clusters need at least as many spectra, and there are {points}: ask for fewer clusters, or give more spectra")]
    TooFew {
        /// Number of wanted clusters.
        clusters: usize,
        /// The number of spectra.
        points: usize,
    },
    /// A value is not finite, so that it has no distance to others.
    #[error("row {row}, column {column} is not a finite number: leave that spectrum out, for instance by its quality")]
    NotFinite {
        /// The row of the value, from 0.
        row: usize,
        /// The column of the value, from 0.
        column: usize,
    },
    /// A setting lies outside its range.
    #[error("kmeans.{key} must be {expected}")]
    Setting {
        /// The key of the setting, without its section.
        key: &'static str,
        /// The values that the setting can take.
        expected: &'static str,
    },
}

impl KmeansConfig {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`KmeansError::Setting`] with the first key outside its range.
    pub fn check(&self) -> Result<(), KmeansError> {
        let least = [("most_clusters", self.most_clusters), ("points", self.points), ("starts", self.starts), ("rounds", self.rounds)];
        if let Some(&(key, _)) = least.iter().find(|(_, value)| *value == 0) {
            return Err(KmeansError::Setting { key, expected: "1 or more" });
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(KmeansError::Setting { key: "tolerance", expected: "0 or more" });
        }
        Ok(())
    }
}

/// Clusters of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// Centres of the clusters, `(clusters, features)`.
    pub centres: Array2<f64>,
    /// Cluster of every row.
    pub of: Vec<u16>,
    /// Sum of the squared distances of rows from their centres, in squared units of the values.
    pub inertia: f64,
}

/// Clusters `values` `(spectra, features)` into `clusters` groups. The number of threads does not change the result.
///
/// # Errors
///
/// [`KmeansError`] for settings outside their range, more clusters than rows, and values that are not finite.
pub fn cluster(values: ArrayView2<f32>, clusters: usize, config: &KmeansConfig) -> Result<Clusters, KmeansError> {
    config.check()?;
    let n = values.nrows();
    if clusters == 0 || clusters > n || clusters > usize::from(u16::MAX) {
        return Err(KmeansError::TooFew { clusters, points: n });
    }
    if let Some(((row, column), _)) = values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(KmeansError::NotFinite { row, column });
    }
    let values = values.as_standard_layout();
    let variance = values.mapv(f64::from).var_axis(ndarray::Axis(0), 0.0).mean().unwrap_or(0.0);
    let table = Table { values: values.as_slice().expect("standard layout"), features: values.ncols() };
    let best = (0..config.starts as u64)
        .map(|start| {
            let mut random = Pcg64Mcg::seed_from_u64(config.seed.wrapping_mul(1_000_003).wrapping_add(start << 16 | clusters as u64));
            table.lloyd(table.spread_start(clusters, &mut random), config.rounds, config.tolerance * variance)
        })
        .min_by(|a, b| a.inertia.total_cmp(&b.inertia));
    Ok(best.expect("there is at least one start"))
}

/// Inertia for 1 to `config.most_clusters` clusters, in squared units of the values. There are at most as many clusters as rows.
///
/// # Errors
///
/// [`KmeansError`], as [`cluster`] gives it.
pub fn elbow(values: ArrayView2<f32>, config: &KmeansConfig) -> Result<Vec<f64>, KmeansError> {
    (1..=config.most_clusters.min(values.nrows())).map(|k| cluster(values, k, config).map(|c| c.inertia)).collect()
}

/// The number of clusters at which a curve of [`elbow`] bends most. There, it lies farthest below the line between its ends, with both axes
/// scaled to 1.
pub fn bend(inertia: &[f64]) -> usize {
    let (Some(first), Some(last)) = (inertia.first(), inertia.last()) else { return 1 };
    let below = |i: usize| 1.0 - i as f64 / (inertia.len() - 1).max(1) as f64 - (inertia[i] - last) / (first - last);
    1 + (0..inertia.len()).fold(0, |best, i| if below(i) > below(best) { i } else { best })
}

#[derive(Clone, Copy)]
struct Table<'a> {
    values: &'a [f32],
    features: usize,
}

/// Sums of one task over its rows.
struct Sums {
    inertia: f64,
    count: Vec<usize>,
    sum: Vec<f64>,
    /// Row and squared distance of the row farthest from its centre.
    farthest: (usize, f32),
}

struct Assign<'a> {
    table: Table<'a>,
    first: usize,
    centres: &'a [f32],
    of: &'a mut [u16],
}

impl WithSimd for Assign<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Sums {
        let d = self.table.features;
        let k = self.centres.len() / d;
        let mut sums = Sums { inertia: 0.0, count: vec![0; k], sum: vec![0.0; k * d], farthest: (self.first, -1.0) };
        for (row, of) in (self.first..).zip(self.of) {
            let values = &self.table.values[row * d..(row + 1) * d];
            let mut nearest = (0, f32::INFINITY);
            for (c, centre) in self.centres.chunks_exact(d).enumerate() {
                let far = squared(values, centre);
                if far < nearest.1 {
                    nearest = (c, far);
                }
            }
            let (c, far) = nearest;
            *of = c as u16;
            sums.inertia += f64::from(far);
            sums.count[c] += 1;
            for (s, &v) in sums.sum[c * d..(c + 1) * d].iter_mut().zip(values) {
                *s += f64::from(v);
            }
            if far > sums.farthest.1 {
                sums.farthest = (row, far);
            }
        }
        sums
    }
}

#[inline(always)]
fn squared(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for l in 0..8 {
            lanes[l] += (a[l] - b[l]) * (a[l] - b[l]);
        }
    }
    a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() + lanes.iter().sum::<f32>()
}

/// The nearest of some centres `[centre][feature]` for every row of `values` `[row][feature]`.
pub fn nearest(values: &[f32], centres: &[f64], features: usize) -> Vec<u16> {
    if features == 0 {
        return Vec::new();
    }
    let mut of = vec![0; values.len() / features];
    if !of.is_empty() {
        Table { values, features }.assign(centres, &mut of);
    }
    of
}

impl Table<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.features
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.features..(i + 1) * self.features]
    }

    /// Starts of k-means++ (Arthur and Vassilvitskii 2007). Rows are drawn by their squared distance from the centres so far. The best of a
    /// few drawn rows is the next centre.
    fn spread_start(&self, clusters: usize, random: &mut impl Rng) -> Vec<f64> {
        let n = self.rows();
        let tries = 2 + (clusters as f64).ln() as usize;
        let mut chosen = vec![random.random_range(0..n)];
        let to = |c: usize| (0..n).into_par_iter().map(|i| squared(self.row(i), self.row(c))).collect::<Vec<f32>>();
        let mut nearest = to(chosen[0]);
        while chosen.len() < clusters {
            let mut total = 0.0;
            let running: Vec<f64> = nearest
                .iter()
                .map(|&d| {
                    total += f64::from(d);
                    total
                })
                .collect();
            let best = (0..tries)
                .map(|_| {
                    let drawn = random.random::<f64>() * total;
                    let row = running.partition_point(|&r| r <= drawn).min(n - 1);
                    let distances: Vec<f32> = to(row).iter().zip(&nearest).map(|(a, b)| a.min(*b)).collect();
                    (distances.iter().map(|&d| f64::from(d)).sum::<f64>(), row, distances)
                })
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let (_, row, distances) = best.expect("there are at least two tries");
            chosen.push(row);
            nearest = distances;
        }
        chosen.iter().flat_map(|&c| self.row(c)).map(|&v| f64::from(v)).collect()
    }

    fn assign(&self, centres: &[f64], of: &mut [u16]) -> Sums {
        let rounded: Vec<f32> = centres.iter().map(|&c| c as f32).collect();
        let arch = pulp::Arch::new();
        let parts: Vec<Sums> = of
            .par_chunks_mut(ROWS)
            .enumerate()
            .map(|(block, of)| arch.dispatch(Assign { table: *self, first: block * ROWS, centres: &rounded, of }))
            .collect();
        let mut parts = parts.into_iter();
        let first = parts.next().expect("there is at least one row");
        parts.fold(first, |mut all, part| {
            all.inertia += part.inertia;
            all.count.iter_mut().zip(part.count).for_each(|(a, b)| *a += b);
            all.sum.iter_mut().zip(part.sum).for_each(|(a, b)| *a += b);
            if part.farthest.1 > all.farthest.1 {
                all.farthest = part.farthest;
            }
            all
        })
    }

    fn lloyd(&self, mut centres: Vec<f64>, rounds: usize, tolerance: f64) -> Clusters {
        let d = self.features;
        let mut of = vec![0; self.rows()];
        let mut before = Vec::new();
        for _ in 0..rounds {
            let sums = self.assign(&centres, &mut of);
            let mut moved = 0.0;
            for (c, centre) in centres.chunks_exact_mut(d).enumerate() {
                for (f, value) in centre.iter_mut().enumerate() {
                    // An empty cluster starts again at the row that fits worst.
                    let next = match sums.count[c] {
                        0 => f64::from(self.row(sums.farthest.0)[f]),
                        count => sums.sum[c * d + f] / count as f64,
                    };
                    moved += (next - *value) * (next - *value);
                    *value = next;
                }
            }
            if moved <= tolerance || of == before {
                break;
            }
            before.clone_from(&of);
        }
        let inertia = self.assign(&centres, &mut of).inertia;
        let centres = Array2::from_shape_vec((centres.len() / d, d), centres).expect("whole rows");
        Clusters { centres, of, inertia }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(n: usize) -> Array2<f32> {
        let mut random = Pcg64Mcg::seed_from_u64(3);
        Array2::from_shape_fn((n, 2), |(i, f)| (((i % 4) >> f) & 1) as f32 * 10.0 + random.random::<f32>())
    }

    #[test]
    fn corners_are_found() {
        let found = cluster(corners(10_000).view(), 4, &KmeansConfig::default()).unwrap();
        assert!((0..10_000).all(|i| found.of[i] == found.of[i % 4]));
        // Each feature is uniform in an interval of 1, so that its variance is 1/12.
        assert!((found.inertia / 10_000.0 - 2.0 / 12.0).abs() < 0.005, "{}", found.inertia);
    }

    #[test]
    fn threads_change_nothing() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| cluster(corners(9_000).view(), 7, &KmeansConfig { starts: 2, ..KmeansConfig::default() }).unwrap())
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn the_elbow_falls() {
        let inertia = elbow(corners(500).view(), &KmeansConfig::default()).unwrap();
        assert_eq!(inertia.len(), 9);
        assert!(inertia.windows(2).all(|w| w[1] < w[0]), "{inertia:?}");
    }

    #[test]
    fn equal_rows_and_bad_input() {
        let config = KmeansConfig::default();
        assert_eq!(cluster(Array2::ones((5, 2)).view(), 3, &config).unwrap().inertia, 0.0);
        assert_eq!(cluster(Array2::ones((5, 2)).view(), 6, &config), Err(KmeansError::TooFew { clusters: 6, points: 5 }));
        let mut values = Array2::ones((5, 2));
        values[[4, 1]] = f32::INFINITY;
        assert_eq!(cluster(values.view(), 2, &config), Err(KmeansError::NotFinite { row: 4, column: 1 }));
    }
}
