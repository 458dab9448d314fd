//! A daemon that is killed, and what is there when it is back.

use super::python;
use super::rig::{Daemon, Options, configuration, encoder, tray, tree, until};
use hyclus::scan::{EventKind, ScanRecord, StateName};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Moments at which a scan is killed; every test takes one of the parts.
const MOMENTS: u32 = 52;
const PARTS: u32 = 4;

/// Numbers that look random, the same in every run.
struct Seeded(u64);

impl Seeded {
    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn options() -> Options {
    Options { pace: "real_time", time_scale: 8.0, more: encoder(), ..Options::default() }
}

fn hyclus(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(arguments).arg("--data").arg(data);
    command
}

fn only_scan(data: &Path) -> ScanRecord {
    let mut records = hyclus::data_root::records(data);
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

/// Rows of the tables of lines: what the recording holds, by camera.
fn recorded(data: &Path, id: &str) -> BTreeMap<String, u64> {
    let rows = |camera: &str| {
        let csv = data.join(format!("scans/{id}/raw/{camera}/capture/{id}.lines.csv"));
        std::fs::read_to_string(csv).map_or(0, |text| text.lines().count().saturating_sub(1) as u64)
    };
    ["vnir", "swir"].map(|camera| (camera.to_owned(), rows(camera))).into()
}

/// Kills a daemon so long after it was asked for a scan; gives what it left.
async fn killed(after: Duration) -> TempDir {
    let daemon = Daemon::start(&options());
    daemon.client().await.start_scan(tray(2, 2)).await.unwrap();
    // The moment is what is tried here; nothing is waited for.
    tokio::time::sleep(after).await;
    daemon.kill()
}

/// Fails unless a recovered scan holds every line of its recording exactly once, and nothing else is left.
fn sound(folder: &TempDir, what: &str) -> ScanRecord {
    let data = folder.path().join("data");
    let record = only_scan(&data);
    assert!(record.ended.is_some(), "{what}");
    for (camera, lines) in recorded(&data, &record.id) {
        let received = record.cameras.get(&camera).map_or(0, |sums| sums.received);
        assert_eq!(received, lines, "{what}: {camera}");
    }
    let verified = hyclus(&["verify", &record.id], &data).output().unwrap();
    assert!(verified.status.success(), "{what}: {}", String::from_utf8_lossy(&verified.stdout));
    for path in tree(&data).into_keys() {
        let path = path.strip_prefix(&data).unwrap().to_string_lossy().into_owned();
        let known = record.files.iter().any(|file| file.path == path);
        let other = path == ".lock" || path.ends_with("/scan.json") || path.starts_with(".references/") || path.starts_with("references/");
        assert!(known || other, "{what}: {path} was left behind");
    }
    if record.samples.is_empty() {
        assert_eq!(record.embeddings, 0, "{what}");
        return record;
    }
    if record.complete == Some(true) {
        // It was killed too late.
        return record;
    }
    // The same lines, undisturbed.
    let again = tempfile::tempdir().unwrap();
    let map = again.path().join("tray.json");
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    let raw = data.join("scans").join(&record.id).join("raw");
    let capture = |camera: &str| format!("{camera}={}", raw.join(camera).display());
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["process", "--config"])
        .arg(folder.path().join("rig.toml"))
        .arg("--tray")
        .arg(&map)
        .args(["--capture", &capture("vnir"), "--capture", &capture("swir"), "--out"])
        .arg(again.path().join("out"))
        .output()
        .unwrap();
    // A kill before the first line of a camera leaves pixels without its bands.
    let worth = record.samples.iter().any(|sample| sample.valid > 0);
    assert_eq!(output.status.success(), worth, "{what}: {}", String::from_utf8_lossy(&output.stderr));
    let out = again.path().join("out");
    let none: &[&Path] = if record.embeddings == 0 { &[Path::new("--no-embeddings")] } else { &[] };
    python::run("same_data.py", &[&[data.as_path(), &out], none].concat());
    record
}

/// Kills scans at moments from their beginning to behind their end, recovers them (some recoveries are killed, too; some are those
/// of a daemon that starts), and looks at what is there.
async fn kill_and_recover(part: u32) {
    let begin = Instant::now();
    let daemon = Daemon::start(&options());
    let ready = Instant::now();
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    client.start_scan(tray(2, 2)).await.unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Scanning, .. })).await;
    let first_line = ready.elapsed();
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { .. })).await;
    let whole = ready.elapsed();
    drop(daemon);
    let mut seeded = Seeded(u64::from(part) + 1);
    let (mut lines, mut cut_off) = (0, 0);
    // A busy machine may be faster by now than in the scan that was timed.
    let mut pace = 1.0;
    for moment in (part..MOMENTS).step_by(PARTS as usize) {
        let mut share = (f64::from(moment) + seeded.share()) / f64::from(MOMENTS) * 1.05;
        if moment % 8 >= 2 {
            // Most of them where there is most to lose.
            let before = first_line.as_secs_f64() / whole.as_secs_f64();
            share = before + share * (1.0 - before);
        }
        let folder = killed(whole.mul_f64(share * pace)).await;
        let data = folder.path().join("data");
        let what = format!("killed at {:.0} % of the scan", share * 100.0);
        let cut = only_scan(&data).ended.is_none();
        cut_off += u32::from(cut);
        if !cut && share < 0.95 {
            pace *= 0.7;
        }
        // Recovery itself is killed, up to three times.
        for _ in 0..moment % 4 {
            let mut recovery = hyclus(&["recover"], &data).spawn().unwrap();
            tokio::time::sleep(whole.mul_f64(0.6 * seeded.share())).await;
            recovery.kill().unwrap();
            recovery.wait().unwrap();
        }
        let folder = if moment % 5 == 0 {
            let daemon = Daemon::launch(folder);
            let (success, _, folder) = daemon.end("-TERM");
            assert!(success, "{what}");
            folder
        } else {
            let recovered = hyclus(&["recover"], &data).output().unwrap();
            assert!(recovered.status.success(), "{what}: {}", String::from_utf8_lossy(&recovered.stderr));
            folder
        };
        let data = folder.path().join("data");
        let record = sound(&folder, &what);
        let received: u64 = record.cameras.values().map(|sums| sums.received).sum();
        println!("{what}: {received} lines recorded and recovered, {} samples, {} embeddings", record.samples.len(), record.embeddings);
        lines += received;
        let before = tree(&data);
        assert!(hyclus(&["recover"], &data).status().unwrap().success());
        assert_eq!(before, tree(&data), "{what}: recovered twice");
    }
    println!("{} moments, {cut_off} scans cut off, {lines} lines, {:.1} s", MOMENTS / PARTS, begin.elapsed().as_secs_f64());
    assert!(cut_off > MOMENTS / PARTS / 2 && lines > 100);
}

