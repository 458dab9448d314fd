//! The conveyor in front of the simulated belt.

use crate::check::WorldError;
use crate::config::ConveyorConfig;
use crate::world::World;
use async_trait::async_trait;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, PositionTrack};
use std::sync::Arc;

/// A simulated conveyor. All conveyors of a world drive the same belt.
pub struct BeltConveyor {
    world: Arc<World>,
    description: ConveyorDescription,
    speed_error: f64,
}

impl World {
    /// The conveyor of this world. The start position holds until the belt first moves.
    ///
    /// # Errors
    /// [`WorldError`] for a configuration that cannot be used, with every fault.
    pub fn conveyor(self: &Arc<Self>, config: &ConveyorConfig) -> Result<BeltConveyor, WorldError> {
        config.check()?;
        self.place_belt(config.start_position_mm);
        Ok(BeltConveyor::new(Arc::clone(self), config))
    }
}

impl BeltConveyor {
    fn new(world: Arc<World>, config: &ConveyorConfig) -> Self {
        let description = ConveyorDescription {
            model: "simulated conveyor".into(),
            speed_range_mm_per_s: (config.min_speed_mm_per_s, config.max_speed_mm_per_s),
            reversible: config.reversible,
            recorded: false,
        };
        Self { world, description, speed_error: config.speed_error }
    }
}

#[async_trait]
impl Conveyor for BeltConveyor {
    fn describe(&self) -> &ConveyorDescription {
        &self.description
    }

    async fn run(&self, speed_mm_per_s: f64) -> Result<f64, ConveyorError> {
        self.description.check_speed(speed_mm_per_s, "it cannot run backwards")?;
        self.world.run_belt(speed_mm_per_s * (1.0 + self.speed_error))?;
        Ok(speed_mm_per_s)
    }

    async fn stop(&self) -> Result<(), ConveyorError> {
        self.world.run_belt(0.0)
    }

    async fn state(&self) -> Result<ConveyorState, ConveyorError> {
        let place = self.world.belt()?;
        Ok(ConveyorState { moving: place.read_mm_per_s != 0.0, speed_mm_per_s: place.read_mm_per_s, position_mm: place.read_mm })
    }

    fn track(&self) -> Arc<dyn PositionTrack> {
        Arc::new(Encoder(Arc::clone(&self.world)))
    }
}

/// The reading of the belt's encoder, at any time since the world began.
struct Encoder(Arc<World>);

impl PositionTrack for Encoder {
    fn position_mm(&self, time_ns: i64) -> Option<f64> {
        self.0.encoder_mm(time_ns)
    }
}
