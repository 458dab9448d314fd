//! What can be asked of the rig.

use super::state::{Event, NotNow, State};
use super::watchdog::waiting;
use super::{Controller, ConveyorRequest, Current, LightingRequest, Operations, Peer, ReferenceRequest, Refusal, ScanRequest};
use crate::data_root;
use crate::devices::references::TakeError;
use crate::pipeline::build::check_tray;
use crate::scan::{
    Cause, DeviceStatus, Event as Told, EventKind, Fault, Liveness, Missing, MissingKind, Readiness, ReferenceKind, ReferenceStatus,
    ScanRecord, Status, Tray, compact, now_ns,
};
use crate::sync::lock;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// Below this the disk is called full, bytes.
const LEAST_FREE: u64 = 256 << 20;
/// A device that does not tell its state within this time is called absent.
const ANSWER: Duration = Duration::from_secs(3);
/// Farthest that the belt may be sent, mm.
const FARTHEST_MM: f64 = 1e6;

impl From<NotNow> for Refusal {
    fn from(refused: NotNow) -> Self {
        Self::NotReady { reason: refused.to_string() }
    }
}

/// The conductor as the control socket sees it.
#[derive(Clone)]
pub struct Rig(pub Arc<Controller>);

impl Rig {
    /// Begins something new.
    fn begin(&self, event: &Event) -> Result<Vec<super::state::Effect>, Refusal> {
        self.recovered()?;
        let Ok(_stands) = self.0.travelling.try_lock() else {
            return Err(Refusal::NotReady { reason: "the belt travels; wait for it, or stop it".into() });
        };
        let effects = self.0.advance(event)?;
        // While it works, the time of the rig goes on evenly, whatever the clock is set to.
        let step_ns = contract::take_clock();
        if step_ns.abs() > 1_000_000_000 {
            tracing::warn!(step_ns, "the computer's clock was set since it was last looked at");
        }
        Ok(effects)
    }

    fn new_id(&self, tray: &Tray, now: i64) -> String {
        let base = format!("{}-{}", compact(now), tray.tray);
        let taken = |id: &str| self.0.data_dir().join("scans").join(id).exists();
        (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") }).find(|id| !taken(id)).unwrap_or(base)
    }

    /// Refuses while scans that were cut off are being recovered.
    fn recovered(&self) -> Result<(), Refusal> {
        lock(&self.0.recovering).clone().map_or(Ok(()), |reason| Err(Refusal::NotReady { reason }))
    }

    fn idle(&self, what: &str) -> Result<(), Refusal> {
        self.recovered()?;
        match self.0.state() {
            State::Idle => Ok(()),
            other => Err(Refusal::NotReady { reason: format!("{what} is not possible while the rig is {}", other.words()) }),
        }
    }

    async fn lights(&self) -> Vec<DeviceStatus> {
        let mut list = Vec::new();
        for unit in &self.0.lights {
            let state = unit.light.state().await;
            let model = unit.light.describe().model.clone();
            list.push(DeviceStatus::Light { name: unit.name.clone(), model, connected: state.is_ok(), state: state.ok() });
        }
        list
    }

    async fn belt(&self) -> DeviceStatus {
        let state = self.0.conveyor.state().await;
        DeviceStatus::Conveyor { model: self.0.conveyor.describe().model.clone(), connected: state.is_ok(), state: state.ok() }
    }

    fn disk_free(&self) -> u64 {
        crate::disk::free_bytes(self.0.data_dir()).unwrap_or(0)
    }
}

#[async_trait]
impl Operations for Rig {
    async fn status(&self) -> Status {
        let rig = &self.0;
        let belt = self.belt().await;
        let position_mm = match &belt {
            DeviceStatus::Conveyor { state: Some(state), .. } => state.position_mm,
            _ => f64::NAN,
        };
        let mut devices = rig.cameras_status();
        devices.push(belt);
        devices.extend(self.lights().await);
        rig.count_links();
        let state = rig.state();
        Status {
            state: state.name(),
            cause: if let State::Faulted { cause, .. } = &state { Some(cause.clone()) } else { None },
            rig: rig.loaded.config.rig.name.clone(),
            version: crate::VERSION.to_owned(),
            devices,
            references: rig.references(),
            disk_free_bytes: self.disk_free(),
            queues: rig.meters.queues(),
            scan: lock(&rig.current).as_ref().map(|current| Controller::progress_of(current, position_mm)),
            pending: rig.backlog.scans(),
        }
    }

