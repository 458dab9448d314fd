//! Runs the rig: owns the devices, follows the state machine, and carries out its effects.
//!
//! [`Controller`] has six parts. Each has private state behind a lock of its own:
//!
//! | part | holds | lock |
//! | --- | --- | --- |
//! | `Safety` | state, interruption and its reason, recovery | one mutex; the interlock |
//! | `Belt` | the conveyor | an operator's travel |
//! | `Lamps` | the lights, and how long they have burned | one mutex |
//! | `Models` | the encoders' models | one mutex; a model being put in its place |
//! | `ScanRun` | the scan that runs, and scans that are not closed on the disk | one mutex; a scan being written down |
//! | `Reporting` | events, metrics, meters, references as they are reported | one mutex |
//!
//! # The order of locks
//!
//! A thread takes locks in this order, and may skip some:
//!
//! 1. a model being put in its place (`Models::replacing`), then a scan being written down (`ScanRun::starting`), or an operator's travel (`Belt::begin_travel`)
//! 2. the cameras (`Controller::units`), held for as long as they stream
//! 3. the interlock (`Safety::interlock`), held while the belt is started, or a lamp switched on
//! 4. the mutex of a part
//!
//! 5. a mutex of [`Running`](crate::pipeline::Running), of the meters or of the event log
//!
//! The mutexes of parts are never held together, never across a call to a device, and never across an `await`. No method of a part
//! calls another part while it holds its mutex. The backlog's mutex follows the same rule. What comes last calls nothing.

mod archived;
mod backlog;
mod belt;
mod closing;
mod commands;
mod disk_space;
mod encoders;
mod lamps;
mod references;
mod reporting;
mod safety;
mod scan_run;
mod steps;
mod worklist;

pub use crate::operations::{
    ArchivedRequest, CheckRequest, Checked, ConveyorRequest, LightingRequest, Operations, Peer, Person, ReferenceRequest, Refusal,
    ScanRequest, Sheet, Trays, WorklistRequest,
};

use crate::config::Loaded;
use crate::data_root;
use crate::devices::{CameraUnit, DeviceError, Devices};
use crate::scan::{Cause, DeviceStatus, EventKind, ScanRecord};
use crate::state::{Effect, Event, NotNow, State};
use crate::telemetry::Metrics;
use belt::Belt;
use contract::{CameraDescription, Exposure, FramePool};
use encoders::Models;
use lamps::Lamps;
use reporting::Reporting;
use safety::Safety;
use scan_run::ScanRun;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Facts of a camera that are known without a call to it.
struct CameraFacts {
    name: String,
    description: CameraDescription,
    exposure: Exposure,
    pool: FramePool,
}

/// The controller of the rig. It lives behind an `Arc`, which is cheap to share.
pub struct Controller {
    loaded: Loaded,
    cameras: Vec<CameraFacts>,
    /// Cameras with their references, borrowed by the thread that streams.
    units: Mutex<Vec<CameraUnit>>,
    models: Models,
    world: Option<Arc<sim::World>>,
    safety: Safety,
    belt: Belt,
    lamps: Lamps,
    run: ScanRun,
    reporting: Reporting,
    backlog: backlog::Backlog,
}

/// Interval at which waiting steps check their condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Interval at which belt and lamps that do not obey are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

impl Controller {
    /// Opens every device of a rig. Lamps and belt stay as they are.
    ///
    /// # Errors
    /// A device cannot be opened, or refuses its settings.
    pub fn open(mut loaded: Loaded, metrics: Metrics) -> Result<Arc<Self>, DeviceError> {
        let devices = Devices::open(&mut loaded.config)?;
        let Devices { cameras: units, conveyor, lights, world } = devices;
        let cameras = units
            .iter()
            .map(|unit| CameraFacts {
                name: unit.config.name.clone(),
                description: unit.camera.describe().clone(),
                exposure: unit.exposure,
                pool: unit.pool.clone(),
            })
            .collect();
        metrics.set_state(State::Idle.name());
        let belt = Belt::new(conveyor, &loaded.config.conveyor);
        Ok(Arc::new(Self {
            loaded,
            cameras,
            units: Mutex::new(units),
            models: Models::default(),
            world,
            safety: Safety::default(),
            belt,
            lamps: Lamps::new(lights),
            run: ScanRun::default(),
            reporting: Reporting::new(metrics),
            backlog: backlog::Backlog::default(),
        }))
    }

