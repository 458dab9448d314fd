//! Training by RMSprop on batches in random order. It has early stopping, and a learning rate that falls on a plateau.

use super::error::TrainingError;
use super::network::{Architecture, Kind, Network};
use super::ops::{CrossEntropy, MeanSquare, Step};
use super::settings::Training;
use super::state::{Epoch, State};
use super::trained::Trained;
use crate::data::Spectra;
use crate::scaling::Scaling;
use candle_core::{Device, Tensor, Var};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use std::path::Path;
use std::time::Instant;

/// Addend to the root of the mean square of gradients. It is Keras' default.
const EPSILON: f32 = 1e-7;
/// Rows whose gradient one thread of the CPU computes. The shard decides the rounding of sums, so that it does not depend on the number of
/// threads.
const SHARD: usize = 128;

/// Progress of a training.
pub struct Progress<'a> {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Finished batches and all batches of the epoch.
    pub batches: (usize, usize),
    /// The finished epochs.
    pub curve: &'a [Epoch],
}

/// Trains a network, or continues an interrupted training of `folder`. A finished training is only read.
///
/// After every epoch, `folder` holds the whole state. `watch` gets the progress after every batch, and returns whether to continue.
/// Interruptions do not change weights and loss. The result is `None` where `watch` stopped the training.
///
/// # Errors
///
/// [`TrainingError`] for too few spectra, a missing GPU, and a loss that is not finite. The same for another training in `folder`, and for
/// files that cannot be read or written.
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
    /// Rows whose gradient is computed together.
    shard: usize,
    /// Pools of one thread each. They keep candle's multiplications of one shard on one thread.
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
        // A GPU computes a whole batch at once.
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

    /// One pass over the training spectra, in the random order of the epoch. The result is the mean loss.
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

    /// Learns from one batch, and gives its loss.
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
        // Each chunk has one thread, and losses are added in order.
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
    // No exponent overflows in max(z, 0) - z x + ln(1 + exp(-|z|)).
    let softplus = (z.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((z.relu()? - (&z * x)?)? + softplus)?.sum_all()? / f64::from(count)
}

/// One step of RMSprop (Tieleman and Hinton 2012, lecture 6.5), in Keras' form.
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

#[cfg(test)]
mod tests;
