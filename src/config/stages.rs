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
    /// A white reference older than this is taken again before a scan, s.
    #[serde(default = "reference_age")]
    pub max_age_s: f64,
    /// A dark reference older than this is taken again before a scan, s. Without shutters, `max_age_s` holds for it too.
    #[serde(default = "dark_age")]
    pub max_dark_age_s: f64,
    /// A reference is taken again when its camera is this much warmer or colder than it was, °C.
    #[serde(default = "temperature_change")]
    pub max_temperature_change_c: f64,
    /// A white reference is taken again when the lamps have burned this long since, h.
    #[serde(default = "lamp_hours")]
    pub max_lamp_hours: f64,
    /// Whether the dark is taken once more after each scan, where cameras have shutters.
    #[serde(default = "yes")]
    pub dark_after: bool,
    /// What refuses a reference.
    #[serde(default)]
    pub limits: ReferenceLimits,
}

/// `[references.limits]`: a reference beyond one of these is refused with its figure. Shares are of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReferenceLimits {
    /// Most saturated elements of a white reference, as a share.
    pub max_saturated: f64,
    /// Least mean signal of a white reference above dark, as a share of the full scale.
    pub min_signal: f64,
    /// The same of its weakest band.
    pub min_band_signal: f64,
    /// Darkest part of the line on the panel, as a share of the brightest.
    pub min_evenness: f64,
    /// Largest drop of a pixel on the panel below its surroundings, as a share.
    pub max_dirt: f64,
    /// Most noise of a white reference in its noisiest pixel, as a share of the signal.
    pub max_white_noise: f64,
    /// Most scatter of the light from line to line, as a share.
    pub max_flicker: f64,
    /// Most difference of a white reference from the last good one, as a share of the signal.
    pub max_change: f64,
    /// Highest mean of a dark reference, as a share of the full scale: above it the shutter is open, or a lamp is on.
    pub max_dark: f64,
    /// Most light of the panel in the dark reference, as a share: above it the shutter does not close.
    pub max_leak: f64,
    /// Most noise of a dark reference, as a share of the full scale.
    pub max_dark_noise: f64,
    /// Most difference of a dark reference from the last good one, as a share of the full scale.
    pub max_dark_change: f64,
    /// A dark level that moved further than this during a scan is warned of, as a share of the white signal.
    pub max_dark_drift: f64,
}

impl Default for ReferenceLimits {
    fn default() -> Self {
        Self {
            max_saturated: 0.01,
            min_signal: 0.05,
            min_band_signal: 0.002,
            min_evenness: 0.5,
            max_dirt: 0.05,
            max_white_noise: 0.05,
            max_flicker: 0.01,
            max_change: 0.1,
            max_dark: 0.25,
            max_leak: 0.01,
            max_dark_noise: 0.01,
            max_dark_change: 0.02,
            max_dark_drift: 0.005,
        }
    }
}

fn reference_frames() -> u32 {
    50
}

fn reference_age() -> f64 {
    1800.0
}

fn dark_age() -> f64 {
    60.0
}

fn temperature_change() -> f64 {
    3.0
}

fn lamp_hours() -> f64 {
    2.0
}

fn yes() -> bool {
    true
}

/// `[lamps]`: when the light is steady enough, and what is watched of it during a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LampsConfig {
    /// A white strip in the view of every camera, at one edge of it: from and to, mm across. It is cut off the grid. Without one,
    /// lamps are warmed on the white panel, and a lamp that fails during a scan shows in the next white reference.
    pub strip_mm: Option<(f64, f64)>,
    /// Lamps are ready when the light on the strip (or the panel) has changed by less than this share within `window_s`.
    pub max_drift: f64,
    /// Over which time that is looked at, s.
    pub window_s: f64,
    /// Lamps that are not ready after this time are a fault, s.
    pub max_warm_up_s: f64,
    /// Wavelengths at which each camera is looked at.
    pub wavelengths: usize,
    /// A light on the strip that differs from that of the white reference by more than this share is warned of.
    pub max_deviation: f64,
    /// A light on the strip below this share of that of the white reference at any of the wavelengths ends the scan.
    pub min_light: f64,
    /// Most scatter of the light on the strip from line to line, as a share.
    pub max_flicker: f64,
}

impl LampsConfig {
    /// What is left of a view from `left` to `right` (mm across) beside the strip.
    pub fn beside_strip(&self, left: f64, right: f64) -> (f64, f64) {
        match self.strip_mm {
            Some((from, to)) if from - left < right - to => (left.max(to), right),
            Some((from, _)) => (left, right.min(from)),
            None => (left, right),
        }
    }
}

impl Default for LampsConfig {
    fn default() -> Self {
        Self {
            strip_mm: None,
            max_drift: 0.002,
            window_s: 5.0,
            max_warm_up_s: 1800.0,
            wavelengths: 5,
            max_deviation: 0.02,
            min_light: 0.5,
            max_flicker: 0.01,
        }
    }
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
    /// Whether, where ranges overlap, each pixel of the camera of longer waves is scaled so that both agree there.
    pub level: bool,
    /// A scan in which two cameras see the containers further apart than this is warned of, mm.
    pub max_residual_mm: f64,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self { overlap: Overlap::default(), level: false, max_residual_mm: 0.3 }
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
    /// Pixels of a container whose mean reflectance is not above this are left out of its mask; 0 leaves none out.
    pub shadow_reflectance: f32,
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
            shadow_reflectance: 0.0,
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
