//! Counts to reflectance.

mod accumulator;
mod bad_elements;
mod figures;
mod kernel;
mod light;
mod mending;
mod panel;
mod photon_transfer;
mod quality;
mod reference;
mod response;
mod stage;
mod transpose;
mod used_bands;
mod variance;

pub use accumulator::Accumulator;
pub use bad_elements::{BadElement, bad_shares};
pub use figures::{Figures, Refusal, change, dark_change, leak, mean};
pub use kernel::{Spectra, Spectrum};
pub use light::{LightFinding, LightLimits, LightWatch};
pub use mending::{may_interpolate, mend_limit_nm};
pub use panel::{Panel, PanelError};
pub use photon_transfer::PhotonTransfer;
pub use quality::Quality;
pub use reference::{Calibration, DarkDrift, MendBands, Reference, ReferenceError, Referenced, WhiteReference, median, same_settings};
pub use response::{Response, Smile};
pub use stage::{Calibrate, Counts, Line, Reflectance};
pub(crate) use transpose::transpose;
pub use used_bands::{LeftOut, UsedBands};
pub use variance::Variance;
