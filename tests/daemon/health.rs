//! Alive and ready, and the watchdog that is fed by progress alone.

use super::rig::{Daemon, Options, PATIENCE, configuration, encoder, tray, until};
use hyclus::scan::{EventKind, Liveness, MissingKind, Readiness};
use nix::libc;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Status and body of a path of the read-only listener.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A thread of another process that stands still. It goes on when this is dropped.
struct Stopped(libc::pid_t);

impl Stopped {
    /// Stops the thread of a name, where there is one.
    fn stop(pid: u32, name: &str) -> Option<Self> {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let named = |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
        let task = tasks.map(|task| task.path()).find(|task| named(task))?;
        let thread: libc::pid_t = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // SAFETY: attaching to a thread of a child touches none of this process's memory.
        if unsafe { libc::ptrace(libc::PTRACE_ATTACH, thread, nothing, nothing) } != 0 {
            let error = std::io::Error::last_os_error();
            // It may have ended meanwhile.
            assert!(!task.exists(), "{name} cannot be stopped: {error}; may processes here trace their children?");
            return None;
        }
        let mut status = 0;
        // SAFETY: the status is written to a variable that lives through the call.
        unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        libc::WIFSTOPPED(status).then_some(Self(thread))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: this thread attached to it.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, nothing, nothing) };
    }
}

/// Messages to systemd that come within a time.
fn told(socket: &UnixDatagram, within: Duration) -> Vec<String> {
    let (mut all, begin) = (Vec::new(), Instant::now());
    let mut bytes = [0; 4096];
    while let Some(left) = within.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).unwrap();
        match socket.recv(&mut bytes) {
            Ok(n) => all.push(String::from_utf8_lossy(&bytes[..n]).into_owned()),
            Err(_) => break,
        }
    }
    all
}

fn fed(messages: &[String]) -> bool {
    messages.iter().any(|message| message.contains("WATCHDOG=1"))
}

