//! A daemon of its own for each test: a small simulated rig in a temporary folder.

use hyclus::client::{Client, EventStream, Notice};
use hyclus::scan::{EventKind, ScanRecord};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Nothing in a test takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a test's rig is like.
pub struct Options {
    /// `as_read` or `real_time`.
    pub pace: &'static str,
    /// Simulated seconds per second in `real_time`.
    pub time_scale: f64,
    /// Rows and columns of the tray.
    pub tray: (usize, usize),
    /// Further keys of `[simulation]`.
    pub simulation: &'static str,
    /// Further tables at the end.
    pub more: String,
    /// Slots of each frame pool.
    pub pool_slots: usize,
    /// Bands of the first camera.
    pub bands: usize,
    /// Exposure, µs.
    pub exposure_us: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: "as_read",
            time_scale: 1.0,
            tray: (2, 2),
            simulation: "",
            more: String::new(),
            pool_slots: 16,
            bands: 40,
            exposure_us: 2000.0,
        }
    }
}

/// The encoder of the simulated rig: it takes any spectra from 420 to 2480 nm.
pub fn encoder() -> String {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx");
    format!("[encoder]\nmodel = {:?}\nbatch = 64\n[publish]\nmax_age_s = 0.1\n", model)
}

/// A configuration: two cameras on a tray of `rows` x `columns` containers, pixels of about 2.4 mm.
pub fn configuration(options: &Options) -> String {
    let Options { pace, time_scale, tray: (rows, columns), simulation, more, pool_slots, bands, exposure_us } = options;
    let length = 20.0 + 75.0 * (*rows as f64) + 10.0;
    format!(
        r#"
[rig]
name = "test"
data_dir = "data"
[control]
socket = "s"
listen = "127.0.0.1:0"
[simulation]
seed = 3
pace = "{pace}"
time_scale = {time_scale:?}
warm_up_s = 0.01
lamp_drift = 0.0
{simulation}
[simulation.tray]
rows = {rows}
columns = {columns}
[conveyor]
speed_mm_per_s = 80.0
device = {{ kind = "simulated" }}
[[camera]]
name = "vnir"
field_of_view_mm = 300.0
exposure_us = {exposure_us:?}
frame_rate_hz = 40.0
pool_slots = {pool_slots}
device = {{ kind = "simulated", pixels = 128, bands = {bands}, dead_elements = 5, hot_elements = 5 }}
[[camera]]
name = "swir"
offset_mm = 40.0
shift_mm = 1.5
field_of_view_mm = 300.0
exposure_us = 2000.0
frame_rate_hz = 32.0
pool_slots = {pool_slots}
device = {{ kind = "simulated", pixels = 96, bands = 48, first_nm = 1000.0, last_nm = 2500.0, offset_mm = 40.0, shift_mm = 1.5, bits = 16, dead_elements = 5, hot_elements = 5 }}
[[light]]
name = "halogen"
device = {{ kind = "simulated" }}
[scan]
warm_up_s = 0.05
[lamps]
window_s = 0.3
[references]
panel = {{ reflectance = 0.95 }}
panel_mm = [-70.0, -25.0]
frames = 12
[grid]
pixel_mm = 2.4
[segment.tray]
length_mm = {length:?}
{more}
"#
    )
}

/// A tray map for the simulated tray.
pub fn tray(rows: usize, columns: usize) -> Value {
    let mut containers = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let at = format!("{}{}", char::from(b'A' + u8::try_from(row).unwrap()), column + 1);
            containers.push(json!({"at": at, "sample": format!("S-{at}"), "plant": "P1", "size": "M100"}));
        }
    }
    json!({"tray": "T", "keys": ["plant", "size"], "grid": {"rows": rows, "columns": columns}, "container": containers})
}

/// A running daemon. It is killed when the test ends.
pub struct Daemon {
    pub folder: TempDir,
    child: Child,
    pub socket: PathBuf,
    pub data: PathBuf,
    pub address: String,
    log: std::thread::JoinHandle<Vec<String>>,
}

impl Daemon {
    /// Starts a daemon and waits until it is ready.
    pub fn start(options: &Options) -> Self {
        Self::with(&configuration(options))
    }

    /// Starts a daemon on a configuration of its own.
    pub fn with(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rig.toml"), configuration).unwrap();
        Self::launch(folder)
    }

