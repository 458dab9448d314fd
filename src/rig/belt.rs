//! Lamps and belt.

use super::state::Event;
use super::{Controller, POLL_INTERVAL};
use crate::config::{Config, LampsConfig};
use crate::devices::lamps;
use crate::devices::lamps::Steadiness;
use crate::devices::references::Watch;
use crate::scan::{Cause, Subsystem};
use crate::sync::lock;
use contract::{ConveyorError, Values};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A belt that travels must get there in this many times the time it should need, and this much more.
const PATIENCE: (f64, Duration) = (3.0, Duration::from_secs(10));

/// How often the belt is looked at while it travels.
const WATCH: Duration = Duration::from_millis(5);
/// What a drive may need to start, beyond what a scan allows its belt to stand.
const SLOW_START: Duration = Duration::from_secs(2);
/// A belt that has moved less has not moved, mm.
const MOTION_MM: f64 = 0.5;
/// A belt this near to where it should be is there, mm.
const NEAR_MM: f64 = 2.0;
/// How often a place is approached.
const APPROACHES: usize = 6;

impl Controller {
    /// Switches lamps on and waits until they are warm.
    pub(super) async fn warm_lamps(self: &Arc<Self>) -> Option<Event> {
        for unit in &self.lights {
            let lit = match unit.light.state().await {
                Ok(state) => state.on && (state.level - unit.level).abs() < 0.01,
                Err(error) => return Some(Event::fault(&error)),
            };
            if !lit {
                let _gate = self.gate.lock().await;
                if self.interrupted() {
                    return None;
                }
                if let Err(error) = unit.light.set(unit.level).await {
                    return Some(Event::fault(&error));
                }
                lock(&self.lamps).switched(true);
            }
        }
        let least = Duration::from_secs_f64(self.loaded.config.scan.warm_up_s);
        loop {
            let since = lock(&self.lamps).since;
            if self.interrupted() {
                return None;
            }
            match since {
                Some(since) if !self.lights.is_empty() && since.elapsed() < least => tokio::time::sleep(POLL_INTERVAL).await,
                _ => break,
            }
        }
        self.steady_lamps().await
    }

    /// Waits until every camera sees a steady light: on the white strip, or with the panel brought under it.
    async fn steady_lamps(self: &Arc<Self>) -> Option<Event> {
        let panel_mm = self.loaded.config.references.as_ref().and_then(|references| references.panel_mm);
        let strip = self.loaded.config.lamps.strip_mm.is_some();
        if lock(&self.lamps).steady || self.lights.is_empty() || (panel_mm.is_none() && !strip) {
            return Some(Event::LampsWarm);
        }
        for (i, camera) in self.cameras.iter().enumerate() {
            if camera.description.recorded || camera.description.values != Values::Counts {
                continue;
            }
            if let (false, Some((from, to))) = (strip, panel_mm) {
                let under = self.loaded.config.camera[i].offset_mm + f64::midpoint(from, to);
                if let Err(error) = self.travel(under, self.travel_speed()).await {
                    return Some(Event::fault(&error));
                }
            }
            let this = Arc::clone(self);
            let waited = tokio::task::spawn_blocking(move || {
                let mut units = lock(&this.units);
                lamps::steady(&mut units[i], &this.loaded.config.lamps, &*this)
            });
            match waited.await {
                Ok(Ok(Steadiness::Steady(change))) => tracing::info!(camera = %camera.name, change, "the light is steady"),
                Ok(Ok(Steadiness::Unsteady(nm, change))) => {
                    let LampsConfig { max_warm_up_s, window_s, .. } = self.loaded.config.lamps;
                    let text = format!(
                        "the light is not steady after {max_warm_up_s} s: {} sees it change by {:.2} % within {window_s} s at {nm:.0} nm; check the lamps and their supply",
                        camera.name,
                        100.0 * change
                    );
                    return Some(Event::Fault(Cause::new(Subsystem::Light, text)));
                }
                Ok(Ok(Steadiness::Stopped)) => return None,
                Ok(Err(error)) => return Some(Event::fault(&error)),
                Err(_) => return Some(Event::Fault(Cause::new(Subsystem::Data, "looking at the light broke down; see the log"))),
            }
        }
        lock(&self.lamps).steady = true;
        Some(Event::LampsWarm)
    }

    /// A lamp that says it failed.
    pub(super) async fn failed_lamp(self: &Arc<Self>) -> Option<Cause> {
        for unit in &self.lights {
            if let Err(error) = unit.light.state().await {
                return Some(Cause::from(&error));
            }
        }
        None
    }

    /// A drive or a lamp that says it failed, or says nothing.
    pub(super) async fn failed_device(self: &Arc<Self>) -> Option<Cause> {
        match self.conveyor.state().await {
            Err(error) => Some(Cause::from(&error)),
            Ok(_) => self.failed_lamp().await,
        }
    }

    /// Brings the counters of the links to drive and lamps into the metrics.
    pub(super) fn count_links(&self) {
        self.metrics.set_link("conveyor", &self.conveyor.link());
        for unit in &self.lights {
            self.metrics.set_link(&unit.name, &unit.light.link());
        }
    }

    /// Switches every lamp off. A lamp that does not obey is a fault, and tried again until it does.
    pub(super) async fn lamps_off(self: &Arc<Self>) -> Option<Event> {
        let cause = self.darkness().await?;
        self.retry_until_safe();
        Some(Event::Fault(cause))
    }

