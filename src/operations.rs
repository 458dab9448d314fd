//! The operations of a rig: the one interface between control socket and controller.

use crate::live::Tap;
use crate::scan::{
    DeviceStatus, EncoderStatus, Event, Fault, FilesHere, Liveness, Readiness, ReferenceKind, ReferenceStatus, ScanRecord, Status, Tray,
    rows_of_csv, trays_of,
};
use crate::worklist::WorklistStatus;
use arrayvec::ArrayString;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio::sync::broadcast;

/// Longest name of a person, bytes.
const LONGEST_NAME: usize = 64;

/// A person for whom a program asks. The name is the program's word: the daemon knows the program alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person(ArrayString<LONGEST_NAME>);

impl Person {
    /// A person's name: 1 to 64 bytes, without control characters. `None` for another.
    pub fn new(name: &str) -> Option<Self> {
        let fit = !name.trim().is_empty() && !name.chars().any(char::is_control);
        fit.then(|| ArrayString::from(name).ok().map(Self)).flatten()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The peer of a unix socket (SO_PEERCRED), who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Process id.
    pub pid: Option<i32>,
    /// The person for whom the peer asks, as the peer says.
    pub person: Option<Person>,
}

impl Peer {
    /// The user's name, or `uid N` where this machine's own list of users has no name. The person comes first where there is one.
    ///
    /// The list is read as a file. A name service that does not answer must not hold up an emergency stop.
    pub fn who(&self) -> String {
        match &self.person {
            Some(person) => format!("{} (through {})", person.name(), self.user()),
            None => self.user(),
        }
    }

    fn user(&self) -> String {
        let Some(uid) = self.uid else { return "somebody unknown".into() };
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entries = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let named = entries.filter(|entry| entry.get(2).is_some_and(|id| *id == uid.to_string())).find_map(|entry| entry.first().copied());
        named.map_or_else(|| format!("uid {uid}"), str::to_owned)
    }
}

/// Reason why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The rig is doing something else, or is faulted (409).
    #[error("the rig is not ready: {reason}")]
    NotReady {
        /// The reason, and a remedy.
        reason: String,
    },
    /// The request itself is wrong (422). Every fault is listed.
    #[error("{} fault(s) in the request: {}", faults.len(), faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Every fault, with its path in the request.
        faults: Vec<Fault>,
    },
    /// The named thing does not exist (404).
    #[error("there is no {what} `{id}`")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// The unknown id.
        id: String,
    },
    /// A reference was taken and did not pass (422).
    #[error("the {kind} reference of {camera} is refused: {figure}; {reason}")]
    Reference {
        /// Kind of the reference.
        kind: ReferenceKind,
        /// The camera's configured name.
        camera: String,
        /// The figure that failed, with its value.
        figure: String,
        /// The limit, and a remedy.
        reason: String,
    },
    /// A device failed or refused (502).
    #[error("{reason}")]
    Device {
        /// The device's error.
        reason: String,
    },
    /// The disk has no room for it, or is too slow (507).
    #[error("{reason}")]
    Disk {
        /// The disk's figures, the needed figures, and a remedy.
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

/// `POST /v1/scans`: a tray map, or a tray of the worklist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanRequest {
    /// The tray map, checked by the rig: see `Tray::check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::scan::map_schema")]
    pub tray: Option<serde_json::Value>,
    /// In place of `tray`: the next tray of the worklist.
    #[serde(default)]
    pub next: bool,
    /// In place of `tray`: the name of a tray of the worklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<String>,
    /// Scan samples of the worklist that a complete scan holds already.
    #[serde(default)]
    pub again: bool,
}

/// `POST /v1/trays/check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// A tray map, however wrong. The answer has its faults.
    pub tray: serde_json::Value,
}

/// The answer of `POST /v1/trays/check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Every fault. The list is empty where the tray could be scanned.
    pub faults: Vec<Fault>,
}

