//! Measures how the cameras' detectors respond to light: their linearity, and their stray light.

mod exposures;
mod linearity;
mod live;
mod stray;
#[cfg(test)]
mod tests;

pub use crate::measure::WriteError;
pub use exposures::{LinearityError, Series, recorded as recorded_exposures};
pub use linearity::{FitError, Linearity, Step, fit as fit_linearity, write_back as write_linearity};
pub use live::{Wanted, taken as taken_exposures};
pub use stray::{StrayError, StrayLight, Strip, stray, write_back as write_stray};
