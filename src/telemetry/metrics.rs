//! The metrics, with every name and label of them.
//!
//! Handles ([`CameraMetrics`], [`StageMetrics`], [`QueueMetrics`]) look their labels up once, so that counting in the data path is
//! an atomic addition and nothing else.

use crate::scan::{Pending, ReferenceKind, StateName};
use contract::LinkStatistics;
use prometheus::{Counter, CounterVec, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOutcome {
    /// It went to its planned end.
    Complete,
    /// It was stopped, failed, or was recovered after a crash.
    Incomplete,
}

/// Every metric of the daemon. Clones share the values; each [`Metrics::new`] has its own registry.
#[derive(Clone)]
pub struct Metrics(Arc<Collectors>);

struct Collectors {
    registry: Registry,
    lines_received: IntCounterVec,
    lines_lost: IntCounterVec,
    lines_expected: IntCounterVec,
    lines_unusable: IntCounterVec,
    irregularities: IntCounterVec,
    stage_in: IntCounterVec,
    stage_out: IntCounterVec,
    stage_busy: CounterVec,
    queue_items: IntGaugeVec,
    queue_capacity: IntGaugeVec,
    pool_free: IntGaugeVec,
    scans: IntCounterVec,
    samples: IntCounter,
    embeddings: IntCounter,
    parts: IntCounter,
    pending_scans: IntGauge,
    pending_samples: IntGauge,
    pending_spectra: IntGauge,
    caught_up: IntCounter,
    state: IntGaugeVec,
    belt_position: Gauge,
    reference_age: GaugeVec,
    dark_drift: GaugeVec,
    disk_free: IntGauge,
    http_requests: IntCounterVec,
    device_requests: IntCounterVec,
    device_errors: IntCounterVec,
    camera_link: IntCounterVec,
    lines_unrecorded: IntCounterVec,
    faults: IntCounterVec,
    clock_steps: IntCounter,
    disk_rate: IntGauge,
}

/// What is counted of a camera.
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

/// What is counted of a stage.
#[derive(Clone)]
pub struct StageMetrics {
    /// `hyclus_stage_items_in_total{stage}`
    pub items_in: IntCounter,
    /// `hyclus_stage_items_out_total{stage}`
    pub items_out: IntCounter,
    busy: Counter,
}

impl StageMetrics {
    /// `hyclus_stage_busy_seconds_total{stage}`: adds time that the stage worked, as against waited.
    pub fn busy(&self, time: Duration) {
        self.busy.inc_by(time.as_secs_f64());
    }
}

/// Fill of a queue between stages.
#[derive(Clone)]
pub struct QueueMetrics {
    /// `hyclus_queue_items{queue}`
    pub items: IntGauge,
    /// `hyclus_queue_capacity{queue}`
    pub capacity: IntGauge,
}

const STATES: [StateName; 7] = [
    StateName::Idle,
    StateName::Warming,
    StateName::Referencing,
    StateName::Ready,
    StateName::Scanning,
    StateName::Draining,
    StateName::Faulted,
];

fn state_label(state: StateName) -> &'static str {
    match state {
        StateName::Idle => "idle",
        StateName::Warming => "warming",
        StateName::Referencing => "referencing",
        StateName::Ready => "ready",
        StateName::Scanning => "scanning",
        StateName::Draining => "draining",
        StateName::Faulted => "faulted",
    }
}

/// The names below are constants that differ from one another, which is all that prometheus asks of them.
const VALID: &str = "metric names are constant, valid and unique";

