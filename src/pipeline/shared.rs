//! State that the threads of a scan share.

use super::encoders::EncoderState;
use super::{Meter, PipelineError};
use crate::acquire::Irregularity;
use crate::calibrate::LightFinding;
use crate::detector::DetectorFindings;
use crate::minerals::Desk;
use crate::scan::{EventKind, LightRange, LineCounts, SampleRecord};
use crate::segment::Findings;
use crate::sync::lock;
use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Interval at which a waiting thread checks whether the scan ends.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Sends an item, and does not count the wait as busy time.
///
/// A closed channel means that the thread behind it failed and the scan is ending. The item is then dropped.
pub(super) fn send<T>(to: &Sender<T>, item: T, meter: &Meter) {
    if let Err(crossbeam_channel::TrySendError::Full(item)) = to.try_send(item) {
        let begin = Instant::now();
        let _ = to.send(item);
        meter.waited(begin);
    }
}

/// Progress of one camera.
#[derive(Debug, Default)]
pub(super) struct CameraProgress {
    pub(super) received: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) done: AtomicBool,
}

/// Flags and results of the scan that runs.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) reason: Mutex<Option<String>>,
    pub(super) error: Mutex<Option<PipelineError>>,
    pub(super) cameras: Vec<CameraProgress>,
    pub(super) sums: Mutex<Vec<LineCounts>>,
    pub(super) samples: Mutex<Vec<SampleRecord>>,
    pub(super) findings: Mutex<Findings>,
    pub(super) encoders: Vec<Arc<EncoderState>>,
    /// The scan's id.
    pub(super) scan: String,
    /// Reason why minerals were deferred.
    pub(super) minerals: Mutex<Option<String>>,
    /// Largest share of a sample that is not identified.
    pub(super) max_not_identified: f64,
    /// Doubts about the light.
    pub(super) light: Mutex<Vec<String>>,
    pub(super) light_ranges: Mutex<Vec<Option<LightRange>>>,
    pub(super) detectors: Mutex<Vec<Option<DetectorFindings>>>,
    pub(super) belt_runs: AtomicBool,
    pub(super) irregularities: Mutex<Vec<Irregularity>>,
    pub(super) anisotropy: Mutex<Vec<Option<f64>>>,
}

/// Logs a warning, and emits it.
pub(super) fn warn(message: String, emit: &dyn Fn(EventKind)) {
    tracing::warn!("{message}");
    emit(EventKind::Warning { message });
}

impl Shared {
    /// Keeps an irregularity and warns of it. All cameras see the same belt, so one report of each kind is enough.
    pub(super) fn irregular(&self, found: Irregularity, emit: &dyn Fn(EventKind)) {
        let mut all = lock(&self.irregularities);
        if found.of_belt() && all.iter().any(|other| other.kind() == found.kind()) {
            return;
        }
        warn(found.to_string(), emit);
        all.push(found);
    }

    /// Keeps a doubt about the light that a camera sees, and warns of it.
    ///
    /// A failed lamp ends a scan while the belt runs. A recording goes on, because its light cannot be repaired.
    pub(super) fn light(&self, found: LightFinding, camera: &str, emit: &dyn Fn(EventKind)) {
        let message = found.message(camera);
        warn(message.clone(), emit);
        lock(&self.light).push(message);
        if matches!(found, LightFinding::Lost { .. }) && self.belt_runs.load(Ordering::Acquire) {
            self.fail(PipelineError::Light { camera: camera.to_owned(), found });
        }
    }

    /// Notes that minerals are deferred, and reports it once. The scan goes on.
    pub(super) fn defer_minerals(&self, reason: String, emit: &dyn Fn(EventKind)) {
        let mut deferred = lock(&self.minerals);
        if deferred.is_none() {
            tracing::warn!(scan = %self.scan, %reason, "minerals are left for later; the samples are stored");
            emit(EventKind::MineralsPending { scan: self.scan.clone(), reason: reason.clone() });
            *deferred = Some(reason);
        }
    }

    /// Reports the first deferral at a desk.
    pub(super) fn tell_minerals(&self, desk: &Desk, emit: &dyn Fn(EventKind)) {
        if let Some(reason) = desk.untold() {
            self.defer_minerals(reason, emit);
        }
    }

    /// Notes why a camera's lines end before their end. The other cameras go on.
    pub(super) fn end_early(&self, reason: String) {
        lock(&self.reason).get_or_insert(reason);
    }

    /// Ends the scan with an error. The first error is kept.
    pub(super) fn fail(&self, error: impl Into<PipelineError>) {
        let error = error.into();
        tracing::error!(%error, "the scan ends");
        let mut first = lock(&self.error);
        if first.is_none() {
            lock(&self.reason).get_or_insert_with(|| error.to_string());
            *first = Some(error);
        }
        self.stop.store(true, Ordering::Release);
    }
}
