//! Sections for the stages between cameras and files: `[grid]`, `[calibrate]`, `[join]`, `[segment]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[grid]`: the millimetre grid onto which every camera is resampled.
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
    /// Least signal-to-noise ratio of a band, as predicted from the references. Bands with less are weak.
    pub min_snr: f64,
    /// Most weak bands of a camera in a pixel, as a share of its bands. A pixel with more is flagged `low_signal`.
    pub max_weak_bands: f64,
    /// Largest distance of two good bands between which bad elements are interpolated, nm. Beyond it, an element has no value. When absent:
    /// four times the camera's distance of neighbouring bands, so at most three bad elements side by side.
    pub max_mend_nm: Option<f64>,
    /// Limits on what a camera gives over a scan, beyond which the scan has a warning.
    pub limits: PlausibilityLimits,
}

impl Default for CalibrateConfig {
    fn default() -> Self {
        Self { min_snr: 3.0, max_weak_bands: 0.05, max_mend_nm: None, limits: PlausibilityLimits::default() }
    }
}

/// `[calibrate.limits]`: a scan in which a camera is beyond one of these has a warning. A share of 1 is 100 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlausibilityLimits {
    /// Most values above a reflectance of 1.2, as a share.
    pub max_bright: f64,
    /// Most values below a reflectance of -0.02, as a share.
    pub max_negative: f64,
    /// Most pixels that are saturated in some band, as a share.
    pub max_saturated: f64,
    /// Most bad elements that are interpolated, as a share.
    pub max_mended: f64,
    /// Most elements that are restless in a scan, or have moved since the references, as a share.
    pub max_restless: f64,
}

impl Default for PlausibilityLimits {
    fn default() -> Self {
        Self { max_bright: 0.01, max_negative: 0.02, max_saturated: 0.05, max_mended: 0.05, max_restless: 1.0 }
    }
}

/// The white panel: `reflectance` or `file`. It has no default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelConfig {
    /// One reflectance for every wavelength, above 0.
    #[serde(default)]
    pub reflectance: Option<f64>,
    /// Standard uncertainty (k = 1) of `reflectance`, where it is known.
    #[serde(default)]
    pub uncertainty: Option<f64>,
    /// Path of the certificate's file. Its columns are wavelength in nm, reflectance and, where known, the uncertainty of the reflectance.
    /// Facts stand in comments: `# serial: TEXT`, `# calibrated: YYYY-MM-DD`, `# expires: YYYY-MM-DD`, `# coverage: 2`.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Path of a file with the panel's own absorptions, such as `wavelength/ptfe.toml`. With it, each white reference tells how far the
    /// wavelengths are off.
    #[serde(default)]
    pub features: Option<PathBuf>,
    /// Height of the panel above the plane for which the cameras' views hold, mm.
    #[serde(default)]
    pub height_mm: f64,
    /// Evenness across the belt: c1, c3, c5 of 1 + c1 ξ + c3 ξ³ + c5 ξ⁵, by which its reflectance is multiplied at ξ, from -1 to 1 across the
    /// view of the first camera.
    #[serde(default)]
    pub evenness: Vec<f64>,
}

/// Most coefficients of a panel's evenness.
pub const EVENNESS: usize = 3;

impl PanelConfig {
    /// Reflectance at ξ, from -1 to 1 across the view of the first camera, as a share of that in its middle.
    pub fn evenness_at(&self, xi: f64) -> f64 {
        let xi = xi.clamp(-1.0, 1.0);
        (1..).step_by(2).zip(&self.evenness).fold(1.0, |sum, (power, c)| sum + c * xi.powi(power))
    }
}

/// `[references]`: how dark and white references are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferencesConfig {
    /// The white panel: `{ reflectance = 0.95 }`, with `uncertainty = 0.005` where it is known, or `{ file = "panel.txt" }`.
    pub panel: PanelConfig,
    /// The panel's place, mm along the tray: from and to, before the tray's leading edge (negative). Recordings do not need it.
    #[serde(default)]
    pub panel_mm: Option<(f64, f64)>,
    /// Number of frames of a reference.
    #[serde(default = "reference_frames")]
    pub frames: u32,
    /// Largest age of a white reference, s. An older one is taken again before a scan.
    #[serde(default = "reference_age")]
    pub max_age_s: f64,
    /// Largest age of a dark reference, s. An older one is taken again before a scan. Without shutters, `max_age_s` applies to it too.
    #[serde(default = "dark_age")]
    pub max_dark_age_s: f64,
    /// Largest temperature change of a camera since a reference, °C. Beyond it, the reference is taken again.
    #[serde(default = "temperature_change")]
    pub max_temperature_change_c: f64,
    /// Longest burning time of the lamps since a white reference, h. Beyond it, the reference is taken again.
    #[serde(default = "lamp_hours")]
    pub max_lamp_hours: f64,
    /// Whether a dark reference follows each scan, where cameras have shutters.
    #[serde(default = "yes")]
    pub dark_after: bool,
    /// The place of a second white panel behind the tray, mm along the tray: from and to. The belt runs on to it after each scan, so that the
    /// light of both ends is known. There is none when absent.
    #[serde(default)]
    pub panel_after_mm: Option<(f64, f64)>,
    /// Whether a scan is made again from its recording before it closes, where the references of both ends differ by more than a limit.
    #[serde(default = "yes")]
    pub make_again: bool,
    /// Largest shift of the wavelengths that a white reference may show, nm. A larger one is a warning of every scan.
    #[serde(default = "wavelength_shift")]
    pub max_wavelength_shift_nm: f64,
    /// Shift of the wavelengths beyond which a white reference is refused, nm.
    #[serde(default = "refused_shift")]
    pub refuse_wavelength_shift_nm: f64,
    /// Limits beyond which a reference is refused.
    #[serde(default)]
    pub limits: ReferenceLimits,
}

