//! Disk space reserved ahead of writing. The file system then allocates it once, in one piece.

use super::create::open_plain;
use super::space::free_of;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes per reservation: one or two samples of the usual size. One file then cannot hold a nearly full disk.
const STEP: u64 = 64 << 20;
/// With less free space than this, bytes, nothing is reserved. The space would be missing for other files of the same scan.
const SCARCE: u64 = 16 * STEP;

/// The reservation of a growing file. It does not change the file's length.
#[derive(Debug)]
pub(crate) struct Reservation {
    path: PathBuf,
    file: Option<File>,
    needed: u64,
    reserved: u64,
}

impl Reservation {
    /// An empty reservation. A file system without reservations is no fault: writing is only slower.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), file: open_plain(path, OpenOptions::new().write(true), 0).ok(), needed: 0, reserved: 0 }
    }

    /// Announces `bytes` more to write.
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

    /// Returns unused space. With `sync`, waits until the file is on the disk.
    ///
    /// # Errors
    /// The file cannot be opened, or the disk refuses.
    pub(crate) fn finish(self, sync: bool) -> io::Result<()> {
        let file = open_plain(&self.path, OpenOptions::new().write(true), 0)?;
        file.set_len(file.metadata()?.len())?;
        if sync { file.sync_all() } else { Ok(()) }
    }
}
