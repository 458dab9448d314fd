//! The steps of a scan.

use super::belt::RUN_UP_MM;
use super::state::{Event, State};
use super::{Controller, POLL_INTERVAL};
use crate::devices::references::{Passage, TakeError, Taking};
use crate::devices::{CameraUnit, references};
use crate::pipeline::build::{ScanSetup, tray_length_mm};
use crate::pipeline::{Emit, Running, build};
use crate::scan::{Cause, EventKind, ReferenceKind, ReferenceStatus, Subsystem, now_ns};
use crate::sync::lock;
use contract::{ConveyorError, Values};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// A scan must end in this many times the time that its way should need, and this much more.
const PATIENCE: (f64, Duration) = (3.0, Duration::from_secs(30));
/// The belt stops this far behind the end of a scan, though lines are still waited for, mm.
const OVERRUN_MM: f64 = 20.0;

impl Controller {
    /// Takes what references a scan lacks.
    pub(super) async fn take_references(self: &Arc<Self>) -> Option<Event> {
        let mut result = Ok(());
        for kind in [ReferenceKind::Dark, ReferenceKind::White] {
            if result.is_ok() && self.lacks(kind) {
                result = self.take(kind, false, false).await.map(drop);
            }
        }
        match result {
            Ok(()) => Some(Event::ReferencesGood),
            Err(TakeError::Stopped) => None,
            Err(error) if error.breaks() => Some(Event::fault(&error)),
            Err(error) => {
                self.warn(error.to_string());
                lock(&self.why).get_or_insert_with(|| error.to_string());
                Some(Event::ReferencesRefused)
            }
        }
    }

