//! The conveyor of drivers/README.md. It has no drive, and does only what the contract asks of one.

use async_trait::async_trait;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, PositionTrack, conformance};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A belt that reaches its speed at once. Its position follows from speed and clock.
struct Belt {
    description: ConveyorDescription,
    motion: Arc<Motion>,
}

/// Every change of speed, in the order of time. A real driver keeps the drive's readings of the last minutes.
struct Motion(Mutex<Vec<Change>>);

#[derive(Clone, Copy)]
struct Change {
    time_ns: i64,
    position_mm: f64,
    speed_mm_per_s: f64,
}

impl Change {
    fn position_mm(&self, time_ns: i64) -> f64 {
        self.position_mm + self.speed_mm_per_s * (time_ns - self.time_ns) as f64 * 1e-9
    }
}

impl Motion {
    fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present position and speed.
    fn now(&self) -> Change {
        now(&self.changes())
    }

    fn set(&self, speed_mm_per_s: f64) {
        let mut changes = self.changes();
        let change = Change { speed_mm_per_s, ..now(&changes) };
        changes.push(change);
    }
}

fn now(changes: &[Change]) -> Change {
    let time_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
    let standing = Change { time_ns, position_mm: 0.0, speed_mm_per_s: 0.0 };
    changes.last().map_or(standing, |last| Change { time_ns, position_mm: last.position_mm(time_ns), ..*last })
}

impl PositionTrack for Motion {
    fn position_mm(&self, time_ns: i64) -> Option<f64> {
        let changes = self.changes();
        let after = changes.partition_point(|change| change.time_ns <= time_ns);
        // The position is not known before the first change. For a real driver that also holds long after the drive's last
        // answer.
        Some(changes.get(after.checked_sub(1)?)?.position_mm(time_ns))
    }
}

impl Belt {
    fn open() -> Self {
        let description =
            ConveyorDescription { model: "clockwork".into(), speed_range_mm_per_s: (1.0, 200.0), reversible: true, recorded: false };
        let motion = Motion(Mutex::new(Vec::new()));
        // The belt stands after opening.
        motion.set(0.0);
        Self { description, motion: Arc::new(motion) }
    }
}

#[async_trait]
impl Conveyor for Belt {
    fn describe(&self) -> &ConveyorDescription {
        &self.description
    }

    async fn run(&self, speed_mm_per_s: f64) -> Result<f64, ConveyorError> {
        self.description.check_speed(speed_mm_per_s, "it does not run backwards")?;
        // A real driver writes the speed, reads it back and starts the drive. It waits for motion. Without motion it stops the
        // drive.
        self.motion.set(speed_mm_per_s);
        Ok(speed_mm_per_s)
    }

    async fn stop(&self) -> Result<(), ConveyorError> {
        self.motion.set(0.0);
        Ok(())
    }

    async fn state(&self) -> Result<ConveyorState, ConveyorError> {
        let Change { position_mm, speed_mm_per_s, .. } = self.motion.now();
        Ok(ConveyorState { moving: speed_mm_per_s != 0.0, speed_mm_per_s, position_mm })
    }

    fn track(&self) -> Arc<dyn PositionTrack> {
        Arc::<Motion>::clone(&self.motion)
    }
}

#[tokio::test]
async fn the_suite_passes() {
    conformance::conveyor(&Belt::open()).await;
}
