//! A page that looks on: what it wants, and what it has not got yet.

use super::frames::{self, Picture, kind};
use crate::state::lock;
use crate::state::secret::Hash;
use axum::body::Bytes;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Most bytes that wait for a viewer and may be dropped.
const MOST_BYTES: usize = 4 << 20;
/// Most messages that wait for a viewer and may not be dropped. One that has more is gone.
const MOST_SURE: usize = 4096;
/// Least time between two messages about dropped ones.
const SAY_DROPPED: Duration = Duration::from_secs(1);
/// Messages of which the last one counts, in the order in which they are sent.
const LATEST: [u8; 6] = [kind::HELLO, kind::LINK, kind::LEASE, kind::ALARMS, kind::SCAN, kind::STATUS];

/// Bands that a viewer looks at, by source.
pub type Wish = BTreeMap<String, Vec<u16>>;

/// A source of pictures of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its bands where nobody asks for others.
    pub rgb: Vec<u16>,
}

/// A page that looks on.
pub struct Viewer {
    /// Its number.
    pub id: u64,
    /// Its session.
    pub session: Hash,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    latest: [Option<Bytes>; LATEST.len()],
    sure: VecDeque<Bytes>,
    backlog: VecDeque<Bytes>,
    lossy: VecDeque<Bytes>,
    bytes: usize,
    dropped: u64,
    said: u64,
    said_at: Option<Instant>,
    wish: Wish,
    /// The wish by the index of a source.
    bands: Vec<Vec<u16>>,
    closed: bool,
}

impl Viewer {
    /// A viewer of a session.
    pub fn new(id: u64, session: Hash) -> Self {
        Self { id, session, queue: Mutex::default(), wake: Notify::new() }
    }

    /// Puts a message in line. It never waits.
    pub fn push(&self, message: &Bytes) {
        let Some(&kind) = message.first() else { return };
        let mut queue = lock(&self.queue);
        if let Some(slot) = LATEST.iter().position(|latest| *latest == kind) {
            queue.latest[slot] = Some(message.clone());
        } else if matches!(kind, kind::EVENT | kind::SAMPLE | kind::PROBLEM) {
            if queue.sure.len() >= MOST_SURE {
                queue.closed = true;
            } else {
                queue.sure.push_back(message.clone());
            }
        } else {
            queue.bytes += message.len();
            queue.lossy.push_back(message.clone());
            // The newest rows are what a person looks at.
            while queue.bytes > MOST_BYTES
                && let Some(oldest) = queue.lossy.pop_front()
            {
                queue.bytes -= oldest.len();
                queue.dropped += 1;
            }
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Shows what was before.
    pub fn set_backlog(&self, messages: VecDeque<Bytes>) {
        lock(&self.queue).backlog = messages;
        self.wake.notify_one();
    }

    /// Adds to the number of messages that were dropped.
    pub fn add_dropped(&self, messages: u64) {
        lock(&self.queue).dropped += messages;
    }

    /// A new scan begins: rows of the old one are not sent any more.
    pub fn new_scan(&self, sources: &[Source]) {
        let mut queue = lock(&self.queue);
        queue.dropped += u64::try_from(queue.lossy.len()).unwrap_or(0);
        queue.lossy.clear();
        queue.bytes = 0;
        queue.backlog.clear();
        queue.resolve(sources);
    }

    /// Sets the bands that it looks at.
    pub fn set_wish(&self, wish: Wish, sources: &[Source]) {
        let mut queue = lock(&self.queue);
        queue.wish = wish;
        queue.resolve(sources);
    }

    /// Adds the bands that it looks at to those of others.
    pub fn add_wish(&self, all: &mut Wish, sources: &[Source]) {
        let queue = lock(&self.queue);
        for (i, source) in sources.iter().enumerate() {
            let bands = all.entry(source.name.clone()).or_default();
            for band in queue.bands.get(i).unwrap_or(&source.rgb) {
                if !bands.contains(band) {
                    bands.push(*band);
                }
            }
        }
    }

    /// Ends it.
    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_one();
    }

    /// The next message, waiting for it. `None` where it has ended.
    pub async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut queue = lock(&self.queue);
                if queue.closed {
                    return None;
                }
                if let Some(message) = queue.take() {
                    return Some(message);
                }
            }
            self.wake.notified().await;
        }
    }
}