// One thread: the one that stops another is the one that lets it go.
#[tokio::test]
async fn a_stage_that_is_stuck_does_not_feed_the_watchdog() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { tray: (3, 2), more: encoder(), ..Options::default() };
    // The other camera must wait for as long as this one stands still.
    let patient = configuration(&options).replace("pool_slots = 16\n", "pool_slots = 16\nsilence_s = 300.0\n");
    let text = patient.replace("warm_up_s = 0.05\n", "warm_up_s = 0.05\nstuck_s = 0.5\n");
    std::fs::write(folder.path().join("rig.toml"), text).unwrap();
    let systemd = folder.path().join("notify");
    let socket = UnixDatagram::bind(&systemd).unwrap();
    let daemon = Daemon::launch_in(folder, &[("NOTIFY_SOCKET", systemd.into()), ("WATCHDOG_USEC", "150000".into())]);
    assert!(fed(&told(&socket, Duration::from_secs(2))), "one with nothing to do is alive");
    let client = daemon.client().await;
    for stage in ["acquire-vnir", "rectify-vnir", "join", "store", "encode", "publish"] {
        let mut events = client.events(None).await.unwrap();
        let begin = Instant::now();
        let (id, stopped) = loop {
            let id = client.start_scan(tray(3, 2)).await.unwrap().id;
            let over = || daemon.record(&id).ended.is_some();
            let stopped = std::iter::from_fn(|| (!over()).then(|| Stopped::stop(daemon.pid(), stage))).flatten().next();
            if let Some(stopped) = stopped {
                break (id, stopped);
            }
            // On a machine that does other things too, the scan may be over before the thread was found.
            assert!(begin.elapsed() < PATIENCE, "there is no thread {stage}");
            until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
        };
        let begin = Instant::now();
        // A machine that does other things too may be slow without being stuck, and then goes on.
        let stuck = loop {
            // What was said before.
            socket.set_nonblocking(true).unwrap();
            while socket.recv(&mut [0; 64]).is_ok() {}
            socket.set_nonblocking(false).unwrap();
            let fed = fed(&told(&socket, Duration::from_millis(600)));
            let (status, body) = get(&daemon.address, "/v1/health/live");
            let health: Liveness = serde_json::from_str(&body).unwrap();
            assert_eq!(status == 200, health.alive);
            if !fed && health.stuck.iter().any(|stuck| stuck == stage || stuck == "every stage") {
                break health.stuck;
            }
            assert!(begin.elapsed() < PATIENCE, "{stage} stands still, and nobody knows: {health:?}, fed: {fed}");
        };
        println!("{stage} stands still; stuck: {}", stuck.join(", "));
        let (status, body) = get(&daemon.address, "/v1/health/ready");
        let health: Readiness = serde_json::from_str(&body).unwrap();
        assert!(status == 503 && health.missing.iter().any(|missing| missing.what == MissingKind::Progress), "{health:?}");
        drop(stopped);
        let closed = |kind: &EventKind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id);
        until(&mut events, closed).await;
        let record = daemon.record(&id);
        assert_eq!((record.complete, record.samples.len()), (Some(true), 6), "{stage}: {:?}", record.reason);
        assert!(fed(&told(&socket, Duration::from_secs(2))), "{stage} goes on, and it is alive again");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let daemon = Daemon::start(&Options::default());
    let ready = |daemon: &Daemon| {
        let (status, body) = get(&daemon.address, "/v1/health/ready");
        let health: Readiness = serde_json::from_str(&body).unwrap();
        assert_eq!(status == 200, health.ready);
        assert_eq!(get(&daemon.address, "/readyz").0, status);
        health
    };
    assert_eq!(ready(&daemon), Readiness { ready: true, missing: Vec::new() });
    std::fs::rename(&daemon.data, daemon.folder.path().join("elsewhere")).unwrap();
    let health = ready(&daemon);
    assert!(health.missing.len() == 1 && health.missing[0].what == MissingKind::Disk, "{health:?}");
    assert_eq!(get(&daemon.address, "/v1/health/live").0, 200, "it is alive all the same");
    std::fs::rename(daemon.folder.path().join("elsewhere"), &daemon.data).unwrap();
    assert!(ready(&daemon).ready);
}

/// While scans are recovered the daemon answers, and says so.
#[tokio::test]
async fn a_daemon_that_recovers_is_alive_and_not_ready() {
    let daemon = Daemon::start(&Options { tray: (6, 3), bands: 300, ..Options::default() });
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(6, 3)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::SampleStored { record, .. } if record.container.starts_with('D'))).await;
    let folder = daemon.kill();
    let launch = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hyclusd"))
            .arg("--config")
            .arg(folder.path().join("rig.toml"))
            .env("HYCLUS_LOG_FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let next = move |wanted: &str| loop {
            let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap_or_default();
            if line["fields"]["message"] == wanted {
                break line["fields"].clone();
            }
        };
        (child, next)
    };
    let (mut child, mut next) = launch();
    let address = next("read-only listener")["address"].as_str().unwrap().to_owned();
    let (status, body) = get(&address, "/v1/health/ready");
    let health: Readiness = serde_json::from_str(&body).unwrap();
    assert_eq!((status, health.missing[0].what), (503, MissingKind::Recovery), "{health:?}");
    assert!(health.missing[0].reason.contains(&id), "{health:?}");
    assert_eq!(get(&address, "/v1/health/live").0, 200);
    let client = hyclus::client::Client::connect(folder.path().join("s")).await.unwrap();
    let refused = client.start_scan(tray(6, 3)).await.unwrap_err();
    assert!(refused.not_ready() && refused.to_string().contains("recovered from its recording"), "{refused}");
    // A daemon that gets SIGTERM in the middle of it ends, and the next goes on.
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());

    let (mut child, mut next) = launch();
    let address = next("read-only listener")["address"].as_str().unwrap().to_owned();
    next("hyclusd is ready");
    assert_eq!(get(&address, "/v1/health/ready").0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
}
