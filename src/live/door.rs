//! A door: a ring of messages between one writer and its readers.

use crate::sync::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};

/// Bytes of a message's length.
const LENGTH: usize = 4;

/// Writes a message to the end of `out`: `fill` writes the body.
pub fn message(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    out.push(kind);
    fill(out);
    let length = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX);
    out[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
}

#[derive(Debug)]
struct Ring {
    /// Whole messages. Message `n` lies in slot `n % slots`. The memory of a slot is used again.
    slots: Vec<Vec<u8>>,
    /// Number of the next message.
    next: u64,
}

impl Ring {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of slots")]
    fn slot(&self, number: u64) -> usize {
        (number % self.slots.len() as u64) as usize
    }
}

/// A ring of messages. The writer never waits: a new message takes the place of the oldest.
#[derive(Debug)]
pub struct Door {
    ring: Mutex<Ring>,
    /// Messages that were given up because a reader held the ring.
    refused: AtomicU64,
}

impl Door {
    /// A door that holds so many messages, at least one.
    pub(super) fn new(messages: usize) -> Self {
        Self { ring: Mutex::new(Ring { slots: vec![Vec::new(); messages.max(1)], next: 0 }), refused: AtomicU64::new(0) }
    }

    /// Writes a message. False where a reader is just copying messages: then nothing is written.
    pub fn write(&self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.put(|slot| message(slot, kind, fill))
    }

    /// Writes a message that nobody keeps for later. It is counted where a reader is just copying messages.
    pub fn tell(&self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        if !self.write(kind, fill) {
            self.refuse();
        }
    }

    /// Writes a message that [`message`] made. False as for [`Door::write`].
    pub fn write_made(&self, made: &[u8]) -> bool {
        self.put(|slot| slot.extend_from_slice(made))
    }

    fn put(&self, fill: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut ring = match self.ring.try_lock() {
            Ok(ring) => ring,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let at = ring.slot(ring.next);
        let slot = &mut ring.slots[at];
        slot.clear();
        fill(slot);
        ring.next += 1;
        true
    }

    /// Counts a message that is given up.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages that were given up because a reader held the ring.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Copies the messages from number `next` on to the end of `out`. Gives how many were gone already.
    pub(super) fn read(&self, next: &mut u64, out: &mut Vec<u8>) -> u64 {
        let ring = lock(&self.ring);
        let oldest = ring.next.saturating_sub(ring.slots.len() as u64);
        let gone = oldest.saturating_sub(*next);
        for number in oldest.max(*next)..ring.next {
            out.extend_from_slice(&ring.slots[ring.slot(number)]);
        }
        *next = ring.next;
        gone
    }

    /// Number of the oldest message that is held.
    pub(super) fn oldest(&self) -> u64 {
        let ring = lock(&self.ring);
        ring.next.saturating_sub(ring.slots.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Vec<u8> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
            found.push(rest[5]);
            rest = &rest[4 + length..];
        }
        found
    }

    #[test]
    fn a_reader_gets_each_message_once_and_counts_those_that_are_gone() {
        let door = Door::new(4);
        let (mut next, mut out) = (0, Vec::new());
        for n in 0..3 {
            assert!(door.write(9, |body| body.push(n)));
        }
        assert_eq!(door.read(&mut next, &mut out), 0);
        assert_eq!(numbers(&out), [0, 1, 2]);
        out.clear();
        assert_eq!((door.read(&mut next, &mut out), out.len()), (0, 0));
        for n in 3..10 {
            door.write(9, |body| body.push(n));
        }
        assert_eq!(door.read(&mut next, &mut out), 3, "messages 3 to 5 were written over");
        assert_eq!(numbers(&out), [6, 7, 8, 9]);
        assert_eq!(door.oldest(), 6);
    }

    #[test]
    fn a_writer_does_not_wait_for_a_reader() {
        let door = Door::new(2);
        let held = door.ring.lock().unwrap();
        assert!(!door.write(9, |_| panic!("nothing is written")));
        assert_eq!(door.refused(), 0, "it may be written later");
        door.tell(9, |_| panic!("nothing is written"));
        assert_eq!(door.refused(), 1);
        drop(held);
        assert!(door.write(9, |body| body.push(1)));
    }

    #[test]
    fn the_memory_of_a_slot_is_used_again() {
        let door = Door::new(1);
        door.write(9, |body| body.extend_from_slice(&[0; 100]));
        let before = door.ring.lock().unwrap().slots[0].as_ptr();
        door.write(9, |body| body.extend_from_slice(&[1; 100]));
        assert_eq!(door.ring.lock().unwrap().slots[0].as_ptr(), before);
    }
}
