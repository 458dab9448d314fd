//! What the later steps and the page are made from: everything the study knows of its spectra once they are read and encoded.

use crate::codes::{Codes, CodesError};
use crate::table::{Factor, Place, Representation};
use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// The spectra of a study, in every representation. All rows are in one order, which `places` and the factors share.
#[derive(Debug, Clone, PartialEq)]
pub struct Material {
    /// Names of the samples, which [`Place::sample`] counts.
    pub samples: Vec<String>,
    /// Labels, such as plant, month and size.
    pub factors: Vec<Factor>,
    /// Where each spectrum was measured.
    pub places: Vec<Place>,
    /// Codes of all spectra.
    pub representations: Vec<Representation>,
    /// Codes of further trainings of encoders with other seeds, each named as the representation that it repeats.
    pub retrained: Vec<Representation>,
    /// Wavelength of each band in nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// Some of the measured spectra, because all of them may not fit into memory.
    pub shown: Shown,
    /// What decoders make of the codes of the shown spectra.
    pub decoded: Vec<Decoded>,
    /// How the training of each encoder went.
    pub losses: Vec<LossCurve>,
    /// Facts about the data and the run for the head of the page, such as `("Data", "simulated campaign, seed 1")`.
    pub facts: Vec<(String, String)>,
}

/// Measured spectra of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Their rows, increasing.
    pub rows: Vec<usize>,
    /// `(rows, bands)`, reflectance.
    pub spectra: Array2<f32>,
}

/// Spectra as they come out of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Name of the representation that was decoded.
    pub name: String,
    /// `(shown rows, bands)`, reflectance.
    pub spectra: Array2<f32>,
}

/// Losses of a training, epoch by epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct LossCurve {
    /// Name of the representation whose encoder was trained.
    pub name: String,
    /// Mean loss of the batches of each epoch.
    pub training: Vec<f64>,
    /// Loss on the validation data after each epoch.
    pub validation: Vec<f64>,
}

/// Parts of the material that do not fit together, or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// There is nothing to compare with.
    #[error("there is no label: name the columns that hold them, such as plant, month and size")]
    NoFactor,
    /// A factor that was asked for.
    #[error("there is no label {name:?}; there are: {}", known.join(", "))]
    UnknownFactor {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There are no codes.
    #[error("there is no representation: make PCA or encoder codes first")]
    NoRepresentation,
    /// Rows of one part do not belong to those of another.
    #[error("{part} has {found} {unit}, and {expected} were expected; make all parts from the same data")]
    Size {
        /// The part.
        part: String,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A class or sample without a name.
    #[error("{part} counts up to {found}, and only {expected} have a name; make all parts from the same data")]
    Index {
        /// The part.
        part: String,
        /// The largest index.
        found: usize,
        /// Names there are.
        expected: usize,
    },
    /// Codes that cannot be read.
    #[error(transparent)]
    Codes(#[from] CodesError),
    /// Nothing tells one class from none.
    #[error("all spectra are of class {class:?} of {factor}: leave that label out, or give data with a second class")]
    OneClass {
        /// The factor.
        factor: String,
        /// Its only class.
        class: String,
    },
    /// A value that is not a number.
    #[error(
        "{part}: column {column} of row {row} (sample {sample}, line {line}, pixel {pixel}) is not a finite number: \
         leave that spectrum out, for instance by its quality, and encode again"
    )]
    NotFinite {
        /// The part.
        part: String,
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The row's sample.
        sample: String,
        /// Its line.
        line: i32,
        /// Its pixel.
        pixel: i32,
    },
}

impl Material {
    /// Checks that all parts fit together, that every value is finite, and that every factor has two classes or more.
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

    /// The factor of that name.
    ///
    /// # Errors
    ///
    /// [`MaterialError::UnknownFactor`] with the names that there are.
    pub fn factor(&self, name: &str) -> Result<&Factor, MaterialError> {
        factor_of(&self.factors, name)
    }

    /// Codes of every training of that representation, the one in `representations` first.
    pub fn trainings(&self, name: &str) -> Vec<&Codes> {
        self.representations.iter().chain(&self.retrained).filter(|r| r.name == name).map(|r| &r.codes).collect()
    }

    /// Number of spectra of each sample.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.samples.len()];
        self.places.iter().for_each(|p| counts[p.sample as usize] += 1);
        counts
    }

    /// Mean of each sample's shown spectra `(samples with shown spectra, bands)`, and those samples.
    pub fn means_of_shown(&self) -> (Array2<f32>, Vec<usize>) {
        let mut means = Means::new(self.samples.len(), self.shown.spectra.ncols());
        means.add(&self.shown.spectra, self.shown.rows.iter().map(|&row| self.places[row].sample));
        means.finish()
    }

    /// Mean of each sample's codes `(samples with spectra, features)`, and those samples.
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

    /// At most `most` of the rows for which `wanted` holds, drawn evenly over the samples, in increasing order.
    pub fn draw(&self, most: usize, seed: u64, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut of_sample = vec![Vec::new(); self.samples.len()];
        (0..self.places.len()).filter(|&r| wanted(r)).for_each(|r| of_sample[self.places[r].sample as usize].push(r));
        draw_evenly(of_sample, most, seed)
    }
}

/// Means of samples, of rows that come some at a time.
struct Means {
    sums: Array2<f64>,
    counts: Vec<usize>,
}

impl Means {
    fn new(samples: usize, features: usize) -> Self {
        Self { sums: Array2::zeros((samples, features)), counts: vec![0; samples] }
    }

    /// Adds rows, each of one of `samples`.
    fn add(&mut self, values: &Array2<f32>, samples: impl Iterator<Item = u32>) {
        for (value, sample) in values.rows().into_iter().zip(samples) {
            let sample = sample as usize;
            self.sums.row_mut(sample).zip_mut_with(&value, |s, &v| *s += f64::from(v));
            self.counts[sample] += 1;
        }
    }

    /// The means of the samples that have rows, and those samples.
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
    /// `(rows, features)`
    pub values: Array2<f32>,
}

/// At most `most` of the rows in `groups`, as many of each group as of any other while it has some, in increasing order.
pub(crate) fn draw_evenly(mut groups: Vec<Vec<usize>>, most: usize, seed: u64) -> Vec<usize> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    groups.iter_mut().for_each(|g| g.shuffle(&mut random));
    // Small groups first: what they do not fill is shared by the others.
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

/// The factor of that name among others.
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
