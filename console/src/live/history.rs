//! What a late viewer is shown of the scan: bounded numbers of messages.

use super::frames::{Picture, kind};
use axum::body::Bytes;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Most messages of a kind and source, and their most bytes.
const MOST: usize = 4096;
const MOST_BYTES: usize = 24 << 20;
/// The same for kinds of small messages.
const MOST_SMALL: usize = 65_536;
/// Most kinds and sources.
const MOST_RINGS: usize = 64;

#[derive(Default)]
struct Ring {
    messages: VecDeque<Bytes>,
    bytes: usize,
    /// Place of the last message, of kinds whose places rise.
    last: Option<f64>,
    /// The messages, of a kind whose places do not rise: lines that are lost before the first one are told of after it.
    seen: HashSet<Bytes>,
}

impl Ring {
    fn push(&mut self, message: Bytes, most: usize) {
        self.bytes += message.len();
        self.messages.push_back(message);
        while self.messages.len() > most || self.bytes > MOST_BYTES {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= oldest.len();
            self.seen.remove(&oldest);
        }
    }
}

/// Messages of the scan that runs, or of the last one.
#[derive(Default)]
pub struct History(BTreeMap<(u8, u8), Ring>);

impl History {
    /// Keeps a message. False where the same row was here before.
    pub fn keep(&mut self, message: &Bytes) -> bool {
        let (Some(&kind), Some(&source)) = (message.first(), message.get(1)) else { return true };
        let (most, source) = match kind {
            kind::PICTURE => (MOST, source),
            kind::LEDGER | kind::LIGHT => (MOST_SMALL, source),
            kind::OUTLINE | kind::SAMPLE | kind::EMBEDDINGS | kind::MINERALS => (MOST_SMALL, 0),
            _ => return true,
        };
        if self.0.len() >= MOST_RINGS && !self.0.contains_key(&(kind, source)) {
            return true;
        }
        let ring = self.0.entry((kind, source)).or_default();
        if kind == kind::LEDGER && !ring.seen.insert(message.clone()) {
            return false;
        }
        if let Some(place) = place(kind, message) {
            if ring.last.is_some_and(|last| place <= last) {
                return false;
            }
            ring.last = Some(place);
        }
        ring.push(message.clone(), most);
        true
    }

    /// Forgets all, for a new scan.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All messages, those of a kind and source in order: samples, outlines and minerals first, then ledger, light, pictures.
    pub fn all(&self) -> VecDeque<Bytes> {
        const ORDER: [u8; 7] = [kind::SAMPLE, kind::OUTLINE, kind::MINERALS, kind::LEDGER, kind::LIGHT, kind::EMBEDDINGS, kind::PICTURE];
        let of = |kind: u8| self.0.range((kind, 0)..=(kind, u8::MAX)).flat_map(|(_, ring)| ring.messages.iter().cloned());
        ORDER.into_iter().flat_map(of).collect()
    }
}

/// What rises from message to message of a kind and source: the row, or y in mm. A new connection to the daemon tells of
/// some again.
fn place(kind: u8, message: &Bytes) -> Option<f64> {
    match kind {
        // No scan has 2^53 rows.
        kind::PICTURE => Picture::read(message).map(|picture| picture.index as f64),
        kind::LIGHT => message.get(9..17)?.try_into().ok().map(f64::from_le_bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(source: u8, index: i64) -> Bytes {
        let mut message = vec![kind::PICTURE, source, 0, 1, 0];
        message.extend(2_u32.to_le_bytes());
        message.extend(1_u32.to_le_bytes());
        message.extend(index.to_le_bytes());
        message.extend(0_f64.to_le_bytes());
        message.extend([5, 0, 7, 7]);
        message.into()
    }

    #[test]
    fn rows_are_kept_in_order_once_and_in_bounds() {
        let mut history = History::default();
        assert!(history.keep(&row(0, -2)) && history.keep(&row(0, 0)) && history.keep(&row(1, 0)));
        assert!(!history.keep(&row(0, 0)) && !history.keep(&row(0, -1)), "they were here before");
        let total = i64::try_from(MOST).unwrap() + 10;
        (1..total).for_each(|i| _ = history.keep(&row(0, i)));
        assert_eq!(history.all().len(), MOST + 1);
        assert!(history.keep(&Bytes::from_static(&[kind::SAMPLE, b'{', b'}'])));
        assert_eq!(history.all().len(), MOST + 2);
        assert_eq!(history.all()[0][0], kind::SAMPLE);
        let large: Bytes = [&[kind::EMBEDDINGS, 0][..], &vec![0; MOST_BYTES / 2]].concat().into();
        (0..5).for_each(|_| _ = history.keep(&large));
        assert!(history.0[&(kind::EMBEDDINGS, 0)].bytes <= MOST_BYTES);
        assert!(history.keep(&Bytes::from_static(&[kind::STATUS])) && history.keep(&Bytes::new()));
        let run = |first: u64| Bytes::from([&[kind::LEDGER, 0][..], &[0; 7], &first.to_le_bytes()].concat());
        assert!(history.keep(&run(12)) && history.keep(&run(0)), "lines before the first one may be told of late");
        assert!(!history.keep(&run(12)) && !history.keep(&run(0)), "they were here before");
        history.clear();
        assert!(history.all().is_empty() && history.keep(&row(0, 0)));
    }
}
