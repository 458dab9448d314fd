//! Agglomerative clustering: the tree of merges, and its clusters at a cut.

use kodama::Method as Kodama;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Largest number of rows. The distances of more rows fill gigabytes.
const MOST_POINTS: usize = 20_000;

/// Methods for the distance of two clusters. Names and definitions are SciPy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Increase of the sum of squares (Ward 1963).
    Ward,
    /// Mean of all distances of their rows.
    Average,
    /// Largest distance of their rows.
    Complete,
    /// Smallest distance of their rows.
    Single,
}

impl Method {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ward => "ward",
            Self::Average => "average",
            Self::Complete => "complete",
            Self::Single => "single",
        }
    }
}

/// `[linkage]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkageConfig {
    /// The methods. Dendrograms show the first, and the table of agreement shows all.
    pub methods: Vec<Method>,
    /// Number of spectra, drawn evenly over the samples.
    pub points: usize,
    /// Leaves of the dendrogram of spectra, which shows the last merges.
    pub shown: usize,
    /// Seed of the choice of spectra.
    pub seed: u64,
}

impl Default for LinkageConfig {
    fn default() -> Self {
        Self { methods: vec![Method::Ward, Method::Average, Method::Complete, Method::Single], points: 2000, shown: 40, seed: 0 }
    }
}

/// Why there is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkageError {
    /// There are less than two rows.
    #[error("a tree needs two rows or more, and there are {points}")]
    TooFew {
        /// The number of rows.
        points: usize,
    },
    /// The distances of all pairs do not fit into memory.
    #[error("{points} rows are too many for a tree, at most {MOST_POINTS} can be merged: lower linkage.points")]
    TooMany {
        /// The number of rows.
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
    #[error("linkage.{key} must be {expected}")]
    Setting {
        /// The key of the setting, without its section.
        key: &'static str,
        /// The values that the setting can take.
        expected: &'static str,
    },
}

impl LinkageConfig {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`LinkageError`] with the first key outside its range.
    pub fn check(&self) -> Result<(), LinkageError> {
        if self.methods.is_empty() {
            return Err(LinkageError::Setting { key: "methods", expected: "at least one of ward, average, complete, single" });
        }
        if self.shown < 2 {
            return Err(LinkageError::Setting { key: "shown", expected: "2 or more" });
        }
        match self.points {
            0 | 1 => Err(LinkageError::Setting { key: "points", expected: "2 or more" }),
            points if points > MOST_POINTS => Err(LinkageError::TooMany { points }),
            _ => Ok(()),
        }
    }
}

/// One merge of two clusters. As in SciPy, rows are the clusters `0..n`, and merge `m` makes cluster `n + m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merge {
    /// The two clusters, the smaller number first.
    pub of: [usize; 2],
    /// Their distance, in units of the values.
    pub height: f64,
    /// Rows of the merged cluster.
    pub size: usize,
}

/// The merges of `n` rows, by growing height.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// `n - 1` merges.
    pub merges: Vec<Merge>,
}

/// Merges the rows of `values` `(rows, features)` by their Euclidean distances.
///
/// # Errors
///
/// [`LinkageError`] for too few or too many rows, and values that are not finite.
pub fn linkage(values: ArrayView2<f32>, method: Method) -> Result<Tree, LinkageError> {
    let n = values.nrows();
    if n < 2 {
        return Err(LinkageError::TooFew { points: n });
    }
    if n > MOST_POINTS {
        return Err(LinkageError::TooMany { points: n });
    }
    if let Some(((row, column), _)) = values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(LinkageError::NotFinite { row, column });
    }
    let values = values.mapv(f64::from);
    let distance = |i: usize, j: usize| values.row(i).iter().zip(values.row(j)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let mut distances: Vec<f64> = (0..n - 1).into_par_iter().flat_map_iter(|i| (i + 1..n).map(move |j| distance(i, j))).collect();
    let method = match method {
        Method::Ward => Kodama::Ward,
        Method::Average => Kodama::Average,
        Method::Complete => Kodama::Complete,
        Method::Single => Kodama::Single,
    };
    let found = kodama::linkage(&mut distances, n, method);
    let merges = found.steps().iter().map(|s| Merge { of: [s.cluster1, s.cluster2], height: s.dissimilarity, size: s.size });
    Ok(Tree { merges: merges.collect() })
}

