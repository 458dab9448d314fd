//! Runs the stages of a scan: named threads, bounded channels that carry handles, one end of scan.

mod meters;
mod recycler;
mod run;

pub use meters::{Meter, Meters};
pub use recycler::Recycler;
pub use run::{Lane, Outcome, PipelineError, Plan, Running, Tell};