    async fn start_scan(&self, request: ScanRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        let rig = &self.0;
        let tray = Tray::check(&request.tray).map_err(|faults| Refusal::Invalid {
            faults: faults
                .into_iter()
                .map(|fault| Fault::new(if fault.path.is_empty() { "tray".into() } else { format!("tray.{}", fault.path) }, fault.problem))
                .collect(),
        })?;
        let unfit = |problem: String| Refusal::Invalid { faults: vec![Fault::new("tray", problem)] };
        check_tray(&rig.loaded.config, &tray).map_err(|error| unfit(error.to_string()))?;
        if !rig.conveyor.describe().recorded {
            crate::pipeline::build::tray_length_mm(&rig.loaded.config, &tray).map_err(|error| unfit(error.to_string()))?;
        }
        // Before the disk is tried: another scan may be writing.
        rig.state().on(&Event::ScanRequested)?;
        rig.close_unclosed().await.map_err(|error| {
            let reason = format!("a scan before this one is not closed on the disk yet: {error}");
            Refusal::Disk { reason }
        })?;
        rig.check_disk(&tray).await.map_err(|reason| Refusal::Disk { reason })?;
        let _starting = rig.starting.lock().await;
        let effects = self.begin(&Event::ScanRequested)?;
        let now = now_ns();
        let id = self.new_id(&tray, now);
        let mut record = ScanRecord::begin(&id, tray, &rig.loaded, now);
        record.encoder_sha256 = rig.encoder.get().map(|encoder| encoder.sha256.clone());
        tracing::info!(scan = %id, tray = %record.tray.tray, uid = ?peer.uid, "scan accepted");
        if let Err(error) = data_root::begin(&record, &rig.loaded, rig.data_dir()) {
            // Whether it can be begun again is seen when the fault is acknowledged.
            if let Ok(effects) = rig.advance(&Event::fault(&error)) {
                rig.set_out(effects);
            }
            return Err(Refusal::Disk { reason: error.to_string() });
        }
        *lock(&rig.current) = Some(Current { record: record.clone(), running: None, hashes: None, end_mm: 0.0 });
        rig.events.emit(EventKind::ScanStarted { scan: id });
        rig.set_out(effects);
        Ok(record)
    }

    async fn scans(&self) -> Vec<ScanRecord> {
        let rig = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || rig.records()).await.unwrap_or_default()
    }

    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal> {
        let unknown = || Refusal::Unknown { what: "scan", id: id.to_owned() };
        if let Some(record) = self.0.running_record().filter(|record| record.id == id) {
            return Ok(record);
        }
        let (data, name) = (self.0.data_dir().to_owned(), id.to_owned());
        let found = tokio::task::spawn_blocking(move || data_root::record(&data, &name)).await;
        found.ok().flatten().ok_or_else(unknown)
    }

    async fn stop_scan(&self, id: &str, peer: Peer) -> Result<ScanRecord, Refusal> {
        let rig = &self.0;
        let running = lock(&rig.current).as_ref().map(|current| current.record.id.clone());
        if running.as_deref() != Some(id) {
            let record = self.scan(id).await?;
            return Err(Refusal::NotReady { reason: format!("scan {} has ended already", record.id) });
        }
        let reason = format!("stopped by uid {}", peer.uid.map_or_else(|| "?".into(), |uid| uid.to_string()));
        lock(&rig.why).get_or_insert(reason.clone());
        let effects = rig.advance(&Event::Stop)?;
        rig.interrupt(&reason);
        rig.carry_out(effects).await;
        self.scan(id).await
    }

