//! An export appears whole or not at all.

use super::error::{ExportError, failed};
use std::fs;
use std::path::{Path, PathBuf};

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Files of samples that were read.
    pub samples: usize,
    /// Files and folders that are new in the target.
    pub paths: Vec<PathBuf>,
    /// What is doubtful about them.
    pub warnings: Vec<String>,
}

/// A hidden folder in the target. Files wait there until all of them are complete.
pub(super) struct Staging {
    out: PathBuf,
    pub(super) folder: PathBuf,
    /// Whether the target was there before.
    old: bool,
}

impl Staging {
    /// Makes the hidden folder, and the target where there is none.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub(super) fn create(out: &Path) -> Result<Self, ExportError> {
        let old = out.is_dir();
        fs::create_dir_all(out).map_err(failed(out, "created"))?;
        let folder = out.join(format!(".hyclus-export-{}", std::process::id()));
        fs::create_dir(&folder).map_err(failed(&folder, "created"))?;
        Ok(Self { out: out.into(), folder, old })
    }

    /// Moves files and folders to the target, in the order given. Gives their paths.
    ///
    /// # Errors
    /// One of the names is taken, or a file cannot be renamed.
    pub(super) fn publish(self, names: &[String]) -> Result<Vec<PathBuf>, ExportError> {
        for name in names {
            absent(&self.out.join(name))?;
        }
        let mut paths = Vec::with_capacity(names.len());
        for name in names {
            let path = self.out.join(name);
            fs::rename(self.folder.join(name), &path).map_err(failed(&path, "renamed"))?;
            paths.push(path);
        }
        fs::File::open(&self.out).and_then(|folder| folder.sync_all()).map_err(failed(&self.out, "made durable"))?;
        Ok(paths)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Files that a failure leaves in it are of no use.
        let _ = fs::remove_dir_all(&self.folder);
        if !self.old {
            // Does nothing where something was written.
            let _ = fs::remove_dir(&self.out);
        }
    }
}

/// Refuses a path that is there.
///
/// # Errors
/// [`ExportError::Exists`].
pub(super) fn absent(path: &Path) -> Result<(), ExportError> {
    if path.symlink_metadata().is_ok() { Err(ExportError::Exists { path: path.into() }) } else { Ok(()) }
}
