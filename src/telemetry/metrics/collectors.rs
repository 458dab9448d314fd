//! The collectors: every name, label and help text of a metric, once.

use prometheus::{CounterVec, Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Every collector, registered in `registry`.
pub(super) struct Collectors {
    pub registry: Registry,
    pub lines_received: IntCounterVec,
    pub lines_lost: IntCounterVec,
    pub lines_expected: IntCounterVec,
    pub lines_unusable: IntCounterVec,
    pub irregularities: IntCounterVec,
    pub stage_in: IntCounterVec,
    pub stage_out: IntCounterVec,
    pub stage_busy: CounterVec,
    pub queue_items: IntGaugeVec,
    pub queue_capacity: IntGaugeVec,
    pub pool_free: IntGaugeVec,
    pub pool_least: IntGaugeVec,
    pub scans: IntCounterVec,
    pub samples: IntCounter,
    pub embeddings: IntCounter,
    pub parts: IntCounter,
    pub mineral_share: GaugeVec,
    pub not_identified: GaugeVec,
    pub minerals: IntCounter,
    pub novel: GaugeVec,
    pub novel_containers: IntCounterVec,
    pub pending_minerals: IntGauge,
    pub pending_scans: IntGauge,
    pub pending_samples: IntGauge,
    pub pending_spectra: IntGauge,
    pub caught_up: IntCounter,
    pub state: IntGaugeVec,
    pub belt_position: Gauge,
    pub reference_age: GaugeVec,
    pub wavelength_shift: GaugeVec,
    pub dark_drift: GaugeVec,
    pub dark_drift_wavelength: GaugeVec,
    pub residual: GaugeVec,
    pub residual_slope: GaugeVec,
    pub bad_elements: GaugeVec,
    pub implausible: GaugeVec,
    pub disk_free: IntGauge,
    pub live_dropped: IntCounter,
    pub http_requests: IntCounterVec,
    pub device_requests: IntCounterVec,
    pub device_errors: IntCounterVec,
    pub camera_link: IntCounterVec,
    pub lines_unrecorded: IntCounterVec,
    pub faults: IntCounterVec,
    pub clock_steps: IntCounter,
    pub disk_rate: IntGauge,
}

/// Prometheus requires valid and unique names. The names below are constants that fulfil this.
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

impl Collectors {
    /// Every collector at zero, in a registry of their own.
    pub(super) fn new() -> Self {
        let r = Registry::new();
        let build = register!(r, IntGaugeVec, "hyclus_build_info", ["version"], "Always 1; the label is the program's version.");
        build.with_label_values(&[crate::VERSION]).set(1);
        let collectors = Self {
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
            pool_least: register!(
                r,
                IntGaugeVec,
                "hyclus_pool_least_free_slots",
                ["camera"],
                "Least free slots of a camera's frame pool during the last scan."
            ),
            scans: register!(r, IntCounterVec, "hyclus_scans_total", ["outcome"], "Scans closed, complete or incomplete."),
            samples: register!(r, IntCounter, "hyclus_samples_stored_total", "Samples stored."),
            embeddings: register!(r, IntCounter, "hyclus_embeddings_total", "Rows of embeddings in closed Parquet parts."),
            parts: register!(r, IntCounter, "hyclus_parts_total", "Parquet parts closed."),
            mineral_share: register!(
                r,
                GaugeVec,
                "hyclus_mineral_share",
                ["container", "mineral"],
                "Share of a container's area with a mineral in the last scan, for the minerals with the largest shares."
            ),
            not_identified: register!(
                r,
                GaugeVec,
                "hyclus_minerals_not_identified_ratio",
                ["container"],
                "Share of a container's area without an identified mineral in the last scan."
            ),
            minerals: register!(r, IntCounter, "hyclus_minerals_spectra_total", "Spectra whose minerals are in the data set."),
            novel: register!(
                r,
                GaugeVec,
                "hyclus_novel_ratio",
                ["container", "encoder"],
                "Share of a container's spectra in the last scan that are unlike anything an encoder was trained on."
            ),
            novel_containers: register!(
                r,
                IntCounterVec,
                "hyclus_novel_containers_total",
                ["encoder"],
                "Containers of closed scans of which more than encoder.max_novel is unlike anything an encoder was trained on."
            ),
            pending_minerals: register!(r, IntGauge, "hyclus_pending_minerals_samples", "Samples that are stored and lack minerals."),
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
            bad_elements: register!(
                r,
                GaugeVec,
                "hyclus_bad_elements_ratio",
                ["camera", "kind"],
                "Bad detector elements in the last scan that are interpolated (mended) or have no value (missing), as a share of all."
            ),
            implausible: register!(
                r,
                GaugeVec,
                "hyclus_implausible_ratio",
                ["camera", "kind"],
                "Implausible values (bright, negative), saturated pixels and restless elements in the last scan, as a share."
            ),
            wavelength_shift: register!(
                r,
                GaugeVec,
                "hyclus_wavelength_shift_nm",
                ["camera"],
                "True wavelength minus that of the bands, by the absorptions of the white panel in the white reference that is held."
            ),
            dark_drift: register!(
                r,
                GaugeVec,
                "hyclus_dark_drift_ratio",
                ["camera"],
                "How much too high a reflectance of 5 % reads in the worst band at the end of the last scan, as the dark level rose, as a share."
            ),
            dark_drift_wavelength: register!(
                r,
                GaugeVec,
                "hyclus_dark_drift_wavelength_metres",
                ["camera"],
                "The worst band of hyclus_dark_drift_ratio."
            ),
            residual: register!(
                r,
                GaugeVec,
                "hyclus_residual_metres",
                ["camera", "axis", "kind"],
                "How far a camera saw the containers of the last scan from where the first camera did: median and largest."
            ),
            residual_slope: register!(
                r,
                GaugeVec,
                "hyclus_residual_slope_ratio",
                ["camera", "axis"],
                "Change of this distance over the way across the belt. Along the belt it is the tangent of the camera's yaw."
            ),
            reference_age: register!(r, GaugeVec, "hyclus_reference_age_seconds", ["camera", "kind"], "Age of a reference that is held."),
            disk_free: register!(r, IntGauge, "hyclus_disk_free_bytes", "Free space where the data goes."),
            live_dropped: register!(r, IntCounter, "hyclus_live_dropped_total", "Messages that readers of the live tap missed."),
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
        // Present at zero, so that a rate includes the first occurrence.
        for outcome in ["complete", "incomplete"] {
            collectors.scans.with_label_values(&[outcome]);
        }
        for kind in crate::acquire::Irregularity::KINDS {
            collectors.irregularities.with_label_values(&[kind]);
        }
        for part in crate::scan::Subsystem::ALL {
            collectors.faults.with_label_values(&[part.label()]);
        }
        collectors
    }
}
