//! The light of drivers/README.md. It has no controller, and does only what the contract asks of one.

use async_trait::async_trait;
use contract::{Light, LightDescription, LightError, LightState, conformance};
use std::sync::atomic::{AtomicU8, Ordering};

/// A lamp that its controller dims in 255 steps.
struct Lamp {
    name: String,
    description: LightDescription,
    /// The level in the controller, in steps.
    steps: AtomicU8,
}

impl Lamp {
    fn open(name: &str) -> Self {
        let description = LightDescription { model: "lamp".into(), dimmable: true };
        Self { name: name.into(), description, steps: AtomicU8::new(0) }
    }
}

#[async_trait]
impl Light for Lamp {
    fn describe(&self) -> &LightDescription {
        &self.description
    }

    async fn set(&self, level: f64) -> Result<LightState, LightError> {
        if !(0.0..=1.0).contains(&level) {
            let (light, wanted) = (self.name.clone(), format!("level {level}"));
            return Err(LightError::Refused { light, wanted, reason: "a level is from 0 to 1".into() });
        }
        // A real driver sends the level, and returns the level that it reads back.
        self.steps.store((level * 255.0).round() as u8, Ordering::Relaxed);
        self.state().await
    }

    async fn state(&self) -> Result<LightState, LightError> {
        let steps = self.steps.load(Ordering::Relaxed);
        Ok(LightState { on: steps > 0, level: f64::from(steps) / 255.0 })
    }
}

#[tokio::test]
async fn the_suite_passes() {
    conformance::light(&Lamp::open("led")).await;
}
