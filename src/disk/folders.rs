//! Names that are durable on the disk.

use std::fs::File;
use std::io;
use std::path::Path;

/// Syncs the entry of a folder that may be new. Where its parent may not be opened, its maker has to sync it.
pub(crate) fn sync_parent(folder: &Path) {
    if let Some(parent) = folder.parent()
        && let Err(error) = sync_folders(parent, parent)
    {
        tracing::debug!(path = %parent.display(), %error, "the folder is not synced");
    }
}

/// Syncs the entries of `folder` and of its parents up to `root`. Durable data can still be lost through a lost name.
///
/// # Errors
/// A folder cannot be opened, or the disk refuses.
pub(crate) fn sync_folders(folder: &Path, root: &Path) -> io::Result<()> {
    for folder in folder.ancestors() {
        // An empty ancestor of a relative path is the working directory.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
        if folder == root {
            break;
        }
    }
    Ok(())
}
