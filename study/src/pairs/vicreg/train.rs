//! Training on random pairs, with the whole state in one file after every epoch.

use super::loss::{Loss, Weights, vicreg};
use super::network::{Adam, Shape, backward, forward, pass};
use super::settings::VicregConfig;
use crate::data::{Spectra, same};
use crate::model_file::{self, ModelFileError};
use crate::pairs::absorption::log_absorption;
use crate::pairs::error::PairsError;
use crate::pairs::moments::Moments;
use crate::pairs::partners::{Partner, Partners};
use crate::table::Place;
use nalgebra::SymmetricEigen;
use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Least variance of an input before its scaling, as a share of the largest.
const LEAST: f64 = 1e-10;

/// One epoch of a training. The terms of the loss are without their weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss of the batches.
    pub loss: f64,
    /// Mean squared difference of the codes of a pair.
    pub invariance: f64,
    /// Lack of a standard deviation of 1, summed over both sides.
    pub variance: f64,
    /// Squared covariances, summed over both sides.
    pub covariance: f64,
}

/// The spectra that a training draws from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// All spectra.
    pub spectra: &'a Spectra,
    /// Their places.
    pub places: &'a [Place],
    /// Rows that are drawn from.
    pub rows: &'a [u32],
    /// What makes two pixels a pair.
    pub partner: Partner,
}

/// A network that takes ln K/S, and the whole state of its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vicreg {
    /// Wavelengths of the bands, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Length of a code.
    pub latent: usize,
    /// Settings of the training.
    pub config: VicregConfig,
    /// What made two pixels a pair.
    pub partner: Partner,
    /// Seed of the weights and of the pairs.
    pub seed: u64,
    /// Number of spectra that were drawn from. It reveals another data set.
    pub spectra: usize,
    /// Finished epochs.
    pub curve: Vec<Epoch>,
    /// Mean ln K/S of each band.
    pub(crate) mean: Vec<f32>,
    /// Principal components of ln K/S with variance 1, `[band][input]`.
    pub(crate) whitening: Vec<f32>,
    pub(crate) shape: Shape,
    pub(crate) values: Vec<f32>,
    adam: Option<Adam>,
}

/// Trains a network on the groups of `moments` that `takes` accepts, or continues an interrupted training of `folder`.
///
/// `source.rows` are the spectra of these groups. `watch` gets finished and all batches, and returns whether to continue. Interruptions do
/// not change the weights. The result is `None` where `watch` stopped the training. A finished training is only read.
///
/// # Errors
///
/// [`PairsError`] for too few spectra, a loss that is not finite, another training in `folder`, and files that cannot be read or written.
pub fn train(
    source: Source<'_>,
    (moments, takes): (&Moments, impl Fn(usize) -> bool),
    latent: usize,
    config: &VicregConfig,
    seed: u64,
    folder: &Path,
    mut watch: impl FnMut(usize, usize) -> bool,
) -> Result<Option<Vicreg>, PairsError> {
    let begun = Vicreg::begin(source, (moments, takes), latent, config, seed)?;
    let mut model = match Vicreg::read(folder)? {
        Some(found) if !found.continues(&begun) => return Err(PairsError::Other { folder: folder.to_owned() }),
        Some(found) => found,
        None => begun,
    };
    if model.finished() {
        return Ok(Some(model));
    }
    let partners = Partners::new(source.places, source.rows, source.partner);
    while !model.finished() {
        if !model.epoch(source, &partners, &mut watch)? {
            return Ok(None);
        }
        let last = model.curve.last().map_or(f64::NAN, |epoch| epoch.loss);
        if !last.is_finite() {
            return Err(PairsError::Diverged { epoch: model.curve.len(), loss: last });
        }
        if model.finished() {
            model.adam = None;
        }
        model.write(folder)?;
    }
    Ok(Some(model))
}

