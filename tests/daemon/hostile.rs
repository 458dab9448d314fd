//! Malformed and hostile requests by the thousand, while scans run.

use super::rig::{Daemon, Options, PATIENCE, encoder, tray, until};
use hyclus::scan::{EventKind, ScanRecord};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Requests in all.
const REQUESTS: usize = 10_000;
const ATTACKERS: u64 = 4;
/// Connections that each attacker leaves open, having said part of something.
const SLOW: usize = 8;

/// What was sent, and how it was answered: by the hundreds of the status, and 0 where there was no answer.
#[derive(Default)]
struct Tally {
    sent: AtomicUsize,
    answers: [AtomicUsize; 6],
}

const PATHS: [&str; 14] = [
    "/v1/scans/../../../../etc/passwd",
    "/v1/scans/..%2f..%2f..%2fetc%2fpasswd",
    "/v1/scans/%2e%2e",
    "/v1/scans/%00",
    "/v1/scans/.lock",
    "/v1/scans/a%2fb%5cc",
    "/v1/scans/%f0%9f%92%a5%e2%80%ae",
    "/v1/scans/%ff%fe",
    "//v1//status//",
    "/v1/status?x=../../",
    "/v1/health/../stop",
    "http://elsewhere/v1/status",
    "*",
    "/v2",
];
const BODIES: [&str; 16] = [
    "",
    "null",
    "[]",
    "{\"tray\": 1}",
    "{\"tray\": {\"tray\": \"../../etc\", \"container\": [{\"at\": \"A1\", \"sample\": \"../x\"}]}}",
    "{\"tray\": {\"tray\": \"t\", \"keys\": [\"\\u0000\"], \"grid\": {\"rows\": 1e400, \"columns\": -1}}}",
    "{\"tray\": {\"tray\": \".\", \"container\": [{\"sample\": \"CON\", \"x_mm\": 1e308, \"y_mm\": null}]}}",
    "{\"level\": 1e999}",
    "{\"level\": \"bright\", \"light\": {}}",
    "{\"level\": -1, \"light\": \"\\ud800\"}",
    "{\"action\": \"run\", \"speed_mm_per_s\": 1e300}",
    "{\"action\": \"run\", \"speed_mm_per_s\": \"NaN\"}",
    "{\"action\": \"fly\", \"to_mm\": 1}",
    "{\"accept_change\": 1}",
    "{\"accept_change\": true, \"more\": []}",
    "\u{feff}{}",
];
const CHANGES: [&str; 6] =
    ["POST /v1/scans", "PUT /v1/conveyor", "PUT /v1/lighting", "POST /v1/references/dark", "POST /v1/references/white", "DELETE /v1/scans"];

fn pick<T: Copy>(random: &mut Pcg64, from: &[T]) -> T {
    from[random.random_range(0..from.len())]
}

