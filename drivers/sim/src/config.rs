//! The simulated world in a rig's configuration.

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
            faults: Faults::default(),
            faults_file: None,
        }
    }
}

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
    /// Contents of the containers, row by row. A shorter list repeats. An empty one stands for three plants, two months and three
    /// sizes in turn.
    pub contents: Vec<Contents>,
    /// Places without a container, such as "B2".
    pub missing: Vec<String>,
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
            contents: Vec::new(),
            missing: Vec::new(),
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
    /// Its reflectance at every wavelength.
    pub reflectance: f64,
    /// Dirt on it.
    pub dirt: Option<Dirt>,
    /// Shade on part of it.
    pub shade: Option<Shade>,
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

impl Default for PanelConfig {
    fn default() -> Self {
        Self { start_mm: -70.0, end_mm: -25.0, reflectance: 0.95, dirt: None, shade: None }
    }
}

/// A simulated line-scan camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CameraConfig {
    /// Pixels across the belt.
    pub pixels: usize,
    /// Spectral bands.
    pub bands: usize,
    /// Centre of the first band, nm.
    pub first_nm: f64,
    /// Centre of the last band, nm.
    pub last_nm: f64,
    /// Width of the line that the camera sees, mm.
    pub field_of_view_mm: f64,
    /// Belt position with the tray's leading edge (y = 0) under this camera, mm.
    pub offset_mm: f64,
    /// Shift of the line across the belt, mm. Pixel p sees x = (p + 0.5) * `field_of_view_mm` / `pixels` + `shift_mm`.
    pub shift_mm: f64,
    /// Bits of the detector, 8 to 16. Full scale is 2^bits - 1.
    pub bits: u32,
    /// Dark level, counts.
    pub dark_level: f64,
    /// Standard deviation of a read-out in the dark, counts.
    pub read_noise: f64,
    /// Variance of the shot noise per count of signal.
    pub shot_noise_per_count: f64,
    /// Detector elements that always give 0.
    pub dead_elements: usize,
    /// Detector elements that always give full scale.
    pub hot_elements: usize,
    /// Detector elements with twenty times the read noise of the others.
    pub noisy_elements: usize,
    /// Rise of the dark level per hour of simulated time, counts.
    pub dark_drift_per_h: f64,
    /// Frames that the link loses, of a thousand.
    pub lost_per_thousand: f64,
    /// Bits of the frame counter that the camera sends, 8 to 64. The driver unwraps it, as drivers of real cameras must.
    pub counter_bits: u32,
    /// Whether that counter skips 0, as that of GigE Vision 1.x does.
    pub counter_skips_zero: bool,
    /// Counter value of the first frame of a stream. The lowest one unless given.
    pub counter_start: Option<u64>,
    /// Temperature of the sensor, degrees Celsius, at first and after hours of work. It rises with a time constant of 600 s.
    pub sensor_c: (f32, f32),
    /// Highest frame rate, 1/s.
    pub max_frame_rate_hz: f64,
    /// Shortest exposure, µs.
    pub min_exposure_us: f64,
    /// Longest exposure, µs.
    pub max_exposure_us: f64,
    /// Exposure for a white panel at 90 % of full scale, µs. It holds under full light, in the brightest element.
    pub reference_exposure_us: f64,
    /// Whether it has a shutter.
    pub shutter: bool,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            pixels: 512,
            bands: 224,
            first_nm: 400.0,
            last_nm: 1000.0,
            field_of_view_mm: 300.0,
            offset_mm: 0.0,
            shift_mm: 0.0,
            bits: 12,
            dark_level: 120.0,
            read_noise: 3.4,
            shot_noise_per_count: 0.02,
            dead_elements: 20,
            hot_elements: 20,
            noisy_elements: 0,
            dark_drift_per_h: 0.0,
            lost_per_thousand: 0.0,
            counter_bits: 64,
            counter_skips_zero: false,
            counter_start: None,
            sensor_c: (22.0, 31.0),
            max_frame_rate_hz: 330.0,
            min_exposure_us: 50.0,
            max_exposure_us: 1_000_000.0,
            reference_exposure_us: 2_000.0,
            shutter: true,
        }
    }
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
}

impl Default for ConveyorConfig {
    fn default() -> Self {
        Self { min_speed_mm_per_s: 1.0, max_speed_mm_per_s: 200.0, reversible: true, speed_error: 0.0, start_position_mm: -120.0 }
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
