//! What outlives the process: accounts, links and sessions, as files in the state folder that only its owner reads.

pub mod accounts;
pub mod links;
pub mod secret;
pub mod sessions;

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes of a file of the state folder.
const MOST_BYTES: u64 = 8 << 20;

/// A file of the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder or a file cannot be read or written.
    #[error("{}: {source}; the folder must belong to the user of hyclus-console", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{}: its mode is {mode:03o}, and others than its owner may read or write it; run `chmod {wanted:03o} {}`", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it needs.
        wanted: u32,
    },
    /// The file is not what this version writes.
    #[error("{}: cannot be read: {reason}; restore it from a copy, or remove it to begin anew", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
}

/// Locks a mutex even after its holder panicked: every holder leaves the value whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state folder.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// # Errors
    /// It cannot be made, or others may write to it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(StateError::Open { path: path.to_owned(), mode, wanted: 0o700 });
        }
        Ok(Self(path.to_owned()))
    }

    /// Path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Holds off other processes that change files, until it is dropped.
    ///
    /// # Errors
    /// The lock's file cannot be opened.
    pub fn lock(&self) -> Result<Flock<File>, StateError> {
        let path = self.path(".lock");
        let io = |source| StateError::Io { path: path.clone(), source };
        let file = options().create(true).read(true).write(true).truncate(false).open(&path).map_err(io)?;
        self.give(&file).map_err(io)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io(errno.into()))
    }

    /// Reads a file. A missing one gives the default.
    ///
    /// # Errors
    /// It cannot be read, others may read it, or it is of another form.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, StateError> {
        let path = self.path(name);
        let io = |source| StateError::Io { path: path.clone(), source };
        let file = match options().read(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            opened => opened.map_err(io)?,
        };
        let metadata = file.metadata().map_err(io)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StateError::Open { path, mode, wanted: 0o600 });
        }
        let mut text = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut text).map_err(io)?;
        serde_json::from_slice(&text).map_err(|e| StateError::Form { path: path.clone(), reason: e.to_string() })
    }

    /// Writes a file under its name once it is complete. Nobody but the owner may read it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.path(name);
        let text = serde_json::to_vec_pretty(value).map_err(|e| StateError::Form { path: path.clone(), reason: e.to_string() })?;
        self.write_bytes(name, &text)
    }

    /// Writes bytes as [`Self::write`] does.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.path(name);
        let io = |source| StateError::Io { path: path.clone(), source };
        let unnamed = path.with_file_name(format!(".{}.{}", std::process::id(), name.rsplit('/').next().unwrap_or(name)));
        // A process of this number may have left it behind.
        let _ = fs::remove_file(&unnamed);
        let written = options().create_new(true).write(true).open(&unnamed).and_then(|mut file| {
            self.give(&file)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unnamed, &path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unnamed);
        }
        written.map_err(io)
    }

    /// Gives a new file to the owner of the folder, where root makes it.
    fn give(&self, file: &File) -> io::Result<()> {
        if nix::unistd::geteuid().is_root() {
            let folder = fs::metadata(&self.0)?;
            fchown(file, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(())
    }
}

/// Opens without following a link, for the owner alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(&folder.path().join("state")).unwrap();
        assert_eq!(dir.read::<Vec<u32>>("a.json").unwrap(), [0_u32; 0]);
        dir.write("a.json", &[1, 2]).unwrap();
        assert_eq!(fs::metadata(dir.path("a.json")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.read::<Vec<u32>>("a.json").unwrap(), [1, 2]);
        for mode in [0o640, 0o604, 0o620, 0o602] {
            fs::set_permissions(dir.path("a.json"), fs::Permissions::from_mode(mode)).unwrap();
            let error = dir.read::<Vec<u32>>("a.json").unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(dir.path("a.json"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(dir.path("a.json"), dir.path("b.json")).unwrap();
        std::os::unix::fs::symlink(dir.path("b.json"), dir.path("a.json")).unwrap();
        assert!(dir.read::<Vec<u32>>("a.json").is_err(), "a link is not followed");
        fs::write(dir.path("b.json"), "{").unwrap();
        assert!(dir.read::<Vec<u32>>("b.json").unwrap_err().to_string().contains("restore it"));
        fs::set_permissions(folder.path().join("state"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(StateDir::open(&folder.path().join("state")).is_err());
    }
}