    async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest, peer: Peer) -> Result<Vec<ReferenceStatus>, Refusal> {
        let rig = Arc::clone(&self.0);
        let event = match kind {
            ReferenceKind::Dark => Event::DarkRequested,
            ReferenceKind::White => Event::WhiteRequested,
        };
        self.begin(&event)?;
        tracing::info!(?kind, ?request, uid = ?peer.uid, "reference asked for");
        // In a task of its own: a client that goes away does not leave the belt running.
        let task = tokio::spawn(async move {
            if kind == ReferenceKind::White {
                let event = rig.warm_lamps().await.unwrap_or(Event::Stop);
                let fault = if let Event::Fault(cause) = &event { Some(cause.text.clone()) } else { None };
                let effects = rig.advance(&event)?;
                if let Some(reason) = fault {
                    rig.carry_out(effects).await;
                    return Err(Refusal::Device { reason });
                }
            }
            let result = rig.take(kind, request.accept_change, false).await;
            let (event, result) = match result {
                Ok(status) => (Event::ReferencesGood, Ok(status)),
                Err(TakeError::Stopped) => {
                    return Err(Refusal::NotReady { reason: "it was stopped".into() });
                }
                Err(TakeError::Gate { camera, figure, remedy, .. }) => {
                    (Event::ReferencesRefused, Err(Refusal::Reference { kind, camera, figure, reason: remedy.to_owned() }))
                }
                Err(TakeError::Frames { camera, found, wanted, .. }) => {
                    let figure = format!("{found} frames where at least {wanted} are needed");
                    let reason = "check camera, belt and references.panel_mm".to_owned();
                    (Event::ReferencesRefused, Err(Refusal::Reference { kind, camera, figure, reason }))
                }
                Err(error) => (Event::Fault(Cause::from(&error)), Err(Refusal::Device { reason: error.to_string() })),
            };
            if let Ok(effects) = rig.advance(&event) {
                rig.carry_out(effects).await;
            }
            result
        });
        task.await.unwrap_or_else(|_| Err(Refusal::Device { reason: "taking the reference broke down; see the log".into() }))
    }

    async fn lighting(&self, request: LightingRequest, peer: Peer) -> Result<Vec<DeviceStatus>, Refusal> {
        self.idle("switching lamps")?;
        if !(0.0..=1.0).contains(&request.level) {
            return Err(Refusal::Invalid { faults: vec![Fault::new("level", "must be from 0 to 1")] });
        }
        if let Some(name) = &request.light
            && !self.0.lights.iter().any(|unit| unit.name == *name)
        {
            return Err(Refusal::Unknown { what: "light", id: name.clone() });
        }
        tracing::info!(light = ?request.light, level = request.level, uid = ?peer.uid, "lamps");
        let _gate = self.0.gate.lock().await;
        self.idle("switching lamps")?;
        for unit in self.0.lights.iter().filter(|unit| request.light.as_ref().is_none_or(|name| *name == unit.name)) {
            unit.light.set(request.level).await.map_err(|error| match error {
                contract::LightError::Refused { .. } => Refusal::Invalid { faults: vec![Fault::new("level", error.to_string())] },
                _ => Refusal::Device { reason: error.to_string() },
            })?;
        }
        lock(&self.0.lamps).switched(request.level > 0.0);
        Ok(self.lights().await)
    }

    async fn conveyor(&self, request: ConveyorRequest, peer: Peer) -> Result<DeviceStatus, Refusal> {
        let rig = &self.0;
        tracing::info!(?request, uid = ?peer.uid, "belt");
        let device = |error: contract::ConveyorError| match error {
            // What no belt of this rig can do is the fault of who asks.
            contract::ConveyorError::Refused { .. } => Refusal::Invalid { faults: vec![Fault::new("", error.to_string())] },
            _ => Refusal::Device { reason: error.to_string() },
        };
        match request {
            ConveyorRequest::Stop {} if rig.state() != State::Idle => {
                return Err(Refusal::NotReady { reason: "stop the scan instead, or use the emergency stop".into() });
            }
            ConveyorRequest::Stop {} => {
                rig.interrupt("the belt was stopped");
                rig.conveyor.stop().await.map_err(device)?;
            }
            ConveyorRequest::Run { speed_mm_per_s } => {
                let _gate = rig.gate.lock().await;
                self.idle("moving the belt")?;
                rig.conveyor.run(speed_mm_per_s).await.map_err(device)?;
            }
            ConveyorRequest::Travel { to_mm } => {
                self.idle("moving the belt")?;
                if to_mm.abs() > FARTHEST_MM {
                    return Err(Refusal::Invalid { faults: vec![Fault::new("to_mm", format!("must lie within {FARTHEST_MM} mm"))] });
                }
                let Ok(travelling) = Arc::clone(&rig.travelling).try_lock_owned() else {
                    return Err(Refusal::NotReady { reason: "the belt travels already".into() });
                };
                // Again: a scan begins only while nobody holds this.
                self.idle("moving the belt")?;
                let rig = Arc::clone(rig);
                rig.interrupted.store(false, Ordering::Release);
                let task = tokio::spawn(async move {
                    let _travelling = travelling;
                    rig.travel(to_mm, rig.travel_speed()).await
                });
                task.await.map_err(|_| Refusal::Device { reason: "the travel broke down; see the log".into() })?.map_err(device)?;
            }
        }
        Ok(self.belt().await)
    }

    async fn emergency_stop(&self, peer: Peer) -> Status {
        let rig = &self.0;
        tracing::warn!(uid = ?peer.uid, pid = ?peer.pid, "emergency stop");
        lock(&rig.why).get_or_insert_with(|| "emergency stop".into());
        let effects = rig.advance(&Event::EmergencyStop);
        rig.interrupt("emergency stop");
        // Belt and lamps at once, whatever else there is to do.
        let unsafe_yet = [rig.stop_belt().await, rig.lamps_off().await];
        if let Ok(effects) = effects {
            rig.carry_out(effects).await;
        }
        for event in unsafe_yet.into_iter().flatten() {
            if let Ok(effects) = rig.advance(&event) {
                rig.carry_out(effects).await;
            }
        }
        self.status().await
    }

    async fn acknowledge(&self, peer: Peer) -> Result<Status, Refusal> {
        tracing::info!(uid = ?peer.uid, "fault acknowledged");
        let effects = self.0.advance(&Event::Acknowledged)?;
        self.0.carry_out(effects).await;
        if let Err(error) = self.0.close_unclosed().await {
            self.0.warn(format!("a scan is not closed on the disk yet, and no other can begin: {error}"));
        }
        Ok(self.status().await)
    }

    fn events(&self, after: Option<u64>) -> (Vec<Told>, broadcast::Receiver<Told>) {
        self.0.events.since(after)
    }

    fn metrics(&self) -> String {
        let rig = &self.0;
        rig.metrics.set_disk_free(self.disk_free());
        rig.metrics.set_pending(rig.backlog.scans().values());
        for reference in rig.references() {
            rig.metrics.set_reference_age(&reference.camera, reference.kind, Some(reference.age_s));
        }
        for camera in &rig.cameras {
            rig.metrics.camera(&camera.name).pool_free.set(i64::try_from(camera.pool.free()).unwrap_or(i64::MAX));
            rig.metrics.set_camera_link(&camera.name, &rig.meters.link(&camera.name).read());
        }
        let mut counted = lock(&rig.counted);
        for (name, (items_in, items_out, busy_s)) in rig.meters.stages() {
            let stage = rig.metrics.stage(&name);
            let before: &mut [u64; 3] = counted.entry(name).or_default();
            stage.items_in.inc_by(items_in.saturating_sub(before[0]));
            stage.items_out.inc_by(items_out.saturating_sub(before[1]));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "busy time is positive and below centuries")]
            let busy_us = (busy_s * 1e6) as u64;
            stage.busy(Duration::from_micros(busy_us.saturating_sub(before[2])));
            *before = [items_in, items_out, busy_us];
        }
        for (name, [items, room]) in rig.meters.queues() {
            let queue = rig.metrics.queue(&name);
            queue.items.set(i64::try_from(items).unwrap_or(i64::MAX));
            queue.capacity.set(i64::try_from(room).unwrap_or(i64::MAX));
        }
        rig.metrics.render()
    }

    fn liveness(&self) -> Liveness {
        let rig = &self.0;
        let mut watchdog = lock(&rig.watchdog);
        let running = lock(&rig.current).as_ref().is_some_and(|current| current.running.is_some());
        let busy = running || matches!(rig.state(), State::Draining | State::Faulted { draining: true, .. });
        if !busy {
            watchdog.rest();
            return Liveness { alive: true, stuck: Vec::new() };
        }
        let (stages, queues) = (rig.meters.stages(), rig.meters.queues());
        let items = stages.iter().map(|(name, (items, _, _))| (name.as_str(), *items));
        let limit = Duration::try_from_secs_f64(rig.loaded.config.scan.stuck_s).unwrap_or(Duration::MAX);
        let stuck = watchdog.stuck(items, |stage| waiting(&queues, stage), Instant::now(), limit);
        Liveness { alive: stuck.is_empty(), stuck }
    }

    async fn readiness(&self) -> Readiness {
        let rig = &self.0;
        let mut missing = Vec::new();
        let mut lacks = |what, reason: String| missing.push(Missing { what, reason });
        if let Some(reason) = lock(&rig.recovering).clone() {
            lacks(MissingKind::Recovery, reason);
        }
        if let State::Faulted { cause, .. } = rig.state() {
            lacks(MissingKind::Fault, format!("faulted: {cause}; see to it, then acknowledge it"));
        }
        let stuck = self.liveness().stuck;
        if !stuck.is_empty() {
            lacks(MissingKind::Progress, format!("the data path makes no progress: {}", stuck.join(", ")));
        }
        let silent = |name: &str, said: Option<String>| {
            let said = said.unwrap_or_else(|| format!("it does not answer within {} s", ANSWER.as_secs()));
            format!("{name}: {said}; check its cable and its power")
        };
        let belt = tokio::time::timeout(ANSWER, rig.conveyor.state()).await;
        if !matches!(belt, Ok(Ok(_))) {
            lacks(MissingKind::Device, silent("conveyor", belt.ok().and_then(Result::err).map(|error| error.to_string())));
        }
        for unit in &rig.lights {
            let state = tokio::time::timeout(ANSWER, unit.light.state()).await;
            if !matches!(state, Ok(Ok(_))) {
                lacks(MissingKind::Device, silent(&unit.name, state.ok().and_then(Result::err).map(|error| error.to_string())));
            }
        }
        for camera in rig.cameras_status() {
            if let DeviceStatus::Camera { name, connected: false, .. } = camera {
                lacks(MissingKind::Device, silent(&name, None));
            }
        }
        let data = rig.data_dir().display();
        match nix::sys::statvfs::statvfs(rig.data_dir()) {
            Err(error) => lacks(MissingKind::Disk, format!("{data}: {error}; mount the disk, or create the folder")),
            Ok(disk) if disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) => {
                lacks(MissingKind::Disk, format!("{data} can only be read; mount it for writing"));
            }
            Ok(disk) => {
                let free = crate::disk::free_of(&disk);
                if free < LEAST_FREE {
                    lacks(MissingKind::Disk, format!("{data} has {} MiB free; make room", free >> 20));
                }
            }
        }
        Readiness { ready: missing.is_empty(), missing }
    }
}