    /// Switches every lamp off; gives why the first that does not obey does not, which is no reason to leave the others on.
    pub(super) async fn darkness(&self) -> Option<Cause> {
        // Who is about to switch one on does so first.
        let _gate = self.gate.lock().await;
        let mut fault = None;
        for unit in &self.lights {
            if let Err(error) = unit.light.set(0.0).await {
                tracing::error!(%error, "a lamp does not go off");
                fault.get_or_insert(Cause::from(&error));
            }
        }
        lock(&self.lamps).switched(false);
        fault
    }

    /// Stops the belt. One that does not obey is a fault, and told again until it does.
    pub(super) async fn stop_belt(self: &Arc<Self>) -> Option<Event> {
        let cause = self.halt().await?;
        self.retry_until_safe();
        Some(Event::Fault(cause))
    }

    /// Stops the belt, trying three times; gives why it does not stop.
    pub(super) async fn halt(&self) -> Option<Cause> {
        let mut last = None;
        for _ in 0..3 {
            // At once, and again behind whoever has just told it to run.
            let stopped = self.conveyor.stop().await;
            let overtaken = self.gate.try_lock().is_err();
            match stopped {
                Ok(()) if !overtaken => return None,
                Ok(()) => last = None,
                Err(error) => last = Some(error),
            }
            if overtaken {
                drop(self.gate.lock().await);
            }
        }
        let stopped = last.map_or(Ok(()), Err);
        let text = |error| format!("the belt does not stop: {error}; use the emergency stop of the rig");
        stopped.err().map(|error: ConveyorError| Cause::new(Subsystem::Belt, text(error)))
    }

    /// Has the belt run, unless somebody stopped meanwhile; whether it runs.
    pub(super) async fn run_at(&self, speed_mm_per_s: f64) -> Result<bool, ConveyorError> {
        let _gate = self.gate.lock().await;
        if self.interrupted() {
            return Ok(false);
        }
        self.conveyor.run(speed_mm_per_s).await.map(|_| true)
    }

    /// A belt that is to bring something and does not advance for so long stands.
    pub(super) fn standstill(&self) -> Duration {
        Duration::from_secs_f64(self.loaded.config.conveyor.stall_s) + SLOW_START
    }

    /// Where the belt is sent before a scan, mm.
    pub(super) fn home_mm(config: &Config) -> f64 {
        let first = config.camera.iter().map(|c| c.offset_mm).fold(f64::INFINITY, f64::min);
        let panel = config.references.as_ref().and_then(|r| r.panel_mm).map_or(0.0, |panel| panel.0);
        config.scan.home_mm.unwrap_or(first + panel.min(-config.scan.margin_mm) - RUN_UP_MM)
    }

    /// Brings the belt to a position and stops it there. A belt that ran past it is brought back more slowly.
    pub(super) async fn travel(self: &Arc<Self>, to_mm: f64, speed_mm_per_s: f64) -> Result<(), ConveyorError> {
        let description = self.conveyor.describe();
        if description.recorded {
            return Ok(());
        }
        let mut speed = speed_mm_per_s.abs();
        for _ in 0..APPROACHES {
            let from = self.conveyor.state().await?.position_mm;
            let way = to_mm - from;
            if way.abs() < NEAR_MM || self.interrupted() {
                return Ok(());
            }
            if way < 0.0 && !description.reversible {
                return Err(ConveyorError::Refused {
                    wanted: format!("travel from {from:.1} to {to_mm:.1} mm"),
                    reason: "the belt cannot run backwards; lay the tray anew before its start".into(),
                });
            }
            self.run_until(to_mm, speed * way.signum(), way.abs()).await?;
            speed = (speed / 4.0).max(description.speed_range_mm_per_s.0);
        }
        let position_mm = self.conveyor.state().await?.position_mm;
        if (position_mm - to_mm).abs() < RUN_UP_MM {
            return Ok(());
        }
        Err(ConveyorError::Astray { position_mm, wanted_mm: to_mm })
    }

    /// Runs until a position has passed, then stops.
    async fn run_until(self: &Arc<Self>, to_mm: f64, speed_mm_per_s: f64, way_mm: f64) -> Result<(), ConveyorError> {
        if !self.run_at(speed_mm_per_s).await? {
            return Ok(());
        }
        let mut moved = (self.conveyor.state().await.map_or(f64::NAN, |state| state.position_mm), Instant::now());
        let limit = Instant::now() + Duration::from_secs_f64(PATIENCE.0 * way_mm / speed_mm_per_s.abs()) + PATIENCE.1;
        let result = loop {
            if self.interrupted() {
                break Ok(());
            }
            match self.conveyor.state().await {
                Err(error) => break Err(error),
                Ok(state) if (to_mm - state.position_mm) * speed_mm_per_s.signum() <= 0.0 => break Ok(()),
                Ok(state) if Instant::now() > limit || moved.1.elapsed() > self.standstill() => {
                    break Err(ConveyorError::Astray { position_mm: state.position_mm, wanted_mm: to_mm });
                }
                Ok(state) => {
                    if moved.0.is_nan() || (state.position_mm - moved.0).abs() > MOTION_MM {
                        moved = (state.position_mm, Instant::now());
                    }
                    tokio::time::sleep(WATCH).await;
                }
            }
        };
        self.conveyor.stop().await?;
        result
    }

    /// Speed of travel outside a scan, mm/s.
    pub(super) fn travel_speed(&self) -> f64 {
        let conveyor = &self.loaded.config.conveyor;
        conveyor.travel_mm_per_s.unwrap_or(conveyor.speed_mm_per_s)
    }
}

/// Belt that a scan or a reference begins before its first line, mm: the belt runs at its speed by then.
pub(super) const RUN_UP_MM: f64 = 10.0;

impl Watch for Controller {
    fn stopped(&self) -> bool {
        self.interrupted()
    }
}
