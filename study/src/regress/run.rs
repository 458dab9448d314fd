//! From the mean spectra and codes of samples to values, intervals and heads.

use super::baseline::{Baseline, BaselineKind};
use super::config::{FEWEST_FOLDS, RegressConfig};
use super::conformal;
use super::error::RegressError;
use super::folds::{Folds, folds};
use super::head::{Head, Judged};
use super::labels::{Labels, Target};
use super::measures::{self, Given, Measures};
use super::nested::{Nested, Prepared, Problem};
use super::pretreat::Pretreatment;
use crate::data::Dataset;
use crate::progress::Progress;
use crate::reduce::{Name, Study, StudyError};
use nalgebra::{DMatrix, DVector};
use std::collections::HashMap;

/// Spectra that are read together.
const BATCH: usize = 2048;

/// The samples of a study.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Their names.
    pub names: Vec<String>,
    /// Number of spectra of each.
    pub sizes: Vec<f64>,
    /// Mean reflectance of each over its bands.
    pub albedos: Vec<f64>,
    /// Wavelengths of the bands, nm.
    pub wavelengths_nm: Vec<f64>,
}

/// Features of every sample, with the pretreatments that are tried on them.
#[derive(Debug, Clone)]
pub struct Table {
    /// `spectra`, or the folder of a representation.
    pub name: String,
    /// Mean spectra or codes, `(samples, features)`.
    pub values: DMatrix<f64>,
    /// The pretreatments.
    pub pretreatments: Vec<Pretreatment>,
}

/// A sample with its prediction.
#[derive(Debug, Clone)]
pub struct Held {
    /// Index of the sample.
    pub sample: usize,
    /// Its group. Empty for a sample without a label.
    pub group: String,
    /// Its label.
    pub label: Option<f64>,
    /// The fold whose models gave the value. A sample without a label has the value of the head.
    pub fold: Option<usize>,
    /// The value, its interval and its distance.
    pub judged: Judged,
    /// Value of the strongest baseline.
    pub baseline: f64,
}

/// The regression of a label on one table of features.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Name of the label.
    pub target: String,
    /// Its unit.
    pub unit: String,
    /// Name of the table of features.
    pub features: String,
    /// Labelled samples first, and then the others.
    pub held: Vec<Held>,
    /// Number of groups.
    pub groups: usize,
    /// Number of folds.
    pub folds: usize,
    /// Measures of the labelled samples, each predicted without its fold.
    pub measures: Measures,
    /// The strongest baseline.
    pub baseline: BaselineKind,
    /// The models without each fold, in words.
    pub chosen: Vec<String>,
    /// The head of all labelled samples.
    pub head: Head,
}

impl Samples {
    /// The samples of a data set with their mean spectra `(samples, bands)`.
    ///
    /// # Errors
    ///
    /// [`RegressError::Study`] for spectra that cannot be read.
    pub fn of(data: &Dataset) -> Result<(Self, DMatrix<f64>), RegressError> {
        let (bands, count) = (data.spectra.bands(), data.samples.len());
        let mut means = DMatrix::zeros(count, bands);
        let mut sizes = vec![0.0_f64; count];
        let rows: Vec<u32> = (0..data.spectra.len() as u32).collect();
        for some in rows.chunks(BATCH) {
            let values = data.spectra.rows(some).map_err(StudyError::from)?;
            for (row, spectrum) in some.iter().zip(values.chunks_exact(bands)) {
                let sample = data.places[*row as usize].sample as usize;
                sizes[sample] += 1.0;
                spectrum.iter().enumerate().for_each(|(band, value)| means[(sample, band)] += f64::from(*value));
            }
        }
        divide(&mut means, &sizes);
        let albedos = (0..count).map(|sample| means.row(sample).mean()).collect();
        let wavelengths_nm = data.spectra.wavelengths_nm().to_vec();
        Ok((Self { names: data.samples.clone(), sizes, albedos, wavelengths_nm }, means))
    }
}

fn divide(sums: &mut DMatrix<f64>, sizes: &[f64]) {
    sizes.iter().enumerate().for_each(|(sample, size)| sums.row_mut(sample).scale_mut(1.0 / size.max(1.0)));
}

impl Table {
    /// The mean spectra `(samples, bands)` with every pretreatment.
    ///
    /// # Errors
    ///
    /// [`RegressError::NoBands`] where no pretreatment has enough bands.
    pub fn of_spectra(values: DMatrix<f64>, wavelengths_nm: &[f64], config: &RegressConfig) -> Result<Self, RegressError> {
        let pretreatments = Pretreatment::all(wavelengths_nm, config);
        if pretreatments.is_empty() {
            return Err(RegressError::NoBands { bands: wavelengths_nm.len() });
        }
        Ok(Self { name: "spectra".into(), values, pretreatments })
    }

