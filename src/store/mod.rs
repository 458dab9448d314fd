//! One self-contained HDF5 per sample.
//!
//! The layout is NeXus (NXdata, NXsample, NXdetector) with the conventions of CF and the dimension scales of netCDF-4, so that
//! h5py, xarray, silx and HyperSpy open it without code of ours. [`Store`] takes what the segmentation gives, line by line, for
//! several samples at once; what it needs in memory for each is a few chunks of its cube.

mod chunk;
mod closing;
mod column;
mod cube;
mod deflate;
mod error;
mod grid;
mod native;
mod native_lines;
mod node;
mod output;
mod provenance;
mod read;
mod sample_file;
mod scale;
mod stored_sample;
mod tables;
mod workers;

pub use error::StoreError;
pub use native_lines::NativeLines;
pub(crate) use provenance::key_name;
pub(crate) use read::Reading;
pub use read::{SampleData, SampleError, read_sample};
pub use stored_sample::StoredSample;

use crate::config::{Compression, StoreConfig};
use crate::context::ScanContext;
use crate::disk::{Buffers, Hashes};
use crate::scan::SampleRecord;
use crate::segment::{Sample, SampleEvent};
use closing::Closing;
use sample_file::SampleFile;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tables::Tables;
use workers::Workers;

/// Folder of the samples within the scan's.
const FOLDER: &str = "samples";

/// Filters of a dataset.
#[derive(Debug, Clone, Copy, Default)]
struct Filters {
    /// Byte shuffle and deflate of this level, 1 to 9.
    deflate: Option<u8>,
}

/// How and with what files are written.
#[derive(Debug)]
struct Writing {
    filters: Filters,
    direct: bool,
    sync: bool,
    buffers: Arc<Buffers>,
    workers: Arc<Workers>,
    /// Of each camera, made by the thread that completes files when the first is opened.
    tables: OnceLock<Vec<Option<Tables>>>,
    hashes: Option<Arc<Hashes>>,
}

impl Writing {
    fn tables(&self, context: &ScanContext) -> &[Option<Tables>] {
        self.tables.get_or_init(|| context.cameras.iter().map(|camera| Tables::of(camera, &self.buffers)).collect())
    }
}

/// The stage that writes samples.
#[derive(Debug)]
pub struct Store {
    context: Arc<ScanContext>,
    writing: Arc<Writing>,
    folder: PathBuf,
    open: Vec<SampleFile>,
    closing: Closing,
    native: Vec<Arc<NativeLines>>,
    /// File names that this scan has given, lower case.
    names: BTreeSet<String>,
}

