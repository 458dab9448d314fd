//! Layers of the networks. Values between layers are rows `[n, features]`. Signals lie in them as `[n, length, channels]`.

use super::ops::{Bias, Dense, Fold, Unfold, Windows};
use candle_core::{DType, Device, Result, Tensor, Var};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

/// One layer with its weights.
pub(crate) struct Layer {
    /// Weights `[in, out]`. A convolution has `[kernel * channels in, channels out]`, and a transposed one `[channels in, kernel * channels
    /// out]`.
    pub weight: Var,
    /// Biases `[out]`, or `[channels out]` of a convolution.
    pub bias: Var,
    /// Whether the layer ends with tanh.
    pub tanh: bool,
    pub form: Form,
    /// Whether its input is the spectra, which need no gradient.
    first: bool,
    /// Whether custom operations compute it, or candle's own. Custom operations run on the CPU only.
    pub fused: bool,
}

/// Kinds of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Dense,
    /// A convolution, with windows over its input.
    Convolution(Windows),
    /// A transposed convolution, with windows over its output.
    Transposed(Windows),
}

/// Shape of a layer, without weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub inputs: usize,
    pub outputs: usize,
    pub tanh: bool,
    pub form: Form,
}

impl Plan {
    fn weight(&self) -> (usize, usize) {
        match self.form {
            Form::Dense => (self.inputs, self.outputs),
            Form::Convolution(w) => (w.kernel * w.channels, self.outputs / w.count()),
            Form::Transposed(w) => (self.inputs / w.count(), w.kernel * w.channels),
        }
    }

    fn bias(&self) -> usize {
        match self.form {
            Form::Dense => self.outputs,
            Form::Convolution(w) => self.outputs / w.count(),
            Form::Transposed(w) => w.channels,
        }
    }

    /// The layer with an orthogonal matrix of weights (Saxe et al. 2014, arXiv:1312.6120) and biases of zero.
    pub fn build(&self, first: bool, rng: &mut Pcg64Mcg, device: &Device) -> Result<Layer> {
        let (rows, columns) = self.weight();
        let weight = Var::from_tensor(&Tensor::from_vec(orthogonal(rows, columns, rng), (rows, columns), device)?)?;
        let bias = Var::zeros(self.bias(), DType::F32, device)?;
        Ok(Layer { weight, bias, tanh: self.tanh, form: self.form, first, fused: device.is_cpu() })
    }
}

/// A random matrix `[rows][columns]`. Its rows or its columns, the fewer of them, are orthonormal. QR with the signs of R's diagonal makes
/// all rotations equally likely.
fn orthogonal(rows: usize, columns: usize, rng: &mut Pcg64Mcg) -> Vec<f32> {
    let (long, short) = (rows.max(columns), rows.min(columns));
    let random = DMatrix::<f64>::from_fn(long, short, |_, _| StandardNormal.sample(rng));
    let (mut q, r) = random.qr().unpack();
    for (mut column, sign) in q.column_iter_mut().zip(r.diagonal().iter()) {
        column *= sign.signum();
    }
    let at = |i: usize, j: usize| if rows >= columns { q[(i, j)] } else { q[(j, i)] };
    (0..rows * columns).map(|i| at(i / columns, i % columns) as f32).collect()
}

impl Layer {
    /// Maps rows `[n, inputs]` to rows `[n, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.fused { self.by_custom_operations(x) } else { self.by_candle(x) }
    }

    fn by_custom_operations(&self, x: &Tensor) -> Result<Tensor> {
        let n = x.dim(0)?;
        let dense = Dense { tanh: self.tanh, first: self.first };
        match self.form {
            Form::Dense => x.apply_op3(&self.weight, &self.bias, dense),
            Form::Convolution(windows) => {
                x.contiguous()?.apply_op1(Unfold(windows))?.apply_op3(&self.weight, &self.bias, dense)?.reshape((n, ()))
            }
            Form::Transposed(windows) => {
                let rows = x.reshape((n * windows.count(), ()))?.matmul(&self.weight)?;
                rows.apply_op1(Fold(windows))?.apply_op2(&self.bias, Bias { tanh: self.tanh })?.reshape((n, ()))
            }
        }
    }

    /// The same by candle's own operations, which run on every device.
    fn by_candle(&self, x: &Tensor) -> Result<Tensor> {
        let n = x.dim(0)?;
        let y = match self.form {
            Form::Dense => x.matmul(&self.weight)?.broadcast_add(&self.bias)?,
            Form::Convolution(w) => {
                let padded = x.reshape((n, w.length, w.channels))?.pad_with_zeros(1, w.before, w.behind)?;
                let seen = padded.index_select(&places(&w, x.device())?, 1)?.reshape((n * w.count(), w.kernel * w.channels))?;
                seen.matmul(&self.weight)?.broadcast_add(&self.bias)?
            }
            Form::Transposed(w) => {
                let rows = x.reshape((n * w.count(), ()))?.matmul(&self.weight)?.reshape((n, w.count() * w.kernel, w.channels))?;
                let empty = Tensor::zeros((n, w.before + w.length + w.behind, w.channels), DType::F32, x.device())?;
                empty.index_add(&places(&w, x.device())?, &rows, 1)?.narrow(1, w.before, w.length)?.broadcast_add(&self.bias)?
            }
        };
        let y = if self.tanh { y.tanh()? } else { y };
        y.reshape((n, ()))
    }
}

