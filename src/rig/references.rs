//! Takes references when they are needed, with all cameras at once.

use super::Controller;
use super::belt::RUN_UP_MM;
use crate::config::{Config, ReferencesConfig};
use crate::devices::CameraUnit;
use crate::devices::references::{self, Passage, TakeError, Taking, Watch};
use crate::scan::{Cause, EventKind, ReferenceKind, ReferenceStatus};
use crate::state::Event;
use crate::sync::lock;
use contract::{ConveyorError, Subject, Values};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

impl Controller {
    /// Takes the references that a scan lacks.
    pub(super) async fn take_references(self: &Arc<Self>) -> Option<Event> {
        let mut result = Ok(());
        for kind in [ReferenceKind::Dark, ReferenceKind::White] {
            if result.is_ok() && self.lacks(kind) {
                result = self.take(subject(kind), false).await.map(drop);
            }
        }
        match result {
            Ok(()) => Some(Event::ReferencesGood),
            Err(TakeError::Stopped) => None,
            Err(error) if error.breaks() => Some(Event::fault(&error)),
            Err(error) => {
                self.warn(error.to_string());
                self.safety.give_reason(&error.to_string());
                Some(Event::ReferencesRefused)
            }
        }
    }

    /// Whether a camera lacks a valid reference of a kind.
    ///
    /// Age, a change of the detector's temperature, or burning hours of the lamps make a reference invalid.
    fn lacks(&self, kind: ReferenceKind) -> bool {
        let Some(config) = &self.loaded.config.references else { return false };
        let lamp_hours = self.lamps.hours();
        lock(&self.units).iter().any(|unit| {
            let description = unit.camera.describe();
            let (held, max_age_s) = match kind {
                ReferenceKind::Dark if description.shutter => (&unit.dark, config.max_dark_age_s),
                ReferenceKind::Dark => (&unit.dark, config.max_age_s),
                ReferenceKind::White => (&unit.white, config.max_age_s),
            };
            if description.values != Values::Counts {
                return false;
            }
            let Some(held) = held else { return true };
            let age_s = held.since.elapsed().as_secs_f64();
            // The dark reference was taken just now, so its temperature is the camera's.
            let now_c = unit.dark.as_ref().and_then(|dark| dark.reference.temperature_c);
            let warmed =
                held.reference.temperature_c.zip(now_c).is_some_and(|(then, now)| (now - then).abs() > config.max_temperature_change_c);
            let burned = kind == ReferenceKind::White && lamp_hours - held.lamp_hours > config.max_lamp_hours;
            let stale = !description.recorded && (age_s > max_age_s || warmed || burned);
            if stale {
                tracing::info!(camera = %unit.config.name, ?kind, age_s, warmed, burned, "the reference is too old");
            }
            stale
        })
    }

    /// Takes the references after a scan, and records how far dark level and light moved. Where they moved by more than a limit, the scan is
    /// made again from its recording. Gives the cause of a failed device. A refused reference only gives a warning.
    ///
    /// A dark one needs shutters, so that the lamps may stay on. A white one needs a panel behind the tray: the belt only runs on.
    pub(super) async fn take_references_after(self: &Arc<Self>) -> Option<Cause> {
        let config = self.loaded.config.references.as_ref()?;
        let live = |description: &contract::CameraDescription| description.values == Values::Counts && !description.recorded;
        if !self.cameras.iter().all(|camera| live(&camera.description)) {
            return None;
        }
        let shutters = self.cameras.iter().all(|camera| camera.description.shutter);
        let panel = config.panel_after_mm.is_some() && self.loaded.config.lamps.strip_mm.is_none() && !self.belt.recorded();
        for (subject, possible) in [(Subject::DarkAfter, config.dark_after && shutters), (Subject::WhiteAfter, panel)] {
            if possible && let Some(cause) = self.take_after(subject, config).await {
                return Some(cause);
            }
        }
        None
    }

