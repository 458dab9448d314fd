//! Counters of the link to a device that answers requests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a link since the device was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStatistics {
    /// Requests sent.
    pub requests: u64,
    /// Requests that the device refused.
    pub exceptions: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Answers that cannot be read, or belong to another request.
    pub garbled: u64,
    /// Reopenings of the link.
    pub reconnects: u64,
}

/// [`LinkStatistics`], as atomic counters.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests that the device refused.
    pub exceptions: AtomicU64,
    /// Requests without an answer in time.
    pub timeouts: AtomicU64,
    /// Answers that cannot be read, or belong to another request.
    pub garbled: AtomicU64,
    /// Reopenings of the link.
    pub reconnects: AtomicU64,
}

impl LinkCounters {
    /// Adds one to a counter.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn read(&self) -> LinkStatistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkStatistics {
            requests: of(&self.requests),
            exceptions: of(&self.exceptions),
            timeouts: of(&self.timeouts),
            garbled: of(&self.garbled),
            reconnects: of(&self.reconnects),
        }
    }
}
