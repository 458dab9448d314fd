//! Comparison of frame numbers, time and belt position.

use super::ConstantSpeed;
use super::places::FURTHEST_MM;
use crate::config::ConveyorConfig;

/// The belt's limits, beyond which an irregularity is reported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeltLimits {
    /// Largest deviation of the belt's speed from the commanded one, as a share.
    pub max_speed_error: f64,
    /// Longest time without advance of a running belt, s.
    pub stall_s: f64,
    /// Longest backward travel of the belt, mm.
    pub max_reversal_mm: f64,
}

impl BeltLimits {
    /// The limits of a configuration.
    pub fn of(belt: &ConveyorConfig) -> Self {
        Self { max_speed_error: belt.max_speed_error, stall_s: belt.stall_s, max_reversal_mm: belt.max_reversal_mm }
    }
}

/// A disagreement within a scan. A stall, a reversal or a jump of a running belt ends the scan. The others are warnings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Irregularity {
    /// The belt does not move although it should.
    #[error(
        "belt stalled at {at_mm:.1} mm: no advance for {seconds:.1} s though the drive was told to run (conveyor.stall_s); look for what blocks it, and check the drive and the encoder"
    )]
    Stall {
        /// The belt position, mm.
        at_mm: f64,
        /// Duration without advance, s.
        seconds: f64,
    },
    /// The belt moved back.
    #[error(
        "belt ran backwards at {at_mm:.1} mm, by {back_mm:.1} mm (conveyor.max_reversal_mm); check the drive and the wiring of the encoder"
    )]
    Reversal {
        /// The belt position of the reversal, mm.
        at_mm: f64,
        /// Backward travel at detection, mm.
        back_mm: f64,
    },
    /// The position jumps further than any belt can move.
    #[error(
        "the belt's position jumps from {} mm by {} mm between two lines; check the encoder, its cable and its coupling",
        Millimetres(*at_mm),
        Millimetres(*by_mm)
    )]
    Jump {
        /// The belt position before the jump, mm.
        at_mm: f64,
        /// Length of the jump, mm.
        by_mm: f64,
    },
    /// The belt is faster or slower than commanded.
    #[error(
        "the belt ran at {measured_mm_per_s:.2} mm/s instead of {commanded_mm_per_s:.2} at {at_mm:.1} mm, more than {:.0} % off (conveyor.max_speed_error); check the drive's speed and the encoder's scale",
        limit * 100.0
    )]
    Speed {
        /// The speed of largest deviation, from position and time, mm/s.
        measured_mm_per_s: f64,
        /// The configured speed, mm/s.
        commanded_mm_per_s: f64,
        /// The belt position of that speed, mm.
        at_mm: f64,
        /// The limit, as a share.
        limit: f64,
    },
    /// Frame numbers and time disagree.
    #[error(
        "{camera}: {expected} lines by their frame numbers, but {by_time:.0} by time and frame rate; the camera does not keep its frame rate, or its counter is not read right"
    )]
    Rate {
        /// The camera's name.
        camera: String,
        /// Lines from the first to the last frame number.
        expected: u64,
        /// Lines that fit into the elapsed time.
        by_time: f64,
    },
    /// Frame numbers and belt travel disagree.
    #[error(
        "{camera}: {expected} lines by their frame numbers, but {by_belt:.0} by {travel_mm:.1} mm of belt travel; check conveyor.speed_mm_per_s and the encoder's scale"
    )]
    Travel {
        /// The camera's name.
        camera: String,
        /// Lines from the first to the last frame number.
        expected: u64,
        /// Lines that fit into the belt's travel.
        by_belt: f64,
        /// The belt's travel, mm.
        travel_mm: f64,
    },
    /// The belt's motion differs from the encoder's.
    #[error(
        "the belt slipped by {:.1} % from {from_mm:.0} mm along the tray on, more than {:.1} % (scan.max_slip): {evidence}",
        share * 100.0,
        limit * 100.0
    )]
    Slip {
        /// Lost share of the motion; negative where the belt moved more than the encoder.
        share: f64,
        /// The start of the slip, mm along the tray.
        from_mm: f64,
        /// The limit, as a share.
        limit: f64,
        /// The evidence, and other possible explanations.
        evidence: &'static str,
    },
}

impl Irregularity {
    /// Every kind, as the metric's label.
    pub const KINDS: [&'static str; 7] = ["stall", "reversal", "speed", "rate", "travel", "slip", "jump"];

    /// The irregularity's kind, one of [`Self::KINDS`].
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

    /// Whether the irregularity is the belt's, which all cameras share, rather than one camera's.
    pub const fn of_belt(&self) -> bool {
        !matches!(self, Self::Rate { .. } | Self::Travel { .. })
    }
}

/// Shortest span of a speed measurement: seconds and frames.
const SPEED_OVER: (f64, u64) = (0.5, 8);
/// Allowed difference between line counts: a share and a number of lines.
const COUNT_SLACK: (f64, f64) = (0.02, 3.0);
/// No belt is this many times faster than its commanded speed.
const JUMP: f64 = 3.0;
/// A belt has advanced after this share of the distance between lines.
const ADVANCE: f64 = 0.25;

/// A frame's number, time and belt position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) frame: u64,
    pub(super) time_ns: i64,
    pub(super) position_mm: f64,
}

