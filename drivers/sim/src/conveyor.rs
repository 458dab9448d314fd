//! The conveyor in front of the simulated belt.

use crate::check::WorldError;
use crate::config::ConveyorConfig;
use crate::noise;
use crate::world::World;
use async_trait::async_trait;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, PositionTrack};
use std::sync::Arc;

/// A simulated conveyor. All conveyors of a world drive the same belt.
pub struct BeltConveyor {
    world: Arc<World>,
    description: ConveyorDescription,
    speed_error: f64,
    /// Interval, delay and jitter of the encoder's readings, ms.
    readings: (f64, f64, f64),
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
        let readings = (config.poll_ms, config.delay_ms, config.jitter_ms);
        Self { world, description, speed_error: config.speed_error, readings }
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
        let ns = |ms: f64| (ms * 1e6) as i64;
        Arc::new(Encoder {
            world: Arc::clone(&self.world),
            poll_ns: ns(self.readings.0),
            delay_ns: ns(self.readings.1),
            jitter_ns: self.readings.2 * 1e6,
            seed: noise::hash(self.world.config.seed, &["encoder"]),
        })
    }
}

/// The reading of the belt's encoder, at any time since the world began, or polled as that of a drive.
struct Encoder {
    world: Arc<World>,
    poll_ns: i64,
    delay_ns: i64,
    jitter_ns: f64,
    seed: u64,
}

impl Encoder {
    /// The stamp of a polled reading, ns since the world began.
    fn stamp_ns(&self, reading: i64) -> i64 {
        let jitter = 2.0 * noise::unit(noise::mix(self.seed ^ noise::mix(reading as u64))) - 1.0;
        reading * self.poll_ns + self.delay_ns + (jitter * self.jitter_ns) as i64
    }
}

impl PositionTrack for Encoder {
    fn position_mm(&self, time_ns: i64) -> Option<f64> {
        let since_ns = time_ns - self.world.epoch_ns();
        if self.poll_ns == 0 {
            return Some(self.world.encoder(since_ns - self.delay_ns)?.read_mm);
        }
        let known_ns = self.world.known_ns(since_ns);
        // The stamps of readings are in order. That of a reading lies less than a poll from where it should.
        let mut last = (since_ns.min(known_ns) - self.delay_ns) / self.poll_ns + 1;
        while last >= 0 && self.stamp_ns(last) > since_ns.min(known_ns) {
            last -= 1;
        }
        let at = (last >= 0).then(|| self.world.encoder(last * self.poll_ns))??;
        let (from_ns, to_ns) = (self.stamp_ns(last), self.stamp_ns(last + 1));
        let elapsed_ns = (since_ns - from_ns) as f64;
        if to_ns > known_ns {
            return Some(at.read_mm + at.read_mm_per_s * elapsed_ns * 1e-9);
        }
        let next = self.world.encoder((last + 1) * self.poll_ns)?;
        Some(at.read_mm + (next.read_mm - at.read_mm) * elapsed_ns / (to_ns - from_ns) as f64)
    }
}
