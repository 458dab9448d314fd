//! Files with their SHA-256.

use super::error::{SealError, failed};
use crate::data_root::Damage;
use crate::disk::open_plain;
use crate::scan::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;

/// The files of a seal, by their paths relative to the data root.
pub(super) type Listed = BTreeMap<String, SealedFile>;

/// A file as it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedFile {
    /// Path relative to the data root.
    pub(super) path: String,
    /// Size, bytes.
    pub(super) bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub(super) sha256: String,
}

impl SealedFile {
    pub(super) fn of_text(path: String, text: &str) -> Self {
        Self { path, bytes: text.len() as u64, sha256: hex(&Sha256::digest(text.as_bytes())) }
    }

    /// Reads a file below `data_dir`.
    pub(super) fn read(data_dir: &Path, path: &str, tick: &dyn Fn()) -> Result<Self, SealError> {
        Self::copy(data_dir, path, &mut std::io::sink(), tick)
    }

    /// Reads a file below `data_dir`, and writes it to `to`.
    pub(super) fn copy(data_dir: &Path, path: &str, to: &mut dyn Write, tick: &dyn Fn()) -> Result<Self, SealError> {
        let from = data_dir.join(path);
        let mut file = open_plain(&from, OpenOptions::new().read(true), 0).map_err(failed(&from, "opened"))?;
        let (mut hasher, mut block, mut bytes) = (Sha256::new(), vec![0; BLOCK], 0);
        loop {
            let read = file.read(&mut block).map_err(failed(&from, "read"))?;
            if read == 0 {
                return Ok(Self { path: path.to_owned(), bytes, sha256: hex(&hasher.finalize()) });
            }
            hasher.update(&block[..read]);
            to.write_all(&block[..read]).map_err(failed(&from, "copied"))?;
            bytes += read as u64;
            tick();
        }
    }

    /// What is wrong with the file of this name below `data_dir`.
    pub(super) fn damage(&self, data_dir: &Path, tick: &dyn Fn()) -> Result<Option<Damage>, SealError> {
        if !data_dir.join(&self.path).exists() {
            return Ok(Some(Damage::Missing { path: self.path.clone() }));
        }
        Ok(self.differs(&Self::read(data_dir, &self.path, tick)?))
    }

    /// How a file differs from this one.
    pub(super) fn differs(&self, found: &Self) -> Option<Damage> {
        let path = found.path.clone();
        if found.bytes != self.bytes {
            return Some(Damage::Size { path, expected: self.bytes, found: found.bytes });
        }
        let digest = |file: &Self| Digest::Sha256(file.sha256.clone());
        (found.sha256 != self.sha256).then(|| Damage::Contents { path, expected: digest(self), found: digest(found) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
