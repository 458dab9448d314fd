//! Alive and ready, and what is missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/health/live`: whether the daemon does its work. systemd restarts one that does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Liveness {
    /// Whether the data path makes progress, or has nothing to do.
    pub alive: bool,
    /// Stages that have work and do none.
    pub stuck: Vec<String>,
}

/// `GET /v1/health/ready`: whether a scan could be asked for, once what is under way has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether nothing is missing.
    pub ready: bool,
    /// What is missing.
    pub missing: Vec<Missing>,
}

/// Something without which no scan begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// Kind.
    pub what: MissingKind,
    /// What is the matter, and what to do.
    pub reason: String,
}

/// What can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// Scans that were cut off are still being recovered.
    Recovery,
    /// A fault waits to be acknowledged.
    Fault,
    /// A device does not answer.
    Device,
    /// The disk does not take data.
    Disk,
    /// The data path makes no progress.
    Progress,
}
