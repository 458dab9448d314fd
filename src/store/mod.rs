//! One self-contained HDF5 per sample.
//!
//! The layout is NeXus (NXdata, NXsample, NXdetector) with the conventions of CF and the dimension scales of netCDF-4. h5py, xarray,
//! silx and HyperSpy open it without code of ours; the names in it stand in `schema.rs`. [`Store`] takes the events of the
//! segmentation line by line, for several samples at once. Each sample needs memory for a few chunks of its cube.

mod chunk;
mod closing;
mod column;
mod cube;
mod error;
mod grid;
mod minerals;
mod native;
mod node;
mod output;
mod pieces;
mod provenance;
mod read;
mod sample_data;
mod sample_file;
mod scale;
mod seen;
mod slices;
mod stored_sample;
mod tables;
mod uncertainty;
mod workers;
mod writing;

pub use crate::schema::FORMAT_VERSION;
pub use error::StoreError;
pub use minerals::{StoredMinerals, add_minerals, mineral_names, minerals_library, read_minerals};
pub(crate) use read::Reading;
pub use read::SampleError;
pub use sample_data::{SampleData, read_sample};
pub use stored_sample::StoredSample;

use crate::config::{Compression, StoreConfig};
use crate::context::ScanContext;
use crate::disk::{Buffers, Hashes, create_folders};
use crate::minerals::Desk;
use crate::native_lines::NativeLines;
use crate::scan::SampleRecord;
use crate::segment::{Sample, SampleEvent};
use closing::Closing;
use sample_file::{FOLDER, SampleFile};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use workers::Workers;
use writing::{Filters, Writing};

/// The stage that writes samples.
#[derive(Debug)]
pub struct Store {
    context: Arc<ScanContext>,
    writing: Arc<Writing>,
    folder: PathBuf,
    open: Vec<SampleFile>,
    closing: Closing,
    native: Vec<Arc<NativeLines>>,
    /// Names of the files so far, lower case and without their ending.
    names: BTreeSet<String>,
}

impl Store {
    /// A store for a scan whose folder is `scan_folder`. It makes the folder `samples` there. The scan's folder is new, or cleared by
    /// recovery.
    ///
    /// # Errors
    /// The folder cannot be made, or a thread cannot be started.
    pub fn new(context: Arc<ScanContext>, config: &StoreConfig, scan_folder: &Path) -> Result<Self, StoreError> {
        let folder = scan_folder.join(FOLDER);
        let failed = |source| StoreError::Io { file: folder.clone(), doing: "created", source };
        create_folders(&folder, scan_folder).map_err(failed)?;
        let buffers = Buffers::new();
        let writing = Writing {
            filters: Filters { deflate: (config.compression == Compression::Deflate).then_some(config.deflate_level) },
            direct: config.direct,
            sync: config.sync,
            workers: Arc::new(Workers::start(config.threads).map_err(|source| StoreError::Threads { source })?),
            tables: OnceLock::new(),
            buffers,
            hashes: None,
            desk: None,
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

    /// Has the files hold the minerals of their samples, which come to the desk.
    pub fn with_minerals(mut self, desk: Arc<Desk>) -> Self {
        // Nobody else has it before the first sample.
        if let Some(writing) = Arc::get_mut(&mut self.writing) {
            writing.desk = Some(desk);
        }
        self
    }

    /// Keeps the own grid of these cameras too. Lines that overlap a row must come before the row. Lines that overlap a sample must
    /// come before it is closed.
    pub fn with_native(self, native: Vec<Arc<NativeLines>>) -> Self {
        Self { native, ..self }
    }

    /// Takes an event. `out` gets the record of each sample whose file is complete by now.
    ///
    /// # Errors
    /// A file cannot be written, or the events are not in order. The error names the file and the place in it.
    pub fn process(&mut self, piece: &SampleEvent, out: &mut dyn FnMut(SampleRecord)) -> Result<(), StoreError> {
        let result = self.take(piece).and_then(|()| self.closing.take(out));
        // After a failure the caller does not call again.
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
                self.open[at].push(row, &self.context)
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

    /// Closes the samples that are still open, with a doubt that says so. `incomplete` gives the reason of a scan that ended early.
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
        self.open.push(SampleFile::create(&self.folder, &stem, sample, &self.context, &self.writing, &self.native)?);
        Ok(())
    }

    /// A file name that no other sample of the scan has or will have. The segmentation may find two objects in one container, and the
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
