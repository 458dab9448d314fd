//! The `[camera.device]` section.

use crate::pixels::PixelFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Least number of pixels for a status line.
pub(crate) const STATUS_LINE_PIXELS: usize = 100;

/// A camera on GigE Vision or USB3 Vision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Serial number of the camera. One or more of this, `address` and `interface` select it.
    #[serde(default)]
    pub serial: Option<String>,
    /// IPv4 address of the camera.
    #[serde(default)]
    pub address: Option<String>,
    /// Network interface towards the camera, by name or own IPv4 address.
    #[serde(default)]
    pub interface: Option<String>,
    /// Pixels across the belt, after binning. It is the width of the region that is read out.
    pub pixels: usize,
    /// Spectral bands, after binning. It is the height of the region, without the row of a status line.
    pub bands: usize,
    /// First pixel of the region, in pixels after binning.
    #[serde(default)]
    pub offset_x: u32,
    /// First band of the region, in bands after binning.
    #[serde(default)]
    pub offset_y: u32,
    /// Pixel format of the camera.
    pub pixel_format: PixelFormat,
    /// Byte order of a 16-bit pixel.
    #[serde(default)]
    pub byte_order: ByteOrder,
    /// Centre of the first band, nm. With `last_nm`, it replaces `wavelengths`.
    #[serde(default)]
    pub first_nm: Option<f64>,
    /// Centre of the last band, nm. The others lie evenly between.
    #[serde(default)]
    pub last_nm: Option<f64>,
    /// A file of the bands, a line each: centre and, where known, full width at half maximum, nm.
    #[serde(default)]
    pub wavelengths: Option<PathBuf>,
    /// Lowest saturated count. The highest count of the pixel format when absent.
    #[serde(default)]
    pub saturation: Option<f64>,
    /// Gain, in the camera's unit. Unchanged when absent.
    #[serde(default)]
    pub gain: Option<f64>,
    /// Start of an exposure: `free`, `software`, or the camera's name of a line, such as `Line1`.
    #[serde(default = "free")]
    pub trigger: String,
    /// Further features, set in this order.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// Motion of the shutter. Without it the camera has none.
    #[serde(default)]
    pub shutter: Option<Shutter>,
    /// The status line of a Specim FX, which is the last row of an image.
    #[serde(default)]
    pub status_line: Option<StatusLineConfig>,
    /// The feature for the sensor's temperature, degrees Celsius.
    #[serde(default)]
    pub temperature: Option<String>,
    /// Bits of the frame ids, 16 (which skips 0) or 64. The camera's own value when absent.
    #[serde(default)]
    pub frame_id_bits: Option<u32>,
    /// Time from the middle of the exposure to the arrival of the frame, µs. Half of the exposure when absent.
    #[serde(default)]
    pub latency_us: Option<f64>,
    /// Bytes of a packet, headers included. When absent, the largest for interface and camera, up to 9000.
    #[serde(default)]
    pub packet_size: Option<u32>,
    /// Pause between packets, µs.
    #[serde(default)]
    pub packet_delay_us: u32,
    /// Memory of the socket for waiting packets, KiB.
    #[serde(default = "socket_buffer_kib")]
    pub socket_buffer_kib: u32,
    /// Whether missing packets are requested again.
    #[serde(default = "yes")]
    pub packet_resend: bool,
    /// Time after which a frame with missing packets is given up, ms.
    #[serde(default = "frame_retention_ms")]
    pub frame_retention_ms: u32,
}

/// Byte order of a 16-bit pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByteOrder {
    /// The low byte comes first, as in the standards.
    #[default]
    Little,
    /// The high byte comes first.
    Big,
}

/// A feature of the camera, by its GenICam name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Name of the feature.
    pub name: String,
    /// Value of the feature. A command is executed, and has none.
    #[serde(default)]
    pub value: Option<Value>,
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            None => f.write_str(&self.name),
            Some(Value::Switch(value)) => write!(f, "{} = {value}", self.name),
            Some(Value::Integer(value)) => write!(f, "{} = {value}", self.name),
            Some(Value::Float(value)) => write!(f, "{} = {value}", self.name),
            Some(Value::Text(value)) => write!(f, "{} = {value}", self.name),
        }
    }
}

/// The value of a feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// Value of a boolean feature.
    Switch(bool),
    /// Value of an integer feature.
    Integer(i64),
    /// Value of a float feature.
    Float(f64),
    /// Value of a text feature, or an entry of an enumeration.
    Text(String),
}

/// Motion of the shutter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shutter {
    /// Features that open it, set in this order.
    pub open: Vec<Feature>,
    /// Features that close it.
    pub closed: Vec<Feature>,
    /// Time until the shutter has moved, ms.
    #[serde(default = "settle_ms")]
    pub settle_ms: u32,
}

