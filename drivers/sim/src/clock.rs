//! Simulated time.
//!
//! In `as_read` pace the clock stands at the earliest frame that a streaming camera has yet to make. Cameras that are read at
//! different speeds then see one belt. A command takes effect after the latest frame already made. The past stays.

use crate::config::Pace;
use std::time::Instant;

/// Simulated seconds per real second in `as_read` pace while no camera streams. Warm-up and travel then pass quickly.
const FREE: f64 = 50.0;

#[derive(Debug)]
pub(crate) struct Clock {
    pace: Pace,
    scale: f64,
    /// Real time at the simulated time `base_ns`.
    base: Instant,
    base_ns: i64,
    /// Streams by id, with the time of the next frame of each.
    streams: Vec<(u64, i64)>,
    next_id: u64,
    /// Time of the latest frame made, -1 before the first.
    horizon_ns: i64,
    /// Time of the latest command's effect.
    command_ns: i64,
}

impl Clock {
    pub fn new(pace: Pace, scale: f64) -> Self {
        Self { pace, scale, base: Instant::now(), base_ns: 0, streams: Vec::new(), next_id: 0, horizon_ns: -1, command_ns: 0 }
    }

    /// Simulated time, ns since the world began.
    fn now_ns(&self) -> i64 {
        if self.pace == Pace::AsRead
            && let Some(next) = self.streams.iter().map(|(_, next)| *next).min()
        {
            return next;
        }
        let rate = if self.pace == Pace::AsRead { FREE } else { self.scale };
        self.base_ns + (self.base.elapsed().as_nanos() as f64 * rate) as i64
    }

    /// The time of the state that devices report. A command shows at once.
    pub fn seen_ns(&self) -> i64 {
        self.now_ns().max(self.command_ns)
    }

    /// The time of effect of a command given now.
    pub fn command(&mut self) -> i64 {
        self.command_ns = self.seen_ns().max(self.horizon_ns + 1);
        self.command_ns
    }

    /// Begins a stream. Returns its id and the time of its first frame. Every command so far takes effect before that.
    pub fn begin(&mut self) -> (u64, i64) {
        let start_ns = self.seen_ns();
        self.next_id += 1;
        self.streams.push((self.next_id, start_ns));
        (self.next_id, start_ns)
    }

    /// Records the frame made at `time_ns`. The stream's next one is due at `next_ns`.
    pub fn made(&mut self, id: u64, time_ns: i64, next_ns: i64) {
        self.horizon_ns = self.horizon_ns.max(time_ns);
        self.passed(id, next_ns);
    }

    /// Moves a stream on to the frame at `next_ns` without making one.
    pub fn passed(&mut self, id: u64, next_ns: i64) {
        if let Some(stream) = self.streams.iter_mut().find(|(i, _)| *i == id) {
            stream.1 = next_ns;
        }
    }

    /// Ends a stream, which holds the clock no longer. It is idempotent. A stream that will never deliver again is ended too.
    pub fn end(&mut self, id: u64) {
        let now_ns = self.now_ns();
        let before = self.streams.len();
        self.streams.retain(|(i, _)| *i != id);
        if self.pace == Pace::AsRead && before > 0 && self.streams.is_empty() {
            self.base_ns = now_ns.max(self.horizon_ns);
            self.base = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_read_the_slowest_reader_holds_the_clock_and_commands_never_reach_back() {
        let mut clock = Clock::new(Pace::AsRead, 1.0);
        let (a, t0) = clock.begin();
        let (b, t1) = clock.begin();
        assert_eq!(t0, t1, "the clock stands while a camera streams");
        clock.made(a, t0, t0 + 10);
        clock.made(a, t0 + 10, t0 + 20);
        assert_eq!(clock.now_ns(), t0);
        assert_eq!(clock.command(), t0 + 11, "after the latest frame made");
        assert_eq!(clock.seen_ns(), t0 + 11);
        clock.made(b, t0, t0 + 50);
        assert_eq!(clock.now_ns(), t0 + 20);
        clock.end(a);
        assert_eq!(clock.now_ns(), t0 + 50, "a stream that ended holds nothing");
        clock.end(b);
        clock.end(b);
        assert!(clock.now_ns() >= t0 + 50, "time goes on from where it was");
    }
}
