//! The operations of the rig, carried out by the controller.

use super::{
    ArchivedRequest, Controller, ConveyorRequest, LightingRequest, Operations, Peer, ReferenceRequest, Refusal, ScanRequest,
    WorklistRequest,
};
use crate::data_root;
use crate::devices::references::TakeError;
use crate::live::Tap;
use crate::pipeline::build::check_tray;
use crate::scan::{
    Cause, DeviceStatus, EncoderStatus, Event as ReportedEvent, EventKind, Fault, Liveness, Missing, MissingKind, Readiness, ReferenceKind,
    ReferenceStatus, ScanRecord, Status, Subsystem, Tray, compact, now_ns, part_main,
};
use crate::state::{Event, NotNow, State};
use crate::worklist::WorklistStatus;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Free space below which the disk counts as full, bytes.
const MIN_FREE_BYTES: u64 = 256 << 20;
/// Time within which a device must give its state, or counts as absent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Farthest target of a travel, mm.
const MAX_TRAVEL_MM: f64 = 1e6;

impl From<NotNow> for Refusal {
    fn from(refused: NotNow) -> Self {
        Self::NotReady { reason: refused.to_string() }
    }
}

impl Controller {
    /// Begins a scan or a reference, unless a recovery or a travel is under way.
    fn begin(&self, event: &Event) -> Result<Vec<crate::state::Effect>, Refusal> {
        self.all_recovered()?;
        self.safety.state().on(event)?;
        let Some(_stands) = self.belt.stands() else {
            return Err(Refusal::NotReady { reason: "the belt travels; wait for it, or stop it".into() });
        };
        let effects = self.advance(event)?;
        // The rig takes the computer's time now. During its work, its own time goes on evenly, whatever the clock is set to.
        let step_ns = contract::take_clock();
        if step_ns.abs() > 1_000_000_000 {
            tracing::warn!(step_ns, "the computer's clock was set since it was last looked at");
        }
        Ok(effects)
    }

    /// An unused scan id: start time and tray, and a number where that is taken.
    fn new_id(&self, tray: &Tray, now: i64) -> String {
        let base = format!("{}-{}", compact(now), tray.tray);
        let taken = |id: &str| self.data_dir().join("scans").join(id).exists();
        (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") }).find(|id| !taken(id)).unwrap_or(base)
    }

    /// Refuses while scans that were cut off are being recovered.
    fn all_recovered(&self) -> Result<(), Refusal> {
        self.safety.recovering().map_or(Ok(()), |reason| Err(Refusal::NotReady { reason }))
    }

    /// Refuses `what` unless the rig is idle.
    pub(super) fn idle(&self, what: &str) -> Result<(), Refusal> {
        self.all_recovered()?;
        match self.safety.state() {
            State::Idle => Ok(()),
            other => Err(Refusal::NotReady { reason: format!("{what} is not possible while the rig is {}", other.words()) }),
        }
    }

    /// A tray map that this rig can scan.
    pub(super) fn tray(&self, map: &serde_json::Value) -> Result<Tray, Vec<Fault>> {
        let tray = Tray::check(&*self.resolved(map)?)?;
        let unfit = |problem: String| vec![Fault::new("", problem)];
        check_tray(&self.loaded.config, &tray).map_err(|error| unfit(error.to_string()))?;
        if !self.belt.recorded() {
            crate::pipeline::build::tray_length_mm(&self.loaded.config, &tray).map_err(|error| unfit(error.to_string()))?;
        }
        Ok(tray)
    }

    /// Runs the belt until half a second after the last request. The first one begins a watch that stops it.
    async fn jog(self: &Arc<Self>, speed_mm_per_s: f64, peer: Peer) -> Result<Result<(), contract::ConveyorError>, Refusal> {
        self.idle("moving the belt")?;
        match self.belt.extend_jog(speed_mm_per_s) {
            Some(true) => return Ok(Ok(())),
            Some(false) => {}
            None => {
                let Some(travelling) = self.belt.begin_travel() else {
                    return Err(Refusal::NotReady { reason: "the belt travels already".into() });
                };
                tracing::info!(speed_mm_per_s, by = %peer.who(), "belt jogged");
                self.belt.begin_jog(speed_mm_per_s);
                let rig = Arc::clone(self);
                tokio::spawn(async move {
                    let _travelling = travelling;
                    if let Some(cause) = rig.belt.watch_jog(&rig.safety).await
                        && let Ok(effects) = rig.advance(&Event::Fault(cause))
                    {
                        rig.carry_out(effects).await;
                    }
                });
            }
        }
        let interlock = self.safety.interlock().await;
        self.idle("moving the belt")?;
        let run = self.belt.run_held(&interlock, speed_mm_per_s).await;
        if run.is_err() {
            self.belt.end_jog();
        }
        Ok(run)
    }

    /// Does what reads or writes many files, and holds up no other call.
    async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let rig = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&rig)).await;
        done.unwrap_or_else(|_| Err(Refusal::Device { reason: "the call broke down; see the log".into() }))
    }

    fn disk_free(&self) -> u64 {
        crate::disk::free_bytes(self.data_dir()).unwrap_or(0)
    }
}