/// Values from the status line of a Specim FX.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusLineConfig {
    /// Index (0 to 3) of its frame counter, which numbers the lines. The frame ids number them when absent.
    #[serde(default)]
    pub frame_counter: Option<usize>,
    /// Index of its counter of missed triggers. Each of them is a missing line.
    #[serde(default)]
    pub missed_counter: Option<usize>,
    /// Unit of its integration time, µs.
    #[serde(default = "one")]
    pub exposure_unit_us: f64,
}

fn free() -> String {
    "free".into()
}

fn socket_buffer_kib() -> u32 {
    8192
}

fn yes() -> bool {
    true
}

fn frame_retention_ms() -> u32 {
    100
}

fn settle_ms() -> u32 {
    300
}

fn one() -> f64 {
    1.0
}

impl Config {
    /// Faults of the section: key and problem.
    pub fn faults(&self) -> Vec<contract::ConfigFault> {
        contract::config_faults(|must| {
            must(
                crate::BUILT_IN,
                "kind",
                "is `gige`, and this hyclus was built without GigE Vision and USB3 Vision cameras; build it with libaravis-dev and the cargo feature `gige`",
            );
            must(
                self.serial.is_some() || self.address.is_some() || self.interface.is_some(),
                "serial",
                "give the camera's serial, its address, or the interface that it is on",
            );
            let address = |text: &str| text.parse::<Ipv4Addr>().is_ok();
            must(self.address.as_deref().is_none_or(address), "address", "must be an IPv4 address, such as 192.168.10.2");
            must((1..=65_536).contains(&self.pixels), "pixels", "must be from 1 to 65536");
            must((1..=65_536).contains(&self.bands), "bands", "must be from 1 to 65536");
            must(
                self.wavelengths.is_some() != (self.first_nm.is_some() || self.last_nm.is_some())
                    && self.first_nm.is_some() == self.last_nm.is_some(),
                "wavelengths",
                "give either wavelengths (a file), or both first_nm and last_nm",
            );
            let positive = |nm: f64| nm.is_finite() && nm > 0.0;
            must(self.first_nm.is_none_or(positive), "first_nm", "must be a positive number (nm)");
            must(self.last_nm.is_none_or(positive), "last_nm", "must be a positive number (nm)");
            must(self.saturation.is_none_or(positive), "saturation", "must be a positive number (counts)");
            must(!self.trigger.is_empty(), "trigger", "must be \"free\", \"software\", or a line of the camera, such as \"Line1\"");
            must(self.features.iter().all(|feature| !feature.name.is_empty()), "features", "each needs a name");
            must(
                self.shutter
                    .as_ref()
                    .is_none_or(|shutter| !shutter.open.is_empty() && !shutter.closed.is_empty() && shutter.settle_ms <= 10_000),
                "shutter",
                "needs features that open and that close it, and settle_ms of at most 10000",
            );
            if let Some(line) = &self.status_line {
                let known = |counter: Option<usize>| counter.is_none_or(|counter| counter < 4);
                must(known(line.frame_counter) && known(line.missed_counter), "status_line", "has counters 0 to 3");
                must(line.exposure_unit_us > 0.0, "status_line", "exposure_unit_us must be a positive number (µs)");
                must(self.pixels >= STATUS_LINE_PIXELS, "status_line", "needs 100 pixels");
            }
            must(self.frame_id_bits.is_none_or(|bits| bits == 16 || bits == 64), "frame_id_bits", "must be 16 or 64");
            must(self.latency_us.is_none_or(|us| (0.0..=1e6).contains(&us)), "latency_us", "must be from 0 to 1000000");
            must(self.packet_size.is_none_or(|bytes| (576..=16_000).contains(&bytes)), "packet_size", "must be from 576 to 16000");
            must(self.packet_delay_us <= 1000, "packet_delay_us", "must be at most 1000");
            must((64..=1_048_576).contains(&self.socket_buffer_kib), "socket_buffer_kib", "must be from 64 to 1048576");
            must((1..=5000).contains(&self.frame_retention_ms), "frame_retention_ms", "must be from 1 to 5000");
        })
    }

    /// Identity of the camera, for messages.
    pub fn place(&self) -> String {
        let part = |what: &str, which: &Option<String>| which.as_ref().map(|which| format!("{what}{which}"));
        let parts = [part("", &self.address), part("serial ", &self.serial), part("interface ", &self.interface)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Rows of an image, the status line included.
    #[cfg(feature = "aravis")]
    pub(crate) fn rows(&self) -> usize {
        self.bands + usize::from(self.status_line.is_some())
    }
}
