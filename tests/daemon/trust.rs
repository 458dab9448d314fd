//! What makes a measurement doubtful is seen during the scan, and told.

use super::files::process;
use super::python;
use super::rig::{Daemon, Options, configuration, encoder, scan, tray};
use hyclus::rig::ReferenceRequest;
use hyclus::scan::{ReferenceKind, ScanRecord, StateName};
use std::path::{Path, PathBuf};

/// A rig with a white strip beside the tray, two lamps, and `faults` of the simulated world.
fn with_strip(faults: &str, more: &str) -> String {
    // Without texture, as the lines of two scans fall elsewhere on the tray.
    let simulation = format!(
        "texture = 0.0\nstrip_mm = [280.0, 300.0]\nfaults = {{ {faults} }}\ntray = {{ rows = 2, columns = 2, pitch_across_mm = 130.0 }}"
    );
    configuration(&Options::default())
        .replace("lamp_drift = 0.0\n", &format!("lamp_drift = 0.0\n{simulation}\n"))
        .replace("[simulation.tray]\nrows = 2\ncolumns = 2\n", "")
        .replace("[lamps]\n", &format!("[lamps]\nstrip_mm = [280.0, 300.0]\n{more}"))
        .replace("[[light]]\nname = \"halogen\"\ndevice = { kind = \"simulated\" }", &two_lamps(0.8, 0.2))
        .replace("dead_elements", QUIET)
        .replace("[segment.tray]\n", "[segment.tray]\nleft_mm = 0.0\nwidth_mm = 260.0\n")
}

/// Little noise, so that a change of the light shows.
const QUIET: &str = "read_noise = 0.5, shot_noise_per_count = 0.0005, dead_elements";

fn two_lamps(halogen: f64, led: f64) -> String {
    format!(
        "[[light]]\nname = \"halogen\"\ndevice = {{ kind = \"simulated\", share = {halogen:?} }}\n[[light]]\nname = \"led\"\ndevice = {{ kind = \"simulated\", share = {led:?} }}"
    )
}

fn warned(record: &ScanRecord, words: &str) -> bool {
    record.warnings.iter().any(|warning| warning.contains(words))
}

/// The strip is no sample, and with steady lamps there is nothing to warn of.
#[tokio::test]
async fn a_strip_beside_the_tray_is_watched_and_is_no_sample() {
    let daemon = Daemon::with(&with_strip("", ""));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!((record.complete, record.samples.len(), record.missing.len()), (Some(true), 4, 0), "{:?}", record.warnings);
    assert!(!warned(&record, "light"), "{:?}", record.warnings);
}

/// A lamp that goes out in the middle ends the scan; what was scanned until then is kept.
#[tokio::test]
async fn a_lamp_that_fails_half_way_ends_the_scan() {
    let daemon = Daemon::with(&with_strip("lamp_fails = { light = \"halogen\", at_mm = 100.0 }", ""));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(false));
    let reason = record.reason.as_deref().unwrap();
    assert!(reason.contains("a lamp failed: from y = "), "{reason}");
    assert!(record.cameras["vnir"].received > 0 && !record.samples.is_empty());
    let status = daemon.client().await.status().await.unwrap();
    assert_eq!(status.state, StateName::Faulted);
}

/// A lamp whose controller notices is a fault without any strip.
#[tokio::test]
async fn a_lamp_that_reports_its_failure_ends_the_scan() {
    let faults = "faults = { lamp_fails = { light = \"halogen\", at_mm = 60.0, reported = true } }";
    let daemon = Daemon::start(&Options { pace: "real_time", simulation: faults, ..Options::default() });
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_deref().unwrap().contains("no lamp current"), "{:?}", record.reason);
}

/// A weaker lamp and a flicker are warned of beyond their limits, and not within them.
#[tokio::test]
async fn light_that_changes_during_a_scan_is_warned_of() {
    let fails = "lamp_fails = { light = \"led\", at_mm = 60.0 }";
    let steady = Daemon::with(&with_strip("", ""));
    let (as_it_was, _) = scan(&steady, tray(2, 2)).await;
    let daemon = Daemon::with(&with_strip(fails, ""));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    assert!(warned(&record, "of that of the white reference (lamps.max_deviation); the lines are corrected"), "{:?}", record.warnings);
    let light = record.light["vnir"];
    assert!((light.least - 0.8).abs() < 0.01 && light.largest < 1.01 && light.uncorrected_lines == 0, "{light:?}");
    let plain = Daemon::with(&with_strip(fails, "max_correction = 0.0\n"));
    let (uncorrected, _) = scan(&plain, tray(2, 2)).await;
    assert!(uncorrected.light["vnir"].uncorrected_lines == uncorrected.cameras["vnir"].received, "{:?}", uncorrected.light);
    let [steady, corrected, plain] = [samples(&steady, &as_it_was), samples(&daemon, &record), samples(&plain, &uncorrected)];
    python::run("light_corrected.py", &[&steady, &corrected, Path::new("0.15"), &plain]);
    for (share, told) in [(0.05, true), (0.012, false)] {
        let flickers = format!("lamp_flickers = {{ light = \"led\", at_mm = 60.0, share = {:?}, hz = 7.0 }}", share / 0.2);
        let daemon = Daemon::with(&with_strip(&flickers, ""));
        let (record, _) = scan(&daemon, tray(2, 2)).await;
        assert_eq!((record.complete, warned(&record, "flickers")), (Some(true), told), "{share}: {:?}", record.warnings);
    }
}

