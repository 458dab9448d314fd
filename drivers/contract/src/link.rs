//! What is counted of the link to a device that is asked and answers.

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
    /// Answers that cannot be read, or were meant for somebody else.
    pub garbled: u64,
    /// Times that the link was opened anew.
    pub reconnects: u64,
}

/// [`LinkStatistics`] as they are counted.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests that the device refused.
    pub exceptions: AtomicU64,
    /// Requests without an answer in time.
    pub timeouts: AtomicU64,
    /// Answers that cannot be read, or were meant for somebody else.
    pub garbled: AtomicU64,
    /// Times that the link was opened anew.
    pub reconnects: AtomicU64,
}

impl LinkCounters {
    /// One more.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
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
