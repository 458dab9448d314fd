//! Errors of the steps after the reduction.

use crate::classify::ClassifyError;
use crate::kmeans::KmeansError;
use crate::linkage::LinkageError;
use crate::material::MaterialError;
use crate::tsne::TsneError;
use std::path::PathBuf;

/// Why a step fails.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The data cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A setting of the maps lies outside its range.
    #[error(transparent)]
    Tsne(#[from] TsneError),
    /// A map cannot be made.
    #[error("the map of {of} by {representation}: {source}")]
    Map {
        /// The spectra of the map, in words.
        of: String,
        /// The representation's name.
        representation: String,
        /// The fault of the map.
        source: TsneError,
    },
    /// The clusters cannot be made.
    #[error(transparent)]
    Kmeans(#[from] KmeansError),
    /// A tree cannot be made.
    #[error(transparent)]
    Linkage(#[from] LinkageError),
    /// A classification cannot be made.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// A file cannot be written.
    #[error("{}: {source}; is there room, and may you write there?", path.display())]
    Write {
        /// The path of the file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}
