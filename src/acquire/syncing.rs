//! Syncs a recording from time to time while it grows.

use crossbeam_channel::{Sender, TrySendError, bounded};
use std::fs::File;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread that waits for the disk. The one that writes the recording does not.
#[derive(Debug)]
pub(super) struct Syncing {
    ask: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
    every: Duration,
    /// When a sync was last asked for.
    asked: Instant,
    /// Whether anything was written since then.
    written: bool,
}

impl Syncing {
    /// Starts the thread, for the counts of a recording, its checksums, and its table of lines.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn start(counts: File, checksums: File, lines: File, every: Duration) -> io::Result<Self> {
        let (ask, asked) = bounded::<()>(1);
        let run = move || {
            for () in asked {
                // A line may be recovered when its counts, its row and its checksum are on the disk. The checksum is written first.
                // It must also be there first, whichever of the other two comes last.
                checksums.sync_data()?;
                counts.sync_data()?;
                checksums.sync_data()?;
                lines.sync_data()?;
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("record-sync".into()).spawn(run)?;
        Ok(Self { ask, thread, every, asked: Instant::now(), written: false })
    }

    /// Longest time until [`Syncing::tick`] is due.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// Notes that the recording grew.
    pub(super) fn wrote(&mut self) {
        self.written = true;
    }

    /// Has the thread sync the recording where that is due. A sync that still runs is not waited for. Gives false after a failed sync.
    pub(super) fn tick(&mut self) -> bool {
        if !self.written || self.asked.elapsed() < self.every {
            return true;
        }
        let result = self.ask.try_send(());
        if result.is_ok() {
            (self.asked, self.written) = (Instant::now(), false);
        }
        !matches!(result, Err(TrySendError::Disconnected(())))
    }

    /// Waits for a running sync.
    ///
    /// # Errors
    /// A sync failed. The system reports that once, and not to a later sync by another handle.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.ask);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
