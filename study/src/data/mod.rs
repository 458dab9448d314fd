//! Spectra with their labels, out of the files of the daemon or of the HIDSAG data set.

mod cubes;
mod error;
mod parquet;
mod spectra;

pub use error::DataError;
pub use spectra::Spectra;
pub(crate) use spectra::{read_floats, same};

use crate::table::{Factor, Place};
use spectra::Gathered;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where spectra come from and how they are kept.
#[derive(Debug, Clone)]
pub struct Reading {
    /// A Parquet file or a folder of them (such as `embeddings/` of a data root), a sample HDF5 or a folder of them, or a data set in
    /// the layout of HIDSAG; several of a kind are read one after the other.
    pub sources: Vec<PathBuf>,
    /// Sample keys to take as labels; each needs at least two classes.
    pub labels: Vec<String>,
    /// Spectra up to this size are kept in memory, MiB; beyond it in a file that vanishes with the process.
    pub memory_mib: usize,
    /// Folder of that file.
    pub scratch: PathBuf,
}

/// Spectra without their place in an image, but with their labels.
#[derive(Debug)]
pub struct Dataset {
    /// The spectra, reflectance.
    pub spectra: Spectra,
    /// Names of the samples, in the order of their first spectrum.
    pub samples: Vec<String>,
    /// The labels, in the order of [`Reading::labels`]; classes in alphabetical order.
    pub factors: Vec<Factor>,
    /// Where each spectrum was measured.
    pub places: Vec<Place>,
}

/// One batch of rows as a reader finds them.
struct Rows<'a> {
    /// Name of the sample, its labels, line and pixel, for each row.
    heads: Vec<(&'a str, Vec<&'a str>, i32, i32)>,
    /// Spectra, `[row][band]`.
    spectra: &'a [f32],
}

impl Dataset {
    /// Reads a data set, batch by batch.
    pub fn read(reading: &Reading) -> Result<Self, DataError> {
        let mut gathered = Gathered::new(reading);
        for source in &reading.sources {
            read(source, &reading.labels, &mut gathered)?;
        }
        gathered.finish(reading)
    }

    /// The factor of a name.
    pub fn factor(&self, name: &str) -> Option<&Factor> {
        self.factors.iter().find(|factor| factor.name == name)
    }

    /// Every `n`-th row and so on until `count` rows, drawn evenly over the data set in its order; all when there are no more.
    pub fn evenly(&self, count: usize) -> Vec<u32> {
        let all = self.spectra.len();
        let count = count.min(all);
        (0..count).map(|i| (i * all / count.max(1)) as u32).collect()
    }
}

fn read(source: &Path, labels: &[String], gathered: &mut Gathered) -> Result<(), DataError> {
    if source.join("wavelengths.json").exists() {
        return cubes::read_hidsag(source, labels, gathered);
    }
    let files = |ending: &str| -> Result<Vec<PathBuf>, DataError> {
        let mut found = Vec::new();
        find(source, ending, &mut found)?;
        found.sort();
        Ok(found)
    };
    let tables = files("parquet")?;
    if tables.is_empty() {
        return files("h5")?.iter().try_for_each(|path| cubes::read_sample(path, labels, gathered));
    }
    tables.iter().try_for_each(|path| parquet::read(path, labels, gathered))
}

/// Files below a path that end so; those that begin with a dot are not complete.
fn find(path: &Path, ending: &str, found: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let failed = |source| DataError::Open { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                find(&entry.path(), ending, found)?;
            }
        }
    } else if path.extension().is_some_and(|e| e == ending) {
        found.push(path.to_owned());
    }
    Ok(())
}

/// Labels as they were found, numbered; classes are put in order at the end.
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

#[cfg(test)]
pub(crate) mod tests;
