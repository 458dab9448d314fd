//! Drives behind a pymodbus server, which is not ours: `drives/peer.py`.
#![allow(dead_code, clippy::unwrap_used)]

use conveyor_modbus::{Config, Drive, Parity};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TIMEOUT: Duration = Duration::from_secs(30);

pub const PROFILES: [&str; 5] = ["siemens-v20", "delta-ms300", "abb-acs", "schneider-altivar", "plc"];

pub struct Peer {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    pub place: String,
    profile: &'static str,
}

impl Peer {
    /// `None` where Python tests are left out.
    pub fn start(transport: &str, profile: &'static str) -> Option<Self> {
        Self::start_with(transport, profile, &[])
    }

    /// A drive, unit 1, and the units that are `beside` it.
    pub fn start_with(transport: &str, profile: &'static str, beside: &[&str]) -> Option<Self> {
        if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
            eprintln!("skipped, because HYCLUS_SKIP_PYTHON is set");
            return None;
        }
        let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drives/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([transport, profile])
            .args(beside)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts; set HYCLUS_PYTHON");
        let (send, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let input = child.stdin.take().unwrap();
        let mut peer = Self { child, input, lines, place: String::new(), profile };
        peer.place =
            peer.until("at ").pop().expect("the peer says where it is (pymodbus and pyserial are needed: make setup)")[3..].to_owned();
        Some(peer)
    }

    /// Lines up to the first with this beginning.
    fn until(&self, begin: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let end = Instant::now() + TIMEOUT;
        loop {
            assert!(Instant::now() < end, "no `{begin}` within {TIMEOUT:?}; heard {seen:?}");
            let line = self.lines.recv_timeout(TIMEOUT).unwrap_or_else(|e| panic!("no `{begin}`: {e}; heard {seen:?}"));
            let found = line.starts_with(begin);
            seen.push(line);
            if found {
                return seen;
            }
        }
    }

    /// Sets a fault. Returns the frames on the wire until then.
    pub fn tell(&mut self, fault: &str) -> Vec<String> {
        writeln!(self.input, "{fault}").unwrap();
        self.until(&format!("done {}", fault.split(' ').next().unwrap()))
    }

    /// The frames on the wire until one with this beginning.
    pub fn sent(&self, frame: &str) -> Vec<String> {
        self.until(&format!("> {frame}"))
    }

    /// Frames to the drive since the last call, without readings.
    pub fn written(&mut self) -> Vec<String> {
        let frames = self.tell("clear");
        let written = frames.iter().filter_map(|line| line.strip_prefix("> ")).filter(|frame| !is_reading(frame));
        written.map(str::to_owned).collect()
    }

    pub fn config(&self) -> Config {
        let hz = self.profile != "plc";
        let serial = self.place.starts_with('/');
        Config {
            profile: Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../config/drives/{}.toml", self.profile)),
            port: serial.then(|| self.place.clone().into()),
            baud: 19_200,
            parity: Parity::Even,
            stop_bits: 1,
            address: (!serial).then(|| self.place.clone()),
            unit: 1,
            timeout_ms: 200,
            poll_ms: 20,
            mm_per_s_per_hz: hz.then_some(4.0),
            min_speed_mm_per_s: 1.0,
            max_speed_mm_per_s: 200.0,
            reversible: true,
            reversed: false,
            ramp_s: 3.0,
            watchdog_ms: 2000,
            encoder_counts_per_mm: (!hz).then_some(40.0),
            encoder: None,
            start_position_mm: 0.0,
            clear_fault_at_open: false,
        }
    }

    pub fn drive(&self) -> Drive {
        Drive::open(&self.config()).unwrap()
    }
}

/// Host time in this number of seconds, ns since 1970.
pub fn in_seconds(seconds: u64) -> i64 {
    let then = SystemTime::now() + Duration::from_secs(seconds);
    i64::try_from(then.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Function 3 or 4, of a frame with or without the header of TCP.
fn is_reading(frame: &str) -> bool {
    let bytes: Vec<&str> = frame.split(' ').collect();
    let function = if bytes.len() == 12 { bytes[7] } else { bytes[1] };
    function == "03" || function == "04"
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
