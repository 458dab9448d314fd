//! The whole configuration, and the sections that name devices.

use super::{
    CalibrateConfig, DiskConfig, EncoderConfig, GridConfig, JoinConfig, LampsConfig, PublishConfig, ReferencesConfig, SegmentConfig,
    SquarePlan, StoreConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A rig: its devices, how a scan is run, and what comes out. Relative paths are taken from the folder of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name and place of the rig.
    pub rig: RigConfig,
    /// The control socket and the read-only listener.
    #[serde(default)]
    pub control: ControlConfig,
    /// The simulated world behind devices of kind `simulated`.
    #[serde(default)]
    pub simulation: Option<sim::WorldConfig>,
    /// The conveyor.
    pub conveyor: ConveyorConfig,
    /// The cameras: one, two or more.
    pub camera: Vec<CameraConfig>,
    /// The lamps.
    #[serde(default)]
    pub light: Vec<LightConfig>,
    /// How a scan is run.
    #[serde(default)]
    pub scan: ScanConfig,
    /// How references are taken. Not needed where every camera gives reflectance.
    #[serde(default)]
    pub references: Option<ReferencesConfig>,
    /// When the light is steady enough.
    #[serde(default)]
    pub lamps: LampsConfig,
    /// The millimetre grid.
    pub grid: GridConfig,
    /// Counts to reflectance.
    #[serde(default)]
    pub calibrate: CalibrateConfig,
    /// Several cameras to one spectrum.
    #[serde(default)]
    pub join: JoinConfig,
    /// Rows to samples.
    #[serde(default)]
    pub segment: SegmentConfig,
    /// One HDF5 per sample.
    #[serde(default)]
    pub store: StoreConfig,
    /// What is asked of the disk before a scan.
    #[serde(default)]
    pub disk: DiskConfig,
    /// The encoder; without one, no embeddings are published.
    #[serde(default)]
    pub encoder: Option<EncoderConfig>,
    /// The Parquet data set.
    #[serde(default)]
    pub publish: PublishConfig,
    /// What was planned for square pixels.
    #[serde(skip)]
    pub square: Option<SquarePlan>,
}

/// `[rig]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RigConfig {
    /// Name, for status and files.
    pub name: String,
    /// Where scans and embeddings go.
    pub data_dir: PathBuf,
    /// The configuration is refused when it needs more memory than this, MiB.
    #[serde(default)]
    pub max_memory_mib: Option<u64>,
}

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// The control socket.
    pub socket: PathBuf,
    /// Group that may use it; that of the daemon when absent.
    pub group: Option<String>,
    /// Address of the read-only listener (`/metrics`, `/healthz`, `/readyz`, live view); none when empty.
    pub listen: String,
    /// Who may do what over the control socket; who may connect may do everything when absent.
    pub roles: Option<RolesConfig>,
}

/// `[control.roles]`: users by name, groups as `"@group"`, or `"*"` for everyone. A role may do what those before it may, too, and
/// root may do everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolesConfig {
    /// Look, and stop everything in an emergency.
    pub observe: Vec<String>,
    /// Scan, take references, move the belt, set the lamps.
    pub operate: Vec<String>,
    /// Accept what the daemon would refuse: a reference that differs from the last good one.
    pub administer: Vec<String>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { socket: "/run/hyclus/control.sock".into(), group: None, listen: "127.0.0.1:9420".into(), roles: None }
    }
}

/// `[conveyor]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConveyorConfig {
    /// Speed of a scan, mm/s. Recordings without positions are taken to have been made at this speed. Chosen when absent and
    /// `scan.square_pixels` is set.
    #[serde(default)]
    pub speed_mm_per_s: f64,
    /// Speed of other travel, mm/s; that of a scan when absent.
    #[serde(default)]
    pub travel_mm_per_s: Option<f64>,
    /// A scan in which the belt's speed is further off than this share of `speed_mm_per_s` is warned of.
    #[serde(default = "speed_error")]
    pub max_speed_error: f64,
    /// A belt that should run and does not advance for this long stands: the scan ends with a fault, s.
    #[serde(default = "stall")]
    pub stall_s: f64,
    /// A belt that goes back further than this ends the scan with a fault, mm.
    #[serde(default = "reversal")]
    pub max_reversal_mm: f64,
    /// What moves the belt.
    pub device: ConveyorDevice,
}

