//! Classification of samples that neither forest nor encoder has seen.

use super::bootstrap::{chance, interval};
use super::containers::{FEATURES, discriminate, features, without};
use super::figures::Report;
use super::forest::Forest;
use super::split::{by_sample as deal, classes_of_samples};
use super::{ClassifyConfig, ClassifyError, Split, few_classes};
use crate::material::{Material, MaterialError, Refitted};
use crate::progress::Progress;
use crate::table::{Factor, Place};
use nalgebra::DMatrix;
use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use std::collections::BTreeSet;

/// Forests under exchanged labels, and those they are compared with, have fewer trees.
const EXCHANGED_TREES: usize = 20;
/// They learn from one spectrum in so many, and are tested on one in so many.
const EXCHANGED_STEP: usize = 5;

/// Results of forests on one representation, for one factor, on samples that were held out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BySample {
    /// Name of the factor.
    pub factor: String,
    /// Name of the representation.
    pub representation: String,
    /// Whether the encoder was fitted without the tested samples. Else it has seen their spectra, and no label.
    pub unseen: bool,
    /// Share of correctly classified spectra, over all folds.
    pub accuracy: f64,
    /// The middle 95 % of it over draws of samples.
    pub interval: (f64, f64),
    /// Figures over all folds.
    pub report: Report,
    /// Correctly classified and tested spectra of each tested sample.
    pub samples: Vec<(usize, usize)>,
    /// Accuracies of small forests where whole samples exchange their labels.
    pub exchanged: Vec<f64>,
    /// Chance of the accuracy of the small forest, or more, under exchanged labels.
    pub p: f64,
}

/// Results for whole containers, each of which was left out once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByContainer {
    /// Name of the factor.
    pub factor: String,
    /// Name of the representation.
    pub representation: String,
    /// Whether the encoder was fitted without the tested container.
    pub unseen: bool,
    /// Whether spread and quantiles of the codes serve beside their mean.
    pub spread: bool,
    /// Whether the other labels of all containers count as known.
    pub others_known: bool,
    /// Share of correctly classified containers.
    pub accuracy: f64,
    /// The middle 95 % of it over draws of containers.
    pub interval: (f64, f64),
    /// Accuracies where containers exchange their labels.
    pub exchanged: Vec<f64>,
    /// Chance of the accuracy, or more, under exchanged labels.
    pub p: f64,
}

/// The fold of each sample, and the number of folds. There are at most half as many folds as samples.
pub fn fold_of(places: &[Place], factors: &[Factor], samples: usize, config: &ClassifyConfig) -> (Vec<u32>, usize) {
    let folds = config.folds.min(samples / 2).max(1);
    let mut random = Pcg64Mcg::seed_from_u64(config.seeds.first().copied().unwrap_or_default());
    (deal(places, factors, samples, folds, &mut random), folds)
}

/// The samples, with the codes of every representation by fold.
struct Held<'a> {
    material: &'a Material,
    fold_of: Vec<u32>,
    folds: usize,
    rows: Vec<usize>,
}

impl<'a> Held<'a> {
    fn of(material: &'a Material, config: &ClassifyConfig) -> Self {
        match &material.held_out {
            Some(held) => Self { material, fold_of: held.fold_of.clone(), folds: held.folds, rows: held.rows.clone() },
            None => {
                let (fold_of, folds) = fold_of(&material.places, &material.factors, material.samples.len(), config);
                let rows = material.draw(config.most_train + config.most_test, config.seeds[0], |_| true);
                Self { material, fold_of, folds, rows }
            }
        }
    }

    fn fold(&self, row: usize) -> u32 {
        self.fold_of[self.material.places[row].sample as usize]
    }

    fn refitted(&self, name: &str) -> Option<&Refitted> {
        self.material.held_out.iter().flat_map(|held| &held.refitted).find(|refitted| refitted.name == name)
    }

    /// Codes of the rows by the encoder of each fold, and whether each has not seen its fold.
    fn codes(&self, name: &str) -> Result<(Vec<Array2<f32>>, bool), MaterialError> {
        match self.refitted(name) {
            Some(refitted) => Ok((refitted.codes.clone(), true)),
            None => match self.material.trainings(name).first() {
                Some(codes) => Ok((vec![codes.select(&self.rows)?; self.folds], false)),
                None => Err(MaterialError::NoRepresentation),
            },
        }
    }

    /// Features of all samples by the encoder of each fold.
    fn containers(&self, name: &str) -> Result<(Vec<Array2<f32>>, bool), MaterialError> {
        if let Some(refitted) = self.refitted(name) {
            return Ok((refitted.containers.clone(), true));
        }
        let Some(codes) = self.material.trainings(name).first().copied() else { return Err(MaterialError::NoRepresentation) };
        let of = |fold: usize| features(codes, &self.material.places, self.fold_of.len(), |s| self.fold_of[s] as usize != fold);
        Ok(((0..self.folds).map(of).collect::<Result<_, _>>()?, false))
    }
}

