//! What a record says of the minerals of a scan and its samples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The library by which a scan's minerals were identified, and the samples that still lack theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MineralsRecord {
    /// The library's name. Empty where it could not be read.
    pub library: String,
    /// SHA-256 of the library, lower-case hexadecimal. Empty where it could not be read.
    pub library_sha256: String,
    /// Version of the method of identification.
    pub method: u32,
    /// Samples that are not identified yet. They are stored. The daemon identifies them from their files while the rig is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingMinerals>,
}

/// Samples of a scan that are stored and not identified yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PendingMinerals {
    /// The reason for the deferral.
    pub reason: String,
    /// Their files, relative to the scan's folder.
    pub samples: Vec<String>,
}

/// What is identified on a sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SampleMinerals {
    /// Number of the sample's part in the data set `minerals`.
    pub part: u32,
    /// Why the sample is not identified yet. The rest is then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
    /// Number of pixels that were judged: those of the mask with a valid spectrum.
    #[serde(default)]
    pub pixels: u64,
    /// Pixels in which neither group has a mineral.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_identified: Option<Share>,
    /// Shares of the minerals of group 1 (electronic, VNIR) and of group 2 (vibrational, SWIR). Minerals that no pixel has are absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<MineralShares>,
    /// The features, by name. Features that no pixel has are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<String, FeatureSummary>,
}

impl SampleMinerals {
    /// A sample that is identified later.
    pub fn deferred(part: u32, reason: String) -> Self {
        Self { part, deferred: Some(reason), ..Self::default() }
    }
}

/// Shares of the judged pixels in a group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MineralShares {
    /// Pixels without a mineral of this group.
    pub not_identified: Share,
    /// Each mineral that some pixel has.
    pub minerals: BTreeMap<String, Share>,
}

/// A share of pixels, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The share of the area.
    pub share: f64,
    /// The interval that holds the true share in 95 % of all cases, by a bootstrap over blocks of pixels.
    pub interval: [f64; 2],
}

/// A feature over the pixels of a sample that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureSummary {
    /// Its unit: `nm` or `1`.
    pub unit: String,
    /// Number of pixels that have it.
    pub pixels: u64,
    /// The median.
    pub median: f64,
    /// Half of the distance between the 16th and the 84th percentile.
    pub spread: f64,
    /// The interval that holds the true median in 95 % of all cases.
    pub interval: [f64; 2],
}
