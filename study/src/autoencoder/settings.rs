//! Settings of a training.

use super::error::TrainingError;
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// Device of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// The CPU.
    #[default]
    Cpu,
    /// The first GPU of CUDA. It needs a build with the feature `cuda`.
    Cuda,
}

impl Compute {
    /// candle's device.
    ///
    /// # Errors
    ///
    /// [`TrainingError::NoGpu`] without a GPU, and in a build without the feature `cuda`.
    pub fn device(self) -> Result<Device, TrainingError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(TrainingError::NoGpu),
        }
    }
}

/// Settings of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Largest number of passes over the training spectra.
    pub epochs: usize,
    /// Number of spectra of a batch.
    pub batch: usize,
    /// Share of the spectra for validation.
    pub validation: f64,
    /// Learning rate of the first epoch.
    pub rate: f64,
    /// Share of the mean square of gradients that a batch keeps.
    pub rho: f64,
    /// Epochs without a lower validation loss that end the training.
    pub patience: usize,
    /// Epochs without a lower validation loss that lower the learning rate.
    pub rate_patience: usize,
    /// Smallest fall of the validation loss that counts for the learning rate.
    pub rate_threshold: f64,
    /// Factor of each fall of the learning rate.
    pub rate_factor: f64,
    /// Lowest learning rate.
    pub min_rate: f64,
    /// Number of spectra for training and validation, drawn at random. Without it, all spectra serve.
    pub spectra: Option<usize>,
    /// Device of the training. Trained networks run on the CPU.
    pub device: Compute,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 24,
            batch: 256,
            validation: 0.1,
            rate: 6e-4,
            rho: 0.9,
            patience: 5,
            rate_patience: 3,
            rate_threshold: 1e-5,
            rate_factor: 0.2,
            min_rate: 1e-6,
            spectra: None,
            device: Compute::Cpu,
        }
    }
}
