//! A data set in the making, batch by batch.

use super::dataset::{Dataset, Reading};
use super::error::{DataError, in_short};
use super::spectra::{Kept, Spectra, same, widen};
use crate::table::{Factor, Place};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// One batch of rows from a reader.
pub(super) struct Rows<'a> {
    /// Sample, labels, line and pixel of each row.
    pub heads: Vec<(&'a str, Vec<&'a str>, i32, i32)>,
    /// Spectra, `[row][band]`.
    pub spectra: &'a [f32],
}

/// Classes of one label, numbered in the order of their appearance. [`Classes::into_factor`] sorts them.
#[derive(Default)]
struct Classes {
    known: BTreeMap<String, u16>,
    of: Vec<u16>,
}

impl Classes {
    fn push(&mut self, class: &str) {
        let next = self.known.len() as u16;
        let number = match self.known.get(class) {
            Some(number) => *number,
            None => *self.known.entry(class.to_owned()).or_insert(next),
        };
        self.of.push(number);
    }

    fn into_factor(self, name: &str) -> Result<Factor, DataError> {
        let classes: Vec<String> = self.known.keys().cloned().collect();
        if let [only] = &classes[..] {
            return Err(DataError::OneClass { label: name.to_owned(), class: only.clone() });
        }
        let mut place = vec![0; classes.len()];
        for (i, number) in self.known.values().enumerate() {
            place[usize::from(*number)] = i as u16;
        }
        Ok(Factor { name: name.to_owned(), classes, of: self.of.into_iter().map(|number| place[usize::from(number)]).collect() })
    }
}

/// A data set in the making.
pub(super) struct Gathered {
    wavelengths_nm: Vec<f64>,
    memory: Vec<f32>,
    most: usize,
    scratch: PathBuf,
    file: Option<BufWriter<File>>,
    lowest: Vec<f32>,
    highest: Vec<f32>,
    samples: HashMap<String, u32>,
    names: Vec<String>,
    places: Vec<Place>,
    labels: Vec<Classes>,
    /// Spectra without a value in some band.
    left_out: usize,
}

impl Gathered {
    pub fn new(reading: &Reading) -> Self {
        Self {
            wavelengths_nm: Vec::new(),
            memory: Vec::new(),
            most: reading.memory_mib << 18,
            scratch: reading.scratch.clone(),
            file: None,
            lowest: Vec::new(),
            highest: Vec::new(),
            samples: HashMap::new(),
            names: Vec::new(),
            places: Vec::new(),
            labels: reading.labels.iter().map(|_| Classes::default()).collect(),
            left_out: 0,
        }
    }

    /// Begins a file with these wavelengths.
    pub fn begin(&mut self, path: &Path, wavelengths_nm: &[f64]) -> Result<(), DataError> {
        if self.wavelengths_nm.is_empty() {
            self.wavelengths_nm = wavelengths_nm.to_vec();
            self.lowest = vec![f32::INFINITY; wavelengths_nm.len()];
            self.highest = vec![f32::NEG_INFINITY; wavelengths_nm.len()];
        }
        if same(&self.wavelengths_nm, wavelengths_nm) {
            return Ok(());
        }
        let (expected, found) = (in_short(&self.wavelengths_nm), in_short(wavelengths_nm));
        Err(DataError::Wavelengths { path: path.to_owned(), expected, found })
    }

    /// Adds rows of the file. A row with NaN in some band is left out, as the daemon writes NaN where a band has no value.
    pub fn push(&mut self, path: &Path, rows: &Rows<'_>) -> Result<(), DataError> {
        let bands = self.wavelengths_nm.len();
        let whole = |spectrum: &&[f32]| !spectrum.iter().any(|value| value.is_nan());
        let mut kept = 0;
        for (spectrum, (sample, labels, line, pixel)) in rows.spectra.chunks_exact(bands).zip(&rows.heads) {
            if !whole(&spectrum) {
                continue;
            }
            kept += 1;
            if let Some(band) = spectrum.iter().position(|value| !value.is_finite()) {
                let (path, sample, line, pixel) = (path.to_owned(), (*sample).to_owned(), *line, *pixel);
                return Err(DataError::NotFinite { path, sample, line, pixel, band });
            }
            widen(&mut self.lowest, &mut self.highest, spectrum);
            let sample = match self.samples.get(*sample) {
                Some(index) => *index,
                None => {
                    let index = self.names.len() as u32;
                    self.names.push((*sample).to_owned());
                    self.samples.insert((*sample).to_owned(), index);
                    index
                }
            };
            self.places.push(Place { sample, line: *line, pixel: *pixel });
            self.labels.iter_mut().zip(labels).for_each(|(classes, label)| classes.push(label));
        }
        let all = rows.heads.len();
        self.left_out += all - kept;
        if kept == all {
            return self.keep(rows.spectra);
        }
        let spectra: Vec<f32> = rows.spectra.chunks_exact(bands).filter(whole).flatten().copied().collect();
        self.keep(&spectra)
    }

    fn keep(&mut self, spectra: &[f32]) -> Result<(), DataError> {
        if self.file.is_none() && self.memory.len() + spectra.len() <= self.most {
            self.memory.extend_from_slice(spectra);
            return Ok(());
        }
        let failed = |source| DataError::Open { path: self.scratch.clone(), source };
        if self.file.is_none() {
            std::fs::create_dir_all(&self.scratch).map_err(failed)?;
            let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(&self.scratch).map_err(failed)?);
            write(&mut file, &self.memory).map_err(failed)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            write(file, spectra).map_err(failed)?;
        }
        Ok(())
    }

    pub fn finish(self, reading: &Reading) -> Result<Dataset, DataError> {
        if self.places.is_empty() {
            return Err(DataError::Empty { paths: reading.sources.clone() });
        }
        let kept = match self.file {
            None => Kept::Memory(self.memory),
            Some(file) => match file.into_inner() {
                Ok(file) => Kept::File(file, self.scratch),
                Err(error) => return Err(DataError::Open { path: self.scratch, source: error.into_error() }),
            },
        };
        let factors = reading.labels.iter().zip(self.labels).map(|(name, classes)| classes.into_factor(name));
        let factors = factors.collect::<Result<_, _>>()?;
        let (wavelengths_nm, count) = (self.wavelengths_nm, self.places.len());
        let spectra = Spectra { wavelengths_nm, count, kept, lowest: self.lowest, highest: self.highest };
        Ok(Dataset { spectra, samples: self.names, factors, places: self.places, left_out: self.left_out })
    }
}

fn write(file: &mut BufWriter<File>, values: &[f32]) -> std::io::Result<()> {
    values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}
