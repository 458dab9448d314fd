//! The `[light.device]` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The controller's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Gardasoft RT, PP and RC.
    Gardasoft,
    /// CCS PD and PDS.
    Ccs,
    /// A programmable supply behind a halogen lamp, by SCPI.
    Scpi,
    /// A USB relay of the kind LCUS.
    Relay,
}

impl Protocol {
    /// Bits per second of its devices at delivery.
    fn baud(self) -> u32 {
        match self {
            Self::Gardasoft => 115_200,
            Self::Ccs => 38_400,
            Self::Scpi | Self::Relay => 9600,
        }
    }

    pub(crate) fn dimmable(self) -> bool {
        self != Self::Relay
    }
}

/// One channel of a light controller, over a serial line (`port`) or over TCP (`address`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The controller's protocol.
    pub protocol: Protocol,
    /// Serial port. Either this or `address`.
    #[serde(default)]
    pub port: Option<PathBuf>,
    /// Bits per second. Those of the maker when absent.
    #[serde(default)]
    pub baud: Option<u32>,
    /// Host and port, such as `192.168.0.30:30313`. Either this or `port`.
    #[serde(default)]
    pub address: Option<String>,
    /// Channel of the controller. CCS counts from 0, the others from 1.
    #[serde(default = "channel")]
    pub channel: u8,
    /// Longest wait for an answer, ms.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Interval of the controller's readings, ms.
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// Level after a lost link, and when the daemon ends, 0 to 1.
    #[serde(default)]
    pub safe_level: f64,
    /// Voltage of level 1, V, for `scpi`.
    #[serde(default)]
    pub volts: Option<f64>,
    /// Lowest current of a working lamp at level 1, A, for `scpi`. It is less in proportion at lower levels.
    #[serde(default)]
    pub min_amperes: Option<f64>,
    /// Whether a relay can be asked for its state. Otherwise its last command counts as its state.
    #[serde(default = "answers")]
    pub answers: bool,
}

fn channel() -> u8 {
    1
}

fn timeout_ms() -> u64 {
    500
}

fn heartbeat_ms() -> u64 {
    1000
}

fn answers() -> bool {
    true
}

impl Config {
    /// Faults of the section: key and problem.
    pub fn faults(&self) -> Vec<contract::ConfigFault> {
        contract::config_faults(|must| {
            must(self.port.is_some() != self.address.is_some(), "port", "give either port (a serial line) or address (TCP)");
            let address = self.address.as_deref().is_none_or(contract::is_address);
            must(address, "address", "must be host:port, such as 192.168.0.30:30313");
            must(self.baud.is_none_or(|baud| (300..=921_600).contains(&baud)), "baud", "must be from 300 to 921600");
            must(self.channel <= 99 && (self.channel > 0 || self.protocol == Protocol::Ccs), "channel", "must be from 1 (CCS: 0) to 99");
            must((10..=10_000).contains(&self.timeout_ms), "timeout_ms", "must be from 10 to 10000");
            must((20..=60_000).contains(&self.heartbeat_ms), "heartbeat_ms", "must be from 20 to 60000");
            must((0.0..=1.0).contains(&self.safe_level), "safe_level", "must be from 0 to 1");
            let supply = self.protocol == Protocol::Scpi;
            must(
                if supply { self.volts.is_some_and(|v| v.is_finite() && v > 0.0) } else { self.volts.is_none() },
                "volts",
                "must be a positive number with protocol = \"scpi\", and be left out with others",
            );
            must(
                self.min_amperes.is_none_or(|a| supply && a.is_finite() && a > 0.0),
                "min_amperes",
                "must be a positive number, and needs protocol = \"scpi\"",
            );
            must(self.answers || self.protocol == Protocol::Relay, "answers", "only a relay may be unable to answer");
        })
    }

    /// Port or address, for messages.
    pub fn place(&self) -> String {
        match (&self.port, &self.address) {
            (Some(port), _) => port.display().to_string(),
            (None, Some(address)) => address.clone(),
            (None, None) => "no port".into(),
        }
    }

    /// Whether two lights can be channels of one controller.
    pub fn shares_with(&self, other: &Self) -> bool {
        let line = |config: &Self| (config.protocol, config.baud(), config.timeout_ms, config.heartbeat_ms);
        line(self) == line(other) && self.channel != other.channel
    }

    pub(crate) fn baud(&self) -> u32 {
        self.baud.unwrap_or_else(|| self.protocol.baud())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }
}