    /// Whether a camera has no reference of a kind, or one that is no longer good: too old, taken at another temperature, or too
    /// many hours of the lamps ago.
    fn lacks(&self, kind: ReferenceKind) -> bool {
        let Some(config) = &self.loaded.config.references else { return false };
        let lamp_hours = lock(&self.lamps).hours();
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
            // The dark reference was taken just now: its temperature is the camera's.
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

    /// Takes the dark once more after a scan, where shutters allow it without dark lamps, and tells how far it moved. Gives what of
    /// the rig failed; a reference that is only refused is warned of.
    pub(super) async fn take_dark_after(self: &Arc<Self>) -> Option<Cause> {
        let config = self.loaded.config.references.as_ref().filter(|references| references.dark_after)?;
        let live = |description: &contract::CameraDescription| description.values == Values::Counts && !description.recorded;
        if self.interrupted() || !self.cameras.iter().all(|camera| live(&camera.description) && camera.description.shutter) {
            return None;
        }
        let before: Vec<_> = lock(&self.units).iter().map(|unit| (unit.dark.clone(), unit.white.clone())).collect();
        match self.take(ReferenceKind::Dark, true, true).await {
            Ok(_) => {}
            Err(TakeError::Stopped) => return None,
            Err(error) => {
                self.warn(format!("how far the dark level moved during the scan is not known: {error}"));
                return error.breaks().then(|| Cause::from(&error));
            }
        }
        let scan_id = lock(&self.current).as_ref().map(|current| current.record.id.clone());
        let (id, record) = (scan_id?, self.loaded.config.scan.record);
        let (mut warnings, mut failed) = (Vec::new(), None);
        for (unit, (dark, white)) in lock(&self.units).iter().zip(before) {
            let (Some(after), Some(dark), Some(white)) = (&unit.dark, dark, white) else { continue };
            let name = &unit.config.name;
            let drift = references::drift(&dark.reference, &after.reference, &white.reference);
            if drift.of_signal.abs() > config.limits.max_dark_drift {
                warnings.push(format!(
                    "{name}: the dark level moved by {:.1} counts during the scan, {:.2} % of the white signal, at most {:.2} %; process the recording again to have it interpolated",
                    drift.counts,
                    100.0 * drift.of_signal,
                    100.0 * config.limits.max_dark_drift
                ));
            }
            self.metrics.set_dark_drift(name, drift.of_signal);
            if let Some(current) = lock(&self.current).as_mut() {
                current.record.dark_drift.insert(name.clone(), drift);
            }
            let capture = self.data_dir().join("scans").join(&id).join("raw").join(name).join("capture");
            if record && let Err(error) = references::beside_after(after, &capture, &id) {
                warnings.push(error.to_string());
                failed.get_or_insert(Cause::from(&TakeError::from(error)));
            }
        }
        for warning in warnings {
            self.warn(warning);
        }
        failed
    }

    /// Takes a reference with every camera at once.
    pub(super) async fn take(
        self: &Arc<Self>,
        kind: ReferenceKind,
        accept_change: bool,
        after: bool,
    ) -> Result<Vec<ReferenceStatus>, TakeError> {
        let recorded = self.cameras.iter().all(|camera| camera.description.recorded);
        let fault = |error: ConveyorError| TakeError::Rig(Cause::from(&error));
        let mut passages = vec![None; self.cameras.len()];
        // Where no drive tells the belt's place, nothing tells when the panel is under a camera: it is taken to be there.
        let placed = !self.conveyor.describe().recorded;
        let panel_mm = self.loaded.config.references.as_ref().and_then(|r| r.panel_mm).filter(|_| placed);
        if !recorded {
            match kind {
                ReferenceKind::Dark => self.darken(true).await?,
                ReferenceKind::White => {
                    self.travel(Self::home_mm(&self.loaded.config), self.travel_speed()).await.map_err(fault)?;
                    if let Some((from, to)) = panel_mm {
                        for (passage, camera) in passages.iter_mut().zip(&self.loaded.config.camera) {
                            let between_mm = (from + camera.offset_mm + PANEL_RIM_MM, to + camera.offset_mm - PANEL_RIM_MM);
                            *passage = Some(Passage { track: self.conveyor.track(), between_mm, standstill: self.standstill() });
                        }
                    }
                }
            }
        }
        let readers = self.start_readers(kind, accept_change, after, passages);
        // A belt that ran before every camera streams could carry the panel past them.
        while !readers.streaming() && !readers.handle.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut moved = Ok(true);
        if !recorded && kind == ReferenceKind::White {
            moved = self.run_at(self.loaded.config.conveyor.speed_mm_per_s).await;
        }
        if let Err(error) = &moved {
            self.interrupt(&error.to_string());
        }
        let result = tokio::task::spawn_blocking(move || readers.join()).await.unwrap_or(Err(TakeError::Stopped));
        if !recorded {
            if let Some(cause) = self.halt().await {
                self.retry_until_safe();
                return Err(TakeError::Rig(cause));
            }
            if kind == ReferenceKind::Dark {
                self.darken(false).await?;
            }
        }
        moved.map_err(fault)?;
        let status = result.inspect_err(|_| self.refresh_references())?;
        self.refresh_references();
        for reference in &status {
            self.events.emit(EventKind::ReferenceTaken(reference.clone()));
        }
        Ok(status)
    }

    /// One thread per camera, each with its camera borrowed for as long as it runs.
    fn start_readers(self: &Arc<Self>, kind: ReferenceKind, accept_change: bool, after: bool, passages: Vec<Option<Passage>>) -> Readers {
        let this = Arc::clone(self);
        let lamp_hours = lock(&self.lamps).hours();
        let waiting = self.cameras.iter().filter(|camera| camera.description.values == Values::Counts).count();
        let waiting = Arc::new(AtomicUsize::new(waiting));
        let seen = Arc::clone(&waiting);
        // The lock is held by the thread that joins the readers: nobody else may start a camera meanwhile.
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
                        let (folder, watch) = (folder.join(&unit.config.name), Watching { conductor: &this, waiting: &seen });
                        scope.spawn(move || {
                            let passage = passage.as_ref();
                            let folder = (!unit.camera.describe().recorded).then_some(folder.as_path());
                            take_one(unit, Taking { kind, after, config, passage, folder, accept_change, lamp_hours }, &watch)
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
        let now = Instant::now();
        let held: Vec<ReferenceStatus> = lock(&self.units).iter().flat_map(references::status).collect();
        let since = |status: &ReferenceStatus| now.checked_sub(Duration::from_secs_f64(status.age_s)).unwrap_or(now);
        *lock(&self.references) = held.into_iter().map(|status| (status.clone(), since(&status))).collect();
    }

    /// The references that are held, with their age now.
    pub(super) fn references(&self) -> Vec<ReferenceStatus> {
        let held = lock(&self.references);
        held.iter().map(|(status, since)| ReferenceStatus { age_s: since.elapsed().as_secs_f64(), ..status.clone() }).collect()
    }

    /// Closes shutters (or opens them again); without a shutter, switches lamps off (or on again).
    async fn darken(self: &Arc<Self>, dark: bool) -> Result<(), TakeError> {
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

    /// Brings the belt to the start of the scan, starts cameras and data path.
    pub(super) async fn prepare_scan(self: &Arc<Self>) -> Option<Event> {
        let config = &self.loaded.config;
        let (id, tray) = {
            let current = lock(&self.current);
            let current = current.as_ref()?;
            (current.record.id.clone(), current.record.tray.clone())
        };
        let recorded = self.conveyor.describe().recorded;
        let mut window_mm = None;
        if !recorded {
            let length = match tray_length_mm(config, &tray) {
                Ok(length) => length,
                Err(error) => return Some(Event::Fault(Cause::new(Subsystem::Data, error.to_string()))),
            };
            window_mm = Some((-config.scan.margin_mm, length + config.scan.margin_mm));
            let offsets = config.camera.iter().map(|c| c.offset_mm);
            let (first, last) = offsets.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), o| (lo.min(o), hi.max(o)));
            if let Some(current) = lock(&self.current).as_mut() {
                current.end_mm = last + length + config.scan.margin_mm;
            }
            if let Err(error) = self.travel(first - config.scan.margin_mm - RUN_UP_MM, self.travel_speed()).await {
                return Some(Event::fault(&error));
            }
        }
        if self.interrupted() {
            return None;
        }
        let setup = ScanSetup {
            loaded: &self.loaded,
            scan_id: id,
            start_ns: now_ns(),
            tray,
            panel: self.panel.as_ref(),
            data_dir: self.data_dir().to_owned(),
            window_mm,
            track: (!recorded).then(|| self.conveyor.track()),
            record: config.scan.record,
            may_defer: true,
        };
        let this = Arc::clone(self);
        let emit: Emit = Arc::new(move |kind| {
            if let EventKind::PartClosed { rows, .. } = &kind {
                this.metrics.part_closed(*rows);
            }
            this.events.emit(kind);
        });
        let running = {
            let mut units = lock(&self.units);
            let encoder = build::encoder(config, &build::axes(config, &units).0);
            let running =
                setup.build(&mut units, encoder, self.meters.clone(), emit).map_err(|error| Cause::from(&error)).and_then(|parts| {
                    let hashes = Arc::clone(&parts.hashes);
                    if let Some((current, encoder)) = lock(&self.current).as_mut().zip(parts.context.encoder.as_ref()) {
                        current.record.encoder_sha256 = Some(encoder.sha256.clone());
                    }
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
        let kept = match lock(&self.current).as_mut() {
            Some(current) if current.record.id == setup.scan_id => {
                current.running = Some(Arc::clone(&running));
                current.hashes = Some(hashes);
                true
            }
            _ => false,
        };
        if kept {
            return Some(Event::ScanPrepared);
        }
        // The scan was stopped and closed while it was being prepared.
        running.stop("it was stopped before its first line");
        stop_cameras(&mut lock(&self.units));
        running.finish();
        None
    }

    /// Runs the belt until every camera has its last line.
    pub(super) async fn run_belt(self: &Arc<Self>) -> Option<Event> {
        let running = lock(&self.current).as_ref()?.running.clone()?;
        let speed = self.loaded.config.conveyor.speed_mm_per_s;
        let start = match self.conveyor.state().await {
            Ok(state) => state.position_mm,
            Err(error) => return Some(Event::fault(&error)),
        };
        match self.run_at(speed).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Event::fault(&error)),
        }
        let recorded = self.conveyor.describe().recorded;
        if !recorded {
            running.belt_runs();
        }
        let end_mm = lock(&self.current).as_ref().map_or(start, |current| current.end_mm);
        let way = end_mm - start;
        let mut runs = !recorded;
        let limit = Instant::now() + Duration::from_secs_f64((PATIENCE.0 * way / speed).max(0.0)) + PATIENCE.1;
        let mut told = Instant::now();
        loop {
            if let Some(cause) = running.failed() {
                return Some(Event::Fault(cause));
            }
            if running.acquired() {
                return (self.state() == State::Scanning).then_some(Event::Acquired);
            }
            if self.state() != State::Scanning {
                return None;
            }
            let position_mm = match self.conveyor.state().await {
                Ok(state) => state.position_mm,
                Err(error) => return Some(Event::fault(&error)),
            };
            if runs && position_mm > end_mm + OVERRUN_MM {
                // Cameras or disk are slow, and have lines before the end still to give; the belt need not go on for them.
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
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.count_links();
                if let Some(cause) = self.failed_lamp().await {
                    return Some(Event::Fault(cause));
                }
                let progress = lock(&self.current).as_ref().map(|current| Self::progress_of(current, position_mm));
                if let Some(progress) = progress {
                    self.metrics.set_belt_position(position_mm);
                    self.events.emit(EventKind::Progress(progress));
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// The rim of the panel is not measured on, mm.
const PANEL_RIM_MM: f64 = 2.0;

struct Readers {
    handle: std::thread::JoinHandle<Result<Vec<ReferenceStatus>, TakeError>>,
    /// Cameras that do not stream yet.
    waiting: Arc<AtomicUsize>,
}

/// What a reader tells of its camera, and asks of the conductor.
struct Watching<'a> {
    conductor: &'a Controller,
    waiting: &'a AtomicUsize,
}

impl references::Watch for Watching<'_> {
    fn streaming(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    fn stopped(&self) -> bool {
        self.conductor.stopped()
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
    match taking.kind {
        ReferenceKind::Dark => unit.dark = Some(held),
        ReferenceKind::White => unit.white = Some(held),
    }
    Ok(references::status(unit).into_iter().filter(|status| status.kind == taking.kind).collect())
}

/// Stops every camera; one that does not obey is logged.
pub(super) fn stop_cameras(units: &mut [CameraUnit]) {
    for unit in units {
        if let Err(error) = unit.camera.ensure_stopped() {
            tracing::error!(camera = %unit.config.name, %error, "a camera does not stop");
        }
    }
}
