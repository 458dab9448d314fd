//! Measuring a rig and a machine: where the cameras look, and whether the data path keeps up.

mod bench;
mod geometry;

pub use bench::{BenchCamera, BenchError, BenchStage, Measured, Scaled, measure, scale};
pub use geometry::{Geometry, GeometryError, measure as measure_geometry, write_back as write_geometry};
