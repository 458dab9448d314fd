//! What takes bytes from outside, each as a function of bytes that panics where something is wrong with it.

use async_trait::async_trait;
use hyclus::config::Loaded;
use hyclus::control::{Access, Caller, Limits, serve_stream};
use hyclus::encode::Metadata;
use hyclus::publish::{DataSet, Format, RowWriter, Tail, inspect};
use hyclus::rig::{
    ArchivedRequest, ConveyorRequest, LightingRequest, Operations, Peer, ReferenceRequest, Refusal, ScanRequest, WorklistRequest,
};
use hyclus::scan::{
    DeviceStatus, EncoderStatus, Event, Fault, Liveness, Readiness, ReferenceKind, ReferenceStatus, ScanRecord, StateName, Status, Tray,
    is_name,
};
use hyclus::telemetry::Metrics;
use hyclus::worklist::{Worklist, WorklistStatus};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use replay::capture::{LINES_HEADER, parse_records};
use replay::envi::Header;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast;

/// Takes bytes, and panics where something is wrong with how they are taken.
pub type Target = fn(&[u8]);

/// Every target, by its name.
pub const TARGETS: [(&str, Target); 9] = [
    ("envi_header", envi_header),
    ("lines_csv", lines_csv),
    ("tray_map", tray_map),
    ("configuration", configuration),
    ("control_request", control_request),
    ("bridge_framing", bridge_framing),
    ("onnx_metadata", onnx_metadata),
    ("hdf5_sample", hdf5_sample),
    ("parquet", parquet),
];

/// Inputs over which the HDF5 library itself broke down.
pub static BROKEN: AtomicUsize = AtomicUsize::new(0);
/// Inputs over which it did not come to an end.
pub static ENDLESS: AtomicUsize = AtomicUsize::new(0);

/// An ENVI header. What was read can be written, and is read the same again.
pub fn envi_header(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok((header, _)) = Header::parse(&text) else { return };
    let _ = (header.data_bytes(), header.exposure_ms());
    let again = |header: &Header| {
        let mut written = Vec::new();
        header.write(&mut written).expect("memory takes everything");
        Header::parse(std::str::from_utf8(&written).expect("text was written")).expect("what was written can be read").0
    };
    let second = again(&header);
    assert_eq!((header.samples, header.lines, header.bands), (second.samples, second.lines, second.bands));
    assert_eq!((&header.wavelengths_nm, &header.good_bands), (&second.wavelengths_nm, &second.good_bands));
    // By their words: no value of no data is like another.
    assert_eq!(format!("{:?}", again(&second)), format!("{second:?}"));
}

/// A table of lines. One that is whole can be cut off anywhere, and its rows before are still read.
pub fn lines_csv(bytes: &[u8]) {
    let Ok((records, torn)) = parse_records(bytes) else { return };
    assert!(records.windows(2).all(|pair| pair[0].frame < pair[1].frame));
    if torn {
        return;
    }
    for part in 1..8 {
        let cut = bytes.len() * part / 8;
        let (before, _) = parse_records(&bytes[..cut]).expect("the beginning of a whole table");
        assert_eq!(before, records[..before.len()]);
    }
    let mut text = format!("{LINES_HEADER}\n");
    for (line, record) in records.iter().enumerate() {
        let position = record.position_mm.map_or_else(String::new, |mm| mm.to_string());
        let status = record.fault.as_deref().unwrap_or("ok");
        let _ = writeln!(text, "{line},{},{},{position},{status}", record.frame, record.time_ns);
    }
    assert_eq!(parse_records(text.as_bytes()), Ok((records, false)));
}

