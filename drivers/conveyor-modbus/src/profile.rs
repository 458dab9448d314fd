//! A drive's registers, as a file of `config/drives` describes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}; profiles lie in config/drives", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A key makes no sense.
    #[error("{}: {key}: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The problem.
        problem: String,
    },
}

/// Registers, scaling, command words, status bits and fault text of a drive. Addresses are those on the wire, from 0.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Maker and model.
    pub model: String,
    /// Register of the speed.
    pub setpoint: Setpoint,
    /// Registers and words of run and stop.
    pub command: Command,
    /// Registers that are read all the time.
    pub status: Status,
    /// Register of the actual speed, within the registers of `status`.
    pub actual: Actual,
    /// Register of a fault's code.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Parameters of the drive's own communication-loss stop.
    #[serde(default)]
    pub watchdog: Vec<Parameter>,
    /// A counter that the belt turns.
    #[serde(default)]
    pub encoder: Option<Encoder>,
}

/// `counts` of a register are `hz` or `mm_per_s`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Number of counts ...
    pub counts: f64,
    /// ... for this frequency, Hz ...
    #[serde(default)]
    pub hz: Option<f64>,
    /// ... or for this belt speed, mm/s.
    #[serde(default)]
    pub mm_per_s: Option<f64>,
}

/// `[setpoint]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setpoint {
    /// Register.
    pub address: u16,
    /// Scaling.
    pub scale: Scale,
    /// Whether a negative number runs backwards.
    #[serde(default)]
    pub signed: bool,
    /// Register of the accepted speed. The same one when absent.
    #[serde(default)]
    pub read_back: Option<u16>,
}

/// `[command]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Register.
    pub address: u16,
    /// Words that stop the belt.
    pub stop: Vec<u16>,
    /// Words that run it forward.
    pub forward: Vec<Step>,
    /// Words that run it backwards, unless the sign of the setpoint does.
    #[serde(default)]
    pub reverse: Vec<Step>,
    /// Words that acknowledge a fault.
    #[serde(default)]
    pub reset: Vec<u16>,
    /// Register of the reset words. That of the others when absent.
    #[serde(default)]
    pub reset_address: Option<u16>,
    /// Whether the register can be read. Otherwise the status alone shows the effect of a command.
    #[serde(default = "yes")]
    pub read_back: bool,
}

fn yes() -> bool {
    true
}

/// One word of a start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The word.
    pub write: u16,
    /// The state to wait for before the next word.
    #[serde(default)]
    pub until: Option<Bits>,
}

/// Bits of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bits {
    /// Register. The status word when absent.
    #[serde(default)]
    pub register: Option<u16>,
    /// Mask of the bits.
    pub mask: u16,
    /// Value of the bits. Any of them set when absent.
    #[serde(default)]
    pub value: Option<u16>,
}

/// The Modbus table of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Holding registers, function 3.
    #[default]
    Holding,
    /// Input registers, function 4.
    Input,
}

/// `[status]`: registers read in one request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// First register.
    pub address: u16,
    /// Number of registers.
    pub count: u16,
    /// Table.
    #[serde(default)]
    pub table: Table,
    /// The status word.
    pub word: u16,
    /// The drive turns the motor, or slows it down, when one of these holds.
    pub running: Vec<Bits>,
    /// The drive has tripped when one of these holds.
    pub fault: Vec<Bits>,
    /// The drive turns backwards when one of these holds. It serves an actual speed without a sign.
    #[serde(default)]
    pub backwards: Vec<Bits>,
}

/// `[actual]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actual {
    /// Register.
    pub address: u16,
    /// Scaling.
    pub scale: Scale,
    /// Whether it has a sign. Otherwise `status.backwards` or the commanded direction gives it.
    #[serde(default)]
    pub signed: bool,
}

/// `[fault]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Register.
    pub address: u16,
    /// Bits that hold the code.
    #[serde(default = "all")]
    pub mask: u16,
    /// Text of each code, by its decimal number.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
}

fn all() -> u16 {
    u16::MAX
}

/// A parameter that is written at opening, unless it is right already. Most drives keep parameters in a memory that wears.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Register.
    pub address: u16,
    /// The value to write ...
    #[serde(default)]
    pub value: Option<u16>,
    /// ... or the counts for each second of `watchdog_ms`.
    #[serde(default)]
    pub per_s: Option<f64>,
}

/// Order of the halves of a 32-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WordOrder {
    /// The upper half comes first.
    #[default]
    HighFirst,
    /// The lower half comes first.
    LowFirst,
}

