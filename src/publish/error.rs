//! Why embeddings cannot be written or read.

use crate::scan::NewerFormat;
use std::path::{Path, PathBuf};

/// Why embeddings cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The scan's parts are there already.
    #[error("{} holds parts of this scan already; remove it to publish the scan anew", folder.display())]
    AlreadyPublished {
        /// The scan's folder.
        folder: PathBuf,
    },
    /// Parts cannot get their name in one step.
    #[error("{} and {} lie on different file systems, so that parts cannot appear complete; put them on one", hidden.display(), folder.display())]
    TwoFileSystems {
        /// The folder in which parts are written.
        hidden: PathBuf,
        /// The folder that they belong to.
        folder: PathBuf,
    },
    /// Embeddings do not have the width that the scan announced.
    #[error("{what} of {found} numbers came, but the scan has {expected}; this is a fault of the program")]
    Width {
        /// `embeddings`, `novelty` or `spectra`.
        what: &'static str,
        /// Numbers announced.
        expected: usize,
        /// Numbers that came.
        found: usize,
    },
    /// The file system refuses.
    #[error("{} cannot be {doing}: {source}; {}", path.display(), crate::disk::advice(source, "check that the disk has space and that the folder may be written"))]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The attempt: written, read, renamed, ...
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A Parquet file cannot be written or read.
    #[error("{}{} cannot be {doing} as Parquet: {reason}", path.display(), column.as_ref().map(|c| format!(", column {c},")).unwrap_or_default())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The column, where one is to blame.
        column: Option<String>,
        /// The attempt: written or read.
        doing: &'static str,
        /// Why.
        reason: String,
    },
    /// A Parquet file is not one of a data set of embeddings.
    #[error("{} is no part of a data set of embeddings: expected a column {column} of type {expected}, found {found}; `hyclus inspect` shows the file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The type that this program writes.
        expected: String,
        /// The type that is there.
        found: String,
    },
    /// A later version of the program wrote the file.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// CSV has one set of columns, and scans differ.
    #[error("the rows of scan {scan} have other columns than those before, which CSV cannot hold; name one scan, or use jsonl")]
    Columns {
        /// The scan.
        scan: String,
    },
    /// The output refuses.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl PublishError {
    /// Whether the reader of the output went away, as `head` does.
    pub fn broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Adds a path and the attempt to what the file system said.
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), doing, source }
    }

    /// Adds a path and the attempt to what the Parquet library said.
    pub(super) fn parquet<E: std::fmt::Display>(path: &Path, doing: &'static str) -> impl FnOnce(E) -> Self {
        move |e| Self::Parquet { path: path.to_owned(), column: None, doing, reason: e.to_string() }
    }
}
