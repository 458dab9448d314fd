//! Lamps.

use crate::link::LinkStatistics;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What a light is and can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LightDescription {
    /// Maker and model.
    pub model: String,
    /// Whether the level can be set between off and full.
    pub dimmable: bool,
}

/// What a light is doing, as the device reports it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LightState {
    /// Whether it is on.
    pub on: bool,
    /// Level, 0 to 1.
    pub level: f64,
}

/// A light's faults.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LightError {
    /// The controller refused.
    #[error("light {light} refused {wanted}: {reason}")]
    Refused {
        /// Which light.
        light: String,
        /// What was asked.
        wanted: String,
        /// What it said.
        reason: String,
    },
    /// The link is broken, or the controller does not answer.
    #[error("light {light} does not answer: {reason}; check its cable and power")]
    Link {
        /// Which light.
        light: String,
        /// What was seen.
        reason: String,
    },
    /// The lamp has failed.
    #[error("light {light} has failed: {reason}; replace the lamp")]
    Lamp {
        /// Which light.
        light: String,
        /// What was seen.
        reason: String,
    },
}

/// A lamp or a group of lamps behind one controller channel.
#[async_trait]
pub trait Light: Send + Sync {
    /// What it is and can do.
    fn describe(&self) -> &LightDescription;
    /// Sets the level, 0 (off) to 1, and returns what the controller accepted. A light that cannot be dimmed takes 0 or 1.
    async fn set(&self, level: f64) -> Result<LightState, LightError>;
    /// What it is doing now.
    async fn state(&self) -> Result<LightState, LightError>;
    /// Counters of the link to the controller, which may serve other lights too; all 0 where there is none.
    fn link(&self) -> LinkStatistics {
        LinkStatistics::default()
    }
}
