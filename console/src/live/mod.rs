//! One tap of the daemon, fanned out to every page that looks on.

pub mod frames;
mod history;
pub mod tap;
mod viewer;
pub mod ws;

pub use viewer::{Source, Viewer, Wish};

use crate::alarms::Alarms;
use crate::state::lock;
use crate::state::secret::Hash;
use axum::body::Bytes;
use frames::kind;
use history::History;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Most bands of a source that the daemon is asked for.
const MOST_BANDS: usize = 12;
/// Most sources of a scan.
const MOST_SOURCES: usize = 16;
/// Kinds from here on are the console's own.
const OWN: u8 = 16;

/// What the pages show, and the pages.
pub struct Live {
    held: Mutex<Held>,
    /// Told when pages look at other bands.
    wishes: Notify,
    busy: AtomicBool,
    next: AtomicU64,
    most: usize,
}

struct Held {
    rig: String,
    hello: Bytes,
    status: Option<Bytes>,
    scan: Bytes,
    scan_id: Option<String>,
    sources: Vec<Source>,
    connected: bool,
    since: Option<String>,
    /// The last number of dropped messages that the tap gave.
    dropped: u64,
    history: History,
    viewers: BTreeMap<u64, Arc<Viewer>>,
    alarms: Alarms,
    /// Whether alarms changed since they were last written down.
    alarms_changed: bool,
}

/// What the console needs of kind 4.
#[derive(Deserialize)]
struct ScanHead {
    scan: String,
    #[serde(default)]
    sources: Vec<SourceHead>,
}

#[derive(Deserialize)]
struct SourceHead {
    name: String,
    #[serde(default)]
    rgb: Vec<u16>,
}

impl Live {
    /// A rig that has not answered yet, with the alarms of before, for at most `most` pages.
    pub fn new(rig: &str, alarms: Alarms, most: u32) -> Self {
        let hello = frames::json(kind::HELLO, &json!({"format": 1, "rig": rig, "version": hyclus::VERSION, "time": crate::now()}));
        let held = Held {
            rig: rig.to_owned(),
            hello,
            status: None,
            scan: frames::json(kind::SCAN, &serde_json::Value::Null),
            scan_id: None,
            sources: Vec::new(),
            connected: false,
            since: Some(crate::now()),
            dropped: 0,
            history: History::default(),
            viewers: BTreeMap::new(),
            alarms,
            alarms_changed: false,
        };
        Self {
            held: Mutex::new(held),
            wishes: Notify::new(),
            busy: AtomicBool::new(false),
            next: AtomicU64::new(1),
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
    }

    /// Whether a scan or a reference runs.
    pub fn busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether the daemon answers, and since when it does not.
    pub fn link(&self) -> (bool, Option<String>) {
        let held = lock(&self.held);
        (held.connected, held.since.clone())
    }

    /// The last status, as JSON.
    pub fn status(&self) -> Option<serde_json::Value> {
        let status = lock(&self.held).status.clone()?;
        serde_json::from_slice(status.get(1..)?).ok()
    }

    /// All alarms.
    pub fn alarms(&self) -> serde_json::Value {
        lock(&self.held).alarms.list()
    }

    /// The alarms to write down, where they changed since the last call.
    pub fn changed_alarms(&self) -> Option<Alarms> {
        let mut held = lock(&self.held);
        std::mem::take(&mut held.alarms_changed).then(|| held.alarms.clone())
    }

    /// Notes who took note of an alarm. False where there is none of this number.
    pub fn acknowledge(&self, id: u64, by: &str) -> bool {
        let mut held = lock(&self.held);
        let known = held.alarms.acknowledge(id, by);
        if known {
            held.alarms_changed = true;
            held.send_alarms();
        }
        known
    }

    /// Notes whether the daemon answers.
    pub fn set_link(&self, connected: bool) {
        if !connected {
            self.busy.store(false, Ordering::Relaxed);
        }
        let mut held = lock(&self.held);
        if held.connected == connected && (connected || held.since.is_some()) {
            return;
        }
        held.connected = connected;
        held.since = (!connected).then(crate::now);
        let message = held.link_message();
        held.send(&message);
    }

    /// Takes a message of the tap.
    pub fn take(&self, message: &Bytes) {
        let (Some(&kind), Some(body)) = (message.first(), message.get(1..)) else { return };
        let mut held = lock(&self.held);
        match kind {
            kind::HELLO => {
                let mut hello: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
                if let Some(hello) = hello.as_object_mut() {
                    hello.insert("rig".to_owned(), held.rig.as_str().into());
                }
                held.hello = frames::json(kind::HELLO, &hello);
                return held.send(&held.hello);
            }
            kind::STATUS => {
                let status: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
                let busy = matches!(status["state"].as_str(), Some("warming" | "referencing" | "scanning" | "draining"));
                self.busy.store(busy, Ordering::Relaxed);
                held.status = Some(message.clone());
            }
            kind::SCAN => {
                held.set_scan(message, body);
                self.wishes.notify_one();
            }
            kind::EVENT => {
                let event: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
                if !held.alarms.fresh(&event) {
                    return;
                }
                if held.alarms.see(&event) {
                    held.alarms_changed = true;
                    held.send_alarms();
                }
            }
            kind::DROPPED => {
                let messages = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|value| value["messages"].as_u64());
                let messages = messages.unwrap_or(0);
                let more = messages.saturating_sub(held.dropped);
                held.dropped = messages;
                held.viewers.values().for_each(|viewer| viewer.add_dropped(more));
                return;
            }
            OWN.. => return,
            _ if !held.history.keep(message) => return,
            _ => {}
        }
        held.send(message);
    }

