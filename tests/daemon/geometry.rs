//! Yaw, keystone and heights: measured from one scan, configured, and gone from the next.

use super::rig::{Daemon, Options, configuration, scan, tray};
use hyclus::scan::ScanRecord;
use hyclus::store::{SampleData, read_sample};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pixels of about 0.6 mm, and further keys of the two simulated cameras.
fn fine(rows: usize, vnir: &str, swir: &str) -> String {
    configuration(&Options { tray: (rows, 3), ..Options::default() })
        .replace("pixels = 128", &format!("pixels = 512, psf_mm = 0.7{vnir}"))
        .replace("pixels = 96", &format!("pixels = 384, psf_mm = 0.9{swir}"))
        .replace("frame_rate_hz = 40.0", "frame_rate_hz = 136.0")
        .replace("frame_rate_hz = 32.0", "frame_rate_hz = 100.0")
        .replace("pixel_mm = 2.4", "pixel_mm = 0.6")
}

/// What `calibrate geometry` measures from the recording of a scan, by camera, and writes.
fn calibrated(config: &Path, scan: &Path, more: &[&str]) -> Vec<Value> {
    let captures = ["vnir", "swir"].map(|name| format!("{name}={}", scan.join("raw").join(name).display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(["--json", "calibrate", "geometry", "--write", "--config"]).arg(config).args(more);
    for capture in &captures {
        command.args(["--capture", capture]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn warned(record: &ScanRecord, of: &str) -> bool {
    record.warnings.iter().any(|warning| warning.contains(of))
}

/// The largest distance of the ends of a range, and of the cameras along the belt, mm.
fn off_mm(record: &ScanRecord) -> (f64, f64) {
    let ends = record.keystone_mm.values().map(|of| of.left.abs().max(of.right.abs())).fold(0.0, f64::max);
    (ends, record.registration["swir"].largest_mm[1].abs())
}

#[tokio::test]
async fn yaw_and_keystone_are_measured_from_a_scan_and_gone_from_the_next() {
    let daemon = Daemon::with(&fine(4, ", keystone_px = 0.5", ", keystone_px = -0.5, yaw_deg = 0.3"));
    let (before, _) = scan(&daemon, tray(4, 3)).await;
    assert_eq!(before.complete, Some(true), "{:?}", before.reason);
    assert!(warned(&before, "vnir sees the containers in its longest wavelengths") && warned(&before, "swir is turned by"), "{before:?}");
    let (keystone_mm, along_mm) = off_mm(&before);
    assert!(keystone_mm > 0.17 && along_mm > 0.45, "{keystone_mm} {along_mm}");

    let scan_folder = daemon.data.join("scans").join(&before.id);
    let (_, _, folder) = daemon.end("-TERM");
    let config = folder.path().join("rig.toml");
    let measured = calibrated(&config, &scan_folder, &[]);
    println!("{measured:?}");
    let figure = |camera: usize, key: &str| measured[camera][key].as_f64().unwrap();
    assert_eq!((measured.len(), &measured[0]["yaw_deg"]), (2, &Value::Null));
    for (camera, keystone_px) in [(0, 0.5), (1, -0.5)] {
        let (found, uncertainty) = (figure(camera, "keystone_px"), figure(camera, "keystone_uncertainty_px"));
        assert!((found - keystone_px).abs() < 2.0 * uncertainty && uncertainty < 0.03, "{measured:?}");
    }
    assert!((figure(1, "yaw_deg") - 0.3).abs() < 0.02 && figure(1, "yaw_uncertainty_deg") < 0.02, "{measured:?}");
    assert!(std::fs::read_to_string(&config).unwrap().contains("yaw_deg = 0."));

    let daemon = Daemon::launch(folder);
    let (after, _) = scan(&daemon, tray(4, 3)).await;
    println!("{:?} {:?}", after.keystone_mm, after.registration);
    assert_eq!((after.complete, after.warnings.as_slice()), (Some(true), &[][..]), "{:?}", after.reason);
    let (keystone_mm, along_mm) = off_mm(&after);
    assert!(keystone_mm < 0.06 && along_mm < 0.08, "{keystone_mm} {along_mm}");
    let (slope, median_mm) = (after.registration["swir"].slope_mm_per_m.unwrap()[1], after.residuals_mm["swir"][1]);
    assert!(median_mm.abs() + slope.abs() * 0.1 < 0.06, "at both edges: {median_mm} {slope}");
    assert!(after.registration["swir"].yaw_deg.unwrap().abs() < 0.03);
    // Nothing is left to be measured.
    let scan_folder = daemon.data.join("scans").join(&after.id);
    let (_, _, folder) = daemon.end("-TERM");
    let again = calibrated(&folder.path().join("rig.toml"), &scan_folder, &[]);
    println!("{again:?}");
    for (camera, key, truth, within) in [(1, "yaw_deg", 0.3, 0.03), (0, "keystone_px", 0.5, 0.03), (1, "keystone_px", -0.5, 0.03)] {
        assert!((again[camera][key].as_f64().unwrap() - truth).abs() < within, "{again:?}");
    }
}

/// The sample of a scan in the container at the left.
fn left(data: &Path, record: &ScanRecord) -> SampleData {
    let of = |file: &&hyclus::scan::FileRecord| file.path.ends_with("samples/S-A1.h5");
    let path: PathBuf = data.join(&record.files.iter().find(of).unwrap().path);
    read_sample(&path).unwrap()
}

/// Centre across of what is bright in a sample's cube, mm, and its mean reflectance over the mask.
fn seen(sample: &SampleData) -> (f64, f64) {
    let bands = sample.wavelengths_nm.len();
    let spectra = sample.reflectance.as_slice().unwrap().chunks_exact(bands);
    let (mut moment, mut weight, mut sum, mut count) = (0.0, 0.0, 0.0, 0.0);
    for ((spectrum, on), at) in spectra.zip(&sample.mask).zip(0..) {
        // Bad elements have no value at the ends of the range.
        let middle = || spectrum[bands / 4..3 * bands / 4].iter().filter(|value| value.is_finite());
        let mean = f64::from(middle().sum::<f32>()) / middle().count() as f64;
        let (x, clear) = (sample.pixel_mm[at % sample.pixel_mm.len()], (mean - 0.06).max(0.0));
        (moment, weight) = (moment + clear * x, weight + clear);
        if *on == 1 {
            (sum, count) = (sum + mean, count + 1.0);
        }
    }
    (moment / weight, sum / count)
}

#[tokio::test]
async fn a_tray_ten_millimetres_higher_has_its_places_and_its_reflectance() {
    let plain = fine(2, "", "");
    let high = plain.replace("[simulation.tray]", "[simulation.tray]\nheight_mm = 10.0");
    let corrected = high
        .replace("warm_up_s = 0.05", "warm_up_s = 0.05\ntray_height_mm = 10.0")
        .replace("window_s = 0.3", "window_s = 0.3\ndistance_mm = 500.0")
        .replace("exposure_us = 2000.0\nframe", "exposure_us = 2000.0\ndistance_mm = 500.0\nframe");
    let mut all = Vec::new();
    for text in [plain, high, corrected] {
        let daemon = Daemon::with(&text);
        let mut map = tray(2, 3);
        if text.contains("tray_height_mm") {
            map["container"][5]["height_mm"] = 13.0.into();
        }
        let (record, _) = scan(&daemon, map).await;
        assert_eq!(record.complete, Some(true), "{:?}", record.reason);
        assert_eq!(warned(&record, "B3 lies 13 mm high"), text.contains("tray_height_mm"), "{:?}", record.warnings);
        all.push(seen(&left(&daemon.data, &record)));
    }
    println!("{all:?}");
    let off = |i: usize| ((all[i].0 - all[0].0).abs(), (all[i].1 / all[0].1 - 1.0).abs());
    let (before, after) = (off(1), off(2));
    assert!(before.0 > 1.0 && before.1 > 0.035, "{before:?}");
    assert!(after.0 < 0.1 && after.1 < 0.003, "{after:?}");
}

/// Six containers where the target of 300 mm by 200 mm has its squares, askew, under cameras whose views are wider than configured.
#[tokio::test]
async fn a_target_tells_yaw_and_scale_of_all_cameras() {
    let tray_of = "[simulation.tray]\npitch_across_mm = 116.6667\npitch_along_mm = 133.3333\ncontainer_width_mm = 33.3333\n\
                   container_length_mm = 33.3333\ntilt_deg = 0.4";
    let text = fine(2, ", yaw_deg = 0.3, field_of_view_mm = 321.6", ", field_of_view_mm = 321.6")
        .replace("[simulation.tray]", tray_of)
        .replace("lamp_drift = 0.0", "lamp_drift = 0.0\nfield_mm = 350.0")
        .replace("field_of_view_mm = 300.0", "field_of_view_mm = 320.0")
        .replace("length_mm = 180.0", "length_mm = 215.0");
    let daemon = Daemon::with(&text);
    let (record, _) = scan(&daemon, tray(2, 3)).await;
    let scan_folder = daemon.data.join("scans").join(&record.id);
    let (_, _, folder) = daemon.end("-TERM");
    let config = folder.path().join("rig.toml");
    let measured = calibrated(&config, &scan_folder, &["--target", "300x200"]);
    println!("{measured:?}");
    let figure = |camera: usize, key: &str| measured[camera][key].as_f64().unwrap();
    for (camera, yaw_deg) in [(0, 0.3), (1, 0.0)] {
        assert!((figure(camera, "field_of_view_mm") - 321.6).abs() < 0.3, "{measured:?}");
        assert!((figure(camera, "yaw_deg") - yaw_deg).abs() < 0.03, "{measured:?}");
        assert!((figure(camera, "belt_scale") - 1.0).abs() < 0.001, "{measured:?}");
    }
    assert!(std::fs::read_to_string(&config).unwrap().contains("yaw_deg = 0."));
}

/// Frames stamped late lie too far along, the further the faster the belt.
#[tokio::test]
async fn the_latency_of_stamps_is_measured_at_two_speeds_and_gone_from_the_next_scan() {
    let text = fine(2, ", latency_us = 7000.0", ", latency_us = 3000.0").replace("[scan]", "[scan]\nrecord = true");
    let daemon = Daemon::with(&text);
    let (before, _) = scan(&daemon, tray(2, 3)).await;
    assert_eq!(before.complete, Some(true), "{:?}", before.reason);
    let fast = daemon.data.join("scans").join(&before.id);
    let (_, _, folder) = daemon.end("-TERM");
    let config = folder.path().join("rig.toml");
    std::fs::write(&config, text.replace("speed_mm_per_s = 80.0", "speed_mm_per_s = 20.0")).unwrap();
    let daemon = Daemon::launch(folder);
    let (record, _) = scan(&daemon, tray(2, 3)).await;
    let slow = daemon.data.join("scans").join(&record.id);
    let (_, _, folder) = daemon.end("-TERM");
    std::fs::write(&config, &text).unwrap();

    let again: Vec<String> = ["vnir", "swir"].iter().map(|name| format!("{name}={}", slow.join("raw").join(name).display())).collect();
    let measured = calibrated(&config, &fast, &["--again", &again[0], "--again", &again[1]]);
    println!("{measured:?}");
    let figure = |camera: usize, key: &str| measured[camera][key].as_f64().unwrap();
    // Far above three times its uncertainty: less is told to be none.
    for (camera, latency_us) in [(0, 7000.0), (1, 3000.0)] {
        let (found, uncertainty) = (figure(camera, "latency_us"), figure(camera, "latency_uncertainty_us"));
        assert!((found - latency_us).abs() < (4.0 * uncertainty).min(1600.0), "{measured:?}");
    }
    // What the stamps moved is no part of the offset.
    assert!((figure(1, "offset_mm") - 40.0).abs() < 0.08, "{measured:?}");
    let written = format!("latency_us = {:.1}", figure(0, "latency_us").round());
    assert!(std::fs::read_to_string(&config).unwrap().contains(&written), "{written}");
    // A speed like the first tells nothing.
    let same = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["calibrate", "geometry", "--config"])
        .arg(&config)
        .args(["--capture", &format!("vnir={}", fast.join("raw/vnir").display())])
        .args(["--again", &format!("vnir={}", fast.join("raw/vnir").display())])
        .output()
        .unwrap();
    assert!(!same.status.success() && String::from_utf8_lossy(&same.stderr).contains("must differ by a fifth"), "{same:?}");

    let daemon = Daemon::launch(folder);
    let (after, _) = scan(&daemon, tray(2, 3)).await;
    let along = |record: &ScanRecord| record.residuals_mm["swir"][1].abs();
    println!("{} {}", along(&before), along(&after));
    assert!(along(&before) > 0.2 && along(&after) < 0.12, "{} {}", along(&before), along(&after));
}