/// `[references.limits]`: a reference beyond one of these is refused with its figure. A share of 1 is 100 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReferenceLimits {
    /// Most saturated elements of a white reference, as a share.
    pub max_saturated: f64,
    /// Least mean signal of a white reference above dark, as a share of the full scale.
    pub min_signal: f64,
    /// Least signal of a white reference's weakest band, as a share of the full scale.
    pub min_band_signal: f64,
    /// Least evenness: darkest part of the line on the panel, as a share of the brightest.
    pub min_evenness: f64,
    /// Largest drop of a pixel on the panel below its surroundings, as a share.
    pub max_dirt: f64,
    /// Most noise of a white reference in its noisiest pixel, as a share of the signal.
    pub max_white_noise: f64,
    /// Most scatter of the light from line to line, as a share.
    pub max_flicker: f64,
    /// Most difference of a white reference from the last good one, in the worst band, as a share of the signal.
    pub max_change: f64,
    /// Highest mean of a dark reference, as a share of the full scale. A higher mean shows an open shutter or a burning lamp.
    pub max_dark: f64,
    /// Most panel light in the dark reference, as a share. More light shows a shutter that does not close.
    pub max_leak: f64,
    /// Most noise of a dark reference, as a share of the full scale.
    pub max_dark_noise: f64,
    /// Most difference of a dark reference from the last good one: by how much it changes a reflectance of 5 % in the worst band, as a
    /// share of that reflectance.
    pub max_dark_change: f64,
    /// Largest drift of the dark level during a scan: by how much a reflectance of 5 % is off in the worst band at the end, as a share of
    /// that reflectance. A larger one is a warning, and is interpolated.
    pub max_dark_drift: f64,
    /// Largest drift of the light during a scan in the worst band, as a share. A larger one is a warning, and is interpolated.
    pub max_light_drift: f64,
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
            max_change: 0.02,
            max_dark: 0.25,
            max_leak: 0.01,
            max_dark_noise: 0.01,
            max_dark_change: 0.2,
            max_dark_drift: 0.01,
            max_light_drift: 0.002,
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

fn wavelength_shift() -> f64 {
    1.0
}

fn refused_shift() -> f64 {
    5.0
}

fn yes() -> bool {
    true
}

/// `[lamps]`: limits of steady light before a scan and during it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LampsConfig {
    /// A white strip at one edge of every camera's view: from and to, mm across. The grid excludes it. Without a strip, lamps warm up over
    /// the white panel. A lamp that fails during a scan then shows in the next white reference.
    pub strip_mm: Option<(f64, f64)>,
    /// Distance from the lamps to the plane for which the cameras' views hold, mm. Heights need it.
    pub distance_mm: Option<f64>,
    /// Largest change of the light within `window_s`, as a share, for the lamps to be ready. The light is that on the strip or the panel.
    pub max_drift: f64,
    /// Length of the window for `max_drift`, s.
    pub window_s: f64,
    /// Longest warm-up, s. A longer one is a fault.
    pub max_warm_up_s: f64,
    /// Number of watched wavelengths per camera while lamps warm up.
    pub wavelengths: usize,
    /// Largest deviation of the strip's light from the white reference, as a share. A larger one is a warning.
    pub max_deviation: f64,
    /// Least light on the strip at any watched wavelength, as a share of the white reference. Less light ends the scan.
    pub min_light: f64,
    /// Largest deviation of the strip's light from the white reference that is corrected, as a share. The reflectance of every line is divided
    /// by its light. A line beyond it stays as it is. 0 corrects no line.
    pub max_correction: f64,
    /// Most scatter of the light on the strip from line to line, as a share.
    pub max_flicker: f64,
}

impl LampsConfig {
    /// The part of a view from `left` to `right` (mm across) beside the strip.
    pub fn beside_strip(&self, left: f64, right: f64) -> (f64, f64) {
        self.strip_mm.map_or((left, right), |strip| beside((left, right), strip))
    }
}

/// The part of a range (mm across) beside a strip at one end of it.
pub fn beside((left, right): (f64, f64), (from, to): (f64, f64)) -> (f64, f64) {
    if from - left < right - to { (left.max(to), right) } else { (left, right.min(from)) }
}