impl Queue {
    fn resolve(&mut self, sources: &[Source]) {
        let wish = |source: &Source| self.wish.get(&source.name).unwrap_or(&source.rgb).clone();
        self.bands = sources.iter().map(wish).collect();
    }

    fn take(&mut self) -> Option<Bytes> {
        if let Some(message) = self.latest.iter_mut().find_map(Option::take) {
            return Some(message);
        }
        if let Some(message) = self.sure.pop_front() {
            return Some(message);
        }
        if self.dropped > self.said && self.said_at.is_none_or(|at| at.elapsed() >= SAY_DROPPED) {
            (self.said, self.said_at) = (self.dropped, Some(Instant::now()));
            return Some(frames::json(kind::DROPPED, &json!({"messages": self.dropped})));
        }
        loop {
            let message = match self.backlog.pop_front() {
                Some(message) => message,
                None => {
                    let message = self.lossy.pop_front()?;
                    self.bytes -= message.len();
                    message
                }
            };
            if message.first() != Some(&kind::PICTURE) {
                return Some(message);
            }
            let Some(picture) = Picture::read(&message) else { continue };
            if let Some(row) = self.bands.get(picture.source).and_then(|bands| picture.only(bands)) {
                return Some(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, size: usize) -> Bytes {
        let mut bytes = vec![0; size.max(1)];
        bytes[0] = kind;
        bytes.into()
    }

    fn next(viewer: &Viewer) -> Option<Bytes> {
        lock(&viewer.queue).take()
    }

    #[test]
    fn what_a_viewer_does_not_take_is_dropped_and_counted_but_for_what_counts() {
        let viewer = Viewer::new(1, [0; 32]);
        for i in 0..100 {
            viewer.push(&message(kind::LEDGER, 1 << 20));
            viewer.push(&message(kind::LEASE, i + 1));
            viewer.push(&message(kind::LINK, i + 1));
            viewer.push(&message(kind::SCAN, i + 1));
        }
        assert_eq!(next(&viewer).unwrap(), message(kind::LINK, 100), "the last one counts");
        assert_eq!(next(&viewer).unwrap(), message(kind::LEASE, 100));
        assert_eq!(next(&viewer).unwrap(), message(kind::SCAN, 100));
        assert_eq!(next(&viewer).unwrap(), [&[kind::DROPPED][..], br#"{"messages":96}"#].concat());
        for _ in 0..4 {
            assert_eq!(next(&viewer).unwrap()[0], kind::LEDGER);
        }
        assert_eq!(next(&viewer), None);
    }

    #[test]
    fn a_viewer_that_takes_no_event_is_gone() {
        let viewer = Viewer::new(1, [0; 32]);
        (0..MOST_SURE).for_each(|_| viewer.push(&message(kind::EVENT, 10)));
        assert!(!lock(&viewer.queue).closed);
        viewer.push(&message(kind::EVENT, 10));
        assert!(lock(&viewer.queue).closed);
    }

    #[test]
    fn each_viewer_gets_its_bands() {
        let sources = [Source { name: "vnir".into(), rgb: vec![1, 2, 3] }, Source { name: "grid".into(), rgb: vec![4] }];
        let (one, other) = (Viewer::new(1, [0; 32]), Viewer::new(2, [0; 32]));
        one.set_wish(Wish::from([("vnir".to_owned(), vec![3, 9])]), &sources);
        other.new_scan(&sources);
        let mut all = Wish::new();
        one.add_wish(&mut all, &sources);
        other.add_wish(&mut all, &sources);
        assert_eq!(all, Wish::from([("vnir".to_owned(), vec![3, 9, 1, 2]), ("grid".to_owned(), vec![4])]));
    }
}
