//! `[minerals]`: what every valid spectrum is identified as.

use crate::scan::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[minerals]`: the library of minerals, and the limits of the identification. Nothing is identified without this section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MineralsConfig {
    /// The library, relative to the configuration file. Its spectra lie beside it.
    pub library: PathBuf,
    /// Largest share of a sample's pixels in which no mineral is identified. A larger one is a warning of the scan.
    #[serde(default = "most_not_identified")]
    pub max_not_identified: f64,
    /// Most memory for what is identified of the samples under the cameras, MiB. Beyond it, a sample is identified after the scan.
    #[serde(default = "max_memory")]
    pub max_memory_mib: u64,
    /// Interval of retries for samples whose identification failed again, s.
    #[serde(default = "retry")]
    pub retry_s: f64,
}

fn most_not_identified() -> f64 {
    0.5
}

fn max_memory() -> u64 {
    256
}

fn retry() -> f64 {
    30.0
}

impl MineralsConfig {
    /// Every fault that the form cannot express.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let rules = [
            ("max_not_identified", (0.0..=1.0).contains(&self.max_not_identified), "must be from 0 to 1"),
            ("max_memory_mib", (1..=1 << 20).contains(&self.max_memory_mib), "must be from 1 to 1048576 MiB"),
            ("retry_s", (0.0..=1e6).contains(&self.retry_s), "must be from 0 to 1 000 000"),
        ];
        let wrong = rules.into_iter().filter(|(_, good, _)| !good);
        wrong.map(|(key, _, problem)| Fault::new(format!("minerals.{key}"), problem)).collect()
    }
}