    /// The mean codes of a representation, scaled.
    fn of_codes(study: &Study, folder: &str, sizes: &[f64]) -> Result<Self, RegressError> {
        let codes = study.representation(&representation(study, folder)?)?.codes;
        let mut values = DMatrix::zeros(sizes.len(), codes.dim().1);
        for batch in codes.batches() {
            let (first, batch) = batch.map_err(StudyError::from)?;
            for (row, code) in batch.rows().into_iter().enumerate() {
                let sample = study.data.places[first + row].sample as usize;
                code.iter().enumerate().for_each(|(i, value)| values[(sample, i)] += f64::from(*value));
            }
        }
        divide(&mut values, sizes);
        let pretreatments = vec![Pretreatment::plain("scaled", values.ncols(), true)];
        Ok(Self { name: folder.to_owned(), values, pretreatments })
    }
}

/// The representation with a folder.
fn representation(study: &Study, folder: &str) -> Result<Name, RegressError> {
    let names = study.representations();
    let known = || names.iter().map(Name::folder).collect();
    let found = names.iter().find(|name| name.folder() == folder).cloned();
    found.ok_or_else(|| RegressError::UnknownCodes { name: folder.to_owned(), known: known() })
}

/// The labelled samples of a target, in folds.
struct Known {
    samples: Vec<usize>,
    groups: Vec<String>,
    labels: DVector<f64>,
    folds: Folds,
}

/// The labelled samples of a target. The error says why there are too few, or why they teach nothing.
fn known(labels: &Labels, target: &Target, index: &HashMap<&str, usize>, config: &RegressConfig) -> Result<Known, String> {
    let rows: Vec<usize> = (0..labels.samples.len()).filter(|row| target.values[*row].is_some()).collect();
    let samples: Vec<usize> = rows.iter().filter_map(|row| index.get(labels.samples[*row].as_str()).copied()).collect();
    let values: Vec<f64> = rows.iter().filter_map(|row| target.values[*row]).collect();
    let groups: Vec<String> = rows.iter().map(|row| labels.groups[*row].clone()).collect();
    let folds = folds(&groups, config.folds, config.seed);
    let name = &target.name;
    if folds.groups < FEWEST_FOLDS {
        let of = config.group.as_ref().map_or_else(|| "samples".to_owned(), |group| format!("groups by `{group}`"));
        return Err(format!("column `{name}` has labels of {} {of}; it needs {FEWEST_FOLDS} or more", folds.groups));
    }
    let largest = (0..folds.count).map(|fold| folds.inside(fold).len()).max().unwrap_or_default();
    let (needed, calibrating) = (conformal::fewest(config.level), samples.len() - largest);
    if calibrating < needed {
        return Err(format!(
            "column `{name}` has {} labels, of which {calibrating} calibrate intervals at {} %; {needed} are needed: add samples, or lower \
             regress.level",
            samples.len(),
            100.0 * config.level
        ));
    }
    if let Some(first) = values.first().filter(|first| values.iter().all(|value| value == *first)) {
        return Err(format!("column `{name}` is {first} in every row, which teaches nothing; leave it out of regress.targets"));
    }
    Ok(Known { samples, groups, labels: DVector::from_vec(values), folds })
}

/// Predicts every labelled sample by models that never saw its fold.
pub fn held_out(
    problem: &Problem<'_>,
    nested: &Nested,
    spectra: &DMatrix<f64>,
    config: &RegressConfig,
) -> Option<(Vec<Judged>, Vec<String>)> {
    let mut judged = vec![None; problem.folds.of.len()];
    let mut chosen = Vec::new();
    for fold in 0..problem.folds.count {
        let head = Head::new(problem, nested, spectra, Some(fold), config)?;
        let inside = problem.folds.inside(fold);
        inside.iter().zip(head.judge(&spectra.select_rows(&inside))).for_each(|(sample, of)| judged[*sample] = Some(of));
        chosen.push(head.described);
    }
    Some((judged.into_iter().collect::<Option<Vec<_>>>()?, chosen))
}

/// The head of labelled samples: their spectra `(samples, bands)`, labels and folds.
pub fn head(table: &Table, labels: DVector<f64>, folds: &Folds, config: &RegressConfig) -> Option<Head> {
    let prepared = Prepared::all(table.pretreatments.clone(), &table.values);
    let problem = Problem { prepared: &prepared, labels, folds, components: config.components };
    Head::new(&problem, &Nested::fit(&problem, false), &table.values, None, config)
}

