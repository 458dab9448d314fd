//! Why a cube cannot be read or identified.

use crate::hdf;
use crate::identify::IdentifyError;
use crate::store::SampleError;
use replay::envi::ImageError;
use std::path::PathBuf;

/// A cube could not be read or identified.
#[derive(Debug, thiserror::Error)]
pub enum CubeError {
    /// A sample's file cannot be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// An ENVI image cannot be read.
    #[error("{}: {source}; give a sample's .h5, an ENVI header, or an .h5 in the layout of HIDSAG", path.display())]
    Envi {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        source: ImageError,
    },
    /// An HDF5 file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: hdf::Error,
    },
    /// The file says something that a cube of reflectance does not.
    #[error("{}: {problem}", path.display())]
    Odd {
        /// The file.
        path: PathBuf,
        /// What was found, and what to do.
        problem: String,
    },
    /// The library and the bands do not fit.
    #[error("{}: {source}", path.display())]
    Identify {
        /// The cube.
        path: PathBuf,
        /// Why.
        source: IdentifyError,
    },
    /// The result cannot be written.
    #[error("{} cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
