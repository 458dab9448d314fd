//! Choice of pretreatment and model inside nested folds.
//!
//! A model without some folds is chosen by the errors on each other fold, of models without that one too. So the labels of a fold
//! touch no model without it. Sets of left out folds have no order, and each set is fitted once.

use super::fit::Models;
use super::folds::Folds;
use super::pretreat::Pretreatment;
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A pretreatment with the features of all samples.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The pretreatment.
    pub pretreatment: Pretreatment,
    /// Features `(samples, features)`.
    pub features: DMatrix<f64>,
}

impl Prepared {
    /// Applies every pretreatment to spectra `(samples, bands)`.
    pub fn all(pretreatments: Vec<Pretreatment>, spectra: &DMatrix<f64>) -> Vec<Self> {
        pretreatments.into_iter().map(|pretreatment| Self { features: pretreatment.features(spectra), pretreatment }).collect()
    }
}

/// Samples with labels, in folds.
pub struct Problem<'a> {
    /// Every pretreatment, with the features of the samples.
    pub prepared: &'a [Prepared],
    /// Label of each sample.
    pub labels: DVector<f64>,
    /// Fold of each sample.
    pub folds: &'a Folds,
    /// Most components of partial least squares.
    pub components: usize,
}

/// A fitted model with the choice that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Index of the pretreatment.
    pub pretreatment: usize,
    /// Index of the setting in [`settings`](super::fit::settings).
    pub setting: usize,
    /// Mean of the features over the training samples.
    pub mean: DVector<f64>,
    /// Weights of the features.
    pub weights: DVector<f64>,
    /// Mean label of the training samples.
    pub intercept: f64,
}

impl Fitted {
    /// Values of some samples of the problem.
    pub fn values(&self, problem: &Problem<'_>, samples: &[usize]) -> Vec<f64> {
        let features = &problem.prepared[self.pretreatment].features;
        let value = |sample: &usize| {
            let terms = features.row(*sample).iter().zip(&self.mean).zip(&self.weights).map(|((x, mean), w)| (x - mean) * w).sum::<f64>();
            self.intercept + terms
        };
        samples.iter().map(value).collect()
    }
}

/// Models by the folds that they leave out: none, one, and two where they are asked for.
#[derive(Debug, Clone)]
pub struct Nested {
    models: BTreeMap<Vec<usize>, Fitted>,
}

/// Squared errors `[left out fold][candidate]` of a set of left out folds.
type Errors = BTreeMap<Vec<usize>, Vec<Vec<f64>>>;

impl Nested {
    /// Fits the models without one fold and without any. `pairs` adds those without two, which a held-out fold needs.
    pub fn fit(problem: &Problem<'_>, pairs: bool) -> Self {
        let all = sets(problem.folds.count);
        let of_size = |sizes: &[usize]| all.iter().filter(|set| sizes.contains(&set.len())).cloned().collect::<Vec<_>>();
        let (judged, wanted) = if pairs { (of_size(&[1, 2, 3]), of_size(&[0, 1, 2])) } else { (of_size(&[1, 2]), of_size(&[0, 1])) };
        let errors: Vec<Vec<Vec<f64>>> = judged.par_iter().map(|set| errors(problem, set)).collect();
        let errors: Errors = judged.into_iter().zip(errors).collect();
        let fitted: Vec<Fitted> = wanted.par_iter().map(|set| fitted(problem, set, choose(problem, set, &errors))).collect();
        Self { models: wanted.into_iter().zip(fitted).collect() }
    }

    /// The model without some folds, in any order. `None` for folds that nobody asked for.
    pub fn without(&self, folds: &[usize]) -> Option<&Fitted> {
        self.models.get(&sorted(folds))
    }
}

fn sorted(folds: &[usize]) -> Vec<usize> {
    let mut folds = folds.to_vec();
    folds.sort_unstable();
    folds
}

/// All sets of up to three folds.
fn sets(count: usize) -> Vec<Vec<usize>> {
    let mut sets = vec![Vec::new()];
    for a in 0..count {
        sets.push(vec![a]);
        for b in a + 1..count {
            sets.push(vec![a, b]);
            sets.extend((b + 1..count).map(|c| vec![a, b, c]));
        }
    }
    sets
}

/// Models of one pretreatment, trained without some folds.
fn models(problem: &Problem<'_>, prepared: &Prepared, left_out: &[usize]) -> Models {
    let training = problem.folds.outside(left_out);
    let labels = DVector::from_iterator(training.len(), training.iter().map(|sample| problem.labels[*sample]));
    Models::fit(&prepared.features.select_rows(&training), &labels, problem.components, prepared.pretreatment.scaled)
}

fn errors(problem: &Problem<'_>, left_out: &[usize]) -> Vec<Vec<f64>> {
    let mut errors = vec![Vec::new(); left_out.len()];
    for prepared in problem.prepared {
        let models = models(problem, prepared, left_out);
        for (fold, errors) in left_out.iter().zip(&mut errors) {
            let samples = problem.folds.inside(*fold);
            let values = models.values(&prepared.features.select_rows(&samples));
            let error = |column: usize| -> f64 {
                samples.iter().enumerate().map(|(row, sample)| (values[(row, column)] - problem.labels[*sample]).powi(2)).sum()
            };
            errors.extend((0..values.ncols()).map(error));
        }
    }
    errors
}

/// The candidate with the least error over the folds that the set keeps. The first of equal ones is the simplest.
fn choose(problem: &Problem<'_>, left_out: &[usize], errors: &Errors) -> usize {
    let mut sums: Vec<f64> = Vec::new();
    for fold in (0..problem.folds.count).filter(|fold| !left_out.contains(fold)) {
        let set = sorted(&[left_out, &[fold]].concat());
        let (Some(of_set), Ok(place)) = (errors.get(&set), set.binary_search(&fold)) else { continue };
        sums.resize(of_set[place].len(), 0.0);
        sums.iter_mut().zip(&of_set[place]).for_each(|(sum, error)| *sum += error);
    }
    (0..sums.len()).min_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or_default()
}

fn fitted(problem: &Problem<'_>, left_out: &[usize], candidate: usize) -> Fitted {
    let settings = problem.components + super::fit::PENALTIES.len();
    let (pretreatment, setting) = (candidate / settings, candidate % settings);
    let models = models(problem, &problem.prepared[pretreatment], left_out);
    let weights = models.weights.column(setting).into_owned();
    Fitted { pretreatment, setting, mean: models.mean, weights, intercept: models.intercept }
}
