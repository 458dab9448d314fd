//! Counts to reflectance.

#[cfg(test)]
mod properties;
mod quality;
mod reference;
mod stage;

pub use quality::Quality;
pub use reference::{Accumulator, Calibration, Panel, PanelError, Reference, ReferenceError, Referenced};
pub use stage::{Calibrate, Counts, Line, Reflectance};