    /// The simulated world, where the rig has one. Tests read its truth and inject faults.
    pub fn world(&self) -> Option<&Arc<sim::World>> {
        self.world.as_ref()
    }

    /// Advances the state machine, reports the new state, and gives the effects to carry out.
    fn advance(&self, event: &Event) -> Result<Vec<Effect>, NotNow> {
        let (state, effects) = self.safety.advance(event)?;
        if let (Some(cause), Some(State::Faulted { .. })) = (event.cause(), &state) {
            self.reporting.metrics().faulted(cause.subsystem.label());
        }
        if let Some(state) = state {
            self.reporting.metrics().set_state(state.name());
            let cause = match &state {
                State::Faulted { cause, .. } => {
                    tracing::error!(%cause, "the rig is faulted");
                    Some(cause.clone())
                }
                other => {
                    tracing::info!(state = ?other.name(), "state");
                    None
                }
            };
            self.reporting.emit(EventKind::State { state: state.name(), cause });
        }
        Ok(effects)
    }

    /// Interrupts the current activity, with the first reason given.
    fn interrupt(&self, reason: &str) {
        let first = self.safety.interrupt(reason);
        self.run.stop(&first);
    }

    fn data_dir(&self) -> &Path {
        &self.loaded.config.rig.data_dir
    }

