//! Large pieces of a file, written past the HDF5 library into the room that the library made for them.

use crate::disk::{DirectFile, Hashed};
use crate::sync::lock;
use std::io;
use std::path::Path;
use std::sync::Mutex;

/// The file of a sample, as the threads that write pieces see it.
#[derive(Debug)]
pub(super) struct Pieces {
    file: DirectFile,
    /// Hashes of the pieces written, where the file is hashed.
    hashed: Option<Mutex<Hashed>>,
}

impl Pieces {
    /// Opens a file that exists. `direct` asks for writes past the page cache, `hashed` for hashes of what is written.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(path: &Path, direct: bool, hashed: bool) -> io::Result<Self> {
        Ok(Self { file: DirectFile::open(path, direct)?, hashed: hashed.then(Mutex::default) })
    }

    /// Writes `bytes` at `at`, where nobody writes again. It hashes them while they are in a cache.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if let Some(hashed) = &self.hashed {
            let piece = Hashed::of(bytes, at);
            lock(hashed).add(piece);
        }
        self.file.write(bytes, at)
    }

    /// The hashes of all pieces so far; they are forgotten here.
    pub(super) fn take_hashed(&self) -> Hashed {
        let take = |hashed: &Mutex<Hashed>| std::mem::take(&mut *lock(hashed));
        self.hashed.as_ref().map(take).unwrap_or_default()
    }
}
