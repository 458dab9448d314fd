//! What writes a sample's file: the pieces, the threads, and what makes it durable.

use super::pieces::Pieces;
use super::workers::{Done, Job, Workers};
use super::writing::Writing;
use crate::disk::{BackgroundSync, Buffer, Buffers};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes the large pieces of a sample's file.
#[derive(Debug)]
pub(super) struct Output {
    /// The file, for the threads that write into it.
    pub(super) pieces: Arc<Pieces>,
    /// Makes durable what the library writes, meanwhile. None where nothing goes through the page cache.
    background: Option<Arc<BackgroundSync>>,
    /// Jobs of [`Output::write_later`] that are under way, and their results.
    given: AtomicUsize,
    done: (Sender<Done>, Receiver<Done>),
    pub(super) buffers: Arc<Buffers>,
    pub(super) workers: Arc<Workers>,
}

impl Output {
    /// Opens a file that exists.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(path: &Path, writing: &Writing) -> io::Result<Self> {
        // What is not compressed goes past the cache.
        let cached = writing.sync && writing.filters.deflate.is_some();
        let background = if cached { Some(Arc::new(BackgroundSync::open(path)?)) } else { None };
        Ok(Self {
            pieces: Arc::new(Pieces::open(path, writing.direct, writing.hashes.is_some())?),
            background,
            given: AtomicUsize::new(0),
            done: unbounded(),
            buffers: Arc::clone(&writing.buffers),
            workers: Arc::clone(&writing.workers),
        })
    }

    /// Has a thread write `bytes` at `at`. [`Output::written`] waits for it.
    pub(super) fn write_later(&self, bytes: &Arc<Buffer>, at: u64) {
        self.given.fetch_add(1, Ordering::Relaxed);
        let (pieces, bytes, done) = (Arc::clone(&self.pieces), Arc::clone(bytes), self.done.0.clone());
        self.workers.give(Job::Write { pieces, at, bytes, done });
    }

    /// Waits for all that was given to [`Output::write_later`].
    ///
    /// # Errors
    /// The file could not be written.
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
        if let Some(background) = &self.background
            && background.wrote(bytes)
        {
            self.workers.sync(background);
        }
    }

    /// Waits until nothing is being made durable any more.
    ///
    /// # Errors
    /// The disk refused.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.background.as_ref().map_or(Ok(()), |background| background.settle())
    }
}
