//! Measures a rig and a machine: the geometry and the wavelength axes of the cameras, the response of their detectors, and the speed of the
//! data path.

mod bench;
mod exposures;
mod geometry;
mod linearity;
mod live;
mod stray;
#[cfg(test)]
mod tests;
mod write;
mod wavelength;

pub use bench::{BenchCamera, BenchError, BenchStage, Measured, Scaled, Stalled, measure, scale, stall};
pub use exposures::{LinearityError, Series, recorded as recorded_exposures};
pub use geometry::{Geometry, GeometryError, measure as measure_geometry, write_back as write_geometry};
pub use linearity::{FitError, Linearity, Step, fit as fit_linearity};
pub use live::{Wanted, taken as taken_exposures};
pub use stray::{StrayError, StrayLight, Strip, stray, write_back as write_stray};
pub use write::{WriteError, linearity as write_linearity};
pub use wavelength::{MeasuredWavelength, TilePlace, WavelengthError, measure_wavelength, write_wavelength};