impl Store {
    /// A store for a scan whose folder is `scan_folder`: makes its `samples` folder. What an earlier program left there is not its
    /// concern: a scan's folder is new, or cleared by recovery.
    ///
    /// # Errors
    /// Where the folder cannot be made, or no thread be started.
    pub fn new(context: Arc<ScanContext>, config: &StoreConfig, scan_folder: &Path) -> Result<Self, StoreError> {
        let folder = scan_folder.join(FOLDER);
        let failed = |source| StoreError::Io { file: folder.clone(), doing: "created", source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let buffers = Buffers::new();
        let writing = Writing {
            filters: Filters { deflate: (config.compression == Compression::Deflate).then_some(config.deflate_level) },
            direct: config.direct,
            sync: config.sync,
            workers: Arc::new(Workers::start(config.threads).map_err(|source| StoreError::Threads { source })?),
            tables: OnceLock::new(),
            buffers,
            hashes: None,
        };
        let closing = Closing::start().map_err(|source| StoreError::Threads { source })?;
        let writing = Arc::new(writing);
        Ok(Self { context, writing, folder, open: Vec::new(), closing, native: Vec::new(), names: BTreeSet::new() })
    }

    /// Has the files hashed as they are completed.
    pub fn hashed_by(mut self, hashes: Arc<Hashes>) -> Self {
        // Nobody else has it before the first sample.
        if let Some(writing) = Arc::get_mut(&mut self.writing) {
            writing.hashes = Some(hashes);
        }
        self
    }

    /// Keeps the own grid of these cameras too. The lines that overlap a row must be there before the row comes, and those that
    /// overlap a sample before it is closed.
    pub fn with_native(self, native: Vec<Arc<NativeLines>>) -> Self {
        Self { native, ..self }
    }

    /// Takes a piece; `out` is given the record of each sample whose file is complete by now.
    ///
    /// # Errors
    /// Where a file cannot be written, with its path and the path inside it, or the pieces are not in order.
    pub fn process(&mut self, piece: &SampleEvent, out: &mut dyn FnMut(SampleRecord)) -> Result<(), StoreError> {
        let result = self.take(piece).and_then(|()| self.closing.take(out));
        // Whoever is told of a failure asks no more.
        result.inspect_err(|_| _ = self.closing.settle(out))
    }

    /// Gives the records of samples whose files were completed since.
    ///
    /// # Errors
    /// As [`Self::process`].
    pub fn tick(&mut self, out: &mut dyn FnMut(SampleRecord)) -> Result<(), StoreError> {
        let result = self.closing.take(out);
        result.inspect_err(|_| _ = self.closing.settle(out))
    }

    fn take(&mut self, piece: &SampleEvent) -> Result<(), StoreError> {
        match piece {
            SampleEvent::Open(sample) => self.begin(sample),
            SampleEvent::Row(row) => {
                let at = self.find(&row.sample)?;
                self.open[at].push(row, &self.context.axes)
            }
            SampleEvent::Close { sample, lines, doubts } => {
                let at = self.find(sample)?;
                let seen = self.open[at].seen.lines;
                if seen != *lines {
                    let problem = format!("it was closed with {lines} lines, and {seen} came");
                    return Err(StoreError::Order { sample: sample.container.sample.clone(), problem });
                }
                self.finish(at, doubts.clone());
                Ok(())
            }
        }
    }

    /// Closes the samples that are still open, with a doubt that says so; `incomplete` is why the scan did not go to its end.
    ///
    /// # Errors
    /// As [`Self::process`].
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(SampleRecord), incomplete: Option<&str>) -> Result<(), StoreError> {
        while !self.open.is_empty() {
            let why = incomplete.map_or_else(String::new, |reason| format!(": {reason}"));
            self.finish(0, vec![format!("the scan ended before the sample did{why}")]);
        }
        self.closing.settle(out)
    }

    fn begin(&mut self, sample: &Arc<Sample>) -> Result<(), StoreError> {
        let last = sample.first_pixel + sample.width;
        if sample.width == 0 || last > self.context.axes.width {
            let problem = format!("its pixels {} to {last} are not within the grid's {}", sample.first_pixel, self.context.axes.width);
            return Err(StoreError::Order { sample: sample.container.sample.clone(), problem });
        }
        if self.names.is_empty() {
            self.closing.prepare(&self.context, &self.writing);
        }
        let stem = self.name(&sample.container.sample);
        self.open.push(SampleFile::create(&self.folder, &stem, sample, &self.context.axes, &self.writing, &self.native)?);
        Ok(())
    }

    /// A file name that no other sample of the scan has or will have. The segmentation may find two things in one container: the
    /// second must not take the place of the first.
    fn name(&mut self, sample: &str) -> String {
        let meant = |name: &str| self.context.tray.containers.iter().any(|c| c.sample.eq_ignore_ascii_case(name));
        let mut name = sample.to_owned();
        let mut count = 1;
        while self.names.contains(&name.to_lowercase()) || (count > 1 && meant(&name)) {
            count += 1;
            name = format!("{sample}.{count}");
        }
        self.names.insert(name.to_lowercase());
        name
    }

    fn find(&self, sample: &Sample) -> Result<usize, StoreError> {
        self.open.iter().position(|file| file.sample.number == sample.number).ok_or_else(|| StoreError::Order {
            sample: sample.container.sample.clone(),
            problem: format!("a piece of number {} came, which is not open", sample.number),
        })
    }

    fn finish(&mut self, at: usize, doubts: Vec<String>) {
        let file = self.open.remove(at);
        let complete = file.complete(&self.context, doubts);
        self.closing.give(file, complete, &self.context, &self.writing);
    }
}