/// Makes a collector and registers it.
macro_rules! register {
    ($registry:ident, $kind:ident, $name:literal, $help:literal) => {{
        let collector = $kind::new($name, $help).expect(VALID);
        $registry.register(Box::new(collector.clone())).expect(VALID);
        collector
    }};
    ($registry:ident, $kind:ident, $name:literal, [$($label:literal),+], $help:literal) => {{
        let collector = $kind::new(Opts::new($name, $help), &[$($label),+]).expect(VALID);
        $registry.register(Box::new(collector.clone())).expect(VALID);
        collector
    }};
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero, in a registry of their own.
    pub fn new() -> Self {
        let r = Registry::new();
        let build = register!(r, IntGaugeVec, "hyclus_build_info", ["version"], "Always 1; the label is the program's version.");
        build.with_label_values(&[crate::VERSION]).set(1);
        let collectors = Collectors {
            lines_received: register!(r, IntCounterVec, "hyclus_lines_received_total", ["camera"], "Lines received from a camera."),
            lines_lost: register!(
                r,
                IntCounterVec,
                "hyclus_lines_lost_total",
                ["camera", "reason"],
                "Lines lost because the frame pool had no free slot (pool), or before they reached it (link)."
            ),
            lines_expected: register!(
                r,
                IntCounterVec,
                "hyclus_lines_expected_total",
                ["camera"],
                "Lines that scans should have given; received and lost lines add up to it."
            ),
            lines_unusable: register!(
                r,
                IntCounterVec,
                "hyclus_lines_unusable_total",
                ["camera"],
                "Received lines that were incomplete, or recorded while the belt stood or went back."
            ),
            irregularities: register!(
                r,
                IntCounterVec,
                "hyclus_scan_irregularities_total",
                ["kind"],
                "Scans in which frame numbers, time, belt and picture did not go together."
            ),
            stage_in: register!(r, IntCounterVec, "hyclus_stage_items_in_total", ["stage"], "Items that a stage took."),
            stage_out: register!(r, IntCounterVec, "hyclus_stage_items_out_total", ["stage"], "Items that a stage gave."),
            stage_busy: register!(r, CounterVec, "hyclus_stage_busy_seconds_total", ["stage"], "Time that a stage worked."),
            queue_items: register!(r, IntGaugeVec, "hyclus_queue_items", ["queue"], "Items that wait in a queue."),
            queue_capacity: register!(r, IntGaugeVec, "hyclus_queue_capacity", ["queue"], "Items that a queue can hold."),
            pool_free: register!(r, IntGaugeVec, "hyclus_pool_free_slots", ["camera"], "Free slots of a camera's frame pool."),
            scans: register!(r, IntCounterVec, "hyclus_scans_total", ["outcome"], "Scans closed, complete or incomplete."),
            samples: register!(r, IntCounter, "hyclus_samples_stored_total", "Samples stored."),
            embeddings: register!(r, IntCounter, "hyclus_embeddings_total", "Rows of embeddings in closed Parquet parts."),
            parts: register!(r, IntCounter, "hyclus_parts_total", "Parquet parts closed."),
            pending_scans: register!(r, IntGauge, "hyclus_pending_scans", "Scans that lack embeddings."),
            pending_samples: register!(r, IntGauge, "hyclus_pending_samples", "Samples that are stored and lack embeddings."),
            pending_spectra: register!(r, IntGauge, "hyclus_pending_spectra", "Valid spectra that are stored and lack an embedding."),
            caught_up: register!(
                r,
                IntCounter,
                "hyclus_embeddings_caught_up_total",
                "Rows of embeddings that scans had left for later, and were made since."
            ),
            state: register!(r, IntGaugeVec, "hyclus_state", ["state"], "1 for the state of the rig, 0 for every other."),
            belt_position: register!(r, Gauge, "hyclus_belt_position_metres", "Position of the belt."),
            dark_drift: register!(
                r,
                GaugeVec,
                "hyclus_dark_drift_ratio",
                ["camera"],
                "Rise of the dark level during the last scan, as a share of the white signal."
            ),
            reference_age: register!(r, GaugeVec, "hyclus_reference_age_seconds", ["camera", "kind"], "Age of a reference that is held."),
            disk_free: register!(r, IntGauge, "hyclus_disk_free_bytes", "Free space where the data goes."),
            http_requests: register!(
                r,
                IntCounterVec,
                "hyclus_http_requests_total",
                ["route", "status"],
                "HTTP requests answered, by route and status code."
            ),
            device_requests: register!(r, IntCounterVec, "hyclus_device_requests_total", ["device"], "Requests sent to a drive or a lamp."),
            device_errors: register!(
                r,
                IntCounterVec,
                "hyclus_device_errors_total",
                ["device", "reason"],
                "Requests to a drive or a lamp that were refused, not answered, or answered with nonsense, and links opened anew."
            ),
            camera_link: register!(
                r,
                IntCounterVec,
                "hyclus_camera_link_total",
                ["camera", "count"],
                "What the link to a camera counts during scans, by the names of its library: packets, resend requests, failures."
            ),
            lines_unrecorded: register!(
                r,
                IntCounterVec,
                "hyclus_lines_unrecorded_total",
                ["camera"],
                "Received lines that are not in the raw recording, because the disk refused them."
            ),
            faults: register!(r, IntCounterVec, "hyclus_faults_total", ["part"], "Faults of the rig, by the part that failed."),
            clock_steps: register!(r, IntCounter, "hyclus_clock_steps_total", "Scans during which the computer's clock was set."),
            disk_rate: register!(
                r,
                IntGauge,
                "hyclus_disk_write_bytes_per_second",
                "How fast the disk that the data goes to was written, when that was last tried."
            ),
            registry: r,
        };
        // Present at zero, so that a rate over the first occurrence is seen.
        for outcome in ["complete", "incomplete"] {
            collectors.scans.with_label_values(&[outcome]);
        }
        for kind in crate::acquire::Irregularity::KINDS {
            collectors.irregularities.with_label_values(&[kind]);
        }
        for part in crate::scan::Subsystem::ALL {
            collectors.faults.with_label_values(&[part.label()]);
        }
        let metrics = Self(Arc::new(collectors));
        metrics.set_state(StateName::Idle);
        metrics
    }

    /// Counters of a camera, present at zero from now on.
    pub fn camera(&self, camera: &str) -> CameraMetrics {
        let m = &self.0;
        CameraMetrics {
            received: m.lines_received.with_label_values(&[camera]),
            lost_pool: m.lines_lost.with_label_values(&[camera, "pool"]),
            lost_link: m.lines_lost.with_label_values(&[camera, "link"]),
            expected: m.lines_expected.with_label_values(&[camera]),
            unusable: m.lines_unusable.with_label_values(&[camera]),
            unrecorded: m.lines_unrecorded.with_label_values(&[camera]),
            pool_free: m.pool_free.with_label_values(&[camera]),
        }
    }

    /// Counters of a stage, present at zero from now on.
    pub fn stage(&self, stage: &str) -> StageMetrics {
        let m = &self.0;
        StageMetrics {
            items_in: m.stage_in.with_label_values(&[stage]),
            items_out: m.stage_out.with_label_values(&[stage]),
            busy: m.stage_busy.with_label_values(&[stage]),
        }
    }

    /// Gauges of a queue.
    pub fn queue(&self, queue: &str) -> QueueMetrics {
        QueueMetrics { items: self.0.queue_items.with_label_values(&[queue]), capacity: self.0.queue_capacity.with_label_values(&[queue]) }
    }

    /// Counts what did not go together in a scan, by its kind.
    pub fn irregular(&self, kind: &str) {
        self.0.irregularities.with_label_values(&[kind]).inc();
    }

    /// Counts a fault of the rig by the part that failed.
    pub fn faulted(&self, part: &str) {
        self.0.faults.with_label_values(&[part]).inc();
    }

    /// Counts a scan during which the clock was set.
    pub fn clock_set(&self) {
        self.0.clock_steps.inc();
    }

    /// Sets how fast the disk was written, bytes/s.
    pub fn set_disk_rate(&self, bytes_per_s: u64) {
        self.0.disk_rate.set(i64::try_from(bytes_per_s).unwrap_or(i64::MAX));
    }

    /// Counts a scan that was closed.
    pub fn scan_closed(&self, outcome: ScanOutcome) {
        let label = match outcome {
            ScanOutcome::Complete => "complete",
            ScanOutcome::Incomplete => "incomplete",
        };
        self.0.scans.with_label_values(&[label]).inc();
    }

    /// Counts a sample that was stored.
    pub fn sample_stored(&self) {
        self.0.samples.inc();
    }

    /// Counts a Parquet part that was closed, and its rows.
    pub fn part_closed(&self, rows: u64) {
        self.0.parts.inc();
        self.0.embeddings.inc_by(rows);
    }

    /// Sets what scans lack of their embeddings.
    pub fn set_pending<'a>(&self, scans: impl Iterator<Item = &'a Pending>) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (mut all, mut samples, mut spectra) = (0, 0, 0);
        for pending in scans {
            (all, samples, spectra) = (all + 1, samples + number(pending.samples.len()), spectra + pending.spectra);
        }
        self.0.pending_scans.set(all);
        self.0.pending_samples.set(samples);
        self.0.pending_spectra.set(i64::try_from(spectra).unwrap_or(i64::MAX));
    }

    /// Counts rows that a scan had left for later.
    pub fn embeddings_caught_up(&self, rows: u64) {
        self.0.caught_up.inc_by(rows);
        self.0.embeddings.inc_by(rows);
    }

    /// Sets the state of the rig.
    pub fn set_state(&self, state: StateName) {
        for each in STATES {
            self.0.state.with_label_values(&[state_label(each)]).set(i64::from(each == state));
        }
    }

    /// Sets the position of the belt from mm. The metric is in metres, because Prometheus' rules ask for base units.
    pub fn set_belt_position(&self, mm: f64) {
        self.0.belt_position.set(mm / 1000.0);
    }

    /// Sets how far the dark level moved during the last scan, as a share of the white signal.
    pub fn set_dark_drift(&self, camera: &str, of_signal: f64) {
        self.0.dark_drift.with_label_values(&[camera]).set(of_signal);
    }

    /// Sets the age of a reference, s; `None` when it is no longer held.
    pub fn set_reference_age(&self, camera: &str, kind: ReferenceKind, age_s: Option<f64>) {
        let kind = match kind {
            ReferenceKind::Dark => "dark",
            ReferenceKind::White => "white",
        };
        match age_s {
            Some(age) => self.0.reference_age.with_label_values(&[camera, kind]).set(age),
            // Not there is what was asked for.
            None => drop(self.0.reference_age.remove_label_values(&[camera, kind])),
        }
    }

    /// Sets the free space where the data goes, bytes.
    pub fn set_disk_free(&self, bytes: u64) {
        self.0.disk_free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the counters of the link to a drive or a lamp.
    pub fn set_link(&self, device: &str, link: &LinkStatistics) {
        let up = |counter: IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        up(self.0.device_requests.with_label_values(&[device]), link.requests);
        for (reason, count) in
            [("refused", link.exceptions), ("timeout", link.timeouts), ("garbled", link.garbled), ("reconnect", link.reconnects)]
        {
            up(self.0.device_errors.with_label_values(&[device, reason]), count);
        }
    }

    /// Brings what the link to a camera counts up to date.
    pub fn set_camera_link(&self, camera: &str, counts: &BTreeMap<String, u64>) {
        for (name, count) in counts {
            let counter = self.0.camera_link.with_label_values(&[camera, name]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// Counts a request that was answered. `route` is the route's pattern, never the path that was asked for: anybody could make
    /// as many time series as they can think of paths.
    pub fn http_request(&self, route: &str, status: u16) {
        self.0.http_requests.with_label_values(&[route, status.to_string().as_str()]).inc();
    }

    /// Everything, in Prometheus' text format ([`CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Fails only for a family without a sample, which `gather` never gives.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics cannot be written");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Metrics {
        let metrics = Metrics::new();
        let camera = metrics.camera("swir");
        camera.received.inc_by(98);
        camera.lost_link.inc_by(2);
        camera.expected.inc_by(100);
        let stage = metrics.stage("calibrate");
        stage.items_in.inc();
        stage.busy(Duration::from_millis(1500));
        metrics.queue("join").capacity.set(64);
        metrics.scan_closed(ScanOutcome::Incomplete);
        metrics.part_closed(4096);
        metrics.set_state(StateName::Scanning);
        metrics.set_belt_position(-12.5);
        metrics.set_reference_age("swir", ReferenceKind::White, Some(60.0));
        metrics.set_disk_free(3_500_000_000_000);
        metrics.http_request("/v1/status", 200);
        metrics
    }

    #[test]
    fn every_name_and_label_is_written() {
        let text = used().render();
        for line in [
            "hyclus_lines_received_total{camera=\"swir\"} 98",
            "hyclus_lines_lost_total{camera=\"swir\",reason=\"pool\"} 0",
            "hyclus_lines_lost_total{camera=\"swir\",reason=\"link\"} 2",
            "hyclus_lines_expected_total{camera=\"swir\"} 100",
            "hyclus_lines_unusable_total{camera=\"swir\"} 0",
            "hyclus_stage_items_in_total{stage=\"calibrate\"} 1",
            "hyclus_stage_items_out_total{stage=\"calibrate\"} 0",
            "hyclus_stage_busy_seconds_total{stage=\"calibrate\"} 1.5",
            "hyclus_queue_items{queue=\"join\"} 0",
            "hyclus_queue_capacity{queue=\"join\"} 64",
            "hyclus_pool_free_slots{camera=\"swir\"} 0",
            "hyclus_scans_total{outcome=\"complete\"} 0",
            "hyclus_scans_total{outcome=\"incomplete\"} 1",
            "hyclus_samples_stored_total 0",
            "hyclus_embeddings_total 4096",
            "hyclus_parts_total 1",
            "hyclus_state{state=\"idle\"} 0",
            "hyclus_state{state=\"scanning\"} 1",
            "hyclus_belt_position_metres -0.0125",
            "hyclus_reference_age_seconds{camera=\"swir\",kind=\"white\"} 60",
            "hyclus_disk_free_bytes 3500000000000",
            "hyclus_http_requests_total{route=\"/v1/status\",status=\"200\"} 1",
            concat!("hyclus_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_reference_that_is_dropped_has_no_age() {
        let metrics = used();
        metrics.set_reference_age("swir", ReferenceKind::White, None);
        metrics.set_reference_age("vnir", ReferenceKind::Dark, None);
        assert!(!metrics.render().contains("hyclus_reference_age_seconds"));
    }

    #[test]
    fn the_label_of_a_state_is_its_name_in_the_interface() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state_label(state));
        }
    }

    #[test]
    fn two_sets_do_not_share_values() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.sample_stored();
        assert!(one.render().contains("hyclus_samples_stored_total 1"));
        assert!(other.render().contains("hyclus_samples_stored_total 0"));
    }
}
