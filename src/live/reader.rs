//! A reader of the tap.

use super::door::{Door, message};
use super::wish::Wishes;
use super::{Tap, kind};
use crate::sync::lock;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A reader of all doors. It tells the writers which bands it wants, and that somebody looks.
#[derive(Debug)]
pub struct Reader {
    tap: Tap,
    number: u64,
    /// Number of the scan that was told last.
    shown: Option<u64>,
    /// The doors, and the number of each one's next message.
    doors: Vec<(Arc<Door>, u64)>,
    dropped: u64,
    told: u64,
}

impl Reader {
    pub(super) fn new(tap: Tap, wishes: Wishes) -> Self {
        let number = tap.0.next_reader.fetch_add(1, Ordering::Relaxed);
        lock(&tap.0.wishes).push((number, wishes));
        tap.0.wishes_number.fetch_add(1, Ordering::Release);
        tap.0.readers.fetch_add(1, Ordering::Relaxed);
        Self { tap, number, shown: None, doors: Vec::new(), dropped: 0, told: 0 }
    }

    /// Writes the messages since the last call to the end of `out`. A scan is told before its first message, and again at its end.
    pub fn read(&mut self, out: &mut Vec<u8>) {
        let shown = lock(&self.tap.0.shown);
        let (number, about, doors) = (shown.number, shown.about.clone(), shown.doors.clone());
        drop(shown);
        // What an earlier scan left in its doors comes before the next scan is told.
        self.drain(out);
        self.doors.retain(|(known, _)| doors.iter().any(|door| Arc::ptr_eq(door, known)));
        if self.shown != Some(number) {
            self.shown = Some(number);
            let json = serde_json::to_vec(&about.as_deref()).unwrap_or_else(|_| b"null".to_vec());
            message(out, kind::SCAN, |body| body.extend_from_slice(&json));
        }
        let new: Vec<_> = doors.into_iter().filter(|door| !self.doors.iter().any(|(known, _)| Arc::ptr_eq(door, known))).collect();
        self.doors.extend(new.into_iter().map(|door| {
            let oldest = door.oldest();
            (door, oldest)
        }));
        self.drain(out);
        if self.dropped > self.told {
            self.told = self.dropped;
            let json = format!("{{\"messages\":{}}}", self.dropped);
            message(out, kind::DROPPED, |body| body.extend_from_slice(json.as_bytes()));
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        for (door, next) in &mut self.doors {
            let gone = door.read(next, out);
            self.dropped += gone;
            self.tap.0.dropped.fetch_add(gone, Ordering::Relaxed);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tap.0.readers.fetch_sub(1, Ordering::Relaxed);
        lock(&self.tap.0.wishes).retain(|(number, _)| *number != self.number);
        self.tap.0.wishes_number.fetch_add(1, Ordering::Release);
    }
}
