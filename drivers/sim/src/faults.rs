//! Faults of a simulated world, as a rig's configuration states them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The phase of a scan, as far as the devices can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before a camera looks at the tray. Lamps warm up, references are taken, the belt goes to its start.
    References,
    /// From then on, until a stop of the belt, or of the last camera.
    Scan,
    /// After that, until the next reference before a scan.
    Drain,
}

/// Faults to inject, each at most once at a time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The phase of the faults. Without it they hold always.
    pub during: Option<Moment>,
    /// A lamp goes dark.
    pub lamp_fails: Option<LampFails>,
    /// A lamp flickers.
    pub lamp_flickers: Option<LampFlickers>,
    /// The belt stands still from a position on, against the drive. The encoder shows it.
    pub belt_stalls: Option<BeltStalls>,
    /// The belt moves less than the encoder says from a position on.
    pub belt_slips: Option<BeltSlips>,
    /// The belt runs backwards from a position on, against the drive. The encoder shows it.
    pub belt_reverses: Option<BeltReverses>,
    /// A shutter does not move any more, without an error.
    pub shutter_sticks: Option<ShutterSticks>,
    /// A camera sends no more frames, without an error.
    pub camera_silent: Option<CameraSilent>,
    /// A camera accepts another exposure than the wanted one.
    pub exposure_sticks: Option<ExposureSticks>,
    /// A camera sends frames without their end.
    pub camera_short: Option<CameraShort>,
    /// A camera sends its frames late.
    pub camera_late: Option<CameraLate>,
    /// The link to a camera breaks, with an error.
    pub camera_lost: Option<CameraLost>,
    /// The drive reports a fault from a position on, and the belt stands.
    pub drive_trips: Option<DriveTrips>,
    /// The drive does not answer any more from a position on.
    pub drive_silent: Option<DriveSilent>,
    /// A light does not answer any more, and stays as it is.
    pub light_silent: Option<LightSilent>,
    /// The encoder's reading stays the same from a position on, while the belt may move.
    pub encoder_sticks: Option<EncoderSticks>,
    /// The encoder's reading jumps at a position.
    pub encoder_jumps: Option<EncoderJumps>,
    /// The model that encodes spectra takes longer than needed.
    pub encoder_slow: Option<EncoderSlow>,
    /// The model that encodes spectra fails.
    pub encoder_fails: Option<EncoderFails>,
}

/// A model that is too slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderSlow {
    /// Additional time of each batch, s.
    pub batch_s: f64,
    /// The encoder's name. Absent: all encoders.
    #[serde(default)]
    pub encoder: Option<String>,
}

/// A model that fails. It works again after the next loading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderFails {
    /// Batches before the failure.
    pub after_batches: u64,
    /// The encoder's name. Absent: all encoders.
    #[serde(default)]
    pub encoder: Option<String>,
}

impl Faults {
    /// The faults that hold in a phase.
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
    /// Belt position of the failure, mm.
    pub at_mm: f64,
    /// Whether its controller reports the failure.
    #[serde(default)]
    pub reported: bool,
}

/// A lamp that flickers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LampFlickers {
    /// Name of the light.
    pub light: String,
    /// Belt position of the first flicker, mm.
    pub at_mm: f64,
    /// Amplitude as a share of its light.
    pub share: f64,
    /// Frequency, 1/s.
    pub hz: f64,
}

/// A camera with a fixed exposure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposureSticks {
    /// Name of the camera.
    pub camera: String,
    /// The fixed exposure, µs.
    pub exposure_us: f64,
}

/// A belt that stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltStalls {
    /// Belt position of the stall, mm.
    pub at_mm: f64,
}

/// A belt that runs backwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltReverses {
    /// Belt position of the reversal, mm, at any time. The belt then runs backwards until a stop.
    pub at_mm: f64,
}

/// A belt that slips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeltSlips {
    /// Belt position of the first slip, mm.
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
    /// Number of missing frames. All when absent.
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
    /// Number of torn frames. All when absent.
    #[serde(default)]
    pub frames: Option<u64>,
}

/// A camera whose frames are late. The fault exists only in `real_time` pace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraLate {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that is late.
    pub from_frame: u64,
    /// Delay, s of simulated time.
    pub delay_s: f64,
}

/// A camera whose link breaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraLost {
    /// Name of the camera.
    pub camera: String,
    /// First frame number of a stream that does not come. At 0 no stream begins.
    pub from_frame: u64,
}

/// A drive that trips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriveTrips {
    /// Belt position of the trip, mm.
    pub at_mm: f64,
}

/// A drive that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriveSilent {
    /// Belt position of the silence, mm.
    pub at_mm: f64,
    /// Time until the drive stops the belt by itself without its link, s of simulated time.
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
    /// Reading that stays, mm.
    pub at_mm: f64,
}

/// An encoder that jumps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderJumps {
    /// Reading at the jump, mm.
    pub at_mm: f64,
    /// Size of the jump, mm. A negative one goes back.
    pub by_mm: f64,
}