/// Whether every class of a factor lies in two samples or more.
fn repeats(of_samples: &[Option<u16>]) -> bool {
    let there: BTreeSet<u16> = of_samples.iter().flatten().copied().collect();
    there.iter().all(|class| of_samples.iter().filter(|of| **of == Some(*class)).count() > 1)
}

/// Gives each sample the class of another.
fn exchange(of_samples: &[Option<u16>], random: &mut Pcg64Mcg) -> Vec<Option<u16>> {
    let mut classes: Vec<u16> = of_samples.iter().flatten().copied().collect();
    classes.shuffle(random);
    let mut next = classes.into_iter();
    of_samples.iter().map(|of| of.and_then(|_| next.next())).collect()
}

/// Grows forests without the samples of each fold, and tests them on these. Codes are those of [`crate::material::HeldOut`].
///
/// A representation without such codes takes its own, whose encoder has seen all samples. A factor with a class in a single sample is left
/// out. The result is empty where the configuration does not split by sample.
///
/// # Errors
///
/// [`ClassifyError`] for settings outside their range, and for data that cannot be used.
pub fn by_sample(material: &Material, config: &ClassifyConfig, progress: Progress) -> Result<Vec<BySample>, ClassifyError> {
    config.check()?;
    material.check()?;
    few_classes(&material.factors)?;
    if !config.splits.contains(&Split::Sample) || material.samples.len() < 4 {
        return Ok(Vec::new());
    }
    let held = Held::of(material, config);
    let runs = material.representations.len() * material.factors.len();
    let mut outcomes = Vec::new();
    for (i, representation) in material.representations.iter().enumerate() {
        let (codes, unseen) = held.codes(&representation.name)?;
        for (j, factor) in material.factors.iter().enumerate() {
            progress("by sample", i * material.factors.len() + j, runs);
            let of_samples = classes_of_samples(&material.places, factor, material.samples.len());
            if !repeats(&of_samples) {
                continue;
            }
            let right: Vec<u16> = held.rows.iter().map(|row| factor.of[*row]).collect();
            let (places, given) = test(&held, &codes, &right, factor, (config, config.trees, 1));
            let mut samples = vec![(0, 0); material.samples.len()];
            for (at, given) in places.iter().zip(&given) {
                let of = &mut samples[material.places[held.rows[*at]].sample as usize];
                *of = (of.0 + usize::from(*given == right[*at]), of.1 + 1);
            }
            samples.retain(|(_, tested)| *tested > 0);
            let tested: Vec<u16> = places.iter().map(|at| right[*at]).collect();
            let report = Report::new(&factor.classes, &tested, &given);
            let small = |of_samples: &[Option<u16>]| {
                let class = |row: &usize| of_samples[material.places[*row].sample as usize].unwrap_or_default();
                let classes: Vec<u16> = held.rows.iter().map(class).collect();
                let (places, given) = test(&held, &codes, &classes, factor, (config, EXCHANGED_TREES, EXCHANGED_STEP));
                places.iter().zip(&given).filter(|(at, given)| classes[**at] == **given).count() as f64 / places.len().max(1) as f64
            };
            let mut random = Pcg64Mcg::seed_from_u64(config.seeds[0]);
            let exchanged: Vec<f64> = (0..config.permutations).map(|_| small(&exchange(&of_samples, &mut random))).collect();
            let p = chance(small(&of_samples), &exchanged);
            outcomes.push(BySample {
                factor: factor.name.clone(),
                representation: representation.name.clone(),
                unseen,
                accuracy: report.accuracy,
                interval: interval(samples.len(), |drawn| share(drawn.iter().map(|i| samples[*i]))),
                report,
                samples,
                exchanged,
                p,
            });
        }
    }
    progress("by sample", runs, runs);
    Ok(outcomes)
}

fn share(counts: impl Iterator<Item = (usize, usize)>) -> f64 {
    let (right, all) = counts.fold((0, 0), |(right, all), (r, a)| (right + r, all + a));
    right as f64 / all as f64
}

/// Places in `held.rows` that were tested over all folds, and the classes that they were given. Every `step`-th spectrum takes part.
fn test(
    held: &Held<'_>,
    codes: &[Array2<f32>],
    class: &[u16],
    factor: &Factor,
    (config, trees, step): (&ClassifyConfig, usize, usize),
) -> (Vec<usize>, Vec<u16>) {
    let (mut tested, mut given) = (Vec::new(), Vec::new());
    for (fold, codes) in codes.iter().enumerate() {
        let (mut train, test): (Vec<usize>, Vec<usize>) =
            (0..held.rows.len()).step_by(step).partition(|at| held.fold(held.rows[*at]) as usize != fold);
        if train.is_empty() || test.is_empty() {
            continue;
        }
        let seed = config.seeds[0];
        train.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
        train.truncate(config.most_train.div_ceil(step));
        train.sort_unstable();
        let classes: Vec<u16> = train.iter().map(|at| class[*at]).collect();
        let forest = Forest::grow(codes.select(Axis(0), &train).view(), &classes, factor.classes.len(), trees, seed);
        given.extend(forest.predict(codes.select(Axis(0), &test).view()));
        tested.extend(test);
    }
    (tested, given)
}

