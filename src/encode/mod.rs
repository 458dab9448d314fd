//! Every valid spectrum through the encoder: an ONNX model run by ONNX Runtime.
//!
//! A model has one float32 input `[N, bands]` or `[N, 1, bands]` and one float32 output `[N, d]`, where N is dynamic or the
//! configured batch. Its metadata may say
//!
//! - `hyclus.name`: what it is called (else the file's name);
//! - `hyclus.wavelengths_nm`: the band centres it was trained on, increasing, as a JSON list or separated by commas. Spectra are
//!   resampled to them by linear interpolation; centres outside the measured range are refused;
//! - `hyclus.reference_input`, `hyclus.reference_output`: one or more spectra and their embeddings, one after the other, as a JSON
//!   list (nested or not) or separated by commas. They are run when the model is loaded.

mod encoder;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod metadata;
mod model;
mod planar;
mod resample;
mod runtime;
mod stage;
mod stored;
#[cfg(test)]
mod tests;
mod workers;

pub use encoder::Encoder;
pub use error::EncoderError;
pub use metadata::Metadata;
pub use stage::{Embedded, EmbeddedRow, Encode};
pub use stored::{EncodeStored, StoredLine};

/// Keeps ONNX Runtime from reporting its use to its makers (its own switch comes too late: the library collects from its loading
/// on). Called first thing in `main`.
pub fn keep_runtime_quiet() {
    // SAFETY: `main` calls this before it starts any thread, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
