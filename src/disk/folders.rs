//! Names that are on the disk.

use std::fs::File;
use std::io;
use std::path::Path;

/// Sees the entries of `folder`, and of those that it lies in up to `root`, on the disk: a file whose data is there can still be
/// lost by its name.
///
/// # Errors
/// One of them cannot be opened, or the disk refuses.
pub(crate) fn sync_folders(folder: &Path, root: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        // Where the path began relative to the present folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
        if folder == root {
            break;
        }
    }
    Ok(())
}