impl Default for LampsConfig {
    fn default() -> Self {
        Self {
            strip_mm: None,
            distance_mm: None,
            max_drift: 0.002,
            window_s: 5.0,
            max_warm_up_s: 1800.0,
            wavelengths: 5,
            max_deviation: 0.02,
            min_light: 0.5,
            max_correction: 0.3,
            max_flicker: 0.01,
        }
    }
}

/// The treatment of bands that two cameras see.
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
    /// The treatment of bands that two cameras see.
    pub overlap: Overlap,
    /// Whether to scale the camera of longer wavelengths, so that both cameras agree in their overlap. Each sample has one factor.
    pub level: bool,
    /// Largest distance between two cameras' views of the containers, mm, as the median. A larger one is a warning of the scan.
    pub max_residual_mm: f64,
    /// Largest distance between two cameras' views of any container, mm. A larger one is a warning of the scan.
    pub max_largest_residual_mm: f64,
    /// Largest change of this distance over the way across the belt, mm per m. A larger one is a warning of the scan: along the belt it shows a
    /// turned camera (1 mm per m is 0.06 degrees), across it a view of another width.
    pub max_residual_slope_mm_per_m: f64,
    /// Largest distance across between the ends of a camera's range in its view of a container, mm. A larger one is a warning of the scan: it
    /// shows a keystone. On a grid of more than 1 mm it is 0.15 grid pixels.
    pub max_keystone_mm: f64,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self {
            overlap: Overlap::default(),
            level: false,
            max_residual_mm: 0.3,
            max_largest_residual_mm: 0.6,
            max_residual_slope_mm_per_m: 2.0,
            max_keystone_mm: 0.15,
        }
    }
}

/// The method of finding containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SegmentMethod {
    /// Containers are brighter than the tray.
    #[default]
    Brightness,
    /// The tray map gives the containers' places (`x_mm`, `y_mm`, ...).
    Footprint,
}

/// `[segment.tray]`: known dimensions of the tray, for naming the containers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrayGeometry {
    /// Start of the tray's first column, mm; the edge of the view when absent.
    pub left_mm: Option<f64>,
    /// Width of all columns, mm, shared evenly; the whole view when absent.
    pub width_mm: Option<f64>,
    /// Start of the containers of row A, mm along the tray. With `row_pitch_mm` or `length_mm`, the place identifies a row. Otherwise rows
    /// are counted.
    pub first_row_mm: Option<f64>,
    /// Distance of rows, mm.
    pub row_pitch_mm: Option<f64>,
    /// Extent of a container across the belt, mm; measured from the picture when absent.
    pub container_width_mm: Option<f64>,
    /// Extent of a container along the belt, mm; measured from the picture when absent.
    pub container_length_mm: Option<f64>,
    /// Length of the tray, mm. When absent, a tray map with places in mm gives it.
    pub length_mm: Option<f64>,
}

/// `[segment]`: rows to samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentConfig {
    /// The method of finding containers.
    pub method: SegmentMethod,
    /// A pixel belongs to a container when its mean reflectance exceeds this.
    pub min_reflectance: f32,
    /// Least area of a container, mm². Anything smaller is a crumb.
    pub min_area_mm2: f64,
    /// Distance scanned ahead before a container is named, mm.
    pub lookahead_mm: f64,
    /// Rim around a container inside its cube, mm.
    pub margin_mm: f64,
    /// A container has ended after this distance without any sign of it, mm.
    pub close_mm: f64,
    /// Largest dark gap inside a container, mm.
    pub bridge_mm: f64,
    /// Distance from the content's edge within which pixels are left out of the mask, mm. 0 leaves none out. When absent: 1.5 times the
    /// coarsest of the cameras' pixels on the belt, their lines' distances, and the grid's pixel; 0 for footprints.
    pub erode_mm: Option<f64>,
    /// Mean reflectance at or below which a container's pixels are left out of the mask. 0 leaves none out.
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
            erode_mm: None,
            shadow_reflectance: 0.0,
            tray: TrayGeometry::default(),
        }
    }
}

/// Distance from an edge up to which a value mixes both sides, in pixels: half a pixel of the camera, and one of the interpolation.
const MIXED_PIXELS: f64 = 1.5;

impl SegmentConfig {
    /// Distance from the content's edge within which pixels are left out of the mask, mm. `coarsest_mm` is the coarsest of all pixels.
    pub fn rim_mm(&self, coarsest_mm: f64) -> f64 {
        self.erode_mm.unwrap_or(match self.method {
            SegmentMethod::Brightness => MIXED_PIXELS * coarsest_mm,
            // The tray map says what belongs to a sample.
            SegmentMethod::Footprint => 0.0,
        })
    }

    /// Largest dark gap inside a container, in pixels of a grid of `pixel_mm`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few millimetres")]
    pub fn bridge_pixels(&self, pixel_mm: f64) -> usize {
        (self.bridge_mm / pixel_mm).max(0.0) as usize
    }
}
