//! Frames that wait for their place.
//!
//! A frame is here before the encoder's next reading is. Its position would be extrapolated. It waits in its slot of the pool until the
//! track has passed its time.

use contract::{Frame, PositionTrack};
use std::collections::VecDeque;

/// Frames in order, with the bounds of their wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    frames: VecDeque<Frame>,
    /// Most frames; 0 where none waits.
    most: usize,
    /// Longest wait by the frames' own times, ns.
    longest_ns: i64,
    /// Time of the newest frame, ns.
    newest_ns: i64,
}

impl Held {
    /// Room for `most` frames. None waits for a `track` that knows every position at once.
    pub fn new(most: usize, track: Option<&dyn PositionTrack>) -> Self {
        let longest_ns = track.map_or(0, |track| i64::try_from(track.lag().as_nanos()).unwrap_or(i64::MAX));
        let most = if longest_ns > 0 { most } else { 0 };
        Self { frames: VecDeque::with_capacity(most + 1), most, longest_ns, newest_ns: i64::MIN }
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes a frame, or gives it back where it need not wait.
    pub fn push(&mut self, frame: Frame) -> Option<Frame> {
        if self.most == 0 || (frame.info.position_mm.is_some() && self.frames.is_empty()) {
            return Some(frame);
        }
        self.newest_ns = frame.info.time_ns;
        self.frames.push_back(frame);
        None
    }

    /// The first frame, where its position is final (`until_ns`) or it has waited long enough. A track that is silent holds nothing up.
    pub fn next(&mut self, until_ns: i64) -> Option<Frame> {
        let time_ns = self.frames.front()?.info.time_ns;
        let waited = self.frames.len() > self.most || self.newest_ns.saturating_sub(time_ns) > self.longest_ns;
        if time_ns <= until_ns || waited { self.frames.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::{Acquire, Acquired, ConstantSpeed};
    use contract::{FrameInfo, FramePool, Layout, PixelFormat};
    use conveyor_modbus::Track;
    use std::sync::Arc;
    use std::time::Duration;

    const MS: i64 = 1_000_000;
    const POLL: Duration = Duration::from_millis(50);
    const SPEED: f64 = 80.0;
    const RATE: f64 = 330.0;

    /// A live belt at 80 mm/s and 330 lines/s for `seconds`. The track is read every 50 ms until `silent_s`, at times that are wrong by up to
    /// half of `jitter_s`. Gives the places of the lines with their true places, the stalled lines, and the least free slots.
    fn live(slots: usize, held: usize, seconds: f64, (jitter_s, silent_s): (f64, f64)) -> (Vec<(f64, f64)>, u64, usize) {
        let track = Arc::new(Track::new(200 * MS, POLL));
        let constant = ConstantSpeed { speed_mm_per_s: SPEED, frame_rate_hz: RATE };
        let mut stage = Acquire::new(0.0, None, Some(Arc::clone(&track) as _), constant, None).holding(held);
        let pool = FramePool::new(Layout { pixels: 1, bands: 1, format: PixelFormat::U16 }, slots);
        let (mut lines, mut random, mut next) = (Vec::new(), 3_u64, 0);
        for number in 0..(seconds * RATE) as u64 {
            let time_ns = (number as f64 / RATE * 1e9) as i64;
            while next <= time_ns {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let late_s = jitter_s * ((random >> 33) as f64 / (1_u64 << 31) as f64 - 0.5);
                if (next as f64) < silent_s * 1e9 {
                    track.push(next, SPEED * (next as f64 * 1e-9 + late_s), SPEED, next > 0);
                }
                next += 50 * MS;
            }
            let slot = pool.try_take().expect("a frame was lost at the pool");
            let frame = Frame { info: FrameInfo { number, time_ns, ..FrameInfo::default() }, slot };
            let mut out = |item| {
                let Acquired::Line(stamp, _) = item else { panic!("no line is missing") };
                lines.push((stamp.y_mm, SPEED * stamp.time_ns as f64 * 1e-9));
            };
            stage.process(frame, &mut |_| (), &mut out).unwrap();
        }
        let mut out = |item| {
            let Acquired::Line(stamp, _) = item else { panic!("no line is missing") };
            lines.push((stamp.y_mm, SPEED * stamp.time_ns as f64 * 1e-9));
        };
        stage.release(Duration::MAX, &mut |_| (), &mut out).unwrap();
        assert_eq!(stage.sums().received, (seconds * RATE) as u64);
        assert_eq!(pool.free(), slots, "all of them came back");
        (lines, stage.sums().unusable, pool.least_free())
    }

    fn rms(lines: &[(f64, f64)]) -> f64 {
        let steady: Vec<f64> = lines.iter().filter(|line| line.1 > SPEED).map(|line| (line.0 - line.1).powi(2)).collect();
        (steady.iter().sum::<f64>() / steady.len() as f64).sqrt()
    }

    #[test]
    fn lines_of_a_live_belt_lie_where_they_were_and_none_is_dropped() {
        let (at_once, ..) = live(8, 0, 60.0, (0.003, 60.0));
        assert!(rms(&at_once) > 0.05, "without the wait: {} mm", rms(&at_once));
        let (lines, dropped, free) = live(256, 256, 60.0, (0.003, 60.0));
        assert!(rms(&lines) <= 0.03, "{} mm", rms(&lines));
        assert_eq!(dropped, 0);
        // Twice as much jitter takes extrapolated lines back behind those before them.
        let (at_once, dropped, _) = live(8, 0, 60.0, (0.006, 60.0));
        assert!(rms(&at_once) > 0.1 && dropped > 50, "without the wait: {} mm, {dropped} dropped", rms(&at_once));
        let (lines, dropped, _) = live(256, 256, 60.0, (0.006, 60.0));
        assert!(rms(&lines) <= 0.06 && dropped < 20, "{} mm, {dropped} dropped", rms(&lines));
        // 0.3 s of lines and no more are waiting.
        assert!((256 - 117..=256 - 80).contains(&free), "{free}");
    }

    #[test]
    fn a_track_that_is_silent_holds_no_line_for_long_and_costs_none() {
        let (lines, dropped, free) = live(256, 256, 4.0, (0.003, 2.0));
        assert_eq!((lines.len() as u64 + dropped, 256 - free), (1320, 117), "0.35 s of lines wait at most");
        // The last speed holds for a while, then the belt is taken to go on.
        assert!(lines.iter().all(|(at, truth)| (at - truth).abs() < 1.0));
        let (lines, dropped, free) = live(40, 40, 4.0, (0.003, 4.0));
        assert_eq!(lines.len() as u64 + dropped, 1320);
        assert_eq!(free, 40 - 21, "at most half of a small pool waits");
    }

    #[test]
    fn a_frame_with_a_position_and_a_track_that_knows_all_wait_for_nothing() {
        struct Exact;
        impl PositionTrack for Exact {
            fn position_mm(&self, time_ns: i64) -> Option<f64> {
                Some(time_ns as f64)
            }
        }
        let pool = FramePool::new(Layout { pixels: 1, bands: 1, format: PixelFormat::U16 }, 1);
        let frame = |position_mm| Frame { info: FrameInfo { position_mm, ..FrameInfo::default() }, slot: pool.try_take().unwrap() };
        assert!(Held::new(100, Some(&Exact)).push(frame(None)).is_some());
        assert!(Held::new(100, None).push(frame(None)).is_some());
        let mut held = Held::new(100, Some(&Track::new(0, POLL)));
        assert!(held.push(frame(Some(1.0))).is_some());
        assert!(held.push(frame(None)).is_none() && held.next(-1).is_none() && held.next(0).is_some());
    }
}
