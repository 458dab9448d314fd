//! A file that goes through the page cache and is synced while it grows.

use super::create::open_plain;
use crate::sync::lock;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes between two syncs: a fraction of a second of a disk.
const STEP: u64 = 16 << 20;

/// A file that is synced while it grows. Its end then need not wait for all of its data. Its cache pages soon serve again: writing takes
/// several times as long where the kernel has to find new pages.
#[derive(Debug)]
pub(crate) struct BackgroundSync {
    file: File,
    written: AtomicU64,
    /// The result of the syncs. The lock is held during a sync.
    result: Mutex<io::Result<()>>,
}

impl BackgroundSync {
    /// Opens an existing file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = open_plain(path, OpenOptions::new().write(true), 0)?;
        Ok(Self { file, written: AtomicU64::new(0), result: Mutex::new(Ok(())) })
    }

    /// Counts `bytes` more from the one writing thread. Returns whether [`BackgroundSync::sync`] is due.
    pub(crate) fn wrote(&self, bytes: usize) -> bool {
        let written = self.written.load(Ordering::Relaxed) + bytes as u64;
        let due = written >= STEP;
        self.written.store(if due { 0 } else { written }, Ordering::Relaxed);
        due
    }

    /// Waits until all written data are on the disk, then drops their cache pages.
    pub(crate) fn sync(&self) {
        let mut result = lock(&self.result);
        if result.is_ok() {
            *result = self.file.sync_data();
            // A hint to the kernel: nothing is lost where the kernel ignores it.
            let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
    }

    /// Waits for a running [`BackgroundSync::sync`].
    ///
    /// # Errors
    /// A sync failed. The system reports that once, and not to a later opener of the file.
    pub(crate) fn settle(&self) -> io::Result<()> {
        std::mem::replace(&mut *lock(&self.result), Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_asked_to_be_made_durable_after_every_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grows");
        let mut file = File::create(&path).unwrap();
        let background = BackgroundSync::open(&path).unwrap();
        let piece = vec![7; usize::try_from(STEP / 4).unwrap()];
        for round in 0..8 {
            file.write_all(&piece).unwrap();
            let due = background.wrote(piece.len());
            assert_eq!(due, round % 4 == 3, "{round}");
            if due {
                background.sync();
            }
        }
        background.settle().unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len() as u64, 2 * STEP);
    }
}
