//! Sections for the stages between cameras and files: `[grid]`, `[calibrate]`, `[join]`, `[segment]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[grid]`: the millimetre grid that every camera is laid on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GridConfig {
    /// Edge of a grid pixel, mm.
    pub pixel_mm: f64,
}

/// `[calibrate]`: counts to reflectance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrateConfig {
    /// A signal under this many times the detector's noise is flagged as low.
    pub low_signal_sigmas: f32,
}

impl Default for CalibrateConfig {
    fn default() -> Self {
        Self { low_signal_sigmas: 5.0 }
    }
}

/// What lies on the white panel's place: its reflectance has no default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum PanelConfig {
    /// The same at every wavelength, 0 to 1.
    Reflectance(f64),
    /// A two-column file: wavelength in nm, and reflectance.
    File(PathBuf),
}

/// `[references]`: how dark and white references are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferencesConfig {
    /// Reflectance of the white panel: `{ reflectance = 0.95 }` or `{ file = "panel.txt" }`.
    pub panel: PanelConfig,
    /// Where the panel lies, mm along the tray: from and to, before the tray's leading edge (negative). Not needed for recordings.
    #[serde(default)]
    pub panel_mm: Option<(f64, f64)>,
    /// Frames of a reference.
    #[serde(default = "reference_frames")]
    pub frames: u32,
    /// References older than this are taken again before a scan, s.
    #[serde(default = "reference_age")]
    pub max_age_s: f64,
    /// A white reference with more than this share of saturated elements is refused.
    #[serde(default = "saturated_share")]
    pub max_saturated: f64,
    /// A white reference whose mean signal above dark is under this share of the full scale is refused.
    #[serde(default = "least_signal")]
    pub min_signal: f64,
    /// A dark reference whose mean is over this share of the full scale is refused: the shutter is open, or a lamp is on.
    #[serde(default = "most_dark")]
    pub max_dark: f64,
}

fn reference_frames() -> u32 {
    50
}

fn reference_age() -> f64 {
    1800.0
}

fn saturated_share() -> f64 {
    0.01
}

fn least_signal() -> f64 {
    0.05
}

fn most_dark() -> f64 {
    0.25
}

/// What happens to bands that two cameras both see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Each camera keeps its side of the middle of the overlap.
    #[default]
    Cut,
    /// All bands stay, sorted by wavelength.
    Keep,
}

/// `[join]`: several cameras to one spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinConfig {
    /// What happens to bands that two cameras both see.
    pub overlap: Overlap,
    /// A scan in which two cameras see the containers further apart than this is warned of, mm.
    pub max_residual_mm: f64,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self { overlap: Overlap::default(), max_residual_mm: 0.3 }
    }
}

/// How containers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentMethod {
    /// Where it is brighter than the tray.
    #[default]
    Brightness,
    /// Where the tray map says they lie (`x_mm`, `y_mm`, ...).
    Footprint,
}

/// `[segment.tray]`: what is known of the tray, for naming what is found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrayGeometry {
    /// Where the tray's first column begins, mm; the edge of the view when absent.
    pub left_mm: Option<f64>,
    /// Width that the columns share evenly, mm; the whole view when absent.
    pub width_mm: Option<f64>,
    /// Where the containers of row A begin, mm along the tray. With `row_pitch_mm` or `length_mm`, rows are told by place; else they
    /// are counted.
    pub first_row_mm: Option<f64>,
    /// Distance of rows, mm.
    pub row_pitch_mm: Option<f64>,
    /// Extent of a container across the belt, mm; taken from what is seen when absent.
    pub container_width_mm: Option<f64>,
    /// Extent of a container along the belt, mm; taken from what is seen when absent.
    pub container_length_mm: Option<f64>,
    /// Length of the tray, mm; taken from the tray map where that gives places in mm.
    pub length_mm: Option<f64>,
}

/// `[segment]`: rows to samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentConfig {
    /// How containers are found.
    pub method: SegmentMethod,
    /// A pixel belongs to a container when its mean reflectance is above this.
    pub min_reflectance: f32,
    /// Anything smaller is a crumb, mm².
    pub min_area_mm2: f64,
    /// How far is looked ahead before a container is named, mm.
    pub lookahead_mm: f64,
    /// Rim around a container that its cube holds, mm.
    pub margin_mm: f64,
    /// A container ends when nothing of it is seen for this long, mm.
    pub close_mm: f64,
    /// Dark stretches inside a container are part of it up to this width, mm.
    pub bridge_mm: f64,
    /// Pixels nearer than this to the edge of what lies in a container are left out of its mask, mm.
    pub erode_mm: f64,
    /// The tray.
    pub tray: TrayGeometry,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            method: SegmentMethod::default(),
            min_reflectance: 0.08,
            min_area_mm2: 150.0,
            lookahead_mm: 16.0,
            margin_mm: 4.0,
            close_mm: 3.0,
            bridge_mm: 3.0,
            erode_mm: 0.0,
            tray: TrayGeometry::default(),
        }
    }
}

impl SegmentConfig {
    /// Dark stretches that are filled, in pixels of a grid of `pixel_mm`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few millimetres")]
    pub fn bridge_pixels(&self, pixel_mm: f64) -> usize {
        (self.bridge_mm / pixel_mm).max(0.0) as usize
    }
}
