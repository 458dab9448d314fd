//! The live tap: what the cameras see while the belt moves, for people who look at it.
//!
//! The data path writes messages through [`Door`]s. A door is lossy: it never makes its writer wait, takes no slot of a frame pool, and uses
//! its memory again. While nobody reads, a line costs one comparison. A [`Reader`] collects the messages of all doors from time to time.
//!
//! A message is `u32 length, u8 kind, body`, little-endian. The length counts kind and body. `docs/live.md` has the bodies.

mod about;
mod door;
mod ledger;
mod minerals;
mod pictures;
mod reader;
mod scan;
mod wish;

pub use about::{About, AboutContainer, AboutGrid, Source, SourceKind, rgb};
pub use door::{Door, message};
pub use ledger::LedgerTap;
pub use minerals::MineralTap;
pub use pictures::{GridTap, LineTap};
pub use reader::Reader;
pub use scan::{CameraTap, EmbeddingTap, ScanTap};
pub use wish::{MOST_BANDS, WishError, Wishes};

use crate::sync::lock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Version of the messages.
pub const FORMAT: u32 = 1;

/// Kinds of messages. Kinds above 15 are for programs between the daemon and a person.
pub mod kind {
    /// JSON: the versions of the messages and of the program.
    pub const HELLO: u8 = 1;
    /// JSON: an event, as `GET /v1/events` has it.
    pub const EVENT: u8 = 2;
    /// JSON: the status, as `GET /v1/status` has it.
    pub const STATUS: u8 = 3;
    /// JSON: the scan that runs or ran last, or `null`.
    pub const SCAN: u8 = 4;
    /// A row of a picture.
    pub const PICTURE: u8 = 5;
    /// A run of lines of one camera, and what became of them.
    pub const LEDGER: u8 = 6;
    /// The light on the white strip.
    pub const LIGHT: u8 = 7;
    /// The part of a grid row that lies on a sample.
    pub const OUTLINE: u8 = 8;
    /// A few of the embeddings.
    pub const EMBEDDINGS: u8 = 9;
    /// JSON: a sample that was opened or closed.
    pub const SAMPLE: u8 = 10;
    /// JSON: the number of messages that this reader missed.
    pub const DROPPED: u8 = 11;
    /// The minerals of a row of a sample.
    pub const MINERALS: u8 = 12;
}

/// The scan that the tap shows.
#[derive(Debug, Default)]
struct Shown {
    /// Rises with each scan, and with its end.
    number: u64,
    about: Option<Arc<About>>,
    doors: Vec<Arc<Door>>,
}

/// What readers and writers share.
#[derive(Debug, Default)]
struct Inner {
    readers: AtomicUsize,
    /// Number of the next reader.
    next_reader: AtomicU64,
    /// Rises when the wishes change.
    wishes_number: AtomicU64,
    wishes: Mutex<Vec<(u64, Wishes)>>,
    shown: Mutex<Shown>,
    /// Messages that readers missed.
    dropped: AtomicU64,
}

/// The live tap of a daemon. Clones are the same tap.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Inner>);

impl Tap {
    /// Whether somebody reads.
    pub fn watched(&self) -> bool {
        self.0.readers.load(Ordering::Relaxed) > 0
    }

    /// Messages that all readers missed so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// A reader that wants the bands of `wishes`. It begins with the oldest messages that the doors hold.
    pub fn reader(&self, wishes: Wishes) -> Reader {
        Reader::new(self.clone(), wishes)
    }

    /// Begins to show a scan.
    pub fn scan(&self, about: About) -> ScanTap {
        let mut shown = lock(&self.0.shown);
        shown.number += 1;
        shown.about = Some(Arc::new(about));
        shown.doors.clear();
        drop(shown);
        ScanTap::new(self.clone())
    }

    fn add_door(&self, messages: usize) -> Arc<Door> {
        let door = Arc::new(Door::new(messages));
        lock(&self.0.shown).doors.push(Arc::clone(&door));
        door
    }

    /// Notes that the scan that is shown has ended.
    fn end(&self, ended: String) {
        let mut shown = lock(&self.0.shown);
        shown.number += 1;
        let about = shown.about.take();
        shown.about = about.map(|about| Arc::new(About { ended: Some(ended), ..(*about).clone() }));
    }

    fn source(&self, name: &str) -> Option<(usize, Source)> {
        let about = lock(&self.0.shown).about.clone()?;
        let at = about.sources.iter().position(|source| source.name == name)?;
        Some((at, about.sources[at].clone()))
    }
}
