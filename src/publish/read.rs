//! A part, open for reading, and its columns.

use super::error::PublishError;
use super::schema::{self, key};
use crate::scan::NewerFormat;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;

/// Opens a part whose format this program reads.
///
/// # Errors
/// The file cannot be read, is no Parquet, or is of a newer format.
pub(super) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, PublishError> {
    let builder = open_any(path)?;
    check_format(path, &builder)?;
    Ok(builder)
}

/// Opens a Parquet file of any format and contents.
///
/// # Errors
/// The file cannot be read, or is no Parquet.
pub(super) fn open_any(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, PublishError> {
    let file = File::open(path).map_err(PublishError::io(path, "read"))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(PublishError::parquet(path, "read"))
}

/// Refuses a newer format. The policy stands in `store/schema.rs`.
///
/// # Errors
/// The format is newer, or its version is no number.
pub(super) fn check_format(path: &Path, builder: &ParquetRecordBatchReaderBuilder<File>) -> Result<(), PublishError> {
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let stated = entries.into_iter().flatten().find(|entry| entry.key == key::FORMAT_VERSION);
    let Some(version) = stated.and_then(|entry| entry.value.as_deref()) else { return Ok(()) };
    let no_number = |_| format!("{} is `{version}`, which is no number", key::FORMAT_VERSION);
    let version = version.parse().map_err(no_number).map_err(PublishError::parquet(path, "read"))?;
    Ok(NewerFormat::check(path, version, schema::FORMAT_VERSION)?)
}

/// The column of a name and a type.
///
/// # Errors
/// There is none.
pub(super) fn column<'b>(batch: &'b RecordBatch, name: &'static str, kind: &DataType, path: &Path) -> Result<&'b ArrayRef, PublishError> {
    column_of(batch, name, &kind.to_string(), path, |found| found == kind)
}

/// The column of a name whose type fits. `expected` names the type in the error.
///
/// # Errors
/// There is none.
pub(super) fn column_of<'b>(
    batch: &'b RecordBatch,
    column: &'static str,
    expected: &str,
    path: &Path,
    fits: impl FnOnce(&DataType) -> bool,
) -> Result<&'b ArrayRef, PublishError> {
    let foreign = |found: String| Err(PublishError::Foreign { path: path.to_owned(), column, expected: expected.to_owned(), found });
    match batch.column_by_name(column) {
        Some(array) if fits(array.data_type()) => Ok(array),
        Some(array) => foreign(array.data_type().to_string()),
        None => foreign("no such column".to_owned()),
    }
}
