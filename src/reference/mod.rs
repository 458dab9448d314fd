//! References of a camera: their sums and figures, bad elements, noise, and how they calibrate counts.

mod accumulator;
mod bad_elements;
mod changes;
mod dark_times;
mod figures;
mod low_signal;
mod mending;
mod photon_transfer;
mod referenced;
mod response;
mod used_bands;
mod variance;

pub use accumulator::Accumulator;
pub(crate) use accumulator::Total;
pub use bad_elements::{BadElement, bad_shares};
pub use changes::{BandChange, DARK_TARGET, PanelLight};
pub use dark_times::DarkTimes;
pub(crate) use figures::finite_mean;
pub use figures::{Figures, Refusal, leak, mean};
pub use low_signal::LowSignal;
pub(crate) use mending::{Mending, Patch};
pub use mending::{may_interpolate, mend_limit_nm};
pub use photon_transfer::PhotonTransfer;
pub(crate) use photon_transfer::variance_in_dark;
pub use referenced::{Calibration, DarkDrift, MendBands, Reference, ReferenceError, Referenced, WhiteReference, median, same_settings};
pub use response::{Response, Smile};
pub use used_bands::{LeftOut, UsedBands};
pub use variance::Variance;