    /// A page of a session begins to look on. `lease` is what it is told of the lease. `None` where there are too many.
    pub fn join(&self, session: Hash, lease: &Bytes) -> Option<Arc<Viewer>> {
        let mut held = lock(&self.held);
        if held.viewers.len() >= self.most {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let viewer = Arc::new(Viewer::new(id, session));
        viewer.new_scan(&held.sources);
        let (link, alarms) = (held.link_message(), held.alarms.message());
        for message in
            [Some(&held.hello), Some(&link), Some(lease), Some(&alarms), Some(&held.scan), held.status.as_ref()].into_iter().flatten()
        {
            viewer.push(message);
        }
        viewer.set_backlog(held.history.all());
        held.viewers.insert(id, Arc::clone(&viewer));
        drop(held);
        self.wishes.notify_one();
        Some(viewer)
    }

    /// A page is gone.
    pub fn leave(&self, viewer: &Viewer) {
        viewer.close();
        lock(&self.held).viewers.remove(&viewer.id);
        self.wishes.notify_one();
    }

    /// Sends each page a message of its own.
    pub fn send_each(&self, message: impl Fn(&Viewer) -> Bytes) {
        lock(&self.held).viewers.values().for_each(|viewer| viewer.push(&message(viewer)));
    }

    /// Ends the pages of a session, or all.
    pub fn close(&self, session: Option<&Hash>) {
        let held = lock(&self.held);
        held.viewers.values().filter(|viewer| session.is_none_or(|session| viewer.session == *session)).for_each(|viewer| viewer.close());
    }

    /// Sets what a page looks at. False where all pages together look at too many bands for all to be sent.
    pub fn set_wish(&self, viewer: &Viewer, wish: Wish) -> bool {
        let held = lock(&self.held);
        viewer.set_wish(wish, &held.sources);
        let fits = held.wishes().values().all(|bands| bands.len() <= MOST_BANDS);
        drop(held);
        self.wishes.notify_one();
        fits
    }

    /// Returns once pages look at other bands.
    async fn wishes_changed(&self) {
        self.wishes.notified().await;
    }

    /// The query of the tap: every band that a page looks at. Empty where no scan is known.
    fn query(&self) -> String {
        let held = lock(&self.held);
        let mut query = String::new();
        for (name, bands) in held.wishes().into_iter().filter(|(_, bands)| !bands.is_empty()) {
            let _ = write!(query, "{}{name}:", if query.is_empty() { "?bands=" } else { ";" });
            let mut bands: Vec<u16> = bands.into_iter().take(MOST_BANDS).collect();
            bands.sort_unstable();
            let bands: Vec<String> = bands.iter().map(ToString::to_string).collect();
            query.push_str(&bands.join(","));
        }
        query
    }
}

impl Held {
    fn wishes(&self) -> Wish {
        let mut all = Wish::new();
        self.viewers.values().for_each(|viewer| viewer.add_wish(&mut all, &self.sources));
        if self.viewers.is_empty() {
            all.extend(self.sources.iter().map(|source| (source.name.clone(), source.rgb.clone())));
        }
        all
    }

