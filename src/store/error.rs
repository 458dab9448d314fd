//! Why samples cannot be stored.

use crate::native_lines::NativeLinesError;
use std::path::PathBuf;

/// A sample could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The HDF5 library refused.
    #[error("{}: {path}: {source}; check the free space and the disk, then process the recording again", file.display())]
    Hdf5 {
        /// The file being written.
        file: PathBuf,
        /// The place in the file.
        path: String,
        /// What the library said.
        source: hdf5::Error,
    },
    /// The file system refused.
    #[error("{} cannot be {doing}: {source}; {}", file.display(), crate::disk::advice(source, "check the free space and the permissions"))]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// The attempt: `created`, `renamed`, ...
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The threads that write cannot be started.
    #[error("the threads that write samples cannot be started: {source}; lower store.threads, or raise the limit of processes")]
    Threads {
        /// What the system said.
        source: std::io::Error,
    },
    /// Events came in an order or shape that the segmentation promises not to give.
    #[error("sample `{sample}`: {problem}; this is a fault of the program, please report it with the recording")]
    Order {
        /// Name of the sample.
        sample: String,
        /// What was expected and found.
        problem: String,
    },
}

impl From<NativeLinesError> for StoreError {
    fn from(NativeLinesError { file, doing, source }: NativeLinesError) -> Self {
        Self::Io { file, doing, source }
    }
}
