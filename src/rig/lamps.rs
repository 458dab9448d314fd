//! The lamps: their commands, and how long they have burned.

use super::safety::Safety;
use crate::devices::LightUnit;
use crate::scan::{Cause, DeviceStatus};
use crate::sync::lock;
use crate::telemetry::Metrics;
use contract::LightError;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The lamps of the rig.
pub(super) struct Lamps {
    units: Vec<LightUnit>,
    burning: Mutex<Burning>,
}

/// Burning time of the lamps, and whether their light was measured as steady since they were last switched.
#[derive(Debug, Default)]
struct Burning {
    before: Duration,
    since: Option<Instant>,
    steady: bool,
}

impl Burning {
    fn switched(&mut self, on: bool) {
        self.before += self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.since = on.then(Instant::now);
        self.steady = false;
    }
}

impl Lamps {
    pub(super) fn new(units: Vec<LightUnit>) -> Self {
        Self { units, burning: Mutex::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.units.iter().any(|unit| unit.name == name)
    }

    /// The lamps, for queries of each one's state.
    pub(super) fn units(&self) -> &[LightUnit] {
        &self.units
    }

    /// Hours that the lamps have burned since the daemon started.
    pub(super) fn hours(&self) -> f64 {
        let burning = lock(&self.burning);
        (burning.before + burning.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64() / 3600.0
    }

    /// Burning time since the lamps were last switched. `None` while they are off.
    pub(super) fn burning_for(&self) -> Option<Duration> {
        lock(&self.burning).since.map(|since| since.elapsed())
    }

    pub(super) fn steady(&self) -> bool {
        lock(&self.burning).steady
    }

    /// Notes that the light was measured as steady.
    pub(super) fn seen_steady(&self) {
        lock(&self.burning).steady = true;
    }

    pub(super) async fn status(&self) -> Vec<DeviceStatus> {
        let mut list = Vec::new();
        for unit in &self.units {
            let state = unit.light.state().await;
            let model = unit.light.describe().model.clone();
            list.push(DeviceStatus::Light { name: unit.name.clone(), model, connected: state.is_ok(), state: state.ok() });
        }
        list
    }

    /// Cause of the first lamp that reports a failure or does not answer.
    pub(super) async fn failed(&self) -> Option<Cause> {
        for unit in &self.units {
            if let Err(error) = unit.light.state().await {
                return Some(Cause::from(&error));
            }
        }
        None
    }

    pub(super) fn count_links(&self, metrics: &Metrics) {
        for unit in &self.units {
            metrics.set_link(&unit.name, &unit.light.link());
        }
    }

    /// Switches on lamps that do not burn at the level of a scan, unless interrupted. Gives whether all burn.
    pub(super) async fn on(&self, safety: &Safety) -> Result<bool, LightError> {
        for unit in &self.units {
            let state = unit.light.state().await?;
            if !state.on || (state.level - unit.level).abs() >= 0.01 {
                let _interlock = safety.interlock().await;
                if safety.interrupted() {
                    return Ok(false);
                }
                unit.light.set(unit.level).await?;
                lock(&self.burning).switched(true);
            }
        }
        Ok(true)
    }

    /// Sets the level of one lamp, or of all, for a caller who holds the interlock.
    pub(super) async fn set_held(
        &self,
        _interlock: &tokio::sync::MutexGuard<'_, ()>,
        name: Option<&str>,
        level: f64,
    ) -> Result<(), LightError> {
        for unit in self.units.iter().filter(|unit| name.is_none_or(|name| name == unit.name)) {
            unit.light.set(level).await?;
        }
        lock(&self.burning).switched(level > 0.0);
        Ok(())
    }

    /// Switches every lamp off. Gives the cause of the first lamp that does not obey. The others go off nevertheless.
    pub(super) async fn off(&self, safety: &Safety) -> Option<Cause> {
        // A switch-on that holds the interlock completes first.
        let _interlock = safety.interlock().await;
        let mut fault = None;
        for unit in &self.units {
            if let Err(error) = unit.light.set(0.0).await {
                tracing::error!(%error, "a lamp does not go off");
                fault.get_or_insert(Cause::from(&error));
            }
        }
        lock(&self.burning).switched(false);
        fault
    }
}
