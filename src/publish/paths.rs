//! Names of the data set's folders and files.

use super::error::PublishError;
use super::schema::SCAN;
use std::path::{Path, PathBuf};

/// The data set under a data root.
pub fn data_set(data_dir: &Path) -> PathBuf {
    data_dir.join("embeddings")
}

/// The folder of a scan in the data set.
pub fn scan_folder(data_dir: &Path, scan_id: &str) -> PathBuf {
    data_set(data_dir).join(format!("{SCAN}={scan_id}"))
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

/// The folder of the parts that are not complete.
pub(super) fn unfinished_folder(data_dir: &Path) -> PathBuf {
    data_dir.join(".embeddings-unfinished")
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
