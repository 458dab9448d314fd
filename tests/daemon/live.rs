//! The live tap, and what a viewer does to a scan: nothing.

use super::python;
use super::rig::{Daemon, Options, encoder, tray, until};
use hyclus::rig::{ConveyorRequest, Peer, Person};
use hyclus::scan::EventKind;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Follows the tap until a scan is closed, and gives its bytes without the chunks of HTTP.
pub fn follow(socket: &Path, query: &str) -> std::thread::JoinHandle<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET /v1/live{query} HTTP/1.1\r\nHost: rig\r\nConnection: close\r\n\r\n").unwrap();
    let (ready, first) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut all = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            all.extend_from_slice(&piece[..n]);
            // The first message shows that the reader is known to the tap.
            let _ = ready.send(());
            let from = all.len().saturating_sub(n + 50);
            if all[from..].windows(22).any(|seen| seen == br#""event":"scan_closed","#) {
                break;
            }
        }
        body(&all)
    });
    first.recv_timeout(Duration::from_secs(20)).unwrap();
    thread
}

/// The body of a chunked answer, which may be cut off.
fn body(answer: &[u8]) -> Vec<u8> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    assert!(text.starts_with("http/1.1 200") && text.contains("application/vnd.hyclus.live"), "{text}");
    let (mut rest, mut body) = (&answer[head + 4..], Vec::new());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let chunk = &rest[end + 2..];
        if length == 0 || chunk.len() < length {
            break;
        }
        body.extend_from_slice(&chunk[..length]);
        rest = &chunk[length + 2..];
    }
    body
}

/// What the tap shows is what the files hold: pictures, outlines, and the ledger with lost lines.
#[tokio::test]
async fn what_the_tap_shows_is_what_the_files_hold() {
    let options = Options { pace: "real_time", more: encoder(), ..Options::default() };
    let text = super::rig::configuration(&options);
    let daemon = Daemon::with(&text.replace("pixels = 128,", "pixels = 128, lost_per_thousand = 20.0,"));
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let reader = follow(&daemon.socket, "?bands=vnir:3,20");
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await;
    let messages = reader.join().unwrap();
    let record = daemon.record(&id);
    assert!(record.cameras["vnir"].lost > 0, "{:?}", record.cameras);
    let file = daemon.folder.path().join("live.bin");
    std::fs::write(&file, &messages).unwrap();
    python::run("live_tap.py", &[&file, &daemon.data.join("scans").join(&id)]);
}

/// Viewers that never read, and many of them, cost the scan nothing.
#[tokio::test]
async fn viewers_that_never_read_do_not_disturb_a_scan() {
    let options = Options { pace: "real_time", more: encoder(), ..Options::default() };
    let daemon = Daemon::start(&options);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        stream.write_all(b"GET /v1/live HTTP/1.1\r\nHost: rig\r\n\r\n").unwrap();
        silent.push(stream);
    }
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await;
    let record = daemon.record(&id);
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    assert!(record.cameras.values().all(|sums| sums.lost == 0), "{:?}", record.cameras);
    drop(silent);
}

/// The belt runs while somebody asks for it, and stands half a second after the last request.
#[tokio::test]
async fn a_jog_ends_by_itself() {
    let daemon = Daemon::start(&Options { pace: "real_time", ..Options::default() });
    let client = daemon.client().await;
    let moves = async || {
        let status = serde_json::to_value(client.status().await.unwrap()).unwrap();
        let devices = status["devices"].as_array().unwrap().clone();
        devices.iter().any(|device| device["device"] == "conveyor" && device["state"]["moving"] == true)
    };
    let jog = ConveyorRequest::Jog { speed_mm_per_s: 20.0 };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1200) {
        client.conveyor(&jog).await.unwrap();
        assert!(moves().await, "the belt runs while it is asked for");
        // Its own pace: a heartbeat is what is tried here.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = client.start_scan(tray(2, 2)).await.unwrap_err();
    assert!(refused.to_string().contains("the belt travels"), "{refused}");
    let last = Instant::now();
    while moves().await {
        assert!(last.elapsed() < Duration::from_secs(1), "the belt runs on without anybody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A stop ends it at once, and so does an emergency stop.
    client.conveyor(&jog).await.unwrap();
    client.conveyor(&ConveyorRequest::Stop {}).await.unwrap();
    assert!(!moves().await);
    let again = Instant::now();
    while client.conveyor(&jog).await.is_err() {
        assert!(again.elapsed() < Duration::from_secs(5), "a jog is possible again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.emergency_stop().await.unwrap();
    assert!(!moves().await);
    assert!(client.conveyor(&jog).await.unwrap_err().to_string().contains("faulted"));
}

/// The daemon names the person for whom a program asks.
#[tokio::test]
async fn a_person_is_named_where_a_program_asks_for_one() {
    let daemon = Daemon::start(&Options::default());
    let mut stream = UnixStream::connect(&daemon.socket).unwrap();
    stream.write_all("POST /v1/stop HTTP/1.1\r\nHost: rig\r\nx-hyclus-for: María\r\nConnection: close\r\n\r\n".as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let by = Peer { uid: Some(nix::unistd::geteuid().as_raw()), person: Person::new("María"), ..Peer::default() }.who();
    assert!(by.starts_with("María (through ") && answer.contains(&format!("emergency stop by {by}")), "{answer}");
    let (_, log, _) = daemon.end("-TERM");
    assert!(log.iter().any(|line| line.contains("María")), "{}", log.join("\n"));
    for name in ["", " ", "a\u{7}b", &"x".repeat(65)] {
        assert!(Person::new(name).is_none(), "{name:?}");
    }
}
