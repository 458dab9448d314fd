//! The threads `encode` and `publish` of each encoder. Those of an encoder besides `main` bear its name.

use super::Meter;
use super::shared::{POLL_INTERVAL, send, warn};
use super::sinks::offer;
use crate::encode::{Embedded, EmbeddedRow, Encode};
use crate::live::EmbeddingTap;
use crate::publish::{DataSet, Part, Publish};
use crate::scan::{EventKind, MAIN, NovelShare, count_novel};
use crate::segment::{Sample, SampleEvent};
use crate::sync::lock;
use contract::FramePool;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One encoder of a scan.
pub struct EncoderParts {
    /// Its name.
    pub name: String,
    /// Whether it may fail without effect.
    pub shadow: bool,
    /// Time that a live scan waits for it after all other threads.
    pub linger: Duration,
    /// SHA-256 of its model, lower-case hexadecimal. `None` where the model was not loaded.
    pub sha256: Option<String>,
    /// Largest share of a container's spectra that may be unlike the training.
    pub max_novel: f64,
    /// Encoder and publisher, where both could be opened.
    pub stages: Option<(Encode, Publish)>,
    /// Reason why they could not be opened. The embeddings are deferred.
    pub deferred: Option<String>,
}

/// What an encoder made of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderOutcome {
    /// Its name.
    pub name: String,
    /// Rows of embeddings published.
    pub embeddings: u64,
    /// Reason why embeddings were deferred, where some were.
    pub deferred: Option<String>,
    /// Novel spectra by container, where the encoder tells them.
    pub novel: BTreeMap<String, NovelShare>,
}

/// State that the threads of an encoder share with the rest of the scan.
#[derive(Debug, Default)]
pub(super) struct EncoderState {
    name: String,
    shadow: bool,
    scan: String,
    pub(super) linger: Duration,
    embeddings: AtomicU64,
    max_novel: f64,
    /// Novel spectra so far, by container.
    novel: Mutex<BTreeMap<String, NovelShare>>,
    /// Reason why embeddings were deferred.
    deferred: Mutex<Option<String>>,
    /// Whether encoding has ended for this scan.
    over: AtomicBool,
    /// Whether the encoder's thread was abandoned.
    left_behind: AtomicBool,
}

impl EncoderState {
    pub(super) fn new(parts: &EncoderParts, scan: &str) -> Self {
        Self {
            name: parts.name.clone(),
            shadow: parts.shadow,
            scan: scan.to_owned(),
            linger: parts.linger,
            max_novel: parts.max_novel,
            ..Self::default()
        }
    }

    pub(super) fn is_main(&self) -> bool {
        self.name == MAIN
    }

    /// Name of a thread, a stage or a queue of the encoder.
    pub(super) fn named(&self, what: &str) -> String {
        if self.is_main() { what.to_owned() } else { format!("{what}-{}", self.name) }
    }

    /// Notes that embeddings are deferred, and reports it once. The scan goes on.
    pub(super) fn defer(&self, reason: String, emit: &dyn Fn(EventKind)) {
        let mut deferred = lock(&self.deferred);
        if deferred.is_some() {
            return;
        }
        if self.shadow {
            warn(format!("the shadow encoder {} gives no more embeddings of this scan: {reason}", self.name), emit);
        } else {
            tracing::warn!(scan = %self.scan, encoder = %self.name, %reason, "embeddings are left for later; the samples are stored");
            let encoder = (!self.is_main()).then(|| self.name.clone());
            emit(EventKind::EmbeddingsPending { scan: self.scan.clone(), encoder, reason: reason.clone() });
        }
        *deferred = Some(reason);
    }

