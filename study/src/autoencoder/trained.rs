//! Trained networks.

use super::error::TrainingError;
use super::network::Network;
use super::state::{Epoch, State};
use crate::data::Spectra;
use crate::model_file::ModelFileError;
use crate::scaling::Scaling;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::path::Path;

/// A trained network, with the scaling of its spectra.
pub struct Trained {
    /// The network with the weights of its best epoch.
    pub network: Network,
    /// Scaling of spectra before the encoder.
    pub scaling: Scaling,
    /// Wavelengths of the training spectra, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Seed of the weights, of the split, and of the order of spectra.
    pub seed: u64,
    /// The loss, epoch by epoch.
    pub curve: Vec<Epoch>,
}

impl Trained {
    /// Reads a finished training from its folder.
    ///
    /// # Errors
    ///
    /// [`TrainingError::Model`] for a training that did not finish. [`TrainingError`] for files that cannot be read.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, TrainingError> {
        let state = State::read(folder)?.filter(|state| state.finished);
        let state = state.ok_or_else(|| ModelFileError::unfinished(folder))?;
        let network = Network::new(state.architecture, state.seed, device)?;
        state.load_best(folder, &network)?;
        let State { scaling, wavelengths_nm, seed, curve, .. } = state;
        Ok(Self { network, scaling, wavelengths_nm, seed, curve })
    }

    /// Codes of some rows, `(rows, latent)`.
    ///
    /// # Errors
    ///
    /// [`TrainingError`] for spectra that cannot be read or have another number of bands.
    pub fn encode(&self, spectra: &Spectra, rows: &[u32]) -> Result<ndarray::Array2<f32>, TrainingError> {
        let latent = self.network.architecture.latent;
        let one = |rows: &[u32]| -> Result<Vec<f32>, TrainingError> { self.encode_spectra(spectra.rows(rows)?) };
        let parts: Vec<Result<Vec<f32>, TrainingError>> = rows.par_chunks(256).map(one).collect();
        let codes = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        ndarray::Array2::from_shape_vec((rows.len(), latent), codes).map_err(|e| TrainingError::Candle(candle_core::Error::wrap(e)))
    }

    /// Codes `[row][latent]` of spectra `[row][band]`, reflectance.
    ///
    /// # Errors
    ///
    /// [`TrainingError::Candle`] for another number of bands.
    pub fn encode_spectra(&self, mut spectra: Vec<f32>) -> Result<Vec<f32>, TrainingError> {
        self.scaling.scale(&mut spectra);
        let bands = self.network.architecture.bands;
        let x = Tensor::from_vec(spectra, ((), bands), self.network.device())?;
        Ok(self.network.encode(&x)?.flatten_all()?.to_vec1()?)
    }

    /// Spectra `[row][band]`, reflectance, decoded from codes `[row][latent]`.
    ///
    /// # Errors
    ///
    /// [`TrainingError::Candle`] for codes of another length.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f32>, TrainingError> {
        let latent = self.network.architecture.latent;
        // Values between the layers are larger than the spectra, so that codes are decoded some at a time.
        let mut values = Vec::with_capacity(codes.len() / latent * self.network.architecture.bands);
        for codes in codes.chunks(latent * 256) {
            let codes = Tensor::from_slice(codes, ((), latent), self.network.device())?;
            let z = self.network.decode_logits(&codes)?;
            values.extend((z.neg()?.exp()? + 1.0)?.recip()?.flatten_all()?.to_vec1::<f32>()?);
        }
        self.scaling.unscale(&mut values);
        Ok(values)
    }
}
