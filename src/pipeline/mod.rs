//! Runs the stages of a scan: named threads, bounded channels that carry handles, one end of scan.

mod consumers;
mod meters;
mod plan;
mod producers;
mod recycler;
mod run;
mod shared;

pub use meters::{LinkMeter, Meter, Meters, Thermometer};
pub use plan::{Lane, Outcome, PipelineError, Plan, Tell};
pub use recycler::Recycler;
pub use run::Running;
