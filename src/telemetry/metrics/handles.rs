//! Handles of single metrics for the data path.

use prometheus::{Counter, IntCounter, IntGauge};
use std::time::Duration;

/// The metrics of one camera.
#[derive(Clone)]
pub struct CameraMetrics {
    /// `hyclus_lines_received_total{camera}`
    pub received: IntCounter,
    /// `hyclus_lines_lost_total{camera,reason="pool"}`
    pub lost_pool: IntCounter,
    /// `hyclus_lines_lost_total{camera,reason="link"}`
    pub lost_link: IntCounter,
    /// `hyclus_lines_expected_total{camera}`
    pub expected: IntCounter,
    /// `hyclus_lines_unusable_total{camera}`
    pub unusable: IntCounter,
    /// `hyclus_lines_unrecorded_total{camera}`
    pub unrecorded: IntCounter,
    /// `hyclus_pool_free_slots{camera}`
    pub pool_free: IntGauge,
}

/// The metrics of one stage.
#[derive(Clone)]
pub struct StageMetrics {
    /// `hyclus_stage_items_in_total{stage}`
    pub items_in: IntCounter,
    /// `hyclus_stage_items_out_total{stage}`
    pub items_out: IntCounter,
    pub(super) busy: Counter,
}

impl StageMetrics {
    /// Adds to the stage's working time, `hyclus_stage_busy_seconds_total{stage}`. Waiting time is not included.
    pub fn busy(&self, time: Duration) {
        self.busy.inc_by(time.as_secs_f64());
    }
}

/// Fill of one queue between stages.
#[derive(Clone)]
pub struct QueueMetrics {
    /// `hyclus_queue_items{queue}`
    pub items: IntGauge,
    /// `hyclus_queue_capacity{queue}`
    pub capacity: IntGauge,
}
