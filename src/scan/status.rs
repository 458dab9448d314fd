//! The rig's status, as `GET /v1/status` shows it.

use super::encoder::PendingScans;
use super::minerals::PendingMinerals;
use super::record::{BadElements, LineCounts, Pending, WavelengthCheck};
use contract::{ConveyorState, Exposure, LightState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The states of the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// The rig has no task.
    Idle,
    /// The lamps are on and not yet stable.
    Warming,
    /// The rig takes references.
    Referencing,
    /// The references are good: a scan can begin.
    Ready,
    /// The belt moves and the cameras record lines.
    Scanning,
    /// The belt stands and the recorded data are being written.
    Draining,
    /// A fault stopped the rig. The fault waits for acknowledgement.
    Faulted,
}

/// The kind of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// With the shutter closed or the lamps off.
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
    /// The camera's name.
    pub camera: String,
    /// Dark or white.
    pub kind: ReferenceKind,
    /// Time of the first frame (ISO 8601, UTC).
    pub taken: String,
    /// Age of the reference, s.
    pub age_s: f64,
    /// Number of averaged frames.
    pub frames: u32,
    /// Mean over the frame, counts.
    pub mean_counts: f64,
    /// Mean noise, counts.
    pub noise_counts: f64,
    /// Share of saturated elements.
    pub saturated: f64,
    /// White: scatter of the light from line to line, as a share of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flicker: Option<f64>,
    /// White: darkest part of the line as a share of the brightest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evenness: Option<f64>,
    /// White: largest drop of a pixel below its surroundings, as a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirt: Option<f64>,
    /// White: signal above dark in the weakest band, counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_signal_counts: Option<f64>,
    /// Bad elements by this reference and the other one that the camera held then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_elements: Option<BadElements>,
    /// White: the wavelength axis by the absorptions of the panel, where the camera sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wavelength: Option<WavelengthCheck>,
    /// Temperature of the camera, °C.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
}

/// A device's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "device", rename_all = "snake_case")]
pub enum DeviceStatus {
    /// A camera.
    Camera {
        /// The camera's name in the configuration.
        name: String,
        /// Maker and model.
        model: String,
        /// Serial number.
        serial: String,
        /// Whether the camera answers.
        connected: bool,
        /// Pixels and bands of a frame.
        shape: [usize; 2],
        /// The accepted settings: `exposure_us`, `frame_rate_hz`, `binning`.
        #[schemars(with = "serde_json::Value")]
        exposure: Option<Exposure>,
        /// Detector temperature, °C.
        temperature_c: Option<f32>,
        /// Free slots and all slots of the frame pool.
        pool: [usize; 2],
    },
    /// The conveyor.
    Conveyor {
        /// Maker and model.
        model: String,
        /// Whether the conveyor answers.
        connected: bool,
        /// The conveyor's position, speed and motion.
        state: Option<ConveyorState>,
    },
    /// A light.
    Light {
        /// The light's name in the configuration.
        name: String,
        /// Maker and model.
        model: String,
        /// Whether the light answers.
        connected: bool,
        /// The light's level and state.
        state: Option<LightState>,
    },
}

/// Progress of a scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The scan's id.
    pub scan: String,
    /// Belt position, mm.
    pub position_mm: f64,
    /// The belt position of the planned stop, mm.
    pub end_mm: f64,
    /// Line counts per camera so far.
    pub cameras: BTreeMap<String, LineCounts>,
    /// Number of samples closed so far.
    pub samples: u64,
    /// Number of embedding rows in closed Parquet parts so far.
    pub embeddings: u64,
}

/// The answer of `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The rig's state.
    pub state: StateName,
    /// The cause of a fault.
    pub cause: Option<String>,
    /// The rig's name.
    pub rig: String,
    /// The program's version.
    pub version: String,
    /// Every device.
    pub devices: Vec<DeviceStatus>,
    /// Every reference that the cameras hold.
    pub references: Vec<ReferenceStatus>,
    /// Free bytes on the file system of the data root.
    pub disk_free_bytes: u64,
    /// Fill of every queue between stages: waiting items and capacity.
    pub queues: BTreeMap<String, [usize; 2]>,
    /// The running scan.
    pub scan: Option<Progress>,
    /// Embeddings that wait until the rig is idle, by scan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<String, Pending>,
    /// Deferred embeddings of encoders besides `main`, by scan and encoder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending_encoders: PendingScans,
    /// Samples that lack minerals and wait until the rig is idle, by scan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending_minerals: BTreeMap<String, PendingMinerals>,
    /// Scans that were cut off and whose recordings cannot be processed, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_aside: BTreeMap<String, String>,
}
