//! A model made ready for the spectra of a scan.

use super::model::{Model, Runner};
use super::workers::Workers;
use super::{Embedded, EncoderError, HeadAbout, fit, trial};
use crate::config::EncoderConfig;
use crate::context::{EncoderContext, Reads};
use crate::join::{Axes, Row};
use crate::srf::{BandMatrix, BandSet, Unmeasured};
use std::path::Path;

/// Function that is called before each batch. Its error is the reason why the batch fails.
type BeforeBatch = Box<dyn FnMut() -> Result<(), String> + Send>;

/// A model made ready for the spectra of a scan. Its batch has a fixed size and is filled spectrum by spectrum.
pub struct Encoder {
    /// The runner whose batch is being filled.
    runner: Runner,
    /// Threads that run other batches meanwhile. `None` where batches run one after the other.
    workers: Option<Workers>,
    /// Resampling to the model's wavelengths, with room for a measured spectrum.
    /// `None` where the model takes the measured bands as they are.
    resampler: Option<(BandMatrix, Vec<f32>)>,
    /// Number of bands of a measured spectrum.
    bands: usize,
    /// What the model says of itself where it is a head.
    about: Option<HeadAbout>,
    /// Function that is called before each batch.
    before_batch: Option<BeforeBatch>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("context", self.context()).field("bands", &self.bands).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Loads the model file `model` for spectra on `axes`.
    ///
    /// # Errors
    /// - ONNX Runtime is missing, or cannot use the configured provider.
    /// - The file is no ONNX model.
    /// - Its inputs, outputs or metadata break the contract (see [`crate::encode`]).
    /// - Its wavelengths lie outside those of `axes` or where bands are left out, or it has none and another number of bands.
    /// - It says that its bands are narrower than those of `axes`.
    /// - It does not reproduce its reference.
    ///
    /// `max_mend_nm` is that of `[calibrate]`. Over left-out bands, spectra are not interpolated any farther.
    pub fn load(config: &EncoderConfig, model: &Path, axes: &Axes, max_mend_nm: Option<f64>) -> Result<Self, EncoderError> {
        Self::of(config, model, trial::read(model)?, axes, max_mend_nm)
    }

    /// Loads the bytes of a model for spectra on `axes`. `model` names it in messages.
    ///
    /// # Errors
    /// The errors of [`Encoder::load`].
    pub fn of(config: &EncoderConfig, model: &Path, bytes: Vec<u8>, axes: &Axes, max_mend_nm: Option<f64>) -> Result<Self, EncoderError> {
        let bands = axes.bands();
        let opened = Model::open(config, model, bytes, Some(bands))?;
        let measured = &axes.wavelengths_nm;
        let resampler = |wanted: &[f64]| {
            let source = BandSet { centres_nm: measured, fwhm_nm: Some(&axes.fwhm_nm) };
            BandMatrix::new(source, BandSet { centres_nm: wanted, fwhm_nm: opened.fwhm_nm.as_deref() }, max_mend_nm)
        };
        let resampler = match &opened.wavelengths_nm {
            Some(wanted) => Some(resampler(wanted).map_err(|unmeasured| match unmeasured {
                Unmeasured::Outside => EncoderError::Range { path: model.to_owned(), wanted_nm: ends(wanted), measured_nm: ends(measured) },
                Unmeasured::Between { wanted_nm, bands_nm, limit_nm } => {
                    EncoderError::LeftOut { path: model.to_owned(), wanted_nm, bands_nm, limit_nm }
                }
                Unmeasured::Finer { wanted_nm, fwhm_nm, measured_nm } => {
                    EncoderError::Finer { path: model.to_owned(), wanted_nm, fwhm_nm, measured_nm }
                }
            })?)
            .filter(|matrix| !matrix.is_identity(bands)),
            None => match opened.bands {
                Some(found) if found != bands => return Err(EncoderError::Bands { path: model.to_owned(), expected: bands, found }),
                _ => None,
            },
        };
        let wanted = opened.wavelengths_nm.as_ref().map_or(bands, Vec::len);
        let about = opened.head.clone();
        let mut others = opened.prepare(wanted)?;
        let reads = resampler.as_ref().map_or(Reads::All, |resampler| Reads::Some(resampler.reads().into()));
        others.iter_mut().for_each(|runner| runner.context.reads = reads.clone());
        let runner = others.remove(0);
        let workers = if others.is_empty() { None } else { Some(Workers::start(config.workers, others).map_err(EncoderError::Threads)?) };
        let resampler = resampler.map(|resampler| (resampler, vec![0.0; bands]));
        Ok(Self { runner, workers, resampler, bands, about, before_batch: None })
    }

    /// Makes the encoder call `before` before each batch. The call may wait. Its error is the reason why the batch fails.
    pub fn calling(mut self, before: Option<impl FnMut() -> Result<(), String> + Send + 'static>) -> Self {
        self.before_batch = before.map(|before| Box::new(before) as BeforeBatch);
        self
    }

    /// Checks everything about a model that does not need the wavelengths of a rig.
    ///
    /// # Errors
    /// The errors of [`Encoder::load`], except those of the wavelengths. The number of dimensions must be known, too.
    pub fn probe(config: &EncoderConfig, model: &Path) -> Result<EncoderContext, EncoderError> {
        Self::look(config, model)?.ok_or_else(|| EncoderError::Interface {
            path: model.to_owned(),
            expected: "a fixed number of bands, hyclus.wavelengths_nm, or an output with a fixed number of dimensions".to_owned(),
            found: "none of them".to_owned(),
        })
    }

