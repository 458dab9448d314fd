//! Measures a rig and a machine: the geometry of the cameras, and the speed of the data path.

mod bench;
mod geometry;

pub use bench::{BenchCamera, BenchError, BenchStage, Measured, Scaled, Stalled, measure, scale, stall};
pub use geometry::{Geometry, GeometryError, measure as measure_geometry, write_back as write_geometry};
