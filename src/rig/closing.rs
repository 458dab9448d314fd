//! The end of a scan: writes all recorded data, and closes the record.

use super::Controller;
use super::scan_run::Current;
use super::steps::stop_cameras;
use crate::data_root::{RecordError, finalize, judge_samples, make_again};
use crate::disk::Hashes;
use crate::pipeline::{Outcome, Running};
use crate::registration::Limits;
use crate::scan::{Cause, EventKind, ScanRecord, Subsystem};
use crate::state::{Event, State};
use crate::sync::lock;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Largest step of the clock that counts as a correction, ns.
const CLOCK_SLACK_NS: i64 = 1_000_000_000;
/// Interval at which the data path is checked for its end. The end follows the last line by some tens of milliseconds.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

impl Controller {
    /// Waits until all recorded data is written. A wait beyond `scan.end_within_s` is a fault, and goes on nevertheless.
    pub(super) async fn drain(self: &Arc<Self>) -> Option<Event> {
        let running = self.run.running()?;
        let mut limit = Some(Instant::now() + self.end_within());
        while !running.finished() {
            if limit.is_some_and(|limit| Instant::now() > limit) {
                limit = None;
                let text = format!(
                    "what was recorded is not written {} s after the last line (scan.end_within_s); check the disk and the encoder",
                    self.end_within().as_secs_f64()
                );
                self.raise_fault(Cause::new(Subsystem::Data, text));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        stop_cameras(&mut lock(&self.units));
        let mut fault = None;
        if self.safety.state() == State::Draining {
            // The scan has its lines. A failed device is still a fault, so that nobody lays the next tray in vain.
            fault = self.failed_device().await;
            if fault.is_none() && running.failed().is_none() {
                fault = self.take_references_after().await;
            }
        }
        if let Some(cause) = fault.or_else(|| running.failed())
            && self.safety.state() == State::Draining
        {
            // The fault informs the operator. The scan is closed nevertheless.
            self.raise_fault(cause);
        }
        None
    }

    /// Raises a fault while the current step goes on to its end.
    fn raise_fault(self: &Arc<Self>, cause: Cause) {
        let _ = self.advance(&Event::Fault(cause)).map(|effects| self.set_out(effects));
    }

    /// Closes the scan's record.
    pub(super) async fn close_scan(self: &Arc<Self>) -> Option<Event> {
        drop(self.run.starting().await);
        let current = self.run.take();
        let Some(Current { mut record, running, mut hashes, make_again, .. }) = current else {
            // The scan could not be begun.
            let _ = self.advance(&Event::Closed);
            return None;
        };
        let mut stop_reason = self.safety.take_reason();
        if let State::Faulted { cause, .. } = self.safety.state() {
            stop_reason.get_or_insert(cause);
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
        // Files may be torn after the disk refused one.
        let mut torn = false;
        match running {
            Some(running) => {
                // A stop may come before the data path was drained.
                if !running.finished() {
                    running.stop(stop_reason.as_deref().unwrap_or("stopped"));
                }
                stop_cameras(&mut lock(&self.units));
                let outcome = finish(running).await;
                outcome.irregularities.iter().for_each(|found| self.reporting.metrics().irregular(found.kind()));
                torn = outcome.error.as_ref().is_some_and(|error| Cause::from(error).subsystem == Subsystem::Disk);
                let begun = record.clone();
                record.conclude(&names, outcome, &Limits::of(&self.loaded.config));
                if make_again && !torn {
                    hashes = self.make_again(begun, &mut record).await;
                }
                self.reporting.metrics().set_registration(&record);
            }
            None => record.close(Some(stop_reason.unwrap_or_else(|| "it was stopped before its first line".into()))),
        }
        let (record, result) = self.finalize(record, hashes, torn).await;
        let mut fault = result.err().map(|error| self.keep_unclosed(&record, &error));
        let record = self.run.unclosed().into_iter().find(|other| other.id == record.id).unwrap_or(record);
        self.reporting.count_closed(&record);
        self.note_pending(&record);
        if !self.loaded.config.scan.keep_lamps
            && let Some(event) = self.lamps_off().await
        {
            fault.get_or_insert(event);
        }
        // The rig is idle before the scan is reported as closed, because a client may then start the next.
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

    /// Makes the results of a scan again from its recording, with the references of both ends. Gives the hashes of its new files. Where that
    /// fails, the scan is set aside for `hyclus recover`.
    async fn make_again(&self, begun: ScanRecord, record: &mut ScanRecord) -> Option<Arc<Hashes>> {
        let (loaded, live, data_dir) = (self.loaded.clone(), record.clone(), self.data_dir().to_owned());
        let made = tokio::task::spawn_blocking(move || make_again(&loaded, begun, &live, &data_dir).map_err(|error| error.to_string()));
        match made.await.unwrap_or_else(|_| Err("it broke down; see the log".into())) {
            Ok((again, hashes)) => {
                *record = again;
                Some(hashes)
            }
            Err(error) => {
                let text = format!("it could not be made again with the references of both ends: {error}");
                self.warn(text.clone());
                (record.samples, record.embeddings, record.pending) = (Vec::new(), 0, None);
                record.encoders.values_mut().for_each(|encoder| (encoder.embeddings, encoder.pending) = (0, None));
                record.set_aside = Some(error);
                record.close(Some(text));
                None
            }
        }
    }

    /// Completes the files of a scan on a blocking thread. Gives the record, as far as it was completed.
    async fn finalize(
        self: &Arc<Self>,
        record: ScanRecord,
        hashes: Option<Arc<Hashes>>,
        torn: bool,
    ) -> (ScanRecord, Result<(), RecordError>) {
        let (rig, data_dir, mut finalized) = (Arc::clone(self), self.data_dir().to_owned(), record.clone());
        let written = tokio::task::spawn_blocking(move || {
            judge_samples(&mut finalized, &rig.loaded.config, &data_dir);
            let meter = rig.reporting.meters().stage("close");
            let result = finalize(&mut finalized, &data_dir, hashes, torn, &|| meter.note(Instant::now(), 0));
            (finalized, result)
        });
        written.await.unwrap_or_else(|_| {
            let error = std::io::Error::other("closing the scan broke down; see the log");
            (record, Err(RecordError { path: self.data_dir().to_owned(), error }))
        })
    }

    /// Keeps the record of a scan that the disk refused.
    ///
    /// It is written once the disk takes it again. Otherwise the next daemon recovers the scan.
    fn keep_unclosed(&self, record: &ScanRecord, error: &RecordError) -> Event {
        tracing::error!(scan = %record.id, %error, "the record of the scan is not on the disk");
        let mut record = record.clone();
        let reason = record.reason.take().unwrap_or_else(|| error.to_string());
        record.close(Some(reason));
        self.run.keep_unclosed(record);
        Event::fault(error)
    }

    /// Writes the records that the disk refused before.
    ///
    /// # Errors
    /// The disk still refuses one.
    pub(super) async fn close_unclosed(self: &Arc<Self>) -> Result<(), RecordError> {
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

/// Waits for the end of a data path, on a blocking thread.
async fn finish(running: Arc<Running>) -> Outcome {
    let waiting = Arc::clone(&running);
    match tokio::task::spawn_blocking(move || waiting.finish()).await {
        Ok(outcome) => outcome,
        Err(_) => running.broken(),
    }
}
