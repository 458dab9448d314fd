//! What the rig is doing: owns the devices, follows the state machine, carries out its effects.

mod backlog;
mod belt;
mod closing;
mod commands;
mod disk_space;
mod events;
mod operations;
pub mod state;
mod steps;
mod watchdog;

pub use commands::Rig;
pub use events::EventLog;
pub use operations::{ConveyorRequest, LightingRequest, Operations, Peer, ReferenceRequest, Refusal, ScanRequest};

use crate::calibrate::Panel;
use crate::config::Loaded;
use crate::context::EncoderContext;
use crate::data_root;
use crate::devices::{DeviceError, Devices};
use crate::encode::{Encoder, EncoderError};
use crate::pipeline::{Meters, Running};
use crate::scan::{Cause, DeviceStatus, EventKind, Progress, ReferenceStatus, ScanRecord, StateName};
use crate::sync::lock;
use crate::telemetry::metrics::{Metrics, ScanOutcome};
use contract::{CameraDescription, Conveyor, Exposure, FramePool};
use state::{Effect, Event, NotNow, State};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What is known of a camera without asking it.
struct CameraFacts {
    name: String,
    description: CameraDescription,
    exposure: Exposure,
    pool: FramePool,
}

/// The scan that runs.
struct Current {
    record: ScanRecord,
    /// The data path, once it runs.
    running: Option<Arc<Running>>,
    /// What hashes its files.
    hashes: Option<Arc<crate::disk::Hashes>>,
    end_mm: f64,
}

/// The rig at work. Cheap to share: everything that moves is behind it.
pub struct Controller {
    loaded: Loaded,
    cameras: Vec<CameraFacts>,
    /// Cameras with their references, borrowed by whoever streams.
    units: Arc<Mutex<Vec<crate::devices::CameraUnit>>>,
    conveyor: Arc<dyn Conveyor>,
    lights: Vec<crate::devices::LightUnit>,
    panel: Option<Panel>,
    encoder: OnceLock<EncoderContext>,
    world: Option<Arc<sim::World>>,
    state: Mutex<State>,
    current: Mutex<Option<Current>>,
    /// The references that are held, and since when.
    references: Mutex<Vec<(ReferenceStatus, Instant)>>,
    lamps: Mutex<Lamps>,
    /// Held while a scan that was accepted is written down: it is not closed before.
    starting: tokio::sync::Mutex<()>,
    /// Held while an operator has the belt travel.
    travelling: Arc<tokio::sync::Mutex<()>>,
    /// Held while the belt is told to run, or a lamp to burn, after a look whether somebody stopped: a stop is never overtaken.
    gate: tokio::sync::Mutex<()>,
    /// Whether somebody goes on trying to make the rig safe.
    retrying: AtomicBool,
    /// Scans that have ended, and whose record the disk did not take.
    unclosed: Mutex<Vec<ScanRecord>>,
    /// Raised to end what is under way; lowered when something new begins.
    interrupted: Arc<AtomicBool>,
    why: Mutex<Option<String>>,
    events: Arc<EventLog>,
    metrics: Metrics,
    meters: Meters,
    counted: Mutex<BTreeMap<String, [u64; 3]>>,
    backlog: backlog::Backlog,
    watchdog: Mutex<watchdog::Watchdog>,
    /// What is refused meanwhile, while scans that were cut off are being recovered.
    recovering: Mutex<Option<String>>,
}

/// How long the lamps burn, and whether their light was seen to be steady since they were last switched.
#[derive(Debug, Default)]
struct Lamps {
    burned: Duration,
    since: Option<Instant>,
    steady: bool,
}

impl Lamps {
    fn switched(&mut self, on: bool) {
        self.burned += self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.since = on.then(Instant::now);
        self.steady = false;
    }

    /// Hours that they have burned since the daemon started.
    fn hours(&self) -> f64 {
        (self.burned + self.since.map_or(Duration::ZERO, |since| since.elapsed())).as_secs_f64() / 3600.0
    }
}

/// How often waiting steps look up.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How often belt and lamps that do not obey are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