impl Vicreg {
    fn begin(
        source: Source<'_>,
        (moments, takes): (&Moments, impl Fn(usize) -> bool),
        latent: usize,
        config: &VicregConfig,
        seed: u64,
    ) -> Result<Self, PairsError> {
        let scatter = moments.scatter(takes)?;
        let bands = scatter.mean.len();
        let inputs = config.inputs.min(bands);
        if latent == 0 || latent > inputs {
            return Err(PairsError::TooMany { wanted: latent, bands: inputs });
        }
        let eigen = SymmetricEigen::new(scatter.total);
        let mut order: Vec<usize> = (0..bands).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let largest = eigen.eigenvalues[order[0]];
        if !(largest > 0.0 && largest.is_finite()) {
            return Err(PairsError::NoScatter);
        }
        let column = |input: usize| {
            let i = order[input];
            let column = eigen.eigenvectors.column(i);
            (column[column.iamax()].signum() / eigen.eigenvalues[i].max(LEAST * largest).sqrt(), i)
        };
        let columns: Vec<(f64, usize)> = (0..inputs).map(column).collect();
        let whitening = (0..bands).flat_map(|band| columns.iter().map(move |(scale, i)| (band, *scale, *i)));
        let shape = Shape([inputs].into_iter().chain(config.hidden.iter().copied()).chain([latent]).collect());
        Ok(Self {
            wavelengths_nm: moments.wavelengths_nm().to_vec(),
            latent,
            config: config.clone(),
            partner: source.partner,
            seed,
            spectra: source.rows.len(),
            curve: Vec::new(),
            mean: scatter.mean.iter().map(|mean| *mean as f32).collect(),
            whitening: whitening.map(|(band, scale, i)| (scale * eigen.eigenvectors[(band, i)]) as f32).collect(),
            values: shape.values(&mut stream(seed, 0)),
            shape,
            adam: Some(Adam::default()),
        })
    }

    /// Whether both are the same training, at any epoch.
    fn continues(&self, begun: &Self) -> bool {
        (self.latent, self.seed, self.spectra, self.partner) == (begun.latent, begun.seed, begun.spectra, begun.partner)
            && self.config == begun.config
            && same(&self.wavelengths_nm, &begun.wavelengths_nm)
            && self.mean == begun.mean
    }

    fn finished(&self) -> bool {
        self.curve.len() >= self.config.epochs
    }

    /// One epoch. The result is `false` where `watch` stopped it.
    fn epoch(
        &mut self,
        source: Source<'_>,
        partners: &Partners<'_>,
        watch: &mut impl FnMut(usize, usize) -> bool,
    ) -> Result<bool, PairsError> {
        let Self { config, shape, .. } = &*self;
        let (config, shape) = (config.clone(), shape.clone());
        let weights = Weights { invariance: config.invariance, variance: config.variance, covariance: config.covariance };
        let (epoch, all) = (self.curve.len(), config.epochs * config.batches);
        let mut random = stream(self.seed, epoch as u64 + 1);
        let mut adam = self.adam.take().unwrap_or_default();
        let mut sums = [0.0; 4];
        for batch in 0..config.batches {
            let mut pairs = Vec::with_capacity(config.batch);
            let mut missed = 0;
            while pairs.len() < config.batch {
                let row = source.rows[random.random_range(0..source.rows.len())];
                match partners.draw(row, &mut random) {
                    Some(other) => pairs.push((row, other)),
                    None if missed > 100 * config.batch => return Err(PairsError::NoPairs),
                    None => missed += 1,
                }
            }
            let (left, right): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let seeds: [u64; 2] = [random.next_u64(), random.next_u64()];
            let side = |rows: &[u32], seed| -> Result<_, PairsError> {
                let mut random = Pcg64Mcg::seed_from_u64(seed);
                let mut spectra = source.spectra.rows(rows)?;
                config.augment.change(&mut spectra, &self.wavelengths_nm, &mut random);
                self.centre(&mut spectra);
                config.augment.hide(&mut spectra, self.wavelengths_nm.len(), &mut random);
                Ok(pass(&shape, &self.values, self.inputs(spectra)))
            };
            let (a, b) = rayon::join(|| side(&left, seeds[0]), || side(&right, seeds[1]));
            let ((a, passed_a), (b, passed_b)) = (a?, b?);
            let (Loss { sum, invariance, variance, covariance }, [to_a, to_b]) = vicreg(&a, &b, weights);
            let values = &self.values;
            let (mut gradient, other) =
                rayon::join(|| backward(&shape, values, passed_a, to_a), || backward(&shape, values, passed_b, to_b));
            gradient.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            let done = epoch * config.batches + batch;
            let rate = config.rate * 0.5 * (1.0 + (std::f64::consts::PI * done as f64 / all as f64).cos());
            adam.step(&mut self.values, &gradient, rate);
            sums.iter_mut().zip([sum, invariance, variance, covariance]).for_each(|(sum, term)| *sum += term);
            if !watch(done + 1, all) {
                return Ok(false);
            }
        }
        self.adam = Some(adam);
        let [loss, invariance, variance, covariance] = sums.map(|sum| sum / config.batches as f64);
        self.curve.push(Epoch { loss, invariance, variance, covariance });
        Ok(true)
    }

