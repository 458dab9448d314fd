//! Large pieces of a file, written past the HDF5 library and past the page cache, into the room that the library gave them.

use super::Writing;
use super::workers::{Done, Job, Workers};
use crate::disk::{BackgroundSync, Buffer, Buffers, DirectFile, Hashed};
use crate::sync::lock;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What writes the large pieces of a sample's file.
#[derive(Debug)]
pub(super) struct Output {
    file: DirectFile,
    /// What the library writes is made durable meanwhile; none where nothing is.
    behind: Option<Arc<BackgroundSync>>,
    /// What threads write for [`Output::write_later`], and what they say.
    given: AtomicUsize,
    done: (Sender<Done>, Receiver<Done>),
    /// The pieces written, where the file is to be hashed.
    hashed: Option<Mutex<Hashed>>,
    pub(super) buffers: Arc<Buffers>,
    pub(super) workers: Arc<Workers>,
}

impl Output {
    /// For a file that exists.
    pub(super) fn open(path: &Path, writing: &Writing) -> io::Result<Self> {
        // What is not compressed goes past the cache.
        let cached = writing.sync && writing.filters.deflate.is_some();
        let behind = if cached { Some(Arc::new(BackgroundSync::open(path)?)) } else { None };
        let hashed = writing.hashes.as_ref().map(|_| Mutex::default());
        let (buffers, workers) = (Arc::clone(&writing.buffers), Arc::clone(&writing.workers));
        Ok(Self {
            file: DirectFile::open(path, writing.direct)?,
            behind,
            given: AtomicUsize::new(0),
            done: unbounded(),
            hashed,
            buffers,
            workers,
        })
    }

    /// Writes `bytes` at `at`, where nobody writes again, and hashes them while they are in a cache.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if let Some(hashed) = &self.hashed {
            let piece = Hashed::of(bytes, at);
            lock(hashed).add(piece);
        }
        self.file.write(bytes, at)
    }

    /// Has a thread write `bytes` at `at`, as [`Output::write`] does. [`Output::written`] waits for it.
    pub(super) fn write_later(self: &Arc<Self>, bytes: &Arc<Buffer>, at: u64) {
        self.given.fetch_add(1, Ordering::Relaxed);
        self.workers.give(Job::Write { output: Arc::clone(self), at, bytes: Arc::clone(bytes), done: self.done.0.clone() });
    }

    /// Waits until everything is written that was to be written later.
    pub(super) fn written(&self) -> io::Result<()> {
        for _ in 0..self.given.swap(0, Ordering::Relaxed) {
            if let Done::Written(result) = self.done.1.recv().map_err(io::Error::other)? {
                result?;
            }
        }
        Ok(())
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

    /// What was hashed as it was written.
    pub(super) fn take_hashed(&self) -> Hashed {
        let take = |hashed: &Mutex<Hashed>| std::mem::take(&mut *lock(hashed));
        self.hashed.as_ref().map(take).unwrap_or_default()
    }
}
