//! The files of a training. Weights and optimiser are in safetensors, and everything else is in `model.json`.

use super::error::TrainingError;
use super::network::{Architecture, Network};
use super::settings::Training;
use crate::data::{Spectra, same};
use crate::model_file::{self, ModelFileError};
use crate::scaling::Scaling;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One epoch of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the training spectra, with the weights of each batch.
    pub loss: f64,
    /// Mean loss over the validation spectra, after the epoch.
    pub validation_loss: f64,
    /// Learning rate of the epoch.
    pub rate: f64,
    /// Duration, s.
    pub seconds: f64,
}

/// Everything about a training except the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub architecture: Architecture,
    pub training: Training,
    pub seed: u64,
    /// Number of spectra of the data set. It reveals another data set.
    pub spectra: usize,
    pub wavelengths_nm: Vec<f64>,
    pub scaling: Scaling,
    pub curve: Vec<Epoch>,
    pub rate: f64,
    /// Lowest validation loss.
    pub best: f64,
    /// Epochs since the lowest validation loss.
    pub since_best: usize,
    /// Validation loss of the last fall that counts for the learning rate.
    pub plateau: f64,
    /// Epochs since that fall.
    pub since_plateau: usize,
    pub finished: bool,
}

impl State {
    /// A training before its first epoch.
    pub fn begin(architecture: Architecture, training: &Training, seed: u64, spectra: &Spectra, scaling: &Scaling) -> Self {
        Self {
            architecture,
            training: training.clone(),
            seed,
            spectra: spectra.len(),
            wavelengths_nm: spectra.wavelengths_nm().to_vec(),
            scaling: scaling.clone(),
            curve: Vec::new(),
            rate: training.rate,
            best: f64::INFINITY,
            since_best: 0,
            plateau: f64::INFINITY,
            since_plateau: 0,
            finished: training.epochs == 0,
        }
    }

    /// Whether both are the same training, at any epoch.
    pub fn continues(&self, begun: &Self) -> bool {
        self.architecture == begun.architecture
            && self.training == begun.training
            && (self.seed, self.spectra) == (begun.seed, begun.spectra)
            && same(&self.wavelengths_nm, &begun.wavelengths_nm)
            && self.scaling == begun.scaling
    }

    /// Adds an epoch. It decides the learning rate of the next one, and whether there is a next one.
    pub fn judge(&mut self, epoch: Epoch) {
        let training = &self.training;
        self.curve.push(epoch);
        let loss = epoch.validation_loss;
        (self.best, self.since_best) = if loss < self.best { (loss, 0) } else { (self.best, self.since_best + 1) };
        let fell = loss < self.plateau - training.rate_threshold;
        (self.plateau, self.since_plateau) = if fell { (loss, 0) } else { (self.plateau, self.since_plateau + 1) };
        if self.since_plateau >= training.rate_patience {
            self.rate = (self.rate * training.rate_factor).max(training.min_rate);
            self.since_plateau = 0;
        }
        self.finished = self.curve.len() >= training.epochs || self.since_best >= training.patience;
    }

    /// Reads the state of a folder, if it has one.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainingError> {
        Ok(model_file::read(folder)?)
    }

    fn weights(&self, folder: &Path, what: &str, epoch: usize) -> PathBuf {
        folder.join(format!("{what}-{epoch:03}.safetensors"))
    }

    /// The epoch of the lowest validation loss, from 1.
    fn best_epoch(&self) -> usize {
        self.curve.len() - self.since_best
    }

    /// Writes the weights after the last epoch of the curve, then the description. The description makes the weights valid.
    pub fn write(&self, folder: &Path, network: &Network, squares: &[Tensor]) -> Result<(), TrainingError> {
        std::fs::create_dir_all(folder).map_err(ModelFileError::of(folder))?;
        let epoch = self.curve.len();
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for ((name, var), square) in network.variables().into_iter().zip(squares) {
            tensors.insert(format!("{name}.square"), square.clone());
            tensors.insert(name, var.as_tensor().clone());
        }
        candle_core::safetensors::save(&tensors, self.weights(folder, "epoch", epoch))?;
        model_file::write(folder, serde_json::to_vec_pretty(self))?;
        let mut curve = String::from("epoch,loss,validation_loss,rate,seconds\n");
        for (i, e) in self.curve.iter().enumerate() {
            curve += &format!("{},{},{},{},{:.3}\n", i + 1, e.loss, e.validation_loss, e.rate, e.seconds);
        }
        model_file::write_curve(folder, curve)?;
        // The weights of the best epoch and of the last epoch stay.
        for old in (1..epoch).filter(|old| *old != self.best_epoch()) {
            let path = self.weights(folder, "epoch", old);
            if path.exists() {
                std::fs::remove_file(&path).map_err(ModelFileError::of(&path))?;
            }
        }
        Ok(())
    }

    /// Loads the weights and the optimiser's squares after the last epoch.
    pub fn load_last(&self, folder: &Path, network: &Network, squares: &[Tensor]) -> Result<(), TrainingError> {
        let path = self.weights(folder, "epoch", self.curve.len());
        let mut tensors = load(&path, network)?;
        for ((name, var), square) in network.variables().into_iter().zip(squares) {
            var.set(&take(&mut tensors, &name, &path)?)?;
            square.slice_set(&take(&mut tensors, &format!("{name}.square"), &path)?, 0, 0)?;
        }
        Ok(())
    }

    /// Loads the weights of the best epoch.
    pub fn load_best(&self, folder: &Path, network: &Network) -> Result<(), TrainingError> {
        let path = self.weights(folder, "epoch", self.best_epoch());
        let mut tensors = load(&path, network)?;
        for (name, var) in network.variables() {
            var.set(&take(&mut tensors, &name, &path)?)?;
        }
        Ok(())
    }
}

fn load(path: &Path, network: &Network) -> Result<HashMap<String, Tensor>, TrainingError> {
    let device = network.device();
    let bytes = std::fs::read(path).map_err(ModelFileError::of(path))?;
    Ok(candle_core::safetensors::load_buffer(&bytes, device)?)
}

fn take(tensors: &mut HashMap<String, Tensor>, name: &str, path: &Path) -> Result<Tensor, TrainingError> {
    let missing = || ModelFileError::Description { path: path.to_owned(), reason: format!("it holds no {name}") };
    Ok(tensors.remove(name).ok_or_else(missing)?)
}
