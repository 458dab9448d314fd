//! Counts to reflectance.

mod kernel;
mod light;
mod stage;

pub use kernel::{Spectra, Spectrum};
pub use light::{LightFinding, LightLimits, LightWatch};
pub use stage::{Calibrate, Counts, Line, Reflectance};
