//! Names that are durable on the disk.

use std::fs::File;
use std::io;
use std::path::Path;

/// A folder as it can be opened. An empty ancestor of a relative path is the working directory.
pub(super) fn openable(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The folder that holds `path`, as it can be opened.
pub(crate) fn folder_of(path: &Path) -> &Path {
    openable(path.parent().unwrap_or(path))
}

/// Syncs the entries of all folders above `folder`, which may be new. A folder that may not be opened is passed over.
pub(crate) fn sync_above(folder: &Path) {
    for above in folder.ancestors().skip(1).map(openable) {
        if let Err(error) = sync_folders(above, above) {
            tracing::debug!(path = %above.display(), %error, "the folder is not synced");
        }
    }
}

/// Syncs the entries of `folder` and of its parents up to `root`. Durable data can still be lost through a lost name.
///
/// # Errors
/// A folder cannot be opened, or the disk refuses.
pub(crate) fn sync_folders(folder: &Path, root: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        File::open(openable(folder))?.sync_all()?;
        if folder == root {
            break;
        }
    }
    Ok(())
}
