//! The facts of a scan that do not change: tray, axes, cameras, encoder and configuration.

use crate::config::CorrectionConfig;
use crate::join::Axes;
use crate::reference::Calibration;
use crate::scan::{Ledger, Quality, Tray};
use crate::simd::all_finite;
use crate::uncertainty::Uncertainty;
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
    /// What the calibration undoes of the camera's optics and detector.
    pub correction: CorrectionConfig,
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
    /// The bands that the encoder reads.
    pub reads: Reads,
    /// Whether pixels of the mask with the flag `edge` are encoded.
    pub edge: bool,
    /// Whether the model tells how far a spectrum is from its training.
    pub novelty: bool,
}

impl EncoderContext {
    /// Whether the encoder takes a pixel of the mask with these flags, where its spectrum has the bands that it reads.
    pub fn takes(&self, flags: u8) -> bool {
        takes(flags, self.edge)
    }
}

/// Whether an encoder takes a pixel of the mask with these flags. With `edge`, it also takes pixels on the rim.
pub fn takes(flags: u8, edge: bool) -> bool {
    Quality::valid(flags) && (edge || flags & Quality::EDGE == 0)
}

/// The bands of a joined spectrum that an encoder reads. A spectrum is valid for it when their values are finite.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reads {
    /// All bands.
    #[default]
    All,
    /// These bands.
    Some(Arc<[usize]>),
}

impl Reads {
    /// Whether a spectrum `[band]` has a finite value in every band that is read.
    pub fn finite(&self, spectrum: &[f32]) -> bool {
        match self {
            Self::All => all_finite(spectrum),
            Self::Some(bands) => bands.iter().all(|band| spectrum[*band].is_finite()),
        }
    }
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
    /// The uncertainty of the values on the grid, where a camera has references.
    pub uncertainty: Option<Arc<Uncertainty>>,
    /// The encoder, where one is configured.
    pub encoder: Option<EncoderContext>,
    /// Every native line of each camera that was recorded so far.
    pub ledger: Arc<Ledger>,
    /// Text of the configuration as it was read.
    pub configuration: String,
    /// SHA-256 of the configuration, lower-case hexadecimal.
    pub configuration_sha256: String,
}
