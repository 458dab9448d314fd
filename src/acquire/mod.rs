//! Acquisition: one camera's frames become lines and gaps, in order, each with its place along the tray. Lines go to the raw recording as
//! they get their places.

mod checksums;
mod held;
mod journal;
mod places;
mod recorded;
mod recording;
mod syncing;
mod watch;

pub use checksums::{checksums, intact_bytes};
pub use places::Places;
pub use recorded::{RecordedLine, recorded_lines};
pub use recording::{FLUSH_LINES, Recording, RecordingError, RecordingSettings, errors, header};
pub use watch::{BeltLimits, Irregularity, Watch};

use crate::scan::{LedgerLine, LineCounts, LineStatus};
use contract::{Frame, FrameStatus, PositionTrack};
use held::Held;
use std::sync::Arc;
use std::time::Duration;

/// Time and place of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stamp {
    /// The camera's frame number.
    pub frame: u64,
    /// Host time at exposure, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Belt position at exposure, mm.
    pub position_mm: f64,
    /// Position along the tray, mm.
    pub y_mm: f64,
}

/// Lines that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first missing frame number.
    pub first: u64,
    /// Number of missing frames.
    pub count: u64,
}

/// An output of [`Acquire`].
#[derive(Debug)]
pub enum Acquired {
    /// A usable line.
    Line(Stamp, Frame),
    /// Missing lines: lost, or not usable.
    Gap(Gap),
}

/// The model for belt positions that neither the frame nor the conveyor gives: constant speed from the first frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantSpeed {
    /// Belt speed, mm/s.
    pub speed_mm_per_s: f64,
    /// Frames per second.
    pub frame_rate_hz: f64,
}

/// Longest way between two lines where neither a window nor a tray bounds it, mm.
pub const LONGEST_STEP_MM: f64 = 5000.0;

/// The acquisition stage of one camera.
pub struct Acquire {
    /// Belt position at which the tray's leading edge lies under this camera, mm.
    offset_mm: f64,
    /// The part of the tray to record, mm along it; the whole tray when absent.
    window_mm: Option<(f64, f64)>,
    track: Option<Arc<dyn PositionTrack>>,
    /// How late frames are stamped, ns.
    latency_ns: i64,
    held: Held,
    constant: ConstantSpeed,
    /// Smallest advance between two usable lines, mm.
    least_advance_mm: f64,
    /// A line this far behind an earlier one counts as reversed, mm. The belt had gone back, or the place came again.
    least_reversal_mm: f64,
    recording: Option<Recording>,
    watch: Option<Watch>,
    /// The judgement on the places of a recording's lines.
    places: Places,
    /// Longest way between two lines where no window bounds it, mm.
    reach_mm: f64,
    /// The jump that ended the lines.
    cut: Option<Irregularity>,
    next_frame: u64,
    last_y_mm: Option<f64>,
    /// The last frame, inside the window or before it: its number and place along the tray, mm.
    seen: Option<(u64, f64)>,
    /// The last frame with a measured position: its number and position, mm.
    placed: Option<(u64, f64)>,
    ended: bool,
    sums: LineCounts,
}

impl Acquire {
    /// A stage for a camera whose view of the tray begins at belt position `offset_mm`.
    ///
    /// The part of the tray to record is `window_mm`, mm along it. The `track` gives the belt's position for frames without one. `constant`
    /// serves where both are absent.
    pub fn new(
        offset_mm: f64,
        window_mm: Option<(f64, f64)>,
        track: Option<Arc<dyn PositionTrack>>,
        constant: ConstantSpeed,
        recording: Option<Recording>,
    ) -> Self {
        Self {
            offset_mm,
            window_mm,
            track,
            latency_ns: 0,
            held: Held::default(),
            constant,
            least_advance_mm: 0.02 * constant.speed_mm_per_s / constant.frame_rate_hz,
            least_reversal_mm: 0.5 * constant.speed_mm_per_s / constant.frame_rate_hz,
            recording,
            watch: None,
            places: Places::default(),
            reach_mm: LONGEST_STEP_MM,
            cut: None,
            next_frame: 0,
            last_y_mm: None,
            seen: None,
            placed: None,
            ended: false,
            sums: LineCounts::default(),
        }
    }

