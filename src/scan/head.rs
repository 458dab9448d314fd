//! What the heads of a rig say of a scan's samples.

use super::ScanRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A head as it judged the samples of a scan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HeadRecord {
    /// SHA-256 of the model, lower-case hexadecimal. Empty where it was not loaded.
    pub head_sha256: String,
    /// The quantity of its values. Empty where the model was not loaded.
    pub target: String,
    /// Its unit. Empty for a number without one.
    pub unit: String,
    /// Share of the samples that intervals should hold.
    pub level: f64,
    /// Why the samples are not judged. `hyclus recover --heads` tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl HeadRecord {
    /// The quantity and its unit, as a head of a column: `cu [%]`.
    pub fn titled(&self) -> String {
        if self.unit.is_empty() { self.target.clone() } else { format!("{} [{}]", self.target, self.unit) }
    }
}

impl ScanRecord {
    /// Names of the heads that judged the samples.
    pub fn judging_heads(&self) -> impl Iterator<Item = &String> {
        self.heads.iter().filter(|(_, head)| head.failed.is_none()).map(|(name, _)| name)
    }
}

/// What a head says of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeadValue {
    /// The value, in the head's unit.
    pub value: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Distance from the samples that the head learned from. 1 is the limit.
    pub distance: f64,
    /// Whether the sample is beyond the limit. Its value is then not to be used.
    pub refused: bool,
}
