//! The daemon, played: it answers on a unix socket, notes each call, and sends what a test gives it on the tap.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A call that the daemon got.
#[derive(Debug, Clone)]
pub struct Call {
    pub line: String,
    pub person: String,
    pub body: String,
    pub at: Instant,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    taps: Mutex<Vec<UnixStream>>,
}

#[derive(Clone, Default)]
pub struct Daemon(Arc<Shared>);

pub const STATUS: &str = r#"{"state":"idle","cause":null,"rig":"simulated","version":"0.1.0","devices":[],"references":[],"disk_free_bytes":1,"queues":{},"scan":null}"#;

impl Daemon {
    pub fn listen(path: &Path) -> Self {
        let daemon = Self::default();
        let listener = UnixListener::bind(path).unwrap();
        let served = daemon.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let daemon = served.clone();
                std::thread::spawn(move || daemon.answer(stream));
            }
        });
        daemon
    }

    fn answer(&self, mut stream: UnixStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let header = |name: &str| {
            head.iter()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
        let call = Call {
            line: line.clone(),
            person: header("x-hyclus-for").unwrap_or_default(),
            body: String::from_utf8(body).unwrap(),
            at: Instant::now(),
        };
        self.0.calls.lock().unwrap().push(call);
        if line.starts_with("GET /v1/live") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n").unwrap();
            self.0.taps.lock().unwrap().push(stream);
            return;
        }
        let answer = match line.as_str() {
            "GET /v1/health/ready" => r#"{"ready":true,"missing":[]}"#,
            "GET /v1/metrics" => "hyclus_disk_free_bytes 1000000000\n",
            line if line.starts_with("POST /v1/scans") => r#"{"id":"s1"}"#,
            "POST /v1/trays/check" => r#"{"faults":[]}"#,
            "PUT /v1/conveyor" => r#"{"device":"conveyor","model":"x","connected":true,"state":null}"#,
            _ => STATUS,
        };
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        let _ = stream.write_all(text.as_bytes());
    }

    /// Calls that are no mere look at the rig.
    pub fn calls(&self) -> Vec<Call> {
        let looks = ["GET /v1/live", "GET /v1/status", "GET /v1/health", "GET /v1/metrics"];
        self.0.calls.lock().unwrap().iter().filter(|call| !looks.iter().any(|look| call.line.starts_with(look))).cloned().collect()
    }

    pub fn all_calls(&self) -> Vec<Call> {
        self.0.calls.lock().unwrap().clone()
    }

    /// Waits until a call fits.
    pub fn wait_for(&self, fits: impl Fn(&Call) -> bool) -> Call {
        wait(|| self.all_calls().into_iter().find(|call| fits(call)))
    }

    /// Sends a message to everyone who follows the tap.
    pub fn send(&self, kind: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 1).unwrap().to_le_bytes();
        let message = [&length[..], &[kind], body].concat();
        self.0.taps.lock().unwrap().retain_mut(|tap| tap.write_all(&message).is_ok());
    }

    /// Waits until somebody follows the tap.
    pub fn tapped(&self) {
        wait(|| (!self.0.taps.lock().unwrap().is_empty()).then_some(()));
    }
}

/// Waits until there is something. A test that waits in vain fails.
pub fn wait<T>(look: impl FnMut() -> Option<T>) -> T {
    wait_for(Duration::from_secs(20), look)
}

/// Waits so long until there is something.
pub fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < patience, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}
