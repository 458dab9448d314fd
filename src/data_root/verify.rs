//! Verifies that a scan's files are unchanged since it ended.

use super::RecordError;
use crate::disk::Hashes;
use crate::scan::{Digest, ScanRecord};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Damage of a scan's file, as `hyclus verify` finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is missing.
    #[error("{path}: missing")]
    Missing {
        /// Path relative to the data root.
        path: String,
    },
    /// The file is shorter or longer.
    #[error("{path}: {found} bytes instead of {expected}")]
    Size {
        /// Path relative to the data root.
        path: String,
        /// Bytes, by `scan.json`.
        expected: u64,
        /// Bytes on the disk.
        found: u64,
    },
    /// The file has other contents.
    #[error("{path}: its contents changed ({found} instead of {expected})")]
    Contents {
        /// Path relative to the data root.
        path: String,
        /// Hash, by `scan.json`.
        expected: Digest,
        /// Hash of the file on the disk.
        found: Digest,
    },
    /// The seal does not list the file.
    #[error("{path}: not in the seal; seal the scan again if that is meant")]
    Unsealed {
        /// Path relative to the data root.
        path: String,
    },
    /// The seal is damaged, or is not that of the scan.
    #[error("{path}: {problem}")]
    Seal {
        /// Path relative to the data root.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// `scan.json` does not name the file.
    #[error("{path}: not in scan.json")]
    Stray {
        /// Path relative to the data root.
        path: String,
    },
}

impl Damage {
    /// The damaged file, relative to the data root.
    pub fn path(&self) -> &str {
        let (Self::Missing { path }
        | Self::Size { path, .. }
        | Self::Contents { path, .. }
        | Self::Unsealed { path }
        | Self::Seal { path, .. }
        | Self::Stray { path }) = self;
        path
    }
}

/// Compares every file of a scan with `scan.json`. A file that only an archive holds is no damage. `tick` is called again and again.
///
/// # Errors
/// A file cannot be read.
pub fn verify(scan: &ScanRecord, data_dir: &Path, tick: &dyn Fn()) -> Result<Vec<Damage>, RecordError> {
    // Only what lies here is hashed.
    let mut now = ScanRecord { archived: None, files: Vec::new(), ..scan.clone() };
    let hashes = Hashes::start(2).map_err(|error| RecordError { path: data_dir.to_owned(), error })?;
    now.hash_files(data_dir, &hashes, tick)?;
    let mut damages = Vec::new();
    for wanted in scan.files.iter().filter(|file| !scan.away(&file.path) || data_dir.join(&file.path).exists()) {
        let path = wanted.path.clone();
        let Some(found) = now.files.iter().find(|file| file.path == path) else {
            damages.push(Damage::Missing { path });
            continue;
        };
        if found.bytes != wanted.bytes {
            damages.push(Damage::Size { path, expected: wanted.bytes, found: found.bytes });
            continue;
        }
        let hash = match &wanted.hash {
            Digest::Blake3(_) => found.hash.clone(),
            Digest::Sha256(_) => {
                let path = data_dir.join(&path);
                sha256(&path, tick).map_err(|error| RecordError { path, error })?
            }
        };
        if hash != wanted.hash {
            damages.push(Damage::Contents { path, expected: wanted.hash.clone(), found: hash });
        }
    }
    let strays = now.files.into_iter().filter(|file| !scan.files.iter().any(|known| known.path == file.path));
    damages.extend(strays.map(|file| Damage::Stray { path: file.path }));
    let relative = |path: PathBuf| path.strip_prefix(data_dir).unwrap_or(&path).to_string_lossy().into_owned();
    damages.extend(scan.listed(data_dir)?.1.into_iter().map(|path| Damage::Stray { path: relative(path) }));
    Ok(damages)
}

fn sha256(path: &Path, tick: &dyn Fn()) -> io::Result<Digest> {
    let (mut file, mut hasher, mut block) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let bytes = file.read(&mut block)?;
        if bytes == 0 {
            let hash = hasher.finalize();
            return Ok(Digest::Sha256(hash.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        hasher.update(&block[..bytes]);
        tick();
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3(hash) => write!(f, "blake3 {hash}"),
            Self::Sha256(hash) => write!(f, "sha256 {hash}"),
        }
    }
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
        std::os::unix::fs::symlink(files.join("d"), files.join("e")).unwrap();
        let damages: BTreeMap<String, Damage> = verify(&scan, folder.path(), &|| {})
            .unwrap()
            .into_iter()
            .map(|damage| (damage.to_string().split(':').next().unwrap().rsplit('/').next().unwrap().to_owned(), damage))
            .collect();
        assert_eq!(damages.keys().collect::<Vec<_>>(), ["a", "b", "c", "e"]);
        assert!(matches!(damages["a"], Damage::Missing { .. }) && matches!(damages["b"], Damage::Size { expected: 1, found: 6, .. }));
        assert!(matches!(damages["c"], Damage::Contents { .. }) && matches!(damages["e"], Damage::Stray { .. }));
    }

    #[test]
    fn scans_of_earlier_versions_have_another_hash() {
        let folder = tempfile::tempdir().unwrap();
        let tray = serde_json::json!({"tray": "T", "container": [{"at": "A1", "sample": "a"}], "grid": {"rows": 1, "columns": 1}});
        let config = Loaded::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml").as_ref()).unwrap();
        let mut scan = ScanRecord::begin("20260101T000000Z-T", crate::scan::Tray::check(&tray).unwrap(), &config, 0);
        let quicklook = format!("scans/{}/quicklook.png", scan.id);
        fs::create_dir_all(folder.path().join("scans").join(&scan.id)).unwrap();
        fs::write(folder.path().join(&quicklook), "abc").unwrap();
        // FIPS 180-2, appendix B.1
        let file = serde_json::json!({"path": quicklook, "bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"});
        scan.files = vec![serde_json::from_value(file.clone()).unwrap()];
        assert_eq!(serde_json::to_value(&scan.files[0]).unwrap(), file);
        assert_eq!(verify(&scan, folder.path(), &|| {}).unwrap(), []);
        fs::write(folder.path().join(&quicklook), "abd").unwrap();
        let damages = verify(&scan, folder.path(), &|| {}).unwrap();
        assert!(damages[0].to_string().contains("changed (sha256 a52d159f") && damages.len() == 1, "{damages:?}");
    }
}
