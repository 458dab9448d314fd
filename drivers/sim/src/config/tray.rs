//! The tray, its contents, and the white panel.

use super::ore::OreConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ore as loose grains, all of one base: quartz, muscovite, kaolinite, chlorite, gypsum, alunite and goethite. A spread is the
/// standard deviation of a natural logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrainsConfig {
    /// Edge of the cells of the tray that hold one kind of grains each, mm.
    pub cell_mm: f64,
    /// Kinds of grains in a container, 1 to 2000.
    pub kinds: u16,
    /// Spread of a mineral's share from plant to plant.
    pub plant_spread: f64,
    /// Spread of a mineral's share from month to month, the same for all plants.
    pub month_spread: f64,
    /// Spread of a mineral's share from kind to kind in a container.
    pub kind_spread: f64,
    /// Light path in the coarsest grains as a multiple of that in the finest.
    pub path_ratio: f64,
    /// Spread of the light path from kind to kind.
    pub path_spread: f64,
    /// Water between the grains: mean K/S (Kubelka and Munk) at 1935 nm.
    pub water: f64,
    /// Spread of the water from kind to kind.
    pub water_spread: f64,
    /// Spread of the brightness from kind to kind. Grains shade each other.
    pub shade_spread: f64,
    /// Share of the kinds that are chips of any one mineral, 0 to 1.
    pub outliers: f64,
}

impl Default for GrainsConfig {
    fn default() -> Self {
        Self {
            cell_mm: 1.5,
            kinds: 256,
            plant_spread: 0.1,
            month_spread: 0.02,
            kind_spread: 0.3,
            path_ratio: 2.0,
            path_spread: 0.2,
            water: 0.3,
            water_spread: 0.4,
            shade_spread: 0.1,
            outliers: 0.01,
        }
    }
}

impl GrainsConfig {
    /// The kind of grains at a place of the tray, mm, from 0.
    pub(crate) fn kind_at(&self, seed: u64, x_mm: f64, y_mm: f64) -> u16 {
        let (i, j) = ((x_mm / self.cell_mm).floor() as i64, (y_mm / self.cell_mm).floor() as i64);
        let bits = crate::noise::mix(seed ^ crate::noise::mix((i as u64) << 32 ^ (j as u64 & 0xffff_ffff)));
        (bits % u64::from(self.kinds)) as u16
    }
}

/// The ore of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Plant of origin of the ore.
    pub plant: String,
    /// Month of the ore's sample.
    pub month: String,
    /// Grain size label. A number in it is read as a mesh. A higher mesh means finer and brighter grains.
    pub size: String,
}

/// The tray: a grid of containers. Rows run along the belt, columns across it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrayConfig {
    /// Rows of containers along the belt, at most 26, named A to Z.
    pub rows: usize,
    /// Columns of containers across the belt, named 1, 2, ...
    pub columns: usize,
    /// Distance of columns, mm. `field_mm / columns` unless given.
    pub pitch_across_mm: Option<f64>,
    /// Distance of rows, mm.
    pub pitch_along_mm: f64,
    /// Width of a container across the belt, mm. 0.78 of the pitch unless given.
    pub container_width_mm: Option<f64>,
    /// Length of a container along the belt, mm.
    pub container_length_mm: f64,
    /// Distance from the tray's leading edge to that of its first container, mm.
    pub first_along_mm: f64,
    /// Shift of the tray across its place, mm.
    pub shift_across_mm: f64,
    /// Shift of the tray along its place, mm.
    pub shift_along_mm: f64,
    /// Rotation of the tray about its centre, degrees.
    pub tilt_deg: f64,
    /// Height of the tray and its ore above the belt, mm. It comes nearer to cameras and lamps.
    pub height_mm: f64,
    /// Contents of the containers, row by row. A shorter list repeats. An empty one stands for three plants, two months and three
    /// sizes in turn.
    pub contents: Vec<Contents>,
    /// Places without a container, such as "B2".
    pub missing: Vec<String>,
    /// Places that hold a doped tile in place of ore, such as "A1". It absorbs at known wavelengths.
    pub tiles: Vec<String>,
    /// Ores of named minerals, in place of what `contents` gives their containers.
    pub ores: Vec<OreConfig>,
}

