//! Errors of training and of trained networks.

use crate::data::DataError;
use crate::model_file::ModelFileError;
use std::path::PathBuf;

/// Why a network cannot be trained or used.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// candle reports an error.
    #[error("the network could not be computed: {0}")]
    Candle(#[from] candle_core::Error),
    /// There is no GPU to train on.
    #[error(
        "training.device is \"cuda\", and CUDA has no device here: {0}; set it to \"cpu\", or build with `--features cuda` where one is"
    )]
    NoGpu(#[source] candle_core::Error),
    /// The spectra cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There are too few spectra.
    #[error("{found} spectra are too few to train with a batch of {batch}; scan more, or make training.batch smaller")]
    TooFew {
        /// Number of spectra for training.
        found: usize,
        /// Number of spectra of a batch.
        batch: usize,
    },
    /// The loss is not finite.
    #[error("the loss is {loss} after epoch {epoch}; lower training.rate")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Training loss of the epoch.
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