    fn send(&self, message: &Bytes) {
        self.viewers.values().for_each(|viewer| viewer.push(message));
    }

    fn send_alarms(&self) {
        self.send(&self.alarms.message());
    }

    fn link_message(&self) -> Bytes {
        frames::json(kind::LINK, &json!({"connected": self.connected, "since": self.since}))
    }

    fn set_scan(&mut self, message: &Bytes, body: &[u8]) {
        self.scan = message.clone();
        let head: Option<ScanHead> = serde_json::from_slice(body).ok();
        let id = head.as_ref().map(|head| head.scan.clone());
        let sources: Vec<Source> = head.into_iter().flat_map(|head| head.sources.into_iter().take(MOST_SOURCES)).map(source).collect();
        if id == self.scan_id && sources == self.sources {
            return;
        }
        (self.scan_id, self.sources) = (id, sources);
        self.history.clear();
        self.viewers.values().for_each(|viewer| viewer.new_scan(&self.sources));
    }
}

/// A source whose name fits into the query of the tap.
fn source(head: SourceHead) -> Source {
    let name = if hyclus::scan::is_name(&head.name) { head.name } else { String::new() };
    let rgb = if name.is_empty() { Vec::new() } else { head.rgb.into_iter().take(3).collect() };
    Source { name, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(id: &str) -> Bytes {
        let sources = json!([{"name": "vnir", "rgb": [30, 20, 10]}, {"name": "a;b", "rgb": [1]}, {"name": "grid", "rgb": [5, 6, 7]}]);
        frames::json(kind::SCAN, &json!({"scan": id, "sources": sources}))
    }

    #[tokio::test]
    async fn the_tap_is_asked_for_what_all_pages_look_at_in_bounds() {
        let live = Live::new("rig", Alarms::default(), 3);
        assert_eq!(live.query(), "");
        live.take(&scan("s1"));
        assert_eq!(live.query(), "?bands=grid:5,6,7;vnir:10,20,30");
        let lease = frames::json(kind::LEASE, &json!({}));
        let viewers: Vec<_> = (0..3).map(|_| live.join([0; 32], &lease).unwrap()).collect();
        assert!(live.join([0; 32], &lease).is_none(), "too many pages");
        assert!(live.set_wish(&viewers[0], Wish::from([("vnir".to_owned(), vec![1, 2])])));
        assert_eq!(live.query(), "?bands=grid:5,6,7;vnir:1,2,10,20,30");
        let many: Vec<u16> = (100..115).collect();
        assert!(!live.set_wish(&viewers[1], Wish::from([("vnir".to_owned(), many)])));
        assert_eq!(live.query().split("vnir:").nth(1).unwrap().split(',').count(), MOST_BANDS);
        live.leave(&viewers[1]);
        live.leave(&viewers[2]);
        assert_eq!(live.query(), "?bands=grid:5,6,7;vnir:1,2");
    }

    #[tokio::test]
    async fn a_late_page_sees_the_scan_and_a_new_scan_forgets_the_old_one() {
        let live = Live::new("rig", Alarms::default(), 3);
        live.take(&scan("s1"));
        live.take(&Bytes::from_static(&[kind::LEDGER, 0, 1]));
        live.take(&frames::json(kind::STATUS, &json!({"state": "scanning"})));
        assert!(live.busy());
        let lease = frames::json(kind::LEASE, &json!({}));
        let viewer = live.join([0; 32], &lease).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..7 {
            kinds.push(viewer.next().await.unwrap()[0]);
        }
        assert_eq!(kinds, [kind::HELLO, kind::LINK, kind::LEASE, kind::ALARMS, kind::SCAN, kind::STATUS, kind::LEDGER]);
        live.take(&scan("s1"));
        assert_eq!(live.held.lock().unwrap().history.all().len(), 1, "the same scan");
        live.take(&scan("s2"));
        assert!(live.held.lock().unwrap().history.all().is_empty());
        live.set_link(false);
        assert!(!live.busy(), "nobody knows");
        live.take(&Bytes::from_static(&[kind::LEASE, b'{', b'}']));
        assert_eq!(viewer.next().await.unwrap()[0], kind::SCAN, "the tap cannot speak for the console");
        live.close(Some(&[1; 32]));
        live.close(Some(&[0; 32]));
        assert_eq!(viewer.next().await, None);
    }
}
