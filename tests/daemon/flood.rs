//! Connections without number: they end no scan, and keep nobody from the emergency stop.

use super::rig::{Daemon, Options, PATIENCE, configuration, tray, until};
use hyclus::scan::{EventKind, StateName};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections that are open at a time.
const OPEN: usize = 400;

/// Lets this process open as many files as it may.
fn many_files() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

/// A thread that only connects. It holds some hundred connections, and replaces the oldest by a new one, until it is dropped.
struct Flood {
    on: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn begin<S: Send + 'static>(connect: impl Fn() -> std::io::Result<S> + Send + 'static) -> Self {
        let (on, made) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
        let thread = std::thread::spawn({
            let (on, made) = (on.clone(), made.clone());
            move || {
                let mut open = VecDeque::new();
                while on.load(SeqCst) {
                    open.extend(connect());
                    made.fetch_add(1, SeqCst);
                    if open.len() > OPEN {
                        open.pop_front();
                    }
                    // A flood that leaves no time to the machine would show nothing but that.
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        Self { on, made, thread: Some(thread) }
    }

    /// Waits until more connections were made than the daemon has descriptors.
    async fn rises(&self) {
        let begin = Instant::now();
        while self.made.load(SeqCst) < 2 * OPEN {
            assert!(begin.elapsed() < PATIENCE, "{} connections", self.made.load(SeqCst));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.on.store(false, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer of the read-only listener, once it has a place.
fn metrics(address: &str) -> String {
    let begin = Instant::now();
    loop {
        let mut text = String::new();
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        if asked.is_ok() && text.starts_with("HTTP/1.1 200") {
            return text;
        }
        assert!(begin.elapsed() < PATIENCE, "{asked:?}: {text}");
    }
}

/// With 256 descriptors, of which the hard limit is one, the connections of one process fill what is theirs and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_ends_no_scan_and_delays_no_stop() {
    many_files();
    let options = Options { pace: "real_time", time_scale: 0.5, pool_slots: 256, ..Options::default() };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), configuration(&options)).unwrap();
    let by = ["sh", "-c", "ulimit -n 256 && exec \"$@\"", "sh"].map(Into::into);
    let daemon = Daemon::launch_by(&by, folder, &[]);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Warming, .. })).await;
    let (address, socket) = (daemon.address.clone(), daemon.socket.clone());
    let floods = [Flood::begin(move || TcpStream::connect(&address)), Flood::begin(move || UnixStream::connect(&socket))];
    for flood in &floods {
        flood.rises().await;
    }
    let closed = |kind: &EventKind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id);
    until(&mut events, closed).await;
    let record = daemon.record(&id);
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    assert!(record.cameras.values().all(|sums| sums.received == sums.expected), "{:?}", record.cameras);
    let (_, descriptors) = daemon.usage("VmRSS");
    assert!(descriptors < 256 / 2, "{descriptors} descriptors are open");
    for _ in 0..20 {
        let begin = Instant::now();
        client.emergency_stop().await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
    let made: Vec<usize> = floods.iter().map(|flood| flood.made.load(SeqCst)).collect();
    println!("{made:?} connections, {descriptors} descriptors");
    drop(floods);
    assert!(metrics(&daemon.address).contains("hyclus_scans_total{outcome=\"complete\"} 1\n"));
    assert_eq!(client.status().await.unwrap().state, StateName::Faulted);
}

/// The connections of one user, idle, half-said and followed, keep that user from everything but the stop.
#[tokio::test]
async fn an_emergency_stop_gets_through_whatever_is_open() {
    many_files();
    let daemon = Daemon::start(&Options::default());
    let said: [&[u8]; 4] = [b"", b"POST /v1/stop HTTP/1.1\r\nhost: x\r\n", b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /v1/sta"];
    for open in [64, OPEN] {
        let held: Vec<UnixStream> = (0..open)
            .map(|i| {
                let mut stream = UnixStream::connect(&daemon.socket).unwrap();
                let _ = stream.write_all(said[i % said.len()]);
                stream
            })
            .collect();
        // It tries for some seconds, and the idle connections are hung up on after ten.
        let mut status = Command::new(env!("CARGO_BIN_EXE_hyclus"));
        let status = status.arg("--socket").arg(&daemon.socket).arg("status").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        for _ in 0..20 {
            let begin = Instant::now();
            let stopped = daemon.hyclus(&["stop", "--emergency"]);
            assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        }
        let busy = status.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&busy.stderr).into_owned();
        assert!(busy.status.code() == Some(1) && words.contains("too many connections are open"), "{words}");
        drop(held);
        assert!(daemon.hyclus(&["status"]).status.success());
    }
}

/// Where the daemon has no descriptor left, whatever took them, the stop is accepted all the same, and the cause is named.
#[tokio::test]
async fn without_a_descriptor_the_stop_is_answered_and_the_cause_is_named() {
    let daemon = Daemon::start(&Options::default());
    let client = daemon.client().await;
    let limit = |pid: u32, limit: String| {
        let done = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
        assert!(done.success(), "prlimit");
    };
    // Each listener keeps a descriptor of /dev/null for this. The limit lies behind theirs. Connections that say nothing take what is free
    // before it.
    client.status().await.unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().flatten();
    let kept = open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == Path::new("/dev/null")));
    let last = kept.filter_map(|entry| entry.file_name().to_str()?.parse::<usize>().ok()).max().unwrap();
    limit(daemon.pid(), format!("--nofile={}:", last + 1));
    let _held: Vec<UnixStream> = (0..30).map(|_| UnixStream::connect(&daemon.socket).unwrap()).collect();
    for _ in 0..5 {
        let stopped = tokio::time::timeout(Duration::from_secs(30), client.emergency_stop()).await;
        assert_eq!(stopped.expect("it is answered in time").unwrap().state, StateName::Faulted);
    }
    limit(daemon.pid(), "--nofile=512:".to_owned());
    assert_eq!(client.acknowledge().await.unwrap().state, StateName::Idle);
    let (_, log, _) = daemon.end("-TERM");
    let told = |line: &str| line.contains("no connection can be accepted but for an emergency stop") && line.contains("LimitNOFILE");
    assert!(log.iter().any(|line| told(line)), "{}", log.join("\n"));
}

/// The limit of open files is the hard one, and where that is low the log says so.
#[test]
fn the_daemon_opens_as_many_files_as_it_may() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), configuration(&Options::default())).unwrap();
    let by = ["sh", "-c", "ulimit -Sn 300 && ulimit -Hn 900 && exec \"$@\"", "sh"].map(Into::into);
    let daemon = Daemon::launch_by(&by, folder, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["900", "900"], "{line}");
    let (_, log, _) = daemon.end("-TERM");
    assert!(log.iter().any(|line| line.contains("\"WARN\"") && line.contains("LimitNOFILE")), "{}", log.join("\n"));
}
