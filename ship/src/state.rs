//! What was shipped so far, and what holds the rest up: `state.json` in the state folder.
//!
//! The archive itself is the truth. Without this file, or for another archive, every scan is compared with the archive once more.

use crate::failure::Failure;
use crate::watch::Summary;
use hyclus::scan::{ScanRecord, iso, now_ns};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Name of the file.
const FILE: &str = "state.json";
/// Most bytes of the file.
const MOST_BYTES: u64 = 1 << 30;

/// What is known of all scans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The archive.
    pub(crate) archive: String,
    /// Name of the rig.
    pub(crate) rig: String,
    /// The scans that the archive holds, or does not take.
    pub(crate) scans: BTreeMap<String, Known>,
    /// The scans that could not be shipped, and why.
    pub(crate) failed: BTreeMap<String, Trouble>,
    /// Why nothing can be shipped now.
    pub(crate) trouble: Option<Trouble>,
    /// Bytes per second of the last transfers. 0 where none is known.
    pub(crate) bytes_per_s: f64,
}

/// A scan that the archive holds, or does not take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Revision in the archive. `None` for a scan that was withdrawn there.
    pub(crate) revision: Option<u32>,
    /// BLAKE3 of the record, without what it says of archives.
    pub(crate) record: String,
    /// Stamp of the seal. Empty where it had none.
    #[serde(default)]
    pub(crate) seal: String,
    /// When it was shipped (ISO 8601, UTC).
    pub(crate) time: String,
    /// Whether the daemon knows.
    pub(crate) noted: bool,
}

/// Why something is not shipped, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// The fault, and a remedy.
    pub(crate) reason: String,
    /// Time of the first such fault (ISO 8601, UTC).
    pub(crate) since: String,
}

impl Trouble {
    /// This fault now, or since the time of the one before it.
    pub(crate) fn of(failure: &Failure, before: Option<&Self>) -> Self {
        let since = before.map_or_else(|| iso(now_ns()), |before| before.since.clone());
        Self { reason: failure.message.clone(), since }
    }
}

/// The hash of a record, without what it says of archives.
pub(crate) fn hash_of(record: &ScanRecord) -> String {
    let text = serde_json::to_vec(&crate::scan::compared(record)).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}

impl State {
    /// Reads the state. It is empty where there is none, or where it is of another archive or rig.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(crate) fn read(folder: &Path, archive: &str, rig: &str) -> Result<Self, String> {
        let path = folder.join(FILE);
        let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}; remove it, and the archive is compared anew", path.display());
        let empty = Self { archive: archive.to_owned(), rig: rig.to_owned(), ..Self::default() };
        let text = match contract::read_regular(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(empty),
            Err(error) => return Err(at(&error)),
        };
        let state: Self = serde_json::from_slice(&text).map_err(|error| at(&error))?;
        Ok(if state.archive == archive && state.rig == rig { state } else { empty })
    }

    /// Writes the state, whole or not at all.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), String> {
        let (path, part) = (folder.join(FILE), folder.join(".state.json.part"));
        let written = (|| {
            fs::create_dir_all(folder)?;
            let mut file = File::create(&part)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.flush()?;
            file.sync_all()?;
            fs::rename(&part, &path)
        })();
        written.map_err(|error: std::io::Error| format!("{}: {error}; hyclus-ship must be able to write there", path.display()))
    }

    /// Whether the archive holds the scan as it is here, or does not take it.
    pub(crate) fn done(&self, id: &str, summary: &Summary) -> bool {
        self.has(id, &summary.hash) && self.scans.get(id).is_some_and(|known| known.revision.is_none() || known.seal == summary.seal)
    }

    /// Whether the archive holds the scan with this hash of its record, whatever its seal is, or does not take it.
    pub(crate) fn has(&self, id: &str, hash: &str) -> bool {
        self.scans.get(id).is_some_and(|known| known.revision.is_none() || known.record == hash)
    }
}

/// The lock of one shipper for a state folder. It is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: nix::fcntl::Flock<File>,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// Another shipper holds it, or the folder cannot be written.
    pub(crate) fn take(folder: &Path) -> Result<Self, String> {
        Self::try_take(folder)?.ok_or_else(|| {
            let advice = "another hyclus-ship runs with this folder; end it first, or name another ship.state_dir";
            format!("{}: {advice}", folder.display())
        })
    }

    /// Takes the lock. `None` where another shipper holds it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn try_take(folder: &Path) -> Result<Option<Self>, String> {
        let path: PathBuf = folder.join(".lock");
        let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        fs::create_dir_all(folder).map_err(|error| at(&error))?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| at(&error))?;
        match nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Self { _file: file })),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(at(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_another_archive_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::read(folder.path(), "/a", "bench").unwrap();
        assert!(!state.has("S", "x"));
        let known = |revision| Known { revision, record: "x".into(), seal: String::new(), time: String::new(), noted: false };
        state.scans.insert("S".into(), known(Some(1)));
        state.scans.insert("W".into(), known(None));
        state.write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path(), "/a", "bench").unwrap(), state);
        assert!(state.has("S", "x") && !state.has("S", "y") && state.has("W", "y"));
        assert!(State::read(folder.path(), "/b", "bench").unwrap().scans.is_empty());
        assert!(State::read(folder.path(), "/a", "other").unwrap().scans.is_empty());
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(State::read(folder.path(), "/a", "bench").is_err_and(|error| error.contains("remove it")));
    }

    #[test]
    fn one_shipper_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert!(Lock::take(folder.path()).is_err_and(|error| error.contains("another hyclus-ship")));
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
