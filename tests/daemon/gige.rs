//! A rig with Aravis's simulated cameras in place of ours.

#[path = "../../drivers/gige/tests/fake/mod.rs"]
pub mod fake;

use super::rig::{Daemon, Options, PATIENCE, configuration, scan, until};
use contract::{Exposure, FramePool, LineCamera, Received, Subject};
use fake::{Fake, in_own_network};
use hyclus::scan::{EventKind, StateName};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Instant;

/// Runs a test that waits, in a network of its own.
pub fn in_own_network_async(name: &str, body: impl Future<Output = ()>) {
    in_own_network(name, || tokio::runtime::Runtime::new().unwrap().block_on(body));
}

/// What the camera draws with 1000 µs is black without gain, and a ramp with a gain of 1: that is its shutter. A ramp that rises is not what
/// references and lamps are like.
pub const SHUTTER: &str = r#"{ open = [{ name = "GainRaw", value = 1 }], closed = [{ name = "GainRaw", value = 0 }], settle_ms = 1 }"#;
/// Everything is accepted as a reference.
pub const LIMITS: &str = "max_saturated = 1.0\nmin_signal = 0.0\nmin_band_signal = 0.0\nmin_evenness = 0.0\nmax_dirt = 1.0\n\
    max_white_noise = 1.0\nmax_flicker = 1.0\nmax_change = 1.0\nmax_leak = 1.0\nmax_dark = 1.0\nmax_dark_noise = 1.0\nmax_dark_change = 1.0\n\
    max_dark_drift = 1.0\n";

/// A tray whose containers lie where it says, mm.
pub fn tray() -> Value {
    let container =
        |at: &str, x: f64, y: f64| json!({"sample": format!("S-{at}"), "x_mm": x, "y_mm": y, "width_mm": 100.0, "length_mm": 50.0});
    json!({"tray": "T", "keys": [], "container": [container("A1", 30.0, 25.0), container("A2", 170.0, 25.0), container("B1", 30.0, 100.0), container("B2", 170.0, 100.0)]})
}

/// Lets a camera run until its ids have wrapped: it begins shortly before that, with counts near full scale.
pub fn run_in(address: &str) {
    let config = fake::config(address, 32, 8);
    let mut camera = gige::Camera::open("run-in", &config).unwrap();
    camera.apply(&Exposure { exposure_us: 1000.0, frame_rate_hz: 400.0, binning: (1, 1) }).unwrap();
    let mut stream = camera.start(FramePool::new(camera.describe().layout, 16), Subject::Tray).unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "the camera runs in");
        match stream.next(Instant::now() + std::time::Duration::from_millis(100)).unwrap() {
            Received::Frame(frame) if frame.info.number > 300 => return,
            _ => {}
        }
    }
}

fn device(address: &str, pixels: usize, bands: usize, nm: [f64; 2]) -> String {
    let [first, last] = nm;
    let buffer = fake::config(address, pixels, bands).socket_buffer_kib;
    format!(
        "device = {{ kind = \"gige\", address = \"{address}\", pixels = {pixels}, bands = {bands}, pixel_format = \"Mono16\", \
         byte_order = \"big\", first_nm = {first:?}, last_nm = {last:?}, socket_buffer_kib = {buffer}, shutter = {SHUTTER} }}"
    )
}

/// The rig of the other tests, with cameras on GigE Vision.
fn rig(addresses: [&str; 2]) -> String {
    let options = Options {
        pace: "real_time",
        exposure_us: 1000.0,
        more: format!("[segment]\nmethod = \"footprint\"\n[references.limits]\n{LIMITS}"),
        ..Options::default()
    };
    let text =
        configuration(&options).replace("exposure_us = 2000.0", "exposure_us = 1000.0").replace("[lamps]", "[lamps]\nmax_drift = 1000.0");
    let mut devices = [device(addresses[0], 128, 40, [400.0, 1000.0]), device(addresses[1], 96, 48, [1000.0, 2500.0])].into_iter();
    let lines = text.lines().map(|line| if line.contains("pixels =") { devices.next().unwrap() } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the read-only listener says.
pub fn metrics(daemon: &Daemon) -> String {
    let mut stream = std::net::TcpStream::connect(&daemon.address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn two_cameras_feed_one_scan() {
    in_own_network_async("gige::two_cameras_feed_one_scan", async {
        let (_vnir, _swir) = (Fake::start("127.0.0.1", "GV01", 0), Fake::start("127.0.0.2", "GV02", 0));
        run_in("127.0.0.1");
        run_in("127.0.0.2");
        let daemon = Daemon::with(&rig(["127.0.0.1", "127.0.0.2"]));
        let (record, _) = scan(&daemon, tray()).await;
        assert_eq!(record.complete, Some(true), "{:?}", record.reason);
        assert_eq!(record.samples.len(), 4, "{:?}", record.missing);
        for (name, sums) in &record.cameras {
            assert!(sums.received > 50 && sums.received + sums.lost == sums.expected, "{name}: {sums:?}");
            assert_eq!(sums.gaps.iter().map(|gap| gap.1).sum::<u64>(), sums.lost, "{name}: {sums:?}");
        }
        let metrics = metrics(&daemon);
        for counter in
            ["completed_buffers", "failures", "underruns", "received_packets", "missing_packets", "resend_requests", "missing_frames"]
        {
            assert!(metrics.contains(&format!("hyclus_camera_link_total{{camera=\"swir\",count=\"{counter}\"}}")), "{counter}: {metrics}");
        }
    });
}

/// A camera that is switched off and on in the middle of a scan: the scan is ended and marked, the rig says why, and the next scan has the
/// camera again.
#[test]
fn a_camera_that_is_started_anew_ends_the_scan_and_is_there_for_the_next() {
    in_own_network_async("gige::a_camera_that_is_started_anew_ends_the_scan_and_is_there_for_the_next", async {
        let (_vnir, mut swir) = (Fake::start("127.0.0.1", "GV01", 0), Fake::start("127.0.0.2", "GV02", 0));
        run_in("127.0.0.1");
        run_in("127.0.0.2");
        let daemon = Daemon::with(&rig(["127.0.0.1", "127.0.0.2"]).replace("speed_mm_per_s = 80.0", "speed_mm_per_s = 40.0"));
        let client = daemon.client().await;
        let mut events = client.events(None).await.unwrap();
        let id = client.start_scan(tray()).await.unwrap().id;
        until(
            &mut events,
            |kind| matches!(kind, EventKind::Progress(progress) if progress.cameras.get("swir").is_some_and(|c| c.received > 10)),
        )
        .await;
        swir.restart();
        until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
        let record = daemon.record(&id);
        assert_eq!(record.complete, Some(false));
        assert!(record.reason.as_ref().unwrap().contains("swir"), "{:?}", record.reason);
        assert!(
            record.cameras.values().all(|sums| sums.received > 10 && sums.received + sums.lost == sums.expected),
            "{:?}",
            record.cameras
        );
        let status = client.status().await.unwrap();
        assert_eq!(status.state, StateName::Faulted);
        assert!(status.cause.unwrap().contains("swir"));
        client.acknowledge().await.unwrap();
        let (record, _) = scan(&daemon, tray()).await;
        assert_eq!(record.complete, Some(true), "{:?}", record.reason);
        assert!(record.cameras["swir"].received > 50, "{:?}", record.cameras);
    });
}
