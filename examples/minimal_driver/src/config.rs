//! The `[camera.device]` section.

use contract::{ConfigFault, config_faults};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A camera of the maker. Its shape is written here too, so that memory and rates are known before the camera is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Serial number, as the camera's plate has it.
    pub serial: String,
    /// Pixels across the belt; the camera must have as many.
    pub pixels: usize,
    /// Spectral bands; the camera must have as many.
    pub bands: usize,
    /// Centre of the first band, nm.
    pub first_nm: f64,
    /// Centre of the last band, nm.
    pub last_nm: f64,
}

impl Config {
    /// What is wrong with the section: key and problem.
    pub fn faults(&self) -> Vec<ConfigFault> {
        config_faults(|must| {
            must(!self.serial.is_empty(), "serial", "give the serial number of the camera");
            must((1..=65_536).contains(&self.pixels), "pixels", "must be from 1 to 65536");
            must((1..=65_536).contains(&self.bands), "bands", "must be from 1 to 65536");
            must(self.first_nm > 0.0 && self.first_nm < self.last_nm, "first_nm", "must be positive and below last_nm");
        })
    }
}