/// The place of every value of every window in the padded signal.
fn places(w: &Windows, device: &Device) -> Result<Tensor> {
    let places: Vec<u32> = (0..w.count()).flat_map(|i| (0..w.kernel).map(move |k| (i * w.stride + k) as u32)).collect();
    let count = places.len();
    Tensor::from_vec(places, count, device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::ops::CrossEntropy;
    use rand::SeedableRng;

    fn close(a: &Tensor, b: &Tensor, what: &str) {
        let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        let size = b.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(worst <= 2e-5 * size.max(1e-3), "{what}: off by {worst} of {size}");
    }

    #[test]
    fn fused_layers_and_their_gradients_are_those_of_candle() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        let windows = Windows::over(20, 2, 5, 3);
        let plans = [
            Plan { inputs: 40, outputs: windows.count() * 4, tanh: true, form: Form::Convolution(windows) },
            Plan { inputs: windows.count() * 4, outputs: 6, tanh: true, form: Form::Dense },
            Plan { inputs: 6, outputs: windows.count() * 3, tanh: true, form: Form::Dense },
            Plan { inputs: windows.count() * 3, outputs: 40, tanh: false, form: Form::Transposed(windows) },
        ];
        let device = Device::Cpu;
        let layers: Vec<Layer> = plans.iter().enumerate().map(|(i, plan)| plan.build(i == 0, &mut rng, &device).unwrap()).collect();
        for layer in &layers {
            layer.bias.set(&Tensor::rand(-0.5_f32, 0.5, layer.bias.dims(), &device).unwrap()).unwrap();
        }
        let x = Tensor::rand(0.0_f32, 1.0, (7, 40), &device).unwrap();
        let fused = layers.iter().try_fold(x.clone(), |x, layer| layer.forward(&x)).unwrap();
        let by_candle = layers.iter().try_fold(x.clone(), |x, layer| layer.by_candle(&x)).unwrap();
        close(&fused, &by_candle, "values");
        let loss = fused.apply_op2(&x, CrossEntropy { count: 280.0 }).unwrap();
        // The expected loss follows the definition, by candle's own operations.
        let p = ((by_candle.neg().unwrap().exp().unwrap() + 1.0).unwrap()).recip().unwrap();
        let q = (1.0 - &p).unwrap();
        let expected = ((&x * p.log().unwrap()).unwrap() + ((1.0 - &x).unwrap() * q.log().unwrap()).unwrap()).unwrap();
        let expected = expected.mean_all().unwrap().neg().unwrap();
        close(&loss, &expected, "loss");
        let (ours, candles) = (loss.backward().unwrap(), expected.backward().unwrap());
        for (i, layer) in layers.iter().enumerate() {
            close(ours.get(&layer.weight).unwrap(), candles.get(&layer.weight).unwrap(), &format!("gradient of weight {i}"));
            close(ours.get(&layer.bias).unwrap(), candles.get(&layer.bias).unwrap(), &format!("gradient of bias {i}"));
        }
    }

    #[test]
    fn weights_begin_orthogonal() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        for (rows, columns) in [(30, 8), (8, 30)] {
            let w = DMatrix::from_row_slice(rows, columns, &orthogonal(rows, columns, &mut rng));
            let product = if rows > columns { w.transpose() * &w } else { &w * w.transpose() };
            assert!((product - DMatrix::identity(8, 8)).amax() < 1e-6);
        }
    }
}
