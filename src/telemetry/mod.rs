//! The log, the metrics and the event log.
//!
//! Log levels follow the consequence. `WARN`: no data lost. `ERROR`: data lost, or the rig stopped.

mod events;
mod logging;
pub mod metrics;

pub use events::EventLog;
pub use logging::{LoggingError, init_logging};
pub use metrics::{CameraMetrics, Metrics, QueueMetrics, ScanOutcome, StageMetrics};