/// Without a strip, a lamp that failed unseen during a scan shows in the next white reference, which says that the scan is in doubt.
#[tokio::test]
async fn without_a_strip_the_next_white_reference_tells_of_a_failed_lamp() {
    let options = Options { simulation: "faults = { lamp_fails = { light = \"led\", at_mm = 60.0 } }", ..Options::default() };
    let text = configuration(&options).replace("[[light]]\nname = \"halogen\"\ndevice = { kind = \"simulated\" }", &two_lamps(0.8, 0.2));
    let daemon = Daemon::with(&text);
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(true));
    let client = daemon.client().await;
    let refused = client.reference(ReferenceKind::White, ReferenceRequest::default()).await.unwrap_err().to_string();
    assert!(refused.contains("scans since then are in doubt"), "{refused}");
    let accepted = client.reference(ReferenceKind::White, ReferenceRequest { accept_change: true }).await.unwrap();
    assert!(accepted.iter().all(|reference| reference.evenness.is_some_and(|evenness| evenness > 0.8)), "{accepted:?}");
}

/// Lamps that warm up slowly are waited for until they are steady, however short the fixed wait is; lamps that never are steady
/// are a fault.
#[tokio::test]
async fn lamps_are_ready_when_their_light_is_steady() {
    let text = configuration(&Options::default())
        .replace("warm_up_s = 0.01\nlamp_drift = 0.0", "warm_up_s = 4.0\nlamp_drift = 0.0")
        .replace("window_s = 0.3", "window_s = 2.0");
    let (record, _) = scan(&Daemon::with(&text), tray(2, 2)).await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    assert!(!warned(&record, "light"), "{:?}", record.warnings);
    let drifting = text
        .replace("lamp_drift = 0.0", "lamp_drift = 0.2\nlamp_drift_period_s = 8.0")
        .replace("window_s = 2.0", "window_s = 2.0\nmax_warm_up_s = 20.0\nmax_drift = 0.0005");
    let daemon = Daemon::with(&drifting);
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    let reason = record.reason.unwrap();
    assert!(reason.contains("the light is not steady after 20 s") && reason.contains(" nm"), "{reason}");
    assert_eq!(daemon.client().await.status().await.unwrap().state, StateName::Faulted);
}

/// A dark level that moves beyond its limit is reported, and interpolated: the scan is made again from its recording before it closes.
/// Processing the recording gives the same values. Within the limit nothing is interpolated, neither here nor there.
#[tokio::test]
async fn a_dark_level_that_moves_is_interpolated_live_and_processed_again() {
    // At a pace of its own: how far the level moves is not to hang on how long a busy machine takes between the steps of a scan.
    let paced = configuration(&Options { pace: "real_time", time_scale: 4.0, pool_slots: 256, more: encoder(), ..Options::default() });
    let drifting = |per_h: &str| paced.replace("dead_elements", &format!("dark_drift_per_h = {per_h}, dead_elements"));
    // 12 counts a second: some 2 % of the signal at the end of the scan, and far more of a dark one.
    let daemon = Daemon::with(&drifting("43200.0").replace("[references]\n", "[references]\nmake_again = false\n"));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(true));
    assert!(record.dark_drift["vnir"].of_signal > 0.01, "{:?}", record.dark_drift);
    assert!(warned(&record, "vnir: the dark level moved by") && warned(&record, "process the recording again"), "{:?}", record.warnings);
    let as_scanned = samples(&daemon, &record);

    let again = Daemon::with(&drifting("43200.0"));
    let (record, _) = scan(&again, tray(2, 2)).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    assert!(warned(&record, "the scan was made again"), "{:?}", record.warnings);
    python::run("drift_interpolated.py", &[&as_scanned, &samples(&again, &record)]);
    same_processed(&again, &record);

    // Well below the limit.
    let daemon = Daemon::with(&drifting("12.0"));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert!(record.dark_drift.len() == 2 && !warned(&record, "the dark level moved"), "{:?}", record.dark_drift);
    same_processed(&daemon, &record);
}