/// `POST /v1/trays/worklist` and `PUT /v1/worklist`: either `csv` or `rows`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorklistRequest {
    /// The worklist in CSV, with the names of the columns in its first row.
    #[serde(default)]
    pub csv: Option<String>,
    /// The worklist as rows, each with `sample` and what else is known of it.
    #[serde(default)]
    pub rows: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// A tray map whose places are used.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub tray: Option<serde_json::Value>,
}

impl WorklistRequest {
    /// A worklist in a file: CSV, or a list of objects in JSON where its name ends so. `tray` is a tray map whose places are used.
    ///
    /// # Errors
    /// One fault: the file is too large, or is not readable or JSON.
    pub fn read(file: &Path, tray: Option<serde_json::Value>) -> Result<Self, Vec<Fault>> {
        let fault = |problem: String| vec![Fault::new(file.display().to_string(), problem)];
        let text = contract::read_regular_text(file, Tray::MOST_BYTES).map_err(|error| fault(format!("cannot be read: {error}")))?;
        if file.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
            let rows = serde_json::from_str(&text).map_err(|error| fault(format!("is no list of objects in JSON: {error}")))?;
            return Ok(Self { csv: None, rows: Some(rows), tray });
        }
        Ok(Self { csv: Some(text), rows: None, tray })
    }

    /// The tray maps of the worklist.
    ///
    /// # Errors
    /// Every fault of the worklist.
    pub fn maps(&self) -> Result<Vec<serde_json::Value>, Vec<Fault>> {
        let csv;
        let rows = match (&self.csv, &self.rows) {
            (Some(text), None) => {
                csv = rows_of_csv(text)?;
                &csv
            }
            (None, Some(rows)) => rows,
            _ => return Err(vec![Fault::new("", "give the worklist either as `csv` or as `rows`")]),
        };
        trays_of(rows, self.tray.as_ref())
    }
}

/// A tray map of a worklist, and its faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sheet {
    /// The map.
    pub tray: serde_json::Value,
    /// Every fault. The list is empty where the tray could be scanned.
    pub faults: Vec<Fault>,
}

/// The answer of `POST /v1/trays/worklist`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trays {
    /// The trays, in the order of the worklist.
    pub trays: Vec<Sheet>,
}

/// `PUT /v1/scans/{id}/archived`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchivedRequest {
    /// The archive: a place such as `s3://bucket/prefix`, or a folder.
    #[schemars(length(min = 1, max = 4096))]
    pub place: String,
    /// Revision of the scan in the archive, from 1.
    #[schemars(range(min = 1))]
    pub revision: u32,
    /// The files that stay here. All others are removed, so the archive must hold them.
    pub files: FilesHere,
}

/// `PUT /v1/lighting`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightingRequest {
    /// Name of the light. All lights when absent.
    pub light: Option<String>,
    /// Level, 0 (off) to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub level: f64,
}

/// `PUT /v1/conveyor`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConveyorRequest {
    /// Runs until stopped.
    Run {
        /// Speed, mm/s. A negative one runs backwards.
        #[schemars(range(min = -1e6, max = 1e6))]
        speed_mm_per_s: f64,
    },
    /// Runs to a position and stops there.
    Travel {
        /// Position, mm.
        #[schemars(range(min = -1e6, max = 1e6))]
        to_mm: f64,
    },
    /// Runs for half a second at most. Asked for again and again, it runs until the last request is half a second old.
    Jog {
        /// Speed, mm/s. A negative one runs backwards.
        #[schemars(range(min = -1e6, max = 1e6))]
        speed_mm_per_s: f64,
    },
    /// Stops the belt. Without the braces, serde would accept unknown keys.
    Stop {},
}

