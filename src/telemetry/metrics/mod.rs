//! The metrics. Their names are in `collectors.rs`, each once.
//!
//! The handles ([`CameraMetrics`], [`StageMetrics`], [`QueueMetrics`]) look their labels up once. Counting in the data path is then only
//! an atomic addition.

mod collectors;
mod handles;

pub use handles::{CameraMetrics, QueueMetrics, StageMetrics};

use crate::scan::{BadElements, DarkLevelDrift, Pending, PendingMinerals, ReferenceKind, ReferenceStatus, ScanRecord, StateName};
use collectors::Collectors;
use contract::LinkStatistics;
use prometheus::{IntCounter, TextEncoder};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Most minerals of a container whose shares are shown.
const MOST_MINERALS: usize = 8;

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOutcome {
    /// The scan reached its planned end.
    Complete,
    /// The scan was stopped, failed, or was recovered after a crash.
    Incomplete,
}

/// Every metric of the daemon. Clones share the values. Each [`Metrics::new`] has its own registry.
#[derive(Clone)]
pub struct Metrics(Arc<Collectors>);

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

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero, in a registry of their own.
    pub fn new() -> Self {
        let metrics = Self(Arc::new(Collectors::new()));
        metrics.set_state(StateName::Idle);
        metrics
    }

    /// The metrics of a camera, present at zero from now on.
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

    /// The metrics of a stage, present at zero from now on.
    pub fn stage(&self, stage: &str) -> StageMetrics {
        let m = &self.0;
        StageMetrics {
            items_in: m.stage_in.with_label_values(&[stage]),
            items_out: m.stage_out.with_label_values(&[stage]),
            busy: m.stage_busy.with_label_values(&[stage]),
        }
    }

    /// The gauges of a queue.
    pub fn queue(&self, queue: &str) -> QueueMetrics {
        QueueMetrics { items: self.0.queue_items.with_label_values(&[queue]), capacity: self.0.queue_capacity.with_label_values(&[queue]) }
    }

    /// Counts a scan with an irregularity, by its kind.
    pub fn irregular(&self, kind: &str) {
        self.0.irregularities.with_label_values(&[kind]).inc();
    }

    /// Counts a fault of the rig, by the failed part.
    pub fn faulted(&self, part: &str) {
        self.0.faults.with_label_values(&[part]).inc();
    }

    /// Counts a scan during which the clock was set.
    pub fn clock_set(&self) {
        self.0.clock_steps.inc();
    }

    /// Sets the measured write rate of the disk, bytes/s.
    pub fn set_disk_rate(&self, bytes_per_s: u64) {
        self.0.disk_rate.set(i64::try_from(bytes_per_s).unwrap_or(i64::MAX));
    }

    /// Sets the least number of free slots of a camera's frame pool during a scan.
    pub fn set_pool_least(&self, camera: &str, slots: u64) {
        self.0.pool_least.with_label_values(&[camera]).set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// Counts a closed scan.
    pub fn scan_closed(&self, outcome: ScanOutcome) {
        let label = match outcome {
            ScanOutcome::Complete => "complete",
            ScanOutcome::Incomplete => "incomplete",
        };
        self.0.scans.with_label_values(&[label]).inc();
    }

    /// Counts a stored sample.
    pub fn sample_stored(&self) {
        self.0.samples.inc();
    }

    /// Counts a closed Parquet part and its rows.
    pub fn part_closed(&self, rows: u64) {
        self.0.parts.inc();
        self.0.embeddings.inc_by(rows);
    }

    /// Sets the embeddings that scans lack.
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

    /// Counts spectra whose minerals were published.
    pub fn minerals_published(&self, rows: u64) {
        self.0.minerals.inc_by(rows);
    }

    /// Sets the samples that lack minerals.
    pub fn set_pending_minerals<'a>(&self, scans: impl Iterator<Item = &'a PendingMinerals>) {
        let samples: usize = scans.map(|pending| pending.samples.len()).sum();
        self.0.pending_minerals.set(i64::try_from(samples).unwrap_or(i64::MAX));
    }

    /// Sets the shares of novel spectra in a scan's containers, in place of those of the scan before.
    pub fn set_novelty(&self, record: &ScanRecord) {
        self.0.novel.reset();
        for (encoder, novelty) in record.novelties() {
            // Present at zero, so that a rate includes the first occurrence.
            self.0.novel_containers.with_label_values(&[encoder]);
            for (container, of) in &novelty.containers {
                self.0.novel.with_label_values(&[container.as_str(), encoder]).set(of.share);
            }
        }
    }

    /// Sets what the record of a closed scan tells of its spectra: implausible values, minerals and novelty. Counts the novel containers.
    pub fn set_spectra(&self, record: &ScanRecord) {
        self.set_implausible(record);
        self.set_minerals(record);
        self.set_novelty(record);
        record.novel().for_each(|(encoder, ..)| self.0.novel_containers.with_label_values(&[encoder]).inc());
    }

    /// Sets the shares of minerals in a scan's containers, in place of those of the scan before. A container has at most eight.
    pub fn set_minerals(&self, record: &ScanRecord) {
        if record.minerals.is_none() {
            return;
        }
        self.0.mineral_share.reset();
        self.0.not_identified.reset();
        for sample in &record.samples {
            let Some((of, none)) = sample.minerals.as_ref().and_then(|of| Some((of, of.not_identified?))) else { continue };
            self.0.not_identified.with_label_values(&[sample.container.as_str()]).set(none.share);
            let mut shares: Vec<(&str, f64)> =
                of.groups.iter().flat_map(|group| &group.minerals).map(|(name, share)| (name.as_str(), share.share)).collect();
            shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
            for (mineral, share) in shares.into_iter().take(MOST_MINERALS) {
                self.0.mineral_share.with_label_values(&[sample.container.as_str(), mineral]).set(share);
            }
        }
    }

    /// Counts rows of embeddings that a scan had deferred.
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

    /// Sets the rise of the dark level during the last scan, as a share of the white signal.
    pub fn set_dark_drift(&self, camera: &str, drift: &DarkLevelDrift) {
        self.0.dark_drift.with_label_values(&[camera]).set(drift.worst_share.unwrap_or_default());
        self.0.dark_drift_wavelength.with_label_values(&[camera]).set(drift.worst_nm.unwrap_or_default() * 1e-9);
    }

    /// Sets the shares of bad elements of a camera in the last scan.
    pub fn set_bad_elements(&self, camera: &str, bad: BadElements) {
        for (kind, share) in [("mended", bad.mended), ("missing", bad.missing)] {
            self.0.bad_elements.with_label_values(&[camera, kind]).set(share);
        }
    }

    /// Sets the shares of implausible values and restless elements of each camera in the last scan.
    fn set_implausible(&self, record: &ScanRecord) {
        let set = |camera: &str, kind, share| self.0.implausible.with_label_values(&[camera, kind]).set(share);
        for (camera, shares) in &record.plausibility {
            [("bright", shares.bright), ("negative", shares.negative), ("saturated", shares.saturated)]
                .into_iter()
                .for_each(|(kind, share)| set(camera, kind, share));
        }
        for (camera, restless) in &record.restless_elements {
            set(camera, "restless", restless.share);
        }
    }

    /// Sets how far the cameras saw the containers of a scan from where the first camera did.
    pub fn set_registration(&self, record: &ScanRecord) {
        for (camera, of) in &record.registration {
            let median = record.residuals_mm.get(camera);
            for (at, axis) in ["across", "along"].into_iter().enumerate() {
                let residual = |kind: &str, mm: f64| self.0.residual.with_label_values(&[camera.as_str(), axis, kind]).set(mm / 1000.0);
                residual("median", median.map_or(0.0, |mm| mm[at]));
                residual("largest", of.largest_mm[at]);
                let slope = of.slope_mm_per_m.map_or(0.0, |slope| slope[at]);
                self.0.residual_slope.with_label_values(&[camera.as_str(), axis]).set(slope / 1000.0);
            }
        }
    }

    /// Sets the age of a held reference, and the shift of the wavelengths that a white one tells.
    pub fn set_reference(&self, held: &ReferenceStatus) {
        self.set_reference_age(&held.camera, held.kind, Some(held.age_s));
        match &held.wavelength {
            Some(check) => self.0.wavelength_shift.with_label_values(&[held.camera.as_str()]).set(check.shift_nm),
            None if held.kind == ReferenceKind::White => drop(self.0.wavelength_shift.remove_label_values(&[held.camera.as_str()])),
            None => {}
        }
    }

    /// Sets the age of a reference, s. `None` removes the age of a reference that is no longer held.
    pub fn set_reference_age(&self, camera: &str, kind: ReferenceKind, age_s: Option<f64>) {
        let kind = match kind {
            ReferenceKind::Dark => "dark",
            ReferenceKind::White => "white",
        };
        match age_s {
            Some(age) => self.0.reference_age.with_label_values(&[camera, kind]).set(age),
            // A missing series is the wanted result.
            None => drop(self.0.reference_age.remove_label_values(&[camera, kind])),
        }
    }

    /// Sets the free space on the file system of the data root, bytes.
    pub fn set_disk_free(&self, bytes: u64) {
        self.0.disk_free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the counters of a drive's or a lamp's link.
    pub fn set_link(&self, device: &str, link: &LinkStatistics) {
        let up = |counter: IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        up(self.0.device_requests.with_label_values(&[device]), link.requests);
        for (reason, count) in
            [("refused", link.exceptions), ("timeout", link.timeouts), ("garbled", link.garbled), ("reconnect", link.reconnects)]
        {
            up(self.0.device_errors.with_label_values(&[device, reason]), count);
        }
    }

    /// Raises the counters of a camera's link to `counts`.
    pub fn set_camera_link(&self, camera: &str, counts: &BTreeMap<String, u64>) {
        for (name, count) in counts {
            let counter = self.0.camera_link.with_label_values(&[camera, name]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// Raises the number of messages that readers of the live tap missed to `all`.
    pub fn set_live_dropped(&self, all: u64) {
        self.0.live_dropped.inc_by(all.saturating_sub(self.0.live_dropped.get()));
    }

    /// Counts an answered request. `route` is the route's pattern, never the requested path. Otherwise any client could create a time
    /// series per path.
    pub fn http_request(&self, route: &str, status: u16) {
        self.0.http_requests.with_label_values(&[route, status.to_string().as_str()]).inc();
    }

    /// Every metric in Prometheus' text format ([`CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        let mut text = String::new();
        // This fails only for a family without a sample. `gather` never returns one.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics cannot be written");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        metrics.set_bad_elements("swir", BadElements { mended: 0.25, missing: 0.0 });
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
            "hyclus_bad_elements_ratio{camera=\"swir\",kind=\"mended\"} 0.25",
            "hyclus_bad_elements_ratio{camera=\"swir\",kind=\"missing\"} 0",
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
