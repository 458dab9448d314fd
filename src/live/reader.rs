//! A reader of the tap.

use super::door::{Door, message};
use super::wish::Wishes;
use super::{Tap, kind};
use crate::sync::lock;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A door of a reader.
#[derive(Debug)]
struct Open {
    door: Arc<Door>,
    /// Number of the next message.
    next: u64,
    /// Messages that the door has refused so far.
    refused: u64,
}

/// A reader of all doors. It tells the writers which bands it wants, and that somebody looks.
#[derive(Debug)]
pub struct Reader {
    tap: Tap,
    number: u64,
    /// Number of the scan that was told last.
    shown: Option<u64>,
    doors: Vec<Open>,
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
        self.doors.retain(|open| doors.iter().any(|door| Arc::ptr_eq(door, &open.door)));
        if self.shown != Some(number) {
            self.shown = Some(number);
            let json = serde_json::to_vec(&about.as_deref()).unwrap_or_else(|_| b"null".to_vec());
            message(out, kind::SCAN, |body| body.extend_from_slice(&json));
        }
        let new: Vec<_> = doors.into_iter().filter(|door| !self.doors.iter().any(|open| Arc::ptr_eq(door, &open.door))).collect();
        self.doors.extend(new.into_iter().map(|door| Open { next: door.oldest(), refused: door.refused(), door }));
        self.drain(out);
        if self.dropped > self.told {
            self.told = self.dropped;
            let json = format!("{{\"messages\":{}}}", self.dropped);
            message(out, kind::DROPPED, |body| body.extend_from_slice(json.as_bytes()));
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        for Open { door, next, refused } in &mut self.doors {
            let before = std::mem::replace(refused, door.refused());
            let gone = door.read(next, out) + (*refused - before);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_door_gives_up_is_counted_as_dropped() {
        let tap = Tap::default();
        let door = tap.add_door(4);
        door.refuse();
        let mut reader = tap.reader(Wishes::default());
        let mut out = Vec::new();
        reader.read(&mut out);
        out.clear();
        reader.read(&mut out);
        assert!(out.is_empty(), "what was given up before is of no concern");
        door.refuse();
        assert!(door.write(9, |body| body.push(1)));
        reader.read(&mut out);
        assert!(out.ends_with(b"{\"messages\":1}"), "{out:?}");
        assert_eq!(tap.dropped(), 1);
    }
}
