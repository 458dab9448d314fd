//! The belt of a recording.

use async_trait::async_trait;
use contract::{ConveyorDescription, ConveyorError, ConveyorState, PositionTrack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// The belt of a recording. It has no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConveyorConfig {}

/// The belt of a recording. It accepts any speed, and leaves positions to the frames.
#[derive(Debug)]
pub struct Conveyor {
    description: ConveyorDescription,
    speed_mm_per_s: Mutex<Option<f64>>,
}

impl Conveyor {
    /// A belt that stands.
    pub fn new() -> Self {
        let description =
            ConveyorDescription { model: "recording".to_owned(), speed_range_mm_per_s: (0.0, 1e6), reversible: true, recorded: true };
        Self { description, speed_mm_per_s: Mutex::new(None) }
    }

    fn set(&self, speed_mm_per_s: Option<f64>) {
        // A number cannot be left half written. A poisoned lock still holds a good one.
        *self.speed_mm_per_s.lock().unwrap_or_else(PoisonError::into_inner) = speed_mm_per_s;
    }
}

impl Default for Conveyor {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl contract::Conveyor for Conveyor {
    fn describe(&self) -> &ConveyorDescription {
        &self.description
    }

    async fn run(&self, speed_mm_per_s: f64) -> Result<f64, ConveyorError> {
        if !speed_mm_per_s.is_finite() {
            return Err(ConveyorError::Refused { wanted: format!("{speed_mm_per_s} mm/s"), reason: "that is no speed".to_owned() });
        }
        self.set(Some(speed_mm_per_s));
        Ok(speed_mm_per_s)
    }

    async fn stop(&self) -> Result<(), ConveyorError> {
        self.set(None);
        Ok(())
    }

    async fn state(&self) -> Result<ConveyorState, ConveyorError> {
        let speed = *self.speed_mm_per_s.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ConveyorState { moving: speed.is_some(), speed_mm_per_s: speed.unwrap_or(0.0), position_mm: 0.0 })
    }

    fn track(&self) -> Arc<dyn PositionTrack> {
        Arc::new(Unknown)
    }
}

/// Positions come with the frames, if at all.
struct Unknown;

impl PositionTrack for Unknown {
    fn position_mm(&self, _time_ns: i64) -> Option<f64> {
        None
    }
}
