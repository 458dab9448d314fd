//! What a scan leaves behind, read by programs that we did not write, and by ourselves again.

use super::python;
use super::rig::{Daemon, Options, configuration, encoder, scan, tray};
use std::path::Path;
use std::process::Command;

/// The raw recording opens in Spectral Python, and processing it again gives the very same cubes and embeddings.
#[tokio::test]
async fn the_raw_recording_is_the_scan() {
    let options = Options { more: format!("{}[store]\nnative = true\n", encoder()), ..Options::default() };
    let daemon = Daemon::with(&configuration(&options).replace("dead_elements", "lost_per_thousand = 150.0, dead_elements"));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    let raw = daemon.data.join("scans").join(&record.id).join("raw");
    for camera in ["vnir", "swir"] {
        let capture = raw.join(camera).join("capture");
        let sums = &record.cameras[camera];
        assert!(sums.lost > 0 && sums.received + sums.lost == sums.expected, "{sums:?}");
        let counts = [sums.received.to_string(), sums.lost.to_string()];
        python::run("recording_spectral.py", &[&capture, Path::new(&record.id), Path::new(&counts[0]), Path::new(&counts[1])]);
    }
    for sample in &record.samples {
        let file = daemon.data.join("scans").join(&record.id).join("samples").join(format!("{}.h5", sample.sample));
        python::run("scan_native.py", &[&file, &raw]);
    }
    let again = tempfile::tempdir().unwrap();
    let map = again.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    process(&daemon, &raw, &map, &again.path().join("out"));
    python::run("same_data.py", &[&daemon.data, &again.path().join("out")]);
}

/// A later scan takes its own dark reference, and the white one keeps the dark level of its own time, live and processed again.
#[tokio::test]
async fn a_later_scan_keeps_the_dark_reference_of_its_white_one() {
    let options = Options { more: encoder(), ..Options::default() };
    // Some counts a second, and a dark reference for every scan.
    let text = configuration(&options)
        .replace("dead_elements", "dark_drift_per_h = 3600.0, dead_elements")
        .replace("frames = 12", "frames = 12\nmax_dark_age_s = 1e-3\ndark_after = false\nlimits = { max_dark_change = 100.0 }");
    let daemon = Daemon::with(&text);
    let (first, _) = scan(&daemon, tray(2, 2)).await;
    let (second, _) = scan(&daemon, tray(2, 2)).await;
    let raw = daemon.data.join("scans").join(&second.id).join("raw");
    for camera in ["vnir", "swir"] {
        let read = |prefix: &str| std::fs::read(raw.join(camera).join("capture").join(format!("{prefix}{}.raw", second.id))).unwrap();
        assert!(read("WHITEDARKREF_") != read("DARKREF_"), "{camera}: the dark level moved");
        // The recording and the newest references are links to one file.
        let stored = std::fs::read_dir(daemon.data.join("references").join(camera)).unwrap().map(|entry| entry.unwrap().path());
        let stored: Vec<_> = stored.filter(|path| path.display().to_string().ends_with(".raw")).collect();
        assert_eq!(stored.len(), 3, "{stored:?}");
        let of_white = stored.iter().find(|path| path.display().to_string().contains("/whitedark-")).unwrap();
        assert!(std::fs::read(of_white).unwrap() == read("WHITEDARKREF_"));
    }
    std::fs::remove_dir_all(daemon.data.join("scans").join(&first.id)).unwrap();
    std::fs::remove_dir_all(daemon.data.join("embeddings").join(format!("scan={}", first.id))).unwrap();
    let again = tempfile::tempdir().unwrap();
    let map = again.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    process(&daemon, &raw, &map, &again.path().join("out"));
    python::run("same_data.py", &[&daemon.data, &again.path().join("out")]);
}

/// Processes a raw recording of both cameras again.
pub fn process(daemon: &Daemon, raw: &Path, map: &Path, out: &Path) {
    let capture = |camera: &str| format!("{camera}={}", raw.join(camera).display());
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["process", "--config"])
        .arg(daemon.folder.path().join("rig.toml"))
        .arg("--tray")
        .arg(map)
        .args(["--capture", &capture("vnir"), "--capture", &capture("swir"), "--out"])
        .arg(out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What the simulated rig measured is what lies on its belt, told by the independent scorer.
#[tokio::test]
async fn the_simulated_rig_measures_its_own_truth() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let scorer = shared.join("bench/score_tray.py");
    if !scorer.exists() {
        eprintln!("skipped: {} is not there", scorer.display());
        return;
    }
    let text = configuration(&Options { simulation: "segregation = 0.6", tray: (2, 3), ..Options::default() })
        .replace("pixels = 128, bands = 40", "pixels = 512, bands = 64")
        .replace("pixels = 96, bands = 48", "pixels = 384, bands = 72")
        .replace("frame_rate_hz = 40.0", "frame_rate_hz = 136.0")
        .replace("frame_rate_hz = 32.0", "frame_rate_hz = 100.0")
        .replace("pixel_mm = 2.4", "pixel_mm = 0.6")
        // The outlines are compared, and the rim belongs to them.
        .replace("[segment.tray]", "[segment]\nerode_mm = 0.0\n[segment.tray]");
    let daemon = Daemon::with(&text);
    let (record, _) = scan(&daemon, tray(2, 3)).await;
    assert_eq!(record.samples.len(), 6);
    let config = hyclus::config::Loaded::read(&daemon.folder.path().join("rig.toml")).unwrap();
    let wavelengths: Vec<f64> = (400..=2500).map(f64::from).collect();
    let truth = sim::World::new(config.config.simulation.as_ref().unwrap()).unwrap().truth(&wavelengths);
    let file = daemon.folder.path().join("simulated-truth.json");
    std::fs::write(&file, serde_json::to_string(&truth).unwrap()).unwrap();
    let samples = daemon.data.join("scans").join(&record.id).join("samples");
    python::run("score_simulated.py", &[&scorer, &file, &samples]);
}
