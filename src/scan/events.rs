//! Events, held for those who come late.

use super::operations::{Event, EventKind};
use super::time::{iso, now_ns};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::broadcast;

/// Events that are held.
const HELD: usize = 4096;

/// Numbers events, holds the latest, and hands them to whoever listens.
#[derive(Debug)]
pub struct EventLog {
    held: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { held: Mutex::default(), sender: broadcast::channel(1024).0 }
    }
}

/// Numbers begin with the milliseconds of the daemon's start, so that they rise from one run to the next.
fn first_id() -> u64 {
    u64::try_from(now_ns() / 1_000_000).unwrap_or(1)
}

impl EventLog {
    /// Adds an event.
    pub fn tell(&self, kind: EventKind) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let id = held.back().map_or_else(first_id, |last| last.id + 1);
        let event = Event { id, time: iso(now_ns()), kind };
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back(event.clone());
        // Sent under the lock, so that nobody sees numbers out of order. Without listeners there is nobody to tell.
        let _ = self.sender.send(event);
    }

    /// Events after a number that are still held, and those to come, without a gap between them.
    pub fn since(&self, after: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.iter().filter(|event| after.is_none_or(|after| event.id > after)).cloned().collect(), self.sender.subscribe())
    }
}
