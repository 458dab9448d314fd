//! What can be asked of a rig: the one interface between the control socket and the conductor, with the messages of both.

use super::pending::Pending;
use super::record::{DarkLevelDrift, FileRecord, OverlapStep, SampleRecord};
use super::{Fault, Liveness, Readiness, Tray};
use async_trait::async_trait;
use contract::{ConveyorState, Exposure, LightState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::broadcast;

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

/// Who asks: the peer of a unix socket (SO_PEERCRED).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Process id.
    pub pid: Option<i32>,
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

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The rig is doing something else, or is faulted (409).
    #[error("the rig is not ready: {reason}")]
    NotReady {
        /// Why, and what to do.
        reason: String,
    },
    /// The request itself is wrong (422); every fault at once.
    #[error("{} fault(s) in the request: {}", faults.len(), faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Every fault, with its path in the request.
        faults: Vec<Fault>,
    },
    /// There is no such thing (404).
    #[error("there is no {what} `{id}`")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A reference was taken and did not pass (422).
    #[error("the {kind} reference of {camera} is refused: {figure}; {reason}")]
    Reference {
        /// Which.
        kind: ReferenceKind,
        /// Whose.
        camera: String,
        /// The figure that failed, with its value.
        figure: String,
        /// The limit, and what to do.
        reason: String,
    },
    /// A device failed or refused (502).
    #[error("{reason}")]
    Device {
        /// What it said.
        reason: String,
    },
    /// The disk has no room for it, or is too slow (507).
    #[error("{reason}")]
    Disk {
        /// What it has, what is needed, and what to do.
        reason: String,
    },
}

/// Sums of one camera over a scan. `received + lost = expected` for a scan whose books balance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CameraSums {
    /// Lines received.
    pub received: u64,
    /// Lines lost: the gaps in the frame numbers.
    pub lost: u64,
    /// Lines that the scan should have given: from the first to the last frame number.
    pub expected: u64,
    /// Of the lost, those that found no free slot in the frame pool.
    pub lost_pool: u64,
    /// Of the lost, those that never reached the pool.
    pub lost_link: u64,
    /// Received lines that could not be used (incomplete, or the belt stood).
    pub unusable: u64,
    /// Received lines that are not in the raw recording, because the disk refused them.
    #[serde(default)]
    pub unrecorded: u64,
    /// Each gap: first frame number lost, and how many.
    pub gaps: Vec<(u64, u64)>,
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
    pub cameras: BTreeMap<String, CameraSums>,
    /// Samples closed so far.
    pub samples: u64,
    /// Rows of embeddings in closed Parquet parts so far.
    pub embeddings: u64,
}

/// What is known of a scan, running or ended: the contents of `scan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanRecord {
    /// The scan's id.
    pub id: String,
    /// What was asked: the tray map.
    pub tray: Tray,
    /// When it was started (ISO 8601, UTC).
    pub started: String,
    /// When it ended; `None` while it runs.
    pub ended: Option<String>,
    /// Whether it went to its planned end; `None` while it runs.
    pub complete: Option<bool>,
    /// Why it is incomplete.
    pub reason: Option<String>,
    /// Sums per camera.
    pub cameras: BTreeMap<String, CameraSums>,
    /// Samples stored so far.
    pub samples: Vec<SampleRecord>,
    /// Containers of the tray map in which nothing was found.
    pub missing: Vec<String>,
    /// How far each camera sees the containers from where the first one does, mm across and along the tray; only of cameras whose
    /// containers show edges.
    #[serde(default)]
    pub residuals_mm: BTreeMap<String, [f64; 2]>,
    /// How far each camera's dark level moved during the scan.
    #[serde(default)]
    pub dark_drift: BTreeMap<String, DarkLevelDrift>,
    /// Mean distance of lines over the width of a pixel, per camera whose belt position was measured: 1 where pixels are square.
    #[serde(default)]
    pub anisotropy: BTreeMap<String, f64>,
    /// The step between cameras whose ranges overlap or adjoin.
    #[serde(default)]
    pub overlap_step: Vec<OverlapStep>,
    /// Warnings of the scan.
    pub warnings: Vec<String>,
    /// Rows of embeddings.
    pub embeddings: u64,
    /// Embeddings that were left for later; the samples are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Every file of the scan with its hash, once it has ended.
    pub files: Vec<FileRecord>,
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the configuration.
    pub configuration_sha256: String,
    /// SHA-256 of the encoder model.
    pub encoder_sha256: Option<String>,
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

/// How a reference is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReferenceRequest {
    /// Take it although it differs from the last good one: lamps, panel or shutter were changed on purpose.
    pub accept_change: bool,
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

