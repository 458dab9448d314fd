//! Belt position against time.
//!
//! A sample is a position at a time. The bus delays its requests unevenly, so the time is uncertain by some milliseconds. A line through the
//! samples around a time averages that out. A belt that changes its speed lies on no line, and is then followed from sample to sample.

use contract::PositionTrack;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Number of samples that are kept. They cover more than three minutes at 50 ms.
const KEPT: usize = 4096;
/// Time before and after a place in which samples belong to its line, ns.
const SMOOTHED_NS: i64 = 250_000_000;
/// Least number of samples for a line.
const LEAST: usize = 6;
/// A bend of the belt's motion is real beyond this many standard errors.
const BEND_SIGMAS: f64 = 3.0;

#[derive(Debug, Clone, Copy)]
struct Point {
    time_ns: i64,
    position_mm: f64,
    speed_mm_per_s: f64,
    /// Whether the way from the point before is known.
    joined: bool,
}

/// The belt's position at every sample, smoothed between them. A reader holds the lock for a binary search and a sum over some samples.
#[derive(Debug)]
pub struct Track {
    points: RwLock<VecDeque<Point>>,
    /// Time after the last sample for which the belt's motion is extrapolated, ns. Beyond it the position is unknown.
    horizon_ns: i64,
    /// Usual interval of the samples.
    poll: Duration,
}

impl Track {
    /// An empty track of a belt that is read every `poll`. The last speed holds for `horizon_ns` after a sample.
    pub fn new(horizon_ns: i64, poll: Duration) -> Self {
        Self { points: RwLock::new(VecDeque::with_capacity(KEPT)), horizon_ns, poll }
    }

    /// Longest time until the position at a time is final, for a belt that is read every `poll`. One reading may be lost.
    pub fn longest_lag(poll: Duration) -> Duration {
        Duration::from_nanos(SMOOTHED_NS.unsigned_abs()) + 2 * poll
    }

    /// Appends a sample: host time (ns), position (mm) and speed (mm/s). `joined` says whether the way from the sample before is known.
    /// A sample that is not later than the last one replaces it.
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
                let straight = before.position_mm + share * (next.position_mm - before.position_mm);
                // No place leaves the samples around it, so a belt that goes forward is never seen to go back over one.
                let (low, high) = (before.position_mm.min(next.position_mm), before.position_mm.max(next.position_mm));
                Some(smoothed(&points, after, time_ns).map_or(straight, |line| line.clamp(low, high)))
            }
            Some(_) if time_ns > before.time_ns => None,
            None if time_ns - before.time_ns > self.horizon_ns => None,
            _ => Some(before.position_mm + before.speed_mm_per_s * seconds(time_ns - before.time_ns)),
        }
    }

    fn final_until_ns(&self) -> i64 {
        let points = self.points.read().unwrap_or_else(PoisonError::into_inner);
        points.back().map_or(i64::MIN, |last| last.time_ns.saturating_sub(SMOOTHED_NS))
    }

    fn lag(&self) -> Duration {
        Self::longest_lag(self.poll)
    }
}

