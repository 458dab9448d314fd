//! Why a step after the reduction fails.

use crate::classify::ClassifyError;
use crate::kmeans::KmeansError;
use crate::linkage::LinkageError;
use crate::material::MaterialError;
use crate::tsne::TsneError;
use std::path::PathBuf;

/// Why a step gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The data do not serve.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A setting of the maps.
    #[error(transparent)]
    Tsne(#[from] TsneError),
    /// A map.
    #[error("the map of {of} by {representation}: {source}")]
    Map {
        /// The spectra on it.
        of: String,
        /// Their representation.
        representation: String,
        /// Why.
        source: TsneError,
    },
    /// Clusters.
    #[error(transparent)]
    Kmeans(#[from] KmeansError),
    /// A tree.
    #[error(transparent)]
    Linkage(#[from] LinkageError),
    /// A classification.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// A file could not be written.
    #[error("{}: {source}; is there room, and may you write there?", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