fn speed_error() -> f64 {
    0.05
}

fn stall() -> f64 {
    1.0
}

fn reversal() -> f64 {
    1.0
}

/// What moves the belt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConveyorDevice {
    /// A conveyor of the simulated world.
    Simulated(sim::ConveyorConfig),
    /// None: every camera plays a recording.
    Recorded(replay::ConveyorConfig),
    /// A drive on Modbus.
    Modbus(conveyor_modbus::Config),
}

/// `[[camera]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Name: `vnir`, `swir`, ...; it becomes a folder of the raw recording.
    pub name: String,
    /// Belt position at which the tray's leading edge lies under this camera, mm.
    #[serde(default)]
    pub offset_mm: f64,
    /// Where the edge of the view lies across the tray, mm: pixel p sees x = (p + 0.5) * `field_of_view_mm` / pixels + `shift_mm`.
    #[serde(default)]
    pub shift_mm: f64,
    /// Width of the line that the camera sees, mm.
    pub field_of_view_mm: f64,
    /// Exposure time, µs.
    pub exposure_us: f64,
    /// Lines per second. Absent where `scan.square_pixels` is set.
    #[serde(default)]
    pub frame_rate_hz: f64,
    /// Pixels binned together, spatially and spectrally.
    #[serde(default = "unbinned")]
    pub binning: (u32, u32),
    /// Slots of the frame pool.
    #[serde(default = "pool_slots")]
    pub pool_slots: usize,
    /// The camera is called silent after this long without a frame, s; twenty frame periods, but at least two seconds, when absent.
    #[serde(default)]
    pub silence_s: Option<f64>,
    /// What gives the frames.
    pub device: CameraDevice,
}

fn unbinned() -> (u32, u32) {
    (1, 1)
}

fn pool_slots() -> usize {
    64
}

/// What gives the frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CameraDevice {
    /// A camera of the simulated world.
    Simulated(sim::CameraConfig),
    /// A recorded capture.
    Replay(replay::CameraConfig),
    /// A camera behind a helper program.
    Bridge(bridge::Config),
    /// A camera on GigE Vision or USB3 Vision.
    Gige(Box<gige::Config>),
}

/// `[[light]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightConfig {
    /// Name: `halogen`, `led`, ...
    pub name: String,
    /// Level during a scan, 0 to 1.
    #[serde(default = "full")]
    pub level: f64,
    /// What switches it.
    pub device: LightDevice,
}

fn full() -> f64 {
    1.0
}

/// What switches a lamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LightDevice {
    /// A lamp of the simulated world.
    Simulated(sim::LightConfig),
    /// A channel of a controller on a serial line, or over TCP.
    Serial(light_serial::Config),
}

/// `[scan]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScanConfig {
    /// Belt position to start references from, mm; before the white panel when absent.
    pub home_mm: Option<f64>,
    /// What is scanned before and after the tray, mm.
    pub margin_mm: f64,
    /// Lamps are waited for this long after they were switched on, s.
    pub warm_up_s: f64,
    /// Whether line rates, and the belt's speed unless it is given, are computed so that pixels are square.
    pub square_pixels: bool,
    /// A scan in which the belt slips by more than this share of its motion is warned of.
    pub max_slip: f64,
    /// A stage before which items wait and which takes none for this long is stuck: the daemon is not alive, s.
    pub stuck_s: f64,
    /// Whether the raw recording is written.
    pub record: bool,
    /// Whether lamps stay on after a scan.
    pub keep_lamps: bool,
    /// What was recorded is to be written within this time after a scan's last line or its stop, s. Beyond it the rig is faulted, and
    /// a daemon that is told to end does so: the scan is recovered at the next start.
    pub end_within_s: f64,
}

impl Default for ScanConfig {
    fn default() -> Self {
        Self {
            home_mm: None,
            margin_mm: 5.0,
            warm_up_s: 30.0,
            square_pixels: false,
            max_slip: 0.01,
            stuck_s: 60.0,
            record: true,
            keep_lamps: true,
            end_within_s: 120.0,
        }
    }
}