/// A tray map, as JSON or TOML. One that is taken names nothing that leads out of a folder, and can be kept.
pub fn tray_map(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let value: serde_json::Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) => match toml::from_str(&text) {
            Ok(value) => value,
            Err(_) => return,
        },
    };
    match Tray::check(&value) {
        Ok(tray) => {
            assert!(is_name(&tray.tray) && tray.containers.iter().all(|container| is_name(&container.sample)));
            let kept = serde_json::to_string(&tray).expect("a tray map can be kept");
            let _: Tray = serde_json::from_str(&kept).expect("what was kept can be read");
        }
        Err(faults) => assert!((1..=101).contains(&faults.len())),
    }
}

/// A configuration, and the figures that it implies.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match Loaded::from_text(text, Path::new("/nonexistent/rig.toml")) {
        Ok(loaded) => drop((loaded.config.memory().total(), loaded.config.native_disk(), loaded.config.across_mm())),
        Err(error) => assert!(!error.faults.is_empty() && !error.to_string().is_empty()),
    }
}

/// What a helper program sends. The first two bytes are the shape of its frames.
pub fn bridge_framing(bytes: &[u8]) {
    let [pixels, bands, rest @ ..] = bytes else { return };
    let config = bridge::Config {
        command: Vec::new(),
        socket: None,
        pixels: usize::from(*pixels),
        bands: usize::from(*bands),
        open_ms: 1,
        timeout_ms: 1,
    };
    let mut counts = vec![0; config.pixels * config.bands * 2];
    let mut from = Cursor::new(rest);
    loop {
        let before = from.position();
        match bridge::wire::read_message(&mut from, counts.len(), || {}) {
            Ok(bridge::wire::Message::Hello(text)) => {
                if let Ok((description, _)) = bridge::described(&text, &config) {
                    assert_eq!(description.wavelengths_nm.len(), config.bands);
                }
            }
            Ok(bridge::wire::Message::Frame(_)) if bridge::wire::fill(&mut from, &mut counts, "FRAM").is_err() => return,
            Ok(_) => {}
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
        assert!(from.position() > before, "a message has bytes");
    }
}

/// An HDF5 file: what `hyclus inspect` shows of it, and the sample in it.
///
/// The C library breaks down over some damaged files, whoever reads them. So another process reads, as `hyclus inspect` has it. A panic
/// of ours there is one here. What a signal ends is counted.
#[allow(unexpected_cfgs, reason = "cargo-fuzz says that it fuzzes, and cargo does not know the word")]
pub fn hdf5_sample(bytes: &[u8]) {
    let path = std::env::temp_dir().join(format!("hyclus-fuzz-{}.h5", std::process::id()));
    std::fs::write(&path, bytes).expect("a file can be written");
    let read = || {
        let mut shown = Vec::new();
        // Output is text, and tells a terminal nothing.
        if hyclus::inspect::hdf5(&path, false, &mut shown).is_ok() {
            let shown = String::from_utf8(shown).expect("what is shown is text");
            assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{}", shown.escape_debug());
        }
        let _ = hyclus::store::read_sample(&path);
    };
    if cfg!(fuzzing) {
        return read();
    }
    // SAFETY: the child reads and ends. It takes no lock that another thread may have held: nobody else reads HDF5 here, and the C
    // library's allocator is whole in a child.
    let child = match unsafe { fork() }.expect("a process can be had") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            for (resource, most) in [(Resource::RLIMIT_AS, 4 << 30), (Resource::RLIMIT_CPU, 1), (Resource::RLIMIT_CORE, 0)] {
                let _ = setrlimit(resource, most, most);
            }
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
            // SAFETY: it ends this process, and nothing that belongs to the other one is written again.
            unsafe { nix::libc::_exit(i32::from(ended.is_err())) }
        }
    };
    let ended = waitpid(child, None).expect("the child is ours");
    let _ = std::fs::remove_file(&path);
    match ended {
        WaitStatus::Exited(_, code) => assert_eq!(code, 0, "reading it panics"),
        // The library 1.10 does not end over a global heap with an object of an absurd size: `H5HG_read`, at the first text in it.
        WaitStatus::Signaled(_, Signal::SIGXCPU | Signal::SIGKILL, _) => _ = ENDLESS.fetch_add(1, Ordering::Relaxed),
        WaitStatus::Signaled(..) => _ = BROKEN.fetch_add(1, Ordering::Relaxed),
        other => panic!("{other:?}"),
    }
}