#[async_trait]
impl Operations for Arc<Controller> {
    async fn status(&self) -> Status {
        let belt = self.belt.status().await;
        let position_mm = match &belt {
            DeviceStatus::Conveyor { state: Some(state), .. } => state.position_mm,
            _ => f64::NAN,
        };
        let mut devices = self.cameras_status();
        devices.push(belt);
        devices.extend(self.lamps.status().await);
        self.count_links();
        let (state, (pending, pending_encoders)) = (self.safety.state(), part_main(self.backlog.scans()));
        Status {
            state: state.name(),
            cause: if let State::Faulted { cause, .. } = &state { Some(cause.clone()) } else { None },
            rig: self.loaded.config.rig.name.clone(),
            version: crate::VERSION.to_owned(),
            devices,
            references: self.reporting.references(),
            disk_free_bytes: self.disk_free(),
            queues: self.reporting.meters().queues(),
            scan: self.run.progress(position_mm),
            pending,
            pending_encoders,
            pending_minerals: self.backlog.minerals(),
            set_aside: self.reporting.set_aside(),
        }
    }

    async fn start_scan(&self, request: ScanRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        let tray = self.tray(&self.asked(&request)?).map_err(|faults| Refusal::Invalid {
            faults: faults
                .into_iter()
                .map(|fault| Fault::new(if fault.path.is_empty() { "tray".into() } else { format!("tray.{}", fault.path) }, fault.problem))
                .collect(),
        })?;
        if !request.again {
            self.expect_unscanned(&tray).await?;
        }
        // The state is checked before the disk is tried, because another scan may be writing.
        self.safety.state().on(&Event::ScanRequested)?;
        self.close_unclosed().await.map_err(|error| {
            let reason = format!("a scan before this one is not closed on the disk yet: {error}");
            Refusal::Disk { reason }
        })?;
        self.check_disk(&tray).await.map_err(|reason| Refusal::Disk { reason })?;
        let _starting = self.run.starting().await;
        let effects = self.begin(&Event::ScanRequested)?;
        let now = now_ns();
        let id = self.new_id(&tray, now);
        let mut record = ScanRecord::begin(&id, tray, &self.loaded, now);
        for encoder in &self.loaded.config.encoder {
            record.note_encoder(&encoder.name, encoder.shadow, self.models.sha256(&encoder.name).as_deref());
        }
        tracing::info!(scan = %id, tray = %record.tray.tray, by = %peer.who(), "scan accepted");
        if let Err(error) = data_root::begin(&record, &self.loaded, self.data_dir()) {
            // The acknowledgement of the fault will show whether the disk takes records again.
            if let Ok(effects) = self.advance(&Event::fault(&error)) {
                self.set_out(effects);
            }
            return Err(Refusal::Disk { reason: error.to_string() });
        }
        self.run.begin(record.clone());
        self.reporting.emit(EventKind::ScanStarted { scan: id });
        self.set_out(effects);
        Ok(record)
    }

