//! Runs the stages of a scan: named threads, bounded channels that carry handles, one end of scan.

pub mod build;
mod camera;
mod meters;
mod parts;
mod run;
mod shared;
mod sinks;

pub use meters::{LinkMeter, Meter, Meters, Thermometer};
pub use parts::{CameraParts, Emit, Outcome, PipelineError, PipelineParts};
pub use run::Running;
