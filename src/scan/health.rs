//! The answers of the health routes: liveness, readiness and missing prerequisites.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/health/live`: whether the daemon works. systemd restarts a daemon that does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Liveness {
    /// Whether the data path makes progress or has no work.
    pub alive: bool,
    /// Stages that have work and make no progress.
    pub stuck: Vec<String>,
}

/// `GET /v1/health/ready`: whether the rig can accept a scan once its present work has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether nothing is missing.
    pub ready: bool,
    /// The missing prerequisites of a scan.
    pub missing: Vec<Missing>,
}

/// A missing prerequisite of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// The prerequisite's kind.
    pub what: MissingKind,
    /// The problem and its remedy.
    pub reason: String,
}

/// The prerequisites of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// Recovery of interrupted scans has not finished.
    Recovery,
    /// A fault waits for acknowledgement.
    Fault,
    /// A device does not answer.
    Device,
    /// The disk accepts no data.
    Disk,
    /// The data path makes no progress.
    Progress,
}
