//! The belt's position as a list of stretches of constant speed. The past is never rewritten.

/// A stretch of constant speed from `from_ns` on. The encoder's reading and the belt's position differ after a slip.
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
    /// The encoder's reading, mm.
    pub read_mm: f64,
    /// The belt's position, mm.
    pub true_mm: f64,
    /// Speed of the encoder's reading, mm/s.
    pub read_mm_per_s: f64,
    /// Speed of the belt, mm/s.
    pub true_mm_per_s: f64,
}

/// Faults of the belt, its drive and its encoder. Each begins at a reading of the encoder, mm.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct BeltFaults {
    /// The belt stands.
    pub stands_at_mm: Option<f64>,
    /// The belt runs backwards.
    pub reverses_at_mm: Option<f64>,
    /// The belt loses a share of its motion.
    pub slips: Option<(f64, f64)>,
    /// The drive has no link, and stops after this time, s.
    pub silent: Option<(f64, f64)>,
    /// The encoder sticks.
    pub sticks_at_mm: Option<f64>,
    /// The encoder jumps by this distance, mm.
    pub jumps: Option<(f64, f64)>,
}

impl BeltFaults {
    fn encoder_lies(&self) -> bool {
        self.sticks_at_mm.is_some() || self.jumps.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Motion {
    stretches: Vec<Stretch>,
    commanded_mm_per_s: f64,
    faults: BeltFaults,
    /// The time of the encoder's jump, and the beginning of the drive's silence, past or planned.
    jumped_ns: Option<i64>,
    silent_ns: Option<i64>,
    ripple: Option<Ripple>,
}

/// A periodic error of the belt's speed. A belt that should be at u is at u + share * period / 2π * sin(2π u / period).
#[derive(Debug, Clone, Copy)]
struct Ripple {
    share: f64,
    period_mm: f64,
}

impl Ripple {
    /// The place of a belt that should be at `even_mm`, and its speed as a multiple of the even one.
    fn of(self, even_mm: f64) -> (f64, f64) {
        let phase = std::f64::consts::TAU * even_mm / self.period_mm;
        (even_mm + self.share * self.period_mm / std::f64::consts::TAU * phase.sin(), 1.0 + self.share * phase.cos())
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 * 1e-9
}

impl Motion {
    /// A belt that stands at `start_mm`.
    pub fn new(start_mm: f64) -> Self {
        let first = Stretch { from_ns: 0, read_mm: start_mm, true_mm: start_mm, read_mm_per_s: 0.0, true_mm_per_s: 0.0 };
        Self {
            stretches: vec![first],
            commanded_mm_per_s: 0.0,
            faults: BeltFaults::default(),
            jumped_ns: None,
            silent_ns: None,
            ripple: None,
        }
    }

    /// The same belt with a periodic error of its speed, as a share, over `period_mm`.
    pub fn with_ripple(self, share: f64, period_mm: f64) -> Self {
        Self { ripple: (share != 0.0).then_some(Ripple { share, period_mm }), ..self }
    }

    /// Whether the belt was never commanded to move.
    pub fn is_fresh(&self) -> bool {
        self.stretches.len() == 1 && self.commanded_mm_per_s == 0.0
    }

    pub fn at(&self, time_ns: i64) -> Place {
        let even = self.evenly_at(time_ns);
        let Some(ripple) = self.ripple else { return even };
        let ((read_mm, read), (true_mm, real)) = (ripple.of(even.read_mm), ripple.of(even.true_mm));
        Place { read_mm, true_mm, read_mm_per_s: even.read_mm_per_s * read, true_mm_per_s: even.true_mm_per_s * real }
    }

    /// Position and speed without a ripple. Faults go by it.
    fn evenly_at(&self, time_ns: i64) -> Place {
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
        self.passed_ns(at_mm).is_some_and(|passed| passed <= time_ns)
    }

    /// The first time at which the encoder reads `at_mm` or more, past or planned.
    pub fn passed_ns(&self, at_mm: f64) -> Option<i64> {
        let ends = self.stretches.iter().skip(1).map(|next| next.from_ns).chain([i64::MAX]);
        self.stretches.iter().zip(ends).find_map(|(stretch, end_ns)| {
            if stretch.read_mm >= at_mm {
                return Some(stretch.from_ns);
            }
            let passed = (at_mm - stretch.read_mm) / stretch.read_mm_per_s;
            let passed_ns = stretch.from_ns.saturating_add((passed * 1e9).ceil() as i64);
            (passed > 0.0 && passed.is_finite() && passed_ns < end_ns).then_some(passed_ns)
        })
    }

    /// The drive turns at `mm_per_s` from `time_ns` on.
    pub fn command(&mut self, time_ns: i64, mm_per_s: f64) {
        self.commanded_mm_per_s = mm_per_s;
        self.plan(time_ns);
    }

    /// Sets the faults from `time_ns` on. A repaired encoder reads the belt's position.
    pub fn set_faults(&mut self, time_ns: i64, faults: BeltFaults) {
        if self.faults == faults {
            return;
        }
        let mended = self.faults.encoder_lies() && !faults.encoder_lies();
        (self.faults, self.jumped_ns, self.silent_ns) = (faults, None, None);
        let mut here = self.evenly_at(time_ns);
        if mended {
            here.read_mm = here.true_mm;
        }
        self.plan_from(time_ns, here);
    }

    /// Whether the drive's link is down at `time_ns`.
    pub fn is_silent(&self, time_ns: i64) -> bool {
        self.silent_ns.is_some_and(|since| since <= time_ns)
    }

    fn plan(&mut self, time_ns: i64) {
        self.plan_from(time_ns, self.evenly_at(time_ns));
    }

    /// Plans all stretches from `time_ns` on anew. One begins now, one at each fault, one where a silent drive stops.
    fn plan_from(&mut self, time_ns: i64, mut here: Place) {
        self.stretches.retain(|s| s.from_ns < time_ns);
        self.jumped_ns = self.jumped_ns.filter(|ns| *ns < time_ns);
        self.silent_ns = self.silent_ns.filter(|ns| *ns < time_ns);
        let (faults, speed) = (self.faults, self.commanded_mm_per_s);
        let marks = [
            faults.stands_at_mm,
            faults.reverses_at_mm,
            faults.slips.map(|(at, _)| at),
            faults.silent.map(|(at, _)| at),
            faults.sticks_at_mm,
            faults.jumps.map(|(at, _)| at),
        ];
        let mut now_ns = time_ns;
        loop {
            if let Some((at, by)) = faults.jumps
                && self.jumped_ns.is_none()
                && here.read_mm >= at
            {
                here.read_mm += by;
                self.jumped_ns = Some(now_ns);
            }
            let read_mm = here.read_mm;
            let beyond = |at: Option<f64>| at.is_some_and(|at| read_mm >= at);
            if beyond(faults.silent.map(|(at, _)| at)) {
                self.silent_ns.get_or_insert(now_ns);
            }
            let stops_ns = faults.silent.zip(self.silent_ns).map(|((_, after_s), since)| since + (after_s * 1e9) as i64);
            let stands = beyond(faults.stands_at_mm) || stops_ns.is_some_and(|at| now_ns >= at);
            let lost = faults.slips.filter(|(at, _)| read_mm >= *at).map_or(0.0, |(_, share)| share);
            let runs = if stands {
                0.0
            } else if speed > 0.0 && beyond(faults.reverses_at_mm) {
                -speed
            } else {
                speed
            };
            let read_mm_per_s = if beyond(faults.sticks_at_mm) { 0.0 } else { runs };
            let true_mm_per_s = runs * (1.0 - lost);
            self.stretches.push(Stretch { from_ns: now_ns, read_mm, true_mm: here.true_mm, read_mm_per_s, true_mm_per_s });
            let mark = marks.iter().flatten().copied().filter(|mark| *mark > read_mm && read_mm_per_s > 0.0).min_by(f64::total_cmp);
            let to_mark_ns = mark.map(|mark| (((mark - read_mm) / read_mm_per_s * 1e9) as i64).max(1));
            let to_stop_ns = stops_ns.map(|at| at - now_ns).filter(|ns| *ns > 0);
            let Some(dt_ns) = to_mark_ns.into_iter().chain(to_stop_ns).min() else { return };
            now_ns += dt_ns;
            here.true_mm += true_mm_per_s * seconds(dt_ns);
            here.read_mm = if to_mark_ns == Some(dt_ns) { mark.unwrap_or(read_mm) } else { read_mm + read_mm_per_s * seconds(dt_ns) };
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
        belt.set_faults(0, BeltFaults { stands_at_mm: Some(20.0), ..BeltFaults::default() });
        belt.command(0, 10.0);
        assert_eq!(belt.at(S).read_mm, 10.0);
        assert_eq!(belt.at(4 * S).read_mm, 20.0);
        assert_eq!(belt.at(4 * S).read_mm_per_s, 0.0);
        belt.set_faults(4 * S, BeltFaults::default());
        assert_eq!(belt.at(3 * S).read_mm, 20.0, "the past stays");
        assert_eq!(belt.at(5 * S).read_mm, 30.0);
    }

    #[test]
    fn a_belt_that_turns_round_runs_back_until_it_is_stopped() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, BeltFaults { reverses_at_mm: Some(20.0), ..BeltFaults::default() });
        belt.command(0, 10.0);
        for (t, mm) in [(S, 10.0), (2 * S, 20.0), (3 * S, 10.0), (5 * S, -10.0)] {
            assert_eq!(belt.at(t).read_mm, mm, "at {t}");
        }
        belt.command(5 * S, 0.0);
        assert_eq!((belt.at(6 * S).read_mm, belt.at(3 * S).read_mm), (-10.0, 10.0));
    }

    #[test]
    fn the_first_time_at_a_place_is_known_and_stays() {
        let mut belt = Motion::new(0.0);
        belt.command(S, 10.0);
        belt.command(3 * S, -10.0);
        assert_eq!((belt.passed_ns(-1.0), belt.passed_ns(0.0)), (Some(0), Some(0)));
        assert_eq!((belt.passed_ns(5.0), belt.passed_ns(20.0), belt.passed_ns(20.1)), (Some(S + S / 2), Some(3 * S), None));
    }

    #[test]
    fn a_ripple_changes_the_speed_and_not_the_way_of_a_period() {
        let mut belt = Motion::new(0.0).with_ripple(0.1, 20.0);
        belt.command(0, 10.0);
        assert!((belt.at(0).read_mm_per_s - 11.0).abs() < 1e-9 && (belt.at(S).true_mm_per_s - 9.0).abs() < 1e-9);
        assert!((belt.at(2 * S).read_mm - 20.0).abs() < 1e-9 && (belt.at(S / 2).read_mm - 5.0).abs() > 0.3);
    }

    #[test]
    fn a_belt_that_slips_is_not_where_the_encoder_says() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, BeltFaults { slips: Some((10.0, 0.25)), ..BeltFaults::default() });
        belt.command(0, 10.0);
        assert_eq!(belt.at(S).true_mm, 10.0);
        assert_eq!(belt.at(3 * S).read_mm, 30.0);
        assert_eq!(belt.at(3 * S).true_mm, 25.0);
    }
    #[test]
    fn a_drive_without_its_link_stops_by_itself_and_obeys_once_it_is_back() {
        let mut belt = Motion::new(0.0);
        belt.set_faults(0, BeltFaults { silent: Some((10.0, 0.5)), ..BeltFaults::default() });
        belt.command(0, 10.0);
        assert!(!belt.is_silent(S - 1) && belt.is_silent(S + 1));
        for (t, mm) in [(S, 10.0), (S + S / 4, 12.5), (2 * S, 15.0), (9 * S, 15.0)] {
            assert_eq!(belt.at(t).read_mm, mm, "at {t}");
        }
        belt.set_faults(9 * S, BeltFaults::default());
        assert_eq!((belt.at(10 * S).read_mm, belt.is_silent(10 * S)), (25.0, false));
    }

    #[test]
    fn an_encoder_sticks_or_jumps_while_the_belt_goes_on_and_is_right_once_it_is_mended() {
        let (mut sticks, mut jumps) = (Motion::new(0.0), Motion::new(0.0));
        sticks.set_faults(0, BeltFaults { sticks_at_mm: Some(10.0), ..BeltFaults::default() });
        jumps.set_faults(0, BeltFaults { jumps: Some((10.0, -7.0)), ..BeltFaults::default() });
        for belt in [&mut sticks, &mut jumps] {
            belt.command(0, 10.0);
            assert_eq!((belt.at(S / 2).read_mm, belt.at(3 * S).true_mm), (5.0, 30.0));
        }
        assert_eq!((sticks.at(3 * S).read_mm, jumps.at(3 * S).read_mm), (10.0, 23.0));
        jumps.command(3 * S, 20.0);
        assert_eq!(jumps.at(4 * S).read_mm, 43.0, "it jumps once");
        for belt in [&mut sticks, &mut jumps] {
            belt.set_faults(4 * S, BeltFaults::default());
            assert_eq!(belt.at(4 * S).read_mm, belt.at(4 * S).true_mm);
        }
    }
}
