//! The ledger of one camera, as runs of lines.

use super::{Door, Tap, kind};
use crate::scan::{LedgerLine, LineStatus};
use arrayvec::ArrayVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages that the door holds. A quiet camera writes ten in a second.
const MESSAGES: usize = 1024;
/// Longest time for which a run is held back.
const HOLD: Duration = Duration::from_millis(100);
/// Runs that wait while a reader holds the door. It holds it for some microseconds.
const WAITING: usize = 16;
/// Status of lines that never came: lost on the link, or at the door of the frame pool.
const LOST: u8 = 5;

/// Lines that follow each other and have the same status.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    status: u8,
    first: u64,
    count: u32,
    from_mm: f64,
    to_mm: f64,
}

/// Writes the ledger of one camera to the tap.
#[derive(Debug)]
pub struct LedgerTap {
    tap: Tap,
    door: Arc<Door>,
    camera: u8,
    /// The first frame number. `None` before the first line.
    first: Option<u64>,
    /// The next frame number.
    next: Option<u64>,
    run: Option<Run>,
    /// Complete runs that are not written yet.
    waiting: ArrayVec<Run, WAITING>,
    begun: Instant,
}

impl LedgerTap {
    pub(super) fn new(tap: Tap, camera: u8) -> Self {
        let door = tap.add_door(MESSAGES);
        Self { tap, door, camera, first: None, next: None, run: None, waiting: ArrayVec::new(), begun: Instant::now() }
    }

    /// Adds a line. Lines come in the order of their frame numbers.
    pub fn line(&mut self, line: &LedgerLine) {
        if let Some(next) = self.next
            && line.frame > next
        {
            self.lost(next, line.frame - next);
        }
        self.first.get_or_insert(line.frame);
        self.next = Some(line.frame + 1);
        self.add(line.status as u8, line.frame, 1, line.y_mm);
    }

    /// Adds lines that never came and that no line could tell of: before the first and behind the last. `gaps` are all of the scan.
    pub fn gaps(&mut self, gaps: &[(u64, u64)]) {
        let (begin, end) = (self.first.unwrap_or(0), self.next.unwrap_or(0));
        for (first, count) in gaps.iter().filter(|(first, _)| *first < begin || *first >= end) {
            self.lost(*first, *count);
        }
        self.write();
    }

    fn lost(&mut self, first: u64, count: u64) {
        self.add(LOST, first, count, f64::NAN);
    }

    fn add(&mut self, status: u8, first: u64, count: u64, y_mm: f64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match &mut self.run {
            Some(run) if run.status == status && run.first + u64::from(run.count) == first => {
                run.count = run.count.saturating_add(count);
                run.to_mm = y_mm;
            }
            _ => {
                self.complete();
                self.run = Some(Run { status, first, count, from_mm: y_mm, to_mm: y_mm });
                self.begun = Instant::now();
            }
        }
        if self.begun.elapsed() >= HOLD {
            self.write();
        }
    }

    fn complete(&mut self) {
        if let Some(run) = self.run.take()
            && self.waiting.try_push(run).is_err()
        {
            self.door.refuse();
        }
    }

    /// Writes the runs that are held, as far as no reader holds the door.
    fn write(&mut self) {
        self.complete();
        let camera = self.camera;
        let watched = self.tap.watched();
        while let Some(run) = self.waiting.first() {
            let written = !watched
                || self.door.write(kind::LEDGER, |body| {
                    body.extend_from_slice(&[camera, run.status, 0, 0]);
                    body.extend_from_slice(&run.count.to_le_bytes());
                    body.extend_from_slice(&run.first.to_le_bytes());
                    body.extend_from_slice(&run.from_mm.to_le_bytes());
                    body.extend_from_slice(&run.to_mm.to_le_bytes());
                });
            if !written {
                break;
            }
            self.waiting.remove(0);
        }
    }
}

impl Drop for LedgerTap {
    fn drop(&mut self) {
        self.write();
        self.waiting.iter().for_each(|_| self.door.refuse());
    }
}

/// The numbers of the messages are those of [`LineStatus`].
const _: () = assert!(LineStatus::ALL.len() == LOST as usize);
