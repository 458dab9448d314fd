//! The event log. It holds the latest events for late clients.

use crate::scan::{Event, EventKind, LineCounts, iso, now_ns};
use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::broadcast;

/// Number of held events.
const HELD: usize = 4096;

/// Most gaps of a camera in an event. The scan's record has all of them.
const GAPS: usize = 32;
/// Longest text of an event, characters.
const LONGEST: usize = 1000;

/// The same event with a bounded size: it does not grow with a scan.
fn bounded(mut kind: EventKind) -> EventKind {
    let cut = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
        }
    };
    let latest = |sums: &mut LineCounts| drop(sums.gaps.drain(..sums.gaps.len().saturating_sub(GAPS)));
    match &mut kind {
        EventKind::Progress(progress) => progress.cameras.values_mut().for_each(latest),
        EventKind::CameraDone { sums, .. } => latest(sums),
        EventKind::Warning { message } => cut(message),
        EventKind::State { cause: Some(cause), .. } => cut(cause),
        EventKind::ScanClosed { reason: Some(reason), .. } => cut(reason),
        EventKind::SampleStored { record, .. } => {
            record.doubts.truncate(GAPS);
            record.doubts.iter_mut().for_each(cut);
        }
        _ => {}
    }
    kind
}

/// Numbers events, holds the latest ones, and sends them to all subscribers.
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

/// The first number: the daemon's start in ms since 1970-01-01T00:00:00Z. Numbers therefore rise from one run to the next.
fn first_id() -> u64 {
    u64::try_from(now_ns() / 1_000_000).unwrap_or(1)
}

impl EventLog {
    /// Adds an event. Its gaps, doubts and texts are cut to a bounded size. The latest gaps remain.
    pub fn emit(&self, kind: EventKind) {
        let kind = bounded(kind);
        let mut held = lock(&self.held);
        let id = held.back().map_or_else(first_id, |last| last.id + 1);
        let event = Event { id, time: iso(now_ns()), kind };
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back(event.clone());
        // Sent under the lock, so that every subscriber sees the numbers in order. Sending fails only without subscribers.
        let _ = self.sender.send(event);
    }

    /// Held events after a number (all of them for `None`), and a receiver of the following ones. No event is missing between them.
    pub fn since(&self, after: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let held = lock(&self.held);
        (held.iter().filter(|event| after.is_none_or(|after| event.id > after)).cloned().collect(), self.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Progress;
    use std::collections::BTreeMap;

    #[test]
    fn an_event_does_not_grow_with_a_scan() {
        let log = EventLog::default();
        let sums = LineCounts { gaps: (0..10_000).map(|i| (10 * i, 1)).collect(), ..LineCounts::default() };
        log.emit(EventKind::Progress(Progress { cameras: BTreeMap::from([("vnir".to_owned(), sums)]), ..Progress::default() }));
        log.emit(EventKind::Warning { message: "ü".repeat(100_000) });
        let (held, _) = log.since(None);
        for event in &held {
            assert!(serde_json::to_string(event).unwrap().len() < 10_000, "{:?}", event.id);
        }
        let EventKind::Progress(progress) = &held[0].kind else { panic!("{held:?}") };
        assert_eq!(progress.cameras["vnir"].gaps.last(), Some(&(99_990, 1)));
    }
}
