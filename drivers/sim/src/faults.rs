//! What can go wrong in a simulated world, as it stands in a rig's configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the rig is doing, as far as the devices can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Until a camera looks at the tray: lamps warm up, references are taken, the belt is brought to its start.
    References,
    /// From then on, until the belt is told to stop, or no camera looks any more.
    Scan,
    /// After that, until the next reference before a scan.
    Drain,
}

/// Faults to inject, each at most once at a time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// When they hold; always when absent.
    pub during: Option<Moment>,
    /// A lamp goes dark.
    pub lamp_fails: Option<LampFails>,
    /// A lamp flickers.
    pub lamp_flickers: Option<LampFlickers>,
    /// The belt stands still from a position on, whatever the drive does; the encoder shows it.
    pub belt_stalls: Option<BeltStalls>,
    /// The belt moves less than the encoder says from a position on.
    pub belt_slips: Option<BeltSlips>,
    /// The belt runs backwards from a position on, whatever the drive was told; the encoder shows it.
    pub belt_reverses: Option<BeltReverses>,
    /// A shutter does not move any more, and does not say so.
    pub shutter_sticks: Option<ShutterSticks>,
    /// A camera sends no more frames, and gives no error.
    pub camera_silent: Option<CameraSilent>,
    /// A camera accepts another exposure than asked for.
    pub exposure_sticks: Option<ExposureSticks>,
    /// A camera sends frames of which the end is missing.
    pub camera_short: Option<CameraShort>,
    /// A camera sends its frames late.
    pub camera_late: Option<CameraLate>,
    /// The link to a camera breaks, and the camera says so.
    pub camera_lost: Option<CameraLost>,
    /// The drive reports a fault from a position on, and the belt stands.
    pub drive_trips: Option<DriveTrips>,
    /// The drive does not answer any more from a position on.
    pub drive_silent: Option<DriveSilent>,
    /// A light does not answer any more, and stays as it is.
    pub light_silent: Option<LightSilent>,
    /// The encoder reads the same from a position on, whatever the belt does.
    pub encoder_sticks: Option<EncoderSticks>,
    /// The encoder's reading jumps at a position.
    pub encoder_jumps: Option<EncoderJumps>,
    /// The model that encodes spectra takes longer than it needs.
    pub encoder_slow: Option<EncoderSlow>,
    /// The model that encodes spectra fails.
    pub encoder_fails: Option<EncoderFails>,
}

/// A model that does not keep up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderSlow {
    /// By how much longer each batch takes, s.
    pub batch_s: f64,
}

/// A model that fails, and is as new when it is next loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderFails {
    /// Batches that it encodes before.
    pub after_batches: u64,
}

impl Faults {
    /// Those that hold at a moment.
    pub(crate) fn at(&self, moment: Moment) -> Self {
        if self.during.is_none_or(|during| during == moment) { self.clone() } else { Self::default() }
    }
}

/// A lamp that goes dark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LampFails {
    /// Name of the light.
    pub light: String,
    /// Belt position from which on it is dark, mm.
    pub at_mm: f64,
    /// Whether its controller notices and reports it.
    #[serde(default)]
    pub reported: bool,
}

/// A lamp that flickers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LampFlickers {
    /// Name of the light.
    pub light: String,
    /// Belt position from which on it flickers, mm.
    pub at_mm: f64,
    /// Amplitude as a share of its light.
    pub share: f64,
    /// Frequency, 1/s.
    pub hz: f64,
}

/// A camera that sets an exposure of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposureSticks {
    /// Name of the camera.
    pub camera: String,
    /// What it exposes, µs.
    pub exposure_us: f64,
}

/// A belt that stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltStalls {
    /// Belt position from which on it stands, mm.
    pub at_mm: f64,
}

/// A belt that runs backwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltReverses {
    /// Belt position at which it turns round, mm, whenever it gets there; it runs backwards until it is stopped.
    pub at_mm: f64,
}

/// A belt that slips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltSlips {
    /// Belt position from which on it slips, mm.
    pub at_mm: f64,
    /// Share of the motion that is lost, 0 to 1.
    pub share: f64,
}

/// A shutter that sticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShutterSticks {
    /// Name of the camera.
    pub camera: String,
    /// Whether it sticks open.
    pub open: bool,
}

/// A camera that falls silent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraSilent {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that does not come.
    pub from_frame: u64,
    /// How many do not come; all when absent.
    #[serde(default)]
    pub frames: Option<u64>,
}

/// A camera whose frames are torn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraShort {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that is torn.
    pub from_frame: u64,
    /// How many are torn; all when absent.
    #[serde(default)]
    pub frames: Option<u64>,
}

/// A camera whose frames are late; only in `real_time` pace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraLate {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that is late.
    pub from_frame: u64,
    /// By how much, s of simulated time.
    pub delay_s: f64,
}

/// A camera whose link breaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraLost {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that does not come; at 0 no stream begins.
    pub from_frame: u64,
}

/// A drive that trips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriveTrips {
    /// Belt position from which on it is tripped, mm.
    pub at_mm: f64,
}

/// A drive that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriveSilent {
    /// Belt position from which on it is silent, mm.
    pub at_mm: f64,
    /// It stops the belt by itself after so long without its link, s of simulated time.
    pub stops_after_s: f64,
}

/// A light that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightSilent {
    /// Name of the light.
    pub light: String,
}

/// An encoder that sticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderSticks {
    /// What it reads from there on, mm.
    pub at_mm: f64,
}

/// An encoder that jumps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderJumps {
    /// What it reads when it jumps, mm.
    pub at_mm: f64,
    /// By how much, mm; negative jumps back.
    pub by_mm: f64,
}
