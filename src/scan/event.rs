//! What happens, as `GET /v1/events` tells it.

use super::record::{LineCounts, SampleRecord};
use super::status::{Progress, ReferenceStatus, StateName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
        sums: LineCounts,
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
