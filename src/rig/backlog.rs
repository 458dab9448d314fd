//! Makes deferred embeddings and minerals while the rig is idle.

use super::{Controller, POLL_INTERVAL};
use crate::data_root;
use crate::data_root::{catch_up, catch_up_minerals};
use crate::disk::give_way;
use crate::scan::{EventKind, MAIN, Pending, PendingMinerals, PendingScans, ScanRecord, of_encoder};
use crate::state::State;
use crate::sync::lock;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The scans with deferred embeddings or minerals, and the thread that makes them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Embeddings by scan and encoder.
    scans: PendingScans,
    minerals: BTreeMap<String, PendingMinerals>,
    /// The last reported failure of each scan.
    reported: BTreeMap<String, String>,
    /// Time of the next attempt. `None` means at once.
    due: Option<Instant>,
    ended: bool,
}

/// Interval at which the thread checks whether the rig is idle.
const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Time that an ending daemon waits for the current batch.
const END_TIMEOUT: Duration = Duration::from_secs(5);

impl Waiting {
    /// Notes what a scan lacks of an encoder.
    fn note(&mut self, id: &str, encoder: &str, pending: Option<Pending>) {
        let of_scan = self.scans.entry(id.to_owned()).or_default();
        match pending {
            Some(pending) => _ = of_scan.insert(encoder.to_owned(), pending),
            None => _ = of_scan.remove(encoder),
        }
        self.scans.retain(|_, encoders| !encoders.is_empty());
    }
}

impl Backlog {
    fn add(&self, scan: &ScanRecord) {
        let mut waiting = lock(&self.waiting);
        let pending: BTreeMap<_, _> = scan.lacking().map(|(encoder, pending)| (encoder.to_owned(), pending.clone())).collect();
        if !pending.is_empty() {
            waiting.scans.insert(scan.id.clone(), pending);
        }
        if let Some(pending) = scan.pending_minerals() {
            waiting.minerals.insert(scan.id.clone(), pending.clone());
        }
        waiting.due = None;
        self.changed.notify_all();
    }

    /// Makes the next attempt due at once.
    pub(super) fn again(&self) {
        lock(&self.waiting).due = None;
        self.changed.notify_all();
    }

    /// Samples that lack their minerals, by scan.
    pub(super) fn minerals(&self) -> BTreeMap<String, PendingMinerals> {
        lock(&self.waiting).minerals.clone()
    }

    /// Pending embeddings by scan and encoder.
    pub(super) fn scans(&self) -> PendingScans {
        lock(&self.waiting).scans.clone()
    }

    /// Begins to end the thread.
    pub(super) fn end(&self) {
        lock(&self.waiting).ended = true;
        self.changed.notify_all();
    }

    fn ended(&self) -> bool {
        lock(&self.waiting).ended
    }

    /// Waits until an attempt is due. Gives false at the end.
    fn wait(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.ended {
                return false;
            }
            let wait = match waiting.due {
                _ if waiting.scans.is_empty() && waiting.minerals.is_empty() => Duration::MAX,
                None => return true,
                Some(due) => match due.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => return true,
                    wait => wait,
                },
            };
            waiting = self.changed.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Controller {
    /// Adds a scan to the backlog, where it lacks embeddings or minerals.
    pub fn note_pending(&self, scan: &ScanRecord) {
        if scan.lacks() {
            self.backlog.add(scan);
        }
    }

    /// Starts the thread that makes deferred embeddings and minerals. It pauses as soon as a scan begins.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start_catching_up(self: &Arc<Self>) -> io::Result<()> {
        let this = Arc::clone(self);
        let thread = std::thread::Builder::new().name("catch-up".into()).spawn(move || this.catch_up_when_idle())?;
        *lock(&self.backlog.thread) = Some(thread);
        Ok(())
    }

