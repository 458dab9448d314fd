//! The simulated world in a rig's configuration.

mod camera;
mod ore;
mod tray;

pub use camera::{CameraConfig, Telegraph};
pub use ore::{MineralShare, OreConfig, OreTexture, VeinConfig};
pub use tray::{Contents, Dirt, GrainsConfig, PanelConfig, PanelFeature, Shade, TrayConfig};

use crate::faults::Faults;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The pace of simulated time while cameras stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// With the wall clock, times `time_scale`. Frames come when they are due. A slow reader loses frames.
    #[default]
    RealTime,
    /// With the frames that are read. The pool never loses one. A scan takes as long as its readers need.
    AsRead,
}

/// The simulated world: the scene on the belt, the pace of time, the faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Pace of time.
    pub pace: Pace,
    /// Simulated seconds per real second in `real_time` pace.
    pub time_scale: f64,
    /// The tray and its place on the belt.
    pub tray: TrayConfig,
    /// The white panel on the belt ahead of the tray.
    pub panel: PanelConfig,
    /// A white strip beside the tray, along the whole belt, from and to, mm across.
    pub strip_mm: Option<(f64, f64)>,
    /// Width of the belt that the tray fills, mm.
    pub field_mm: f64,
    /// At 0 a container holds one mixture. Up to 1 it is split along its diagonal into two grades, ever less alike.
    pub segregation: f64,
    /// Standard deviation of the brightness from place to place (0.25 mm) on the tray, as a share.
    pub texture: f64,
    /// Grains that differ from one to the next. Without them every container holds one even mixture.
    pub grains: Option<GrainsConfig>,
    /// Time constant of a lamp's warm-up, s.
    pub warm_up_s: f64,
    /// Amplitude of the slow drift of the light, as a share.
    pub lamp_drift: f64,
    /// Period of that drift, s.
    pub lamp_drift_period_s: f64,
    /// Lasting changes of the light.
    pub lamp_changes: Vec<LampChange>,
    /// Amplitude of the light's ripple at the mains, as a share. An exposure takes its mean.
    pub mains_ripple: f64,
    /// Frequency of that ripple, twice that of the mains, 1/s.
    pub mains_ripple_hz: f64,
    /// Distance of the lamps to the belt, mm. The light on a higher surface grows as the inverse square.
    pub lamp_distance_mm: f64,
    /// Amplitude of a periodic error of the belt's speed, as a share. The encoder shows it.
    pub belt_ripple: f64,
    /// Way of the belt in one period of that error, such as the circumference of its roller, mm.
    pub belt_ripple_mm: f64,
    /// Faults of the devices.
    pub faults: Faults,
    /// A file with the keys of `[simulation.faults]`, read while the world runs. From then on its faults hold instead. Without
    /// the file no fault holds.
    pub faults_file: Option<PathBuf>,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            pace: Pace::RealTime,
            time_scale: 1.0,
            tray: TrayConfig::default(),
            panel: PanelConfig::default(),
            strip_mm: None,
            field_mm: 300.0,
            segregation: 0.0,
            texture: 0.03,
            grains: None,
            warm_up_s: 1.0,
            lamp_drift: 0.002,
            lamp_drift_period_s: 60.0,
            lamp_changes: Vec::new(),
            mains_ripple: 0.0,
            mains_ripple_hz: 100.0,
            lamp_distance_mm: 500.0,
            belt_ripple: 0.0,
            belt_ripple_mm: 200.0,
            faults: Faults::default(),
            faults_file: None,
        }
    }
}

/// A lasting change of the light: a drift, or a step when it takes no time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LampChange {
    /// The change as a share of the light, -1 to 1.
    pub share: f64,
    /// Time from its beginning to its end, s.
    #[serde(default)]
    pub over_s: f64,
    /// Time at which it begins, s since the world began. From the beginning when neither this nor `from_mm` is given.
    #[serde(default)]
    pub from_s: Option<f64>,
    /// Belt position at which it begins, mm, when the belt first comes there.
    #[serde(default)]
    pub from_mm: Option<f64>,
}

/// A simulated conveyor. The drive reaches a speed at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConveyorConfig {
    /// Slowest speed, mm/s.
    pub min_speed_mm_per_s: f64,
    /// Fastest speed, mm/s.
    pub max_speed_mm_per_s: f64,
    /// Whether it can run backwards.
    pub reversible: bool,
    /// Excess of the drive's speed over the commanded one, as a share (-0.5 to 0.5). The encoder shows it.
    pub speed_error: f64,
    /// Belt position at first, mm.
    pub start_position_mm: f64,
    /// Interval of the encoder's readings, ms. At 0 its position is known at all times. Between readings it lies on a straight
    /// line. Behind the last one it goes on at the speed of that reading.
    pub poll_ms: f64,
    /// Delay of a reading's stamp, ms.
    pub delay_ms: f64,
    /// Largest deviation of that delay from reading to reading, ms, either way. All deviations are equally likely.
    pub jitter_ms: f64,
}

impl Default for ConveyorConfig {
    fn default() -> Self {
        Self {
            min_speed_mm_per_s: 1.0,
            max_speed_mm_per_s: 200.0,
            reversible: true,
            speed_error: 0.0,
            start_position_mm: -120.0,
            poll_ms: 0.0,
            delay_ms: 0.0,
            jitter_ms: 0.0,
        }
    }
}

/// A simulated light.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LightConfig {
    /// Whether it can be set between off and full.
    pub dimmable: bool,
    /// Its share of the full light. The shares of a rig's lights should add up to 1.
    pub share: f64,
}

impl Default for LightConfig {
    fn default() -> Self {
        Self { dimmable: true, share: 1.0 }
    }
}
