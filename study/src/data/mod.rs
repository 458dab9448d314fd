//! Spectra with their labels, from files of the daemon or of the HIDSAG data set.

mod cubes;
mod dataset;
mod error;
mod gathered;
mod parquet;
mod spectra;

pub use dataset::{Dataset, Reading};
pub use error::DataError;
pub use spectra::Spectra;
pub(crate) use spectra::same;

use gathered::Gathered;
use std::path::{Path, PathBuf};

impl Dataset {
    /// Reads a data set, batch by batch.
    ///
    /// # Errors
    ///
    /// [`DataError`] for sources without spectra, unreadable files, missing labels, and labels of one class. The same for other wavelengths
    /// in a file, and for infinite values. Spectra with NaN in a band are left out, and counted.
    pub fn read(reading: &Reading) -> Result<Self, DataError> {
        let mut gathered = Gathered::new(reading);
        for source in &reading.sources {
            read(source, &reading.labels, &mut gathered)?;
        }
        gathered.finish(reading)
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

/// Finds the files below a path with an ending. Names with a dot at the beginning are incomplete files.
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

#[cfg(test)]
pub(crate) mod tests;