/// Without a strip, a white panel behind the tray shows that the light changed, and each line is divided by the light of its own time.
#[tokio::test]
async fn a_light_that_drifts_is_interpolated_between_two_white_references() {
    // The light rises with a time constant far longer than the scan, so nearly in a line.
    let paced = configuration(&Options { pace: "real_time", time_scale: 4.0, pool_slots: 256, more: encoder(), ..Options::default() });
    let with_panels = |lamps: &str, more: &str| {
        paced
            .replace("[simulation.tray]", "[simulation.panel]\nafter_mm = [300.0, 345.0]\n[simulation.tray]")
            .replace("lamp_drift = 0.0\n", &format!("{lamps}\n"))
            .replace("dead_elements", QUIET)
            .replace("[references]\n", &format!("[references]\npanel_after_mm = [300.0, 345.0]\n{more}"))
    };
    let steady = Daemon::with(&with_panels("lamp_drift = 0.0", ""));
    let (as_it_was, _) = scan(&steady, tray(2, 2)).await;
    let change = as_it_was.light_change["vnir"];
    assert!(change.worst_share.abs() < 0.002 && !warned(&as_it_was, "the light at"), "{change:?} {:?}", as_it_was.warnings);
    same_processed(&steady, &as_it_was);

    let drifts = "lamp_drift = 0.04\nlamp_drift_period_s = 240.0";
    let daemon = Daemon::with(&with_panels(drifts, ""));
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    assert!(record.light_change["vnir"].worst_share.abs() > 0.005, "{:?}", record.light_change);
    assert!(warned(&record, "the light at") && warned(&record, "the scan was made again"), "{:?}", record.warnings);
    same_processed(&daemon, &record);
    python::run("light_corrected.py", &[&samples(&steady, &as_it_was), &samples(&daemon, &record), Path::new("0.003")]);
}

/// A panel that is brighter on one side makes the ore of that side darker. Turned by half a turn once, it is measured and corrected.
#[tokio::test]
async fn an_uneven_panel_is_measured_by_turning_it() {
    let text = |panel: &str, evenness: &str| {
        configuration(&Options::default())
            .replace("lamp_drift = 0.0\n", &format!("lamp_drift = 0.0\npanel = {{ {panel} }}\n"))
            .replace("panel = { reflectance = 0.95 }", &format!("panel = {{ reflectance = 0.95{evenness} }}"))
    };
    let scanned = async |panel: &str, evenness: &str| {
        let daemon = Daemon::with(&text(panel, evenness));
        let (record, _) = scan(&daemon, tray(2, 2)).await;
        assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
        (daemon, record)
    };
    let even = scanned("unevenness = 0.0", "").await;
    let lies = scanned("unevenness = 0.03", "").await;
    let turned = scanned("unevenness = 0.03, turned = true", "").await;
    let raw = |(daemon, record): &(Daemon, ScanRecord), camera: &str| {
        format!("{camera}={}", daemon.data.join("scans").join(&record.id).join("raw").join(camera).display())
    };
    let rig = lies.0.folder.path().join("rig.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["--json", "calibrate", "panel", "--write", "--config"])
        .arg(&rig)
        .args(["vnir", "swir"].iter().flat_map(|camera| ["--capture".to_owned(), raw(&lies, camera)]))
        .args(["vnir", "swir"].iter().flat_map(|camera| ["--turned".to_owned(), raw(&turned, camera)]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!((found["largest"].as_f64().unwrap() - 0.0152).abs() < 0.001, "{found}");
    let written = std::fs::read_to_string(&rig).unwrap();
    let evenness = written.split_once(", evenness = ").unwrap().1.split_once(']').unwrap().0;
    let corrected = scanned("unevenness = 0.03", &format!(", evenness = {evenness}]")).await;
    python::run("evenness.py", &[&samples(&even.0, &even.1), &samples(&lies.0, &lies.1), &samples(&corrected.0, &corrected.1)]);
}

fn samples(daemon: &Daemon, record: &ScanRecord) -> PathBuf {
    daemon.data.join("scans").join(&record.id).join("samples")
}

/// Processes the recording of a scan of two by two containers, and compares the samples and rows with those of the scan.
fn same_processed(daemon: &Daemon, record: &ScanRecord) {
    let again = tempfile::tempdir().unwrap();
    let map = again.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    process(daemon, &daemon.data.join("scans").join(&record.id).join("raw"), &map, &again.path().join("out"));
    python::run("same_data.py", &[&daemon.data, &again.path().join("out")]);
}
