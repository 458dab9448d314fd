//! Whether a scan's files are still what they were when it ended.

use super::record::RecordError;
use super::{Hashes, ScanRecord};
use std::path::Path;

/// What `hyclus verify` found wrong with a file of a scan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is gone.
    #[error("{path}: missing")]
    Missing {
        /// Path relative to the data root.
        path: String,
    },
    /// It is shorter or longer.
    #[error("{path}: {found} bytes instead of {expected}")]
    Size {
        /// Path relative to the data root.
        path: String,
        /// Bytes by `scan.json`.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// It has other contents.
    #[error("{path}: its contents changed (sha256 {found} instead of {expected})")]
    Contents {
        /// Path relative to the data root.
        path: String,
        /// By `scan.json`.
        expected: String,
        /// As found.
        found: String,
    },
    /// `scan.json` does not know it.
    #[error("{path}: not in scan.json")]
    Stray {
        /// Path relative to the data root.
        path: String,
    },
}

/// Compares every file of a scan with `scan.json`. `tick` is called with the files compared so far.
///
/// # Errors
/// A file cannot be read.
pub fn verify(scan: &ScanRecord, data_dir: &Path, tick: &dyn Fn()) -> Result<Vec<Damage>, RecordError> {
    let mut now = scan.clone();
    let hashes = Hashes::start(2).map_err(|error| RecordError { path: data_dir.to_owned(), error })?;
    now.hash_files(data_dir, &hashes, tick)?;
    let mut damages = Vec::new();
    for wanted in &scan.files {
        let path = wanted.path.clone();
        match now.files.iter().find(|file| file.path == path) {
            None => damages.push(Damage::Missing { path }),
            Some(found) if found.bytes != wanted.bytes => {
                damages.push(Damage::Size { path, expected: wanted.bytes, found: found.bytes });
            }
            Some(found) if found.sha256 != wanted.sha256 => {
                damages.push(Damage::Contents { path, expected: wanted.sha256.clone(), found: found.sha256.clone() });
            }
            Some(_) => {}
        }
    }
    let strays = now.files.into_iter().filter(|file| !scan.files.iter().any(|known| known.path == file.path));
    damages.extend(strays.map(|file| Damage::Stray { path: file.path }));
    Ok(damages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn every_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("rig.toml");
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml")).unwrap();
        fs::write(&config, text).unwrap();
        let tray = crate::scan::Tray::check(
            &serde_json::json!({"tray": "T", "container": [{"at": "A1", "sample": "a"}], "grid": {"rows": 1, "columns": 1}}),
        );
        let mut scan = ScanRecord::begin("20260101T000000Z-T", tray.unwrap(), &Loaded::read(&config).unwrap(), 0);
        let files = folder.path().join("scans").join(&scan.id).join("samples");
        fs::create_dir_all(&files).unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::write(files.join(name), name).unwrap();
        }
        scan.hash_files(folder.path(), &Hashes::start(1).unwrap(), &|| {}).unwrap();
        assert_eq!(verify(&scan, folder.path(), &|| {}).unwrap(), []);
        fs::remove_file(files.join("a")).unwrap();
        fs::write(files.join("b"), "longer").unwrap();
        fs::write(files.join("c"), "x").unwrap();
        fs::write(files.join("e"), "e").unwrap();
        let damages: BTreeMap<String, Damage> = verify(&scan, folder.path(), &|| {})
            .unwrap()
            .into_iter()
            .map(|damage| (damage.to_string().split(':').next().unwrap().rsplit('/').next().unwrap().to_owned(), damage))
            .collect();
        assert_eq!(damages.keys().collect::<Vec<_>>(), ["a", "b", "c", "e"]);
        assert!(matches!(damages["a"], Damage::Missing { .. }) && matches!(damages["b"], Damage::Size { expected: 1, found: 6, .. }));
        assert!(matches!(damages["c"], Damage::Contents { .. }) && matches!(damages["e"], Damage::Stray { .. }));
    }
}