    /// Adds a watch that compares frame numbers, time and belt position.
    pub fn watching(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Takes `latency_ns` off the time of every frame, before it gets its place. A position that a frame brings stays.
    pub fn late_by(mut self, latency_ns: i64) -> Self {
        self.latency_ns = latency_ns;
        self
    }

    /// Lets frames wait for the final position of the belt, in at most half of the camera's `slots`. Otherwise they take the position as
    /// the track gives it at once.
    pub fn holding(mut self, slots: usize) -> Self {
        self.held = Held::new(slots / 2, self.track.as_deref());
        self
    }

    /// Notes which lines of a recording lie where a belt could have carried them. No line lies more than `reach_mm` behind the one
    /// before it.
    pub fn judged(&mut self, places: Places, reach_mm: f64) {
        (self.places, self.reach_mm) = (places, reach_mm);
    }

    /// The watch, if one was added.
    pub fn watch(&mut self) -> Option<&mut Watch> {
        self.watch.as_mut()
    }

    /// Takes a frame. Emits the lines whose places are known now, each after a gap for frames missing before it.
    ///
    /// # Errors
    /// The recording cannot be written.
    pub fn process(
        &mut self,
        mut frame: Frame,
        ledger: &mut dyn FnMut(LedgerLine),
        out: &mut dyn FnMut(Acquired),
    ) -> Result<(), RecordingError> {
        frame.info.time_ns = frame.info.time_ns.saturating_sub(self.latency_ns);
        match self.held.push(frame) {
            // A frame that brings its position waits for none.
            Some(frame) => self.line(frame, ledger, out),
            None => self.release(Duration::ZERO, ledger, out),
        }
    }

    /// Emits the held lines whose places are known now. After `idle` without a frame, no line waits longer than the track's lag.
    ///
    /// # Errors
    /// The recording cannot be written.
    pub fn release(
        &mut self,
        idle: Duration,
        ledger: &mut dyn FnMut(LedgerLine),
        out: &mut dyn FnMut(Acquired),
    ) -> Result<(), RecordingError> {
        let Some(track) = self.track.as_ref().filter(|_| !self.held.is_empty()) else { return Ok(()) };
        let until_ns = if idle > track.lag() { i64::MAX } else { track.final_until_ns() };
        while let Some(frame) = self.held.next(until_ns) {
            self.line(frame, ledger, out)?;
        }
        Ok(())
    }

    /// Gives a frame its place, and emits it.
    fn line(&mut self, frame: Frame, ledger: &mut dyn FnMut(LedgerLine), out: &mut dyn FnMut(Acquired)) -> Result<(), RecordingError> {
        if self.ended {
            return Ok(());
        }
        let info = frame.info;
        if let Some(jump) = self.places.ends_before(info.number) {
            (self.ended, self.cut) = (true, Some(jump.clone()));
            return Ok(());
        }
        let misplaced = self.places.is_misplaced(info.number);
        let measured_mm = self.measured_mm(&frame).filter(|mm| mm.is_finite() && !misplaced);
        // Without a position from the drive, the belt is taken to go on at constant speed.
        let position_mm = measured_mm.unwrap_or_else(|| match self.placed {
            Some((number, mm)) => mm + self.constant_mm(info.number.saturating_sub(number)),
            None => self.constant_mm(info.number),
        });
        self.placed = measured_mm.map(|mm| (info.number, mm)).or(self.placed);
        let y_mm = position_mm - self.offset_mm;
        let missing = Gap { first: self.next_frame, count: info.number.saturating_sub(self.next_frame) };
        self.next_frame = info.number.saturating_add(1);
        let inside = self.window_mm.is_none_or(|(from, to)| (from..=to).contains(&y_mm));
        if let (Some(watch), Some(position_mm)) = (&mut self.watch, measured_mm) {
            watch.frame(info.number, info.time_ns, position_mm, inside);
        }
        if let Some((from, to)) = self.window_mm {
            if y_mm < from {
                self.seen = Some((info.number, y_mm));
                return Ok(());
            }
            if y_mm > to {
                self.ended = true;
                self.lose(self.missing_inside(missing, y_mm, (from, to)), out);
                return Ok(());
            }
        } else if let Some(last) = self.last_y_mm.filter(|last| y_mm - last > self.reach_mm) {
            // The rows of a gap are bounded here, whatever the numbers and the positions of frames say.
            (self.ended, self.cut) = (true, Some(Irregularity::Jump { at_mm: last + self.offset_mm, by_mm: y_mm - last }));
            return Ok(());
        }
        self.seen = Some((info.number, y_mm));
        self.lose(missing, out);
        self.sums.received += 1;
        let advance_mm = self.last_y_mm.map_or(f64::INFINITY, |last| y_mm - last);
        let status = match info.status {
            FrameStatus::Incomplete => LineStatus::Incomplete,
            FrameStatus::Ok if misplaced || y_mm.abs() > places::FURTHEST_MM => LineStatus::Misplaced,
            FrameStatus::Ok if advance_mm < -self.least_reversal_mm => LineStatus::Reversed,
            FrameStatus::Ok if advance_mm < self.least_advance_mm => LineStatus::Stalled,
            FrameStatus::Ok => LineStatus::Ok,
        };
        let line = LedgerLine {
            frame: info.number,
            device_time_ns: info.device_time_ns,
            time_ns: info.time_ns,
            position_mm,
            y_mm,
            exposure_us: info.exposure_us,
            temperature_c: info.temperature_c,
            status,
        };
        if let Some(recording) = &mut self.recording {
            recording.append(frame.slot.bytes(), &line)?;
        }
        ledger(line);
        match status {
            LineStatus::Ok => {
                self.last_y_mm = Some(y_mm);
                out(Acquired::Line(Stamp { frame: info.number, time_ns: info.time_ns, position_mm, y_mm }, frame));
            }
            LineStatus::Incomplete | LineStatus::Misplaced => {
                self.sums.unusable += 1;
                out(Acquired::Gap(Gap { first: info.number, count: 1 }));
            }
            // An earlier line covers the same place: nothing is missing.
            LineStatus::Stalled | LineStatus::Reversed => self.sums.unusable += 1,
        }
        Ok(())
    }

    /// Counts missing lines.
    fn lose(&mut self, missing: Gap, out: &mut dyn FnMut(Acquired)) {
        if missing.count > 0 {
            self.sums.lost = self.sums.lost.saturating_add(missing.count);
            self.sums.gaps.push((missing.first, missing.count));
            out(Acquired::Gap(missing));
        }
    }

    /// The part of the `missing` lines that lay inside the window, mm, where the frame after them lies behind it at `y_mm`. The belt is
    /// taken to have moved evenly in between.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of lines, not negative"
    )]
    fn missing_inside(&self, missing: Gap, y_mm: f64, (from, to): (f64, f64)) -> Gap {
        let number = missing.first.saturating_add(missing.count);
        let step_mm = match self.seen {
            Some((seen, mm)) => (y_mm - mm) / number.saturating_sub(seen) as f64,
            None => self.constant_mm(1),
        };
        // Lines before this frame, counted backwards: the last one inside the window, and the first.
        let last = ((y_mm - to) / step_mm).ceil().max(1.0) as u64;
        let first = (((y_mm - from) / step_mm).floor() as u64).min(missing.count);
        Gap { first: number - first, count: (first + 1).saturating_sub(last) }
    }

    /// Whether the belt has passed the part of the tray to record.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The jump of the belt's position that ended the lines of a recording, where one did.
    pub fn cut(&self) -> Option<&Irregularity> {
        self.cut.as_ref()
    }

    /// Numbers of received and lost lines so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.sums.received, self.sums.lost)
    }

    /// The line counts so far, with every gap.
    pub fn sums(&self) -> LineCounts {
        LineCounts { expected: self.sums.received.saturating_add(self.sums.lost), ..self.sums.clone() }
    }

    /// Completes the recording and returns the line counts. `lost_pool` and `lost_link` are the driver's own counts.
    ///
    /// # Errors
    /// The recording cannot be completed.
    pub fn end_of_scan(&mut self, lost_pool: u64, lost_link: u64) -> Result<LineCounts, RecordingError> {
        self.sums.lost_pool = lost_pool.min(self.sums.lost);
        self.sums.lost_link = lost_link.min(self.sums.lost - self.sums.lost_pool);
        if let Some(recording) = self.recording.take() {
            recording.finish(&self.sums.gaps)?;
        }
        Ok(self.sums())
    }

    fn measured_mm(&self, frame: &Frame) -> Option<f64> {
        let info = &frame.info;
        let position_mm = info.position_mm.or_else(|| self.track.as_ref().and_then(|track| track.position_mm(info.time_ns)));
        position_mm.filter(|mm| mm.is_finite())
    }

    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    fn constant_mm(&self, number: u64) -> f64 {
        number as f64 * self.constant.speed_mm_per_s / self.constant.frame_rate_hz
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{FrameInfo, FramePool, Layout, PixelFormat};

    fn stage(window_mm: Option<(f64, f64)>) -> Acquire {
        Acquire::new(10.0, window_mm, None, ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 }, None)
    }

    fn feed(stage: &mut Acquire, frames: &[FrameInfo]) -> (Vec<String>, usize) {
        let pool = FramePool::new(Layout { pixels: 2, bands: 2, format: PixelFormat::U16 }, 1);
        let (mut seen, mut ledger) = (Vec::new(), 0);
        for info in frames {
            let frame = Frame { info: *info, slot: pool.try_take().unwrap() };
            stage
                .process(frame, &mut |_| ledger += 1, &mut |item| {
                    seen.push(match item {
                        Acquired::Line(stamp, _) => format!("{}@{}", stamp.frame, stamp.y_mm),
                        Acquired::Gap(gap) => format!("gap {}+{}", gap.first, gap.count),
                    });
                })
                .unwrap();
        }
        (seen, ledger)
    }

    fn info(number: u64) -> FrameInfo {
        FrameInfo { number, time_ns: 1, ..FrameInfo::default() }
    }

    #[test]
    fn a_jump_in_the_numbers_is_a_gap_and_the_sum_holds() {
        let mut stage = stage(None);
        let (seen, ledger) = feed(&mut stage, &[info(0), info(1), info(5), info(6)]);
        assert_eq!(seen, ["0@-10", "1@-9", "gap 2+3", "5@-5", "6@-4"]);
        let sums = stage.end_of_scan(1, 2).unwrap();
        assert_eq!((sums.received, sums.lost, sums.expected, sums.lost_pool, sums.lost_link, ledger), (4, 3, 7, 1, 2, 4));
        assert_eq!(sums.gaps, [(2, 3)]);
    }

    #[test]
    fn the_latency_is_taken_off_the_time_and_not_off_a_position_that_a_frame_brings() {
        let mut stage = stage(None).late_by(400);
        let pool = FramePool::new(Layout { pixels: 2, bands: 2, format: PixelFormat::U16 }, 1);
        let mut seen = Vec::new();
        for time_ns in [1000, i64::MIN] {
            let info = FrameInfo { time_ns, position_mm: Some(12.0), ..info(0) };
            let frame = Frame { info, slot: pool.try_take().unwrap() };
            stage.process(frame, &mut |line| seen.push((line.time_ns, line.position_mm)), &mut |_| {}).unwrap();
        }
        assert_eq!(seen, [(600, 12.0), (i64::MIN, 12.0)]);
    }

    #[test]
    fn frames_outside_the_window_are_not_counted() {
        let mut stage = stage(Some((-8.0, -6.0)));
        let (seen, _) = feed(&mut stage, &[info(0), info(1), info(2), info(4), info(5)]);
        assert_eq!(seen, ["2@-8", "gap 3+1", "4@-6"]);
        assert!(stage.ended());
        assert_eq!(stage.sums().expected, 3);
    }

    #[test]
    fn lines_lost_up_to_the_end_of_the_window_are_lost_lines() {
        let lost = |frames: &[FrameInfo]| {
            let mut stage = stage(Some((-8.0, -3.0)));
            let (seen, _) = feed(&mut stage, frames);
            assert!(stage.ended());
            let sums = stage.sums();
            (seen.join(" "), sums.received, sums.lost, sums.expected)
        };
        assert_eq!(lost(&[info(1), info(2), info(3), info(40)]), ("2@-8 3@-7 gap 4+4".into(), 2, 4, 6));
        assert_eq!(lost(&[info(1), info(9)]), ("gap 2+6".into(), 0, 6, 6));
        assert_eq!(lost(&[info(40)]), ("gap 2+6".into(), 0, 6, 6));
        assert_eq!(lost(&[info(6), info(9)]), ("gap 0+6 6@-4 gap 7+1".into(), 1, 7, 8));
        // A slower belt: of the frames 4 to 11, the last lies behind the window.
        let slow = FrameInfo { position_mm: Some(8.0), ..info(12) };
        assert_eq!(lost(&[info(1), info(2), info(3), slow]), ("2@-8 3@-7 gap 4+7".into(), 2, 7, 9));
        // Only lines behind the window are missing.
        assert_eq!(lost(&[info(1), info(2), info(3), info(4), info(5), info(6), info(7), info(9)]).2, 0);
    }

    #[test]
    fn lines_of_a_belt_that_goes_back_are_marked_and_no_place_is_given_twice() {
        let mut stage = stage(None);
        let at = |number, y: f64| FrameInfo { position_mm: Some(y + 10.0), ..info(number) };
        let (seen, ledger) = feed(&mut stage, &[at(0, 0.0), at(1, 1.0), at(2, 0.0), at(3, -1.0), at(4, 0.4), at(5, 1.0), at(6, 2.0)]);
        assert_eq!(seen, ["0@0", "1@1", "6@2"]);
        assert_eq!((stage.sums().received, stage.sums().unusable, ledger), (7, 4, 7));
    }

    #[test]
    fn a_belt_without_a_position_for_a_moment_goes_on() {
        let mut stage = stage(None);
        let at = |number, mm: f64| FrameInfo { position_mm: Some(mm), ..info(number) };
        let (seen, _) = feed(&mut stage, &[at(0, 40.0), at(1, 41.2), info(2), info(4), at(5, 45.3)]);
        assert_eq!(seen, ["0@30", "1@31.200000000000003", "2@32.2", "gap 3+1", "4@34.2", "5@35.3"]);
    }

    #[test]
    fn an_incomplete_frame_is_a_gap_and_a_standing_belt_gives_no_line() {
        let mut stage = stage(None);
        let at = |number, y: f64| FrameInfo { position_mm: Some(y + 10.0), ..info(number) };
        let torn = FrameInfo { status: FrameStatus::Incomplete, ..at(2, 2.0) };
        let (seen, _) = feed(&mut stage, &[at(0, 0.0), at(1, 0.0), torn, at(3, 3.0)]);
        assert_eq!(seen, ["0@0", "gap 2+1", "3@3"]);
        assert_eq!((stage.sums().received, stage.sums().unusable), (4, 2));
    }
}
