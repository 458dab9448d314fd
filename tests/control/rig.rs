//! A rig without devices, and the service in front of it.

use async_trait::async_trait;
use contract::{ConveyorState, Exposure, LightState};
use hyclus::client::Client;
use hyclus::control;
use hyclus::control::Limits;
use hyclus::rig::{
    ArchivedRequest, ConveyorRequest, LightingRequest, Operations, Peer, ReferenceRequest, Refusal, ScanRequest, WorklistRequest,
};
use hyclus::scan::{
    DeviceStatus, EncoderStatus, Event, EventKind, Fault, LineCounts, Liveness, Missing, MissingKind, Progress, Readiness, ReferenceKind,
    ReferenceStatus, SampleRecord, ScanRecord, StateName, Status, Tray,
};
use hyclus::telemetry::Metrics;
use hyclus::worklist::{Worklist, WorklistStatus};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::{RwLock, Semaphore, broadcast, watch};
use tokio::task::JoinHandle;

pub const SCAN: &str = "20180703T141502Z-T1";

/// Remembers what it was asked, and answers as it was told to.
pub struct Rig {
    pub asked: Mutex<Vec<(String, Peer)>>,
    pub tap: hyclus::live::Tap,
    /// What the next change is refused with.
    pub refusal: Mutex<Option<Refusal>>,
    pub state: Mutex<StateName>,
    pub alive: Mutex<bool>,
    pub complete: Mutex<bool>,
    held: Mutex<VecDeque<Event>>,
    room: usize,
    sender: broadcast::Sender<Event>,
    /// Where a white reference waits, if it is to: entered, may go on, done.
    pub gates: Option<[Semaphore; 3]>,
}

impl Rig {
    /// A rig that holds `room` events, and has a channel for as many.
    pub fn with_room(room: usize) -> Self {
        Self {
            asked: Mutex::default(),
            tap: hyclus::live::Tap::default(),
            refusal: Mutex::default(),
            state: Mutex::new(StateName::Ready),
            alive: Mutex::new(true),
            complete: Mutex::new(true),
            held: Mutex::default(),
            room,
            sender: broadcast::channel(room).0,
            gates: None,
        }
    }

    pub fn happens(&self, kind: EventKind) {
        let mut held = self.held.lock().unwrap();
        let id = held.back().map_or(1, |last| last.id + 1);
        let event = Event { id, time: "2018-07-03T14:15:02Z".to_owned(), kind };
        held.push_back(event.clone());
        if held.len() > self.room {
            held.pop_front();
        }
        // Nobody listens.
        let _ = self.sender.send(event);
    }

    pub fn warn(&self, message: &str) {
        self.happens(EventKind::Warning { message: message.to_owned() });
    }

