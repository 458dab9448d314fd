//! What the rig is doing, as `GET /v1/status` shows it.

use super::record::{LineCounts, Pending};
use contract::{ConveyorState, Exposure, LightState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The states of the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Nothing is asked of the rig.
    Idle,
    /// Lamps are on and not yet stable.
    Warming,
    /// References are being taken.
    Referencing,
    /// References are good, a scan can begin.
    Ready,
    /// The belt moves and lines are recorded.
    Scanning,
    /// The belt stands, what was recorded is being written.
    Draining,
    /// A fault stopped the rig; it waits to be acknowledged.
    Faulted,
}

/// A reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// With the shutter closed, or the lamps off.
    Dark,
    /// On the white panel.
    White,
}

impl std::fmt::Display for ReferenceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dark => "dark",
            Self::White => "white",
        })
    }
}

/// A reference's age and figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceStatus {
    /// Whose.
    pub camera: String,
    /// Which.
    pub kind: ReferenceKind,
    /// When it was taken (ISO 8601, UTC).
    pub taken: String,
    /// Its age, s.
    pub age_s: f64,
    /// Frames averaged.
    pub frames: u32,
    /// Mean over the frame, counts.
    pub mean_counts: f64,
    /// Mean noise, counts.
    pub noise_counts: f64,
    /// Share of elements that are saturated.
    pub saturated: f64,
    /// White: scatter of the light from line to line, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flicker: Option<f64>,
    /// White: darkest part of the line as a share of the brightest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evenness: Option<f64>,
    /// White: largest drop of a pixel below its surroundings, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirt: Option<f64>,
    /// White: signal above dark of the weakest band, counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_signal_counts: Option<f64>,
    /// Temperature of the camera, °C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
}

/// A device as status shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "device", rename_all = "snake_case")]
pub enum DeviceStatus {
    /// A camera.
    Camera {
        /// Name in the configuration.
        name: String,
        /// Maker and model.
        model: String,
        /// Serial number.
        serial: String,
        /// Whether it answers.
        connected: bool,
        /// Pixels and bands of a frame.
        shape: [usize; 2],
        /// Settings that it accepted, as `exposure_us`, `frame_rate_hz`, `binning`.
        #[schemars(with = "serde_json::Value")]
        exposure: Option<Exposure>,
        /// Detector temperature, degrees Celsius.
        temperature_c: Option<f32>,
        /// Slots of the frame pool that are free, and all.
        pool: [usize; 2],
    },
    /// The conveyor.
    Conveyor {
        /// Maker and model.
        model: String,
        /// Whether it answers.
        connected: bool,
        /// What it does.
        state: Option<ConveyorState>,
    },
    /// A light.
    Light {
        /// Name in the configuration.
        name: String,
        /// Maker and model.
        model: String,
        /// Whether it answers.
        connected: bool,
        /// What it does.
        state: Option<LightState>,
    },
}

/// Progress of a scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The scan.
    pub scan: String,
    /// Belt position, mm.
    pub position_mm: f64,
    /// Where the belt will stop, mm.
    pub end_mm: f64,
    /// Sums per camera so far.
    pub cameras: BTreeMap<String, LineCounts>,
    /// Samples closed so far.
    pub samples: u64,
    /// Rows of embeddings in closed Parquet parts so far.
    pub embeddings: u64,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The state.
    pub state: StateName,
    /// Why, when faulted.
    pub cause: Option<String>,
    /// Name of the rig.
    pub rig: String,
    /// Version of the program.
    pub version: String,
    /// Every device.
    pub devices: Vec<DeviceStatus>,
    /// Every reference that is held.
    pub references: Vec<ReferenceStatus>,
    /// Free bytes where the data goes.
    pub disk_free_bytes: u64,
    /// Fill of every queue between stages: items waiting, and room.
    pub queues: BTreeMap<String, [usize; 2]>,
    /// The scan that runs.
    pub scan: Option<Progress>,
    /// Embeddings that wait until the rig has nothing else to do, by scan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<String, Pending>,
}