    /// Turns reflectance `[row][band]` into ln K/S about its mean, in place.
    fn centre(&self, spectra: &mut [f32]) {
        log_absorption(spectra);
        for spectrum in spectra.chunks_exact_mut(self.mean.len()) {
            spectrum.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
        }
    }

    /// Inputs of the network `(rows, inputs)` from centred values `[row][band]`.
    fn inputs(&self, centred: Vec<f32>) -> Array2<f32> {
        let bands = self.mean.len();
        let values = ArrayView2::from_shape((centred.len() / bands, bands), &centred).expect("values are rows of all bands");
        let whitening = ArrayView2::from_shape((bands, self.shape.0[0]), &self.whitening).expect("a whitening is bands * inputs");
        values.dot(&whitening)
    }

    /// Codes `[row][latent]` of spectra `[row][band]`, reflectance.
    pub fn encode_spectra(&self, mut spectra: Vec<f32>) -> Vec<f32> {
        self.centre(&mut spectra);
        forward(&self.shape, &self.values, self.inputs(spectra)).into_iter().collect()
    }

    /// Codes of some spectra, `(rows, latent)`.
    ///
    /// # Errors
    ///
    /// [`PairsError::Data`] for other wavelengths, and for spectra that cannot be read.
    pub fn encode(&self, spectra: &Spectra, rows: &[u32]) -> Result<Array2<f32>, PairsError> {
        Ok(spectra.encode(&self.wavelengths_nm, rows, self.latent, |spectra| self.encode_spectra(spectra))?)
    }

    /// Reads a finished training.
    ///
    /// # Errors
    ///
    /// [`PairsError::Model`] for a training that did not finish, and for a file that cannot be read.
    pub fn open(folder: &Path) -> Result<Self, PairsError> {
        Self::read(folder)?.filter(Self::finished).ok_or_else(|| ModelFileError::unfinished(folder).into())
    }

    fn read(folder: &Path) -> Result<Option<Self>, PairsError> {
        let Some(model) = model_file::read::<Self>(folder)? else { return Ok(None) };
        let bands = model.mean.len();
        let fits = model.wavelengths_nm.len() == bands
            && model.shape.0.first().is_some_and(|inputs| model.whitening.len() == bands * inputs)
            && model.shape.0.last() == Some(&model.latent)
            && model.values.len() == model.shape.count();
        if fits { Ok(Some(model)) } else { Err(ModelFileError::not_a_model(folder, "its parts differ in size").into()) }
    }

    fn write(&self, folder: &Path) -> Result<(), PairsError> {
        model_file::write(folder, serde_json::to_vec(self))?;
        let mut curve = String::from("epoch,loss,invariance,variance,covariance\n");
        for (i, e) in self.curve.iter().enumerate() {
            curve += &format!("{},{},{},{},{}\n", i + 1, e.loss, e.invariance, e.variance, e.covariance);
        }
        Ok(model_file::write_curve(folder, curve)?)
    }
}

