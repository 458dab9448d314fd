//! A file that is written through the page cache, and made durable while it grows.

use crate::sync::lock;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes after which a file is made durable as far as it is written: a fraction of a second of a disk.
const STEP: u64 = 16 << 20;

/// A file that is made durable while it grows, so that its end need not wait for all of it, and its pages serve again soon: where the
/// kernel has to find new ones for each, writing takes several times as long.
#[derive(Debug)]
pub(crate) struct BackgroundSync {
    file: File,
    written: AtomicU64,
    /// What became of it. Held while the disk is waited for.
    result: Mutex<io::Result<()>>,
}

impl BackgroundSync {
    /// For a file that exists.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().write(true).open(path)?, written: AtomicU64::new(0), result: Mutex::new(Ok(())) })
    }

    /// Notes that `bytes` more were written, by the one thread that does; whether it is time for [`BackgroundSync::sync`].
    pub(crate) fn wrote(&self, bytes: usize) -> bool {
        let written = self.written.load(Ordering::Relaxed) + bytes as u64;
        let due = written >= STEP;
        self.written.store(if due { 0 } else { written }, Ordering::Relaxed);
        due
    }

    /// Waits until what was written is on the disk, and lets go of its pages.
    pub(crate) fn sync(&self) {
        let mut result = lock(&self.result);
        if result.is_ok() {
            *result = self.file.sync_data();
            // A hint: where it is not followed, nothing is lost.
            let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
    }

    /// Waits for a [`BackgroundSync::sync`] that goes on.
    ///
    /// # Errors
    /// One failed: the system tells that once, and not to who opens the file later.
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
        let behind = BackgroundSync::open(&path).unwrap();
        let piece = vec![7; usize::try_from(STEP / 4).unwrap()];
        for round in 0..8 {
            file.write_all(&piece).unwrap();
            let due = behind.wrote(piece.len());
            assert_eq!(due, round % 4 == 3, "{round}");
            if due {
                behind.sync();
            }
        }
        behind.settle().unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len() as u64, 2 * STEP);
    }
}
