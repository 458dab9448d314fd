//! The three steps of what a person may do, as on the control socket.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May look, and stop everything in an emergency
    Observe,
    /// May scan, take references, move the belt and set the lamps
    Operate,
    /// May accept what the daemon would refuse: a reference that differs from the last good one
    Administer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Operate => "operate",
            Self::Administer => "administer",
        })
    }
}