impl Tree {
    /// Number of merged rows.
    pub fn rows(&self) -> usize {
        self.merges.len() + 1
    }

    /// The cluster of every row, with the tree cut into `clusters`, from 1 to the number of rows. Clusters are numbered in the order of
    /// their first rows.
    pub fn cut(&self, clusters: usize) -> Vec<u16> {
        let n = self.rows();
        let kept = n - clusters.clamp(1, n);
        let mut parent: Vec<usize> = (0..n + kept).collect();
        for (m, merge) in self.merges[..kept].iter().enumerate() {
            merge.of.iter().for_each(|&c| parent[c] = n + m);
        }
        // A merge comes after its children. From the last one down, every parent is a root already.
        for c in (0..n + kept).rev() {
            parent[c] = parent[parent[c]];
        }
        let mut names = std::collections::HashMap::new();
        (0..n)
            .map(|row| {
                let next = names.len() as u16;
                *names.entry(parent[row]).or_insert(next)
            })
            .collect()
    }

    /// The leaves from left to right, so that no branches cross. The first child of each merge comes first.
    ///
    /// With `shown` below the number of rows, only the last `shown - 1` merges are branches. The clusters that they merge are leaves.
    pub fn leaves(&self, shown: usize) -> Vec<usize> {
        let n = self.rows();
        let hidden = self.merges.len() - (shown.clamp(1, n) - 1);
        let mut stack = vec![n + self.merges.len() - 1];
        let mut leaves = Vec::new();
        while let Some(cluster) = stack.pop() {
            match cluster.checked_sub(n) {
                Some(m) if m >= hidden => stack.extend(self.merges[m].of.iter().rev()),
                _ => leaves.push(cluster),
            }
        }
        leaves
    }

    /// Number of rows of a cluster.
    pub fn size(&self, cluster: usize) -> usize {
        cluster.checked_sub(self.rows()).map_or(1, |m| self.merges[m].size)
    }

    /// The rows of a cluster.
    pub fn members(&self, cluster: usize) -> Vec<usize> {
        let mut stack = vec![cluster];
        let mut rows = Vec::new();
        while let Some(cluster) = stack.pop() {
            match cluster.checked_sub(self.rows()) {
                Some(m) => stack.extend(self.merges[m].of.iter().rev()),
                None => rows.push(cluster),
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn a_tree_by_hand() {
        let values = array![[0.0_f32], [1.0], [10.0], [12.0], [30.0]];
        let tree = linkage(values.view(), Method::Single).unwrap();
        let heights: Vec<f64> = tree.merges.iter().map(|m| m.height).collect();
        assert_eq!(heights, [1.0, 2.0, 9.0, 18.0]);
        assert_eq!(tree.cut(1), [0; 5]);
        assert_eq!(tree.cut(3), [0, 0, 1, 1, 2]);
        assert_eq!(tree.cut(5), [0, 1, 2, 3, 4]);
        let mut leaves = tree.leaves(5);
        assert_eq!(leaves.len(), 5);
        leaves.sort_unstable();
        assert_eq!(leaves, [0, 1, 2, 3, 4]);
        let top = tree.leaves(2);
        assert_eq!(top.iter().map(|&c| tree.size(c)).sum::<usize>(), 5);
        assert_eq!(tree.members(8).len(), 5);
    }

    #[test]
    fn bad_input_is_refused() {
        assert_eq!(linkage(Array2::ones((1, 2)).view(), Method::Ward), Err(LinkageError::TooFew { points: 1 }));
        let values = array![[0.0_f32, 1.0], [f32::NAN, 2.0]];
        assert_eq!(linkage(values.view(), Method::Ward), Err(LinkageError::NotFinite { row: 1, column: 0 }));
    }
}
