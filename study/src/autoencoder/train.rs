//! Training by RMSprop on batches in random order, with early stopping and a learning rate that falls on a plateau.

use super::network::{Architecture, Network};
use super::ops::{CrossEntropy, MeanSquare, Step};
use super::state::{Epoch, State, Trained};
use super::{Kind, TrainingError};
use crate::data::{Spectra, same};
use crate::scaling::Scaling;
use candle_core::{Device, Tensor, Var};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// What is added to the root of the mean square of gradients (the default of Keras).
const EPSILON: f32 = 1e-7;
/// Rows whose gradient one thread of the CPU computes. It decides how sums are rounded, so it does not depend on the threads there are.
const SHARD: usize = 128;

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

/// How far a training is.
pub struct Progress<'a> {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Batches of the epoch that are done, and all of them.
    pub batches: (usize, usize),
    /// The epochs before.
    pub curve: &'a [Epoch],
}

/// Trains a network, or goes on with an interrupted training of `folder`; one that is finished is only read.
///
/// After every epoch everything is in `folder`. `watch` hears after every batch how far it is, and says whether to go on; the
/// weights and the loss are the same however often it is interrupted. None: it was told to stop.
pub fn train(
    spectra: &Spectra,
    (kind, latent): (Kind, usize),
    scaling: &Scaling,
    training: &Training,
    seed: u64,
    folder: &Path,
    mut watch: impl FnMut(Progress<'_>) -> bool,
) -> Result<Option<Trained>, TrainingError> {
    let architecture = Architecture { kind, bands: spectra.bands(), latent };
    let network = Network::new(architecture, seed, &training.device.device()?)?;
    let mut trainer = Trainer::new(spectra, scaling, training, seed, network)?;
    let begun = State::begin(architecture, training, seed, spectra, scaling);
    let mut state = match State::read(folder)? {
        Some(found) if !found.continues(&begun) => return Err(TrainingError::Other { folder: folder.to_owned() }),
        Some(found) => {
            found.load_last(folder, &trainer.network, &trainer.squares)?;
            found
        }
        None => begun,
    };
    while !state.finished {
        let epoch = state.curve.len() + 1;
        let start = Instant::now();
        let told = |batches| watch(Progress { epoch, batches, curve: &state.curve });
        let Some(loss) = trainer.epoch(epoch, state.rate, told)? else { return Ok(None) };
        let validation_loss = trainer.validate()?;
        if !(loss.is_finite() && validation_loss.is_finite()) {
            return Err(TrainingError::Diverged { epoch, loss });
        }
        state.judge(Epoch { loss, validation_loss, rate: state.rate, seconds: start.elapsed().as_secs_f64() });
        state.write(folder, &trainer.network, &trainer.squares)?;
    }
    Trained::open(folder, &Device::Cpu).map(Some)
}

impl State {
    fn begin(architecture: Architecture, training: &Training, seed: u64, spectra: &Spectra, scaling: &Scaling) -> Self {
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

    /// Whether it is the same training, however far.
    fn continues(&self, begun: &Self) -> bool {
        self.architecture == begun.architecture
            && self.training == begun.training
            && (self.seed, self.spectra) == (begun.seed, begun.spectra)
            && same(&self.wavelengths_nm, &begun.wavelengths_nm)
            && self.scaling == begun.scaling
    }

    /// Takes note of an epoch: the learning rate of the next one, and whether there is a next one.
    fn judge(&mut self, epoch: Epoch) {
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
}

/// A network in training.
struct Trainer<'a> {
    spectra: &'a Spectra,
    scaling: &'a Scaling,
    batch: usize,
    rho: f32,
    seed: u64,
    network: Network,
    /// Mean squares of the gradients, in the order of the network's variables.
    squares: Vec<Tensor>,
    learned: Vec<u32>,
    judged: Vec<u32>,
    /// Rows whose gradient is computed at a time.
    shard: usize,
    /// One thread each, so that candle's multiplications within a shard do not spread over the others.
    pools: Vec<rayon::ThreadPool>,
}

impl<'a> Trainer<'a> {
    fn new(spectra: &'a Spectra, scaling: &'a Scaling, training: &Training, seed: u64, network: Network) -> Result<Self, TrainingError> {
        let mut rng = Pcg64Mcg::seed_from_u64(seed ^ 0x5eed);
        let mut rows: Vec<u32> = (0..spectra.len() as u32).collect();
        rows.shuffle(&mut rng);
        rows.truncate(training.spectra.unwrap_or(rows.len()));
        let judged = rows.split_off(rows.len() - (rows.len() as f64 * training.validation.clamp(0.0, 0.9)).round() as usize);
        if rows.len() < training.batch.max(2) || judged.is_empty() {
            return Err(TrainingError::TooFew { found: rows.len(), batch: training.batch });
        }
        let squares = network.variables().iter().map(|(_, var)| var.zeros_like()).collect::<candle_core::Result<_>>()?;
        // A GPU takes a whole batch at a time.
        let shard = if network.device().is_cpu() { SHARD } else { training.batch };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(training.batch.div_ceil(shard));
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = std::iter::repeat_with(pool).take(threads).collect::<Result<Vec<_>, _>>();
        let pools = pools.map_err(candle_core::Error::wrap)?;
        Ok(Self {
            spectra,
            scaling,
            batch: training.batch,
            rho: training.rho as f32,
            seed,
            network,
            squares,
            learned: rows,
            judged,
            shard,
            pools,
        })
    }

    /// Scaled spectra of some rows `[n, bands]`.
    fn read(&self, rows: &[u32]) -> Result<Tensor, TrainingError> {
        let mut values = self.spectra.rows(rows)?;
        self.scaling.scale(&mut values);
        Ok(Tensor::from_vec(values, (rows.len(), self.spectra.bands()), self.network.device())?)
    }

    /// One pass over the training spectra, in an order of its own; the mean loss.
    fn epoch(&mut self, epoch: usize, rate: f64, mut watch: impl FnMut((usize, usize)) -> bool) -> Result<Option<f64>, TrainingError> {
        let mut order = self.learned.clone();
        let mut rng = Pcg64Mcg::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64));
        // The first numbers of neighbouring seeds are alike.
        rng.next_u64();
        order.shuffle(&mut rng);
        let batches = order.len().div_ceil(self.batch);
        let mut sum = 0.0;
        for (done, rows) in order.chunks(self.batch).enumerate() {
            sum += self.step(rows, rate)? * rows.len() as f64;
            if !watch((done + 1, batches)) {
                return Ok(None);
            }
        }
        Ok(Some(sum / order.len() as f64))
    }

    /// Learns from one batch; its loss.
    fn step(&mut self, rows: &[u32], rate: f64) -> Result<f64, TrainingError> {
        let count = (rows.len() * self.spectra.bands()) as f32;
        let shards: Vec<&[u32]> = rows.chunks(self.shard).collect();
        let learn = |rows: &[u32]| -> Result<_, TrainingError> {
            let loss = loss(&self.network, &self.read(rows)?, count)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
        };
        let threads = self.pools.len();
        let results: Vec<Result<_, TrainingError>> = std::thread::scope(|scope| {
            let run = |thread: usize| {
                let mine: Vec<_> = shards.iter().enumerate().skip(thread).step_by(threads).collect();
                self.pools[thread].install(|| mine.into_iter().map(|(i, rows)| (i, learn(rows))).collect::<Vec<_>>())
            };
            let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || run(thread))).collect();
            let mut all = run(0);
            for other in others {
                match other.join() {
                    Ok(some) => all.extend(some),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all.sort_by_key(|(i, _)| *i);
            all.into_iter().map(|(_, result)| result).collect()
        });
        let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        for ((_, var), square) in self.network.variables().into_iter().zip(&self.squares) {
            let mut parts = results.iter().filter_map(|(_, gradients)| gradients.get(var));
            let Some(first) = parts.next() else { continue };
            let gradient = parts.try_fold(first.clone(), |sum, part| sum + part)?.contiguous()?;
            descend(var, square, &gradient, (rate, self.rho), self.network.fused())?;
        }
        Ok(results.iter().map(|(loss, _)| loss).sum())
    }

    /// Mean loss over the validation spectra.
    fn validate(&self) -> Result<f64, TrainingError> {
        let count = (self.judged.len() * self.spectra.bands()) as f32;
        let one = |rows: &[u32]| -> Result<f64, TrainingError> {
            Ok(f64::from(loss(&self.network, &self.read(rows)?, count)?.to_scalar::<f32>()?))
        };
        if !self.network.device().is_cpu() {
            return self.judged.chunks(1024).map(one).sum();
        }
        // In one thread each, and added in order.
        let losses: Vec<Result<f64, TrainingError>> = self.judged.par_chunks(1024).map(one).collect();
        losses.into_iter().sum()
    }
}

