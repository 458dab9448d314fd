//! A recording as a source of frames.

use crate::capture::LineRecord;
use crate::envi::Image;
use contract::{CameraError, Filled, FrameInfo, FrameSource, FrameStatus, Slot};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// 2000-01-01T00:00:00Z, the date of an undated recording, ns since 1970-01-01T00:00:00Z. A constant gives the same stamps for the same
/// file.
pub const UNDATED_NS: i64 = 946_684_800_000_000_000;
const NS_PER_S: f64 = 1e9;

/// The step of numbers, times and positions from one round of a recording to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Stride {
    frames: u64,
    time_ns: i64,
    position_mm: f64,
}

/// A recording that is played from its first line, once or several times.
#[derive(Debug)]
pub(crate) struct Playback {
    camera: String,
    image: Image,
    records: Option<Arc<[LineRecord]>>,
    /// The lines of the image that are played.
    played_lines: Range<usize>,
    lines: usize,
    rounds_left: u32,
    line: usize,
    /// Sum of the strides of the rounds so far.
    played: Stride,
    stride: Stride,
    period_ns: f64,
    start_ns: i64,
}

impl Playback {
    /// Plays the lines `played` of an image `rounds` times, at `frame_rate_hz` where `records` give no times. The first line of the image
    /// is dated `dated_ns`, ns since 1970-01-01T00:00:00Z.
    pub(crate) fn new(
        camera: &str,
        image: Image,
        records: Option<Arc<[LineRecord]>>,
        dated_ns: Option<i64>,
        played_lines: Range<usize>,
        rounds: u32,
        frame_rate_hz: f64,
    ) -> Self {
        let period_ns = NS_PER_S / frame_rate_hz;
        let before_ns = nanoseconds(played_lines.start, period_ns);
        let start_ns = records
            .as_deref()
            .and_then(<[_]>::first)
            .map_or_else(|| dated_ns.unwrap_or(UNDATED_NS).saturating_add(before_ns), |first| first.time_ns);
        let lines = played_lines.len();
        let mut playback = Self {
            camera: camera.to_owned(),
            image,
            records,
            played_lines,
            lines,
            rounds_left: if lines == 0 { 0 } else { rounds },
            line: 0,
            played: Stride::default(),
            stride: Stride::default(),
            period_ns,
            start_ns,
        };
        playback.stride = playback.round();
        playback
    }

    /// The step from a recording to its repetition: one step beyond the last line.
    fn round(&self) -> Stride {
        let Some((first, last)) = self.records.as_deref().and_then(|rows| rows.first().zip(rows.last())) else {
            return Stride { frames: self.lines as u64, time_ns: nanoseconds(self.lines, self.period_ns), position_mm: 0.0 };
        };
        let steps = last.frame - first.frame;
        let way = first.position_mm.zip(last.position_mm).map_or(0.0, |(first, last)| last - first);
        let step_mm = if steps == 0 { 0.0 } else { way / steps as f64 };
        Stride {
            frames: steps.saturating_add(1),
            time_ns: last.time_ns.saturating_sub(first.time_ns).saturating_add(nanoseconds(1, self.period_ns)),
            position_mm: way + step_mm,
        }
    }

    /// The stamps of the next frame.
    fn stamps(&self) -> Option<FrameInfo> {
        if self.rounds_left == 0 {
            return None;
        }
        let rows = self.records.as_deref();
        let info = match rows.and_then(|rows| rows.first().zip(rows.get(self.line))) {
            Some((first, row)) => FrameInfo {
                number: row.frame - first.frame,
                time_ns: row.time_ns,
                position_mm: row.position_mm.map(|mm| mm + self.played.position_mm),
                status: if row.fault.is_none() { FrameStatus::Ok } else { FrameStatus::Incomplete },
                ..FrameInfo::default()
            },
            None => FrameInfo {
                number: self.line as u64,
                time_ns: self.start_ns.saturating_add(nanoseconds(self.line, self.period_ns)),
                ..FrameInfo::default()
            },
        };
        let number = info.number.saturating_add(self.played.frames);
        Some(FrameInfo { number, time_ns: info.time_ns.saturating_add(self.played.time_ns), ..info })
    }

    fn advance(&mut self) {
        self.line += 1;
        if self.line >= self.lines {
            self.line = 0;
            self.rounds_left = self.rounds_left.saturating_sub(1);
            self.played.frames = self.played.frames.saturating_add(self.stride.frames);
            self.played.time_ns = self.played.time_ns.saturating_add(self.stride.time_ns);
            self.played.position_mm += self.stride.position_mm;
        }
    }
}

impl FrameSource for Playback {
    fn next_due(&mut self) -> Option<(u64, Duration)> {
        let info = self.stamps()?;
        let since = info.time_ns.saturating_sub(self.start_ns);
        Some((info.number, Duration::from_nanos(u64::try_from(since).unwrap_or(0))))
    }

    fn fill(&mut self, slot: &mut Slot) -> Result<Filled, CameraError> {
        let Some(info) = self.stamps() else { return Ok(Filled::End) };
        self.image.read_slot(self.played_lines.start + self.line, slot).map_err(|error| CameraError::Recording {
            camera: self.camera.clone(),
            path: self.image.data_path().to_owned(),
            reason: format!("line {}: {error}", self.played_lines.start + self.line),
        })?;
        self.advance();
        Ok(Filled::Frame(info))
    }

    fn skip(&mut self) {
        self.advance();
    }
}

/// `count` periods in whole nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a float that is too large becomes the largest integer")]
pub(crate) fn nanoseconds(count: usize, period_ns: f64) -> i64 {
    (count as f64 * period_ns).round() as i64
}
