//! Two ready-made streams for sources that make or read a frame when asked. One is paced like a live camera, one runs on demand.

use crate::camera::{CameraError, FrameStream, Received, StreamStatistics};
use crate::frame::{Frame, FrameInfo, FramePool, Slot};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A source's answer to a request for its next frame.
#[derive(Debug)]
pub enum Filled {
    /// The slot is filled.
    Frame(FrameInfo),
    /// There is no further frame.
    End,
}

/// A source of frames, in their order.
pub trait FrameSource: Send {
    /// Number and due time (since the start of the stream) of the next frame. `None` at the end.
    fn next_due(&mut self) -> Option<(u64, Duration)>;
    /// Fills the next frame.
    ///
    /// # Errors
    /// [`CameraError::Recording`] or [`CameraError::Link`] for a frame that cannot be made. The stream ends there.
    fn fill(&mut self, slot: &mut Slot) -> Result<Filled, CameraError>;
    /// Skips the next frame. It is lost.
    fn skip(&mut self);
}

/// Reads each frame when it is asked for, and waits for a free slot. Nothing is ever lost here.
pub struct OnDemand<S> {
    source: S,
    pool: FramePool,
    stopped: Arc<AtomicBool>,
    statistics: StreamStatistics,
    next_number: u64,
}

impl<S: FrameSource> OnDemand<S> {
    /// A stream of `source`. It ends early once `stopped` is set.
    pub fn new(source: S, pool: FramePool, stopped: Arc<AtomicBool>) -> Self {
        Self { source, pool, stopped, statistics: StreamStatistics::default(), next_number: 0 }
    }
}

impl<S: FrameSource> FrameStream for OnDemand<S> {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        if self.stopped.load(Ordering::Acquire) || self.source.next_due().is_none() {
            return Ok(Received::End);
        }
        let Some(mut slot) = self.pool.take(deadline) else { return Ok(Received::Nothing) };
        match self.source.fill(&mut slot)? {
            Filled::End => Ok(Received::End),
            Filled::Frame(info) => {
                self.statistics.received += 1;
                self.statistics.lost_link += info.number.saturating_sub(self.next_number);
                self.next_number = info.number + 1;
                Ok(Received::Frame(Frame { info, slot }))
            }
        }
    }

    fn statistics(&self) -> StreamStatistics {
        self.statistics
    }
}

/// The next item of a [`FrameStream`] over a channel. The stream ends with the channel.
///
/// # Errors
/// The error that the sender put into the channel.
pub fn receive(frames: &Receiver<Result<Frame, CameraError>>, deadline: Instant) -> Result<Received, CameraError> {
    match frames.recv_deadline(deadline) {
        Ok(frame) => frame.map(Received::Frame),
        Err(RecvTimeoutError::Timeout) => Ok(Received::Nothing),
        Err(RecvTimeoutError::Disconnected) => Ok(Received::End),
    }
}

#[derive(Default)]
struct Counters {
    received: AtomicU64,
    lost_pool: AtomicU64,
    lost_link: AtomicU64,
}

/// Delivers frames when they are due, from its own thread. It loses a frame without a free slot, as a live camera does.
pub struct Paced {
    frames: Receiver<Result<Frame, CameraError>>,
    counters: Arc<Counters>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Paced {
    /// Starts the thread `name`. The stream ends once `stopped` is set or the source is at its end.
    ///
    /// # Errors
    /// The system's error for a thread that cannot start.
    pub fn spawn<S: FrameSource + 'static>(name: &str, mut source: S, pool: FramePool, stopped: Arc<AtomicBool>) -> std::io::Result<Self> {
        // Every queued frame holds a slot of the pool. The queue can never be the narrower place.
        let (sender, frames) = bounded(pool.slots() + 1);
        let counters = Arc::new(Counters::default());
        let (seen, flag) = (Arc::clone(&counters), Arc::clone(&stopped));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let begin = Instant::now();
            let mut next_number = 0;
            while let Some((number, due)) = source.next_due() {
                let at = begin + due;
                loop {
                    if flag.load(Ordering::Acquire) {
                        return;
                    }
                    let now = Instant::now();
                    if now >= at {
                        break;
                    }
                    std::thread::sleep((at - now).min(Duration::from_millis(20)));
                }
                seen.lost_link.fetch_add(number.saturating_sub(next_number), Ordering::Relaxed);
                next_number = number + 1;
                let Some(mut slot) = pool.try_take() else {
                    source.skip();
                    seen.lost_pool.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                let item = match source.fill(&mut slot) {
                    Ok(Filled::End) => return,
                    Ok(Filled::Frame(info)) => Ok(Frame { info, slot }),
                    Err(error) => Err(error),
                };
                let failed = item.is_err();
                // The count comes before the delivery. The receiver may ask at once.
                seen.received.fetch_add(u64::from(!failed), Ordering::Relaxed);
                if sender.send(item).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { frames, counters, stopped, thread: Some(thread) })
    }
}

impl FrameStream for Paced {
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError> {
        receive(&self.frames, deadline)
    }

    fn statistics(&self) -> StreamStatistics {
        StreamStatistics {
            received: self.counters.received.load(Ordering::Relaxed),
            lost_pool: self.counters.lost_pool.load(Ordering::Relaxed),
            lost_link: self.counters.lost_link.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