    /// Starts a daemon in a folder in which one was before, and waits until it is ready.
    pub fn launch(folder: TempDir) -> Self {
        Self::launch_in(folder, &[])
    }

    /// The same, with variables of the environment of its own.
    pub fn launch_in(folder: TempDir, environment: &[(&str, OsString)]) -> Self {
        Self::launch_by(&[], folder, environment)
    }

    /// The same, by a command that runs another in its place.
    pub fn launch_by(by: &[OsString], folder: TempDir, environment: &[(&str, OsString)]) -> Self {
        let config = folder.path().join("rig.toml");
        // As systemd does, whose watchdog names the process that is to feed it.
        let mut child = Command::new("sh")
            .args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"])
            .args(by)
            .args([env!("CARGO_BIN_EXE_hyclusd"), "--config"])
            .arg(&config)
            .envs(environment.iter().cloned())
            .env("HYCLUS_LOG", "info")
            .env("HYCLUS_LOG_FORMAT", "json")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut seen, mut address, mut ready) = (Vec::new(), String::new(), false);
        while !ready {
            let Some(Ok(line)) = lines.next() else { panic!("hyclusd did not start:\n{}", seen.join("\n")) };
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &message["fields"];
            if fields["message"] == "read-only listener" {
                address = fields["address"].as_str().unwrap_or_default().to_owned();
            }
            ready = fields["message"] == "hyclusd is ready";
            seen.push(line);
        }
        let log = std::thread::spawn(move || {
            seen.extend(lines.map_while(Result::ok));
            seen
        });
        let (socket, data) = (folder.path().join("s"), folder.path().join("data"));
        Self { folder, child, socket, data, address, log }
    }

    /// Number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client of its control socket.
    pub async fn client(&self) -> Client {
        Client::connect(&self.socket).await.unwrap()
    }

    /// Runs `hyclus` against it.
    pub fn hyclus(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hyclus")).arg("--socket").arg(&self.socket).args(arguments).output().unwrap()
    }

    /// Sends a signal, waits for the end, and gives whether it ended well, its log and its folder.
    pub fn end(mut self, signal: &str) -> (bool, Vec<String>, TempDir) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let success = self.child.wait().unwrap().success();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(Vec::new));
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (success, log.join().unwrap(), folder)
    }

    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// What `/proc` says of it: a field of its `status`, and the number of its open files.
    pub fn usage(&self, field: &str) -> (u64, usize) {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let status = std::fs::read_to_string(proc.join("status")).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        (value.split_whitespace().next().unwrap().parse().unwrap(), std::fs::read_dir(proc.join("fd")).unwrap().count())
    }

    /// Kills it, as a crash does, and gives its folder.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// `scan.json` of a scan.
    pub fn record(&self, id: &str) -> ScanRecord {
        let text = std::fs::read_to_string(self.data.join("scans").join(id).join("scan.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads events until one is wanted, and gives all of them.
pub async fn until(events: &mut EventStream, wanted: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
    let mut seen = Vec::new();
    let read = async {
        loop {
            match events.next().await.unwrap() {
                Notice::Event(event) => {
                    let found = wanted(&event.kind);
                    seen.push(event.kind);
                    if found {
                        return;
                    }
                }
                Notice::Lagged(missed) => panic!("{missed:?} events missed"),
            }
        }
    };
    if tokio::time::timeout(PATIENCE, read).await.is_err() {
        panic!("not seen within {PATIENCE:?}, but:\n{}", seen.iter().map(|kind| format!("{kind:?}\n")).collect::<String>());
    }
    seen
}

/// Starts a scan and waits for its end.
pub async fn scan(daemon: &Daemon, tray: Value) -> (ScanRecord, Vec<EventKind>) {
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray).await.unwrap().id;
    let seen = until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    (daemon.record(&id), seen)
}

/// Everything below a folder: path, size, time of change.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, about) = (entry.path(), entry.metadata().unwrap());
        if about.is_dir() {
            all.extend(tree(&path));
        } else {
            all.insert(path, (about.len(), about.modified().unwrap()));
        }
    }
    all
}

/// Compiles a library of `tests/` for `LD_PRELOAD`.
pub fn preloaded(source: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let name = source.file_stem().unwrap().to_str().unwrap();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(&compiler);
    let status = command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built).arg(&source).args(["-ldl", "-lpthread"]).status();
    assert!(status.is_ok_and(|status| status.success()), "{} does not compile {}", compiler.display(), source.display());
    built
}