impl Controller {
    /// Opens every device of a rig. Lamps and belt stay as they are.
    pub fn open(mut loaded: Loaded, metrics: Metrics) -> Result<Arc<Self>, DeviceError> {
        let devices = Devices::open(&mut loaded.config)?;
        let Devices { cameras: units, conveyor, lights, panel, world } = devices;
        let cameras = units
            .iter()
            .map(|unit| CameraFacts {
                name: unit.config.name.clone(),
                description: unit.camera.describe().clone(),
                exposure: unit.exposure,
                pool: unit.pool.clone(),
            })
            .collect();
        metrics.set_state(StateName::Idle);
        Ok(Arc::new(Self {
            loaded,
            cameras,
            units: Arc::new(Mutex::new(units)),
            conveyor,
            lights,
            panel,
            encoder: OnceLock::new(),
            world,
            state: Mutex::new(State::Idle),
            current: Mutex::default(),
            references: Mutex::default(),
            lamps: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
            travelling: Arc::default(),
            gate: tokio::sync::Mutex::default(),
            retrying: AtomicBool::default(),
            unclosed: Mutex::default(),
            interrupted: Arc::default(),
            why: Mutex::default(),
            events: Arc::default(),
            metrics,
            meters: Meters::default(),
            counted: Mutex::default(),
            backlog: backlog::Backlog::default(),
            watchdog: Mutex::default(),
            recovering: Mutex::default(),
        }))
    }

    /// The simulated world, where the rig has one: tests look at its truth and inject faults.
    pub fn world(&self) -> Option<&Arc<sim::World>> {
        self.world.as_ref()
    }

    /// Checks that the configured encoder, if any, fits the cameras; gives what it is.
    pub fn check_encoder(&self) -> Result<Option<&EncoderContext>, EncoderError> {
        let Some(config) = &self.loaded.config.encoder else { return Ok(None) };
        let (axes, _) = crate::pipeline::build::axes(&self.loaded.config, &lock(&self.units));
        let context = Encoder::load(config, &config.model, &axes)?.context().clone();
        Ok(Some(self.encoder.get_or_init(|| context)))
    }

    /// Moves the state machine on, tells everyone, and gives what is to be done.
    fn advance(&self, event: &Event) -> Result<Vec<Effect>, NotNow> {
        let (state, effects) = {
            let mut state = lock(&self.state);
            let (next, effects) = state.on(event)?;
            let changed = *state != next;
            *state = next.clone();
            // Whoever is at work is told under the lock, before anything else is done: nothing is switched on from here on.
            match event {
                Event::Stop | Event::EmergencyStop | Event::Fault(_) => self.interrupted.store(true, Ordering::Release),
                Event::ScanRequested | Event::DarkRequested | Event::WhiteRequested => {
                    self.interrupted.store(false, Ordering::Release);
                    lock(&self.why).take();
                }
                _ => {}
            }
            (changed.then_some(next), effects)
        };
        if let (Event::Fault(Cause { part, .. }), Some(State::Faulted { .. })) = (event, &state) {
            self.metrics.faulted(part.label());
        }
        if let Some(state) = state {
            self.metrics.set_state(state.name());
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
            self.events.emit(EventKind::State { state: state.name(), cause });
        }
        Ok(effects)
    }

