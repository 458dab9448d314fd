//! The belt: runs, stops and travels.

use super::safety::Safety;
use crate::config::ConveyorConfig;
use crate::scan::{Cause, DeviceStatus, Subsystem};
use crate::sync::lock;
use contract::{Conveyor, ConveyorDescription, ConveyorError, ConveyorState, LinkStatistics, PositionTrack};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

/// Limit of a travel: a multiple of the time that its way needs, and a constant on top.
const TRAVEL_LIMIT: (f64, Duration) = (3.0, Duration::from_secs(10));
/// Interval at which the belt's position is read while it travels.
const TRAVEL_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Time that a drive may need to start, beyond the standstill that a scan allows.
const SLOW_START: Duration = Duration::from_secs(2);
/// Least movement that counts as motion, mm.
const MOTION_MM: f64 = 0.5;
/// Distance within which the belt has reached its target, mm.
const NEAR_MM: f64 = 2.0;
/// Largest number of approaches to a target.
const APPROACHES: usize = 6;
/// Time for which a jog goes on after its last request.
const JOG: Duration = Duration::from_millis(500);
/// Interval at which a jog's end is checked.
const JOG_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Way before the first line of a scan or reference, mm. The belt reaches its speed on it.
pub(super) const RUN_UP_MM: f64 = 10.0;

/// The conveyor of the rig.
pub(super) struct Belt {
    conveyor: Arc<dyn Conveyor>,
    speed_mm_per_s: f64,
    travel_mm_per_s: f64,
    standstill: Duration,
    /// Held during an operator's travel or jog.
    travelling: Arc<Mutex<()>>,
    jog: std::sync::Mutex<Option<Jog>>,
}

/// An operator's jog: a run that ends by itself.
struct Jog {
    end: Instant,
    speed_mm_per_s: f64,
}

impl Belt {
    pub(super) fn new(conveyor: Arc<dyn Conveyor>, config: &ConveyorConfig) -> Self {
        Self {
            conveyor,
            speed_mm_per_s: config.speed_mm_per_s,
            travel_mm_per_s: config.travel_mm_per_s.unwrap_or(config.speed_mm_per_s),
            standstill: Duration::from_secs_f64(config.stall_s) + SLOW_START,
            travelling: Arc::default(),
            jog: std::sync::Mutex::default(),
        }
    }

    pub(super) fn describe(&self) -> &ConveyorDescription {
        self.conveyor.describe()
    }

    /// Whether the belt is that of a recording, so that nothing moves.
    pub(super) fn recorded(&self) -> bool {
        self.describe().recorded
    }

    pub(super) fn track(&self) -> Arc<dyn PositionTrack> {
        self.conveyor.track()
    }

    pub(super) fn link(&self) -> LinkStatistics {
        self.conveyor.link()
    }

    pub(super) async fn state(&self) -> Result<ConveyorState, ConveyorError> {
        self.conveyor.state().await
    }

    pub(super) async fn status(&self) -> DeviceStatus {
        let state = self.state().await;
        DeviceStatus::Conveyor { model: self.describe().model.clone(), connected: state.is_ok(), state: state.ok() }
    }

    /// Time without an advance after which a running belt counts as standing.
    pub(super) fn standstill(&self) -> Duration {
        self.standstill
    }

