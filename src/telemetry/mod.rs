//! The log and the metrics.
//!
//! Log by consequence: `WARN`, no data lost; `ERROR`, data lost or the rig stopped.

mod logging;
pub mod metrics;

pub use logging::{LoggingError, init_logging};
pub use metrics::{CameraMetrics, Metrics, QueueMetrics, ScanOutcome, StageMetrics};