impl Mark {
    #[expect(clippy::cast_precision_loss, reason = "a scan takes minutes")]
    fn seconds_since(&self, earlier: &Self) -> f64 {
        // The times of a recording may be any.
        (i128::from(self.time_ns) - i128::from(earlier.time_ns)) as f64 * 1e-9
    }
}

/// A position in words, mm. Absurd ones stay short.
pub(super) struct Millimetres(pub(super) f64);

impl std::fmt::Display for Millimetres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.abs() < FURTHEST_MM { write!(f, "{:.1}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}

impl ConstantSpeed {
    /// The longest possible advance of the belt between two frames, mm. The larger of their time and their number difference counts.
    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    pub(super) fn furthest_mm(&self, limits: &BeltLimits, from: &Mark, to: &Mark) -> f64 {
        if self.speed_mm_per_s <= 0.0 {
            return f64::INFINITY;
        }
        let seconds = to.seconds_since(from).max(to.frame.saturating_sub(from.frame) as f64 / self.frame_rate_hz);
        JUMP * self.speed_mm_per_s * seconds + limits.max_reversal_mm
    }
}

/// Watches one camera's frames. It knows the belt only by measured positions.
#[derive(Debug)]
pub struct Watch {
    camera: String,
    limits: BeltLimits,
    nominal: ConstantSpeed,
    /// Longest delay of frames before this stage, s. Delayed frames show the belt before its start.
    delay_s: f64,
    /// Whether the belt was commanded to run.
    runs: bool,
    moved: bool,
    /// The frame at which the belt last advanced.
    advance: Option<Mark>,
    last: Option<Mark>,
    /// The furthest belt position so far, mm.
    furthest: Option<f64>,
    fault: Option<Irregularity>,
    /// The first and the last counted line.
    span: Option<(Mark, Mark)>,
    speed_from: Option<Mark>,
    worst: Option<Irregularity>,
}

impl Watch {
    /// A watch on `camera`. `nominal` gives the expected frame rate and belt speed. Frames may arrive `delay_s` late.
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

    /// Notes the command to run. From now on, the belt must not stand.
    pub fn belt_runs(&mut self) {
        self.runs = true;
    }

    /// The irregularity that ends the scan, once seen.
    pub fn fault(&self) -> Option<&Irregularity> {
        self.fault.as_ref()
    }

    /// Mean advance of the belt from one frame number to the next, mm; `None` before two lines.
    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    pub fn line_mm(&self) -> Option<f64> {
        let (first, last) = self.span?;
        (last.frame > first.frame).then(|| (last.position_mm - first.position_mm) / (last.frame - first.frame) as f64)
    }

    /// Takes a frame with a measured belt position. `counted` says whether it lies in the recorded part of the tray.
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
        if seconds >= SPEED_OVER.0 && here.frame.saturating_sub(from.frame) >= SPEED_OVER.1 {
            self.speed_from = Some(here);
            self.speed(from, (position_mm - from.position_mm) / seconds);
        }
    }

    /// Checks for a stall, a reversal and a jump.
    fn motion(&mut self, here: Mark) {
        if let Some(last) = self.last.replace(here) {
            let by_mm = here.position_mm - last.position_mm;
            if by_mm > self.nominal.furthest_mm(&self.limits, &last, &here) && self.fault.is_none() {
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

    /// Takes a speed over a stretch that began at `from`. A standing or reversing belt is reported as such.
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

    /// All irregularities of the scan.
    #[expect(clippy::cast_precision_loss, reason = "a scan has few lines and takes minutes")]
    pub fn end_of_scan(&self) -> Vec<Irregularity> {
        let mut all: Vec<Irregularity> = self.fault.iter().chain(&self.worst).cloned().collect();
        let Some((first, last)) = self.span else { return all };
        let expected = last.frame.saturating_sub(first.frame).saturating_add(1);
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
        // A wrong speed or a stall is reported already.
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

    /// Frames at 50/s of a belt at `position(seconds)`, commanded from the start to move at 50 mm/s.
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
        // 3 % fast, with a ripple and an encoder step of 0.1 mm.
        let seen = watch(500, |t| ((51.5 * t + 0.1 * (3.0 * t).sin()) / 0.1).floor() * 0.1);
        assert_eq!(kinds(&seen), [""; 0]);
        assert!((seen.line_mm().unwrap() - 1.03).abs() < 0.005);
    }

    #[test]
    fn a_belt_off_its_speed_is_reported_with_figure_and_place() {
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
    fn a_belt_that_was_not_commanded_to_run_may_stand() {
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..200 {
            seen.frame(n, n as i64 * 20_000_000, 0.0, false);
        }
        assert_eq!((seen.fault(), seen.end_of_scan().len()), (None, 0));
    }

    #[test]
    fn a_belt_that_reverses_is_a_fault_where_it_reversed_and_jitter_is_not() {
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
    fn frame_numbers_that_do_not_fit_time_or_travel_are_reported() {
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..200_u64 {
            // Every second number is missing, but only one frame's time passes.
            seen.frame(2 * n, n as i64 * 20_000_000, n as f64, true);
        }
        assert_eq!(kinds(&seen), ["rate"]);
        // Too few lines for a speed, and half the travel that the numbers imply.
        let mut seen = Watch::new("vnir", LIMITS, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, 0.0);
        for n in 0..20_u64 {
            seen.frame(n, n as i64 * 20_000_000, n as f64 * 0.5, true);
        }
        assert_eq!(kinds(&seen), ["travel"]);
    }
}