    /// Guard of an operator's travel. `None` during another travel.
    pub(super) fn begin_travel(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.travelling).try_lock_owned().ok()
    }

    /// Guard against an operator's travel. `None` during a travel.
    pub(super) fn stands(&self) -> Option<MutexGuard<'_, ()>> {
        self.travelling.try_lock().ok()
    }

    /// Goes on with a jog for [`JOG`]. Gives whether it has this speed already, `None` where there is no jog.
    pub(super) fn extend_jog(&self, speed_mm_per_s: f64) -> Option<bool> {
        let mut jog = lock(&self.jog);
        let jog = jog.as_mut()?;
        jog.end = Instant::now() + JOG;
        let before = std::mem::replace(&mut jog.speed_mm_per_s, speed_mm_per_s);
        Some(before.total_cmp(&speed_mm_per_s).is_eq())
    }

    /// Notes that a jog begins.
    pub(super) fn begin_jog(&self, speed_mm_per_s: f64) {
        *lock(&self.jog) = Some(Jog { end: Instant::now() + JOG, speed_mm_per_s });
    }

    /// Notes that a jog is over.
    pub(super) fn end_jog(&self) {
        *lock(&self.jog) = None;
    }

    /// Waits for the end of a jog, and stops the belt. Gives the cause where it does not stop.
    pub(super) async fn watch_jog(&self, safety: &Safety) -> Option<Cause> {
        loop {
            let end = lock(&self.jog).as_ref().map(|jog| jog.end);
            match end {
                Some(end) if Instant::now() < end => tokio::time::sleep(JOG_POLL_INTERVAL).await,
                _ => break,
            }
        }
        self.end_jog();
        self.stop_surely(safety).await
    }

    /// Commands a stop, once.
    pub(super) async fn stop(&self) -> Result<(), ConveyorError> {
        self.conveyor.stop().await
    }

    /// Stops the belt, with three attempts. Gives the cause where it does not stop.
    pub(super) async fn stop_surely(&self, safety: &Safety) -> Option<Cause> {
        let mut last = None;
        for _ in 0..3 {
            // A start that holds the interlock may follow this stop. Another stop follows that start.
            let stopped = self.conveyor.stop().await;
            let overtaken = safety.switching_on();
            match stopped {
                Ok(()) if !overtaken => return None,
                Ok(()) => last = None,
                Err(error) => last = Some(error),
            }
            if overtaken {
                drop(safety.interlock().await);
            }
        }
        let stopped = last.map_or(Ok(()), Err);
        let text = |error| format!("the belt does not stop: {error}; use the emergency stop of the rig");
        stopped.err().map(|error: ConveyorError| Cause::new(Subsystem::Belt, text(error)))
    }

    /// Starts the belt unless it was interrupted. Gives whether it runs.
    pub(super) async fn run(&self, safety: &Safety, speed_mm_per_s: f64) -> Result<bool, ConveyorError> {
        let _interlock = safety.interlock().await;
        if safety.interrupted() {
            return Ok(false);
        }
        self.conveyor.run(speed_mm_per_s).await.map(|_| true)
    }

    /// Starts the belt at the speed of a scan unless it was interrupted. Gives whether it runs.
    pub(super) async fn run_for_scan(&self, safety: &Safety) -> Result<bool, ConveyorError> {
        self.run(safety, self.speed_mm_per_s).await
    }

    /// Starts the belt for a caller who holds the interlock.
    pub(super) async fn run_held(&self, _interlock: &MutexGuard<'_, ()>, speed_mm_per_s: f64) -> Result<(), ConveyorError> {
        self.conveyor.run(speed_mm_per_s).await.map(drop)
    }

    /// Brings the belt to a position and stops it there. A belt that overshot is brought back more slowly.
    pub(super) async fn travel(&self, safety: &Safety, to_mm: f64) -> Result<(), ConveyorError> {
        let description = self.conveyor.describe();
        if description.recorded {
            return Ok(());
        }
        let mut speed = self.travel_mm_per_s.abs();
        for _ in 0..APPROACHES {
            let from = self.conveyor.state().await?.position_mm;
            let way = to_mm - from;
            if way.abs() < NEAR_MM || safety.interrupted() {
                return Ok(());
            }
            if way < 0.0 && !description.reversible {
                return Err(ConveyorError::Refused {
                    wanted: format!("travel from {from:.1} to {to_mm:.1} mm"),
                    reason: "the belt cannot run backwards; lay the tray anew before its start".into(),
                });
            }
            self.run_until(safety, to_mm, speed * way.signum(), way.abs()).await?;
            speed = (speed / 4.0).max(description.speed_range_mm_per_s.0);
        }
        let position_mm = self.conveyor.state().await?.position_mm;
        if (position_mm - to_mm).abs() < RUN_UP_MM {
            return Ok(());
        }
        Err(ConveyorError::Astray { position_mm, wanted_mm: to_mm })
    }

    /// Runs until a position is passed, then stops.
    async fn run_until(&self, safety: &Safety, to_mm: f64, speed_mm_per_s: f64, way_mm: f64) -> Result<(), ConveyorError> {
        if !self.run(safety, speed_mm_per_s).await? {
            return Ok(());
        }
        let mut moved = (self.conveyor.state().await.map_or(f64::NAN, |state| state.position_mm), Instant::now());
        let limit = Instant::now() + Duration::from_secs_f64(TRAVEL_LIMIT.0 * way_mm / speed_mm_per_s.abs()) + TRAVEL_LIMIT.1;
        let result = loop {
            if safety.interrupted() {
                break Ok(());
            }
            match self.conveyor.state().await {
                Err(error) => break Err(error),
                Ok(state) if (to_mm - state.position_mm) * speed_mm_per_s.signum() <= 0.0 => break Ok(()),
                Ok(state) if Instant::now() > limit || moved.1.elapsed() > self.standstill => {
                    break Err(ConveyorError::Astray { position_mm: state.position_mm, wanted_mm: to_mm });
                }
                Ok(state) => {
                    if moved.0.is_nan() || (state.position_mm - moved.0).abs() > MOTION_MM {
                        moved = (state.position_mm, Instant::now());
                    }
                    tokio::time::sleep(TRAVEL_POLL_INTERVAL).await;
                }
            }
        };
        self.conveyor.stop().await?;
        result
    }
}
