//! Lamps.

use crate::link::LinkStatistics;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A light and its abilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LightDescription {
    /// Maker and model.
    pub model: String,
    /// Whether the level can be set between off and full.
    pub dimmable: bool,
}

/// State of a light, as the device reports it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LightState {
    /// Whether the light is on.
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
        /// The light's configured name.
        light: String,
        /// The level that was asked for.
        wanted: String,
        /// The controller's reason.
        reason: String,
    },
    /// The link is broken, or the controller does not answer.
    #[error("light {light} does not answer: {reason}; check its cable and power")]
    Link {
        /// The light's configured name.
        light: String,
        /// The symptom.
        reason: String,
    },
    /// The lamp has failed.
    #[error("light {light} has failed: {reason}; replace the lamp")]
    Lamp {
        /// The light's configured name.
        light: String,
        /// The symptom.
        reason: String,
    },
}

/// A lamp or a group of lamps behind one controller channel.
#[async_trait]
pub trait Light: Send + Sync {
    /// The light and its abilities.
    fn describe(&self) -> &LightDescription;
    /// Sets the level, 0 (off) to 1, and returns the state that the controller accepted. A light without a dimmer takes 0 or 1.
    ///
    /// # Errors
    /// [`LightError::Refused`] for a level that it cannot have. [`LightError::Lamp`] for a lamp that failed. [`LightError::Link`]
    /// for a controller that does not answer.
    async fn set(&self, level: f64) -> Result<LightState, LightError>;
    /// The present state of the light.
    ///
    /// # Errors
    /// [`LightError::Lamp`] for a lamp that failed. [`LightError::Link`] for a controller that does not answer.
    async fn state(&self) -> Result<LightState, LightError>;
    /// Counters of the link to the controller, all 0 where there is none. Other lights may share the link.
    fn link(&self) -> LinkStatistics {
        LinkStatistics::default()
    }
}