/// Position at `time_ns` on the line of least squares through the samples within [`SMOOTHED_NS`]. `after` is the first sample behind.
///
/// `None` where the belt changes its speed. A parabola through the same samples then differs from the line by more than their scatter
/// about it explains. Its value has the larger variance. Both fits are nested, so the variance of their difference is the difference of
/// their variances.
fn smoothed(points: &VecDeque<Point>, after: usize, time_ns: i64) -> Option<f64> {
    let near = |point: &Point| (point.time_ns - time_ns).abs() <= SMOOTHED_NS;
    let origin_mm = points.get(after)?.position_mm;
    // Sums of t^0 to t^4, and of x t^0 to x t^2 and x^2. Times in units of the window keep them near one.
    let (mut t, mut x, mut xx) = ([0.0_f64; 5], [0.0_f64; 3], 0.0);
    let mut add = |point: &Point| {
        let time = seconds(point.time_ns - time_ns) / seconds(SMOOTHED_NS);
        let way = point.position_mm - origin_mm;
        let powers = [1.0, time, time * time, time * time * time, time * time * time * time];
        t.iter_mut().zip(powers).for_each(|(sum, power)| *sum += power);
        x.iter_mut().zip(powers).for_each(|(sum, power)| *sum += way * power);
        xx += way * way;
    };
    let mut number = 0;
    for point in points.range(after..).take_while(|point| point.joined && near(point)) {
        add(point);
        number += 1;
    }
    let behind = number;
    for (i, point) in points.range(..after).enumerate().rev().take_while(|(_, point)| near(point)) {
        add(point);
        number += 1;
        if !points.get(i).is_some_and(|point| point.joined) {
            break;
        }
    }
    if number < LEAST || behind < 2 || number - behind < 2 {
        return None;
    }
    let line_det = t[0] * t[2] - t[1] * t[1];
    let line = (x[0] * t[2] - x[1] * t[1]) / line_det;
    let line_variance = t[2] / line_det;
    // Cofactors of the normal equations of the parabola.
    let (c0, c1, c2) = (t[2] * t[4] - t[3] * t[3], t[2] * t[3] - t[1] * t[4], t[1] * t[3] - t[2] * t[2]);
    let det = t[0] * c0 + t[1] * c1 + t[2] * c2;
    let a = (x[0] * c0 + x[1] * c1 + x[2] * c2) / det;
    let b = (x[0] * c1 + x[1] * (t[0] * t[4] - t[2] * t[2]) + x[2] * (t[1] * t[2] - t[0] * t[3])) / det;
    let c = (x[0] * c2 + x[1] * (t[1] * t[2] - t[0] * t[3]) + x[2] * line_det) / det;
    #[expect(clippy::cast_precision_loss, reason = "some samples")]
    let scatter = ((xx - a * x[0] - b * x[1] - c * x[2]) / (number - 3) as f64).max(0.0);
    let allowed_mm = BEND_SIGMAS * (scatter * (c0 / det - line_variance)).max(0.0).sqrt();
    let bend_mm = (a - line).abs();
    // Even samples leave rounding alone.
    (bend_mm <= allowed_mm + 1e-9).then_some(origin_mm + line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;
    const POLL: Duration = Duration::from_millis(50);

    /// A track of samples every 50 ms for `seconds` of a belt at `position(s)`. Their times are wrong by up to `jitter_ms` / 2.
    fn sampled(seconds: f64, jitter_ms: f64, speed_mm_per_s: f64, position: impl Fn(f64) -> f64) -> Track {
        let track = Track::new(200 * MS, POLL);
        let mut random = 7_u64;
        for n in 0..(seconds / 0.05) as i64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let late_ms = jitter_ms * ((random >> 33) as f64 / (1_u64 << 31) as f64 - 0.5);
            track.push(n * 50 * MS, position(n as f64 * 0.05 + late_ms * 1e-3), speed_mm_per_s, n > 0);
        }
        track
    }

    /// Root of the mean square and largest difference from the belt's true place, at 330 lines/s between two times, s.
    fn errors(track: &Track, from: f64, to: f64, position: impl Fn(f64) -> f64) -> (f64, f64) {
        let off = |t: f64| track.position_mm((t * 1e9) as i64).unwrap() - position(t);
        let all: Vec<f64> = (0..((to - from) * 330.0) as i64).map(|n| off(from + n as f64 / 330.0)).collect();
        let square = all.iter().map(|off| off * off).sum::<f64>() / all.len() as f64;
        (square.sqrt(), all.iter().fold(0.0, |worst: f64, off| worst.max(off.abs())))
    }

    #[test]
    fn a_line_through_the_samples_averages_the_jitter_of_the_bus_out() {
        let belt = |t: f64| 80.0 * t;
        let track = sampled(60.0, 3.0, 80.0, belt);
        let (rms, worst) = errors(&track, 1.0, 59.0, belt);
        assert!(rms <= 0.03 && worst < 0.12, "{rms} {worst}");
        // Without it, a place has the errors of the samples beside it.
        let straight = |t: f64| {
            let points = track.points.read().unwrap();
            let after = points.partition_point(|point| point.time_ns <= (t * 1e9) as i64);
            let (from, to) = (points[after - 1], points[after]);
            from.position_mm + (t - seconds(from.time_ns)) / 0.05 * (to.position_mm - from.position_mm)
        };
        let unsmoothed = (330..59 * 330).map(|n| straight(f64::from(n) / 330.0) - belt(f64::from(n) / 330.0)).map(|off| off * off);
        assert!((unsmoothed.sum::<f64>() / f64::from(58 * 330)).sqrt() > 0.05);
    }

    #[test]
    fn ramps_and_stalls_stay_as_they_are() {
        // Half a second to 80 mm/s, four seconds there, and half a second to standstill.
        let ramp = |t: f64| match t {
            t if t < 1.0 => 0.0,
            t if t < 1.5 => 80.0 * (t - 1.0).powi(2),
            t if t < 5.5 => 20.0 + 80.0 * (t - 1.5),
            t if t < 6.0 => 360.0 - 80.0 * (6.0 - t).powi(2),
            _ => 360.0,
        };
        let exact = errors(&sampled(8.0, 0.0, 80.0, ramp), 0.3, 7.7, ramp);
        assert!(exact.1 < 0.06, "as between two samples: {exact:?}");
        let (rms, worst) = errors(&sampled(8.0, 3.0, 80.0, ramp), 0.3, 7.7, ramp);
        assert!(rms < 0.06 && worst < 0.25, "{rms} {worst}");
        // A belt that stops at once.
        let stall = |t: f64| 80.0 * t.min(3.01);
        let track = sampled(6.0, 3.0, 80.0, stall);
        let (_, worst) = errors(&track, 3.1, 5.5, stall);
        assert!(worst < 0.15, "{worst}");
        assert_eq!(track.position_mm(5000 * MS), track.position_mm(4000 * MS), "it stands");
    }

    #[test]
    fn a_position_is_final_once_the_track_says_so() {
        let belt = |t: f64| 80.0 * t;
        let (short, long) = (sampled(3.0, 3.0, 80.0, belt), sampled(5.0, 3.0, 80.0, belt));
        let until = short.final_until_ns();
        assert_eq!(until, 2700 * MS, "a quarter of a second before the last sample");
        for ms in 0..=until / MS {
            assert_eq!(short.position_mm(ms * MS), long.position_mm(ms * MS), "at {ms} ms");
        }
        assert_ne!(short.position_mm(until + 100 * MS), long.position_mm(until + 100 * MS));
        assert_eq!(short.lag(), Duration::from_millis(350));
        assert_eq!(Track::new(0, POLL).final_until_ns(), i64::MIN);
    }

    #[test]
    fn between_samples_straight_behind_them_for_a_while_and_in_a_hole_nothing() {
        let track = Track::new(200 * MS, POLL);
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
        fn a_place_lies_between_the_samples_around_it(steps in proptest::collection::vec((1_i64..200, 0.0_f64..5.0), 2..50)) {
            let track = Track::new(0, POLL);
            let mut samples = vec![(0, 0.0)];
            for (ms, mm) in &steps {
                let (time, at) = *samples.last().unwrap();
                track.push(time * MS, at, 0.0, true);
                samples.push((time + ms, at + mm));
            }
            for pair in samples[..steps.len()].windows(2) {
                let ((from, low), (to, high)) = (pair[0], pair[1]);
                for ms in from..to {
                    let at = track.position_mm(ms * MS).unwrap();
                    prop_assert!(low <= at && at <= high, "{low} {at} {high}");
                }
            }
        }
    }
}
