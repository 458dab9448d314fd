//! Room on the disk, asked for ahead of what is written: the file system then finds it once, in one piece.

use super::space::free_of;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a reservation: one or two samples of the usual size, so that a disk that is nearly full is not held by one.
const STEP: u64 = 64 << 20;
/// With less room on the disk, none is asked for ahead, bytes: it would be taken from the other files of the same scan.
const SCARCE: u64 = 16 * STEP;

/// The reservation of a file that grows. Its length does not change by it.
#[derive(Debug)]
pub(crate) struct Reservation {
    path: PathBuf,
    file: Option<File>,
    needed: u64,
    reserved: u64,
}

impl Reservation {
    /// Nothing is reserved yet. A file system that cannot reserve is no fault: writing is only slower.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), file: OpenOptions::new().write(true).open(path).ok(), needed: 0, reserved: 0 }
    }

    /// Says that `bytes` more will be written.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.needed += bytes as u64;
        if self.needed <= self.reserved {
            return;
        }
        let Some(file) = &self.file else { return };
        let (from, length) = (i64::try_from(self.reserved), i64::try_from(STEP));
        let (Ok(from), Ok(length)) = (from, length) else { return };
        let scarce = fstatvfs(file).is_ok_and(|disk| free_of(&disk) < SCARCE);
        if !scarce && fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, length).is_ok() {
            self.reserved += STEP;
        } else {
            self.file = None;
        }
    }

    /// Gives back what was not needed and, with `sync`, waits until the file is on the disk.
    pub(crate) fn finish(self, sync: bool) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(file.metadata()?.len())?;
        if sync { file.sync_all() } else { Ok(()) }
    }
}