    fn state(&self) -> State {
        lock(&self.state).clone()
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Ends what is under way, with the first reason given.
    fn interrupt(&self, reason: &str) {
        // Also where whoever came first has not come so far yet.
        let first = lock(&self.why).get_or_insert_with(|| reason.to_owned()).clone();
        self.interrupted.store(true, Ordering::Release);
        if let Some(running) = lock(&self.current).as_ref().and_then(|current| current.running.as_ref()) {
            running.stop(&first);
        }
    }

    fn data_dir(&self) -> &std::path::Path {
        &self.loaded.config.rig.data_dir
    }

    /// Carries out effects, one after the other, and whatever follows from them, until nothing is left to do.
    ///
    /// Several of these may be under way: an emergency stop does not wait for the scan that it ends.
    async fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        let mut waiting: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = waiting.pop_front() {
            let event = match effect {
                Effect::WarmLamps => self.warm_lamps().await,
                Effect::TakeReferences => self.take_references().await,
                Effect::PrepareScan => self.prepare_scan().await,
                Effect::RunBelt => self.run_belt().await,
                Effect::StopBelt => self.stop_belt().await,
                Effect::EndAcquisition => {
                    let reason = match self.state() {
                        State::Faulted { cause, .. } => cause,
                        _ => lock(&self.why).clone().unwrap_or_else(|| "stopped".into()),
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
                    // A stop came first and has dealt with it.
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
        self.events.emit(EventKind::Warning { message: message.clone() });
        if let Some(current) = lock(&self.current).as_mut() {
            current.record.warnings.push(message);
        }
    }

    /// Ends everything for the end of the daemon: the belt stops, lamps go off, a scan is closed. Gives whether that was done
    /// within `scan.end_within_s`; else the scan is left to its recording, and recovered by the next daemon.
    pub async fn shut_down(self: &Arc<Self>, reason: &str) -> bool {
        self.backlog.end();
        lock(&self.why).get_or_insert_with(|| reason.to_owned());
        let effects = self.advance(&Event::Stop);
        // References or travel for themselves end too.
        self.interrupt(reason);
        let end = async {
            self.make_safe().await;
            match effects {
                Ok(effects) => self.carry_out(effects).await,
                Err(refused) => tracing::debug!(%refused, "nothing to stop"),
            }
            while lock(&self.current).is_some() || matches!(self.state(), State::Draining | State::Faulted { draining: true, .. }) {
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

    /// Says which scan is being recovered, or that none is any more. Nothing else begins meanwhile.
    pub fn recovering(&self, scan: Option<&str>) {
        *lock(&self.recovering) =
            scan.map(|scan| format!("scan {scan}, which was cut off, is being recovered from its recording; wait for it"));
    }

    /// Goes on trying to stop the belt and to switch the lamps off, for as long as the rig is faulted.
    fn retry_until_safe(self: &Arc<Self>) {
        if self.retrying.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY_INTERVAL).await;
                if !matches!(this.state(), State::Faulted { .. }) {
                    break;
                }
                let (belt, lamps) = (this.halt().await, this.darkness().await);
                if belt.is_none() && lamps.is_none() {
                    this.warn("the belt stands and the lamps are off, after they did not obey at first".into());
                    break;
                }
            }
            this.retrying.store(false, Ordering::Release);
        });
    }

    /// Takes note of a scan that was recovered.
    pub fn recovered(&self, record: &ScanRecord) {
        self.count_closed(record);
        let ScanRecord { id, reason, .. } = record;
        tracing::info!(scan = %id, ?reason, samples = record.samples.len(), "scan recovered");
        self.events.emit(EventKind::ScanClosed { scan: id.clone(), complete: false, reason: reason.clone() });
    }

    fn progress_of(current: &Current, position_mm: f64) -> Progress {
        let running = current.running.as_ref();
        Progress {
            scan: current.record.id.clone(),
            position_mm,
            end_mm: current.end_mm,
            cameras: running.map(|r| r.sums().into_iter().collect()).unwrap_or_default(),
            samples: running.map_or(0, |r| r.samples().len() as u64),
            embeddings: running.map_or(0, |r| r.embeddings()),
        }
    }

    fn count_closed(&self, record: &ScanRecord) {
        let complete = record.complete == Some(true);
        self.metrics.scan_closed(if complete { ScanOutcome::Complete } else { ScanOutcome::Incomplete });
        for (name, sums) in &record.cameras {
            let camera = self.metrics.camera(name);
            camera.received.inc_by(sums.received);
            camera.lost_pool.inc_by(sums.lost_pool);
            camera.lost_link.inc_by(sums.lost - sums.lost_pool);
            camera.expected.inc_by(sums.expected);
            camera.unusable.inc_by(sums.unusable);
            camera.unrecorded.inc_by(sums.unrecorded);
        }
        for _ in &record.samples {
            self.metrics.sample_stored();
        }
    }

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
                temperature_c: self.meters.temperature(&camera.name).read(),
                pool: [camera.pool.free(), camera.pool.slots()],
            })
            .collect()
    }

    /// The record of the scan that runs, as far as it is.
    fn running_record(&self) -> Option<ScanRecord> {
        let current = lock(&self.current);
        let current = current.as_ref()?;
        let mut live = current.record.clone();
        if let Some(running) = &current.running {
            live.cameras = running.sums().into_iter().collect();
            live.samples = running.samples();
            live.embeddings = running.embeddings();
        }
        Some(live)
    }

    fn records(&self) -> Vec<ScanRecord> {
        let mut records = data_root::records(self.data_dir());
        let unclosed = lock(&self.unclosed).clone();
        records.retain(|record| unclosed.iter().all(|other| other.id != record.id));
        records.extend(unclosed);
        if let Some(live) = self.running_record() {
            records.retain(|record| record.id != live.id);
            records.push(live);
        }
        records
    }
}
