//! The stage: embeddings in, parts of the data set out.

use super::columns::{self, Columns};
use super::error::PublishError;
use super::minerals::unfinished;
use super::part::{OpenPart, make_folders, remove_parts, sync_folder};
use super::paths::{DataSet, is_unfinished, names, part_name, part_number, unfinished_name};
use crate::config::PublishConfig;
use crate::context::{EncoderContext, ScanContext};
use crate::encode::Embedded;
use arrow_schema::Schema;
use parquet::file::properties::WriterProperties;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A complete file of the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: usize,
}

/// Appends a scan's embeddings to the data set.
pub struct Publish {
    scan_id: String,
    folder: PathBuf,
    hidden: PathBuf,
    schema: Arc<Schema>,
    properties: WriterProperties,
    columns: Columns,
    max_rows: usize,
    max_age: Duration,
    next: u32,
    part: Option<OpenPart>,
    /// When [`Publish::tick`] first saw rows in the open part.
    oldest: Option<Instant>,
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish").field("folder", &self.folder).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Publish {
    /// A stage for the embeddings of one scan by an encoder. Its parts go to `scan=<scan_id>` in `set`. It removes the unfinished parts of
    /// an interrupted publication of the scan.
    ///
    /// # Errors
    /// The scan has parts already (see [`withdraw`]), or the folder cannot be made.
    pub fn new(context: &ScanContext, encoder: &EncoderContext, config: &PublishConfig, set: &DataSet) -> Result<Self, PublishError> {
        let this = Self::resume(context, encoder, config, set)?;
        if this.next > 0 { Err(PublishError::AlreadyPublished { folder: this.folder }) } else { Ok(this) }
    }

    /// A stage as of [`Publish::new`]. It goes on behind the parts that the scan has already.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn resume(context: &ScanContext, encoder: &EncoderContext, config: &PublishConfig, set: &DataSet) -> Result<Self, PublishError> {
        let (folder, hidden) = (set.scan_folder(&context.scan_id), set.unfinished());
        make_folders(&folder, &hidden, set.data_dir())?;
        let next = names(&folder)?.iter().filter_map(|name| part_number(name)).max().map_or(0, |last| last + 1);
        remove_unfinished(&hidden, &context.scan_id)?;
        for above in folder.ancestors().skip(1).take(2) {
            sync_folder(above)?;
        }
        let schema = columns::schema(context, encoder, config.spectra);
        Ok(Self {
            scan_id: context.scan_id.clone(),
            folder,
            hidden,
            properties: columns::properties(context, encoder, config.spectra),
            columns: Columns::new(context, Arc::clone(&schema), encoder, config.spectra),
            schema,
            max_rows: config.max_rows.max(1),
            max_age: Duration::try_from_secs_f64(config.max_age_s).unwrap_or(Duration::MAX),
            next,
            part: None,
            oldest: None,
        })
    }

    /// Takes a batch of embeddings. Parts that thereby have their number of rows go to `out`.
    ///
    /// # Errors
    /// The file cannot be written, or the batch has another width than the scan.
    pub fn process(&mut self, batch: &Embedded, out: &mut dyn FnMut(Part)) -> Result<(), PublishError> {
        self.check(batch)?;
        let mut first = 0;
        while first < batch.rows.len() {
            let mut part = match self.part.take() {
                Some(part) => part,
                None => {
                    let hidden = self.hidden.join(unfinished_name(&self.scan_id, self.next));
                    let path = self.folder.join(part_name(self.next));
                    self.next += 1;
                    OpenPart::create(hidden, path, &self.schema, &self.properties)?
                }
            };
            let last = batch.rows.len().min(first + self.max_rows - part.rows);
            part.extend(&mut self.columns, batch, first..last)?;
            first = last;
            let full = part.rows >= self.max_rows;
            self.part = Some(part);
            if full {
                self.close(out)?;
            }
        }
        Ok(())
    }

    /// Closes the open part when its oldest row is too old at `now`. A row's age counts from the first call that finds it. The caller
    /// therefore calls this between batches and, while none come, several times within `max_age_s`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn tick(&mut self, now: Instant, out: &mut dyn FnMut(Part)) -> Result<(), PublishError> {
        if self.part.is_none() {
            return Ok(());
        }
        let oldest = *self.oldest.get_or_insert(now);
        if now.saturating_duration_since(oldest) >= self.max_age { self.close(out) } else { Ok(()) }
    }

    /// Closes the last part.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(Part)) -> Result<(), PublishError> {
        self.close(out)
    }

    fn close(&mut self, out: &mut dyn FnMut(Part)) -> Result<(), PublishError> {
        self.oldest = None;
        if let Some(part) = self.part.take() {
            let (path, rows) = part.close(&mut self.columns)?;
            out(Part { path, rows });
        }
        Ok(())
    }

    fn check(&self, batch: &Embedded) -> Result<(), PublishError> {
        let rows = batch.rows.len();
        let width = |what, expected: usize, numbers: usize| match numbers {
            n if n == expected * rows => Ok(()),
            n => Err(PublishError::Width { what, expected, found: n / rows.max(1) }),
        };
        width("embeddings", self.columns.dimensions(), batch.embeddings.len())?;
        if self.columns.tells_novelty() {
            width("novelty", 1, batch.novelty.len())?;
        }
        // Spectra that came and are not wanted do no harm.
        if self.columns.bands() == 0 { Ok(()) } else { width("spectra", self.columns.bands(), batch.spectra.len()) }
    }
}

/// Takes a scan's parts out of a data set, so that recovery can publish the scan anew. Gives their number.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub fn withdraw(set: &DataSet, scan_id: &str) -> Result<usize, PublishError> {
    let folder = set.scan_folder(scan_id);
    if !folder.is_dir() {
        return Ok(0);
    }
    let removed = remove_parts(&folder)?;
    remove_unfinished(&set.unfinished(), scan_id)?;
    Ok(removed)
}

/// Removes the unfinished parts of an interrupted publication of a scan.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub fn clear_unfinished(data_dir: &Path, scan_id: &str) -> Result<(), PublishError> {
    hidden(data_dir)?.iter().try_for_each(|hidden| remove_unfinished(hidden, scan_id))
}

/// Removes the unfinished parts of all scans. Nobody writes any.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub fn clear_all_unfinished(data_dir: &Path) -> Result<(), PublishError> {
    for hidden in hidden(data_dir)? {
        let all = if hidden.is_dir() { names(&hidden)? } else { Vec::new() };
        for path in all.iter().filter(|name| name.ends_with(".parquet")).map(|name| hidden.join(name)) {
            std::fs::remove_file(&path).map_err(PublishError::io(&path, "removed"))?;
        }
    }
    Ok(())
}

/// The folders of the parts that are not complete.
fn hidden(data_dir: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let of_embeddings = DataSet::all(data_dir)?.iter().map(DataSet::unfinished).collect::<Vec<_>>();
    Ok(of_embeddings.into_iter().chain([unfinished(data_dir)]).collect())
}

fn remove_unfinished(hidden: &Path, scan_id: &str) -> Result<(), PublishError> {
    if !hidden.is_dir() {
        return Ok(());
    }
    for name in names(hidden)?.iter().filter(|name| is_unfinished(name, scan_id)) {
        let path = hidden.join(name);
        std::fs::remove_file(&path).map_err(PublishError::io(&path, "removed"))?;
    }
    Ok(())
}
