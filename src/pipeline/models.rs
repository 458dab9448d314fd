//! The models of the configured encoders, loaded for the bands of a rig.

use crate::config::{Config, EncoderConfig};
use crate::context::EncoderContext;
use crate::encode::replaced::model_file;
use crate::encode::{Encoder, EncoderError};
use crate::join::Axes;
use std::collections::BTreeMap;
use std::path::Path;

/// The configured encoders, each with its model loaded, or with the reason why it is not.
pub type LoadedEncoders = Vec<(EncoderConfig, Result<Encoder, EncoderError>)>;

/// Loads the configured encoders for spectra of the grid `axes`. Models that were put in their place under `data_dir` come first.
pub fn load_encoders(config: &Config, data_dir: &Path, axes: &Axes) -> LoadedEncoders {
    config.encoder.iter().map(|wanted| (wanted.clone(), load_encoder(config, data_dir, wanted, axes))).collect()
}

/// Loads an encoder for spectra of the grid `axes`. A model that was put in its place under `data_dir` comes first.
///
/// # Errors
/// The errors of [`Encoder::load`].
pub fn load_encoder(config: &Config, data_dir: &Path, wanted: &EncoderConfig, axes: &Axes) -> Result<Encoder, EncoderError> {
    let encoder = Encoder::load(wanted, &model_file(data_dir, wanted), axes, config.calibrate.max_mend_nm)?;
    Ok(encoder.calling(crate::devices::encoder_faults(config, &wanted.name)))
}

/// Checks that the configured encoders fit spectra of the grid `axes`. Gives their descriptions by name. A shadow that does not fit is left
/// out, with a warning in the log.
///
/// # Errors
/// An encoder that is no shadow cannot be loaded, or does not fit.
pub fn check_encoders(config: &Config, data_dir: &Path, axes: &Axes) -> Result<BTreeMap<String, EncoderContext>, EncoderError> {
    let mut all = BTreeMap::new();
    for (wanted, loaded) in load_encoders(config, data_dir, axes) {
        match loaded {
            Ok(encoder) => _ = all.insert(wanted.name, encoder.context().clone()),
            Err(error) if wanted.shadow => tracing::warn!(encoder = %wanted.name, %error, "the shadow encoder does not run"),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
