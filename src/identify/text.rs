//! The text of a library of minerals, as its author writes it.

use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// A library of minerals.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// The library's name.
    pub name: String,
    /// One line about it.
    #[serde(default)]
    pub title: String,
    /// What to cite.
    #[serde(default)]
    pub cite: Vec<String>,
    /// The table of spectra (CSV), relative to this file.
    pub spectra: PathBuf,
    /// Limits that hold for all entries.
    #[serde(default)]
    pub limits: Limits,
    /// The spectrometers.
    #[serde(default)]
    pub instrument: Vec<Instrument>,
    /// The spectra.
    #[serde(default)]
    pub record: Vec<Record>,
    /// Stretches of the spectrum over which a continuum is removed.
    #[serde(default)]
    pub window: Vec<Window>,
    /// Features that are measured in each pixel.
    #[serde(default)]
    pub feature: Vec<FeatureText>,
    /// Minerals.
    #[serde(default)]
    pub entry: Vec<Entry>,
}

/// Limits that hold for all entries.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Least reflectance of the shoulders of a window. A darker spectrum tells nothing.
    pub min_level: f32,
    /// Least depth, as a multiple of the noise that the residual of the fit shows.
    pub min_snr: f32,
    /// The score is the fit to this power, times the depth. A higher power lets the shape decide.
    pub fit_power: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_level: 0.02, min_snr: 5.0, fit_power: 1 }
    }
}

/// A spectrometer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Instrument {
    /// Its name in `record`.
    pub name: String,
    /// Full width at half maximum of its bands: pairs of wavelength and width, nm. Widths between are interpolated.
    pub fwhm_nm: Vec<[f64; 2]>,
    /// The source of the widths.
    #[serde(default)]
    pub source: String,
}

/// A spectrum of the table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Its column in the table.
    pub key: String,
    /// The spectrometer's name.
    pub instrument: String,
    /// The specimen.
    #[serde(default)]
    pub sample: String,
    /// The source.
    #[serde(default)]
    pub source: String,
}

/// A stretch of the spectrum. Its continuum is the straight line between the means of both shoulders.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// Its name.
    pub name: String,
    /// Begin and end of the left shoulder, nm.
    pub left_nm: [f64; 2],
    /// Begin and end of the right shoulder, nm.
    pub right_nm: [f64; 2],
}

/// The continuum of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Continuum {
    /// The upper convex hull of the spectrum over the window.
    #[default]
    Hull,
    /// The straight line between both ends of the window.
    Line,
}

/// A figure of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    /// Wavelength of the minimum, nm.
    Position,
    /// Depth of the minimum below the continuum, as a share of it.
    Depth,
    /// Width at half the depth, nm.
    Width,
    /// Right half width less the left one, over their sum. From -1 to 1.
    Asymmetry,
    /// Area between the continuum and the spectrum, nm.
    Area,
}

/// A feature that is measured in each pixel.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureText {
    /// Its name.
    pub name: String,
    /// One line about it.
    #[serde(default)]
    pub long_name: String,
    /// Begin and end, nm.
    pub window_nm: [f64; 2],
    /// Begin and end of the wavelengths at which the minimum may lie, nm. All of the window without it.
    #[serde(default)]
    pub minimum_nm: Option<[f64; 2]>,
    /// The continuum.
    #[serde(default)]
    pub continuum: Continuum,
    /// The figures that are kept.
    pub keep: Vec<Figure>,
    /// Least depth of a minimum that has a position, a width and an asymmetry.
    #[serde(default = "least_depth")]
    pub min_depth: f32,
    /// The source.
    #[serde(default)]
    pub source: String,
}

fn least_depth() -> f32 {
    0.01
}

/// A mineral.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The mineral's name.
    pub name: String,
    /// Minerals of one family are told apart with doubt.
    #[serde(default)]
    pub family: Option<String>,
    /// 1: electronic absorptions. 2: vibrational ones.
    pub group: u8,
    /// Why the mineral is never identified. Such an entry has no windows.
    #[serde(default)]
    pub not_identified: Option<String>,
    /// Keys of its spectra. The best of them counts.
    #[serde(default)]
    pub records: Vec<String>,
    /// Least fit of all windows together, from 0 to 1.
    #[serde(default = "least_fit")]
    pub min_fit: f32,
    /// Least depth of all windows together.
    #[serde(default = "least_depth")]
    pub min_depth: f32,
    /// Where the thresholds come from.
    pub source: String,
    /// The diagnostic windows.
    #[serde(default)]
    pub window: Vec<EntryWindow>,
    /// What excludes the mineral.
    #[serde(default)]
    pub not: Vec<Not>,
}

fn least_fit() -> f32 {
    0.7
}

/// A window of a mineral.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryWindow {
    /// The window's name.
    pub name: String,
    /// Factor of its weight, which is the area of the absorption. With 0 it only has to pass its thresholds.
    #[serde(default = "one")]
    pub weight: f32,
    /// Least fit in this window, from 0 to 1.
    #[serde(default)]
    pub min_fit: f32,
    /// Least depth in this window.
    #[serde(default)]
    pub min_depth: f32,
    /// Least and largest reflectance in the middle of the continuum.
    #[serde(default)]
    pub level: Option<[f32; 2]>,
    /// Least and largest ratio of the right shoulder to the left one.
    #[serde(default)]
    pub slope: Option<[f32; 2]>,
    /// Whether a rig that does not cover the window still identifies the mineral.
    #[serde(default)]
    pub optional: bool,
}

fn one() -> f32 {
    1.0
}

/// An absorption of another mineral that excludes this one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Not {
    /// The window's name.
    pub window: String,
    /// The other mineral, one of whose spectra is fitted.
    pub entry: String,
    /// Fit from which it excludes.
    pub min_fit: f32,
    /// Depth from which it excludes.
    #[serde(default)]
    pub min_depth: f32,
    /// Depth from which it excludes, as a share of the depth of this mineral.
    #[serde(default)]
    pub min_ratio: f32,
}