    /// Does as [`EncoderState::defer`], and ends encoding for this scan.
    pub(super) fn end(&self, reason: String, emit: &dyn Fn(EventKind)) {
        self.over.store(true, Ordering::Release);
        self.defer(reason, emit);
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Gives up an encoder that is not done in time. Its thread ends when ONNX Runtime gives the batch back.
    pub(super) fn leave_behind(&self, emit: &dyn Fn(EventKind)) {
        self.end(format!("the encoder was not done {:.1} s after the last line", self.linger.as_secs_f64()), emit);
        self.left_behind.store(true, Ordering::Release);
    }

    pub(super) fn left_behind(&self) -> bool {
        self.left_behind.load(Ordering::Acquire)
    }

    /// Rows of embeddings in closed parts so far.
    pub(super) fn embeddings(&self) -> u64 {
        self.embeddings.load(Ordering::Relaxed)
    }

    pub(super) fn outcome(&self) -> EncoderOutcome {
        let (deferred, novel) = (lock(&self.deferred).clone(), lock(&self.novel).clone());
        EncoderOutcome { name: self.name.clone(), embeddings: self.embeddings(), deferred, novel }
    }

    /// Counts the novel spectra of a batch, where the encoder tells them.
    fn count(&self, batch: &Embedded) {
        if batch.novelty.is_empty() {
            return;
        }
        let (mut novel, mut rest) = (lock(&self.novel), &batch.novelty[..]);
        let same = |a: &EmbeddedRow, b: &EmbeddedRow| Arc::ptr_eq(&a.sample, &b.sample);
        for rows in batch.rows.chunk_by(same) {
            let (of_sample, behind) = rest.split_at(rows.len().min(rest.len()));
            rest = behind;
            let container = &rows[0].sample.container;
            count_novel(&mut novel, &container.at, &container.sample, of_sample);
        }
    }

    /// Tells of a sample that has ended and is unlike the training. All of its embeddings were counted. A shadow is silent.
    fn tell_novel(&self, sample: &Sample, emit: &dyn Fn(EventKind)) {
        let container = &sample.container.at;
        let Some(found) = lock(&self.novel).get(container).filter(|of| !self.shadow && of.share > self.max_novel).cloned() else { return };
        tracing::warn!(scan = %self.scan, "{}", found.warning(&self.name, container, self.max_novel));
        let encoder = (!self.is_main()).then(|| self.name.clone());
        let NovelShare { sample, spectra, share, .. } = found;
        emit(EventKind::SampleNovel { scan: self.scan.clone(), sample, container: container.clone(), encoder, share, spectra });
    }
}

/// Encodes until the channel closes or encoding fails. After a failure, samples are still stored and missing embeddings are deferred.
pub(super) fn run_encode(
    mut encode: Encode,
    events: &Receiver<SampleEvent>,
    to_publish: &Sender<Embedded>,
    live: Option<&EmbeddingTap>,
    state: &EncoderState,
    meter: &Meter,
    emit: &dyn Fn(EventKind),
) {
    let mut out = 0;
    let give = |embedded: Embedded| {
        state.count(&embedded);
        if let Some(live) = live {
            live.batch(&embedded);
        }
        send(to_publish, embedded, meter);
    };
    for event in events {
        if state.over() {
            return;
        }
        let begin = Instant::now();
        let result = encode.process(&event, &mut |embedded| {
            out += 1;
            give(embedded);
        });
        match (result, &event) {
            (Err(error), _) => state.end(error.to_string(), emit),
            // The end of a sample empties the batch.
            (Ok(()), SampleEvent::Close { sample, .. }) => state.tell_novel(sample, emit),
            _ => {}
        }
        meter.note(begin, std::mem::take(&mut out));
    }
    if !state.over()
        && let Err(error) = encode.end_of_scan(&mut |embedded| give(embedded))
    {
        state.end(error.to_string(), emit);
    }
}

/// Publishes embeddings until the channel closes or publishing fails.
pub(super) fn run_publish(publish: Publish, embedded: &Receiver<Embedded>, state: &EncoderState, meter: &Meter, emit: &dyn Fn(EventKind)) {
    let (set, scan) = (DataSet::of(Path::new(""), &state.name), &state.scan);
    let mut out = |part: Part| {
        let rows = part.rows as u64;
        state.embeddings.fetch_add(rows, Ordering::Relaxed);
        let file = part.path.file_name().unwrap_or_default().to_string_lossy();
        let path = set.scan_folder(scan).join(&*file).display().to_string();
        emit(EventKind::PartClosed { scan: scan.clone(), path, rows });
    };
    let mut publish = Some(publish);
    loop {
        let received = embedded.recv_timeout(POLL_INTERVAL);
        let begin = Instant::now();
        if let Some(good) = publish.as_mut() {
            let result = match &received {
                Ok(rows) => good.process(rows, &mut out),
                Err(_) => Ok(()),
            };
            if let Err(error) = result.and_then(|()| good.tick(Instant::now(), &mut out)) {
                state.end(error.to_string(), emit);
                publish = None;
            }
        }
        match received {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) if !state.left_behind() => {}
            Err(_) => break,
        }
        // A tick without rows is no progress, so the meter does not count it.
        if received.is_ok() {
            meter.note(begin, 1);
        }
    }
    if let Some(mut publish) = publish
        && let Err(error) = publish.end_of_scan(&mut out)
    {
        state.end(error.to_string(), emit);
    }
}

/// The channel to an encoder, which never makes a camera lose a line.
pub(super) struct ToEncoder {
    pub(super) events: Sender<SampleEvent>,
    /// Pools of the cameras that do not wait.
    pub(super) pools: Vec<FramePool>,
    pub(super) state: Arc<EncoderState>,
}

/// Quarters of the pools that stay free while `main` is waited for.
const LEAST_FREE_MAIN: usize = 1;
/// Quarters of the pools that stay free while another encoder is waited for.
const LEAST_FREE_OTHER: usize = 2;

impl ToEncoder {
    /// Waits for the encoder as long as every pool has free slots. Otherwise the embeddings of the event are deferred.
    ///
    /// An encoder that fell behind once is not waited for again, so that the pools recover. A shadow is never waited for.
    pub(super) fn give(&self, event: SampleEvent, meter: &Meter, emit: &dyn Fn(EventKind)) {
        let state = &self.state;
        let waits = self.pools.is_empty() || !(state.shadow || lock(&state.deferred).is_some());
        let quarters = if state.is_main() { LEAST_FREE_MAIN } else { LEAST_FREE_OTHER };
        if !offer(&self.events, event, &self.pools, waits.then_some(quarters), meter) {
            state.defer("the encoder did not keep up".to_owned(), emit);
        }
    }
}
