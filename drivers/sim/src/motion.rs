//! Where the belt is: a list of stretches of constant speed, of which the past is never rewritten.

/// From `from_ns` on, the belt moves at constant speed. What the encoder reads and where the belt is differ once it slips.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_ns: i64,
    read_mm: f64,
    true_mm: f64,
    read_mm_per_s: f64,
    true_mm_per_s: f64,
}

/// Position and speed at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// What the encoder reads, mm.
    pub read_mm: f64,
    /// Where the belt is, mm.
    pub true_mm: f64,
    /// What the encoder reads, mm/s.
    pub read_mm_per_s: f64,
    /// How fast the belt is, mm/s.
    pub true_mm_per_s: f64,
}

#[derive(Debug)]
pub(crate) struct Motion {
    stretches: Vec<Stretch>,
    commanded_mm_per_s: f64,
    stalls_at_mm: Option<f64>,
    reverses_at_mm: Option<f64>,
    slips: Option<(f64, f64)>,
}

fn seconds(ns: i64) -> f64 {
    ns as f64 * 1e-9
}

impl Motion {
    /// A belt that stands at `start_mm`.
    pub fn new(start_mm: f64) -> Self {
        let first = Stretch { from_ns: 0, read_mm: start_mm, true_mm: start_mm, read_mm_per_s: 0.0, true_mm_per_s: 0.0 };
        Self { stretches: vec![first], commanded_mm_per_s: 0.0, stalls_at_mm: None, reverses_at_mm: None, slips: None }
    }

    /// Whether it never was told to move.
    pub fn is_fresh(&self) -> bool {
        self.stretches.len() == 1 && self.commanded_mm_per_s == 0.0
    }

    pub fn at(&self, time_ns: i64) -> Place {
        let after = self.stretches.partition_point(|s| s.from_ns <= time_ns);
        let stretch = &self.stretches[after.saturating_sub(1)];
        let dt = seconds((time_ns - stretch.from_ns).max(0));
        Place {
            read_mm: stretch.read_mm + stretch.read_mm_per_s * dt,
            true_mm: stretch.true_mm + stretch.true_mm_per_s * dt,
            read_mm_per_s: stretch.read_mm_per_s,
            true_mm_per_s: stretch.true_mm_per_s,
        }
    }

    /// Whether the encoder has read `at_mm` or more at any time up to `time_ns`.
    pub fn has_passed(&self, at_mm: f64, time_ns: i64) -> bool {
        let begun = self.stretches.iter().take_while(|s| s.from_ns <= time_ns);
        self.at(time_ns).read_mm >= at_mm || begun.into_iter().any(|s| s.read_mm >= at_mm)
    }

    /// The drive turns at `mm_per_s` from `time_ns` on.
    pub fn command(&mut self, time_ns: i64, mm_per_s: f64) {
        self.commanded_mm_per_s = mm_per_s;
        self.plan(time_ns);
    }

    /// Faults that hold from `time_ns` on; `slips` is the position from which on, and the share of the motion that is lost.
    pub fn set_faults(&mut self, time_ns: i64, stalls_at_mm: Option<f64>, reverses_at_mm: Option<f64>, slips: Option<(f64, f64)>) {
        (self.stalls_at_mm, self.reverses_at_mm, self.slips) = (stalls_at_mm, reverses_at_mm, slips);
        self.plan(time_ns);
    }

    /// Lays out all stretches from `time_ns` on anew: now, where the slip begins, where the belt stalls or turns round.
    fn plan(&mut self, time_ns: i64) {
        let mut here = self.at(time_ns);
        self.stretches.retain(|s| s.from_ns < time_ns);
        let mut now_ns = time_ns;
        let speed = self.commanded_mm_per_s;
        let mut marks: Vec<f64> = self.slips.map(|(at, _)| at).into_iter().chain(self.stalls_at_mm).chain(self.reverses_at_mm).collect();
        marks.sort_by(f64::total_cmp);
        loop {
            let stalled = self.stalls_at_mm.is_some_and(|at| here.read_mm >= at);
            let turned = speed > 0.0 && self.reverses_at_mm.is_some_and(|at| here.read_mm >= at);
            let lost = self.slips.filter(|(at, _)| here.read_mm >= *at).map_or(0.0, |(_, share)| share);
            let read_mm_per_s = if stalled {
                0.0
            } else if turned {
                -speed
            } else {
                speed
            };
            let true_mm_per_s = read_mm_per_s * (1.0 - lost);
            let Place { read_mm, true_mm, .. } = here;
            self.stretches.push(Stretch { from_ns: now_ns, read_mm, true_mm, read_mm_per_s, true_mm_per_s });
            let Some(&mark) = marks.iter().find(|&&mark| mark > read_mm) else { return };
            if read_mm_per_s <= 0.0 {
                return;
            }
            let dt = (mark - read_mm) / read_mm_per_s;
            now_ns += ((dt * 1e9) as i64).max(1);
            here = Place { read_mm: mark, true_mm: true_mm + true_mm_per_s * dt, read_mm_per_s, true_mm_per_s };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn positions_follow_from_every_change_of_speed_also_in_the_past() {
        let mut belt = Motion::new(-120.0);
        belt.command(S, 40.0);
        belt.command(3 * S, -10.0);
        belt.command(5 * S, 0.0);
        for (t, mm) in [(0, -120.0), (S, -120.0), (2 * S, -80.0), (3 * S, -40.0), (4 * S, -50.0), (5 * S, -60.0), (9 * S, -60.0)] {
            assert_eq!(belt.at(t).read_mm, mm, "at {t}");
            assert_eq!(belt.at(t).true_mm, mm, "at {t}");
        }
        assert!(belt.has_passed(-41.0, 4 * S) && !belt.has_passed(-41.0, 2 * S));
    }

    #[test]
    fn a_belt_stalls_where_it_should_and_moves_again_when_the_fault_is_gone() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, Some(20.0), None, None);
        belt.command(0, 10.0);
        assert_eq!(belt.at(S).read_mm, 10.0);
        assert_eq!(belt.at(4 * S).read_mm, 20.0);
        assert_eq!(belt.at(4 * S).read_mm_per_s, 0.0);
        belt.set_faults(4 * S, None, None, None);
        assert_eq!(belt.at(3 * S).read_mm, 20.0, "the past stays");
        assert_eq!(belt.at(5 * S).read_mm, 30.0);
    }

    #[test]
    fn a_belt_that_turns_round_runs_back_until_it_is_stopped() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, None, Some(20.0), None);
        belt.command(0, 10.0);
        for (t, mm) in [(S, 10.0), (2 * S, 20.0), (3 * S, 10.0), (5 * S, -10.0)] {
            assert_eq!(belt.at(t).read_mm, mm, "at {t}");
        }
        belt.command(5 * S, 0.0);
        assert_eq!((belt.at(6 * S).read_mm, belt.at(3 * S).read_mm), (-10.0, 10.0));
    }

    #[test]
    fn a_belt_that_slips_is_not_where_the_encoder_says() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, None, None, Some((10.0, 0.25)));
        belt.command(0, 10.0);
        assert_eq!(belt.at(S).true_mm, 10.0);
        assert_eq!(belt.at(3 * S).read_mm, 30.0);
        assert_eq!(belt.at(3 * S).true_mm, 25.0);
    }
}