/// The difference of the accuracies of two outcomes on the same samples, with its middle 95 % over draws of samples.
pub fn difference(a: &BySample, b: &BySample) -> (f64, (f64, f64)) {
    let of = |outcome: &BySample, drawn: &[usize]| share(drawn.iter().filter_map(|i| outcome.samples.get(*i).copied()));
    let count = a.samples.len().min(b.samples.len());
    (a.accuracy - b.accuracy, interval(count, |drawn| of(a, drawn) - of(b, drawn)))
}

/// Classifies whole containers by linear discriminants of their codes, leaving each out once.
///
/// Each container is tested with the encoder that has not seen its fold. Every factor is tested by the mean code, by mean, spread and
/// quantiles, and by the mean with the other labels known. The result is empty where the configuration does not split by sample.
///
/// # Errors
///
/// [`ClassifyError`] for settings outside their range, and for data that cannot be used.
pub fn by_container(material: &Material, config: &ClassifyConfig, progress: Progress) -> Result<Vec<ByContainer>, ClassifyError> {
    config.check()?;
    material.check()?;
    if !config.splits.contains(&Split::Sample) || material.samples.len() < 4 {
        return Ok(Vec::new());
    }
    let held = Held::of(material, config);
    let labels: Vec<Vec<Option<u16>>> =
        material.factors.iter().map(|factor| classes_of_samples(&material.places, factor, material.samples.len())).collect();
    // Samples without spectra have no labels.
    let there: Vec<usize> = (0..material.samples.len()).filter(|s| labels.iter().all(|of| of[*s].is_some())).collect();
    let class_of = |factor: usize| -> Vec<u16> { there.iter().filter_map(|s| labels[factor][*s]).collect() };
    let classes: Vec<Vec<u16>> = (0..material.factors.len()).map(class_of).collect();
    let mut outcomes = Vec::new();
    for (i, representation) in material.representations.iter().enumerate() {
        progress("by container", i, material.representations.len());
        let (containers, unseen) = held.containers(&representation.name)?;
        let latent = containers.first().map_or(0, |features| features.ncols() / FEATURES);
        for (f, factor) in material.factors.iter().enumerate() {
            if !repeats(&labels[f]) {
                continue;
            }
            let others: Vec<(&[u16], usize)> = (0..material.factors.len())
                .filter(|other| *other != f)
                .map(|other| (&classes[other][..], material.factors[other].classes.len()))
                .collect();
            for (spread, others_known) in [(false, false), (true, false), (false, true)] {
                if others_known && others.is_empty() {
                    continue;
                }
                let width = if spread { latent * FEATURES } else { latent };
                let of_fold: Vec<DMatrix<f64>> =
                    containers.iter().map(|all| DMatrix::from_fn(width, there.len(), |row, i| f64::from(all[[there[i], row]]))).collect();
                let values: Vec<DMatrix<f64>> = (0..there.len())
                    .map(|i| {
                        let values = &of_fold[held.fold_of[there[i]] as usize];
                        if others_known { without(values, &others, i) } else { values.clone() }
                    })
                    .collect();
                let tested = |class: &[u16]| -> Vec<bool> {
                    let one = |i: usize| discriminate(&values[i], class, factor.classes.len(), i) == Some(class[i]);
                    (0..there.len()).map(one).collect()
                };
                let accuracy = |right: &[bool]| right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64;
                let right = tested(&classes[f]);
                let mut random = Pcg64Mcg::seed_from_u64(config.seeds[0]);
                let exchanged: Vec<f64> = (0..config.permutations)
                    .map(|_| {
                        let mut class = classes[f].clone();
                        class.shuffle(&mut random);
                        accuracy(&tested(&class))
                    })
                    .collect();
                let found = accuracy(&right);
                outcomes.push(ByContainer {
                    factor: factor.name.clone(),
                    representation: representation.name.clone(),
                    unseen,
                    spread,
                    others_known,
                    accuracy: found,
                    interval: interval(right.len(), |drawn| share(drawn.iter().map(|i| (usize::from(right[*i]), 1)))),
                    p: chance(found, &exchanged),
                    exchanged,
                });
            }
        }
    }
    progress("by container", material.representations.len(), material.representations.len());
    Ok(outcomes)
}
