//! Measures a rig and a machine: the geometry and the wavelength axes of the cameras, and the speed of the data path.

mod bench;
mod evenness;
mod fit;
mod geometry;
mod latency;
mod play;
mod target;
mod view;
mod wavelength;
mod write;

pub use bench::{BenchCamera, BenchError, BenchStage, Measured, Scaled, Stalled, measure, scale, stall};
pub use evenness::{Evenness, EvennessError, measure_evenness, write_evenness};
pub use geometry::{Figure, Geometry, GeometryError, measure as measure_geometry, write_back as write_geometry};
pub(crate) use play::{Recorded, play};
pub use target::{Target, TargetError};
pub use wavelength::{MeasuredWavelength, TilePlace, WavelengthError, measure_wavelength, write_wavelength};
pub use write::WriteError;
pub(crate) use write::{cameras as write_cameras, correction as write_correction};