/// The metadata of a model: lines of `key = value`; `bands` is the width of its input.
pub fn onnx_metadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let find = |key: &str| {
        let values = text.lines().filter_map(|line| line.split_once('='));
        values.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned()).next()
    };
    let bands = find("bands").and_then(|bands| bands.parse().ok());
    match Metadata::read(find, bands) {
        Ok(metadata) => {
            if let Some(nm) = &metadata.wavelengths_nm {
                assert!(!nm.is_empty() && nm.windows(2).all(|pair| pair[0] < pair[1]) && bands.is_none_or(|bands| bands == nm.len()));
            }
        }
        Err((key, problem)) => assert!(key.starts_with("hyclus.") && !problem.is_empty()),
    }
}

/// A Parquet file, shown and followed. What is refused is refused with the file's name.
pub fn parquet(bytes: &[u8]) {
    static ROOT: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
        let root = std::env::temp_dir().join(format!("hyclus-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(root.join("embeddings/scan=s")).expect("a folder can be made");
        root
    });
    let part = ROOT.join("embeddings/scan=s/part-00000.parquet");
    std::fs::write(&part, bytes).expect("a file can be written");
    let said = |error: String| assert!(error.contains("part-00000.parquet"), "{error}");
    let mut text = Vec::new();
    match inspect(&part, &mut text) {
        Ok(()) => assert!(String::from_utf8_lossy(&text).starts_with(['P', 'w'])),
        Err(error) => said(error.to_string()),
    }
    let (mut tail, mut rows) = (Tail::new(&DataSet::main(&ROOT), Some("s")), RowWriter::new(Format::Jsonl, std::io::sink()));
    for _ in 0..10_000 {
        match tail.poll() {
            Ok(Some(row)) => rows.write(&row).expect("a sink takes everything"),
            Ok(None) => break,
            Err(error) => return said(error.to_string()),
        }
    }
}

/// What a client sends on a connection. It is answered with HTTP or not at all, never with 500, and the connection comes to its end.
pub fn control_request(bytes: &[u8]) {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had"));
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    let talk = async {
        let (client, server) = tokio::io::duplex(1 << 16);
        let (operations, access): (Arc<dyn Operations>, _) = (Arc::new(Nothing), Arc::<Access>::default());
        let served = serve_stream(server, Caller::default(), operations, access, METRICS.clone(), Limits::default());
        let (mut from, mut to) = tokio::io::split(client);
        let send = async {
            // A daemon that has heard enough closes.
            let _ = to.write_all(bytes).await;
            let _ = to.shutdown().await;
        };
        let mut answer = Vec::new();
        let (_, read, ()) = tokio::join!(served, from.read_to_end(&mut answer), send);
        read.expect("memory does not fail");
        answer
    };
    let answer = RUNTIME.block_on(async { tokio::time::timeout(Duration::from_secs(5), talk).await }).expect("the connection ends");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", answer.escape_ascii());
    assert!(
        ![&b"HTTP/1.1 500 "[..], b"HTTP/1.0 500 "].iter().any(|wrong| answer.windows(13).any(|part| part == *wrong)),
        "{}",
        answer.escape_ascii()
    );
}

/// A rig that is never ready.
struct Nothing;

fn not_ready<T>() -> Result<T, Refusal> {
    Err(Refusal::NotReady { reason: "this is a test".to_owned() })
}

