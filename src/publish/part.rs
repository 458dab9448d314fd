//! One file of the data set while it is being written.

use super::columns::Columns;
use super::error::PublishError;
use super::paths::{names, part_number};
use crate::encode::Embedded;
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of numbers that are gathered before the Parquet writer gets them.
const GATHER_BYTES: usize = 512 << 10;

/// One file of the data set while it is being written, under a hidden name. A drop before it is closed removes it.
pub(super) struct OpenPart {
    writer: Option<ArrowWriter<File>>,
    hidden: PathBuf,
    path: PathBuf,
    /// Rows so far.
    pub rows: usize,
}

impl OpenPart {
    /// A part that is written as `hidden` and becomes `path`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(hidden: PathBuf, path: PathBuf, schema: &Arc<Schema>, properties: &WriterProperties) -> Result<Self, PublishError> {
        let file = crate::disk::create_over(&hidden).map_err(PublishError::io(&hidden, "created"))?;
        let mut part = Self { writer: None, path, rows: 0, hidden };
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties.clone()));
        part.writer = Some(writer.map_err(PublishError::parquet(&part.hidden, "written"))?);
        Ok(part)
    }

    /// Adds some rows of a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn extend(&mut self, columns: &mut Columns, batch: &Embedded, rows: Range<usize>) -> Result<(), PublishError> {
        self.rows += rows.len();
        columns.extend(batch, rows);
        let gathered = columns.len() * 4 * (columns.dimensions() + columns.bands() + 8);
        if gathered >= GATHER_BYTES { self.hand_over(columns) } else { Ok(()) }
    }

    fn hand_over(&mut self, columns: &mut Columns) -> Result<(), PublishError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        columns.write(writer).map_err(PublishError::parquet(&self.hidden, "written"))
    }

    /// Completes the file, makes it durable, and gives it its name. Gives its path and rows.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn close(mut self, columns: &mut Columns) -> Result<(PathBuf, usize), PublishError> {
        self.hand_over(columns)?;
        if let Some(writer) = self.writer.take() {
            let file = writer.into_inner().map_err(PublishError::parquet(&self.hidden, "written"))?;
            file.sync_all().map_err(PublishError::io(&self.hidden, "written"))?;
        }
        std::fs::rename(&self.hidden, &self.path).map_err(PublishError::io(&self.path, "renamed to"))?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder)?;
        }
        self.hidden = PathBuf::new();
        Ok((std::mem::take(&mut self.path), self.rows))
    }
}

impl Drop for OpenPart {
    fn drop(&mut self) {
        if !self.hidden.as_os_str().is_empty() {
            // A file that remains harms nobody. No reader sees it, and the next publication of the scan removes it.
            let _ = std::fs::remove_file(&self.hidden);
        }
    }
}

/// Makes a folder's entries durable.
///
/// # Errors
/// The disk refuses.
pub(super) fn sync_folder(folder: &Path) -> Result<(), PublishError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(PublishError::io(folder, "written"))
}

/// Makes the folder of a scan's parts, and that of parts that are not complete.
///
/// # Errors
/// A folder cannot be made, or a part could not be renamed from one to the other.
pub(super) fn make_folders(folder: &Path, hidden: &Path, data_dir: &Path) -> Result<(), PublishError> {
    let mut file_systems = Vec::new();
    for made in [folder, hidden] {
        crate::disk::create_folders(made, data_dir).map_err(PublishError::io(made, "created"))?;
        file_systems.push(std::fs::metadata(made).map_err(PublishError::io(made, "read"))?.dev());
    }
    if file_systems[0] != file_systems[1] {
        return Err(PublishError::TwoFileSystems { hidden: hidden.to_owned(), folder: folder.to_owned() });
    }
    Ok(())
}

/// Removes the parts in the folder of a scan. Gives their number.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub(super) fn remove_parts(folder: &Path) -> Result<usize, PublishError> {
    let mut removed = 0;
    for name in names(folder)?.into_iter().filter(|name| part_number(name).is_some()) {
        let path = folder.join(name);
        std::fs::remove_file(&path).map_err(PublishError::io(&path, "removed"))?;
        removed += 1;
    }
    sync_folder(folder)?;
    Ok(removed)
}