/// `POST /v1/scans`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScanRequest {
    /// The tray map, checked by the rig: see [`Tray::check`].
    pub tray: serde_json::Value,
}

/// `PUT /v1/lighting`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightingRequest {
    /// Which light; all when absent.
    pub light: Option<String>,
    /// Level, 0 (off) to 1.
    pub level: f64,
}

/// `PUT /v1/conveyor`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConveyorRequest {
    /// Runs until stopped.
    Run {
        /// Speed, mm/s; negative runs backwards.
        speed_mm_per_s: f64,
    },
    /// Runs to a position and stops there.
    Travel {
        /// Position, mm.
        to_mm: f64,
    },
    /// Stops. With braces, or serde would take unknown keys beside it.
    Stop {},
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The state changed.
    State {
        /// The new state.
        state: StateName,
        /// Why.
        cause: Option<String>,
    },
    /// A scan was accepted.
    ScanStarted {
        /// Its id.
        scan: String,
    },
    /// How far a scan is (several times a second).
    Progress(Progress),
    /// Lines of a camera were lost.
    LinesLost {
        /// The scan.
        scan: String,
        /// The camera.
        camera: String,
        /// First frame number lost.
        first: u64,
        /// How many.
        count: u64,
    },
    /// The last line of a camera was acquired.
    CameraDone {
        /// The scan.
        scan: String,
        /// The camera.
        camera: String,
        /// Its sums.
        sums: CameraSums,
    },
    /// A sample begins.
    SampleOpened {
        /// The scan.
        scan: String,
        /// The sample.
        sample: String,
        /// The container.
        container: String,
    },
    /// A sample is stored.
    SampleStored {
        /// The scan.
        scan: String,
        /// What was stored.
        record: SampleRecord,
    },
    /// A Parquet part was closed.
    PartClosed {
        /// The scan.
        scan: String,
        /// Path relative to the data root.
        path: String,
        /// Its rows.
        rows: u64,
    },
    /// The encoder or the data set failed or fell behind: embeddings of a scan are left for later (once per scan).
    EmbeddingsPending {
        /// The scan.
        scan: String,
        /// Why.
        reason: String,
    },
    /// What was left of a scan's embeddings is published.
    EmbeddingsCaughtUp {
        /// The scan.
        scan: String,
        /// Rows added.
        rows: u64,
    },
    /// A reference was taken.
    ReferenceTaken(ReferenceStatus),
    /// Something to know, no data lost.
    Warning {
        /// In words.
        message: String,
    },
    /// A scan is closed.
    ScanClosed {
        /// Its id.
        scan: String,
        /// Whether it went to its planned end.
        complete: bool,
        /// Why not.
        reason: Option<String>,
    },
}

/// An event with its number: `id` of the server-sent event, rising by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Number.
    pub id: u64,
    /// When (ISO 8601, UTC).
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Everything that can be asked of a rig.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// What the rig is doing.
    async fn status(&self) -> Status;
    /// Starts a scan: checks the tray map, accepts, and returns the record with the new id; the scan goes on by itself.
    async fn start_scan(&self, request: ScanRequest, peer: Peer) -> Result<ScanRecord, Refusal>;
    /// Every scan under the data root, oldest first.
    async fn scans(&self) -> Vec<ScanRecord>;
    /// One scan.
    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal>;
    /// Ends a scan early and keeps what was scanned.
    async fn stop_scan(&self, id: &str, peer: Peer) -> Result<ScanRecord, Refusal>;
    /// Takes a reference on every camera.
    async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest, peer: Peer) -> Result<Vec<ReferenceStatus>, Refusal>;
    /// Switches lamps.
    async fn lighting(&self, request: LightingRequest, peer: Peer) -> Result<Vec<DeviceStatus>, Refusal>;
    /// Moves the belt.
    async fn conveyor(&self, request: ConveyorRequest, peer: Peer) -> Result<DeviceStatus, Refusal>;
    /// Emergency: belt stops, lamps off, a scan is closed as incomplete. Never refused.
    async fn emergency_stop(&self, peer: Peer) -> Status;
    /// Takes note of a fault, so that the rig is idle again.
    async fn acknowledge(&self, peer: Peer) -> Result<Status, Refusal>;
    /// Events after number `after` that are still held (all held ones for `None`), and those to come.
    fn events(&self, after: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>);
    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// Whether the data path makes progress or has nothing to do.
    fn liveness(&self) -> Liveness;
    /// Whether a scan could be asked for, and what is missing.
    async fn readiness(&self) -> Readiness;
}
