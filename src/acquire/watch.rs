//! Frame numbers, time and belt position held against each other.

use super::ConstantSpeed;

/// What the belt may do before it is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeltLimits {
    /// Largest deviation of the belt's speed from the commanded one, as a share.
    pub max_speed_error: f64,
    /// A belt that should run and does not advance for this long stands, s.
    pub stall_s: f64,
    /// Longest way that the belt may go back, mm.
    pub max_reversal_mm: f64,
}

/// What does not go together in a scan. A stall, a reversal and a jump of a belt that should run end the scan; the others are warnings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Irregularity {
    /// The belt does not move though it should.
    #[error(
        "belt stalled at {at_mm:.1} mm: no advance for {seconds:.1} s though the drive was told to run; look for what blocks it, and check the drive and the encoder"
    )]
    Stall {
        /// Where, mm of belt position.
        at_mm: f64,
        /// For how long.
        seconds: f64,
    },
    /// The belt went back.
    #[error("belt ran backwards at {at_mm:.1} mm, by {back_mm:.1} mm; check the drive and the wiring of the encoder")]
    Reversal {
        /// Where it turned, mm of belt position.
        at_mm: f64,
        /// How far it had come back when it was seen.
        back_mm: f64,
    },
    /// The position steps forward as no belt can.
    #[error(
        "the belt's position jumps from {at_mm:.1} mm by {by_mm:.1} mm between two lines; check the encoder, its cable and its coupling"
    )]
    Jump {
        /// From where, mm of belt position.
        at_mm: f64,
        /// By how much, mm.
        by_mm: f64,
    },
    /// The belt is faster or slower than commanded.
    #[error(
        "the belt ran at {measured_mm_per_s:.2} mm/s instead of {commanded_mm_per_s:.2} at {at_mm:.1} mm, more than {:.0} % off (conveyor.max_speed_error); check the drive's speed and the encoder's scale",
        limit * 100.0
    )]
    Speed {
        /// Speed by position and time where it was furthest off, mm/s.
        measured_mm_per_s: f64,
        /// Speed of the configuration, mm/s.
        commanded_mm_per_s: f64,
        /// Where that was, mm of belt position.
        at_mm: f64,
        /// The limit, as a share.
        limit: f64,
    },
    /// Frame numbers and time disagree.
    #[error(
        "{camera}: {expected} lines by their frame numbers, but {by_time:.0} by time and frame rate; the camera does not keep its frame rate, or its counter is not read right"
    )]
    Rate {
        /// The camera.
        camera: String,
        /// Lines from the first to the last frame number.
        expected: u64,
        /// Lines that the time between them has room for.
        by_time: f64,
    },
    /// Frame numbers and belt travel disagree.
    #[error(
        "{camera}: {expected} lines by their frame numbers, but {by_belt:.0} by {travel_mm:.1} mm of belt travel; check conveyor.speed_mm_per_s and the encoder's scale"
    )]
    Travel {
        /// The camera.
        camera: String,
        /// Lines from the first to the last frame number.
        expected: u64,
        /// Lines that the belt's travel has room for.
        by_belt: f64,
        /// That travel, mm.
        travel_mm: f64,
    },
    /// The belt moved less, or more, than its encoder says.
    #[error(
        "the belt slipped by {:.1} % from {from_mm:.0} mm along the tray on, more than {:.1} % (scan.max_slip): {evidence}",
        share * 100.0,
        limit * 100.0
    )]
    Slip {
        /// Share of the motion that was lost; negative where the belt moved more than the encoder says.
        share: f64,
        /// From where on, mm along the tray.
        from_mm: f64,
        /// The limit, as a share.
        limit: f64,
        /// What shows it, and what else it may be.
        evidence: &'static str,
    },
}

impl Irregularity {
    /// Every kind, as it labels the metric.
    pub const KINDS: [&'static str; 7] = ["stall", "reversal", "speed", "rate", "travel", "slip", "jump"];

    /// Its kind, one of [`Self::KINDS`].
    pub const fn kind(&self) -> &'static str {
        Self::KINDS[match self {
            Self::Stall { .. } => 0,
            Self::Reversal { .. } => 1,
            Self::Speed { .. } => 2,
            Self::Rate { .. } => 3,
            Self::Travel { .. } => 4,
            Self::Slip { .. } => 5,
            Self::Jump { .. } => 6,
        }]
    }

