//! The encoder: an ONNX model that ONNX Runtime runs on every valid spectrum.
//!
//! A model has one float32 input `[N, bands]` or `[N, 1, bands]` and one float32 output `[N, d]`. N is dynamic or the configured
//! batch. A second float32 output `residual`, `[N]` or `[N, 1]`, may say how well the model reconstructs a spectrum: the root mean square of
//! the spectrum less its reconstruction. The model's metadata may hold
//!
//! - `hyclus.name`: the model's name. The default is the name of the file.
//! - `hyclus.wavelengths_nm`: the band centres of the training data, nm, increasing, as a JSON list or separated by commas. Spectra
//!   are resampled to them. Centres outside the measured range are refused.
//! - `hyclus.fwhm_nm`: the bands' full widths at half maximum, nm: one for each, or one for all. Bands narrower than the measured ones are
//!   refused.
//! - `hyclus.reference_input`, `hyclus.reference_output`: one or more spectra and their embeddings, one after the other. Both are
//!   JSON lists (nested or not) or separated by commas. They are run when the model is loaded.
//! - `hyclus.kind`: `head` for a model that gives four numbers of a sample's mean spectrum, see [`Head`]. `hyclus.target`, `hyclus.unit` and
//!   `hyclus.level` then name the quantity, its unit, and the share of samples that intervals hold.
//! - `hyclus.codes_mean`, `hyclus.codes_covariance`, `hyclus.codes_limit`: mean `[d]` and covariance `[d][d]` of the training embeddings, and
//!   the distance in standard deviations that 99.9 % of them stay within.
//! - `hyclus.residual_limit`: the residual that 99.9 % of the training spectra stay within.

mod encoder;
mod error;
mod fit;
#[cfg(test)]
pub(crate) mod fixture;
mod guard;
mod head;
mod metadata;
mod model;
mod novelty;
pub mod replaced;
mod runtime;
mod stage;
mod stored;
#[cfg(test)]
mod tests;
mod trial;
mod workers;

pub use encoder::Encoder;
pub use error::EncoderError;
pub use head::Head;
pub use metadata::{HeadAbout, Metadata};
pub use stage::{Embedded, EmbeddedRow, Encode};
pub use stored::{EncodeStored, StoredLine};
pub use trial::try_encoder;

/// Keeps ONNX Runtime from reporting its use to its makers. `main` calls this first.
///
/// ONNX Runtime's own switch comes too late, because the library collects as soon as it is loaded.
pub fn keep_runtime_quiet() {
    // SAFETY: `main` calls this before it starts any thread, so no other thread reads the environment meanwhile.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