    pub fn names(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn ask(&self, name: impl Into<String>, peer: Peer) -> Result<(), Refusal> {
        self.asked.lock().unwrap().push((name.into(), peer));
        self.refusal.lock().unwrap().take().map_or(Ok(()), Err)
    }

    pub fn record(&self, tray: Tray) -> ScanRecord {
        let complete = *self.complete.lock().unwrap();
        ScanRecord {
            format_version: ScanRecord::FORMAT_VERSION,
            id: SCAN.to_owned(),
            tray,
            started: "2018-07-03T14:15:02Z".to_owned(),
            ended: Some("2018-07-03T14:16:02Z".to_owned()),
            complete: Some(complete),
            reason: (!complete).then(|| "the belt stalled".to_owned()),
            cameras: sums(),
            samples: vec![SampleRecord {
                sample: "s1".to_owned(),
                container: "A1".to_owned(),
                file: "samples/s1.h5".to_owned(),
                shape: [10, 20, 30],
                pixels: 150,
                valid: 149,
                doubts: vec!["touches the edge".to_owned()],
                minerals: None,
                heads: Default::default(),
            }],
            missing: vec!["B2".to_owned()],
            bad_elements: BTreeMap::new(),
            left_out_nm: BTreeMap::new(),
            residuals_mm: BTreeMap::new(),
            registration: BTreeMap::new(),
            keystone_mm: BTreeMap::new(),
            dark_drift: BTreeMap::new(),
            light_change: BTreeMap::new(),
            light: BTreeMap::new(),
            wavelength: BTreeMap::new(),
            plausibility: BTreeMap::new(),
            restless_elements: BTreeMap::new(),
            anisotropy: BTreeMap::new(),
            overlap_step: Vec::new(),
            warnings: Vec::new(),
            embeddings: 149,
            pending: None,
            novelty: None,
            encoders: Default::default(),
            heads: Default::default(),
            minerals: None,
            set_aside: None,
            archived: None,
            files: Vec::new(),
            version: "0".to_owned(),
            configuration_sha256: String::new(),
            encoder_sha256: None,
        }
    }
}

fn sums() -> BTreeMap<String, LineCounts> {
    let sums = LineCounts {
        received: 98,
        lost: 2,
        expected: 100,
        lost_pool: 2,
        lost_link: 0,
        unusable: 1,
        unrecorded: 0,
        pool_least_free: Some(3),
        gaps: vec![(7, 2)],
    };
    BTreeMap::from([("swir".to_owned(), sums)])
}

pub fn tray() -> serde_json::Value {
    serde_json::json!({"tray": "T1", "keys": ["plant"], "grid": {"rows": 1, "columns": 1},
        "container": [{"at": "A1", "sample": "s1", "plant": "P1"}]})
}

fn reference(kind: ReferenceKind) -> ReferenceStatus {
    ReferenceStatus {
        camera: "swir".to_owned(),
        kind,
        taken: "2018-07-03T14:00:00Z".to_owned(),
        age_s: 902.0,
        frames: 64,
        mean_counts: 51_234.5,
        noise_counts: 12.0,
        saturated: 0.0,
        flicker: Some(0.001),
        evenness: Some(0.86),
        dirt: Some(0.01),
        least_signal_counts: Some(812.0),
        bad_elements: None,
        wavelength: None,
        temperature_c: Some(21.5),
    }
}

fn conveyor() -> DeviceStatus {
    let state = ConveyorState { moving: true, speed_mm_per_s: 40.0, position_mm: 12.5 };
    DeviceStatus::Conveyor { model: "simulated".to_owned(), connected: true, state: Some(state) }
}

fn light() -> DeviceStatus {
    let state = Some(LightState { on: true, level: 0.5 });
    DeviceStatus::Light { name: "halogen".to_owned(), model: "simulated".to_owned(), connected: true, state }
}

#[async_trait]
impl Operations for Rig {
    async fn status(&self) -> Status {
        let state = *self.state.lock().unwrap();
        let camera = DeviceStatus::Camera {
            name: "swir".to_owned(),
            model: "simulated".to_owned(),
            serial: "1".to_owned(),
            connected: true,
            shape: [384, 288],
            exposure: Some(Exposure { exposure_us: 3000.0, frame_rate_hz: 50.0, binning: (1, 1) }),
            temperature_c: Some(-60.0),
            pool: [62, 64],
        };
        let scan = (state == StateName::Scanning).then(|| Progress { scan: SCAN.to_owned(), end_mm: 400.0, ..Progress::default() });
        Status {
            state,
            cause: (state == StateName::Faulted).then(|| "the belt stalled".to_owned()),
            rig: "bench".to_owned(),
            version: "0".to_owned(),
            devices: vec![camera, conveyor(), light()],
            references: vec![reference(ReferenceKind::White)],
            disk_free_bytes: 3_500_000_000,
            queues: BTreeMap::from([("join".to_owned(), [3, 64])]),
            scan,
            pending: BTreeMap::new(),
            pending_encoders: BTreeMap::new(),
            pending_minerals: BTreeMap::new(),
            set_aside: BTreeMap::new(),
        }
    }