    /// Whether it is of the belt, which all cameras share, and not of one camera.
    pub const fn of_belt(&self) -> bool {
        !matches!(self, Self::Rate { .. } | Self::Travel { .. })
    }
}

/// Speed is taken over this long at least, s, and over this many frames.
const SPEED_OVER: (f64, u64) = (0.5, 8);
/// Counts of lines may differ by this share and this many lines.
const COUNT_SLACK: (f64, f64) = (0.02, 3.0);
/// No belt is so many times faster than it was told to be.
const JUMP: f64 = 3.0;
/// A belt has advanced when it went this share of a line's distance.
const ADVANCE: f64 = 0.25;

/// A frame: its number, time and place.
#[derive(Debug, Clone, Copy)]
struct Mark {
    frame: u64,
    time_ns: i64,
    position_mm: f64,
}

impl Mark {
    #[expect(clippy::cast_precision_loss, reason = "a scan takes minutes")]
    fn seconds_since(&self, earlier: &Self) -> f64 {
        (self.time_ns - earlier.time_ns) as f64 * 1e-9
    }
}

/// Watches one camera's frames. It knows the belt only by positions that were measured.
#[derive(Debug)]
pub struct Watch {
    camera: String,
    limits: BeltLimits,
    nominal: ConstantSpeed,
    /// Frames that may wait between the camera and here, s: they tell of a belt that was not yet told to run.
    delay_s: f64,
    /// Whether the belt should run.
    runs: bool,
    moved: bool,
    /// Where the belt last advanced, and the furthest it has been.
    advance: Option<Mark>,
    last: Option<Mark>,
    furthest: Option<f64>,
    fault: Option<Irregularity>,
    /// The first and the last line that were counted.
    span: Option<(Mark, Mark)>,
    speed_from: Option<Mark>,
    worst: Option<Irregularity>,
}

impl Watch {
    /// A watch on `camera`, whose frames and belt should be as `nominal`. Frames may come `delay_s` late.
    pub fn new(camera: &str, limits: BeltLimits, nominal: ConstantSpeed, delay_s: f64) -> Self {
        Self {
            camera: camera.to_owned(),
            limits,
            nominal,
            delay_s,
            runs: false,
            moved: false,
            advance: None,
            last: None,
            furthest: None,
            fault: None,
            span: None,
            speed_from: None,
            worst: None,
        }
    }

    /// The belt was told to run: from now on it must not stand.
    pub fn belt_runs(&mut self) {
        self.runs = true;
    }

    /// What ends the scan, once it was seen.
    pub fn fault(&self) -> Option<&Irregularity> {
        self.fault.as_ref()
    }

    /// Mean advance of the belt from one frame number to the next, mm; `None` before there are two lines.
    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    pub fn line_mm(&self) -> Option<f64> {
        let (first, last) = self.span?;
        (last.frame > first.frame).then(|| (last.position_mm - first.position_mm) / (last.frame - first.frame) as f64)
    }

    /// Looks at a frame whose belt position was measured; `counted` where it lies in the part of the tray that is recorded.
    pub(super) fn frame(&mut self, frame: u64, time_ns: i64, position_mm: f64, counted: bool) {
        let here = Mark { frame, time_ns, position_mm };
        self.motion(here);
        if !counted {
            return;
        }
        self.span = Some((self.span.map_or(here, |span| span.0), here));
        let Some(from) = self.speed_from else {
            self.speed_from = Some(here);
            return;
        };
        let seconds = here.seconds_since(&from);
        if seconds >= SPEED_OVER.0 && here.frame >= from.frame + SPEED_OVER.1 {
            self.speed_from = Some(here);
            self.speed(from, (position_mm - from.position_mm) / seconds);
        }
    }

