//! The two networks: the laboratory's dense autoencoder, and a convolutional one.

use super::layers::{Form, Layer, Plan};
use super::ops::Windows;
use candle_core::{Device, Result, Tensor, Var};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// Widths of the dense encoder between the bands and the code. The decoder has them in reverse.
const WIDTHS: [usize; 4] = [128, 64, 32, 16];
/// Kernel, stride and channels of the encoder's convolutions. The decoder has them in reverse.
const CONVOLUTIONS: [(usize, usize, usize); 2] = [(16, 8, 16), (4, 4, 32)];

/// Kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The dense network bands-128-64-32-16-code-16-32-64-128-bands. The last layer has a sigmoid, and all others have tanh.
    Dense,
    /// Two one-dimensional convolutions over the bands and a dense layer to the code, then the same in reverse. Kernels are 16 and 4,
    /// strides 8 and 4, channels 16 and 32. The last layer has a sigmoid, and all others have tanh.
    Conv,
}

/// Shape of an autoencoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Kind of the network.
    pub kind: Kind,
    /// Bands of a spectrum.
    pub bands: usize,
    /// Length of a code.
    pub latent: usize,
}

impl Architecture {
    /// Plans of the layers of encoder and decoder.
    fn plans(&self) -> (Vec<Plan>, Vec<Plan>) {
        let dense = |inputs, outputs, tanh| Plan { inputs, outputs, tanh, form: Form::Dense };
        let (mut encoder, mut decoder) = (Vec::new(), Vec::new());
        match self.kind {
            Kind::Dense => {
                let widths: Vec<usize> = [self.bands].into_iter().chain(WIDTHS).chain([self.latent]).collect();
                encoder.extend(widths.windows(2).map(|pair| dense(pair[0], pair[1], true)));
                decoder.extend(widths.windows(2).rev().map(|pair| dense(pair[1], pair[0], true)));
            }
            Kind::Conv => {
                let (mut length, mut channels) = (self.bands, 1);
                for (kernel, stride, out) in CONVOLUTIONS {
                    let windows = Windows::over(length, channels, kernel, stride);
                    let (wide, narrow) = (length * channels, windows.count() * out);
                    encoder.push(Plan { inputs: wide, outputs: narrow, tanh: true, form: Form::Convolution(windows) });
                    decoder.insert(0, Plan { inputs: narrow, outputs: wide, tanh: true, form: Form::Transposed(windows) });
                    (length, channels) = (windows.count(), out);
                }
                encoder.push(dense(length * channels, self.latent, true));
                decoder.insert(0, dense(self.latent, length * channels, true));
            }
        }
        if let Some(last) = decoder.last_mut() {
            last.tanh = false;
        }
        (encoder, decoder)
    }
}

/// An autoencoder with its weights.
pub struct Network {
    /// Shape of the network.
    pub architecture: Architecture,
    pub(crate) encoder: Vec<Layer>,
    pub(crate) decoder: Vec<Layer>,
}

impl Network {
    /// A network with random weights. The same seed gives the same weights.
    ///
    /// # Errors
    ///
    /// The error of candle for a device that cannot hold the weights.
    pub fn new(architecture: Architecture, seed: u64, device: &Device) -> Result<Self> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let (encoder, decoder) = architecture.plans();
        let mut build = |plans: &[Plan], encodes: bool| -> Result<Vec<Layer>> {
            plans.iter().enumerate().map(|(i, plan)| plan.build(encodes && i == 0, &mut rng, device)).collect()
        };
        let encoder = build(&encoder, true)?;
        Ok(Self { architecture, encoder, decoder: build(&decoder, false)? })
    }

    /// The device of the weights.
    pub(super) fn device(&self) -> &Device {
        self.encoder[0].weight.device()
    }

    /// Whether custom operations compute it, or candle's own.
    pub(super) fn fused(&self) -> bool {
        self.encoder[0].fused
    }

    /// Maps scaled spectra `[n, bands]` to codes `[n, latent]`.
    ///
    /// # Errors
    ///
    /// The error of candle for an input of another shape or device.
    pub fn encode(&self, x: &Tensor) -> Result<Tensor> {
        self.encoder.iter().try_fold(x.clone(), |x, layer| layer.forward(&x))
    }

    /// Maps codes `[n, latent]` to logits `[n, bands]`, the input of the last sigmoid.
    ///
    /// # Errors
    ///
    /// The error of candle for an input of another shape or device.
    pub fn decode_logits(&self, codes: &Tensor) -> Result<Tensor> {
        self.decoder.iter().try_fold(codes.clone(), |x, layer| layer.forward(&x))
    }

    /// All weights with their names, such as `encoder.0.weight`, in a fixed order.
    pub fn variables(&self) -> Vec<(String, &Var)> {
        let parts = [("encoder", &self.encoder), ("decoder", &self.decoder)];
        let layers = parts.into_iter().flat_map(|(part, layers)| layers.iter().enumerate().map(move |(i, layer)| (part, i, layer)));
        layers.flat_map(|(part, i, l)| [(format!("{part}.{i}.weight"), &l.weight), (format!("{part}.{i}.bias"), &l.bias)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_give_as_many_bands_as_encoders_take() {
        for kind in [Kind::Dense, Kind::Conv] {
            for bands in [40, 255, 256, 511] {
                let network = Network::new(Architecture { kind, bands, latent: 5 }, 1, &Device::Cpu).unwrap();
                let x = Tensor::rand(0.0_f32, 1.0, (3, bands), &Device::Cpu).unwrap();
                let codes = network.encode(&x).unwrap();
                assert_eq!(codes.dims(), [3, 5]);
                assert_eq!(network.decode_logits(&codes).unwrap().dims(), [3, bands], "{kind:?} {bands}");
            }
        }
    }
}
