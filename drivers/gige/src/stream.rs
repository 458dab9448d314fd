//! The stream as the acquisition sees it.

use crate::flow::Counters;
use contract::{CameraError, Frame, FrameStream, Received, StreamStatistics};
use crossbeam_channel::Receiver;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// The frames of one stream.
pub struct Stream {
    pub frames: Receiver<Result<Frame, CameraError>>,
    pub counters: Arc<Counters>,
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl FrameStream for Stream {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        contract::receive(&self.frames, deadline)
    }

    fn statistics(&self) -> StreamStatistics {
        let counters = &self.counters;
        StreamStatistics { received: of(&counters.received), lost_pool: of(&counters.lost_pool), lost_link: of(&counters.lost_link) }
    }

    fn link_counters(&self) -> Vec<(String, u64)> {
        let library = self.counters.library.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |(name, count): &(String, u64)| (name.strip_prefix("n_").unwrap_or(name).to_owned(), *count);
        let own = [("copied_frames", &self.counters.copied), ("out_of_order_frames", &self.counters.out_of_order)];
        library.iter().map(plain).chain(own.map(|(name, counter)| (name.to_owned(), of(counter)))).collect()
    }
}