    /// Waits for the end of that thread, but not for an encoder that hangs.
    pub(super) async fn end_catching_up(&self) {
        self.backlog.end();
        let Some(thread) = lock(&self.backlog.thread).take() else { return };
        let until = Instant::now() + END_TIMEOUT;
        while !thread.is_finished() && Instant::now() < until {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn catch_up_when_idle(&self) {
        give_way();
        while self.backlog.wait() {
            if !self.is_idle() {
                std::thread::sleep(IDLE_POLL_INTERVAL);
                continue;
            }
            let config = &self.loaded.config;
            let of_encoder = config.encoder.iter().map(|encoder| encoder.retry_s).fold(f64::MAX, f64::min);
            let retry_s = config.minerals.as_ref().map_or(of_encoder, |minerals| of_encoder.min(minerals.retry_s));
            lock(&self.backlog.waiting).due = Instant::now().checked_add(Duration::try_from_secs_f64(retry_s).unwrap_or(Duration::MAX));
            for (id, encoders) in self.backlog.scans() {
                encoders.keys().for_each(|encoder| self.catch_up(&id, encoder));
            }
            for id in self.backlog.minerals().into_keys() {
                self.catch_up_minerals(&id);
            }
        }
    }

    /// Whether no scan or reference is under way.
    fn is_idle(&self) -> bool {
        matches!(self.safety.state(), State::Idle | State::Faulted { .. }) && self.run.is_none()
    }

    fn catch_up(&self, id: &str, encoder: &str) {
        let Some(mut scan) = data_root::record(self.data_dir(), id).filter(|scan| scan.pending_of(encoder).is_some()) else {
            lock(&self.backlog.waiting).note(id, encoder, None);
            return;
        };
        let pause = || self.backlog.ended() || !self.is_idle();
        if pause() {
            lock(&self.backlog.waiting).due = None;
            return;
        }
        let result = catch_up(&mut scan, encoder, &self.loaded.config, self.data_dir(), &pause);
        let mut waiting = lock(&self.backlog.waiting);
        let (of, pending) = (format!("{id} {encoder}"), scan.pending_of(encoder).cloned());
        match (result, pending) {
            (Ok(rows), None) => {
                waiting.note(id, encoder, None);
                waiting.reported.remove(&of);
                drop(waiting);
                self.reporting.metrics().embeddings_caught_up(rows);
                self.reporting.metrics().set_novelty(&scan);
                tracing::info!(scan = %id, encoder, rows, "the embeddings of the scan are complete");
                let encoder = (encoder != MAIN).then(|| encoder.to_owned());
                self.reporting.emit(EventKind::EmbeddingsCaughtUp { scan: id.to_owned(), encoder, rows });
            }
            (Ok(rows), Some(pending)) => {
                // A scan or the end of the daemon interrupted it.
                waiting.note(id, encoder, Some(pending));
                waiting.due = None;
                drop(waiting);
                self.reporting.metrics().embeddings_caught_up(rows);
            }
            (Err(error), pending) => {
                let reason = error.to_string();
                let pending = Pending { reason: reason.clone(), ..pending.unwrap_or_else(|| Pending::because(String::new())) };
                waiting.note(id, encoder, Some(pending));
                self.report(waiting, of, &format!("the embeddings{} that {id} lacks cannot be made yet", of_encoder(encoder)), reason);
            }
        }
    }

    fn catch_up_minerals(&self, id: &str) {
        let Some(mut scan) = data_root::record(self.data_dir(), id).filter(|scan| scan.pending_minerals().is_some()) else {
            lock(&self.backlog.waiting).minerals.remove(id);
            return;
        };
        let pause = || self.backlog.ended() || !self.is_idle();
        if pause() {
            lock(&self.backlog.waiting).due = None;
            return;
        }
        let result = catch_up_minerals(&mut scan, &self.loaded.config, self.data_dir(), &pause);
        let mut waiting = lock(&self.backlog.waiting);
        match scan.pending_minerals().cloned() {
            None => _ = waiting.minerals.remove(id),
            Some(pending) => _ = waiting.minerals.insert(id.to_owned(), pending),
        }
        match result {
            Ok(samples) => {
                let complete = !waiting.minerals.contains_key(id);
                if !complete {
                    // A scan or the end of the daemon interrupted it.
                    waiting.due = None;
                }
                drop(waiting);
                self.reporting.metrics().set_minerals(&scan);
                if complete {
                    tracing::info!(scan = %id, samples, "the minerals of the scan are complete");
                    self.reporting.emit(EventKind::MineralsCaughtUp { scan: id.to_owned(), samples });
                }
            }
            Err(error) => {
                let what = format!("the samples of {id} that lack minerals cannot be identified yet");
                self.report(waiting, format!("{id} minerals"), &what, error.to_string());
            }
        }
    }

    /// Warns of a failure, once for each reason.
    fn report(&self, mut waiting: MutexGuard<'_, Waiting>, of: String, what: &str, reason: String) {
        let message = format!("{what}: {reason}");
        let again = waiting.reported.insert(of, reason.clone()).is_some_and(|before| before == reason);
        drop(waiting);
        if !again {
            tracing::warn!("{message}");
            self.reporting.emit(EventKind::Warning { message });
        }
    }
}
