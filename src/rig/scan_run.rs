//! The running scan, and the records of ended scans that the disk refused.

use crate::disk::Hashes;
use crate::pipeline::Running;
use crate::scan::{Progress, ScanRecord};
use crate::sync::lock;
use std::sync::{Arc, Mutex};
use tokio::sync::MutexGuard;

/// The running scan.
pub(super) struct Current {
    pub(super) record: ScanRecord,
    /// The data path, once it is started.
    pub(super) running: Option<Arc<Running>>,
    /// The threads that hash its files.
    pub(super) hashes: Option<Arc<Hashes>>,
    /// Belt position at the end of the scan, mm.
    end_mm: f64,
    /// Whether its results are made again from its recording before it closes.
    pub(super) make_again: bool,
}

#[derive(Default)]
struct Now {
    current: Option<Current>,
    /// Records of ended scans that the disk refused.
    unclosed: Vec<ScanRecord>,
}

/// The scans that the controller is responsible for.
#[derive(Default)]
pub(super) struct ScanRun {
    now: Mutex<Now>,
    /// Held while the record of an accepted scan is written, so that the scan is not closed earlier.
    starting: tokio::sync::Mutex<()>,
}

impl ScanRun {
    /// Waits until no other scan's record is being written.
    pub(super) async fn starting(&self) -> MutexGuard<'_, ()> {
        self.starting.lock().await
    }

    /// Sets the running scan, once its record is written.
    pub(super) fn begin(&self, record: ScanRecord) {
        lock(&self.now).current = Some(Current { record, running: None, hashes: None, end_mm: 0.0, make_again: false });
    }

    /// Whether no scan runs.
    pub(super) fn is_none(&self) -> bool {
        lock(&self.now).current.is_none()
    }

    pub(super) fn id(&self) -> Option<String> {
        self.read(|current| current.record.id.clone())
    }

    /// Reads a value of the running scan.
    pub(super) fn read<T>(&self, of: impl FnOnce(&Current) -> T) -> Option<T> {
        lock(&self.now).current.as_ref().map(of)
    }

    /// The data path, once it is started.
    pub(super) fn running(&self) -> Option<Arc<Running>> {
        lock(&self.now).current.as_ref()?.running.clone()
    }

    /// Changes the record of the running scan.
    pub(super) fn edit(&self, change: impl FnOnce(&mut ScanRecord)) {
        if let Some(current) = lock(&self.now).current.as_mut() {
            change(&mut current.record);
        }
    }

    /// Has the results of the scan made again before it closes.
    pub(super) fn make_again(&self) {
        if let Some(current) = lock(&self.now).current.as_mut() {
            current.make_again = true;
        }
    }

    /// Sets the belt position at the end of the scan, mm.
    pub(super) fn set_end_mm(&self, end_mm: f64) {
        if let Some(current) = lock(&self.now).current.as_mut() {
            current.end_mm = end_mm;
        }
    }

    pub(super) fn end_mm(&self) -> Option<f64> {
        self.read(|current| current.end_mm)
    }

    /// Gives a scan its data path. Gives false where the scan is closed already.
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

    /// Stops the data path, where there is one.
    pub(super) fn stop(&self, reason: &str) {
        if let Some(running) = lock(&self.now).current.as_ref().and_then(|current| current.running.as_ref()) {
            running.stop(reason);
        }
    }

    /// Takes the running scan, to close it.
    pub(super) fn take(&self) -> Option<Current> {
        lock(&self.now).current.take()
    }

    /// Progress of the running scan.
    pub(super) fn progress(&self, position_mm: f64) -> Option<Progress> {
        self.read(|current| {
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

    /// The record of the running scan, with the counts so far.
    pub(super) fn record(&self) -> Option<ScanRecord> {
        self.read(|current| {
            let mut live = current.record.clone();
            if let Some(running) = &current.running {
                live.cameras = running.sums().into_iter().collect();
                live.samples = running.samples();
                live.embeddings = running.embeddings();
            }
            live
        })
    }

    /// Keeps a record that the disk refused.
    pub(super) fn keep_unclosed(&self, record: ScanRecord) {
        lock(&self.now).unclosed.push(record);
    }

    pub(super) fn unclosed(&self) -> Vec<ScanRecord> {
        lock(&self.now).unclosed.clone()
    }

    /// Forgets a record that the disk has taken since.
    pub(super) fn closed(&self, id: &str) {
        lock(&self.now).unclosed.retain(|other| other.id != id);
    }
}
