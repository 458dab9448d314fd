//! The clock that stamps frames and belt positions.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The moment of the last reading of the computer's clock, and its time, ns since 1970-01-01T00:00:00Z.
static TAKEN: Mutex<Option<(Instant, i64)>> = Mutex::new(None);

fn wall_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn since((then, wall_ns): (Instant, i64)) -> i64 {
    wall_ns.saturating_add(i64::try_from(then.elapsed().as_nanos()).unwrap_or(i64::MAX))
}

/// Now, ns since 1970-01-01T00:00:00Z. The time goes on evenly, also when the computer's clock is set. A camera and a belt with
/// its stamps fit each other.
pub fn now_ns() -> i64 {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    since(*taken.get_or_insert_with(|| (Instant::now(), wall_ns())))
}

/// The change of the computer's clock since its last reading, ns. It is positive for a clock that was set forward.
pub fn clock_step_ns() -> i64 {
    wall_ns().saturating_sub(now_ns())
}

/// Reads the computer's clock again, between two scans. Returns the step of [`now_ns`], ns.
pub fn take_clock() -> i64 {
    let step_ns = clock_step_ns();
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), wall_ns()));
    step_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_clock_that_was_taken() {
        let before = now_ns();
        assert!(now_ns() >= before && clock_step_ns().abs() < 1_000_000_000);
        let a_day_ago = wall_ns() - 86_400_000_000_000;
        let now = since((Instant::now(), a_day_ago));
        assert!((0..1_000_000_000).contains(&(now - a_day_ago)), "what the clock says now does not enter");
    }
}
