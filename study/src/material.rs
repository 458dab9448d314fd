//! The material of the later steps and of the page: spectra, codes and labels after the reduction.

use crate::codes::{Codes, CodesError};
use crate::table::{Factor, Place, Representation};
use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// The spectra of a study, in every representation. Codes, places and factors have their rows in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Material {
    /// Names of the samples. [`Place::sample`] is an index in them.
    pub samples: Vec<String>,
    /// Labels, such as plant, month and size.
    pub factors: Vec<Factor>,
    /// The place of each spectrum.
    pub places: Vec<Place>,
    /// Codes of all spectra.
    pub representations: Vec<Representation>,
    /// Codes of further trainings with other seeds. Each has the name of the representation that it repeats.
    pub retrained: Vec<Representation>,
    /// Wavelength of each band in nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// A part of the measured spectra. All of them need not fit into memory.
    pub shown: Shown,
    /// Codes by encoders that have not seen the samples of a fold.
    pub held_out: Option<HeldOut>,
    /// Spectra that decoders make from the codes of the shown spectra.
    pub decoded: Vec<Decoded>,
    /// The loss of the training of each encoder.
    pub losses: Vec<LossCurve>,
    /// Facts about data and run for the head of the page, such as `("Data", "simulated campaign, seed 1")`.
    pub facts: Vec<(String, String)>,
}

/// Codes by encoders that were fitted without the samples of one fold, for each fold.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// The fold of each sample.
    pub fold_of: Vec<u32>,
    /// Number of folds.
    pub folds: usize,
    /// Rows that have codes here, increasing. They are drawn evenly over the samples.
    pub rows: Vec<usize>,
    /// Representations whose encoders were fitted for each fold.
    pub refitted: Vec<Refitted>,
}

/// Codes of one representation, by an encoder for each fold.
#[derive(Debug, Clone, PartialEq)]
pub struct Refitted {
    /// Name of the representation.
    pub name: String,
    /// Codes `(rows of HeldOut, latent)` by the encoder of each fold.
    pub codes: Vec<Array2<f32>>,
    /// Features of all samples by the encoder of each fold, as [`crate::classify::containers::features`] gives them.
    pub containers: Vec<Array2<f32>>,
}

/// Measured spectra of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Rows of the spectra, increasing.
    pub rows: Vec<usize>,
    /// The spectra `(rows, bands)`, reflectance.
    pub spectra: Array2<f32>,
}

/// Spectra from a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Name of the decoded representation.
    pub name: String,
    /// The spectra `(shown rows, bands)`, reflectance.
    pub spectra: Array2<f32>,
}

/// Losses of a training, epoch by epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct LossCurve {
    /// Name of the encoder's representation.
    pub name: String,
    /// Mean loss of the batches of each epoch.
    pub training: Vec<f64>,
    /// Loss on the validation data after each epoch.
    pub validation: Vec<f64>,
}

/// Why the material cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// There is no factor.
    #[error("there is no label: name the columns that hold them, such as plant, month and size")]
    NoFactor,
    /// A factor does not exist.
    #[error("there is no label {name:?}; there are: {}", known.join(", "))]
    UnknownFactor {
        /// The unknown name.
        name: String,
        /// The names of the factors.
        known: Vec<String>,
    },
    /// There is no representation.
    #[error("there is no representation: make PCA or encoder codes first")]
    NoRepresentation,
    /// Two parts differ in size.
    #[error("{part} has {found} {unit}, and {expected} were expected; make all parts from the same data")]
    Size {
        /// The name of the part.
        part: String,
        /// The counted unit.
        unit: &'static str,
        /// The number found.
        found: usize,
        /// The expected number.
        expected: usize,
    },
    /// A class or sample has no name.
    #[error("{part} counts up to {found}, and only {expected} have a name; make all parts from the same data")]
    Index {
        /// The name of the part.
        part: String,
        /// The largest index.
        found: usize,
        /// The number of names.
        expected: usize,
    },
    /// The codes cannot be read.
    #[error(transparent)]
    Codes(#[from] CodesError),
    /// A factor has one class only.
    #[error("all spectra are of class {class:?} of {factor}: leave that label out, or give data with a second class")]
    OneClass {
        /// The factor's name.
        factor: String,
        /// Its only class.
        class: String,
    },
    /// A value is not finite.
    #[error(
        "{part}: column {column} of row {row} (sample {sample}, line {line}, pixel {pixel}) is not a finite number: \
         leave that spectrum out, for instance by its quality, and encode again"
    )]
    NotFinite {
        /// The name of the part.
        part: String,
        /// The row's number, from 0.
        row: usize,
        /// The column's number, from 0.
        column: usize,
        /// The name of the row's sample.
        sample: String,
        /// The row's line in the sample.
        line: i32,
        /// The row's pixel in the sample.
        pixel: i32,
    },
}

