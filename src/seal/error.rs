//! Why a scan cannot be sealed or packed.

use crate::data_root::{Damage, RecordError};
use std::path::{Path, PathBuf};

/// A scan cannot be sealed, verified or packed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no such scan.
    #[error("there is no scan {scan} below {}; name the data root with --data", data.display())]
    NoScan {
        /// Its id.
        scan: String,
        /// The data root.
        data: PathBuf,
    },
    /// The scan has not ended.
    #[error("{scan} has not ended; if it was cut off, `hyclus recover` closes it")]
    Runs {
        /// Its id.
        scan: String,
    },
    /// Embeddings or minerals of the scan are still to be made.
    #[error(
        "{scan} lacks embeddings or minerals, which the daemon makes while no scan runs; without it, `hyclus recover` does. Seal it then"
    )]
    Lacks {
        /// Its id.
        scan: String,
    },
    /// Files of the scan lie in an archive alone.
    #[error("{path} lies in the archive alone, and what is not here cannot be sealed; `hyclus-ship fetch {scan}` brings it back")]
    Away {
        /// The scan's id.
        scan: String,
        /// The first such file.
        path: String,
    },
    /// Files of the scan are not as they were.
    #[error("{scan} is damaged, and nothing was written:{}", lines(damages))]
    Damaged {
        /// Its id.
        scan: String,
        /// What is wrong.
        damages: Vec<Damage>,
    },
    /// The scan has no seal.
    #[error("{scan} is not sealed; `hyclus seal --key FILE {scan}` seals it")]
    NoSeal {
        /// Its id.
        scan: String,
    },
    /// A seal is not whole.
    #[error("the seal of {scan} cannot be used: {problem}; `hyclus seal --key FILE {scan}` seals it again")]
    Broken {
        /// The scan's id.
        scan: String,
        /// What is wrong.
        problem: String,
    },
    /// The key is there already.
    #[error("{} exists already, and a key that is lost signs nothing again; choose another name", path.display())]
    KeyExists {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write the secret key.
    #[error("{} may be read or written by others (mode {mode:04o}); `chmod 600 {}`, and make a new key if somebody else was there", path.display(), path.display())]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key cannot be used.
    #[error("{} is no {what} that can be used: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// `secret key` or `public key`.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The signature cannot be made.
    #[error("the seal cannot be signed: {0}")]
    Sign(String),
    /// The pack is there already.
    #[error("{} exists already, and nothing was written; choose another name, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk has no room for the pack.
    #[error("the pack takes {} MiB, and {} has {} MiB free; nothing was written", bytes >> 20, path.display(), free >> 20)]
    Full {
        /// Its folder.
        path: PathBuf,
        /// Bytes of the pack.
        bytes: u64,
        /// Free bytes.
        free: u64,
    },
    /// The record of a scan cannot be read or compared.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file system refused.
    #[error("{} cannot be {doing}: {source}; check the free space and the permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempt: `created`, `written`, ...
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

fn lines(damages: &[Damage]) -> String {
    damages.iter().fold(String::new(), |text, damage| format!("{text}\n  {damage}"))
}

/// Adds a path and the attempt to what the file system said.
pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> SealError {
    move |source| SealError::Io { path: path.into(), doing, source }
}
