//! The data half: what the library's thread puts in, and what the acquisition thread takes out.

use crate::vendor::{Fault, Raw};
use contract::{CameraError, Frame, FrameCounter, FrameInfo, FramePool, FrameStatus, FrameStream, Received, StreamStatistics, receive};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counts of a stream. The library's thread adds to them, any thread reads them.
#[derive(Default)]
struct Counts {
    received: AtomicU64,
    lost_pool: AtomicU64,
    lost_link: AtomicU64,
}

/// The end that the library calls for each frame. It never waits.
pub(crate) struct Inlet {
    camera: String,
    pool: FramePool,
    frames: Sender<Result<Frame, CameraError>>,
    counts: Arc<Counts>,
    counter: FrameCounter,
    next_number: u64,
    clock_offset_ns: i64,
}

/// The end that the acquisition thread reads.
pub(crate) struct Stream {
    frames: Receiver<Result<Frame, CameraError>>,
    counts: Arc<Counts>,
}

impl Stream {
    /// Both ends of a stream. The computer's clock is `clock_offset_ns` ahead of the camera's.
    pub(crate) fn new(camera: &str, pool: FramePool, clock_offset_ns: i64) -> (Inlet, Self) {
        // A frame that waits holds a slot, so a channel of this size is never full.
        let (sender, frames) = bounded(pool.slots() + 1);
        let counts = Arc::new(Counts::default());
        let stream = Self { frames, counts: Arc::clone(&counts) };
        // This camera counts in 16 bits, begins every stream with 1, and never says 0.
        let counter = FrameCounter::new(16, true).beginning_at(1).expect("1 is the first value of such a counter");
        (Inlet { camera: camera.to_owned(), pool, frames: sender, counts, counter, next_number: 0, clock_offset_ns }, stream)
    }
}

impl Inlet {
    /// Takes what the library brings: a frame, or the reason why there will be no more.
    pub(crate) fn take(&mut self, brought: Result<&Raw, Fault>) {
        let item = match brought {
            Ok(raw) => self.frame(raw).map(Ok),
            Err(fault) => Some(Err(CameraError::Link { camera: self.camera.clone(), reason: fault.to_string() })),
        };
        if let Some(item) = item {
            // This fails where the stream is gone, and then nobody waits for it.
            let _ = self.frames.try_send(item);
        }
    }

    /// The frame in a slot of the pool; `None` where it is lost, and counted.
    fn frame(&mut self, raw: &Raw) -> Option<Frame> {
        // One that comes twice or late is no next frame.
        let number = self.counter.number(u64::from(raw.counter)).ok()?;
        // The camera's own counter tells what the link lost. Counting what arrives could not.
        self.counts.lost_link.fetch_add(number - self.next_number, Ordering::Relaxed);
        self.next_number = number + 1;
        let Some(mut slot) = self.pool.try_take() else {
            self.counts.lost_pool.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let whole = slot.as_u16_mut().is_some_and(|counts| unpack(&raw.packed, counts));
        let info = FrameInfo {
            number,
            device_time_ns: Some(raw.exposed_ns),
            time_ns: raw.exposed_ns.cast_signed() + self.clock_offset_ns,
            status: if whole { FrameStatus::Ok } else { FrameStatus::Incomplete },
            ..FrameInfo::default()
        };
        // Before it is handed on: its reader may ask for the counts at once.
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        Some(Frame { info, slot })
    }
}

impl FrameStream for Stream {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        receive(&self.frames, deadline)
    }

    fn statistics(&self) -> StreamStatistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamStatistics {
            received: count(&self.counts.received),
            lost_pool: count(&self.counts.lost_pool),
            lost_link: count(&self.counts.lost_link),
        }
    }
}

/// Unpacks counts of 12 bits, two in three bytes, the lower bits first. Gives whether all of them are there; those that are not stay
/// as they were.
fn unpack(packed: &[u8], counts: &mut [u16]) -> bool {
    for (bytes, pair) in packed.chunks_exact(3).zip(counts.chunks_mut(2)) {
        let both = [u16::from(bytes[0]) | u16::from(bytes[1] & 0x0f) << 8, u16::from(bytes[1]) >> 4 | u16::from(bytes[2]) << 4];
        pair.copy_from_slice(&both[..pair.len()]);
    }
    packed.len() / 3 * 2 >= counts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_twelve_bits_are_unpacked() {
        let mut counts = [0; 4];
        assert!(unpack(&[0x23, 0x61, 0x45, 0xff, 0x0f, 0x80], &mut counts));
        assert_eq!(counts, [0x123, 0x456, 0xfff, 0x800]);
    }

    #[test]
    fn a_frame_whose_end_is_missing_is_not_whole() {
        let mut counts = [7; 4];
        assert!(!unpack(&[0x23, 0x61, 0x45, 0xff], &mut counts));
        assert_eq!(counts, [0x123, 0x456, 7, 7]);
    }
}
