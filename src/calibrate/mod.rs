//! Counts to reflectance.

mod figures;
mod light;
mod panel;
#[cfg(test)]
mod properties;
mod quality;
mod reference;
mod stage;

pub use figures::{Figures, change, leak, mean};
pub use light::{LightFinding, LightLimits, LightWatch};
pub use panel::{Panel, PanelError};
pub use quality::Quality;
pub use reference::{Accumulator, BadElement, Calibration, DarkDrift, Reference, ReferenceError, Referenced, median, same_settings};
pub use stage::{Calibrate, Counts, Line, Reflectance};
