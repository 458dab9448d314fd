//! The threads `store`, `encode` and `publish`, which write samples into files.

use super::Meter;
use super::minerals::ToIdentify;
use super::shared::{POLL_INTERVAL, Shared, send, warn};
use crate::context::ScanContext;
use crate::encode::{Embedded, Encode};
use crate::live::EmbeddingTap;
use crate::publish::Publish;
use crate::scan::{EventKind, SampleRecord};
use crate::segment::SampleEvent;
use crate::store::Store;
use crate::sync::lock;
use contract::FramePool;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Length of ledger kept before the oldest open sample, mm. A neighbour may begin a little earlier, and be opened later.
const KEEP_MM: f64 = 50.0;

/// Stores samples until the channel closes.
pub(super) fn run_store(
    mut store: Store,
    events: &Receiver<SampleEvent>,
    context: &ScanContext,
    shared: &Shared,
    meter: &Meter,
    emit: &dyn Fn(EventKind),
) {
    let scan = &context.scan_id;
    let mut open: Vec<i64> = Vec::new();
    let mut out = |record: SampleRecord| {
        lock(&shared.samples).push(record.clone());
        if let Some(message) = record.not_identified(shared.max_not_identified) {
            warn(message, emit);
        }
        emit(EventKind::SampleStored { scan: scan.clone(), record });
    };
    loop {
        let received = events.recv_timeout(POLL_INTERVAL);
        let begin = Instant::now();
        let result = match &received {
            Ok(event) => store.process(event, &mut out),
            Err(_) => store.tick(&mut out),
        };
        if let Err(error) = result {
            return shared.fail(error);
        }
        let event = match received {
            Ok(event) => event,
            // A tick without an event is no progress, so the meter does not count it.
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match &event {
            SampleEvent::Open(sample) => open.push(sample.first_row),
            SampleEvent::Close { sample, .. } => {
                // Lines before every open sample are in a file by now, or in none.
                let first = open.iter().copied().min().unwrap_or(sample.first_row);
                context.ledger.forget_before(context.axes.y_mm(first) - KEEP_MM);
                if let Some(at) = open.iter().position(|row| *row == sample.first_row) {
                    open.swap_remove(at);
                }
            }
            SampleEvent::Row(_) => {}
        }
        meter.note(begin, 1);
    }
    let reason = lock(&shared.reason).clone();
    if let Err(error) = store.end_of_scan(&mut out, reason.as_deref()) {
        shared.fail(error);
    }
}

/// Encodes until the channel closes or encoding fails. After a failure, samples are still stored and missing embeddings are deferred.
pub(super) fn run_encode(
    mut encode: Encode,
    events: &Receiver<SampleEvent>,
    to_publish: &Sender<Embedded>,
    live: Option<&EmbeddingTap>,
    shared: &Shared,
    meter: &Meter,
    emit: &dyn Fn(EventKind),
) {
    let mut out = 0;
    let give = |embedded: Embedded| {
        if let Some(live) = live {
            live.batch(&embedded);
        }
        send(to_publish, embedded, meter);
    };
    for event in events {
        if shared.encoding_over() {
            return;
        }
        let begin = Instant::now();
        let result = encode.process(&event, &mut |embedded| {
            out += 1;
            give(embedded);
        });
        if let Err(error) = result {
            shared.end_encoding(error.to_string(), emit);
        }
        meter.note(begin, std::mem::take(&mut out));
    }
    if !shared.encoding_over()
        && let Err(error) = encode.end_of_scan(&mut |embedded| give(embedded))
    {
        shared.end_encoding(error.to_string(), emit);
    }
}

/// Publishes embeddings until the channel closes or publishing fails.
pub(super) fn run_publish(
    publish: Publish,
    embedded: &Receiver<Embedded>,
    shared: &Shared,
    meter: &Meter,
    emit: &dyn Fn(EventKind),
    scan: &str,
) {
    let mut out = |part: crate::publish::Part| {
        let rows = part.rows as u64;
        shared.embeddings.fetch_add(rows, Ordering::Relaxed);
        let file = part.path.file_name().unwrap_or_default().to_string_lossy();
        emit(EventKind::PartClosed { scan: scan.to_owned(), path: format!("embeddings/scan={scan}/{file}"), rows });
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
                shared.end_encoding(error.to_string(), emit);
                publish = None;
            }
        }
        match received {
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) if !shared.encoder_left_behind() => {}
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
        shared.end_encoding(error.to_string(), emit);
    }
}

/// The channels that receive sample events.
pub(super) struct Sinks {
    pub(super) store: Sender<SampleEvent>,
    pub(super) encode: Option<ToEncoder>,
    pub(super) identify: Option<ToIdentify>,
}

/// The channel to the encoder, which never makes a camera lose a line.
pub(super) struct ToEncoder {
    pub(super) events: Sender<SampleEvent>,
    /// Pools of the cameras that do not wait.
    pub(super) pools: Vec<FramePool>,
    pub(super) shared: Arc<Shared>,
}

/// Quarters of the pools that stay free while the encoder is waited for.
const LEAST_FREE_ENCODER: usize = 1;
/// Quarters of the pools that stay free while minerals are waited for: they come again from the files of the samples, at little cost.
pub(super) const LEAST_FREE_MINERALS: usize = 3;

/// Interval at which the pools are checked while the encoder holds up the join.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

impl Sinks {
    /// Sends an event to the store, and to the encoder where there is one.
    pub(super) fn give(&self, event: &SampleEvent, meter: &Meter, emit: &dyn Fn(EventKind)) {
        if let Some(identify) = &self.identify {
            identify.note(event);
        }
        send(&self.store, event.clone(), meter);
        if let Some(encoder) = &self.encode {
            encoder.give(event.clone(), meter, emit);
        }
        if let Some(identify) = &self.identify {
            identify.give(event, meter, emit);
        }
    }
}

impl ToEncoder {
    /// Waits for the encoder as long as every pool has free slots. Otherwise the embeddings of the event are deferred.
    ///
    /// An encoder that fell behind once is not waited for again, so that the pools recover.
    fn give(&self, event: SampleEvent, meter: &Meter, emit: &dyn Fn(EventKind)) {
        let waits = self.pools.is_empty() || !self.shared.has_deferred();
        if !offer(&self.events, event, &self.pools, waits.then_some(LEAST_FREE_ENCODER), meter) {
            self.shared.defer("the encoder did not keep up".to_owned(), emit);
        }
    }
}

/// Hands over an event to a stage behind a full channel. It waits as long as every pool has so many quarters of its slots free. `None` does
/// not wait. Gives false where the event was not taken.
pub(super) fn offer(
    events: &Sender<SampleEvent>,
    event: SampleEvent,
    pools: &[FramePool],
    quarters_free: Option<usize>,
    meter: &Meter,
) -> bool {
    let Err(TrySendError::Full(mut event)) = events.try_send(event) else { return true };
    let short = |quarters: usize| pools.iter().any(|pool| 4 * pool.free() < quarters * pool.slots());
    let begin = Instant::now();
    while quarters_free.is_some_and(|quarters| !short(quarters)) {
        match events.send_timeout(event, RETRY_INTERVAL) {
            Err(SendTimeoutError::Timeout(back)) => event = back,
            Ok(()) | Err(SendTimeoutError::Disconnected(_)) => {
                meter.waited(begin);
                return true;
            }
        }
    }
    meter.waited(begin);
    false
}
