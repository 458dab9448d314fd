//! The steps of a scan: warms the lamps, prepares the scan, runs the belt.

use super::belt::RUN_UP_MM;
use super::{Controller, POLL_INTERVAL};
use crate::config::LampsConfig;
use crate::devices::CameraUnit;
use crate::devices::lamps::{self, Steadiness};
use crate::pipeline::build::{self, ScanSetup, tray_length_mm};
use crate::pipeline::{Emit, Running, load_encoders};
use crate::scan::{Cause, EventKind, Subsystem, now_ns};
use crate::state::{Event, State};
use crate::sync::lock;
use contract::Values;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Interval at which progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Limit of a scan: a multiple of the time that its way needs, and a constant on top.
const SCAN_LIMIT: (f64, Duration) = (3.0, Duration::from_secs(30));
/// Overrun behind the end of a scan at which the belt stops, though lines are still missing, mm.
const OVERRUN_MM: f64 = 20.0;

impl Controller {
    /// Switches lamps on and waits until they are warm.
    pub(super) async fn warm_lamps(self: &Arc<Self>) -> Option<Event> {
        match self.lamps.on(&self.safety).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Event::fault(&error)),
        }
        let least = Duration::from_secs_f64(self.loaded.config.scan.warm_up_s);
        loop {
            if self.safety.interrupted() {
                return None;
            }
            match self.lamps.burning_for() {
                Some(burning) if !self.lamps.is_empty() && burning < least => tokio::time::sleep(POLL_INTERVAL).await,
                _ => break,
            }
        }
        self.steady_lamps().await
    }

    /// Waits until every camera sees a steady light, on the white strip or the panel. The belt brings the panel under the camera.
    async fn steady_lamps(self: &Arc<Self>) -> Option<Event> {
        let panel_mm = self.loaded.config.references.as_ref().and_then(|references| references.panel_mm);
        let strip = self.loaded.config.lamps.strip_mm.is_some();
        if self.lamps.steady() || self.lamps.is_empty() || (panel_mm.is_none() && !strip) {
            return Some(Event::LampsWarm);
        }
        for (i, camera) in self.cameras.iter().enumerate() {
            if camera.description.recorded || camera.description.values != Values::Counts {
                continue;
            }
            if let (false, Some((from, to))) = (strip, panel_mm) {
                let under = self.loaded.config.camera[i].offset_mm + f64::midpoint(from, to);
                if let Err(error) = self.belt.travel(&self.safety, under).await {
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
        self.lamps.seen_steady();
        Some(Event::LampsWarm)
    }

    /// Brings the belt to the start of the scan, and starts cameras and data path.
    pub(super) async fn prepare_scan(self: &Arc<Self>) -> Option<Event> {
        let config = &self.loaded.config;
        let (id, tray) = self.run.read(|current| (current.record.id.clone(), current.record.tray.clone()))?;
        let recorded = self.belt.recorded();
        let mut window_mm = None;
        if !recorded {
            let length = match tray_length_mm(config, &tray) {
                Ok(length) => length,
                Err(error) => return Some(Event::Fault(Cause::new(Subsystem::Data, error.to_string()))),
            };
            window_mm = Some((-config.margin_mm(), length + config.margin_mm()));
            let offsets = config.camera.iter().map(|c| c.offset_mm);
            let (first, last) = offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), o| (lo.min(o), hi.max(o)));
            self.run.set_end_mm(last + length + config.margin_mm());
            if let Err(error) = self.belt.travel(&self.safety, first - config.margin_mm() - RUN_UP_MM).await {
                return Some(Event::fault(&error));
            }
        }
        if self.safety.interrupted() {
            return None;
        }
        let setup = ScanSetup {
            loaded: &self.loaded,
            scan_id: id,
            start_ns: now_ns(),
            tray,
            data_dir: self.data_dir().to_owned(),
            window_mm,
            track: (!recorded).then(|| self.belt.track()),
            live: Some(self.reporting.live().clone()),
            record: config.scan.record,
            may_defer: true,
        };
        let this = Arc::clone(self);
        let emit: Emit = Arc::new(move |kind| {
            match &kind {
                EventKind::PartClosed { rows, .. } => this.reporting.metrics().part_closed(*rows),
                EventKind::SampleIdentified { rows, .. } => this.reporting.metrics().minerals_published(*rows),
                _ => {}
            }
            this.reporting.emit(kind);
        });
        let running = {
            let mut units = lock(&self.units);
            let encoders = load_encoders(config, self.data_dir(), &build::axes(config, &units).0);
            let running = setup
                .build(&mut units, encoders, self.reporting.meters().clone(), emit)
                .map_err(|error| Cause::from(&error))
                .and_then(|parts| {
                    let hashes = Arc::clone(&parts.hashes);
                    self.run.edit(|record| {
                        record.prepared(&parts, &units);
                        record.minerals = parts.minerals_record();
                        record.bad_elements.iter().for_each(|(name, bad)| self.reporting.metrics().set_bad_elements(name, *bad));
                    });
                    Running::start(parts).map(|running| (running, hashes)).map_err(|error| Cause::from(&error))
                });
            if running.is_err() {
                stop_cameras(&mut units);
            }
            running
        };
        let (running, hashes) = match running {
            Ok((running, hashes)) => (Arc::new(running), hashes),
            Err(cause) => return Some(Event::Fault(cause)),
        };
        if self.run.attach(&setup.scan_id, &running, hashes) {
            return Some(Event::ScanPrepared);
        }
        // The scan was stopped and closed during its preparation.
        running.stop("it was stopped before its first line");
        stop_cameras(&mut lock(&self.units));
        running.finish();
        None
    }

    /// Runs the belt until every camera has its last line.
    pub(super) async fn run_belt(self: &Arc<Self>) -> Option<Event> {
        let running = self.run.running()?;
        let speed = self.loaded.config.conveyor.speed_mm_per_s;
        let start = match self.belt.state().await {
            Ok(state) => state.position_mm,
            Err(error) => return Some(Event::fault(&error)),
        };
        match self.belt.run(&self.safety, speed).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Event::fault(&error)),
        }
        let recorded = self.belt.recorded();
        if !recorded {
            running.belt_runs();
        }
        let end_mm = self.run.end_mm().unwrap_or(start);
        let way = end_mm - start;
        let mut runs = !recorded;
        let limit = Instant::now() + Duration::from_secs_f64((SCAN_LIMIT.0 * way / speed).max(0.0)) + SCAN_LIMIT.1;
        let mut reported = Instant::now();
        loop {
            if let Some(cause) = running.failed() {
                return Some(Event::Fault(cause));
            }
            if running.acquired() {
                return (self.safety.state() == State::Scanning).then_some(Event::Acquired);
            }
            if self.safety.state() != State::Scanning {
                return None;
            }
            let position_mm = match self.belt.state().await {
                Ok(state) => state.position_mm,
                Err(error) => return Some(Event::fault(&error)),
            };
            if runs && position_mm > end_mm + OVERRUN_MM {
                // Slow cameras or a slow disk still hold lines before the end. The belt need not run for them.
                running.belt_stands();
                if let Some(fault) = self.stop_belt().await {
                    return Some(fault);
                }
                runs = false;
            }
            if !recorded && Instant::now() > limit {
                let text = format!("the scan should have ended long ago, the belt is at {position_mm:.1} mm; check the drive");
                return Some(Event::Fault(Cause::new(Subsystem::Belt, text)));
            }
            if reported.elapsed() >= PROGRESS_INTERVAL {
                reported = Instant::now();
                self.count_links();
                if let Some(cause) = self.lamps.failed().await {
                    return Some(Event::Fault(cause));
                }
                if let Some(progress) = self.run.progress(position_mm) {
                    self.reporting.metrics().set_belt_position(position_mm);
                    self.reporting.emit(EventKind::Progress(progress));
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Stops every camera. A camera that does not obey is logged.
pub(super) fn stop_cameras(units: &mut [CameraUnit]) {
    for unit in units {
        if let Err(error) = unit.camera.ensure_stopped() {
            tracing::error!(camera = %unit.config.name, %error, "a camera does not stop");
        }
    }
}
