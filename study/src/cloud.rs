//! Points of a cloud in memory: projections, clusters and classes. The console's explorer works on these.

use crate::classify::Report;
use crate::classify::forest::{Forest, MOST_CLASSES};
use crate::kmeans::{KmeansConfig, KmeansError, bend, cluster, elbow, nearest};
use crate::pca::{Pca, PcaError};
use crate::tsne::{TsneConfig, TsneError, embed_while};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Points that clusters are found on, and that a map shows. They are drawn evenly.
pub const MOST_DRAWN: usize = 20_000;
/// Starts of k-means for a page that waits.
const STARTS: usize = 4;
/// Trees of a forest for a page that waits.
const TREES: usize = 60;
/// Parts of the containers, each of which is tested once.
const FOLDS: usize = 4;
/// Points that one task projects.
const ROWS: usize = 8192;

/// Why the points cannot be looked at so.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The points have no components.
    #[error(transparent)]
    Pca(#[from] PcaError),
    /// The points have no clusters.
    #[error(transparent)]
    Kmeans(#[from] KmeansError),
    /// The points have no map.
    #[error(transparent)]
    Tsne(#[from] TsneError),
    /// The values are not rows of so many numbers.
    #[error("{values} numbers are no rows of {features}")]
    Shape {
        /// Numbers there.
        values: usize,
        /// Numbers of a row.
        features: usize,
    },
    /// The classes cannot be tested.
    #[error("{0}")]
    Classes(String),
}

/// Points `[row][feature]`.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<'a> {
    values: &'a [f32],
    features: usize,
}

/// The comparison of a classification with the true classes, over all folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// Names of the classes that were tested.
    pub classes: Vec<String>,
    /// Points by true class, then by given class.
    pub matrix: Vec<Vec<u64>>,
    /// Share of points that were classified rightly.
    pub accuracy: f64,
    /// Mean over the classes of that share.
    pub balanced_accuracy: f64,
    /// Classes that lie in one container only, and were left out.
    pub left_out: Vec<String>,
    /// Number of tested points.
    pub tested: usize,
}

/// `most` of `n` numbers from 0, evenly.
pub fn evenly(n: usize, most: usize) -> Vec<usize> {
    if n <= most { (0..n).collect() } else { (0..most).map(|i| i * n / most).collect() }
}

/// Runs `work` on threads of its own, each of which begins with `at_start`. The work of others goes on beside it.
pub fn aside<T: Send>(threads: usize, at_start: fn(), work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).start_handler(move |_| at_start()).build();
    match pool {
        Ok(pool) => pool.install(work),
        // Without threads it is done here.
        Err(_) => work(),
    }
}

