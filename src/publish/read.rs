//! A Parquet file, open for reading.

use super::error::PublishError;
use super::schema::{self, key};
use crate::parquet_guard::{self as guard, caught};
use crate::scan::NewerFormat;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder as Builder, RowSelection,
};
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A Parquet file whose footer was read.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    bytes: u64,
    metadata: ArrowReaderMetadata,
}

/// Opens a part whose format this program reads.
///
/// # Errors
/// The file cannot be read, is no Parquet, or is of a newer format.
pub(super) fn open(path: &Path) -> Result<Source, PublishError> {
    let source = open_any(path)?;
    source.check_format()?;
    Ok(source)
}

/// Opens a Parquet file of any format and contents.
///
/// # Errors
/// The file cannot be read, or is no Parquet.
pub(super) fn open_any(path: &Path) -> Result<Source, PublishError> {
    let file = File::open(path).map_err(PublishError::io(path, "read"))?;
    let about = file.metadata().map_err(PublishError::io(path, "read"))?;
    let wrong = PublishError::parquet(path, "read");
    if !about.is_file() {
        return Err(wrong("it is no regular file".to_owned()));
    }
    let metadata = guard::footer(&file, about.len()).and_then(|footer| {
        let metadata = caught(|| ParquetMetaDataReader::decode_metadata(&footer))?;
        caught(|| ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()))
    });
    Ok(Source { metadata: metadata.map_err(wrong)?, path: path.to_owned(), file, bytes: about.len() })
}

impl Source {
    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// What the footer says.
    pub fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.footer().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The metadata of the footer.
    pub fn entries(&self) -> impl Iterator<Item = &KeyValue> {
        self.footer().file_metadata().key_value_metadata().into_iter().flatten()
    }

    /// The version of the format. A file that states none has version 1.
    ///
    /// # Errors
    /// The version is no number.
    pub fn format_version(&self) -> Result<u64, PublishError> {
        let stated = self.entries().find(|entry| entry.key == key::FORMAT_VERSION);
        let Some(version) = stated.and_then(|entry| entry.value.as_deref()) else { return Ok(1) };
        let no_number = |_| format!("{} is `{version}`, which is no number", key::FORMAT_VERSION);
        version.parse().map_err(no_number).map_err(PublishError::parquet(&self.path, "read"))
    }

    /// Refuses a newer format. The policy stands in `src/schema.rs`.
    ///
    /// # Errors
    /// The format is newer, or its version is no number.
    pub fn check_format(&self) -> Result<(), PublishError> {
        Ok(NewerFormat::check(&self.path, self.format_version()?, schema::FORMAT_VERSION)?)
    }

    /// The rows, of some columns or of all.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn batches(self, columns: &dyn Fn(&str) -> bool, limit: Option<usize>) -> Result<Batches, PublishError> {
        self.built(columns, |builder| if let Some(limit) = limit { builder.with_limit(limit) } else { builder })
    }

    /// Some rows, of some columns.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn selected(self, columns: &dyn Fn(&str) -> bool, rows: RowSelection) -> Result<Batches, PublishError> {
        self.built(columns, |builder| builder.with_row_selection(rows))
    }

    fn built(self, columns: &dyn Fn(&str) -> bool, rows_of: impl FnOnce(Builder<File>) -> Builder<File>) -> Result<Batches, PublishError> {
        let Self { path, file, bytes, metadata } = self;
        let made = || {
            let leaves = metadata.metadata().file_metadata().schema_descr().columns();
            let wanted: Vec<bool> = leaves.iter().map(|leaf| leaf.path().parts().first().is_some_and(|name| columns(name))).collect();
            let fields = metadata.schema().fields().iter().filter(|field| columns(field.name()));
            let widths = fields.map(|field| guard::check_type(field.name(), field.data_type()));
            let width = widths.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(1);
            let rows = guard::pages(&file, bytes, metadata.metadata(), &|column| wanted.get(column) == Some(&true), width)?;
            let mask = ProjectionMask::leaves(
                metadata.metadata().file_metadata().schema_descr(),
                wanted.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(column, _)| column),
            );
            let builder = Builder::new_with_metadata(file, metadata).with_projection(mask).with_batch_size(rows);
            let builder = rows_of(builder);
            caught(|| builder.build())
        };
        let reader = made().map_err(PublishError::parquet(&path, "read"))?;
        Ok(Batches { reader: Some(reader), path })
    }
}

/// The rows of a file, some at a time.
pub(super) struct Batches {
    /// None behind the end, or behind an error.
    reader: Option<ParquetRecordBatchReader>,
    path: PathBuf,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, PublishError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        match caught(|| reader.next().transpose()) {
            Ok(Some(batch)) => Some(Ok(batch)),
            Ok(None) => {
                self.reader = None;
                None
            }
            Err(why) => {
                self.reader = None;
                Some(Err(PublishError::parquet(&self.path, "read")(why)))
            }
        }
    }
}