    /// Carries out effects one after the other, and the effects that follow from them, until none remain.
    ///
    /// Several calls may run at the same time. An emergency stop does not wait for the scan that it ends.
    async fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        let mut waiting: VecDeque<Effect> = effects.into();
        while let Some(effect) = waiting.pop_front() {
            let event = match effect {
                Effect::WarmLamps => self.warm_lamps().await,
                Effect::TakeReferences => self.take_references().await,
                Effect::PrepareScan => self.prepare_scan().await,
                Effect::RunBelt => self.run_belt().await,
                Effect::StopBelt => self.stop_belt().await,
                Effect::EndAcquisition => {
                    let reason = match self.safety.state() {
                        State::Faulted { cause, .. } => cause,
                        _ => self.safety.reason().unwrap_or_else(|| "stopped".into()),
                    };
                    self.interrupt(&reason);
                    None
                }
                Effect::Drain => self.drain().await,
                Effect::LampsOff => self.lamps_off().await,
                Effect::CloseScan => self.close_scan().await,
            };
            if let Some(event) = event {
                match self.advance(&event) {
                    Ok(effects) => waiting.extend(effects),
                    // An earlier stop has dealt with it.
                    Err(refused) => tracing::debug!(%refused, "a step came too late"),
                }
            }
        }
    }

    /// Carries out effects in a task of their own.
    fn set_out(self: &Arc<Self>, effects: Vec<Effect>) {
        let this = Arc::clone(self);
        tokio::spawn(async move { this.carry_out(effects).await });
    }

    fn warn(&self, message: String) {
        tracing::warn!("{message}");
        self.reporting.emit(EventKind::Warning { message: message.clone() });
        self.run.edit(|record| record.warnings.push(message));
    }

    /// Ends all activity before the daemon ends: stops the belt, switches lamps off, and closes a scan.
    ///
    /// Gives whether that took at most `scan.end_within_s`. Otherwise the next daemon recovers the scan from its recording.
    pub async fn shut_down(self: &Arc<Self>, reason: &str) -> bool {
        self.backlog.end();
        self.safety.give_reason(reason);
        let effects = self.advance(&Event::Stop);
        // References or travel without a scan end too.
        self.interrupt(reason);
        let end = async {
            self.make_safe().await;
            match effects {
                Ok(effects) => self.carry_out(effects).await,
                Err(refused) => tracing::debug!(%refused, "nothing to stop"),
            }
            while !self.run.is_none() || matches!(self.safety.state(), State::Draining | State::Faulted { draining: true, .. }) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let ended = tokio::time::timeout(self.end_within(), end).await.is_ok();
        if !ended {
            let limit_s = self.end_within().as_secs_f64();
            tracing::error!(limit_s, "the scan cannot be closed in time; it is recovered from its recording at the next start");
        }
        self.end_catching_up().await;
        ended
    }

    fn end_within(&self) -> Duration {
        Duration::from_secs_f64(self.loaded.config.scan.end_within_s)
    }

    /// Stops the belt and switches the lamps off.
    pub async fn make_safe(self: &Arc<Self>) {
        self.stop_belt().await;
        self.lamps_off().await;
    }

    /// Stops the belt. A belt that does not obey is a fault, and is tried again until it does.
    async fn stop_belt(self: &Arc<Self>) -> Option<Event> {
        let cause = self.belt.stop_surely(&self.safety).await?;
        self.retry_until_safe();
        Some(Event::Fault(cause))
    }

    /// Switches every lamp off. A lamp that does not obey is a fault, and is tried again until it does.
    async fn lamps_off(self: &Arc<Self>) -> Option<Event> {
        let cause = self.lamps.off(&self.safety).await?;
        self.retry_until_safe();
        Some(Event::Fault(cause))
    }

    /// Cause of a drive or lamp that reports a failure, or does not answer.
    async fn failed_device(&self) -> Option<Cause> {
        match self.belt.state().await {
            Err(error) => Some(Cause::from(&error)),
            Ok(_) => self.lamps.failed().await,
        }
    }

    /// Copies the counters of the links to drive and lamps into the metrics.
    fn count_links(&self) {
        let metrics = self.reporting.metrics();
        metrics.set_link("conveyor", &self.belt.link());
        self.lamps.count_links(metrics);
    }

    /// Sets the scan that is being recovered. `None` ends recovery. No scan, reference or travel begins during recovery.
    pub fn recovering(&self, scan: Option<&str>) {
        let reason = |scan| format!("scan {scan}, which was cut off, is being recovered from its recording; wait for it");
        self.safety.set_recovering(scan.map(reason));
    }

    /// Repeats stopping the belt and switching the lamps off, until they obey or the fault is acknowledged.
    fn retry_until_safe(self: &Arc<Self>) {
        if !self.safety.begin_retrying() {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY_INTERVAL).await;
                if !matches!(this.safety.state(), State::Faulted { .. }) {
                    break;
                }
                let (belt, lamps) = (this.belt.stop_surely(&this.safety).await, this.lamps.off(&this.safety).await);
                if belt.is_none() && lamps.is_none() {
                    this.warn("the belt stands and the lamps are off, after they did not obey at first".into());
                    break;
                }
            }
            this.safety.end_retrying();
        });
    }

    /// Counts and reports a scan that was recovered.
    pub fn recovered(&self, record: &ScanRecord) {
        self.reporting.count_closed(record);
        self.note_set_aside(record);
        let ScanRecord { id, reason, .. } = record;
        if record.set_aside.is_none() {
            tracing::info!(scan = %id, ?reason, samples = record.samples.len(), "scan recovered");
        }
        self.reporting.emit(EventKind::ScanClosed { scan: id.clone(), complete: false, reason: reason.clone() });
    }

    /// Shows a scan whose recovery failed in the status.
    pub fn note_set_aside(&self, record: &ScanRecord) {
        self.reporting.note_set_aside(record);
    }

    /// The status of every camera.
    fn cameras_status(&self) -> Vec<DeviceStatus> {
        self.cameras
            .iter()
            .map(|camera| DeviceStatus::Camera {
                name: camera.name.clone(),
                model: camera.description.model.clone(),
                serial: camera.description.serial.clone(),
                connected: true,
                shape: [camera.description.layout.pixels, camera.description.layout.bands],
                exposure: Some(camera.exposure),
                temperature_c: self.reporting.meters().temperature(&camera.name).read(),
                pool: [camera.pool.free(), camera.pool.slots()],
            })
            .collect()
    }

    /// Every record: those on the disk, those that the disk did not take, and that of the running scan.
    fn records(&self) -> Vec<ScanRecord> {
        let mut records = data_root::records(self.data_dir());
        let unclosed = self.run.unclosed();
        records.retain(|record| unclosed.iter().all(|other| other.id != record.id));
        records.extend(unclosed);
        if let Some(live) = self.run.record() {
            records.retain(|record| record.id != live.id);
            records.push(live);
        }
        records
    }
}
