//! Reports on the rig: events, metrics, held references, and progress of the data path.

use crate::live::Tap;
use crate::pipeline::{Meters, Watchdog, waiting};
use crate::scan::{EventKind, ReferenceStatus, ScanRecord};
use crate::sync::lock;
use crate::telemetry::metrics::ScanOutcome;
use crate::telemetry::{EventLog, Metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The events and metrics of the rig, and the state behind them.
pub(super) struct Reporting {
    events: EventLog,
    metrics: Metrics,
    meters: Meters,
    live: Tap,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// The held references, and the time when each was taken.
    references: Vec<(ReferenceStatus, Instant)>,
    /// The figures of every stage in the metrics: items in, items out, busy microseconds.
    counted: BTreeMap<String, [u64; 3]>,
    /// The queues in the metrics. Those of an ended scan hold nothing.
    queues: BTreeSet<String>,
    watchdog: Watchdog,
    /// Scans whose recovery failed, with the reason.
    set_aside: BTreeMap<String, String>,
}

impl Reporting {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { events: EventLog::default(), metrics, meters: Meters::default(), live: Tap::default(), now: Mutex::default() }
    }

    pub(super) fn note_set_aside(&self, record: &ScanRecord) {
        let reason = record.set_aside.clone().map(|reason| (record.id.clone(), reason));
        lock(&self.now).set_aside.extend(reason);
    }

    pub(super) fn set_aside(&self) -> BTreeMap<String, String> {
        lock(&self.now).set_aside.clone()
    }

    pub(super) fn emit(&self, kind: EventKind) {
        self.events.emit(kind);
    }

    pub(super) fn events(&self) -> &EventLog {
        &self.events
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    pub(super) fn live(&self) -> &Tap {
        &self.live
    }

    /// Replaces the held references.
    pub(super) fn hold_references(&self, held: Vec<ReferenceStatus>) {
        let now = Instant::now();
        let since = |status: &ReferenceStatus| now.checked_sub(Duration::from_secs_f64(status.age_s)).unwrap_or(now);
        lock(&self.now).references = held.into_iter().map(|status| (status.clone(), since(&status))).collect();
    }

    /// The held references, with their current age.
    pub(super) fn references(&self) -> Vec<ReferenceStatus> {
        let now = lock(&self.now);
        now.references.iter().map(|(status, since)| ReferenceStatus { age_s: since.elapsed().as_secs_f64(), ..status.clone() }).collect()
    }

    /// Counts a closed scan, its lines and its samples.
    pub(super) fn count_closed(&self, record: &ScanRecord) {
        let complete = record.complete == Some(true);
        self.metrics.scan_closed(if complete { ScanOutcome::Complete } else { ScanOutcome::Incomplete });
        for (name, sums) in &record.cameras {
            let camera = self.metrics.camera(name);
            camera.received.inc_by(sums.received);
            camera.lost_pool.inc_by(sums.lost_pool);
            camera.lost_link.inc_by(sums.lost - sums.lost_pool);
            camera.expected.inc_by(sums.expected);
            camera.unusable.inc_by(sums.unusable);
            camera.unrecorded.inc_by(sums.unrecorded);
            if let Some(least) = sums.pool_least_free {
                self.metrics.set_pool_least(name, least);
            }
        }
        self.metrics.set_spectra(record);
        for _ in &record.samples {
            self.metrics.sample_stored();
        }
    }

    /// Adds the work of stages since the last call to the metrics, and sets the fill of the queues.
    pub(super) fn count_stages(&self) {
        let Now { counted, queues, .. } = &mut *lock(&self.now);
        for (name, (items_in, items_out, busy_s)) in self.meters.stages() {
            let stage = self.metrics.stage(&name);
            let before: &mut [u64; 3] = counted.entry(name).or_default();
            stage.items_in.inc_by(items_in.saturating_sub(before[0]));
            stage.items_out.inc_by(items_out.saturating_sub(before[1]));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "busy time is positive and below centuries")]
            let busy_us = (busy_s * 1e6) as u64;
            stage.busy(Duration::from_micros(busy_us.saturating_sub(before[2])));
            *before = [items_in, items_out, busy_us];
        }
        let filled = self.meters.queues();
        for gone in queues.iter().filter(|name| !filled.contains_key(*name)) {
            self.metrics.queue(gone).items.set(0);
        }
        for (name, [items, room]) in filled {
            let queue = self.metrics.queue(&name);
            queue.items.set(i64::try_from(items).unwrap_or(i64::MAX));
            queue.capacity.set(i64::try_from(room).unwrap_or(i64::MAX));
            queues.insert(name);
        }
    }

    /// The stages that have work and made no progress for `limit`. Empty where the rig is not `busy`.
    pub(super) fn stuck(&self, busy: bool, limit: Duration) -> Vec<String> {
        let watchdog = &mut lock(&self.now).watchdog;
        if !busy {
            watchdog.rest();
            return Vec::new();
        }
        let (stages, queues) = (self.meters.stages(), self.meters.queues());
        let items = stages.iter().map(|(name, (items, _, _))| (name.as_str(), *items));
        watchdog.stuck(items, |stage| waiting(&queues, stage), Instant::now(), limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queues_of_an_ended_scan_are_empty_in_the_metrics() {
        let reporting = Reporting::new(Metrics::new());
        let store = |items: &str| reporting.metrics().render().contains(&format!("hyclus_queue_items{{queue=\"store\"}} {items}\n"));
        reporting.meters().queue("store", || [8, 8]);
        reporting.count_stages();
        assert!(store("8"));
        reporting.meters().forget_queues();
        reporting.count_stages();
        assert!(store("0"));
    }
}
