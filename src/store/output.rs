//! Large pieces of a file, written past the HDF5 library and past the page cache, into the room that the library gave them.

use super::Writing;
use super::workers::Workers;
use crate::disk::{Behind, Buffer, Buffers, DirectFile, Leave};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a file that are still in memory.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Where they stand in the file.
    pub(crate) at: u64,
    buffer: Arc<Buffer>,
    _leave: Option<Leave>,
}

impl Kept {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }
}

/// What writes the large pieces of a sample's file.
#[derive(Debug)]
pub(super) struct Output {
    file: DirectFile,
    /// What the library writes is made durable meanwhile; none where nothing is.
    behind: Option<Arc<Behind>>,
    kept: Mutex<Vec<Kept>>,
    pub(super) buffers: Arc<Buffers>,
    pub(super) workers: Arc<Workers>,
}

impl Output {
    /// For a file that exists.
    pub(super) fn open(path: &Path, writing: &Writing) -> io::Result<Self> {
        // What is not compressed goes past the cache.
        let cached = writing.sync && writing.filters.deflate.is_some();
        let behind = if cached { Some(Arc::new(Behind::open(path)?)) } else { None };
        let (buffers, workers) = (Arc::clone(&writing.buffers), Arc::clone(&writing.workers));
        Ok(Self { file: DirectFile::open(path, writing.direct)?, behind, kept: Mutex::default(), buffers, workers })
    }

    /// Writes `bytes` at `at`.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write(bytes, at)
    }

    /// Notes that the library wrote `bytes` more into the page cache.
    pub(super) fn cached(&self, bytes: usize) {
        if let Some(behind) = &self.behind
            && behind.wrote(bytes)
        {
            self.workers.sync(behind);
        }
    }

    /// Waits for what is being made durable.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.behind.as_ref().map_or(Ok(()), |behind| behind.settle())
    }

    /// Keeps a piece of the file in memory, if there is room, so that nobody has to read it from the disk again.
    pub(super) fn keep(&self, at: u64, buffer: &Arc<Buffer>) {
        if let Some(leave) = self.buffers.keep(buffer.len()) {
            self.keep_shared(at, buffer, Some(leave));
        }
    }

    /// Keeps a piece of the file that is in memory anyhow.
    pub(super) fn keep_shared(&self, at: u64, buffer: &Arc<Buffer>, leave: Option<Leave>) {
        let kept = Kept { at, buffer: Arc::clone(buffer), _leave: leave };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    /// What was kept, in the order of the file.
    pub(super) fn take_kept(&self) -> Vec<Kept> {
        let mut kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.sort_by_key(|kept| kept.at);
        kept
    }
}