impl Default for TrayConfig {
    fn default() -> Self {
        Self {
            rows: 4,
            columns: 3,
            pitch_across_mm: None,
            pitch_along_mm: 75.0,
            container_width_mm: None,
            container_length_mm: 60.0,
            first_along_mm: 20.0,
            shift_across_mm: 0.0,
            shift_along_mm: 0.0,
            tilt_deg: 0.0,
            height_mm: 0.0,
            contents: Vec::new(),
            missing: Vec::new(),
            tiles: Vec::new(),
            ores: Vec::new(),
        }
    }
}

/// A white panel across the whole belt. Positions are in tray coordinates. Negative ones lie ahead of the tray.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PanelConfig {
    /// Its leading edge, mm.
    pub start_mm: f64,
    /// Its trailing edge, mm.
    pub end_mm: f64,
    /// A second panel of the same material, behind the tray: its leading and its trailing edge, mm. There is none when absent.
    pub after_mm: Option<(f64, f64)>,
    /// Its reflectance at every wavelength.
    pub reflectance: f64,
    /// How much less it reflects at the far edge of the belt than at x = 0, as a share. The slope is smooth.
    pub unevenness: f64,
    /// Whether it lies turned by half a turn.
    pub turned: bool,
    /// Height of the panel above the belt, mm.
    pub height_mm: f64,
    /// Dirt on it.
    pub dirt: Option<Dirt>,
    /// Shade on part of it.
    pub shade: Option<Shade>,
    /// Absorptions of it, such as those of PTFE. Between them it has one reflectance.
    pub features: Vec<PanelFeature>,
}

/// An absorption of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelFeature {
    /// Centre, nm.
    pub nm: f64,
    /// Depth as a share, 0 to 1.
    pub depth: f64,
    /// Width, standard deviation of a Gaussian, nm.
    pub width_nm: f64,
}

impl PanelConfig {
    /// Its reflectance at a wavelength, nm.
    pub fn reflectance_at(&self, nm: f64) -> f64 {
        let left = |feature: &PanelFeature| 1.0 - feature.depth * (-0.5 * ((nm - feature.nm) / feature.width_nm).powi(2)).exp();
        self.reflectance * self.features.iter().map(left).product::<f64>()
    }
}

/// A streak of dirt along the panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dirt {
    /// Its extent across the belt, from and to, mm.
    pub x_mm: (f64, f64),
    /// Its extent along the belt, from and to, mm. Without it the streak is as long as the panel.
    #[serde(default)]
    pub y_mm: Option<(f64, f64)>,
    /// Share of the light that it absorbs, 0 to 1.
    pub share: f64,
}

/// Shade on the panel. The tray has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shade {
    /// Its edge across the belt, mm. The shade reaches to the far edge.
    pub from_x_mm: f64,
    /// Share of the light that is missing, 0 to 1.
    pub share: f64,
}

impl PanelConfig {
    /// Whether a place along the tray, mm, lies on a panel.
    pub(crate) fn lies_at(&self, y_mm: f64) -> bool {
        let within = |(from, to): (f64, f64)| (from..to).contains(&y_mm);
        within((self.start_mm, self.end_mm)) || self.after_mm.is_some_and(within)
    }
}

impl Default for PanelConfig {
    fn default() -> Self {
        Self {
            start_mm: -70.0,
            end_mm: -25.0,
            after_mm: None,
            reflectance: 0.95,
            unevenness: 0.0,
            turned: false,
            height_mm: 0.0,
            dirt: None,
            shade: None,
            features: Vec::new(),
        }
    }
}
