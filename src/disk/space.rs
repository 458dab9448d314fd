//! Free space of a disk.

use super::folders::openable;
use nix::sys::statvfs::{Statvfs, statvfs};
use std::io;
use std::path::Path;

/// Free bytes of the file system that holds `folder` or will hold it.
///
/// # Errors
/// The system gives no figure.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let there = folder.ancestors().map(openable).find(|folder| folder.exists()).ok_or(io::ErrorKind::NotFound)?;
    Ok(free_of(&statvfs(there)?))
}

/// Free bytes of a file system for users other than root.
pub(crate) fn free_of(disk: &Statvfs) -> u64 {
    #[allow(clippy::unnecessary_cast, reason = "the types differ between platforms")]
    let (blocks, bytes) = (disk.blocks_available() as u64, disk.fragment_size() as u64);
    blocks * bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_space_of_the_one_above_it() {
        assert!(free_bytes(Path::new("no-such-folder")).unwrap() > 0);
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("not/yet")).unwrap() > 0);
    }
}