/// Names of what lies in the folder of samples.
fn in_samples(data: &Path) -> Vec<String> {
    let scans = std::fs::read_dir(data.join("scans")).into_iter().flatten().flatten();
    let files = scans.flat_map(|scan| std::fs::read_dir(scan.path().join("samples")).into_iter().flatten().flatten());
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// A scan is made again from its recording where the dark level moved. The daemon is killed once the samples of the first time are gone, and
/// once the first of the second time is begun.
#[tokio::test]
async fn a_scan_that_is_killed_while_it_is_made_again_is_recovered_from_its_recording() {
    let text = configuration(&Options { pool_slots: 256, time_scale: 4.0, ..options() });
    let text = text.replace("dead_elements", "dark_drift_per_h = 43200.0, dead_elements");
    for begun in [false, true] {
        let daemon = Daemon::with(&text);
        daemon.client().await.start_scan(tray(2, 2)).await.unwrap();
        let begin = Instant::now();
        let until = async |what: &str, reached: &dyn Fn(&[String]) -> bool| {
            while !reached(&in_samples(&daemon.data)) {
                assert!(begin.elapsed() < Duration::from_secs(120), "{what} is not reached: {:?}", in_samples(&daemon.data));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        until("a whole scan", &|names| names.iter().filter(|name| name.ends_with(".h5")).count() == 4).await;
        until("the removal", &<[String]>::is_empty).await;
        if begun {
            until("the second time", &|names| !names.is_empty()).await;
        }
        let folder = daemon.kill();
        assert_eq!(only_scan(&folder.path().join("data")).ended, None, "it was killed too late");
        let (success, _, folder) = Daemon::launch(folder).end("-TERM");
        assert!(success);
        let record = sound(&folder, if begun { "the second time had begun" } else { "the first time was gone" });
        assert_eq!(record.samples.len(), 4, "{:?} {:?}", record.reason, record.missing);
    }
}

#[tokio::test]
async fn killed_scans_are_recovered_first_part() {
    kill_and_recover(0).await;
}

#[tokio::test]
async fn killed_scans_are_recovered_second_part() {
    kill_and_recover(1).await;
}

#[tokio::test]
async fn killed_scans_are_recovered_third_part() {
    kill_and_recover(2).await;
}

#[tokio::test]
async fn killed_scans_are_recovered_fourth_part() {
    kill_and_recover(3).await;
}