    async fn scans(&self) -> Vec<ScanRecord> {
        let rig = Arc::clone(self);
        tokio::task::spawn_blocking(move || rig.records()).await.unwrap_or_default()
    }

    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal> {
        let unknown = || Refusal::Unknown { what: "scan", id: id.to_owned() };
        if let Some(record) = self.run.record().filter(|record| record.id == id) {
            return Ok(record);
        }
        let (data, name) = (self.data_dir().to_owned(), id.to_owned());
        let found = tokio::task::spawn_blocking(move || data_root::record(&data, &name)).await;
        found.ok().flatten().ok_or_else(unknown)
    }

    async fn stop_scan(&self, id: &str, peer: Peer) -> Result<ScanRecord, Refusal> {
        if self.run.id().as_deref() != Some(id) {
            let record = self.scan(id).await?;
            return Err(Refusal::NotReady { reason: format!("scan {} has ended already", record.id) });
        }
        let reason = format!("stopped by {}", peer.who());
        self.safety.give_reason(&reason);
        let effects = self.advance(&Event::Stop)?;
        self.interrupt(&reason);
        self.carry_out(effects).await;
        self.scan(id).await
    }

    async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest, peer: Peer) -> Result<Vec<ReferenceStatus>, Refusal> {
        let rig = Arc::clone(self);
        let event = match kind {
            ReferenceKind::Dark => Event::DarkRequested,
            ReferenceKind::White => Event::WhiteRequested,
        };
        self.begin(&event)?;
        tracing::info!(?kind, ?request, by = %peer.who(), "reference asked for");
        // The task is independent, so that a client that disconnects does not leave the belt running.
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
            let result = rig.take_asked(kind, request.accept_change).await;
            let (event, result) = match result {
                Ok(status) => (Event::ReferencesGood, Ok(status)),
                Err(TakeError::Stopped) => {
                    return Err(Refusal::NotReady { reason: "it was stopped".into() });
                }
                Err(TakeError::Refused { camera, kind, figure, remedy }) => {
                    (Event::ReferencesRefused, Err(Refusal::Reference { kind, camera, figure, reason: remedy.to_owned() }))
                }
                Err(TakeError::Frames { camera, kind, found, wanted }) => {
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
            && !self.lamps.has(name)
        {
            return Err(Refusal::Unknown { what: "light", id: name.clone() });
        }
        tracing::info!(light = ?request.light, level = request.level, by = %peer.who(), "lamps");
        let interlock = self.safety.interlock().await;
        self.idle("switching lamps")?;
        self.lamps.set_held(&interlock, request.light.as_deref(), request.level).await.map_err(|error| match error {
            contract::LightError::Refused { .. } => Refusal::Invalid { faults: vec![Fault::new("level", error.to_string())] },
            _ => Refusal::Device { reason: error.to_string() },
        })?;
        Ok(self.lamps.status().await)
    }

    async fn conveyor(&self, request: ConveyorRequest, peer: Peer) -> Result<DeviceStatus, Refusal> {
        if !matches!(request, ConveyorRequest::Jog { .. }) {
            tracing::info!(?request, by = %peer.who(), "belt");
        }
        let device = |error: contract::ConveyorError| match error {
            // A command that this belt cannot follow is a fault of the request.
            contract::ConveyorError::Refused { .. } => Refusal::Invalid { faults: vec![Fault::new("", error.to_string())] },
            _ => Refusal::Device { reason: error.to_string() },
        };
        match request {
            ConveyorRequest::Stop {} if matches!(self.safety.state(), State::Faulted { .. }) => self.idle("moving the belt")?,
            ConveyorRequest::Stop {} if self.safety.state() != State::Idle => {
                return Err(Refusal::NotReady { reason: "stop the scan instead, or use the emergency stop".into() });
            }
            ConveyorRequest::Stop {} => {
                self.belt.end_jog();
                self.interrupt("the belt was stopped");
                self.belt.stop().await.map_err(device)?;
            }
            ConveyorRequest::Jog { speed_mm_per_s } => self.jog(speed_mm_per_s, peer).await?.map_err(device)?,
            ConveyorRequest::Run { speed_mm_per_s } => {
                let interlock = self.safety.interlock().await;
                self.idle("moving the belt")?;
                self.belt.run_held(&interlock, speed_mm_per_s).await.map_err(device)?;
            }
            ConveyorRequest::Travel { to_mm } => {
                self.idle("moving the belt")?;
                if to_mm.abs() > MAX_TRAVEL_MM {
                    return Err(Refusal::Invalid { faults: vec![Fault::new("to_mm", format!("must lie within {MAX_TRAVEL_MM} mm"))] });
                }
                let Some(travelling) = self.belt.begin_travel() else {
                    return Err(Refusal::NotReady { reason: "the belt travels already".into() });
                };
                // The state is checked again, because a scan cannot begin once this guard is held.
                self.idle("moving the belt")?;
                let rig = Arc::clone(self);
                self.safety.allow();
                let task = tokio::spawn(async move {
                    let _travelling = travelling;
                    rig.belt.travel(&rig.safety, to_mm).await
                });
                task.await.map_err(|_| Refusal::Device { reason: "the travel broke down; see the log".into() })?.map_err(device)?;
            }
        }
        Ok(self.belt.status().await)
    }

    async fn emergency_stop(&self, peer: Peer) -> Status {
        let text = format!("emergency stop by {}", peer.who());
        tracing::warn!(uid = ?peer.uid, pid = ?peer.pid, "{text}");
        self.safety.give_reason(&text);
        self.belt.end_jog();
        let effects = self.advance(&Event::EmergencyStop(Cause::new(Subsystem::Operator, text.as_str())));
        self.interrupt(&text);
        // Belt and lamps come first, before all other effects.
        let unsafe_yet = [self.stop_belt().await, self.lamps_off().await];
        if let Ok(effects) = effects {
            self.carry_out(effects).await;
        }
        for event in unsafe_yet.into_iter().flatten() {
            if let Ok(effects) = self.advance(&event) {
                self.carry_out(effects).await;
            }
        }
        self.status().await
    }

    async fn acknowledge(&self, peer: Peer) -> Result<Status, Refusal> {
        tracing::info!(by = %peer.who(), "fault acknowledged");
        let effects = self.advance(&Event::Acknowledged)?;
        self.carry_out(effects).await;
        if let Err(error) = self.close_unclosed().await {
            self.warn(format!("a scan is not closed on the disk yet, and no other can begin: {error}"));
        }
        Ok(self.status().await)
    }

    async fn encoders(&self) -> Vec<EncoderStatus> {
        self.encoders_status()
    }

    async fn replace_encoder(&self, name: &str, model: Vec<u8>, peer: Peer) -> Result<EncoderStatus, Refusal> {
        self.put_model(name, Some(model), peer).await
    }

    async fn restore_encoder(&self, name: &str, peer: Peer) -> Result<EncoderStatus, Refusal> {
        self.put_model(name, None, peer).await
    }

    async fn archived(&self, id: &str, request: ArchivedRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        self.note_archived(id, request, peer).await
    }

    async fn worklist(&self) -> Result<WorklistStatus, Refusal> {
        self.apart(|rig| rig.worklist_status()).await
    }

    async fn put_worklist(&self, request: WorklistRequest, peer: Peer) -> Result<WorklistStatus, Refusal> {
        self.apart(move |rig| rig.hold_worklist(&request, &peer)).await
    }

    async fn remove_worklist(&self, peer: Peer) -> Result<WorklistStatus, Refusal> {
        self.apart(move |rig| rig.drop_worklist(&peer)).await
    }

    fn events(&self, after: Option<u64>) -> (Vec<ReportedEvent>, broadcast::Receiver<ReportedEvent>) {
        self.reporting.events().since(after)
    }

    fn check_tray(&self, tray: &serde_json::Value) -> Vec<Fault> {
        self.tray(tray).err().unwrap_or_default()
    }

    fn live(&self) -> Tap {
        self.reporting.live().clone()
    }

    fn metrics(&self) -> String {
        self.reporting.metrics().set_disk_free(self.disk_free());
        self.reporting.metrics().set_live_dropped(self.reporting.live().dropped());
        self.reporting.metrics().set_pending(self.backlog.scans().values().flat_map(|encoders| encoders.values()));
        self.reporting.metrics().set_pending_minerals(self.backlog.minerals().values());
        for reference in self.reporting.references() {
            self.reporting.metrics().set_reference(&reference);
        }
        for camera in &self.cameras {
            self.reporting.metrics().camera(&camera.name).pool_free.set(i64::try_from(camera.pool.free()).unwrap_or(i64::MAX));
            self.reporting.metrics().set_camera_link(&camera.name, &self.reporting.meters().link(&camera.name).read());
        }
        self.reporting.count_stages();
        self.reporting.metrics().render()
    }

    fn liveness(&self) -> Liveness {
        let busy = self.run.running().is_some() || matches!(self.safety.state(), State::Draining | State::Faulted { draining: true, .. });
        let limit = Duration::try_from_secs_f64(self.loaded.config.scan.stuck_s).unwrap_or(Duration::MAX);
        let stuck = self.reporting.stuck(busy, limit);
        Liveness { alive: stuck.is_empty(), stuck }
    }

    async fn readiness(&self) -> Readiness {
        let mut missing = Vec::new();
        let mut lacks = |what, reason: String| missing.push(Missing { what, reason });
        if let Some(reason) = self.safety.recovering() {
            lacks(MissingKind::Recovery, reason);
        }
        if let State::Faulted { cause, .. } = self.safety.state() {
            lacks(MissingKind::Fault, format!("faulted: {cause}; see to it, then acknowledge it"));
        }
        let stuck = self.liveness().stuck;
        if !stuck.is_empty() {
            lacks(MissingKind::Progress, format!("the data path makes no progress: {}", stuck.join(", ")));
        }
        let silent = |name: &str, said: Option<String>| {
            let said = said.unwrap_or_else(|| format!("it does not answer within {} s", ANSWER_TIMEOUT.as_secs()));
            format!("{name}: {said}; check its cable and its power")
        };
        let belt = tokio::time::timeout(ANSWER_TIMEOUT, self.belt.state()).await;
        if !matches!(belt, Ok(Ok(_))) {
            lacks(MissingKind::Device, silent("conveyor", belt.ok().and_then(Result::err).map(|error| error.to_string())));
        }
        for unit in self.lamps.units() {
            let state = tokio::time::timeout(ANSWER_TIMEOUT, unit.light.state()).await;
            if !matches!(state, Ok(Ok(_))) {
                lacks(MissingKind::Device, silent(&unit.name, state.ok().and_then(Result::err).map(|error| error.to_string())));
            }
        }
        for camera in self.cameras_status() {
            if let DeviceStatus::Camera { name, connected: false, .. } = camera {
                lacks(MissingKind::Device, silent(&name, None));
            }
        }
        let data = self.data_dir().display();
        match nix::sys::statvfs::statvfs(self.data_dir()) {
            Err(error) => lacks(MissingKind::Disk, format!("{data}: {error}; mount the disk, or create the folder")),
            Ok(disk) if disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) => {
                lacks(MissingKind::Disk, format!("{data} can only be read; mount it for writing"));
            }
            Ok(disk) => {
                let free = crate::disk::free_of(&disk);
                if free < MIN_FREE_BYTES {
                    lacks(MissingKind::Disk, format!("{data} has {} MiB free; make room", free >> 20));
                }
            }
        }
        Readiness { ready: missing.is_empty(), missing }
    }
}
