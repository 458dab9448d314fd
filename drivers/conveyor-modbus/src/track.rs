//! Belt position against time.

use contract::PositionTrack;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

/// Number of samples that are kept. They cover more than three minutes at 50 ms.
const KEPT: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Point {
    time_ns: i64,
    position_mm: f64,
    speed_mm_per_s: f64,
    /// Whether the way from the point before is known.
    joined: bool,
}

/// The belt's position at every sample, with straight lines between. A reader holds the lock for a binary search.
#[derive(Debug)]
pub(crate) struct Track {
    points: RwLock<VecDeque<Point>>,
    /// Time after the last sample for which the belt's motion is extrapolated, ns. Beyond it the position is unknown.
    horizon_ns: i64,
}

impl Track {
    pub fn new(horizon_ns: i64) -> Self {
        Self { points: RwLock::new(VecDeque::with_capacity(KEPT)), horizon_ns }
    }

    /// Appends a sample. A sample that is not later than the last one replaces it.
    pub fn push(&self, time_ns: i64, position_mm: f64, speed_mm_per_s: f64, joined: bool) {
        let mut points = self.points.write().unwrap_or_else(PoisonError::into_inner);
        while points.back().is_some_and(|last| last.time_ns >= time_ns) {
            points.pop_back();
        }
        if points.len() == KEPT {
            points.pop_front();
        }
        points.push_back(Point { time_ns, position_mm, speed_mm_per_s, joined });
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of a scan")]
fn seconds(ns: i64) -> f64 {
    ns as f64 * 1e-9
}

impl PositionTrack for Track {
    fn position_mm(&self, time_ns: i64) -> Option<f64> {
        let points = self.points.read().unwrap_or_else(PoisonError::into_inner);
        let after = points.partition_point(|point| point.time_ns <= time_ns);
        let before = points.get(after.checked_sub(1)?)?;
        match points.get(after) {
            Some(next) if next.joined => {
                let share = seconds(time_ns - before.time_ns) / seconds(next.time_ns - before.time_ns);
                Some(before.position_mm + share * (next.position_mm - before.position_mm))
            }
            Some(_) if time_ns > before.time_ns => None,
            None if time_ns - before.time_ns > self.horizon_ns => None,
            _ => Some(before.position_mm + before.speed_mm_per_s * seconds(time_ns - before.time_ns)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn between_samples_straight_behind_them_for_a_while_and_in_a_hole_nothing() {
        let track = Track::new(200 * MS);
        assert_eq!(track.position_mm(0), None);
        track.push(1000 * MS, 0.0, 100.0, false);
        track.push(1100 * MS, 10.0, 100.0, true);
        assert_eq!(track.position_mm(999 * MS), None);
        assert_eq!(track.position_mm(1050 * MS), Some(5.0));
        assert!((track.position_mm(1250 * MS).unwrap() - 25.0).abs() < 1e-9);
        assert_eq!(track.position_mm(1301 * MS), None);
        track.push(5000 * MS, 300.0, 0.0, false);
        assert_eq!(track.position_mm(1200 * MS), None, "nobody knows what it did there");
        assert_eq!(track.position_mm(1100 * MS), Some(10.0));
        assert_eq!(track.position_mm(5000 * MS), Some(300.0));
    }

    proptest! {
        #[test]
        fn a_belt_that_runs_forward_never_goes_back(steps in proptest::collection::vec((1_i64..200, 0.0_f64..5.0), 2..50)) {
            let track = Track::new(0);
            let (mut time, mut at) = (0, 0.0);
            for (ms, mm) in &steps {
                track.push(time, at, 0.0, true);
                time += ms * MS;
                at += mm;
            }
            let seen: Vec<f64> = (0..time / MS).filter_map(|ms| track.position_mm(ms * MS)).collect();
            prop_assert!(seen.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9));
        }
    }
}
