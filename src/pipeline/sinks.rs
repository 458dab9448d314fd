//! The thread `store`, and the hand-over of sample events to all that write files.

use super::Meter;
use super::encoders::ToEncoder;
use super::minerals::ToIdentify;
use super::shared::{POLL_INTERVAL, Shared, send, warn};
use crate::context::ScanContext;
use crate::scan::{EventKind, SampleRecord};
use crate::segment::SampleEvent;
use crate::store::Store;
use crate::sync::lock;
use contract::FramePool;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError};
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

/// The channels that receive sample events.
pub(super) struct Sinks {
    pub(super) store: Sender<SampleEvent>,
    pub(super) encode: Vec<ToEncoder>,
    pub(super) identify: Option<ToIdentify>,
}

/// Quarters of the pools that stay free while minerals are waited for: they come again from the files of the samples, at little cost.
pub(super) const LEAST_FREE_MINERALS: usize = 3;

/// Interval at which the pools are checked while the encoder holds up the join.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

impl Sinks {
    /// Sends an event to the store, and to the encoders.
    pub(super) fn give(&self, event: &SampleEvent, meter: &Meter, emit: &dyn Fn(EventKind)) {
        if let Some(identify) = &self.identify {
            identify.note(event);
        }
        send(&self.store, event.clone(), meter);
        for encoder in &self.encode {
            encoder.give(event.clone(), meter, emit);
        }
        if let Some(identify) = &self.identify {
            identify.give(event, meter, emit);
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
