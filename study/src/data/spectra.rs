//! Spectra in memory, or in a file where they are too many.

use super::error::in_short;
use super::{Classes, DataError, Dataset, Reading, Rows};
use crate::scaling::Scaling;
use crate::table::Place;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Spectra of a data set, reflectance, read by rows.
#[derive(Debug)]
pub struct Spectra {
    wavelengths_nm: Vec<f64>,
    count: usize,
    kept: Kept,
    lowest: Vec<f32>,
    highest: Vec<f32>,
}

#[derive(Debug)]
enum Kept {
    Memory(Vec<f32>),
    /// Little-endian float32, and where the file was made.
    File(File, PathBuf),
}

impl Spectra {
    /// Spectra `[row][band]` that are in memory already; a last row that is not whole is left out.
    pub fn new(wavelengths_nm: Vec<f64>, mut values: Vec<f32>) -> Self {
        let bands = wavelengths_nm.len();
        let count = values.len() / bands.max(1);
        values.truncate(count * bands);
        let (mut lowest, mut highest) = (vec![f32::INFINITY; bands], vec![f32::NEG_INFINITY; bands]);
        for spectrum in values.chunks_exact(bands.max(1)) {
            widen(&mut lowest, &mut highest, spectrum);
        }
        Self { wavelengths_nm, count, kept: Kept::Memory(values), lowest, highest }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Values of a spectrum.
    pub fn bands(&self) -> usize {
        self.wavelengths_nm.len()
    }

    /// Wavelengths of the bands, nm.
    pub fn wavelengths_nm(&self) -> &[f64] {
        &self.wavelengths_nm
    }

    /// Scaling of every band from 0 to 1 over all spectra.
    pub fn scaling(&self) -> Scaling {
        Scaling::new(&self.lowest, &self.highest)
    }

    /// Some spectra, `[row][band]`, in the order of `rows` (each below [`Spectra::len`]).
    pub fn rows(&self, rows: &[u32]) -> Result<Vec<f32>, DataError> {
        let bands = self.bands();
        let mut values = vec![0.0_f32; rows.len() * bands];
        match &self.kept {
            Kept::Memory(all) => {
                for (spectrum, row) in values.chunks_exact_mut(bands).zip(rows) {
                    spectrum.copy_from_slice(&all[*row as usize * bands..][..bands]);
                }
            }
            Kept::File(file, folder) => {
                let mut bytes = Vec::new();
                for (spectrum, row) in values.chunks_exact_mut(bands).zip(rows) {
                    let read = read_floats(file, u64::from(*row) * 4 * bands as u64, spectrum, &mut bytes);
                    read.map_err(|source| DataError::Open { path: folder.clone(), source })?;
                }
            }
        }
        Ok(values)
    }

    /// Refuses a model that was made for other wavelengths.
    pub fn expect_wavelengths(&self, wavelengths_nm: &[f64]) -> Result<(), DataError> {
        if same(&self.wavelengths_nm, wavelengths_nm) {
            return Ok(());
        }
        Err(DataError::ModelWavelengths { model: in_short(wavelengths_nm), data: in_short(&self.wavelengths_nm) })
    }
}

/// Reads little-endian float32 from byte `at` of a file on; `bytes` is room to do so in.
pub(crate) fn read_floats(file: &File, at: u64, values: &mut [f32], bytes: &mut Vec<u8>) -> std::io::Result<()> {
    bytes.resize(size_of_val(values), 0);
    file.read_exact_at(bytes, at)?;
    values.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(value, four)| *value = f32::from_le_bytes(*four));
    Ok(())
}

/// Extremes of every band, with those of one more spectrum.
fn widen(lowest: &mut [f32], highest: &mut [f32], spectrum: &[f32]) {
    for (value, (low, high)) in spectrum.iter().zip(lowest.iter_mut().zip(highest)) {
        (*low, *high) = (low.min(*value), high.max(*value));
    }
}

/// Whether wavelengths are the same, as far as files in text keep them.
pub(crate) fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
}

/// A data set that is being read.
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
        }
    }

    /// A file begins, with these wavelengths.
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

    /// Some rows of the file.
    pub fn push(&mut self, path: &Path, rows: &Rows<'_>) -> Result<(), DataError> {
        let bands = self.wavelengths_nm.len();
        for (spectrum, (sample, labels, line, pixel)) in rows.spectra.chunks_exact(bands).zip(&rows.heads) {
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
        self.keep(rows.spectra)
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
        Ok(Dataset { spectra, samples: self.names, factors, places: self.places })
    }
}

fn write(file: &mut BufWriter<File>, values: &[f32]) -> std::io::Result<()> {
    values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}
