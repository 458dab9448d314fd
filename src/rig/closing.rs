//! The end of a scan: what was recorded is written, and its record closed.

use super::Controller;
use super::scan_run::Current;
use super::state::{Event, State};
use super::steps::stop_cameras;
use crate::data_root::{RecordError, finalize};
use crate::disk::Hashes;
use crate::pipeline::{Outcome, Running};
use crate::scan::{Cause, EventKind, ScanRecord, Subsystem};
use crate::sync::lock;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock that was set by less than this was only put right, ns.
const CLOCK_SLACK_NS: i64 = 1_000_000_000;
/// How often the end of the data path is looked for: it takes some tens of milliseconds from the last line on.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

impl Controller {
    /// Waits until everything recorded is written. What takes longer than `scan.end_within_s` is a fault, and waited for all the same.
    pub(super) async fn drain(self: &Arc<Self>) -> Option<Event> {
        let running = self.run.running();
        let running = running?;
        let mut limit = Some(Instant::now() + self.end_within());
        while !running.finished() {
            if limit.is_some_and(|limit| Instant::now() > limit) {
                limit = None;
                let text = format!(
                    "what was recorded is not written {} s after the last line (scan.end_within_s); check the disk and the encoder",
                    self.end_within().as_secs_f64()
                );
                self.fault_meanwhile(Cause::new(Subsystem::Data, text));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        stop_cameras(&mut lock(&self.units));
        let mut fault = None;
        if self.safety.state() == State::Draining {
            // The scan has its lines. Yet nobody lays another tray on a rig of which it is known that it cannot scan it.
            fault = self.failed_device().await;
            if fault.is_none() && running.failed().is_none() {
                fault = self.take_dark_after().await;
            }
        }
        if let Some(cause) = fault.or_else(|| running.failed())
            && self.safety.state() == State::Draining
        {
            // Told as a fault, so that the operator knows; the scan is closed all the same.
            self.fault_meanwhile(cause);
        }
        None
    }

    /// A fault while something else goes on to its end.
    fn fault_meanwhile(self: &Arc<Self>, cause: Cause) {
        let _ = self.advance(&Event::Fault(cause)).map(|effects| self.set_out(effects));
    }

    /// Closes the scan's record.
    pub(super) async fn close_scan(self: &Arc<Self>) -> Option<Event> {
        drop(self.run.starting().await);
        let current = self.run.take();
        let Some(Current { mut record, running, hashes, .. }) = current else {
            // It could not even be begun.
            let _ = self.advance(&Event::Closed);
            return None;
        };
        let mut why = self.safety.take_reason();
        if let State::Faulted { cause, .. } = self.safety.state() {
            why.get_or_insert(cause);
        }
        let step_ns = contract::clock_step_ns();
        if step_ns.abs() > CLOCK_SLACK_NS {
            #[expect(clippy::cast_precision_loss, reason = "seconds for a person")]
            let seconds = step_ns as f64 * 1e-9;
            self.reporting.metrics().clock_set();
            self.warn(format!(
                "the computer's clock was set by {seconds:+.1} s since the scan began; the times of the scan go on from where it was before"
            ));
            record.warnings.push(format!("the computer's clock was set by {seconds:+.1} s during the scan, whose times do not follow it"));
        }
        let names: Vec<String> = self.cameras.iter().map(|camera| camera.name.clone()).collect();
        // What a disk that refused has left may be torn.
        let mut torn = false;
        match running {
            Some(running) => {
                // A stop may come before anything was drained.
                if !running.finished() {
                    running.stop(why.as_deref().unwrap_or("stopped"));
                }
                stop_cameras(&mut lock(&self.units));
                let outcome = finish(running).await;
                outcome.irregularities.iter().for_each(|found| self.reporting.metrics().irregular(found.kind()));
                torn = outcome.error.as_ref().is_some_and(|error| Cause::from(error).part == Subsystem::Disk);
                record.conclude(&names, outcome, self.loaded.config.join.max_residual_mm);
            }
            None => record.close(Some(why.unwrap_or_else(|| "it was stopped before its first line".into()))),
        }
        let (record, result) = self.finalize(record, hashes, torn).await;
        let mut fault = result.err().map(|error| self.left_unclosed(&record, &error));
        let record = self.run.unclosed().into_iter().find(|other| other.id == record.id).unwrap_or(record);
        self.reporting.count_closed(&record);
        self.note_pending(&record);
        if !self.loaded.config.scan.keep_lamps
            && let Some(event) = self.lamps_off().await
        {
            fault.get_or_insert(event);
        }
        // Idle first: who hears that a scan is closed may start the next.
        let closed = self.advance(&Event::Closed);
        debug_assert!(closed.is_ok(), "{closed:?}");
        if let Some(fault) = &fault
            && let Ok(effects) = self.advance(fault)
        {
            self.set_out(effects);
        }
        let ScanRecord { id, complete, reason, .. } = &record;
        tracing::info!(scan = %id, ?complete, ?reason, "scan closed");
        self.reporting.emit(EventKind::ScanClosed { scan: id.clone(), complete: *complete == Some(true), reason: reason.clone() });
        None
    }

    /// Writes down how a scan ended; gives its record back.
    async fn finalize(&self, record: ScanRecord, hashes: Option<Arc<Hashes>>, torn: bool) -> (ScanRecord, Result<(), RecordError>) {
        let (data_dir, meter, mut finalized) = (self.data_dir().to_owned(), self.reporting.meters().stage("close"), record.clone());
        let written = tokio::task::spawn_blocking(move || {
            let result = finalize(&mut finalized, &data_dir, hashes, torn, &|| meter.note(Instant::now(), 0));
            (finalized, result)
        });
        written.await.unwrap_or_else(|_| {
            let error = std::io::Error::other("closing the scan broke down; see the log");
            (record, Err(RecordError { path: self.data_dir().to_owned(), error }))
        })
    }

    /// Keeps the record of a scan that the disk did not take: it is written when the disk takes it again, or the scan is recovered
    /// when the daemon starts.
    fn left_unclosed(&self, record: &ScanRecord, error: &RecordError) -> Event {
        tracing::error!(scan = %record.id, %error, "the record of the scan is not on the disk");
        let mut record = record.clone();
        let reason = record.reason.take().unwrap_or_else(|| error.to_string());
        record.close(Some(reason));
        self.run.keep_unclosed(record);
        Event::fault(error)
    }

    /// Writes down what a disk did not take before.
    ///
    /// # Errors
    /// It still does not.
    pub(super) async fn close_unclosed(&self) -> Result<(), RecordError> {
        loop {
            let Some(before) = self.run.unclosed().into_iter().next() else { return Ok(()) };
            let (record, result) = self.finalize(before.clone(), None, true).await;
            result?;
            for (name, sums) in &record.cameras {
                let counted = before.cameras.get(name).map_or(0, |sums| sums.unrecorded);
                self.reporting.metrics().camera(name).unrecorded.inc_by(sums.unrecorded.saturating_sub(counted));
            }
            tracing::info!(scan = %record.id, "the record of the scan is on the disk now");
            self.run.closed(&record.id);
        }
    }
}

/// Waits for the end of a data path, on a thread that may wait.
async fn finish(running: Arc<Running>) -> Outcome {
    let waiting = Arc::clone(&running);
    match tokio::task::spawn_blocking(move || waiting.finish()).await {
        Ok(outcome) => outcome,
        Err(_) => running.broken(),
    }
}