/// The operations of a rig.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// The rig's current status.
    async fn status(&self) -> Status;
    /// Starts a scan. Checks the tray map, and gives the record with the new id. The scan goes on by itself.
    ///
    /// # Errors
    /// The tray map is wrong, a listed sample was scanned already, the rig is not ready, or the disk cannot take the scan.
    async fn start_scan(&self, request: ScanRequest, peer: Peer) -> Result<ScanRecord, Refusal>;
    /// The records of every scan under the data root, oldest first.
    async fn scans(&self) -> Vec<ScanRecord>;
    /// The record of one scan.
    ///
    /// # Errors
    /// The id is unknown.
    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal>;
    /// Ends a scan early, and keeps its recorded lines.
    ///
    /// # Errors
    /// The id is unknown, or the scan has ended already.
    async fn stop_scan(&self, id: &str, peer: Peer) -> Result<ScanRecord, Refusal>;
    /// Takes a reference on every camera.
    ///
    /// # Errors
    /// The rig is not ready, the reference is refused, or a device fails.
    async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest, peer: Peer) -> Result<Vec<ReferenceStatus>, Refusal>;
    /// Switches lamps.
    ///
    /// # Errors
    /// The rig is not idle, the light is unknown, the level is wrong, or a lamp fails.
    async fn lighting(&self, request: LightingRequest, peer: Peer) -> Result<Vec<DeviceStatus>, Refusal>;
    /// Moves the belt.
    ///
    /// # Errors
    /// The rig is not idle, the belt cannot do it, or the drive fails.
    async fn conveyor(&self, request: ConveyorRequest, peer: Peer) -> Result<DeviceStatus, Refusal>;
    /// Emergency stop: stops the belt, switches the lamps off, and closes a scan as incomplete. It is never refused. The rig is faulted
    /// until somebody acknowledges it.
    async fn emergency_stop(&self, peer: Peer) -> Status;
    /// Acknowledges a fault, so that the rig is idle again.
    ///
    /// # Errors
    /// The rig is not faulted, or still writes data.
    async fn acknowledge(&self, peer: Peer) -> Result<Status, Refusal>;
    /// The encoders, in the order of the configuration.
    async fn encoders(&self) -> Vec<EncoderStatus>;
    /// Puts the bytes of an ONNX model in the place of an encoder's model, from the next scan on. The model passes the checks of a start
    /// first.
    ///
    /// # Errors
    /// The encoder is unknown, the rig is not idle, the model does not fit, or the disk does not take it. The model before it stays.
    async fn replace_encoder(&self, name: &str, model: Vec<u8>, peer: Peer) -> Result<EncoderStatus, Refusal>;
    /// Goes back to the configured model of an encoder, from the next scan on.
    ///
    /// # Errors
    /// As for [`Operations::replace_encoder`].
    async fn restore_encoder(&self, name: &str, peer: Peer) -> Result<EncoderStatus, Refusal>;
    /// Notes that a scan lies in an archive, and removes its files here that are not to stay.
    ///
    /// # Errors
    /// The scan is unknown, has not ended, or waits for embeddings or minerals. The rig is not idle. The disk refuses.
    async fn archived(&self, id: &str, request: ArchivedRequest, peer: Peer) -> Result<ScanRecord, Refusal>;
    /// The worklist that is held, and how far it is.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    async fn worklist(&self) -> Result<WorklistStatus, Refusal>;
    /// Puts a worklist in the place of the one that is held.
    ///
    /// # Errors
    /// Every fault of it. The disk does not take it. The one before it stays.
    async fn put_worklist(&self, request: WorklistRequest, peer: Peer) -> Result<WorklistStatus, Refusal>;
    /// Removes the worklist. Gives how far it was.
    ///
    /// # Errors
    /// As for [`Operations::worklist`], or it cannot be removed.
    async fn remove_worklist(&self, peer: Peer) -> Result<WorklistStatus, Refusal>;
    /// Held events after number `after`, or all held events for `None`, and a receiver of later ones.
    fn events(&self, after: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>);
    /// Every fault of a tray map on this rig. The list is empty where it could be scanned.
    fn check_tray(&self, tray: &serde_json::Value) -> Vec<Fault>;
    /// The live tap.
    fn live(&self) -> Tap;
    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
    /// Whether the data path makes progress or has nothing to do.
    fn liveness(&self) -> Liveness;
    /// Whether a scan could start, and the missing conditions.
    async fn readiness(&self) -> Readiness;
}
