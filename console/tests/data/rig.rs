//! A data root that the real daemon made on a simulated rig, and a server over it.

use hyclus_console::data::{self, Caller, Data};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(120);

const CONFIGURATION: &str = r#"
[rig]
name = "test"
data_dir = "data"
[control]
socket = "s"
[simulation]
seed = 3
pace = "as_read"
warm_up_s = 0.01
lamp_drift = 0.0
[simulation.tray]
rows = 2
columns = 2
[conveyor]
speed_mm_per_s = 80.0
device = { kind = "simulated" }
[[camera]]
name = "vnir"
field_of_view_mm = 300.0
exposure_us = 2000.0
frame_rate_hz = 40.0
device = { kind = "simulated", pixels = 128, bands = 40, dead_elements = 5, hot_elements = 5, lost_per_thousand = 100.0 }
[[camera]]
name = "swir"
offset_mm = 40.0
shift_mm = 1.5
field_of_view_mm = 300.0
exposure_us = 2000.0
frame_rate_hz = 32.0
device = { kind = "simulated", pixels = 96, bands = 48, first_nm = 1000.0, last_nm = 2500.0, offset_mm = 40.0, shift_mm = 1.5, bits = 16, dead_elements = 5, hot_elements = 5 }
[[light]]
name = "halogen"
device = { kind = "simulated" }
[scan]
warm_up_s = 0.05
[lamps]
window_s = 0.3
[references]
panel = { reflectance = 0.95 }
panel_mm = [-70.0, -25.0]
frames = 12
[grid]
pixel_mm = 2.4
[segment.tray]
length_mm = 180.0
"#;

/// The programs of the workspace. `HYCLUS_BIN` names their folder, else they are those beside this test.
pub fn program(name: &str) -> PathBuf {
    let beside = || std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let path = std::env::var_os("HYCLUS_BIN").map_or_else(beside, PathBuf::from).join(name);
    assert!(path.exists(), "{} is missing; run `make build`, or set HYCLUS_BIN to the folder of the programs", path.display());
    path
}

fn tray(name: &str) -> Value {
    let place = |at: &str, sample: &str, plant: &str| json!({"at": at, "sample": sample, "plant": plant, "note": "<script>alert(1)</script>", "vars": {"cu_percent": 0.5}});
    let places = [place("A1", "S-1", "north"), place("A2", "S-2", "south"), place("B1", "S-3", "north"), place("B2", "S-4", "south")];
    json!({"tray": name, "keys": ["plant", "note"], "grid": {"rows": 2, "columns": 2}, "container": places})
}

/// A data root with scans.
pub struct Root {
    /// It is removed with the last of it.
    _folder: TempDir,
    pub data: PathBuf,
    /// Ids of the scans, oldest first.
    pub scans: Vec<String>,
}

/// Two scans: the second has the spectra beside its embeddings, and minerals.
pub static ROOT: LazyLock<Root> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/encoders/simulated-pca4.onnx");
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/minerals/usgs.toml");
    let more = format!("[publish]\nspectra = true\n[minerals]\nlibrary = {library:?}\n");
    let scans = [("T-1", ""), ("T-2", &more)].map(|(name, more)| {
        let configuration = format!("{CONFIGURATION}[encoder]\nmodel = {model:?}\nbatch = 64\n{more}");
        std::fs::write(folder.path().join("rig.toml"), configuration).unwrap();
        scan(folder.path(), &tray(name))
    });
    let data = folder.path().join("data");
    Root { _folder: folder, data, scans: scans.into() }
});

/// Runs a daemon for one scan, and gives its id.
fn scan(folder: &Path, tray: &Value) -> String {
    std::fs::write(folder.join("tray.json"), tray.to_string()).unwrap();
    let mut daemon = Command::new(program("hyclusd"))
        .arg("--config")
        .arg(folder.join("rig.toml"))
        .env("HYCLUS_LOG", "info")
        .env("HYCLUS_LOG_FORMAT", "json")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        let Some(Ok(line)) = lines.next() else { panic!("hyclusd did not start:\n{}", said.join("\n")) };
        let ready = line.contains("hyclusd is ready");
        said.push(line);
        if ready {
            break;
        }
    }
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    let output = Command::new(program("hyclus"))
        .args(["--json", "--socket"])
        .arg(folder.join("s"))
        .args(["scan", "--wait", "--tray"])
        .arg(folder.join("tray.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let ended = Command::new("kill").arg(daemon.id().to_string()).status().unwrap();
    daemon.wait().unwrap();
    let log = rest.join().unwrap();
    assert!(output.status.success() && ended.success(), "{said}\n{}\n{}", String::from_utf8_lossy(&output.stderr), log.join("\n"));
    let records = std::fs::read_dir(folder.join("data/scans")).unwrap();
    records.map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap()
}

/// A server over a data root. It ends with the test's process.
pub struct Server {
    pub address: SocketAddr,
    pub state: TempDir,
    pub busy: Arc<AtomicBool>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}{}", self.head, String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }
}

impl Server {
    /// Serves a data root to a person who operates, or to one who looks.
    pub fn start(root: &Path, operates: bool) -> Self {
        let state = tempfile::tempdir().unwrap();
        let busy = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&busy);
        let data =
            Data::new(root.to_owned(), state.path().to_owned(), move || asked.load(Ordering::Relaxed)).with_program(program("hyclus"));
        let (given, taken) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let caller = Caller { name: "maria".to_owned(), operates };
                let router = data::router::<()>(Arc::new(data)).layer(axum::Extension(caller));
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                given.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { address: taken.recv().unwrap(), state, busy }
    }

    /// Sends a request as it is, whatever its path.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = body.map(Value::to_string);
        let length =
            body.as_ref().map_or(String::new(), |body| format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}\r\n{}", body.unwrap_or_default());
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// The JSON of a path that must be there.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Starts a job and waits for its end.
    pub fn job(&self, wanted: &Value) -> Value {
        let started = self.send("POST", "/api/jobs", Some(wanted));
        assert_eq!(started.status, 201, "{}", String::from_utf8_lossy(&started.body));
        self.ended(started.json()["id"].as_str().unwrap())
    }

    /// Waits for the end of a job.
    pub fn ended(&self, id: &str) -> Value {
        let begin = Instant::now();
        loop {
            let jobs = self.json("/api/jobs");
            let job = jobs.as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone();
            if !["waiting", "running"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(begin.elapsed() < PATIENCE, "{job}");
            std::thread::yield_now();
        }
    }
}

/// Runs a script of this folder that judges the server at an address over a data root.
pub fn judge(server: &Server, root: &Path, what: &str) {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        return;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/judge.py");
    let output = Command::new(&python).arg(script).arg(what).arg(format!("http://{}", server.address)).arg(root).output();
    let output = output.unwrap_or_else(|e| panic!("{python}: {e}; set HYCLUS_PYTHON"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