/// Binary cross-entropy of decoded and given values, summed and divided by `count`.
fn loss(network: &Network, x: &Tensor, count: f32) -> candle_core::Result<Tensor> {
    let z = network.decode_logits(&network.encode(x)?)?;
    if network.fused() {
        return z.apply_op2(x, CrossEntropy { count });
    }
    // max(z, 0) - z x + ln(1 + exp(-|z|)): no exponent overflows.
    let softplus = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((z.relu()? - (&z * x)?)? + softplus)?.sum_all()? / f64::from(count)
}

/// One step of RMSprop (Tieleman and Hinton 2012, lecture 6.5), as Keras does it.
fn descend(var: &Var, square: &Tensor, gradient: &Tensor, (rate, rho): (f64, f32), fused: bool) -> candle_core::Result<()> {
    if fused {
        square.inplace_op2(gradient, &MeanSquare { rho })?;
        return var.inplace_op3(square, gradient, &Step { rate: rate as f32, epsilon: EPSILON });
    }
    let mean = ((square * f64::from(rho))? + (gradient.sqr()? * f64::from(1.0 - rho))?)?;
    square.slice_set(&mean, 0, 0)?;
    let step = (gradient / (mean.sqrt()? + f64::from(EPSILON))?)?;
    var.set(&(var.as_detached_tensor() - (step * rate)?)?)
}

impl Trained {
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

#[cfg(test)]
mod tests;
