//! The ledger: every native line of every camera, as acquired.

use crate::sync::lock;
use std::sync::Mutex;

/// Whether a native line is usable, as in `lines.csv` and in the ledger of the HDF5 files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LineStatus {
    /// The line is usable.
    Ok = 0,
    /// The frame arrived incomplete.
    Incomplete = 1,
    /// The belt had not advanced since the previous line.
    Stalled = 2,
    /// The belt had moved back. An earlier line lies further along the tray.
    Reversed = 3,
    /// No belt could have carried the line to its position. Only a recording's lines are left out for it.
    Misplaced = 4,
}

impl LineStatus {
    /// The status word in `lines.csv`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Incomplete => "incomplete",
            Self::Stalled => "stalled",
            Self::Reversed => "reversed",
            Self::Misplaced => "misplaced",
        }
    }

    /// Every status, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Incomplete, Self::Stalled, Self::Reversed, Self::Misplaced];
}

/// One native line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LedgerLine {
    /// The camera's frame number.
    pub frame: u64,
    /// The camera's own clock, ns, where the camera has one.
    pub device_time_ns: Option<u64>,
    /// Host time at exposure, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Belt position at exposure, mm.
    pub position_mm: f64,
    /// The line's position along the tray, mm.
    pub y_mm: f64,
    /// Exposure time of this frame, µs, where the camera reports it.
    pub exposure_us: Option<f32>,
    /// Detector temperature, °C, where the camera reports it.
    pub temperature_c: Option<f32>,
    /// Whether the line is usable.
    pub status: LineStatus,
}

/// The native lines of a scan, per camera, in the order of arrival. [`Ledger::forget_before`] bounds it to the lines of open samples.
#[derive(Debug, Default)]
pub struct Ledger {
    cameras: Vec<Mutex<Vec<LedgerLine>>>,
}

impl Ledger {
    /// A ledger for `cameras` cameras.
    pub fn new(cameras: usize) -> Self {
        Self { cameras: (0..cameras).map(|_| Mutex::default()).collect() }
    }

    /// Adds a camera's line.
    pub fn push(&self, camera: usize, line: LedgerLine) {
        self.lock(camera).push(line);
    }

    /// A camera's lines between two positions along the tray (mm, both included).
    pub fn between(&self, camera: usize, from_mm: f64, to_mm: f64) -> Vec<LedgerLine> {
        self.lock(camera).iter().filter(|line| line.y_mm >= from_mm && line.y_mm <= to_mm).copied().collect()
    }

    /// Drops every camera's lines before a position along the tray (mm).
    pub fn forget_before(&self, y_mm: f64) {
        for camera in 0..self.cameras.len() {
            self.lock(camera).retain(|line| line.y_mm >= y_mm);
        }
    }

    fn lock(&self, camera: usize) -> std::sync::MutexGuard<'_, Vec<LedgerLine>> {
        lock(&self.cameras[camera])
    }
}