impl Material {
    /// Checks that all parts fit together, all values are finite, and every factor has two classes or more.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] with the first fault.
    pub fn check(&self) -> Result<(), MaterialError> {
        let size = |part: &str, unit, found, expected| match found == expected {
            true => Ok(()),
            false => Err(MaterialError::Size { part: part.to_owned(), unit, found, expected }),
        };
        let n = self.places.len();
        if self.factors.is_empty() {
            return Err(MaterialError::NoFactor);
        }
        if self.representations.is_empty() {
            return Err(MaterialError::NoRepresentation);
        }
        if let Some(most) = self.places.iter().map(|p| p.sample as usize).max().filter(|&m| m >= self.samples.len()) {
            return Err(MaterialError::Index { part: "the samples of the places".into(), found: most, expected: self.samples.len() });
        }
        for factor in &self.factors {
            size(&factor.name, "labels", factor.of.len(), n)?;
            check_factor(factor)?;
        }
        for r in self.representations.iter().chain(&self.retrained) {
            size(&r.name, "rows", r.codes.dim().0, n)?;
            for batch in r.codes.batches() {
                let (first, codes) = batch?;
                self.check_finite(&r.name, &codes, |row| first + row)?;
            }
        }
        let bands = self.wavelengths_nm.len();
        let shown = self.shown.rows.len();
        if let Some(&most) = self.shown.rows.iter().max().filter(|&&m| m >= n) {
            return Err(MaterialError::Index { part: "the rows of the shown spectra".into(), found: most, expected: n });
        }
        let spectra = std::iter::once(("spectra", &self.shown.spectra)).chain(self.decoded.iter().map(|d| (d.name.as_str(), &d.spectra)));
        for (name, spectra) in spectra {
            size(name, "rows", spectra.nrows(), shown)?;
            size(name, "bands", spectra.ncols(), bands)?;
            self.check_finite(name, spectra, |row| self.shown.rows[row])?;
        }
        Ok(())
    }

    fn check_finite(&self, part: &str, values: &Array2<f32>, row_of: impl Fn(usize) -> usize) -> Result<(), MaterialError> {
        let Some(((row, column), _)) = values.indexed_iter().find(|(_, v)| !v.is_finite()) else { return Ok(()) };
        let row = row_of(row);
        let Place { sample, line, pixel } = self.places[row];
        let sample = self.samples[sample as usize].clone();
        Err(MaterialError::NotFinite { part: part.to_owned(), row, column, sample, line, pixel })
    }

    /// The factor with a name.
    ///
    /// # Errors
    ///
    /// [`MaterialError::UnknownFactor`] with the names of the factors.
    pub fn factor(&self, name: &str) -> Result<&Factor, MaterialError> {
        factor_of(&self.factors, name)
    }

    /// Codes of every training of a representation. The training in `representations` comes first.
    pub fn trainings(&self, name: &str) -> Vec<&Codes> {
        self.representations.iter().chain(&self.retrained).filter(|r| r.name == name).map(|r| &r.codes).collect()
    }

