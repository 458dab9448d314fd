//! Classification of unseen spectra by random forests, with splits by pixel and by place.

mod bootstrap;
mod by_sample;
pub mod containers;
pub mod figures;
pub mod forest;
pub mod split;

pub use by_sample::{ByContainer, BySample, by_container, by_sample, difference, fold_of};
pub use figures::{Figures, Report};
pub use forest::Forest;
pub use split::{Parts, SplitError};

use crate::material::{Material, MaterialError};
use crate::progress::Progress;
use crate::table::{Factor, Place};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `[classify]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// Trees of a forest.
    pub trees: usize,
    /// Share of the spectra for the test.
    pub test: f64,
    /// Largest number of training spectra, drawn from their side of the split.
    pub most_train: usize,
    /// Largest number of test spectra, drawn from their side of the split.
    pub most_test: usize,
    /// Seeds of splits and forests. Each seed is one run.
    pub seeds: Vec<u64>,
    /// Side of the blocks of the split by place, in pixels.
    pub block: u32,
    /// Margin around test blocks without training spectra, in pixels. It is at most `block`.
    pub margin: u32,
    /// The splits that are made.
    pub splits: Vec<Split>,
    /// Parts of the samples in the split by sample, each of which is tested once.
    pub folds: usize,
    /// Exchanges of the labels of whole samples, with which an accuracy by sample is compared.
    pub permutations: usize,
    /// Published accuracy of a factor on other data. The page shows it beside ours.
    pub published: BTreeMap<String, f64>,
}

impl Default for ClassifyConfig {
    fn default() -> Self {
        Self {
            trees: 100,
            test: 0.25,
            most_train: 20_000,
            most_test: 10_000,
            seeds: vec![0, 1],
            block: 16,
            margin: 2,
            splits: Split::ALL.to_vec(),
            folds: 6,
            permutations: 20,
            published: [("size", 0.86), ("plant", 0.41), ("month", 0.11)].map(|(f, a)| (f.to_owned(), a)).into(),
        }
    }
}

/// Why there is no classification.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClassifyError {
    /// The data cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The data cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A factor has too many classes for a forest.
    #[error("{factor} has {classes} classes, and a forest tells {} apart: join some of them", forest::MOST_CLASSES)]
    TooManyClasses {
        /// The factor's name.
        factor: String,
        /// Number of its classes.
        classes: usize,
    },
    /// A setting lies outside its range.
    #[error("classify.{key} is {found}, and must be {expected}")]
    Setting {
        /// The key of the setting, without its section.
        key: &'static str,
        /// The value in the configuration.
        found: String,
        /// The values that the setting can take.
        expected: &'static str,
    },
}

impl ClassifyConfig {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`ClassifyError::Setting`] with the first key outside its range.
    pub fn check(&self) -> Result<(), ClassifyError> {
        let refuse = |key, found: String, expected| Err(ClassifyError::Setting { key, found, expected });
        let counts = [("trees", self.trees), ("most_train", self.most_train), ("most_test", self.most_test)];
        if let Some((key, _)) = counts.iter().find(|(_, v)| *v == 0) {
            return refuse(key, "0".into(), "1 or more");
        }
        if !(self.test > 0.0 && self.test < 1.0) {
            return refuse("test", self.test.to_string(), "between 0 and 1");
        }
        if self.seeds.is_empty() || self.seeds.iter().collect::<BTreeSet<_>>().len() < self.seeds.len() {
            return refuse("seeds", format!("{:?}", self.seeds), "one seed or more, each once");
        }
        if self.block == 0 || self.block > 10_000 {
            return refuse("block", self.block.to_string(), "1 to 10000");
        }
        if self.margin > self.block {
            return refuse("margin", self.margin.to_string(), "at most classify.block");
        }
        if self.splits.is_empty() || (1..self.splits.len()).any(|i| self.splits[..i].contains(&self.splits[i])) {
            return refuse("splits", format!("{:?}", self.splits), "one or more of pixel, place and sample, each once");
        }
        if self.folds < 2 {
            return refuse("folds", self.folds.to_string(), "2 or more");
        }
        match self.published.iter().find(|(_, a)| !(0.0..=1.0).contains(*a)) {
            Some((factor, accuracy)) => refuse("published", format!("{accuracy} for {factor}"), "0 to 1"),
            None => Ok(()),
        }
    }
}

impl ClassifyConfig {
    /// The configured splits that learn from every sample.
    pub fn within(&self) -> Vec<Split> {
        Split::WITHIN.into_iter().filter(|split| self.splits.contains(split)).collect()
    }
}

/// Splits into training and test spectra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// A random split of pixels. The neighbours of a test pixel may be training pixels.
    Pixel,
    /// A random split of blocks of pixels.
    Place,
    /// Whole samples are held out, in folds.
    Sample,
}

impl Split {
    /// All splits, in the order of their display.
    pub const ALL: [Self; 3] = [Self::Pixel, Self::Place, Self::Sample];
    /// The splits that learn from every sample.
    pub const WITHIN: [Self; 2] = [Self::Pixel, Self::Place];

    /// Name of the split, `pixel`, `place` or `sample`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pixel => "pixel",
            Self::Place => "place",
            Self::Sample => "sample",
        }
    }
}

/// Results of forests on one representation, for one factor and one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Name of the factor.
    pub factor: String,
    /// Name of the representation.
    pub representation: String,
    /// The split.
    pub split: Split,
    /// Accuracy of each seed.
    pub accuracy: Vec<f64>,
    /// Mean F1 over the classes, of each seed.
    pub macro_f1: Vec<f64>,
    /// Accuracy of the first seed with shuffled labels of spectra. It is the accuracy of chance.
    pub labels_shuffled: f64,
    /// Accuracy of the first seed with shuffled labels of samples. It is the accuracy of recognising single samples.
    pub samples_shuffled: f64,
    /// Figures of the first seed.
    pub report: Report,
    /// Number of training spectra of the first seed.
    pub train: usize,
}

/// Mean and standard deviation over n - 1. The deviation of one value is 0.
pub fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, variance.sqrt())
}

/// Grows and tests forests on every representation, for every factor and the configured splits within samples. All representations have the same splits. The forests
/// of an encoder with several trainings use these in turn, seed by seed.
///
/// # Errors
///
/// [`ClassifyError`] for settings outside their range, and for data that cannot be used or split.
pub fn classify(material: &Material, config: &ClassifyConfig, progress: Progress) -> Result<Vec<Outcome>, ClassifyError> {
    config.check()?;
    material.check()?;
    few_classes(&material.factors)?;
    let splits = config.within();
    let runs = material.factors.len() * splits.len() * material.representations.len() * (config.seeds.len() + 2);
    let mut run = 0;
    let mut outcomes = Vec::new();
    for factor in &material.factors {
        let shuffled = [shuffle_labels(factor, config.seeds[0]), shuffle_samples(material, factor, config.seeds[0])];
        for &split in &splits {
            let parts: Vec<Parts> =
                config.seeds.iter().map(|&seed| split_rows(&material.places, factor, split, config, seed)).collect::<Result<_, _>>()?;
            for representation in &material.representations {
                let trainings = material.trainings(&representation.name);
                let mut test = |factor: &Factor, (i, parts): (usize, &Parts), seed: u64| -> Result<Report, ClassifyError> {
                    progress("classify", run, runs);
                    run += 1;
                    let class: Vec<u16> = parts.train.iter().map(|&r| factor.of[r]).collect();
                    let codes = trainings[i % trainings.len()];
                    let select = |rows: &[usize]| codes.select(rows).map_err(MaterialError::from);
                    let forest = Forest::grow(select(&parts.train)?.view(), &class, factor.classes.len(), config.trees, seed);
                    let right: Vec<u16> = parts.test.iter().map(|&r| factor.of[r]).collect();
                    Ok(Report::new(&factor.classes, &right, &forest.predict(select(&parts.test)?.view())))
                };
                let seeds = parts.iter().enumerate().zip(&config.seeds);
                let reports: Vec<Report> = seeds.map(|(p, &seed)| test(factor, p, seed)).collect::<Result<_, _>>()?;
                let mut by_chance = |shuffled| Ok::<_, ClassifyError>(test(shuffled, (0, &parts[0]), config.seeds[0])?.accuracy);
                let (labels_shuffled, samples_shuffled) = (by_chance(&shuffled[0])?, by_chance(&shuffled[1])?);
                outcomes.push(Outcome {
                    factor: factor.name.clone(),
                    representation: representation.name.clone(),
                    split,
                    accuracy: reports.iter().map(|r| r.accuracy).collect(),
                    macro_f1: reports.iter().map(|r| r.macro_mean.f1).collect(),
                    labels_shuffled,
                    samples_shuffled,
                    report: reports.into_iter().next().expect("there is at least one seed"),
                    train: parts[0].train.len(),
                });
            }
        }
    }
    progress("classify", runs, runs);
    Ok(outcomes)
}

/// Checks that spectra of these labels and places can be split and classified. It needs no representation.
///
/// # Errors
///
/// [`ClassifyError`], as [`classify`] gives it later.
pub fn check_data(factors: &[Factor], places: &[Place], config: &ClassifyConfig) -> Result<(), ClassifyError> {
    few_classes(factors)?;
    for (factor, split) in factors.iter().flat_map(|f| config.within().into_iter().map(move |split| (f, split))) {
        config.seeds.iter().try_for_each(|&seed| split_rows(places, factor, split, config, seed).map(|_| ()))?;
    }
    Ok(())
}

fn few_classes(factors: &[Factor]) -> Result<(), ClassifyError> {
    match factors.iter().find(|f| f.classes.len() > forest::MOST_CLASSES) {
        Some(f) => Err(ClassifyError::TooManyClasses { factor: f.name.clone(), classes: f.classes.len() }),
        None => Ok(()),
    }
}

fn split_rows(places: &[Place], factor: &Factor, split: Split, config: &ClassifyConfig, seed: u64) -> Result<Parts, SplitError> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let parts = match split {
        Split::Pixel => split::by_pixel(factor, config.test, &mut random)?,
        Split::Place | Split::Sample => split::by_place(places, config.test, config.block, config.margin, &mut random)?,
    };
    let parts = parts.limited(factor, config.most_train, config.most_test, &mut random);
    parts.check(factor)?;
    Ok(parts)
}

fn shuffle_labels(factor: &Factor, seed: u64) -> Factor {
    let mut shuffled = factor.clone();
    shuffled.of.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    shuffled
}

/// Gives each sample the label of another. The first spectrum of a sample decides its label.
fn shuffle_samples(material: &Material, factor: &Factor, seed: u64) -> Factor {
    let mut label = BTreeMap::new();
    for (place, &class) in material.places.iter().zip(&factor.of) {
        label.entry(place.sample).or_insert(class);
    }
    let mut labels: Vec<u16> = label.values().copied().collect();
    labels.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    let given: BTreeMap<u32, u16> = label.keys().copied().zip(labels).collect();
    Factor { of: material.places.iter().map(|p| given[&p.sample]).collect(), ..factor.clone() }
}