/// Random numbers of one epoch. Neighbouring seeds begin far apart.
fn stream(seed: u64, epoch: u64) -> Pcg64Mcg {
    let mut random = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(epoch));
    random.next_u64();
    random
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::absorption::tests::reflectance;

    /// Ten containers. The first of three directions tells them apart, and the others vary ten times as much within.
    fn containers() -> (Spectra, Vec<Place>) {
        let mut random = Pcg64Mcg::seed_from_u64(2);
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for sample in 0..10 {
            let own = (f64::from(sample) - 4.5) * 0.05;
            for i in 0..200 {
                let mut unit = || random.random::<f64>() - 0.5;
                let (small, large, larger) = (own + 0.05 * unit(), 2.0 * unit(), 3.0 * unit());
                values.extend((0..20).map(|band| {
                    let at = f64::from(band) / 20.0;
                    reflectance(-0.5 + large * (6.0 * at).sin() + larger * (3.0 * at).cos() + small * (14.0 * at).sin())
                }));
                places.push(Place { sample: sample as u32, line: i / 20, pixel: i % 20 });
            }
        }
        (Spectra::new((0..20).map(|i| 400.0 + 100.0 * f64::from(i)).collect(), values), places)
    }

    fn config() -> VicregConfig {
        VicregConfig { epochs: 4, batches: 30, batch: 128, inputs: 8, hidden: vec![16, 12], rate: 1e-2, ..VicregConfig::default() }
    }

    fn go(folder: &Path, data: &(Spectra, Vec<Place>), latent: usize, stop: Option<usize>) -> Result<Option<Vicreg>, PairsError> {
        let (spectra, places) = data;
        let moments = Moments::of(spectra, places, (&[0; 10], 1), Partner::Container, 0)?;
        let rows: Vec<u32> = (0..2000).collect();
        let source = Source { spectra, places, rows: &rows, partner: Partner::Container };
        train(source, (&moments, |_| true), latent, &config(), 5, folder, |done, _| Some(done) != stop)
    }

    #[test]
    fn codes_tell_containers_apart_and_interruptions_change_nothing() {
        let data = containers();
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let expected = go(&whole, &data, 2, None).unwrap().unwrap();
        assert!(go(&parts, &data, 2, Some(20)).unwrap().is_none());
        assert!(go(&parts, &data, 2, Some(75)).unwrap().is_none());
        assert!(Vicreg::open(&parts).unwrap_err().to_string().contains("did not finish"));
        let found = go(&parts, &data, 2, None).unwrap().unwrap();
        assert_eq!(found.values, expected.values, "bit by bit");
        assert_eq!(Vicreg::open(&whole).unwrap().values, expected.values);
        assert!(expected.curve[3].loss < expected.curve[0].loss, "{:?}", expected.curve);
        // The variance between containers is most of that of the codes, where it is below a hundredth of that of the spectra.
        let rows: Vec<u32> = (0..2000).collect();
        let codes = expected.encode(&data.0, &rows).unwrap();
        let share = (0..2).map(|code| {
            let column: Vec<f64> = codes.column(code).iter().map(|v| f64::from(*v)).collect();
            let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len() as f64;
            let variance = |some: &[f64]| some.iter().map(|v| (v - mean(some)).powi(2)).sum::<f64>() / some.len() as f64;
            variance(&column.chunks(200).map(mean).collect::<Vec<_>>()) / variance(&column)
        });
        let share = share.fold(0.0, f64::max);
        assert!(share > 0.7, "{share}");
        assert!(matches!(go(&parts, &data, 3, None), Err(PairsError::Other { .. })));
        assert!(matches!(go(&folder.path().join("none"), &data, 9, None), Err(PairsError::TooMany { .. })));
    }
}