    async fn start_scan(&self, request: ScanRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        self.ask("start_scan", peer)?;
        let none = || Refusal::Invalid { faults: vec![Fault::new("", "give one of `tray`, `next` and `listed`")] };
        let tray = Tray::check(&request.tray.ok_or_else(none)?).map_err(|faults| Refusal::Invalid { faults })?;
        let record = self.record(tray);
        let scan = record.id.clone();
        self.happens(EventKind::ScanStarted { scan: scan.clone() });
        for position_mm in [0.0, 10.0, 11.0, 200.0, 400.0] {
            let progress = Progress { scan: scan.clone(), position_mm, end_mm: 400.0, cameras: sums(), samples: 0, embeddings: 0 };
            self.happens(EventKind::Progress(progress));
        }
        self.happens(EventKind::SampleStored { scan: scan.clone(), record: record.samples[0].clone() });
        self.happens(EventKind::ScanClosed { scan, complete: record.complete == Some(true), reason: record.reason.clone() });
        Ok(record)
    }

    async fn scans(&self) -> Vec<ScanRecord> {
        vec![self.record(Tray::check(&tray()).unwrap())]
    }

    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal> {
        match self.scans().await.pop() {
            Some(record) if record.id == id => Ok(record),
            _ => Err(Refusal::Unknown { what: "scan", id: id.to_owned() }),
        }
    }

    async fn stop_scan(&self, id: &str, peer: Peer) -> Result<ScanRecord, Refusal> {
        self.ask(format!("stop_scan {id}"), peer)?;
        self.scan(id).await
    }

    async fn reference(&self, kind: ReferenceKind, request: ReferenceRequest, peer: Peer) -> Result<Vec<ReferenceStatus>, Refusal> {
        let accepting = if request.accept_change { " accepting a change" } else { "" };
        self.ask(format!("reference {kind:?}{accepting}"), peer)?;
        if let (Some([entered, may, done]), ReferenceKind::White) = (&self.gates, kind) {
            entered.add_permits(1);
            may.acquire().await.unwrap().forget();
            done.add_permits(1);
        }
        Ok(vec![reference(kind)])
    }

    async fn lighting(&self, request: LightingRequest, peer: Peer) -> Result<Vec<DeviceStatus>, Refusal> {
        self.ask(format!("lighting {:?} {}", request.light, request.level), peer)?;
        assert!(request.light.as_deref() != Some("panics"), "a rig that panics");
        Ok(vec![light()])
    }

    async fn conveyor(&self, request: ConveyorRequest, peer: Peer) -> Result<DeviceStatus, Refusal> {
        self.ask(format!("{request:?}"), peer)?;
        Ok(conveyor())
    }

    async fn emergency_stop(&self, peer: Peer) -> Status {
        self.ask("emergency_stop", peer).unwrap();
        self.status().await
    }

    async fn acknowledge(&self, peer: Peer) -> Result<Status, Refusal> {
        self.ask("acknowledge", peer)?;
        Ok(self.status().await)
    }

    async fn encoders(&self) -> Vec<EncoderStatus> {
        vec![encoder("main", false)]
    }

    async fn replace_encoder(&self, name: &str, model: Vec<u8>, peer: Peer) -> Result<EncoderStatus, Refusal> {
        self.ask(format!("replace_encoder {name} {} bytes", model.len()), peer)?;
        Ok(encoder(name, true))
    }

    async fn restore_encoder(&self, name: &str, peer: Peer) -> Result<EncoderStatus, Refusal> {
        self.ask(format!("restore_encoder {name}"), peer)?;
        Ok(encoder(name, false))
    }

    async fn archived(&self, id: &str, request: ArchivedRequest, peer: Peer) -> Result<ScanRecord, Refusal> {
        self.ask(format!("archived {id} {:?}", request.files), peer)?;
        self.scan(id).await
    }

    async fn worklist(&self) -> Result<WorklistStatus, Refusal> {
        Ok(WorklistStatus::default())
    }

    async fn put_worklist(&self, request: WorklistRequest, peer: Peer) -> Result<WorklistStatus, Refusal> {
        self.ask("put_worklist", peer)?;
        let trays = request.maps().map_err(|faults| Refusal::Invalid { faults })?;
        let held = Worklist::new(trays, "ada", "2026-01-01T00:00:00Z").map_err(|faults| Refusal::Invalid { faults })?;
        Ok(held.status(&[]))
    }

    async fn remove_worklist(&self, peer: Peer) -> Result<WorklistStatus, Refusal> {
        self.ask("remove_worklist", peer)?;
        Ok(WorklistStatus::default())
    }