    /// Number of spectra of each sample.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.samples.len()];
        self.places.iter().for_each(|p| counts[p.sample as usize] += 1);
        counts
    }

    /// Means of the shown spectra of each sample, `(samples with shown spectra, bands)`, and these samples.
    pub fn means_of_shown(&self) -> (Array2<f32>, Vec<usize>) {
        let mut means = Means::new(self.samples.len(), self.shown.spectra.ncols());
        means.add(&self.shown.spectra, self.shown.rows.iter().map(|&row| self.places[row].sample));
        means.finish()
    }

    /// Means of the codes of each sample, `(samples with spectra, features)`, and these samples.
    ///
    /// # Errors
    ///
    /// [`MaterialError::Codes`] for codes that cannot be read.
    pub fn means_of_codes(&self, codes: &Codes) -> Result<(Array2<f32>, Vec<usize>), MaterialError> {
        let mut means = Means::new(self.samples.len(), codes.dim().1);
        for batch in codes.batches() {
            let (first, values) = batch?;
            means.add(&values, self.places[first..].iter().map(|place| place.sample));
        }
        Ok(means.finish())
    }

    /// At most `most` rows of the shown spectra and of each representation, drawn evenly over the samples.
    ///
    /// # Errors
    ///
    /// [`MaterialError::Codes`] for codes that cannot be read.
    pub fn drawn(&self, most: usize, seed: u64) -> Result<Vec<Drawn>, MaterialError> {
        let place = |row: &usize| self.shown.rows.binary_search(row);
        let rows = self.draw(most, seed, |row| place(&row).is_ok());
        let places: Vec<usize> = rows.iter().filter_map(|r| place(r).ok()).collect();
        let mut drawn = Vec::new();
        if !rows.is_empty() {
            drawn.push(Drawn { name: "spectra".into(), values: self.shown.spectra.select(Axis(0), &places), rows });
        }
        let rows = self.draw(most, seed, |_| true);
        for r in &self.representations {
            drawn.push(Drawn { name: r.name.clone(), values: r.codes.select(&rows)?, rows: rows.clone() });
        }
        Ok(drawn)
    }

    /// At most `most` of the rows that `wanted` accepts, drawn evenly over the samples, in increasing order.
    pub fn draw(&self, most: usize, seed: u64, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut of_sample = vec![Vec::new(); self.samples.len()];
        (0..self.places.len()).filter(|&r| wanted(r)).for_each(|r| of_sample[self.places[r].sample as usize].push(r));
        draw_evenly(of_sample, most, seed)
    }
}

/// Means of samples, over rows that come batch by batch.
struct Means {
    sums: Array2<f64>,
    counts: Vec<usize>,
}

impl Means {
    fn new(samples: usize, features: usize) -> Self {
        Self { sums: Array2::zeros((samples, features)), counts: vec![0; samples] }
    }

    /// Adds rows. `samples` names the sample of each.
    fn add(&mut self, values: &Array2<f32>, samples: impl Iterator<Item = u32>) {
        for (value, sample) in values.rows().into_iter().zip(samples) {
            let sample = sample as usize;
            self.sums.row_mut(sample).zip_mut_with(&value, |s, &v| *s += f64::from(v));
            self.counts[sample] += 1;
        }
    }

    /// The means of the samples that have rows, and these samples.
    fn finish(mut self) -> (Array2<f32>, Vec<usize>) {
        let there: Vec<usize> = (0..self.counts.len()).filter(|&s| self.counts[s] > 0).collect();
        self.sums.axis_iter_mut(Axis(0)).zip(&self.counts).for_each(|(mut sum, &count)| sum /= count.max(1) as f64);
        (self.sums.select(Axis(0), &there).mapv(|v| v as f32), there)
    }
}

/// Some rows of one representation, or of the measured spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Name of the representation, or `spectra`.
    pub name: String,
    /// Rows of the material, increasing.
    pub rows: Vec<usize>,
    /// The values `(rows, features)`.
    pub values: Array2<f32>,
}

/// At most `most` of the rows in `groups`, in increasing order. Each group gives the same number, as long as it has rows.
pub(crate) fn draw_evenly(mut groups: Vec<Vec<usize>>, most: usize, seed: u64) -> Vec<usize> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    groups.iter_mut().for_each(|g| g.shuffle(&mut random));
    // Small groups come first. The others share the rows that these lack.
    groups.sort_by_key(|g| (g.len(), g.first().copied()));
    let count = groups.len();
    let mut drawn: Vec<usize> = Vec::new();
    for (i, group) in groups.into_iter().enumerate() {
        let fair = (most - drawn.len()) / (count - i);
        drawn.extend(group.into_iter().take(fair));
    }
    drawn.sort_unstable();
    drawn
}

/// The factor with a name, among others.
pub(crate) fn factor_of<'a>(factors: &'a [Factor], name: &str) -> Result<&'a Factor, MaterialError> {
    factors
        .iter()
        .find(|f| f.name == name)
        .ok_or_else(|| MaterialError::UnknownFactor { name: name.to_owned(), known: factors.iter().map(|f| f.name.clone()).collect() })
}

fn check_factor(factor: &Factor) -> Result<(), MaterialError> {
    let most = factor.of.iter().copied().max().map_or(0, usize::from);
    if most >= factor.classes.len() {
        let part = format!("the classes of {}", factor.name);
        return Err(MaterialError::Index { part, found: most, expected: factor.classes.len() });
    }
    match factor.of.first() {
        Some(&first) if factor.of.iter().any(|&c| c != first) => Ok(()),
        _ => {
            let class = factor.of.first().map_or("none", |&c| &factor.classes[usize::from(c)]).to_owned();
            Err(MaterialError::OneClass { factor: factor.name.clone(), class })
        }
    }
}