    /// Stall, reversal and jump.
    fn motion(&mut self, here: Mark) {
        if let Some(last) = self.last.replace(here) {
            let by_mm = here.position_mm - last.position_mm;
            if by_mm > self.furthest_step_mm(&last, &here) && self.fault.is_none() {
                self.fault = Some(Irregularity::Jump { at_mm: last.position_mm, by_mm });
            }
        }
        let furthest = self.furthest.map_or(here.position_mm, |furthest| furthest.max(here.position_mm));
        self.furthest = Some(furthest);
        let back_mm = furthest - here.position_mm;
        if back_mm > self.limits.max_reversal_mm && self.fault.is_none() {
            self.fault = Some(Irregularity::Reversal { at_mm: furthest, back_mm });
        }
        if !self.runs {
            return;
        }
        let step_mm = ADVANCE * self.nominal.speed_mm_per_s / self.nominal.frame_rate_hz;
        match self.advance {
            Some(last) if here.position_mm < last.position_mm + step_mm => {
                let seconds = here.seconds_since(&last);
                let allowed = self.limits.stall_s + if self.moved { 0.0 } else { self.delay_s };
                if seconds > allowed && self.fault.is_none() {
                    self.fault = Some(Irregularity::Stall { at_mm: here.position_mm, seconds });
                }
            }
            last => {
                self.moved = last.is_some();
                self.advance = Some(here);
            }
        }
    }

    /// The furthest that the belt can have come from one frame to another, by their times or their numbers, whichever is more.
    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    fn furthest_step_mm(&self, from: &Mark, to: &Mark) -> f64 {
        let seconds = to.seconds_since(from).max((to.frame - from.frame) as f64 / self.nominal.frame_rate_hz);
        JUMP * self.nominal.speed_mm_per_s * seconds + self.limits.max_reversal_mm
    }

    /// Takes a speed over a stretch that began at `from`. A belt that stands or turns is told as that.
    fn speed(&mut self, from: Mark, measured_mm_per_s: f64) {
        let (commanded_mm_per_s, limit) = (self.nominal.speed_mm_per_s, self.limits.max_speed_error);
        let error = |speed: f64| (speed / commanded_mm_per_s - 1.0).abs();
        let worse = match &self.worst {
            Some(Irregularity::Speed { measured_mm_per_s: worst, .. }) => error(measured_mm_per_s) > error(*worst),
            _ => error(measured_mm_per_s) > limit,
        };
        if worse && measured_mm_per_s > ADVANCE * commanded_mm_per_s {
            self.worst = Some(Irregularity::Speed { measured_mm_per_s, commanded_mm_per_s, at_mm: from.position_mm, limit });
        }
    }

    /// What was irregular over the scan.
    #[expect(clippy::cast_precision_loss, reason = "a scan has few lines and takes minutes")]
    pub fn end_of_scan(&self) -> Vec<Irregularity> {
        let mut all: Vec<Irregularity> = self.fault.iter().chain(&self.worst).cloned().collect();
        let Some((first, last)) = self.span else { return all };
        let expected = last.frame - first.frame + 1;
        let off = |counted: f64| (expected as f64 - counted).abs() > COUNT_SLACK.0 * counted.abs() + COUNT_SLACK.1;
        let by_time = last.seconds_since(&first) * self.nominal.frame_rate_hz + 1.0;
        let camera = self.camera.clone();
        if off(by_time) {
            all.push(Irregularity::Rate { camera, expected, by_time });
            return all;
        }
        let travel_mm = last.position_mm - first.position_mm;
        let by_belt = travel_mm / self.nominal.speed_mm_per_s * self.nominal.frame_rate_hz + 1.0;
        let slack = self.limits.max_speed_error.max(COUNT_SLACK.0) * by_belt.abs() + COUNT_SLACK.1;
        // A belt off its speed, or one that stood, was told already.
        if all.is_empty() && (expected as f64 - by_belt).abs() > slack {
            all.push(Irregularity::Travel { camera, expected, by_belt, travel_mm });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BeltLimits = BeltLimits { max_speed_error: 0.05, stall_s: 1.0, max_reversal_mm: 1.0 };

    /// Frames at 50/s of a belt that is `position(seconds)` along and should move 50 mm/s; told to run from the start.
    fn watch(frames: u64, position: impl Fn(f64) -> f64) -> Watch {
        let mut watch = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.4);
        watch.belt_runs();
        for n in 0..frames {
            watch.frame(n, n as i64 * 20_000_000, position(n as f64 / 50.0), true);
        }
        watch
    }

    fn kinds(watch: &Watch) -> Vec<&'static str> {
        watch.end_of_scan().iter().map(Irregularity::kind).collect()
    }