fn outcome(samples: &Samples, table: &Table, target: &Target, known: &Known, config: &RegressConfig) -> Option<Outcome> {
    let spectra = table.values.select_rows(&known.samples);
    let prepared = Prepared::all(table.pretreatments.clone(), &spectra);
    let problem = Problem { prepared: &prepared, labels: known.labels.clone(), folds: &known.folds, components: config.components };
    let nested = Nested::fit(&problem, true);
    let (judged, chosen) = held_out(&problem, &nested, &spectra, config)?;
    let head = Head::new(&problem, &nested, &spectra, None, config)?;
    let further: Vec<usize> = (0..samples.names.len()).filter(|sample| !known.samples.contains(sample)).collect();
    let baseline = Baseline::strongest(&known.labels, &known.folds, (&known.samples, &further), (&samples.albedos, &samples.sizes));
    let labelled = judged.iter().enumerate().map(|(i, judged)| Held {
        sample: known.samples[i],
        group: known.groups[i].clone(),
        label: Some(known.labels[i]),
        fold: Some(known.folds.of[i]),
        judged: *judged,
        baseline: baseline.held_out[i],
    });
    let others = head.judge(&table.values.select_rows(&further));
    let others = others.into_iter().zip(&further).zip(&baseline.further).map(|((judged, sample), baseline)| Held {
        sample: *sample,
        group: String::new(),
        label: None,
        fold: None,
        judged,
        baseline: *baseline,
    });
    let given: Vec<Given> = (judged.iter().zip(&known.labels).zip(&baseline.held_out))
        .map(|((judged, label), baseline)| {
            let Judged { value, lower, upper, .. } = *judged;
            Given { label: *label, value, lower, upper, baseline: *baseline }
        })
        .collect();
    Some(Outcome {
        target: target.name.clone(),
        unit: target.unit.clone(),
        features: table.name.clone(),
        held: labelled.chain(others).collect(),
        groups: known.folds.groups,
        folds: known.folds.count,
        measures: measures::of(&given, &known.groups, config.seed),
        baseline: baseline.kind,
        chosen,
        head,
    })
}

/// The labels of the table, and the labelled samples of each.
fn labelled(study: &Study) -> Result<(Labels, Vec<Known>), RegressError> {
    let config = &study.config().regress;
    let path = config.table.as_deref().ok_or(RegressError::NoTable)?;
    let labels = Labels::read(path, &study.data.samples, config)?;
    let index: HashMap<&str, usize> = study.data.samples.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let (known, faults): (Vec<_>, Vec<_>) =
        labels.targets.iter().map(|target| known(&labels, target, &index, config)).partition(Result::is_ok);
    let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
    if !faults.is_empty() {
        return Err(RegressError::Table { path: path.to_owned(), faults });
    }
    let known = known.into_iter().filter_map(Result::ok).collect();
    Ok((labels, known))
}

/// Checks the table of labels and the names of the codes, before anything is trained.
///
/// # Errors
///
/// [`RegressError`], as [`regress`] gives it later.
pub fn check(study: &Study) -> Result<(), RegressError> {
    study.config().regress.codes.iter().try_for_each(|folder| representation(study, folder).map(|_| ()))?;
    labelled(study).map(|_| ())
}

/// Learns every label of the table from the mean spectra, and from the mean codes that the configuration names. The result are the samples,
/// their mean spectra `(samples, bands)`, and an outcome for each label and table of features.
///
/// # Errors
///
/// [`RegressError`] for a missing or faulty table, for spectra or codes that cannot be read, and for labels that teach nothing.
pub fn regress(study: &Study, progress: Progress) -> Result<(Samples, DMatrix<f64>, Vec<Outcome>), RegressError> {
    let config = &study.config().regress;
    let (labels, known) = labelled(study)?;
    let (samples, means) = Samples::of(&study.data)?;
    let mut tables = vec![Table::of_spectra(means, &samples.wavelengths_nm, config)?];
    for folder in &config.codes {
        tables.push(Table::of_codes(study, folder, &samples.sizes)?);
    }
    let all = tables.len() * known.len();
    let mut outcomes = Vec::new();
    progress("regress", 0, all);
    for (target, known) in labels.targets.iter().zip(&known) {
        for table in &tables {
            outcomes.extend(outcome(&samples, table, target, known, config));
            progress("regress", outcomes.len(), all);
        }
    }
    Ok((samples, tables.swap_remove(0).values, outcomes))
}