    /// Takes one reference after a scan with every camera.
    async fn take_after(self: &Arc<Self>, subject: Subject, config: &ReferencesConfig) -> Option<Cause> {
        if self.safety.interrupted() {
            return None;
        }
        let kind = references::kind(subject);
        let held = |unit: &CameraUnit| if kind == ReferenceKind::Dark { unit.dark.clone() } else { unit.white.clone() };
        let before: Vec<_> = lock(&self.units).iter().map(held).collect();
        match self.take(subject, true).await {
            Ok(_) => {}
            Err(TakeError::Stopped) => return None,
            Err(error) => {
                let what = if kind == ReferenceKind::Dark { "the dark level" } else { "the light" };
                self.warn(format!("how far {what} moved during the scan is not known: {error}"));
                return error.breaks().then(|| Cause::from(&error));
            }
        }
        let (id, record) = (self.run.id()?, self.loaded.config.scan.record);
        let (mut warnings, mut failed) = (Vec::new(), None);
        for (unit, before) in lock(&self.units).iter().zip(before) {
            let (Some(after), Some(before)) = (held(unit), before) else { continue };
            let name = &unit.config.name;
            let warning = if kind == ReferenceKind::Dark {
                let Some((drift, warning)) = references::dark_drift(unit, &before, &after, config) else { continue };
                self.reporting.metrics().set_dark_drift(name, &drift);
                self.run.edit(|record| _ = record.dark_drift.insert(name.clone(), drift));
                warning
            } else {
                let Some((change, warning)) = references::light_drift(unit, &before, &after, config) else { continue };
                self.run.edit(|record| _ = record.light_change.insert(name.clone(), change));
                warning
            };
            let capture = self.data_dir().join("scans").join(&id).join("raw").join(name).join("capture");
            let beside = if record { references::beside_after(&after, kind, &capture, &id) } else { Ok(()) };
            if let Some(warning) = warning {
                let again = record && config.make_again && beside.is_ok();
                if again {
                    self.run.make_again();
                }
                let remedy = match (again, record) {
                    (true, _) => "the scan was made again from its recording, interpolated between both references",
                    (false, true) => "process the recording again to have it interpolated",
                    (false, false) => "with scan.record, it would be interpolated",
                };
                warnings.push(format!("{warning}; {remedy}"));
            }
            if let Err(error) = beside {
                warnings.push(error.to_string());
                failed.get_or_insert(Cause::from(&TakeError::from(error)));
            }
        }
        for warning in warnings {
            self.warn(warning);
        }
        failed
    }

    /// Takes a reference that was asked for. A white one has a dark one of its own time, so one that is lacking is taken first.
    pub(super) async fn take_asked(self: &Arc<Self>, kind: ReferenceKind, accept: bool) -> Result<Vec<ReferenceStatus>, TakeError> {
        if kind == ReferenceKind::White && self.lacks(ReferenceKind::Dark) {
            self.take(Subject::Dark, false).await?;
        }
        self.take(subject(kind), accept).await
    }

    /// Takes a reference with every camera at once.
    async fn take(self: &Arc<Self>, subject: Subject, accept_change: bool) -> Result<Vec<ReferenceStatus>, TakeError> {
        let kind = references::kind(subject);
        let recorded = self.cameras.iter().all(|camera| camera.description.recorded);
        let fault = |error: ConveyorError| TakeError::Rig(Cause::from(&error));
        let mut passages = vec![None; self.cameras.len()];
        // Without a drive, the belt's position is unknown. The panel is then assumed to lie under every camera.
        let placed = !self.belt.recorded();
        let after = subject == Subject::WhiteAfter;
        let panel_mm = self.loaded.config.references.as_ref().and_then(|r| if after { r.panel_after_mm } else { r.panel_mm });
        let panel_mm = panel_mm.filter(|_| placed);
        if !recorded {
            match kind {
                ReferenceKind::Dark => self.darken_cameras(true).await?,
                ReferenceKind::White => {
                    // Behind the tray, the belt only runs on.
                    if !after {
                        self.belt.travel(&self.safety, home_mm(&self.loaded.config)).await.map_err(fault)?;
                    }
                    if let Some((from, to)) = panel_mm {
                        for (passage, camera) in passages.iter_mut().zip(&self.loaded.config.camera) {
                            let rim_mm = PANEL_RIM_MM + camera.yaw_reach_mm();
                            let between_mm = (from + camera.offset_mm + rim_mm, to + camera.offset_mm - rim_mm);
                            *passage = Some(Passage { track: self.belt.track(), between_mm, standstill: self.belt.standstill() });
                        }
                    }
                }
            }
        }
        let readers = self.start_readers(subject, accept_change, passages);
        // The belt waits for every camera's stream. Otherwise the panel could pass a camera unseen.
        while !readers.streaming() && !readers.handle.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut moved = Ok(true);
        if !recorded && kind == ReferenceKind::White {
            moved = self.belt.run_for_scan(&self.safety).await;
        }
        if let Err(error) = &moved {
            self.interrupt(&error.to_string());
        }
        let result = tokio::task::spawn_blocking(move || readers.join()).await.unwrap_or(Err(TakeError::Stopped));
        if !recorded {
            if let Some(cause) = self.belt.stop_surely(&self.safety).await {
                self.retry_until_safe();
                return Err(TakeError::Rig(cause));
            }
            if kind == ReferenceKind::Dark {
                self.darken_cameras(false).await?;
            }
        }
        moved.map_err(fault)?;
        let status = result.inspect_err(|_| self.refresh_references())?;
        self.refresh_references();
        for reference in &status {
            self.reporting.emit(EventKind::ReferenceTaken(reference.clone()));
        }
        Ok(status)
    }

