//! Ores whose minerals a configuration names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An ore of named minerals, in some containers of the tray.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OreConfig {
    /// Places that hold it, such as "B2", in place of what `contents` gives them.
    pub at: Vec<String>,
    /// Its minerals.
    pub minerals: Vec<MineralShare>,
    /// The way its minerals lie.
    #[serde(default)]
    pub texture: OreTexture,
    /// Mean distance of its grains, mm. Each grain is of one mineral in an ore of grains.
    #[serde(default = "grain_mm")]
    pub grain_mm: f64,
    /// Light path in a grain in units of that in the laboratory records. A longer one makes it darker and its bands deeper.
    #[serde(default = "one")]
    pub path: f64,
    /// Spread of that path from grain to grain, the standard deviation of a natural logarithm.
    #[serde(default)]
    pub path_spread: f64,
    /// Standard deviation of the brightness from grain to grain, as a share.
    #[serde(default)]
    pub shade_spread: f64,
    /// Darkness of the gaps between grains, 0 to 1. At 0 the grains make up solid rock.
    #[serde(default)]
    pub gaps: f64,
    /// Water between the grains: K/S (Kubelka and Munk) at 1935 nm.
    #[serde(default)]
    pub water: f64,
    /// Veins through it. A later one cuts those before it.
    #[serde(default)]
    pub veins: Vec<VeinConfig>,
}

impl OreConfig {
    /// Whether the place with this row and column, from 0, holds it.
    pub(crate) fn holds(&self, place: (usize, usize)) -> bool {
        self.at.iter().any(|at| crate::tray::place(at) == Some(place))
    }
}

fn grain_mm() -> f64 {
    3.0
}

fn one() -> f64 {
    1.0
}

/// A mineral of an ore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MineralShare {
    /// Its name.
    pub mineral: String,
    /// Its share of the ore's mass. The shares of an ore add up to 1.
    pub share: f64,
    /// Light path in its grains as a multiple of that of the ore. Finer grains have a shorter one, and hide more of the others.
    #[serde(default = "one")]
    pub path: f64,
}

/// The way the minerals of an ore lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OreTexture {
    /// Liberated grains. Each grain is of one mineral.
    #[default]
    Grains,
    /// An intimate mixture (Kubelka and Munk). Every place holds all minerals.
    Intimate,
}

/// A band of one mineral through a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VeinConfig {
    /// Its mineral.
    pub mineral: String,
    /// Its mean width, mm. It varies by a quarter.
    pub width_mm: f64,
    /// Its direction, degrees from x towards y. At 0 it runs across the belt.
    #[serde(default)]
    pub angle_deg: f64,
    /// Its place in the container, 0 to 1 across and along. It passes near this point.
    #[serde(default = "middle")]
    pub through: (f64, f64),
}

fn middle() -> (f64, f64) {
    (0.5, 0.5)
}
