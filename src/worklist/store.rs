//! The file of the worklist.

use super::Worklist;
use crate::disk::{remove_whole, write_whole};
use crate::scan::NewerFormat;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file, under the data root.
pub const FILE: &str = "worklist.json";
/// Format version that this program writes, and the highest that it reads.
pub(super) const FORMAT_VERSION: u32 = 1;
/// Most bytes of the file that are read.
const MOST_BYTES: u64 = 64 << 20;

/// The worklist cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    /// A newer program wrote it.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// It is damaged, or the disk refuses.
    #[error("{}: {problem}; put the worklist here again, or remove it (`hyclus worklist remove`)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Reads the worklist of a data root. `None` where there is none.
///
/// # Errors
/// The file is damaged, or of a newer format, or the disk refuses.
pub fn read(data_dir: &Path) -> Result<Option<Worklist>, WorklistError> {
    let path = data_dir.join(FILE);
    let damaged = |problem: String| WorklistError::Damaged { path: path.clone(), problem };
    let text = match contract::read_regular_text(&path, MOST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| damaged(format!("cannot be read: {error}")))?,
    };
    let value: serde_json::Value = crate::json::parse(text.as_bytes()).map_err(|error| damaged(format!("is damaged: {error}")))?;
    let found = value.get("format_version").and_then(serde_json::Value::as_u64);
    NewerFormat::check(&path, found.ok_or_else(|| damaged("is damaged: it has no format_version".into()))?, FORMAT_VERSION)?;
    serde_json::from_value(value).map(Some).map_err(|error| damaged(format!("is damaged: {error}")))
}

/// Puts a worklist into a data root, in the place of the one before it.
///
/// # Errors
/// The disk does not take it. The one before it stays.
pub fn write(data_dir: &Path, worklist: &Worklist) -> io::Result<()> {
    write_whole(&data_dir.join(FILE), &serde_json::to_vec_pretty(worklist)?)
}

/// Removes the worklist of a data root. Gives whether there was one.
///
/// # Errors
/// It cannot be removed.
pub fn remove(data_dir: &Path) -> io::Result<bool> {
    remove_whole(&data_dir.join(FILE))
}
