//! Counts to reflectance.

mod kernel;
mod keystone;
mod light;
mod stage;
mod strip;

pub use kernel::{Spectra, Spectrum};
pub use keystone::{Keystone, of_range};
pub use light::{LightFinding, LightLimits, LightWatch};
pub use stage::{Calibrate, Counts, Line, Reflectance};
pub use strip::light_change;
