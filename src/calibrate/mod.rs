//! Counts to reflectance.

mod quality;
mod reference;

pub use quality::Quality;
pub use reference::{Calibration, Reference, Referenced};
