//! Large pieces of a file, written past the HDF5 library and past the page cache, into the room that the library gave them.

use super::buffer::{Buffer, Buffers, Leave, PAGE};
use super::workers::Workers;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Past the page cache; none where the file system cannot do that, or it is not wanted.
    direct: Option<File>,
    refused: AtomicBool,
    plain: File,
    kept: Mutex<Vec<Kept>>,
    pub(super) buffers: Arc<Buffers>,
    pub(super) workers: Arc<Workers>,
}

impl Output {
    /// For a file that exists. With `direct`, whole pages go past the page cache where the file system can do that.
    pub(super) fn open(path: &Path, direct: bool, buffers: &Arc<Buffers>, workers: &Arc<Workers>) -> io::Result<Self> {
        let plain = OpenOptions::new().write(true).open(path)?;
        let direct = direct.then(|| OpenOptions::new().write(true).custom_flags(nix::libc::O_DIRECT).open(path).ok()).flatten();
        let (buffers, workers) = (Arc::clone(buffers), Arc::clone(workers));
        Ok(Self { direct, refused: AtomicBool::new(false), plain, kept: Mutex::default(), buffers, workers })
    }

    /// Writes `bytes` at `at`.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = at.is_multiple_of(PAGE as u64) && bytes.as_ptr().align_offset(PAGE) == 0;
        let mut done = 0;
        if let Some(direct) = self.direct.as_ref().filter(|_| aligned && !self.refused.load(Ordering::Relaxed)) {
            let pages = bytes.len() / PAGE * PAGE;
            match direct.write_all_at(&bytes[..pages], at) {
                Ok(()) => done = pages,
                // A disk with larger blocks, or a file system that finds out late.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.refused.store(true, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        self.plain.write_all_at(&bytes[done..], at + done as u64)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_land_where_they_belong_with_and_without_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (buffers, workers) = (Buffers::new(0), Arc::new(Workers::start(1).unwrap()));
        for direct in [false, true] {
            let path = folder.path().join(format!("{direct}"));
            std::fs::write(&path, b"head").unwrap();
            let output = Output::open(&path, direct, &buffers, &workers).unwrap();
            for (at, length) in [(PAGE, 3 * PAGE + 5), (8 * PAGE, PAGE), (12 * PAGE + 1, PAGE), (16 * PAGE, 7)] {
                let mut piece = buffers.take(length);
                piece.fill(u8::try_from(at / PAGE).unwrap());
                output.write(&piece, at as u64).unwrap();
            }
            let read = std::fs::read(&path).unwrap();
            assert_eq!((&read[..4], read.len()), (&b"head"[..], 16 * PAGE + 7));
            let count = |value: u8| read.iter().filter(|byte| **byte == value).count();
            assert_eq!([count(1), count(8), count(12), count(16)], [3 * PAGE + 5, PAGE, PAGE, 7]);
            assert_eq!((read[PAGE], read[12 * PAGE], read[12 * PAGE + 1]), (1, 0, 12));
        }
    }
}