/// `[encoder]` of a profile, or `[conveyor.device.encoder]`: a counter that the belt turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Unit of the same bus that counts. The drive's when absent.
    #[serde(default)]
    pub unit: Option<u8>,
    /// First register.
    pub address: u16,
    /// Registers, 1 or 2. The counter wraps at their width.
    pub words: u16,
    /// Order of two registers.
    #[serde(default)]
    pub word_order: WordOrder,
    /// Table.
    #[serde(default)]
    pub table: Table,
}

/// Most bytes of a profile.
const MOST_BYTES: u64 = 1 << 20;

impl Profile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileError`] for an unreadable file, or for a key that makes no sense.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let unreadable = |reason: String| ProfileError::Read { path: path.to_owned(), reason };
        let text = contract::read_regular_text(path, MOST_BYTES).map_err(|e| unreadable(e.to_string()))?;
        let profile: Self = toml::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        match profile.problem() {
            Some((key, problem)) => Err(ProfileError::Key { path: path.to_owned(), key: key.into(), problem: problem.into() }),
            None => Ok(profile),
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let status = &self.status;
        let covered = |register: u16| (status.address..status.address.saturating_add(status.count)).contains(&register);
        let lists = [&status.running, &status.fault, &status.backwards];
        let bits = lists.into_iter().flatten().copied();
        let bits: Vec<Bits> = bits.chain(self.command.forward.iter().chain(&self.command.reverse).filter_map(|step| step.until)).collect();
        let scaled = |scale: &Scale| {
            let unit = scale.hz.or(scale.mm_per_s).unwrap_or(0.0);
            let positive = |value: f64| value.is_finite() && value > 0.0;
            scale.hz.is_some() != scale.mm_per_s.is_some() && positive(scale.counts) && positive(unit)
        };
        let checks = [
            ((1..=125).contains(&status.count), "status.count", "must be from 1 to 125"),
            (covered(status.word), "status.word", "is not among the status registers"),
            (covered(self.actual.address), "actual.address", "is not among the status registers"),
            (bits.iter().all(|b| b.register.is_none_or(covered)), "status", "bits of a register that is not among the status registers"),
            (
                bits.iter().all(|b| b.mask != 0 && b.value.is_none_or(|v| v & !b.mask == 0)),
                "status",
                "bits whose value is outside the mask",
            ),
            (!status.running.is_empty(), "status.running", "is empty: nothing would tell that the belt runs"),
            (scaled(&self.setpoint.scale), "setpoint.scale", "give counts above 0 and either hz or mm_per_s above 0"),
            (scaled(&self.actual.scale), "actual.scale", "give counts above 0 and either hz or mm_per_s above 0"),
            (!self.command.stop.is_empty(), "command.stop", "is empty"),
            (!self.command.forward.is_empty(), "command.forward", "is empty"),
            (self.watchdog.iter().all(|p| p.value.is_some() != p.per_s.is_some()), "watchdog", "give either value or per_s"),
            (
                self.watchdog.iter().filter_map(|p| p.per_s).all(|per_s| per_s.is_finite() && per_s > 0.0),
                "watchdog.per_s",
                "must be above 0",
            ),
        ];
        let encoder = self.encoder.as_ref().and_then(Encoder::problem);
        let encoder = encoder.map(|(key, problem)| (false, key, problem));
        checks.into_iter().chain(encoder).find(|(good, ..)| !good).map(|(_, key, problem)| (key, problem))
    }

    /// Whether any of its speeds is a frequency.
    pub fn in_hz(&self) -> bool {
        self.setpoint.scale.hz.is_some() || self.actual.scale.hz.is_some()
    }

    /// Whether the drive can run backwards.
    pub fn reverses(&self) -> bool {
        self.setpoint.signed || !self.command.reverse.is_empty()
    }
}

impl Encoder {
    /// The first key with a fault, and the fault.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=2).contains(&self.words) {
            return Some(("encoder.words", "must be 1 or 2"));
        }
        self.unit.filter(|unit| !(1..=247).contains(unit)).map(|_| ("encoder.unit", "must be from 1 to 247"))
    }
}

impl std::fmt::Display for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "register {} (encoder)", self.address)?;
        self.unit.map_or(Ok(()), |unit| write!(f, " of unit {unit}"))
    }
}

impl Scale {
    /// Belt speed of one count, mm/s, for a belt that makes `mm_per_s_per_hz`.
    pub(crate) fn mm_per_s_per_count(&self, mm_per_s_per_hz: f64) -> f64 {
        match (self.mm_per_s, self.hz) {
            (Some(mm_per_s), _) => mm_per_s / self.counts,
            (None, hz) => hz.unwrap_or(0.0) * mm_per_s_per_hz / self.counts,
        }
    }
}
