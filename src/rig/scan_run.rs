//! The scan that runs, and those that the disk did not let end.

use crate::disk::Hashes;
use crate::pipeline::Running;
use crate::scan::{Progress, ScanRecord};
use crate::sync::lock;
use std::sync::{Arc, Mutex};
use tokio::sync::MutexGuard;

/// The scan that runs.
pub(super) struct Current {
    pub(super) record: ScanRecord,
    /// The data path, once it runs.
    pub(super) running: Option<Arc<Running>>,
    /// What hashes its files.
    pub(super) hashes: Option<Arc<Hashes>>,
    /// Where the belt stops, mm.
    end_mm: f64,
}

#[derive(Default)]
struct Now {
    current: Option<Current>,
    /// Scans that have ended, and whose record the disk did not take.
    unclosed: Vec<ScanRecord>,
}

/// What is scanned.
#[derive(Default)]
pub(super) struct ScanRun {
    now: Mutex<Now>,
    /// Held while a scan that was accepted is written down: it is not closed before.
    starting: tokio::sync::Mutex<()>,
}

impl ScanRun {
    /// Waits until no other scan is being written down.
    pub(super) async fn starting(&self) -> MutexGuard<'_, ()> {
        self.starting.lock().await
    }

    /// Notes a scan that was accepted and written down.
    pub(super) fn begin(&self, record: ScanRecord) {
        lock(&self.now).current = Some(Current { record, running: None, hashes: None, end_mm: 0.0 });
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        lock(&self.now).current.is_none()
    }

    pub(super) fn id(&self) -> Option<String> {
        self.look(|current| current.record.id.clone())
    }

    /// Something of the scan that runs.
    pub(super) fn look<T>(&self, of: impl FnOnce(&Current) -> T) -> Option<T> {
        lock(&self.now).current.as_ref().map(of)
    }

    /// The data path, once it runs.
    pub(super) fn running(&self) -> Option<Arc<Running>> {
        lock(&self.now).current.as_ref()?.running.clone()
    }

    /// Changes the record of the scan that runs.
    pub(super) fn edit(&self, change: impl FnOnce(&mut ScanRecord)) {
        if let Some(current) = lock(&self.now).current.as_mut() {
            change(&mut current.record);
        }
    }

    /// Notes where the belt will stop, mm.
    pub(super) fn set_end_mm(&self, end_mm: f64) {
        if let Some(current) = lock(&self.now).current.as_mut() {
            current.end_mm = end_mm;
        }
    }

    pub(super) fn end_mm(&self) -> Option<f64> {
        self.look(|current| current.end_mm)
    }

    /// Gives a scan its data path; false where the scan was closed meanwhile.
    pub(super) fn attach(&self, id: &str, running: &Arc<Running>, hashes: Arc<Hashes>) -> bool {
        match lock(&self.now).current.as_mut() {
            Some(current) if current.record.id == id => {
                current.running = Some(Arc::clone(running));
                current.hashes = Some(hashes);
                true
            }
            _ => false,
        }
    }

    /// Ends the data path, where there is one.
    pub(super) fn stop(&self, reason: &str) {
        if let Some(running) = lock(&self.now).current.as_ref().and_then(|current| current.running.as_ref()) {
            running.stop(reason);
        }
    }

    /// Takes the scan, to close it.
    pub(super) fn take(&self) -> Option<Current> {
        lock(&self.now).current.take()
    }

    /// How far the scan is.
    pub(super) fn progress(&self, position_mm: f64) -> Option<Progress> {
        self.look(|current| {
            let running = current.running.as_ref();
            Progress {
                scan: current.record.id.clone(),
                position_mm,
                end_mm: current.end_mm,
                cameras: running.map(|r| r.sums().into_iter().collect()).unwrap_or_default(),
                samples: running.map_or(0, |r| r.samples().len() as u64),
                embeddings: running.map_or(0, |r| r.embeddings()),
            }
        })
    }

    /// The record of the scan that runs, as far as it is.
    pub(super) fn record(&self) -> Option<ScanRecord> {
        self.look(|current| {
            let mut live = current.record.clone();
            if let Some(running) = &current.running {
                live.cameras = running.sums().into_iter().collect();
                live.samples = running.samples();
                live.embeddings = running.embeddings();
            }
            live
        })
    }

    /// Keeps the record of a scan that the disk did not take.
    pub(super) fn keep_unclosed(&self, record: ScanRecord) {
        lock(&self.now).unclosed.push(record);
    }

    pub(super) fn unclosed(&self) -> Vec<ScanRecord> {
        lock(&self.now).unclosed.clone()
    }

    /// Forgets a record that the disk has taken after all.
    pub(super) fn closed(&self, id: &str) {
        lock(&self.now).unclosed.retain(|other| other.id != id);
    }
}