    /// Starts one thread per camera. Each borrows its camera as long as it runs.
    fn start_readers(self: &Arc<Self>, subject: Subject, accept_change: bool, passages: Vec<Option<Passage>>) -> Readers {
        let this = Arc::clone(self);
        let lamp_hours = self.lamps.hours();
        let waiting = self.cameras.iter().filter(|camera| camera.description.values == Values::Counts).count();
        let waiting = Arc::new(AtomicUsize::new(waiting));
        let seen = Arc::clone(&waiting);
        // The thread that joins the readers holds the lock, so that no other thread starts a camera.
        let handle = std::thread::spawn(move || {
            let config = this.loaded.config.references.as_ref();
            let folder = this.data_dir().join("references");
            let mut units = lock(&this.units);
            std::thread::scope(|scope| {
                let threads: Vec<_> = units
                    .iter_mut()
                    .zip(&passages)
                    .filter(|(unit, _)| unit.camera.describe().values == Values::Counts)
                    .map(|(unit, passage)| {
                        let (folder, watch) = (folder.join(&unit.config.name), Watching { controller: &this, waiting: &seen });
                        scope.spawn(move || {
                            let passage = passage.as_ref();
                            let folder = (!unit.camera.describe().recorded).then_some(folder.as_path());
                            take_one(unit, Taking { subject, config, passage, folder, accept_change, lamp_hours }, &watch)
                        })
                    })
                    .collect();
                let results: Vec<_> = threads.into_iter().map(|t| t.join().unwrap_or(Err(TakeError::Stopped))).collect();
                results.into_iter().collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
            })
        });
        Readers { handle, waiting }
    }

    fn refresh_references(&self) {
        let held: Vec<ReferenceStatus> = lock(&self.units).iter().flat_map(references::status).collect();
        self.reporting.hold_references(held);
    }

    /// Closes shutters, or opens them again. For cameras without a shutter, it switches the lamps off, or on again.
    async fn darken_cameras(self: &Arc<Self>, dark: bool) -> Result<(), TakeError> {
        let mut without = false;
        for unit in lock(&self.units).iter_mut() {
            if unit.camera.describe().shutter {
                unit.camera.set_shutter(!dark)?;
            } else {
                without = true;
            }
        }
        if without {
            let event = if dark { self.lamps_off().await } else { self.warm_lamps().await };
            if let Some(Event::Fault(cause)) = event {
                return Err(TakeError::Rig(cause));
            }
        }
        Ok(())
    }
}

/// What is under the cameras for a reference before a scan.
fn subject(kind: ReferenceKind) -> Subject {
    if kind == ReferenceKind::White { Subject::White } else { Subject::Dark }
}

/// Belt position before a white reference, mm.
fn home_mm(config: &Config) -> f64 {
    let first = config.camera.iter().map(|c| c.offset_mm).fold(f64::INFINITY, f64::min);
    let panel = config.references.as_ref().and_then(|r| r.panel_mm).map_or(0.0, |panel| panel.0);
    config.scan.home_mm.unwrap_or(first + panel.min(-config.margin_mm()) - RUN_UP_MM)
}

/// Width of the panel's rim that is not measured, mm.
const PANEL_RIM_MM: f64 = 2.0;

/// The threads that take references.
struct Readers {
    handle: std::thread::JoinHandle<Result<Vec<ReferenceStatus>, TakeError>>,
    /// Number of cameras that do not stream yet.
    waiting: Arc<AtomicUsize>,
}

/// A reader's link to the controller: reports its stream, and checks for an interruption.
struct Watching<'a> {
    controller: &'a Controller,
    waiting: &'a AtomicUsize,
}

impl Watch for Watching<'_> {
    fn streaming(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    fn stopped(&self) -> bool {
        self.controller.stopped()
    }
}

impl Readers {
    fn streaming(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    fn join(self) -> Result<Vec<ReferenceStatus>, TakeError> {
        self.handle.join().unwrap_or(Err(TakeError::Stopped))
    }
}

fn take_one(unit: &mut CameraUnit, taking: Taking<'_>, watch: &Watching<'_>) -> Result<Vec<ReferenceStatus>, TakeError> {
    let held = references::take(unit, taking, watch)?;
    match taking.kind() {
        ReferenceKind::Dark => unit.dark = Some(held),
        ReferenceKind::White => unit.white = Some(held),
    }
    Ok(references::status(unit).into_iter().filter(|status| status.kind == taking.kind()).collect())
}

impl Watch for Controller {
    fn stopped(&self) -> bool {
        self.safety.interrupted()
    }
}
