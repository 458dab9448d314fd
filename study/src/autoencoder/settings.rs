//! How networks are trained.

use super::error::TrainingError;
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// What computes a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// The CPU.
    #[default]
    Cpu,
    /// The first GPU that CUDA knows, where this was built with the feature `cuda`.
    Cuda,
}

impl Compute {
    /// The device.
    ///
    /// # Errors
    ///
    /// [`TrainingError::NoGpu`] where there is none, or this was built without.
    pub fn device(self) -> Result<Device, TrainingError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(TrainingError::NoGpu),
        }
    }
}

/// How networks are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// Passes over the training spectra, at most.
    pub epochs: usize,
    /// Spectra of a batch.
    pub batch: usize,
    /// Share of the spectra that only judge.
    pub validation: f64,
    /// Learning rate at first.
    pub rate: f64,
    /// Share of the mean square of gradients that is kept from batch to batch.
    pub rho: f64,
    /// Epochs without a lower validation loss after which training stops.
    pub patience: usize,
    /// Epochs without a lower validation loss after which the learning rate falls.
    pub rate_patience: usize,
    /// Falls of the validation loss up to this are none to the learning rate.
    pub rate_threshold: f64,
    /// What it is multiplied with then.
    pub rate_factor: f64,
    /// Where it falls no further.
    pub min_rate: f64,
    /// Spectra to train and validate with, drawn at random; all when absent.
    pub spectra: Option<usize>,
    /// What computes it. What was trained is used on the CPU.
    pub device: Compute,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 30,
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
