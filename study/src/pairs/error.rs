//! Errors of encoders that learn from pairs.

use crate::data::DataError;
use crate::model_file::ModelFileError;
use std::path::PathBuf;

/// Why an encoder cannot be learned from pairs, or used.
#[derive(Debug, thiserror::Error)]
pub enum PairsError {
    /// The spectra cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are too few spectra or containers.
    #[error(
        "{spectra} spectra of {containers} containers are too few to compare pairs with all: give at least two containers of several spectra each"
    )]
    TooFew {
        /// Number of containers.
        containers: usize,
        /// Number of spectra.
        spectra: usize,
    },
    /// No pixel has a partner.
    #[error("no two pixels of one sample lie 4 to 8 pixels apart: set pairs.partner to \"container\", or give whole samples")]
    NoPairs,
    /// The spectra do not vary within pairs.
    #[error("the spectra of a pair are all equal, so that there is no scatter to compare with: give measured spectra")]
    NoScatter,
    /// A code would have more numbers than a spectrum has bands.
    #[error("a code of {wanted} numbers from spectra of {bands} bands: lower `latent`")]
    TooMany {
        /// Numbers of a code.
        wanted: usize,
        /// Bands of a spectrum.
        bands: usize,
    },
    /// The loss is not finite.
    #[error("the loss is {loss} after epoch {epoch}; lower vicreg.rate")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Mean loss of the epoch.
        loss: f64,
    },
    /// A model's file cannot be read or written, or holds none.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The folder holds another training.
    #[error("{folder} holds a training with other settings or data; remove it, or give the model another name")]
    Other {
        /// The model's folder.
        folder: PathBuf,
    },
}
