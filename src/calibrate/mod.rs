//! Counts to reflectance.

mod accumulator;
mod figures;
mod kernel;
mod light;
mod panel;
mod quality;
mod reference;
mod stage;
mod transpose;

pub use accumulator::Accumulator;
pub use figures::{Figures, change, leak, mean};
pub use kernel::{Spectra, Spectrum};
pub use light::{LightFinding, LightLimits, LightWatch};
pub use panel::{Panel, PanelError};
pub use quality::Quality;
pub use reference::{BadElement, Calibration, DarkDrift, Reference, ReferenceError, Referenced, median, same_settings};
pub use stage::{Calibrate, Counts, Line, Reflectance};
pub(crate) use transpose::transpose;
