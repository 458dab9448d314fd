//! A training's files: weights and optimiser in safetensors, everything else in `model.json`, which names them.

use super::network::{Architecture, Network};
use super::{Training, TrainingError};
use crate::scaling::Scaling;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const DESCRIPTION: &str = "model.json";

/// One epoch of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the training spectra, as the weights changed.
    pub loss: f64,
    /// Mean loss over the validation spectra, after it.
    pub validation_loss: f64,
    /// Learning rate of the epoch.
    pub rate: f64,
    /// Time it took, s.
    pub seconds: f64,
}

/// Everything about a training but the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub architecture: Architecture,
    pub training: Training,
    pub seed: u64,
    /// Spectra of the data set, to notice another one.
    pub spectra: usize,
    pub wavelengths_nm: Vec<f64>,
    pub scaling: Scaling,
    pub curve: Vec<Epoch>,
    pub rate: f64,
    /// Lowest validation loss, and epochs since.
    pub best: f64,
    pub since_best: usize,
    /// The loss that the learning rate is judged by, and epochs since it fell.
    pub plateau: f64,
    pub since_plateau: usize,
    pub finished: bool,
}

/// A network that was trained, with the scaling of its spectra.
pub struct Trained {
    /// The network with the weights of its best epoch.
    pub network: Network,
    /// How spectra are scaled before they are encoded.
    pub scaling: Scaling,
    /// Wavelengths it was trained on, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Seed of its weights, of the split and of the order of spectra.
    pub seed: u64,
    /// The loss, epoch by epoch.
    pub curve: Vec<Epoch>,
}

impl Trained {
    /// Reads a finished training from its folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, TrainingError> {
        let state = State::read(folder)?.filter(|state| state.finished);
        let state = state.ok_or_else(|| TrainingError::Description {
            path: folder.join(DESCRIPTION),
            reason: "its training did not finish".to_owned(),
        })?;
        let network = Network::new(state.architecture, state.seed, device)?;
        state.load_best(folder, &network)?;
        let State { scaling, wavelengths_nm, seed, curve, .. } = state;
        Ok(Self { network, scaling, wavelengths_nm, seed, curve })
    }
}

impl State {
    /// What a folder holds, if anything.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainingError> {
        let path = folder.join(DESCRIPTION);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| TrainingError::Description { path, reason: e.to_string() }),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TrainingError::File { path, source }),
        }
    }

    fn weights(&self, folder: &Path, what: &str, epoch: usize) -> PathBuf {
        folder.join(format!("{what}-{epoch:03}.safetensors"))
    }

    /// The epoch of the lowest validation loss, from 1.
    fn best_epoch(&self) -> usize {
        self.curve.len() - self.since_best
    }

    /// Writes the weights as they are after the last epoch of the curve, then the description that makes them hold.
    pub fn write(&self, folder: &Path, network: &Network, squares: &[Tensor]) -> Result<(), TrainingError> {
        let file = |path: PathBuf| move |source| TrainingError::File { path, source };
        std::fs::create_dir_all(folder).map_err(file(folder.to_owned()))?;
        let epoch = self.curve.len();
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for ((name, var), square) in network.variables().into_iter().zip(squares) {
            tensors.insert(format!("{name}.square"), square.clone());
            tensors.insert(name, var.as_tensor().clone());
        }
        candle_core::safetensors::save(&tensors, self.weights(folder, "epoch", epoch))?;
        let path = folder.join(DESCRIPTION);
        let fresh = folder.join("model.json.new");
        let text = serde_json::to_vec_pretty(self).map_err(|e| file(fresh.clone())(e.into()))?;
        std::fs::write(&fresh, text).map_err(file(fresh.clone()))?;
        std::fs::rename(&fresh, &path).map_err(file(path))?;
        let mut curve = String::from("epoch,loss,validation_loss,rate,seconds\n");
        for (i, e) in self.curve.iter().enumerate() {
            curve += &format!("{},{},{},{},{:.3}\n", i + 1, e.loss, e.validation_loss, e.rate, e.seconds);
        }
        let path = folder.join("curve.csv");
        std::fs::write(&path, curve).map_err(file(path))?;
        // The weights of the best epoch and of the last one stay.
        for old in (1..epoch).filter(|old| *old != self.best_epoch()) {
            let path = self.weights(folder, "epoch", old);
            if path.exists() {
                std::fs::remove_file(&path).map_err(file(path))?;
            }
        }
        Ok(())
    }

    /// Takes up the weights and the optimiser's squares after the last epoch.
    pub fn load_last(&self, folder: &Path, network: &Network, squares: &[Tensor]) -> Result<(), TrainingError> {
        let path = self.weights(folder, "epoch", self.curve.len());
        let mut tensors = load(&path, network)?;
        for ((name, var), square) in network.variables().into_iter().zip(squares) {
            var.set(&take(&mut tensors, &name, &path)?)?;
            square.slice_set(&take(&mut tensors, &format!("{name}.square"), &path)?, 0, 0)?;
        }
        Ok(())
    }

    /// Takes up the weights of the best epoch.
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
    let bytes = std::fs::read(path).map_err(|source| TrainingError::File { path: path.to_owned(), source })?;
    Ok(candle_core::safetensors::load_buffer(&bytes, device)?)
}

fn take(tensors: &mut HashMap<String, Tensor>, name: &str, path: &Path) -> Result<Tensor, TrainingError> {
    let missing = || TrainingError::Description { path: path.to_owned(), reason: format!("it holds no {name}") };
    tensors.remove(name).ok_or_else(missing)
}
