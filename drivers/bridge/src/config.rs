//! The `[camera.device]` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A camera behind a helper program, one that is started (`command`), or one that listens (`socket`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The helper and its arguments. Either this or `socket`.
    #[serde(default)]
    pub command: Vec<String>,
    /// The unix socket on which a helper listens. Either this or `command`.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// Pixels across the belt. The helper's value must agree.
    pub pixels: usize,
    /// Spectral bands. The helper's value must agree.
    pub bands: usize,
    /// Longest time for the helper to find its camera, ms.
    #[serde(default = "open_ms")]
    pub open_ms: u64,
    /// Longest wait for an answer, or for the rest of a message, ms.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
}

fn open_ms() -> u64 {
    15_000
}

fn timeout_ms() -> u64 {
    2000
}

impl Config {
    /// Faults of the section: key and problem.
    pub fn faults(&self) -> Vec<contract::ConfigFault> {
        contract::config_faults(|must| {
            must(
                self.command.is_empty() == self.socket.is_some(),
                "command",
                "give either command (a helper to start) or socket (one that listens)",
            );
            must((1..=65_536).contains(&self.pixels), "pixels", "must be from 1 to 65536");
            must((1..=65_536).contains(&self.bands), "bands", "must be from 1 to 65536");
            must((10..=600_000).contains(&self.open_ms), "open_ms", "must be from 10 to 600000");
            must((10..=60_000).contains(&self.timeout_ms), "timeout_ms", "must be from 10 to 60000");
        })
    }

    /// Program or socket, for messages.
    pub fn place(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => self.command.join(" "),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
