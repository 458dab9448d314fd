//! Threads from the samples to the files.

use super::Meter;
use super::producers::send;
use super::run::{LOOK_UP, Shared, lock};
use crate::encode::{Embedded, Encode};
use crate::publish::Publish;
use crate::scan::{EventKind, SampleRecord, ScanContext};
use crate::segment::Piece;
use crate::store::Store;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Ledger kept before the oldest open sample, mm: a neighbour may begin a little earlier, and be opened later.
const KEEP_MM: f64 = 50.0;

pub(super) fn run_store(
    mut store: Store,
    pieces: &Receiver<Piece>,
    context: &ScanContext,
    shared: &Shared,
    meter: &Meter,
    tell: &dyn Fn(EventKind),
) {
    let scan = &context.scan_id;
    let mut open: Vec<i64> = Vec::new();
    let mut out = |record: SampleRecord| {
        lock(&shared.samples).push(record.clone());
        tell(EventKind::SampleStored { scan: scan.clone(), record });
    };
    for piece in pieces {
        let begin = Instant::now();
        if let Err(error) = store.process(&piece, &mut out) {
            return shared.fail(error);
        }
        match &piece {
            Piece::Open(sample) => open.push(sample.first_row),
            Piece::Close { sample, .. } => {
                // What lies before every open sample is in its file by now, or in none.
                let first = open.iter().copied().min().unwrap_or(sample.first_row);
                context.ledger.forget_before(context.axes.y_mm(first) - KEEP_MM);
                if let Some(at) = open.iter().position(|row| *row == sample.first_row) {
                    open.swap_remove(at);
                }
            }
            Piece::Row(_) => {}
        }
        meter.note(begin, 1);
    }
    let reason = lock(&shared.reason).clone();
    if let Err(error) = store.end_of_scan(&mut out, reason.as_deref()) {
        shared.fail(error);
    }
}

pub(super) fn run_encode(mut encode: Encode, pieces: &Receiver<Piece>, to_publish: &Sender<Embedded>, shared: &Shared, meter: &Meter) {
    let mut out = 0;
    for piece in pieces {
        let begin = Instant::now();
        let result = encode.process(&piece, &mut |embedded| {
            out += 1;
            send(to_publish, embedded, meter);
        });
        if let Err(error) = result {
            return shared.fail(error);
        }
        meter.note(begin, std::mem::take(&mut out));
    }
    if let Err(error) = encode.end_of_scan(&mut |embedded| send(to_publish, embedded, meter)) {
        shared.fail(error);
    }
}

pub(super) fn run_publish(
    mut publish: Publish,
    embedded: &Receiver<Embedded>,
    shared: &Shared,
    meter: &Meter,
    tell: &dyn Fn(EventKind),
    scan: &str,
) {
    let mut out = |part: crate::publish::Part| {
        let rows = part.rows as u64;
        shared.embeddings.fetch_add(rows, Ordering::Relaxed);
        let file = part.path.file_name().unwrap_or_default().to_string_lossy();
        tell(EventKind::PartClosed { scan: scan.to_owned(), path: format!("embeddings/scan={scan}/{file}"), rows });
    };
    loop {
        let received = embedded.recv_timeout(LOOK_UP);
        let begin = Instant::now();
        let result = match &received {
            Ok(rows) => publish.process(rows, &mut out),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = result.and_then(|()| publish.tick(Instant::now(), &mut out)) {
            return shared.fail(error);
        }
        // Looking at the clock is no progress.
        if received.is_ok() {
            meter.note(begin, 1);
        }
    }
    if let Err(error) = publish.end_of_scan(&mut out) {
        shared.fail(error);
    }
}