    /// Does the same, and gives `None` for a number of dimensions that only the spectra tell.
    ///
    /// # Errors
    /// The errors of [`Encoder::load`], except those of the wavelengths.
    pub fn look(config: &EncoderConfig, model: &Path) -> Result<Option<EncoderContext>, EncoderError> {
        let opened = Model::open(config, model, trial::read(model)?, None)?;
        if let Some(bands) = opened.bands {
            return Ok(Some(opened.prepare(bands)?.remove(0).context));
        }
        let novelty = opened.tells_novelty();
        let Model { name, sha256, dimensions, .. } = opened;
        Ok(dimensions.map(|dimensions| EncoderContext { name, sha256, dimensions, reads: Reads::All, edge: config.edge, novelty }))
    }

    /// The bytes of a model that gives the same numbers for measured spectra `[N, bands]`, with the resampling in its graph. `model` are the
    /// bytes that this encoder was made of.
    ///
    /// # Errors
    /// The graph has a form that cannot be extended.
    pub fn fitted(&self, model: &[u8]) -> Result<Vec<u8>, EncoderError> {
        let wrong = |problem| EncoderError::NotOnnx { path: self.runner.path.clone(), reason: problem };
        fit::fitted(model, self.runner.planar, self.resampler.as_ref().map(|(matrix, _)| matrix), self.bands, self.context()).map_err(wrong)
    }

    /// The model's name, hash and dimensions.
    pub fn context(&self) -> &EncoderContext {
        &self.runner.context
    }

    /// Number of dimensions of an embedding.
    pub fn dimensions(&self) -> usize {
        self.runner.context.dimensions
    }

    /// Number of spectra of a batch.
    pub fn batch(&self) -> usize {
        self.runner.batch
    }

    /// Number of bands of a measured spectrum.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// What the model says of itself where it is a head.
    pub fn head(&self) -> Option<&HeadAbout> {
        self.about.as_ref()
    }

    /// Embeds spectra `[spectrum][band]` of the measured bands. `None` stands for a spectrum in which a value that the model reads is not
    /// finite.
    ///
    /// # Errors
    /// The model fails to run, or gives a number that is not finite.
    pub fn embed_all(&mut self, spectra: &[Vec<f32>]) -> Result<Vec<Option<Vec<f32>>>, EncoderError> {
        let (wanted, dimensions, mut all) = (self.runner.bands, self.dimensions(), Vec::with_capacity(spectra.len()));
        for some in spectra.chunks(self.runner.batch) {
            let input = self.runner.input();
            input.fill(0.0);
            let mut finite = Vec::with_capacity(some.len());
            for (spectrum, place) in some.iter().zip(input.chunks_exact_mut(wanted)) {
                match &self.resampler {
                    Some((resampler, _)) => resampler.apply(spectrum, place),
                    None => place.copy_from_slice(spectrum),
                }
                finite.push(place.iter().all(|value| value.is_finite()));
                if finite.last() == Some(&false) {
                    place.fill(0.0);
                }
            }
            let found = self.runner.run()?.chunks_exact(dimensions);
            all.extend(finite.iter().zip(found).map(|(finite, numbers)| finite.then(|| numbers.to_vec())));
        }
        if let Some(&found) = all.iter().flatten().flatten().find(|number| !number.is_finite()) {
            return Err(EncoderError::NotFinite { path: self.runner.path.clone(), found });
        }
        Ok(all)
    }

    /// Puts the spectrum of pixel `pixel` of `row` into place `slot` of the batch, resampled to the model's wavelengths. `levels` has the
    /// factors of the cameras.
    ///
    /// The result is the measured spectrum. `None` means that a value that the model reads is not finite. The place is then still free.
    pub(super) fn put(&mut self, slot: usize, row: &Row, pixel: usize, levels: &[f32]) -> Option<&[f32]> {
        let (wanted, bands) = (self.runner.bands, self.bands);
        let reads = &self.runner.context.reads.clone();
        let place = &mut self.runner.input()[slot * wanted..(slot + 1) * wanted];
        match &mut self.resampler {
            Some((resampler, measured)) => {
                (row.write_checked(pixel..pixel + 1, bands, levels, measured) || reads.finite(measured)).then(|| {
                    resampler.apply(measured, place);
                    measured.as_slice()
                })
            }
            None => row.write_checked(pixel..pixel + 1, bands, levels, place).then_some(place),
        }
    }

    /// Runs the batch. Its first places hold the spectra of `batch`'s rows.
    ///
    /// The batch goes to `out` with its embeddings, now or in a later call. Batches come in their order.
    pub(super) fn run(&mut self, mut batch: Embedded, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        if let Some(Err(reason)) = self.before_batch.as_mut().map(|before| before()) {
            return Err(EncoderError::Run { path: self.runner.path.clone(), reason });
        }
        match &mut self.workers {
            None => {
                self.runner.embed(&mut batch)?;
                out(batch);
            }
            Some(workers) => {
                // One runner is filled while all others run. A runner that fails ends the scan.
                let free = workers.free(out)?;
                workers.hand_over(std::mem::replace(&mut self.runner, free), batch);
            }
        }
        Ok(())
    }

    /// Waits for the batches that run.
    pub(super) fn drain(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        self.workers.as_mut().map_or(Ok(()), |workers| workers.drain(out))
    }
}

/// First and last wavelength, nm.
fn ends(nm: &[f64]) -> (f64, f64) {
    (nm.first().copied().unwrap_or(f64::NAN), nm.last().copied().unwrap_or(f64::NAN))
}
