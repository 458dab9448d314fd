//! The light device in front of each simulated lamp.

use crate::check::WorldError;
use crate::config::LightConfig;
use crate::world::World;
use async_trait::async_trait;
use contract::{Light, LightDescription, LightError, LightState};
use std::sync::Arc;

/// A simulated light: one lamp of the world.
pub struct Lamp {
    world: Arc<World>,
    index: usize,
    name: String,
    description: LightDescription,
}

impl World {
    /// A light of this world. A second one of the same name is the same lamp.
    ///
    /// # Errors
    /// [`WorldError`] for a configuration that cannot be used, with every fault.
    pub fn light(self: &Arc<Self>, name: &str, config: &LightConfig) -> Result<Lamp, WorldError> {
        config.check()?;
        let index = self.add_lamp(name, config.share);
        Ok(Lamp::new(Arc::clone(self), index, name, config))
    }
}

impl Lamp {
    fn new(world: Arc<World>, index: usize, name: &str, config: &LightConfig) -> Self {
        let description = LightDescription { model: "simulated light".into(), dimmable: config.dimmable };
        Self { world, index, name: name.to_owned(), description }
    }

    fn answer(&self, level: f64, reported_dark: bool) -> Result<LightState, LightError> {
        if reported_dark && level > 0.0 {
            return Err(LightError::Lamp { light: self.name.clone(), reason: "no lamp current".into() });
        }
        Ok(LightState { on: level > 0.0, level })
    }
}

#[async_trait]
impl Light for Lamp {
    fn describe(&self) -> &LightDescription {
        &self.description
    }

    async fn set(&self, level: f64) -> Result<LightState, LightError> {
        let refused =
            |reason: &str| Err(LightError::Refused { light: self.name.clone(), wanted: format!("level {level}"), reason: reason.into() });
        if !(0.0..=1.0).contains(&level) {
            return refused("a level is from 0 to 1");
        }
        if !self.description.dimmable && level != 0.0 && level != 1.0 {
            return refused("it cannot be dimmed; set 0 or 1");
        }
        let dark = self.world.set_lamp(self.index, level)?;
        self.answer(level, dark)
    }

    async fn state(&self) -> Result<LightState, LightError> {
        let (level, dark) = self.world.lamp_state(self.index)?;
        self.answer(level, dark)
    }
}
