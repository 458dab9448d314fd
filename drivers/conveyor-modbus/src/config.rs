//! The `[conveyor.device]` section.

use crate::profile::{Encoder, Profile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Parity bit of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// None.
    None,
    /// Even, as in the Modbus standard.
    #[default]
    Even,
    /// Odd.
    Odd,
}

/// A drive on Modbus, over a serial line (`port`) or over TCP (`address`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The drive's registers, a file of `config/drives`.
    pub profile: PathBuf,
    /// Serial port of an RTU bus. Either this or `address`.
    #[serde(default)]
    pub port: Option<PathBuf>,
    /// Bits per second.
    #[serde(default = "baud")]
    pub baud: u32,
    /// Parity.
    #[serde(default)]
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    #[serde(default = "stop_bits")]
    pub stop_bits: u8,
    /// Host and port of Modbus TCP, such as `192.168.0.20:502`. Either this or `port`.
    #[serde(default)]
    pub address: Option<String>,
    /// Unit (bus address) of the drive, 1 to 247.
    #[serde(default = "unit")]
    pub unit: u8,
    /// Longest wait for an answer, ms.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Interval of the status readings, ms.
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
    /// Belt speed per hertz of the drive, mm/s. Needed where the profile's speeds are frequencies.
    #[serde(default)]
    pub mm_per_s_per_hz: Option<f64>,
    /// Slowest speed, mm/s.
    pub min_speed_mm_per_s: f64,
    /// Fastest speed, mm/s.
    pub max_speed_mm_per_s: f64,
    /// Whether the belt may run backwards.
    #[serde(default)]
    pub reversible: bool,
    /// Whether the drive's forward moves the belt backwards.
    #[serde(default)]
    pub reversed: bool,
    /// Longest time from a start to reported motion, and from a stop to standstill, s.
    #[serde(default = "ramp_s")]
    pub ramp_s: f64,
    /// Silence after which the drive stops by itself, ms. 0 leaves the drive's own setting.
    #[serde(default = "watchdog_ms")]
    pub watchdog_ms: u64,
    /// Counts of the encoder per mm of belt, negative where it counts down. Without it the position is integrated from the actual
    /// speed.
    #[serde(default)]
    pub encoder_counts_per_mm: Option<f64>,
    /// The encoder, where it is not that of the profile. It is a counter or a PLC, another unit of the drive's bus.
    #[serde(default)]
    pub encoder: Option<Encoder>,
    /// Belt position at the opening of the drive, mm.
    #[serde(default)]
    pub start_position_mm: f64,
    /// Whether the opening acknowledges a fault in the drive.
    #[serde(default)]
    pub clear_fault_at_open: bool,
}

fn baud() -> u32 {
    19_200
}

fn stop_bits() -> u8 {
    1
}

fn unit() -> u8 {
    1
}

fn timeout_ms() -> u64 {
    300
}

fn poll_ms() -> u64 {
    50
}

fn ramp_s() -> f64 {
    5.0
}

fn watchdog_ms() -> u64 {
    2000
}

impl Config {
    /// Faults of the section: key and problem. It reads the profile.
    pub fn faults(&self) -> Vec<contract::ConfigFault> {
        contract::config_faults(|must| {
            must(self.port.is_some() != self.address.is_some(), "port", "give either port (a serial bus) or address (Modbus TCP)");
            let address = self.address.as_deref().is_none_or(contract::is_address);
            must(address, "address", "must be host:port, such as 192.168.0.20:502");
            must((300..=921_600).contains(&self.baud), "baud", "must be from 300 to 921600");
            must((1..=2).contains(&self.stop_bits), "stop_bits", "must be 1 or 2");
            must((1..=247).contains(&self.unit), "unit", "must be from 1 to 247");
            must((10..=10_000).contains(&self.timeout_ms), "timeout_ms", "must be from 10 to 10000");
            must((10..=1000).contains(&self.poll_ms), "poll_ms", "must be from 10 to 1000");
            must(
                self.watchdog_ms == 0 || self.watchdog_ms >= 2 * (self.poll_ms + self.timeout_ms),
                "watchdog_ms",
                "must be 0, or at least twice poll_ms + timeout_ms, or one lost answer stops the belt",
            );
            let speeds = self.min_speed_mm_per_s > 0.0 && self.max_speed_mm_per_s > self.min_speed_mm_per_s;
            must(speeds && self.max_speed_mm_per_s.is_finite(), "max_speed_mm_per_s", "must be above min_speed_mm_per_s, and that above 0");
            must(self.ramp_s > 0.0 && self.ramp_s <= 300.0, "ramp_s", "must be above 0 and at most 300 s");
            must(self.mm_per_s_per_hz.is_none_or(|v| v.is_finite() && v > 0.0), "mm_per_s_per_hz", "must be a positive number");
            must(self.encoder_counts_per_mm.is_none_or(|v| v.is_finite() && v != 0.0), "encoder_counts_per_mm", "must be a number, not 0");
            must(
                self.encoder.is_none() || self.encoder_counts_per_mm.is_some(),
                "encoder_counts_per_mm",
                "is missing: the encoder needs it; move the belt by a known way and look how far it counts",
            );
            if let Some((key, problem)) = self.encoder.as_ref().and_then(Encoder::problem) {
                must(false, key, problem);
            }
            must(self.start_position_mm.is_finite(), "start_position_mm", "must be a number");
            match Profile::read(&self.profile) {
                Ok(profile) => {
                    must(
                        !profile.in_hz() || self.mm_per_s_per_hz.is_some(),
                        "mm_per_s_per_hz",
                        "is missing: the profile's speeds are frequencies; measure the belt's speed at a known frequency",
                    );
                    must(
                        self.encoder_counts_per_mm.is_none() || self.encoder.is_some() || profile.encoder.is_some(),
                        "encoder_counts_per_mm",
                        "the profile names no encoder register; where another unit of the bus counts, name it under encoder",
                    );
                    must(!self.reversible || profile.reverses(), "reversible", "the profile has no way to run backwards");
                    must(
                        !self.clear_fault_at_open || !profile.command.reset.is_empty(),
                        "clear_fault_at_open",
                        "the profile has no reset words",
                    );
                }
                Err(error) => must(false, "profile", &error.to_string()),
            }
        })
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn ramp(&self) -> Duration {
        Duration::from_secs_f64(self.ramp_s)
    }

    /// The highest speed that counts as standstill, mm/s.
    pub(crate) fn standstill_mm_per_s(&self) -> f64 {
        self.min_speed_mm_per_s / 4.0
    }

    /// Port or address, for messages.
    pub fn place(&self) -> String {
        match (&self.port, &self.address) {
            (Some(port), _) => port.display().to_string(),
            (None, Some(address)) => address.clone(),
            (None, None) => "no port".into(),
        }
    }
}
