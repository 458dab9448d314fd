//! The whole configuration, and the sections that name devices.

use super::{
    CalibrateConfig, ConsoleConfig, CorrectionConfig, DiskConfig, Encoders, GridConfig, HeadConfig, JoinConfig, LampsConfig,
    MineralsConfig, PublishConfig, ReferencesConfig, SegmentConfig, ShipConfig, SquarePlan, StoreConfig, UseNm,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A rig: its devices, its scans and its results. Relative paths start at the file's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name and place of the rig.
    pub rig: RigConfig,
    /// The control socket and the read-only listener.
    #[serde(default)]
    pub control: ControlConfig,
    /// The simulated world of devices of kind `simulated`.
    #[serde(default)]
    pub simulation: Option<sim::WorldConfig>,
    /// The conveyor.
    pub conveyor: ConveyorConfig,
    /// The cameras: one, two or more.
    pub camera: Vec<CameraConfig>,
    /// The lamps.
    #[serde(default)]
    pub light: Vec<LightConfig>,
    /// How a scan runs.
    #[serde(default)]
    pub scan: ScanConfig,
    /// How references are taken. Cameras that give reflectance need none.
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
    /// Requirements on the disk before a scan.
    #[serde(default)]
    pub disk: DiskConfig,
    /// The encoder, or several. Without one, no embeddings are published.
    #[serde(default)]
    pub encoder: Encoders,
    /// The heads, which give numbers of each sample.
    #[serde(default)]
    pub head: Vec<HeadConfig>,
    /// The identification of minerals. Without it, none are identified.
    #[serde(default)]
    pub minerals: Option<MineralsConfig>,
    /// The Parquet data set.
    #[serde(default)]
    pub publish: PublishConfig,
    /// The page of the rig for browsers, which `hyclus-console` serves. Without it, there is none.
    #[serde(default)]
    pub console: Option<ConsoleConfig>,
    /// The archive that `hyclus-ship` ships ended scans to. Without it, there is none.
    #[serde(default)]
    pub ship: Option<ShipConfig>,
    /// The plan for square pixels, once made.
    #[serde(skip)]
    pub square: Option<SquarePlan>,
}

/// `[rig]`: the rig's name, place of data and memory limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RigConfig {
    /// The rig's name, for status and files.
    pub name: String,
    /// The data root: the folder of scans and embeddings.
    pub data_dir: PathBuf,
    /// Most memory, MiB. A configuration that needs more is refused.
    #[serde(default)]
    pub max_memory_mib: Option<u64>,
}

/// `[control]`: the control socket and the read-only listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// The control socket.
    pub socket: PathBuf,
    /// Group of the control socket; the daemon's own group when absent.
    pub group: Option<String>,
    /// Address of the read-only listener (`/metrics`, `/healthz`, `/readyz`); no listener when empty.
    pub listen: String,
    /// Further names or addresses of hosts, without port, for which the read-only listener answers. It answers for loopback and its own
    /// address in any case. A request for another host is refused, because a web page may have sent it.
    pub hosts: Vec<String>,
    /// Roles of the control socket's users. When absent, every user who can connect may do everything.
    pub roles: Option<RolesConfig>,
}

/// `[control.roles]`: users by name, groups as `"@group"`, or `"*"` for everyone. Each role includes the roles before it. Root has every
/// role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolesConfig {
    /// May look, and may stop everything in an emergency.
    pub observe: Vec<String>,
    /// May scan, take references, move the belt and set the lamps.
    pub operate: Vec<String>,
    /// May accept what the daemon would refuse: a reference that differs from the last good one.
    pub administer: Vec<String>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { socket: "/run/hyclus/control.sock".into(), group: None, listen: "127.0.0.1:9420".into(), hosts: Vec::new(), roles: None }
    }
}

/// `[conveyor]`: the belt's speeds, its limits and its drive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConveyorConfig {
    /// Belt speed during a scan, mm/s. Recordings without positions are taken to have this speed. When absent, `scan.square_pixels`
    /// chooses it.
    #[serde(default)]
    pub speed_mm_per_s: f64,
    /// Speed of other travel, mm/s; the scan's speed when absent.
    #[serde(default)]
    pub travel_mm_per_s: Option<f64>,
    /// Largest deviation of the belt's speed, as a share of `speed_mm_per_s`. A larger one is a warning of the scan.
    #[serde(default = "speed_error")]
    pub max_speed_error: f64,
    /// Longest time without advance of a running belt, s. A longer one ends the scan with a fault.
    #[serde(default = "stall")]
    pub stall_s: f64,
    /// Longest backward travel of the belt, mm. A longer one ends the scan with a fault.
    #[serde(default = "reversal")]
    pub max_reversal_mm: f64,
    /// The device that moves the belt.
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

