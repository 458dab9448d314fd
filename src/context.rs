//! What every part of a scan may want to know of the whole.

use crate::calibrate::Calibration;
use crate::join::Axes;
use crate::scan::{Ledger, Tray};
use contract::{CameraDescription, Exposure};
use std::sync::Arc;

/// One camera's part in a scan.
#[derive(Debug, Clone)]
pub struct CameraContext {
    /// Name in the configuration: `vnir`, `swir`, ...
    pub name: String,
    /// What the camera is.
    pub description: CameraDescription,
    /// Settings that the camera accepted.
    pub exposure: Exposure,
    /// How its counts become reflectance.
    pub calibration: Arc<Calibration>,
}

/// The encoder of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderContext {
    /// Name the model gives itself, else its file name.
    pub name: String,
    /// SHA-256 of the model file, lower-case hexadecimal.
    pub sha256: String,
    /// Numbers of an embedding.
    pub dimensions: usize,
}

/// What is fixed for a scan before its first line.
#[derive(Debug, Clone)]
pub struct ScanContext {
    /// The scan's id; sorts by time.
    pub scan_id: String,
    /// When it was started, ns since 1970-01-01T00:00:00Z.
    pub start_ns: i64,
    /// What lies where.
    pub tray: Tray,
    /// The millimetre grid and the bands.
    pub axes: Axes,
    /// The cameras, in the order of the configuration.
    pub cameras: Vec<CameraContext>,
    /// The encoder, where one is configured.
    pub encoder: Option<EncoderContext>,
    /// Every native line recorded so far, per camera.
    pub ledger: Arc<Ledger>,
    /// The configuration as it was read.
    pub configuration: String,
    /// SHA-256 of the configuration, lower-case hexadecimal.
    pub configuration_sha256: String,
}
