//! Names of the data set's folders and files.

use super::error::PublishError;
use super::schema::SCAN;
use crate::config::is_encoder_name;
use crate::scan::MAIN;
use std::path::{Path, PathBuf};

/// Name of the data set of the encoder [`MAIN`].
const EMBEDDINGS: &str = "embeddings";

/// The data set of an encoder's embeddings under a data root. Encoders differ in their dimensions, so each has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    data_dir: PathBuf,
    name: String,
}

impl DataSet {
    /// The data set of the encoder [`MAIN`].
    pub fn main(data_dir: &Path) -> Self {
        Self::of(data_dir, MAIN)
    }

    /// The data set of an encoder by its name.
    pub fn of(data_dir: &Path, encoder: &str) -> Self {
        let name = if encoder == MAIN { EMBEDDINGS.to_owned() } else { format!("{EMBEDDINGS}-{encoder}") };
        Self { data_dir: data_dir.to_owned(), name }
    }

    /// The data sets of all encoders on the disk.
    ///
    /// # Errors
    /// The data root cannot be read.
    pub fn all(data_dir: &Path) -> Result<Vec<Self>, PublishError> {
        let found = if data_dir.is_dir() { names(data_dir)? } else { Vec::new() };
        let encoder = |name: &String| match name.strip_prefix(EMBEDDINGS)? {
            "" => Some(MAIN.to_owned()),
            rest => rest.strip_prefix('-').filter(|encoder| is_encoder_name(encoder)).map(str::to_owned),
        };
        Ok(found.iter().filter_map(encoder).map(|encoder| Self::of(data_dir, &encoder)).collect())
    }

    /// Its name, which is that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.data_dir.join(&self.name)
    }

    /// The folder of a scan in it.
    pub fn scan_folder(&self, scan_id: &str) -> PathBuf {
        self.folder().join(format!("{SCAN}={scan_id}"))
    }

    /// The folder of the parts that are not complete.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.data_dir.join(format!(".{}-unfinished", self.name))
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

/// The scan's id by the name of its folder in the data set.
pub(super) fn scan_of(folder: &str) -> Option<&str> {
    folder.strip_prefix(SCAN)?.strip_prefix('=')
}

/// The name of a part by its number.
pub(super) fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

/// The number of a part by its file name.
pub(super) fn part_number(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}

/// The name of a part that is not complete.
pub(super) fn unfinished_name(scan_id: &str, number: u32) -> String {
    format!("{scan_id}.{}", part_name(number))
}

/// Whether this is the name of a part of the scan that is not complete.
pub(super) fn is_unfinished(name: &str, scan_id: &str) -> bool {
    name.strip_prefix(scan_id).and_then(|rest| part_number(rest.strip_prefix('.')?)).is_some()
}

/// The names in a folder, sorted.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, PublishError> {
    let entries = std::fs::read_dir(folder).map_err(PublishError::io(folder, "read"))?;
    let mut names = entries
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(PublishError::io(folder, "read"))?;
    names.sort_unstable();
    Ok(names)
}
