//! A head: a model that gives a number of a sample, its interval, and the distance of the sample from what the model learned from.

use super::{Encoder, EncoderError, HeadAbout};
use crate::config::{EncoderConfig, HeadConfig};
use crate::join::Axes;
use crate::scan::HeadValue;

/// Numbers of a head: value, lower end, upper end, distance.
const NUMBERS: usize = 4;

/// A head made ready for the mean spectra of a rig. It keeps the contract of an encoder.
#[derive(Debug)]
pub struct Head {
    encoder: Encoder,
    about: HeadAbout,
}

impl Head {
    /// Loads a head for spectra on `axes`. `max_mend_nm` is that of `[calibrate]`.
    ///
    /// # Errors
    /// The errors of [`Encoder::load`]. The model is no head, or does not give four numbers.
    pub fn load(config: &HeadConfig, axes: &Axes, max_mend_nm: Option<f64>) -> Result<Self, EncoderError> {
        let wanted = EncoderConfig { name: config.name.clone(), library: config.library.clone(), ..EncoderConfig::of(&config.model) };
        let encoder = Encoder::load(&wanted, &config.model, axes, max_mend_nm)?;
        let wrong =
            |expected: &str, found: String| EncoderError::Interface { path: config.model.clone(), expected: expected.into(), found };
        let Some(about) = encoder.head().cloned() else {
            return Err(wrong("a head, which says hyclus.kind = head in its metadata", "another model".into()));
        };
        if encoder.dimensions() != NUMBERS {
            return Err(wrong("4 numbers of a head: value, lower, upper and distance", encoder.dimensions().to_string()));
        }
        Ok(Self { encoder, about })
    }

    /// What the head says of itself.
    pub fn about(&self) -> &HeadAbout {
        &self.about
    }

    /// SHA-256 of the model, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.encoder.context().sha256
    }

    /// Judges mean spectra `[sample][band]`. `None` stands for a sample without a value in a band that the head reads.
    ///
    /// # Errors
    /// The model fails to run, or gives a number that is not finite.
    pub fn judge(&mut self, spectra: &[Vec<f32>]) -> Result<Vec<Option<HeadValue>>, EncoderError> {
        let found = self.encoder.embed_all(spectra)?;
        let value = |numbers: Vec<f32>| {
            let [value, lower, upper, distance] = <[f32; NUMBERS]>::try_from(numbers).unwrap_or([f32::NAN; NUMBERS]).map(f64::from);
            HeadValue { value, lower, upper, distance, refused: distance > 1.0 }
        };
        Ok(found.into_iter().map(|numbers| numbers.map(value)).collect())
    }
}
