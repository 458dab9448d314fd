//! What can be wrong with a network.

use crate::data::DataError;
use std::path::PathBuf;

/// Why a network was not trained or could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// candle refused something.
    #[error("the network could not be computed: {0}")]
    Candle(#[from] candle_core::Error),
    /// There is no GPU to train on.
    #[error(
        "training.device is \"cuda\", and CUDA has no device here: {0}; set it to \"cpu\", or build with `--features cuda` where one is"
    )]
    NoGpu(#[source] candle_core::Error),
    /// The spectra could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is too little to learn from.
    #[error("{found} spectra are too few to train with a batch of {batch}; scan more, or make training.batch smaller")]
    TooFew {
        /// Spectra for training.
        found: usize,
        /// Spectra of a batch.
        batch: usize,
    },
    /// The loss is no number any more.
    #[error("the loss is {loss} after epoch {epoch}; lower training.rate")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// A model's files could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A model's description cannot be understood.
    #[error("{path} is no model of this version: {reason}; remove its folder and train again")]
    Description {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder holds a training of something else.
    #[error("{folder} holds a training with other settings or data; remove it, or give the model another name")]
    Other {
        /// The model's folder.
        folder: PathBuf,
    },
}
