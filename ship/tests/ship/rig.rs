//! A rig whose scans are made here, and the program that ships them.

use hyclus::data_root;
use hyclus::scan::ScanRecord;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A rig with scans and a shipper.
pub struct Rig {
    pub folder: TempDir,
    pub name: String,
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Rig {
    /// A rig with a section `[ship]`.
    pub fn new(name: &str, ship: &str) -> Self {
        let rig = Self { folder: tempfile::tempdir().unwrap(), name: name.to_owned() };
        fs::create_dir_all(rig.data()).unwrap();
        rig.configure(ship);
        rig
    }

    /// Writes the configuration anew.
    pub fn configure(&self, ship: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = fs::read_to_string(root.join("config/simulated.toml")).unwrap();
        let mut table: toml::Table = toml::from_str(&text).unwrap();
        for (section, key, value) in [("rig", "name", self.name.clone()), ("rig", "data_dir", self.data().display().to_string())] {
            table[section].as_table_mut().unwrap().insert(key.into(), value.into());
        }
        let socket = self.folder.path().join("control.sock").display().to_string();
        table["control"].as_table_mut().unwrap().insert("socket".into(), socket.into());
        for section in ["encoder", "minerals", "console", "head"] {
            table.remove(section);
        }
        // A belt that waits for slow readers loses nothing, however busy this machine is.
        table["simulation"].as_table_mut().unwrap().insert("pace".into(), "as_read".into());
        let mut ship: toml::Table = toml::from_str(ship).unwrap();
        ship.entry("state_dir").or_insert_with(|| self.folder.path().join("state").display().to_string().into());
        ship.entry("poll_s").or_insert(0.1.into());
        table.insert("ship".into(), ship.into());
        fs::write(self.config(), toml::to_string(&table).unwrap()).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("rig.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A scan that has ended, with a raw recording of `raw` bytes and small other files of random bytes.
    pub fn scan(&self, id: &str, raw: usize, seed: u64) -> ScanRecord {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/formats/2/scans/20000101T000000Z-T1/scan.json");
        let mut value: Value = serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let paths = [
            (format!("embeddings/scan={id}/part-00000.parquet"), 4000),
            (format!("minerals/scan={id}/part-00000.parquet"), 3000),
            (format!("scans/{id}/quicklook.png"), 500),
            (format!("scans/{id}/raw/vnir/capture/{id}.hdr"), 300),
            (format!("scans/{id}/raw/vnir/capture/{id}.raw"), raw),
            (format!("scans/{id}/samples/left.h5"), 50_000),
        ];
        let files: Vec<Value> = paths.iter().map(|(path, bytes)| self.file(path, *bytes, &mut random)).collect();
        value["id"] = json!(id);
        value["started"] = json!(format!("2026-01-01T00:00:{:02}Z", seed % 60));
        value["files"] = json!(files);
        let record: ScanRecord = serde_json::from_value(value).unwrap();
        record.write(&self.data()).unwrap();
        record
    }

    /// Writes a file of random bytes. Gives its entry in the record.
    fn file(&self, path: &str, bytes: usize, random: &mut Pcg64Mcg) -> Value {
        let at = self.data().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let mut contents = vec![0; bytes];
        random.fill(&mut contents[..]);
        fs::write(&at, &contents).unwrap();
        json!({"path": path, "bytes": bytes, "blake3": blake3::hash(&contents).to_hex().to_string()})
    }

    /// Writes a file of a scan anew, and its hash into the record, as a later identification does.
    pub fn change(&self, record: &mut ScanRecord, path: &str, bytes: usize) {
        let entry = self.file(path, bytes, &mut Pcg64Mcg::seed_from_u64(bytes as u64));
        let new = serde_json::from_value(entry).unwrap();
        *record.files.iter_mut().find(|file| file.path == path).unwrap() = new;
        record.write(&self.data()).unwrap();
    }

    /// The program with arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus-ship"));
        command.arg("--config").arg(self.config()).args(arguments).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end. Gives what it printed, and whether it succeeded.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
    }

    /// Ships what there is.
    pub fn ship(&self) -> (bool, String) {
        self.run(&["run", "--once"])
    }

    /// Starts the shipper, which goes on until it is killed.
    pub fn start(&self) -> Running {
        let log = fs::File::create(self.folder.path().join("ship.log")).unwrap();
        Running(self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// What the started shipper logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("ship.log")).unwrap_or_default()
    }

    /// `hyclus-ship status --json`.
    pub fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Fetches a scan into a data root. Gives what was printed, and whether it succeeded.
    pub fn fetch(&self, id: &str, into: &Path) -> (bool, String) {
        self.run(&["fetch", id, "--into", into.to_str().unwrap()])
    }

    /// Fetches a scan into an empty data root, and verifies it there as `hyclus verify` does.
    pub fn fetched_whole(&self, id: &str) -> ScanRecord {
        let into = tempfile::tempdir().unwrap();
        let (ok, text) = self.fetch(id, into.path());
        assert!(ok, "{text}");
        whole(id, into.path())
    }
}

/// The record of a scan in a data root, where all of its files are what it says.
pub fn whole(id: &str, data: &Path) -> ScanRecord {
    let record = data_root::record(data, id).unwrap();
    let damages = data_root::verify(&record, data, &|| {}).unwrap();
    assert!(damages.is_empty(), "{damages:?}");
    record
}

/// A program that is killed at the end.
pub struct Running(pub Child);

impl Running {
    /// Kills the program as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
