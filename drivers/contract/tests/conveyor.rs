//! The conveyor of drivers/README.md: no drive behind it, only what the contract asks of one.

use async_trait::async_trait;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, PositionTrack, conformance};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A belt that is at its speed at once, and where its speed and the clock say.
struct Belt {
    description: ConveyorDescription,
    motion: Arc<Motion>,
}

/// Every change of speed, in the order of time. A real driver keeps what it read from the drive, for the last minutes.
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

    /// Where and how fast it is now.
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
        // Before the first it is not known. A real driver does not know it either when the drive was last heard long before `time_ns`.
        Some(changes.get(after.checked_sub(1)?)?.position_mm(time_ns))
    }
}

impl Belt {
    fn open() -> Self {
        let description =
            ConveyorDescription { model: "clockwork".into(), speed_range_mm_per_s: (1.0, 200.0), reversible: true, recorded: false };
        let motion = Motion(Mutex::new(Vec::new()));
        // Whatever it did before, it is left standing.
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
        // A real driver writes the speed, reads it back, starts the drive, and waits until it reports motion; else it stops it.
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