    fn events(&self, after: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let held = self.held.lock().unwrap();
        let receiver = self.sender.subscribe();
        (held.iter().filter(|event| after.is_none_or(|after| event.id > after)).cloned().collect(), receiver)
    }

    fn check_tray(&self, tray: &serde_json::Value) -> Vec<Fault> {
        Tray::check(tray).err().unwrap_or_default()
    }

    fn live(&self) -> hyclus::live::Tap {
        self.tap.clone()
    }

    fn metrics(&self) -> String {
        Metrics::new().render()
    }

    fn liveness(&self) -> Liveness {
        let alive = *self.alive.lock().unwrap();
        Liveness { alive, stuck: if alive { Vec::new() } else { vec!["store".to_owned()] } }
    }

    async fn readiness(&self) -> Readiness {
        let Status { state, cause, .. } = self.status().await;
        let missing = cause.into_iter().map(|reason| Missing { what: MissingKind::Fault, reason }).collect();
        Readiness { ready: state != StateName::Faulted, missing }
    }
}

fn encoder(name: &str, replaced: bool) -> EncoderStatus {
    EncoderStatus {
        encoder: name.to_owned(),
        shadow: false,
        model: Some("pca4".to_owned()),
        encoder_sha256: Some("5e".repeat(32)),
        dimensions: Some(4),
        replaced,
    }
}

/// The service on a socket of its own.
pub struct Served {
    pub rig: Arc<Rig>,
    pub path: PathBuf,
    pub metrics: Metrics,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
    limits: Limits,
    _folder: tempfile::TempDir,
}

pub fn serve() -> Served {
    serve_rig(Rig::with_room(100))
}

pub fn serve_rig(rig: Rig) -> Served {
    serve_within(rig, Limits::default())
}

pub fn serve_within(rig: Rig, limits: Limits) -> Served {
    // Before anything can be logged: what is logged first where no log is, stays switched off.
    LazyLock::force(&LOG);
    let folder = tempfile::tempdir().unwrap();
    let (path, metrics, rig) = (folder.path().join("control.sock"), Metrics::new(), Arc::new(rig));
    let (end, task) = start(&path, &rig, &metrics, limits);
    Served { rig, path, metrics, end, task, limits, _folder: folder }
}

fn start(path: &std::path::Path, rig: &Arc<Rig>, metrics: &Metrics, limits: Limits) -> (watch::Sender<bool>, JoinHandle<()>) {
    let listener = control::bind(path, None, 0o660).unwrap();
    let (end, shutdown) = watch::channel(false);
    (end, tokio::spawn(control::serve_control(listener, rig.clone(), Arc::default(), metrics.clone(), limits, shutdown)))
}

impl Served {
    pub async fn client(&self) -> Client {
        Client::connect(&self.path).await.unwrap()
    }

    /// Ends the service, and waits for its end.
    pub async fn end(&mut self) {
        self.end.send(true).unwrap();
        (&mut self.task).await.unwrap();
    }

    /// Serves the same rig on the same path again.
    pub fn begin_again(&mut self) {
        (self.end, self.task) = start(&self.path, &self.rig, &self.metrics, self.limits);
    }
}

/// A child has every descriptor of this process between its fork and its exec. A test that needs a listener to be gone once it is
/// dropped reads this lock meanwhile.
pub static CHILDREN: RwLock<()> = RwLock::const_new(());

/// Starts a child; not from within a task.
pub fn spawn(command: &mut Command) -> Child {
    let _guard = CHILDREN.blocking_write();
    command.spawn().unwrap()
}

/// Runs a child to its end.
pub fn output(command: &mut Command) -> Output {
    spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap()
}

/// Sends a request as it is written, on a connection that can be read to its end.
pub async fn exchange<S: Read + Write + Send + 'static>(mut stream: S, request: String) -> String {
    let exchange = move || {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Who hangs up before it has read everything resets the connection behind its answer.
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset && !answer.is_empty() => {}
            end => drop(end.unwrap()),
        }
        String::from_utf8(answer).unwrap()
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// The log of this process, as JSON lines.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer({
            let log = log.clone();
            move || Writer(log.clone())
        })
        .init();
    log
});

pub fn log_lines() -> Vec<serde_json::Value> {
    let text = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