/// The device that moves the belt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConveyorDevice {
    /// A conveyor of the simulated world.
    Simulated(sim::ConveyorConfig),
    /// No belt: every camera plays a recording.
    Recorded(replay::ConveyorConfig),
    /// A drive on Modbus.
    Modbus(conveyor_modbus::Config),
}

/// `[[camera]]`: one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The camera's name: `vnir`, `swir`, ... It becomes a folder of the raw recording.
    pub name: String,
    /// Belt position at which the tray's leading edge lies under this camera, mm.
    #[serde(default)]
    pub offset_mm: f64,
    /// Position of the view's edge across the tray, mm. Pixel p sees x = (p + 0.5) * `field_of_view_mm` / pixels + `shift_mm`.
    #[serde(default)]
    pub shift_mm: f64,
    /// Width of the camera's line on the tray, mm.
    pub field_of_view_mm: f64,
    /// Distance from the lens to the plane for which offset, shift and width of the view hold, mm. Heights need it.
    #[serde(default)]
    pub distance_mm: Option<f64>,
    /// How late frames are still stamped after the middle of their exposure, µs. What the device's own `latency_us` takes off is not in it.
    #[serde(default)]
    pub latency_us: f64,
    /// Exposure time, µs.
    pub exposure_us: f64,
    /// Lines per second; absent with `scan.square_pixels`.
    #[serde(default)]
    pub frame_rate_hz: f64,
    /// The wavelengths that are used, nm: one range `[420, 960]`, or several `[[420, 960], [1000, 1300]]`. Bands outside are recorded, and
    /// appear nowhere else. All bands when absent.
    #[serde(default)]
    pub use_nm: Option<UseNm>,
    /// How far the camera is from an ideal one.
    #[serde(default)]
    pub correction: CorrectionConfig,
    /// Binned pixels, spatially and spectrally.
    #[serde(default = "unbinned")]
    pub binning: (u32, u32),
    /// Time that the frame pool bridges while the data path waits for the disk, s. When absent: 1.5 s, or less where
    /// `rig.max_memory_mib` has no room for that.
    #[serde(default)]
    pub pool_s: Option<f64>,
    /// Number of slots in the frame pool, instead of `pool_s`.
    #[serde(default)]
    pub pool_slots: Option<usize>,
    /// Longest time without a frame, s, before the camera counts as silent. When absent: twenty frame periods, at least two seconds.
    #[serde(default)]
    pub silence_s: Option<f64>,
    /// The source of the frames.
    pub device: CameraDevice,
}

fn unbinned() -> (u32, u32) {
    (1, 1)
}

/// The source of a camera's frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CameraDevice {
    /// A camera of the simulated world.
    Simulated(Box<sim::CameraConfig>),
    /// A recorded capture.
    Replay(replay::CameraConfig),
    /// A camera whose driver is a helper program.
    Bridge(bridge::Config),
    /// A GigE Vision or USB3 Vision camera.
    Gige(Box<gige::Config>),
}

/// `[[light]]`: one lamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LightConfig {
    /// The lamp's name: `halogen`, `led`, ...
    pub name: String,
    /// Level during a scan, 0 to 1.
    #[serde(default = "full")]
    pub level: f64,
    /// The device that switches the lamp.
    pub device: LightDevice,
}

fn full() -> f64 {
    1.0
}

/// The device that switches a lamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LightDevice {
    /// A lamp of the simulated world.
    Simulated(sim::LightConfig),
    /// A channel of a controller on a serial line, or over TCP.
    Serial(light_serial::Config),
}

/// `[scan]`: how a scan runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScanConfig {
    /// Belt position at the start of references, mm; before the white panel when absent.
    pub home_mm: Option<f64>,
    /// Scanned distance before and after the tray, mm.
    pub margin_mm: f64,
    /// Height of the containers above the plane for which the cameras' views hold, mm. Scale and light are corrected by it.
    pub tray_height_mm: f64,
    /// Wait after switching the lamps on, s.
    pub warm_up_s: f64,
    /// Whether pixels are square. Line rates, and an absent belt speed, are then computed.
    pub square_pixels: bool,
    /// Largest slip of the belt, as a share of its motion. A larger one is a warning of the scan.
    pub max_slip: f64,
    /// Longest pause of a stage with waiting items, s. After it, the stage is stuck and the daemon is not alive.
    pub stuck_s: f64,
    /// Whether the raw recording is written.
    pub record: bool,
    /// Whether lamps stay on after a scan.
    pub keep_lamps: bool,
    /// Longest time for writing the recorded data after a scan's last line or stop, s. Beyond it, the rig is faulted. A daemon that was
    /// asked to exit then exits. The next start recovers the scan.
    pub end_within_s: f64,
}

impl Default for ScanConfig {
    fn default() -> Self {
        Self {
            home_mm: None,
            margin_mm: 5.0,
            tray_height_mm: 0.0,
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