impl<'a> Cloud<'a> {
    /// Points of `features` numbers each, one behind the other.
    ///
    /// # Errors
    ///
    /// [`CloudError::Shape`] where the numbers are no rows.
    pub fn new(values: &'a [f32], features: usize) -> Result<Self, CloudError> {
        if features == 0 || !values.len().is_multiple_of(features) {
            return Err(CloudError::Shape { values: values.len(), features });
        }
        Ok(Self { values, features })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.values.len() / self.features
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.features..(row + 1) * self.features]
    }

    fn select(&self, rows: &[usize]) -> Result<Array2<f32>, CloudError> {
        let values: Vec<f32> = rows.iter().flat_map(|row| self.row(*row)).copied().collect();
        let shape = CloudError::Shape { values: values.len(), features: self.features };
        Array2::from_shape_vec((rows.len(), self.features), values).map_err(|_| shape)
    }

    /// All principal components of the points.
    ///
    /// # Errors
    ///
    /// [`CloudError::Pca`] for fewer than two points.
    pub fn principal(&self) -> Result<Pca, CloudError> {
        let axis: Vec<f64> = (0..self.features).map(|i| i as f64).collect();
        let components = self.features.min(self.len().saturating_sub(1));
        let rows = |rows: &[u32]| Ok(rows.iter().flat_map(|row| self.row(*row as usize)).copied().collect());
        Ok(Pca::of(&axis, self.len(), components, &rows)?)
    }

    /// Coordinates of all points along the first two components, `[row][2]`. A missing component gives 0.
    pub fn projected(&self, pca: &Pca) -> Vec<[f32; 2]> {
        let axes: Vec<&[f64]> = pca.components.iter().take(2).map(Vec::as_slice).collect();
        let along = |point: &[f32]| {
            let mut to = [0.0; 2];
            for (to, axis) in to.iter_mut().zip(&axes) {
                let terms = point.iter().zip(&pca.mean).zip(*axis);
                *to = terms.map(|((value, mean), weight)| (f64::from(*value) - mean) * weight).sum::<f64>() as f32;
            }
            to
        };
        let tasks = self.values.par_chunks(ROWS * self.features);
        tasks.flat_map_iter(|some| some.chunks_exact(self.features).map(along).collect::<Vec<_>>()).collect()
    }

    /// The cluster of every point, of `clusters` that are found on at most [`MOST_DRAWN`] points.
    ///
    /// # Errors
    ///
    /// [`CloudError::Kmeans`] for more clusters than points, and for values that are not finite.
    pub fn clusters(&self, clusters: usize) -> Result<Vec<u16>, CloudError> {
        let drawn = self.select(&evenly(self.len(), MOST_DRAWN))?;
        let found = cluster(drawn.view(), clusters, &KmeansConfig { starts: STARTS, ..KmeansConfig::default() })?;
        let centres: Vec<f64> = found.centres.iter().copied().collect();
        Ok(nearest(self.values, &centres, self.features))
    }

    /// Inertia for 1 to `most` clusters on at most [`MOST_DRAWN`] points, and the number at which it bends most.
    ///
    /// # Errors
    ///
    /// [`CloudError::Kmeans`] for values that are not finite.
    pub fn elbow(&self, most: usize) -> Result<(Vec<f64>, usize), CloudError> {
        let drawn = self.select(&evenly(self.len(), MOST_DRAWN))?;
        let config = KmeansConfig { most_clusters: most, starts: STARTS, ..KmeansConfig::default() };
        let inertia = elbow(drawn.view(), &config)?;
        let chosen = bend(&inertia);
        Ok((inertia, chosen))
    }

    /// A map of some points by t-SNE. `go_on` gets finished and all steps, and ends the map where it says no.
    ///
    /// # Errors
    ///
    /// [`CloudError::Tsne`] for too few or too many points.
    pub fn map(&self, rows: &[usize], mut go_on: impl FnMut(usize, usize) -> bool) -> Result<Vec<[f32; 2]>, CloudError> {
        let usual = TsneConfig::default();
        // Few points have few neighbours.
        let perplexity = usual.perplexity.min(((rows.len() as f64 - 2.0) / 3.0).floor().max(1.0));
        let config = TsneConfig { perplexity, ..usual };
        let values = self.select(rows)?;
        let map = embed_while(values.view(), &config, |step| go_on(step, config.iterations))?;
        Ok(map.points.rows().into_iter().map(|point| [point[0], point[1]]).collect())
    }

    /// Classifies points by forests, each grown without the containers that it is tested on. `class` and `container` are those of `rows`.
    ///
    /// # Errors
    ///
    /// [`CloudError::Classes`] where fewer than two classes lie in two containers or more.
    pub fn classify(&self, rows: &[usize], class: &[u16], classes: &[String], container: &[u32]) -> Result<Classified, CloudError> {
        let mut places: BTreeMap<u16, BTreeSet<u32>> = BTreeMap::new();
        class.iter().zip(container).for_each(|(class, container)| _ = places.entry(*class).or_default().insert(*container));
        let (tested, single): (Vec<u16>, Vec<u16>) = places.keys().partition(|class| places[class].len() > 1);
        let name = |class: &u16| classes.get(usize::from(*class)).cloned().unwrap_or_default();
        let left_out: Vec<String> = single.iter().map(name).collect();
        if tested.len() < 2 {
            let problem = "a classification needs two values of the key with two containers each, one to learn from and one to test on: \
                choose more scans, or another key";
            return Err(CloudError::Classes(problem.to_owned()));
        }
        if tested.len() > MOST_CLASSES {
            return Err(CloudError::Classes(format!("{} values are too many: a forest tells {MOST_CLASSES} apart", tested.len())));
        }
        let index: BTreeMap<u16, u16> = tested.iter().copied().zip(0..).collect();
        let mut fold: BTreeMap<(u16, u32), usize> = BTreeMap::new();
        for class in &tested {
            places[class].iter().enumerate().for_each(|(i, container)| _ = fold.insert((*class, *container), i % FOLDS));
        }
        let names: Vec<String> = tested.iter().map(name).collect();
        let (mut right, mut given) = (Vec::new(), Vec::new());
        for number in 0..FOLDS {
            let (mut train, mut train_class, mut test) = (Vec::new(), Vec::new(), Vec::new());
            for ((row, class), container) in rows.iter().zip(class).zip(container) {
                let (Some(of), Some(in_fold)) = (index.get(class), fold.get(&(*class, *container))) else { continue };
                if *in_fold == number {
                    test.push(*row);
                    right.push(*of);
                } else {
                    train.push(*row);
                    train_class.push(*of);
                }
            }
            if test.is_empty() || train.is_empty() {
                given.extend(test.iter().map(|_| 0));
                continue;
            }
            let forest = Forest::grow(self.select(&train)?.view(), &train_class, names.len(), TREES, 0);
            let view: Array2<f32> = self.select(&test)?;
            let view: ArrayView2<'_, f32> = view.view();
            given.extend(forest.predict(view));
        }
        let report = Report::new(&names, &right, &given);
        let matrix = report.confusion.rows().into_iter().map(|row| row.to_vec()).collect();
        let (accuracy, balanced_accuracy) = (report.accuracy, report.macro_mean.recall);
        Ok(Classified { classes: names, matrix, accuracy, balanced_accuracy, left_out, tested: right.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of four containers, two of each class, about two centres.
    fn points() -> (Vec<f32>, Vec<u16>, Vec<u32>) {
        let at = |i: usize| [((i % 4) / 2) as f32 * 5.0 + (i % 7) as f32 * 0.1, (i % 5) as f32 * 0.1, (i % 3) as f32 * 0.01];
        let values = (0..400).flat_map(at).collect();
        (values, (0..400).map(|i| ((i % 4) / 2) as u16).collect(), (0..400).map(|i| i % 4).collect())
    }

    #[test]
    fn clusters_and_classes_are_found() {
        let (values, class, container) = points();
        let cloud = Cloud::new(&values, 3).unwrap();
        let of = cloud.clusters(2).unwrap();
        assert!((0..400).all(|i| (of[i] == of[0]) == (class[i] == class[0])));
        assert_eq!(cloud.elbow(6).unwrap().1, 2);
        let rows: Vec<usize> = (0..400).collect();
        let names = ["a".to_owned(), "b".to_owned()];
        let said = cloud.classify(&rows, &class, &names, &container).unwrap();
        assert_eq!((said.accuracy, said.tested, said.matrix), (1.0, 400, vec![vec![200, 0], vec![0, 200]]));
        let one: Vec<u32> = class.iter().map(|class| u32::from(*class)).collect();
        assert!(cloud.classify(&rows, &class, &names, &one).unwrap_err().to_string().contains("choose more scans"));
    }

    #[test]
    fn a_map_ends_when_told() {
        let (values, ..) = points();
        let cloud = Cloud::new(&values, 3).unwrap();
        let mut steps = 0;
        let map = cloud.map(&evenly(400, 100), |step, all| {
            steps = step;
            step < all && step < 20
        });
        assert_eq!((map.unwrap().len(), steps), (100, 20));
        let pca = cloud.principal().unwrap();
        assert_eq!(cloud.projected(&pca)[7], <[f32; 2]>::try_from(&pca.encode_spectra(&values[21..24])[..2]).unwrap());
    }
}
