//! Small files that are replaced at once: readers see the one before, or the new one, and never a part.

use super::create::{create_over, remove_stale};
use super::folders::folder_of;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Puts bytes into the file `path`: whole and durable, or not at all. Its folder exists.
///
/// # Errors
/// The disk does not take it. What was there stays.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let folder = folder_of(path);
    let part = folder.join(format!(".{}.part", name.to_string_lossy()));
    let written = create_over(&part).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    let placed = written.and_then(|()| std::fs::rename(&part, path)).and_then(|()| synced(folder));
    if placed.is_err() {
        // What was written of it is of no use.
        let _ = remove_stale(&part);
    }
    placed
}

/// Removes the file `path`. Gives whether there was one.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove_whole(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => synced(folder_of(path)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn synced(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
