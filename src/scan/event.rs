//! The events of `GET /v1/events`.

use super::record::{LineCounts, SampleRecord};
use super::status::{Progress, ReferenceStatus, StateName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One kind of event, with its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The state changed.
    State {
        /// The new state.
        state: StateName,
        /// The cause of the change.
        cause: Option<String>,
    },
    /// A scan was accepted.
    ScanStarted {
        /// The scan's id.
        scan: String,
    },
    /// The scan's progress, several times a second.
    Progress(Progress),
    /// Lines of a camera were lost.
    LinesLost {
        /// The scan's id.
        scan: String,
        /// The camera's name.
        camera: String,
        /// The first lost frame number.
        first: u64,
        /// Number of lost lines.
        count: u64,
    },
    /// The last line of a camera was acquired.
    CameraDone {
        /// The scan's id.
        scan: String,
        /// The camera's name.
        camera: String,
        /// The camera's line counts.
        sums: LineCounts,
    },
    /// A sample begins.
    SampleOpened {
        /// The scan's id.
        scan: String,
        /// The sample's name.
        sample: String,
        /// The container's name.
        container: String,
    },
    /// A sample is stored.
    SampleStored {
        /// The scan's id.
        scan: String,
        /// The stored sample.
        record: SampleRecord,
    },
    /// A Parquet part was closed.
    PartClosed {
        /// The scan's id.
        scan: String,
        /// Path relative to the data root.
        path: String,
        /// Number of rows.
        rows: u64,
    },
    /// The minerals of a sample are published.
    SampleIdentified {
        /// The scan's id.
        scan: String,
        /// The sample's name.
        sample: String,
        /// The container's name.
        container: String,
        /// Path of the part, relative to the data root.
        path: String,
        /// Number of rows: the judged pixels.
        rows: u64,
    },
    /// More spectra of a sample than configured are unlike anything an encoder was trained on. Sent when the sample ends under the cameras.
    SampleNovel {
        /// The scan's id.
        scan: String,
        /// The sample's name.
        sample: String,
        /// The container's name.
        container: String,
        /// The encoder. Absent for `main`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoder: Option<String>,
        /// Share of the container's spectra, 0 to 1.
        share: f64,
        /// Number of spectra that were encoded.
        spectra: u64,
    },
    /// Samples of the scan are identified later. Sent once per scan.
    MineralsPending {
        /// The scan's id.
        scan: String,
        /// The reason.
        reason: String,
    },
    /// The deferred samples of the scan are identified.
    MineralsCaughtUp {
        /// The scan's id.
        scan: String,
        /// Number of samples.
        samples: u64,
    },
    /// The scan's embeddings are deferred, because the encoder or the data set failed or fell behind. Sent once per scan and encoder.
    EmbeddingsPending {
        /// The scan's id.
        scan: String,
        /// The encoder. Absent for `main`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoder: Option<String>,
        /// The reason.
        reason: String,
    },
    /// The scan's deferred embeddings are published.
    EmbeddingsCaughtUp {
        /// The scan's id.
        scan: String,
        /// The encoder. Absent for `main`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoder: Option<String>,
        /// Number of rows added.
        rows: u64,
    },
    /// An encoder runs another model from the next scan on.
    EncoderReplaced {
        /// Name of the encoder.
        encoder: String,
        /// Name of the model.
        model: String,
        /// SHA-256 of the model, lower-case hexadecimal.
        encoder_sha256: String,
        /// Whether it stands in the place of the configured model, or is that model again.
        replaced: bool,
    },
    /// The scan lies in an archive. Files that it holds may have been removed here.
    ScanArchived {
        /// The scan's id.
        scan: String,
        /// The archive.
        place: String,
        /// The files that are left here.
        files: super::FilesHere,
    },
    /// A reference was taken.
    ReferenceTaken(ReferenceStatus),
    /// A warning: no data are lost.
    Warning {
        /// The warning in words.
        message: String,
    },
    /// A scan is closed.
    ScanClosed {
        /// The scan's id.
        scan: String,
        /// Whether the scan reached its planned end.
        complete: bool,
        /// The reason for an incomplete scan.
        reason: Option<String>,
    },
}

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The `id` of the server-sent event. It rises by one.
    pub id: u64,
    /// Time of the event (ISO 8601, UTC).
    pub time: String,
    /// The event's kind and data.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl EventKind {
    /// The scan that an event belongs to.
    pub fn scan(&self) -> Option<&str> {
        match self {
            Self::Progress(progress) => Some(&progress.scan),
            Self::ScanStarted { scan }
            | Self::LinesLost { scan, .. }
            | Self::CameraDone { scan, .. }
            | Self::SampleOpened { scan, .. }
            | Self::SampleStored { scan, .. }
            | Self::PartClosed { scan, .. }
            | Self::EmbeddingsPending { scan, .. }
            | Self::EmbeddingsCaughtUp { scan, .. }
            | Self::SampleIdentified { scan, .. }
            | Self::SampleNovel { scan, .. }
            | Self::MineralsPending { scan, .. }
            | Self::MineralsCaughtUp { scan, .. }
            | Self::ScanArchived { scan, .. }
            | Self::ScanClosed { scan, .. } => Some(scan),
            Self::State { .. } | Self::EncoderReplaced { .. } | Self::ReferenceTaken(_) | Self::Warning { .. } => None,
        }
    }
}
