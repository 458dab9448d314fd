//! Everything that can be asked of a rig: the one interface between the control socket and the controller.

use crate::scan::{DeviceStatus, Event, Fault, Liveness, Readiness, ReferenceKind, ReferenceStatus, ScanRecord, Status};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

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

/// How a reference is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReferenceRequest {
    /// Take it although it differs from the last good one: lamps, panel or shutter were changed on purpose.
    pub accept_change: bool,
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