fn garbage(random: &mut Pcg64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..most)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A request that no client should send. None of them is one that ends or moves something and that the rig would have to obey.
fn request(random: &mut Pcg64) -> Vec<u8> {
    let change = pick(random, &CHANGES);
    let with = |body: &[u8], headers: &str| {
        [format!("{change} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    match random.random_range(0..12) {
        0 => garbage(random, 2000),
        1 => format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", pick(random, &PATHS)).into_bytes(),
        2 => format!("POST {}/stop HTTP/1.1\r\nhost: x\r\n\r\n", pick(random, &PATHS)).into_bytes(),
        3 => with(pick(random, &BODIES).as_bytes(), ""),
        4 => with(&garbage(random, 500), "content-type: application/json\r\n"),
        // Deeper than any reader should go.
        5 => {
            let open = pick(random, &["[", "{\"tray\":", "{\"a\":["]);
            with(open.repeat(random.random_range(100..20_000)).as_bytes(), "")
        }
        6 => with(b"{}", &format!("x-{}: {}\r\n", random.next_u32(), "y".repeat(random.random_range(1000..60_000)))),
        7 => with(b"{}", &(0..random.random_range(50..300)).map(|i| format!("x-{i}: y\r\n")).collect::<String>()),
        // Lengths and chunks that are none.
        8 => {
            let length = pick(random, &["-1", "18446744073709551616", "99999999999", "1, 2", "0x10", "\0"]);
            format!("{change} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{{}}").into_bytes()
        }
        9 => {
            let chunks =
                pick(random, &["zz\r\n{}\r\n", "ffffffffffffffff\r\n{}", "2\r\n{}x", "-2\r\n{}\r\n0\r\n\r\n", "2;a=b\r\n{}\r\n0\r\n"]);
            format!("{change} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}").into_bytes()
        }
        10 => {
            let version = pick(random, &["HTTP/9.9", "HTTP/2.0", "http/1.1", ""]);
            let method = pick(random, &["GET", "get", "PRI", "CONNECT", "TRACE", "\u{1}", "GET GET"]);
            format!("{method} /v1/status {version}\r\nhost: x\r\n\r\n").into_bytes()
        }
        // Hundreds in one go.
        _ => "GET /v1/scans/none HTTP/1.1\r\nhost: x\r\n\r\n".repeat(random.random_range(2..50)).into_bytes(),
    }
}

/// Sends what it can for as long as more is wanted.
fn attack(socket: &Path, seed: u64, tally: &Tally) {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut slow: Vec<UnixStream> = Vec::new();
    while tally.sent.load(SeqCst) < REQUESTS {
        let mut bytes = request(&mut random);
        let Ok(mut stream) = UnixStream::connect(socket) else { continue };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        tally.sent.fetch_add(1, SeqCst);
        match random.random_range(0..10) {
            // Half of it, and then nothing for a while.
            0 => {
                bytes.truncate(bytes.len() / 2);
                let _ = stream.write_all(&bytes);
                slow.push(stream);
                if slow.len() > SLOW {
                    drop(slow.remove(0));
                }
                continue;
            }
            // Half of it, and gone.
            1 => bytes.truncate(bytes.len() / 2),
            // All of it, and gone.
            2 => {
                let _ = stream.write_all(&bytes);
                continue;
            }
            _ => {}
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // The service may close before it has read all.
        let _ = stream.read_to_end(&mut answer);
        let status = answer.strip_prefix(b"HTTP/1.1 ").map_or(0, |rest| usize::from(rest[0] - b'0'));
        assert!(answer.is_empty() || status != 0, "{}", answer.escape_ascii());
        assert!(!answer.starts_with(b"HTTP/1.1 500") && !answer.starts_with(b"HTTP/1.1 502"), "{}", bytes.escape_ascii());
        tally.answers[status].fetch_add(1, SeqCst);
    }
}

/// Resident memory in KiB, and open descriptors.
fn taken(daemon: &Daemon) -> (u64, usize) {
    let folder = PathBuf::from(format!("/proc/{}", daemon.pid()));
    let status = std::fs::read_to_string(folder.join("status")).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().split(' ').next().unwrap().parse().unwrap();
    (kib, std::fs::read_dir(folder.join("fd")).unwrap().count())
}

/// A scan, started as often as it takes: attackers may have every place.
async fn scan(daemon: &Daemon) -> ScanRecord {
    let begin = Instant::now();
    let client = daemon.client().await;
    let mut events = loop {
        match client.events(None).await {
            Ok(events) => break events,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
    };
    let id = loop {
        match client.start_scan(tray(2, 2)).await {
            Ok(record) => break record.id,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
    };
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    daemon.record(&id)
}

fn shapes(record: &ScanRecord) -> Vec<(String, [u64; 3])> {
    let mut shapes: Vec<_> = record.samples.iter().map(|sample| (sample.sample.clone(), sample.shape)).collect();
    shapes.sort();
    shapes
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_requests_disturb_no_line() {
    // The belt at half its pace, and room for several seconds of frames: a machine that does other things too loses none.
    let options = Options { pace: "real_time", time_scale: 0.5, pool_slots: 256, more: encoder(), ..Options::default() };
    let daemon = Daemon::start(&options);
    let undisturbed = scan(&daemon).await;
    assert_eq!((undisturbed.complete, undisturbed.samples.len()), (Some(true), 4), "{:?}", undisturbed.reason);
    let (kib, descriptors) = taken(&daemon);
    let tally = Arc::new(Tally::default());
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|seed| {
            let (socket, tally) = (daemon.socket.clone(), tally.clone());
            std::thread::spawn(move || attack(&socket, seed, &tally))
        })
        .collect();
    let mut scans = Vec::new();
    while tally.sent.load(SeqCst) < REQUESTS || scans.is_empty() {
        scans.push(scan(&daemon).await);
    }
    attackers.into_iter().for_each(|attacker| attacker.join().unwrap());
    let answers: Vec<usize> = tally.answers.iter().map(|count| count.load(SeqCst)).collect();
    println!(
        "{} requests over {} scans; answers: none {}, 2xx {}, 4xx {}, 5xx {}",
        tally.sent.load(SeqCst),
        scans.len(),
        answers[0],
        answers[2],
        answers[4],
        answers[5]
    );
    assert!(answers[4] > REQUESTS / 4, "{answers:?}");
    for record in &scans {
        assert_eq!(record.complete, Some(true), "{:?}", record.reason);
        for (camera, sums) in &record.cameras {
            assert!(sums.lost == 0 && sums.received == sums.expected && sums.received > 60, "{camera}: {sums:?}");
        }
        assert_eq!(record.samples.len(), 4, "{:?}", shapes(record));
        let verified = daemon.hyclus(&["verify", "--data", daemon.data.to_str().unwrap(), &record.id]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
    // What the attackers had is given back.
    let begin = Instant::now();
    while taken(&daemon).1 > descriptors + 8 {
        assert!(begin.elapsed() < PATIENCE, "{} descriptors are open, and {descriptors} before", taken(&daemon).1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (after, _) = taken(&daemon);
    println!("memory before {} MiB, after {} MiB", kib >> 10, after >> 10);
    assert!(after < kib + (96 << 10), "memory grew from {kib} to {after} KiB");
    assert!(daemon.client().await.status().await.is_ok());
    let strays: Vec<_> = std::fs::read_dir(daemon.data.join("scans")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(strays.len(), scans.len() + 1, "{strays:?}");
}
