//! The facts of a scan that do not change: tray, axes, cameras, encoder and configuration.

use crate::calibrate::Calibration;
use crate::join::Axes;
use crate::scan::{Ledger, Tray};
use contract::{CameraDescription, Exposure};
use std::sync::Arc;

/// One camera of a scan.
#[derive(Debug, Clone)]
pub struct CameraContext {
    /// The camera's configured name, such as `vnir` or `swir`.
    pub name: String,
    /// The camera's model, layout and wavelengths.
    pub description: CameraDescription,
    /// The settings that the camera accepted.
    pub exposure: Exposure,
    /// The calibration from counts to reflectance.
    pub calibration: Arc<Calibration>,
}

/// The encoder of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderContext {
    /// The name in the model's metadata, else the name of its file.
    pub name: String,
    /// SHA-256 of the model file, lower-case hexadecimal.
    pub sha256: String,
    /// Number of dimensions of an embedding.
    pub dimensions: usize,
}

/// The facts of a scan that are fixed before its first line.
#[derive(Debug, Clone)]
pub struct ScanContext {
    /// The scan's id. Ids sort by time.
    pub scan_id: String,
    /// Time at which the scan was started, ns since 1970-01-01T00:00:00Z.
    pub start_ns: i64,
    /// The tray map: which sample lies in which container.
    pub tray: Tray,
    /// The millimetre grid and the bands.
    pub axes: Axes,
    /// The cameras, in the order of the configuration.
    pub cameras: Vec<CameraContext>,
    /// The encoder, where one is configured.
    pub encoder: Option<EncoderContext>,
    /// Every native line of each camera that was recorded so far.
    pub ledger: Arc<Ledger>,
    /// Text of the configuration as it was read.
    pub configuration: String,
    /// SHA-256 of the configuration, lower-case hexadecimal.
    pub configuration_sha256: String,
}
