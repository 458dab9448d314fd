//! A lamp that warms up, and what changes its light.

use crate::config::LampChange;

/// Number of time constants after which a lamp counts as warm. Warm lamps are then equally bright to the last bit.
const WARM: f64 = 8.0;

/// A lamp's levels over time.
#[derive(Debug)]
pub(crate) struct LampHistory {
    pub name: String,
    share: f64,
    /// Start of each level, the level, and the brightness at its start.
    levels: Vec<(i64, f64, f64)>,
}

impl LampHistory {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), share: 1.0, levels: vec![(0, 0.0, 0.0)] }
    }

    pub fn set_share(&mut self, share: f64) {
        self.share = share;
    }

    fn at(&self, time_ns: i64) -> (i64, f64, f64) {
        let after = self.levels.partition_point(|(from, ..)| *from <= time_ns);
        self.levels[after.saturating_sub(1)]
    }

    /// The commanded level.
    pub fn level(&self, time_ns: i64) -> f64 {
        self.at(time_ns).1
    }

    /// Its share of the full light. A lamp warms up exponentially. It is dark at once when switched off.
    pub fn light(&self, time_ns: i64, warm_up_s: f64) -> f64 {
        self.share * self.brightness(time_ns, warm_up_s)
    }

    fn brightness(&self, time_ns: i64, warm_up_s: f64) -> f64 {
        let (from, level, before) = self.at(time_ns);
        let elapsed = (time_ns - from).max(0) as f64 * 1e-9;
        if level == 0.0 || warm_up_s == 0.0 || elapsed > WARM * warm_up_s {
            return level;
        }
        level + (before - level) * (-elapsed / warm_up_s).exp()
    }

    pub fn set(&mut self, time_ns: i64, level: f64, warm_up_s: f64) {
        let before = self.brightness(time_ns, warm_up_s);
        self.levels.retain(|(from, ..)| *from < time_ns);
        self.levels.push((time_ns, level, before));
    }
}

/// The factor of the light from a lasting change, a time after its beginning.
pub(crate) fn changed(change: &LampChange, since_s: f64) -> f64 {
    let done = match since_s {
        _ if since_s < 0.0 => 0.0,
        _ if since_s >= change.over_s => 1.0,
        _ => since_s / change.over_s,
    };
    1.0 + change.share * done
}

/// The mean over an exposure of light with a ripple.
pub(crate) fn ripple(share: f64, hz: f64, middle_s: f64, exposure_s: f64) -> f64 {
    let half = std::f64::consts::PI * hz * exposure_s;
    let damped = if half == 0.0 { 1.0 } else { half.sin() / half };
    1.0 + share * damped * (std::f64::consts::TAU * hz * middle_s).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lamp_warms_up_and_goes_out_at_once() {
        let mut lamp = LampHistory::new("halogen");
        lamp.set(1_000_000_000, 1.0, 2.0);
        assert_eq!(lamp.light(900_000_000, 2.0), 0.0);
        assert!((lamp.light(3_000_000_000, 2.0) - (1.0 - (-1.0_f64).exp())).abs() < 1e-12);
        assert_eq!(lamp.light(30_000_000_000, 2.0), 1.0);
        lamp.set(30_000_000_000, 0.5, 2.0);
        assert!(lamp.light(30_500_000_000, 2.0) > 0.7, "dimmed, it cools down slowly");
        lamp.set(40_000_000_000, 0.0, 2.0);
        assert_eq!(lamp.light(40_000_000_000, 2.0), 0.0);
        assert_eq!(lamp.light(30_000_000_000 - 1, 2.0), 1.0, "the past stays");
    }
}
