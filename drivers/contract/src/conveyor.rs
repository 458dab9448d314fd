//! Conveyors, and the position of their belt.

use crate::link::LinkStatistics;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A conveyor and its abilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConveyorDescription {
    /// Maker and model.
    pub model: String,
    /// Slowest and fastest speed, mm/s.
    pub speed_range_mm_per_s: (f64, f64),
    /// Whether the belt can run backwards (negative speeds).
    pub reversible: bool,
    /// Whether there is no belt to move. Positions then come with the frames of a recording.
    pub recorded: bool,
}

impl ConveyorDescription {
    /// Refuses a speed (mm/s, negative backwards) that the conveyor cannot run at. `one_way` is the reason for no backward speed.
    ///
    /// # Errors
    /// [`ConveyorError::Refused`] for a speed outside the description's range.
    pub fn check_speed(&self, speed_mm_per_s: f64, one_way: &str) -> Result<(), ConveyorError> {
        let (slowest, fastest) = self.speed_range_mm_per_s;
        let refused = |reason: String| Err(ConveyorError::Refused { wanted: format!("{speed_mm_per_s} mm/s"), reason });
        if !(slowest..=fastest).contains(&speed_mm_per_s.abs()) {
            return refused(format!("it runs at {slowest} to {fastest} mm/s"));
        }
        if speed_mm_per_s < 0.0 && !self.reversible {
            return refused(one_way.to_owned());
        }
        Ok(())
    }
}

/// The motion of a conveyor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConveyorState {
    /// Whether the drive reports motion.
    pub moving: bool,
    /// Actual speed, mm/s, negative backwards.
    pub speed_mm_per_s: f64,
    /// Belt position, mm.
    pub position_mm: f64,
}

/// A conveyor's faults.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConveyorError {
    /// The drive refused.
    #[error("the conveyor refused {wanted}: {reason}")]
    Refused {
        /// The command that was refused.
        wanted: String,
        /// The drive's reason.
        reason: String,
    },
    /// The link is broken, or the drive does not answer.
    #[error("the conveyor does not answer: {reason}; check its cable and power")]
    Link {
        /// The symptom.
        reason: String,
    },
    /// The drive reports a fault of its own.
    #[error("the conveyor drive reports a fault: {fault}; clear it at the drive")]
    Drive {
        /// The drive's code and text.
        fault: String,
    },
    /// The belt is not at its target, and the drive reports no fault.
    #[error("the belt is at {position_mm:.1} mm and should be at {wanted_mm:.1} mm by now; check the drive, its coupling and the encoder")]
    Astray {
        /// The belt's position, mm.
        position_mm: f64,
        /// The target, mm.
        wanted_mm: f64,
    },
}

/// Belt position against time, for threads of the data path. A call never blocks on the device.
pub trait PositionTrack: Send + Sync {
    /// Belt position in mm at `time_ns` (ns since 1970-01-01T00:00:00Z). It comes from an encoder, or from the integrated actual
    /// speed. `None` where it is not known.
    fn position_mm(&self, time_ns: i64) -> Option<f64>;
    /// The time up to which positions are final, ns since 1970-01-01T00:00:00Z. A later reading of the encoder may still change those
    /// behind it. The default is for tracks that know every position at once.
    fn final_until_ns(&self) -> i64 {
        i64::MAX
    }
    /// Longest usual time until the position at a time is final. A line that waited longer takes the position as it is then.
    fn lag(&self) -> Duration {
        Duration::ZERO
    }
}

/// A conveyor. Methods take `&self`. A stop must never wait for another caller.
#[async_trait]
pub trait Conveyor: Send + Sync {
    /// The conveyor and its abilities.
    fn describe(&self) -> &ConveyorDescription;
    /// Runs at a speed (mm/s, negative backwards) and returns the speed that the drive accepted.
    ///
    /// # Errors
    /// [`ConveyorError::Refused`] for a speed that the drive cannot run at. [`ConveyorError::Drive`] for a drive with a fault.
    /// [`ConveyorError::Link`] for one that does not answer.
    async fn run(&self, speed_mm_per_s: f64) -> Result<f64, ConveyorError>;
    /// Stops the belt. It is idempotent and works in any state. It returns once the drive reports standstill.
    ///
    /// # Errors
    /// [`ConveyorError::Link`] and [`ConveyorError::Drive`]. The belt may then still run.
    async fn stop(&self) -> Result<(), ConveyorError>;
    /// The present motion of the belt.
    ///
    /// # Errors
    /// [`ConveyorError::Link`] for a drive that does not answer. [`ConveyorError::Drive`] for one with a fault.
    async fn state(&self) -> Result<ConveyorState, ConveyorError>;
    /// Position against time.
    fn track(&self) -> Arc<dyn PositionTrack>;
    /// Counters of the link to the drive, all 0 where there is none.
    fn link(&self) -> LinkStatistics {
        LinkStatistics::default()
    }
}