#[async_trait]
impl Operations for Nothing {
    async fn status(&self) -> Status {
        Status {
            state: StateName::Idle,
            cause: None,
            rig: String::new(),
            version: String::new(),
            devices: Vec::new(),
            references: Vec::new(),
            disk_free_bytes: 0,
            queues: std::collections::BTreeMap::new(),
            scan: None,
            pending: std::collections::BTreeMap::new(),
            pending_encoders: std::collections::BTreeMap::new(),
            pending_minerals: std::collections::BTreeMap::new(),
            set_aside: std::collections::BTreeMap::new(),
        }
    }
    async fn start_scan(&self, request: ScanRequest, _: Peer) -> Result<ScanRecord, Refusal> {
        Tray::check(&request.tray.unwrap_or_default()).map_err(|faults| Refusal::Invalid { faults })?;
        not_ready()
    }
    async fn scans(&self) -> Vec<ScanRecord> {
        Vec::new()
    }
    async fn scan(&self, id: &str) -> Result<ScanRecord, Refusal> {
        hyclus::data_root::record(Path::new("/nonexistent"), id).ok_or_else(|| Refusal::Unknown { what: "scan", id: id.to_owned() })
    }
    async fn stop_scan(&self, id: &str, _: Peer) -> Result<ScanRecord, Refusal> {
        self.scan(id).await
    }
    async fn reference(&self, _: ReferenceKind, _: ReferenceRequest, _: Peer) -> Result<Vec<ReferenceStatus>, Refusal> {
        not_ready()
    }
    async fn lighting(&self, request: LightingRequest, _: Peer) -> Result<Vec<DeviceStatus>, Refusal> {
        match (0.0..=1.0).contains(&request.level) {
            true => not_ready(),
            false => Err(Refusal::Invalid { faults: vec![Fault::new("level", "must be from 0 to 1")] }),
        }
    }
    async fn conveyor(&self, _: ConveyorRequest, _: Peer) -> Result<DeviceStatus, Refusal> {
        not_ready()
    }
    async fn emergency_stop(&self, _: Peer) -> Status {
        self.status().await
    }
    async fn acknowledge(&self, _: Peer) -> Result<Status, Refusal> {
        not_ready()
    }
    async fn encoders(&self) -> Vec<EncoderStatus> {
        Vec::new()
    }

    async fn replace_encoder(&self, name: &str, _: Vec<u8>, _: Peer) -> Result<EncoderStatus, Refusal> {
        Err(Refusal::Unknown { what: "encoder", id: name.to_owned() })
    }

    async fn restore_encoder(&self, name: &str, _: Peer) -> Result<EncoderStatus, Refusal> {
        Err(Refusal::Unknown { what: "encoder", id: name.to_owned() })
    }

    async fn archived(&self, id: &str, _: ArchivedRequest, _: Peer) -> Result<ScanRecord, Refusal> {
        Err(Refusal::Unknown { what: "scan", id: id.to_owned() })
    }

    async fn worklist(&self) -> Result<WorklistStatus, Refusal> {
        Ok(WorklistStatus::default())
    }

    async fn put_worklist(&self, request: WorklistRequest, _: Peer) -> Result<WorklistStatus, Refusal> {
        let trays = request.maps().map_err(|faults| Refusal::Invalid { faults })?;
        let held = Worklist::new(trays, "", "").map_err(|faults| Refusal::Invalid { faults })?;
        Ok(held.status(&[]))
    }

    async fn remove_worklist(&self, _: Peer) -> Result<WorklistStatus, Refusal> {
        Ok(WorklistStatus::default())
    }

    fn events(&self, _: Option<u64>) -> (Vec<Event>, broadcast::Receiver<Event>) {
        (Vec::new(), broadcast::channel(1).1)
    }
    fn check_tray(&self, tray: &serde_json::Value) -> Vec<Fault> {
        Tray::check(tray).err().unwrap_or_default()
    }

    fn live(&self) -> hyclus::live::Tap {
        hyclus::live::Tap::default()
    }

    fn metrics(&self) -> String {
        String::new()
    }
    fn liveness(&self) -> Liveness {
        Liveness::default()
    }
    async fn readiness(&self) -> Readiness {
        Readiness::default()
    }
}
