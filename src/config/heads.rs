//! `[[head]]`: models that give a number of each sample, such as an assay.

use super::is_encoder_name;
use crate::scan::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Most heads of a rig.
const MOST: usize = 64;

/// `[[head]]`: a model of `hyclus-study regress`. It judges the mean spectrum of every sample when a scan ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Its name in `scan.json`: a letter, then at most 31 of a-z, 0-9, _ and -.
    pub name: String,
    /// The ONNX model, relative to the configuration file.
    pub model: PathBuf,
    /// ONNX Runtime, as in `encoder.library`.
    #[serde(default)]
    pub library: Option<PathBuf>,
}

/// Every fault of the heads that the form cannot express.
pub(super) fn faults(heads: &[HeadConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut must = |good: bool, path: String, problem: String| {
        if !good {
            faults.push(Fault::new(path, problem));
        }
    };
    must(heads.len() <= MOST, "head".into(), format!("must be at most {MOST}"));
    for (at, head) in heads.iter().enumerate() {
        let name = &head.name;
        let path = || format!("head[{at}].name");
        must(is_encoder_name(name), path(), "must be a letter, then at most 31 of a-z, 0-9, _ and -".into());
        let named = heads.iter().filter(|other| other.name == *name).count();
        must(named == 1, path(), format!("is `{name}`, as that of another head"));
    }
    faults
}