    #[test]
    fn a_belt_within_its_limits_is_regular() {
        // 3 % fast, with a ripple, and an encoder that counts steps of 0.1 mm.
        let seen = watch(500, |t| ((51.5 * t + 0.1 * (3.0 * t).sin()) / 0.1).floor() * 0.1);
        assert_eq!(kinds(&seen), [""; 0]);
        assert!((seen.line_mm().unwrap() - 1.03).abs() < 0.005);
    }

    #[test]
    fn a_belt_off_its_speed_is_told_with_figure_and_place() {
        let seen = watch(500, |t| 50.0 * t.min(4.0) + 45.0 * (t - 4.0).max(0.0));
        assert_eq!(kinds(&seen), ["speed"]);
        let text = seen.end_of_scan()[0].to_string();
        assert!(text.contains("45.00 mm/s instead of 50.00"), "{text}");
        assert_eq!(seen.fault(), None);
    }

    #[test]
    fn a_belt_that_stops_or_never_starts_is_a_fault_after_a_second() {
        let seen = watch(160, |t| 50.0 * t.min(2.0));
        let Some(Irregularity::Stall { at_mm, seconds }) = seen.fault() else { panic!("{seen:?}") };
        assert!((at_mm - 100.0).abs() < 1.0 && *seconds < 1.1, "{seen:?}");
        assert_eq!(watch(145, |t| 50.0 * t.min(2.0)).fault(), None, "not yet a second");
        assert_eq!(watch(65, |_| 0.0).fault(), None, "frames may come 0.4 s late");
        assert_eq!(watch(75, |_| 0.0).fault().map(Irregularity::kind), Some("stall"));
    }

    #[test]
    fn a_belt_that_was_not_told_to_run_may_stand() {
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..200 {
            seen.frame(n, n as i64 * 20_000_000, 0.0, false);
        }
        assert_eq!((seen.fault(), seen.end_of_scan().len()), (None, 0));
    }

    #[test]
    fn a_belt_that_turns_round_is_a_fault_where_it_turned_and_jitter_is_not() {
        let seen = watch(160, |t| if t < 2.0 { 50.0 * t } else { 200.0 - 50.0 * t });
        let Some(Irregularity::Reversal { at_mm, back_mm }) = seen.fault() else { panic!("{seen:?}") };
        assert!((at_mm - 100.0).abs() < 1.5 && *back_mm < 3.0, "{seen:?}");
        assert_eq!(watch(160, |t| 50.0 * t + 0.4 * (400.0 * t).sin()).fault(), None);
    }

    #[test]
    fn a_position_that_jumps_is_a_fault_and_one_that_went_on_while_frames_were_lost_is_not() {
        let seen = watch(160, |t| 50.0 * t + if t < 2.0 { 0.0 } else { 30.0 });
        let Some(Irregularity::Jump { at_mm, by_mm }) = seen.fault() else { panic!("{seen:?}") };
        assert!((at_mm - 99.0).abs() < 1.5 && (by_mm - 31.0).abs() < 0.5, "{seen:?}");
        let mut seen = watch(100, |t| 50.0 * t);
        seen.frame(130, 130 * 20_000_000, 130.0, true);
        assert_eq!(seen.fault(), None);
    }

    #[test]
    fn frame_numbers_that_do_not_fit_time_or_travel_are_told() {
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..200_u64 {
            // Every second number is left out, but the time of one frame passes.
            seen.frame(2 * n, n as i64 * 20_000_000, n as f64, true);
        }
        assert_eq!(kinds(&seen), ["rate"]);
        // Too few lines for a speed, and half as long a way as the numbers say.
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..20_u64 {
            seen.frame(n, n as i64 * 20_000_000, n as f64 * 0.5, true);
        }
        assert_eq!(kinds(&seen), ["travel"]);
    }
}
