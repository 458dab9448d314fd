//! A trained network in use.

use super::error::TrainingError;
use super::network::Network;
use super::state::{DESCRIPTION, Epoch, State};
use crate::data::Spectra;
use crate::scaling::Scaling;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::path::Path;

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

    /// Codes of some rows, `[row][latent]`, computed `batch` spectra at a time.
    pub fn encode(&self, spectra: &Spectra, rows: &[u32]) -> Result<ndarray::Array2<f32>, TrainingError> {
        let latent = self.network.architecture.latent;
        let one = |rows: &[u32]| -> Result<Vec<f32>, TrainingError> { self.encode_spectra(spectra.rows(rows)?) };
        let parts: Vec<Result<Vec<f32>, TrainingError>> = rows.par_chunks(256).map(one).collect();
        let codes = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        ndarray::Array2::from_shape_vec((rows.len(), latent), codes).map_err(|e| TrainingError::Candle(candle_core::Error::wrap(e)))
    }

    /// Codes of spectra `[row][bands]`, as reflectance.
    pub fn encode_spectra(&self, mut spectra: Vec<f32>) -> Result<Vec<f32>, TrainingError> {
        self.scaling.scale(&mut spectra);
        let bands = self.network.architecture.bands;
        let x = Tensor::from_vec(spectra, ((), bands), self.network.device())?;
        Ok(self.network.encode(&x)?.flatten_all()?.to_vec1()?)
    }

    /// Spectra `[row][bands]`, as reflectance, that codes `[row][latent]` stand for.
    pub fn decode(&self, codes: &[f32]) -> Result<Vec<f32>, TrainingError> {
        let latent = self.network.architecture.latent;
        // Some at a time, because what lies between the layers is larger than the spectra.
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
