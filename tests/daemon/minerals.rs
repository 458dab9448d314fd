//! Minerals, while the belt moves: files, data set and record agree, and what was not identified in time follows from the files.

use super::gige::metrics;
use super::live::follow;
use super::matrix::MINERALS;
use super::matrix::disk::{Disk, Mode, Orders};
use super::python;
use super::rig::{Daemon, Options, configuration, tray, until};
use hyclus::client::EventStream;
use hyclus::scan::{EventKind, ScanRecord};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The library of the tree.
fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml")
}

/// A grid that is quick.
const COARSE: &str = "2.4";
/// A grid on which two samples side by side need more than a MiB.
const FINE: &str = "1.2";

/// A rig that identifies minerals by a library, on a grid, mm. `more` are further keys of its section.
fn rig(library: &Path, grid: &str, more: &str) -> String {
    let section = format!("[minerals]\nlibrary = {library:?}\nretry_s = 0.2\n{more}");
    let text = configuration(&Options { more: section, ..Options::default() });
    // A dark level measured afterwards would be interpolated where the recording is processed again.
    let text = text.replace("bands = 48", "bands = 160").replace("frames = 12", "frames = 12\ndark_after = false");
    text.replace("pixel_mm = 2.4", &format!("pixel_mm = {grid}"))
}

/// Memory in which not every sample has room.
const NO_ROOM: &str = "max_memory_mib = 1";

async fn closed(daemon: &Daemon, events: &mut EventStream) -> (ScanRecord, Vec<EventKind>) {
    let client = daemon.client().await;
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    (daemon.record(&id), seen)
}

async fn caught_up(daemon: &Daemon, id: &str) {
    let mut events = daemon.client().await.events(None).await.unwrap();
    if daemon.record(id).pending_minerals().is_some() {
        until(&mut events, |kind| matches!(kind, EventKind::MineralsCaughtUp { scan, .. } if scan == id)).await;
    }
}

fn hyclus(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).output().unwrap()
}

/// Processes the recording of a scan again, by a library. Gives the folder.
fn again(data: &Path, id: &str, library: &Path, grid: &str, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("rig.toml"), rig(library, grid, more)).unwrap();
    std::fs::write(path("tray.json"), tray(2, 2).to_string()).unwrap();
    let capture = |camera: &str| format!("{camera}={}", data.join("scans").join(id).join("raw").join(camera).display());
    let [vnir, swir] = ["vnir", "swir"].map(capture);
    let (config, map, out) = (path("rig.toml"), path("tray.json"), path("out"));
    let output = hyclus(&["process", "--capture", &vnir, "--capture", &swir, "--config", &config, "--tray", &map, "--out", &out]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// Fails unless a scan lacks nothing, its files are as its record says, and hold what the recording gives when it is processed.
fn whole(data: &Path, id: &str, library: &Path, grid: &str) {
    let record = hyclus::data_root::record(data, id).unwrap();
    assert!(record.pending_minerals().is_none() && record.samples.len() == 4, "{record:?}");
    let verified = hyclus(&["verify", id, "--data", &data.display().to_string()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let hidden = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.starts_with('.')).collect::<Vec<_>>()
    };
    assert_eq!(hidden(&data.join("scans").join(id).join("samples")), [""; 0]);
    assert_eq!(hidden(&data.join("scans").join(id)), [""; 0]);
    assert_eq!(std::fs::read_dir(data.join(".minerals-unfinished")).unwrap().count(), 0);
    let again = again(data, id, library, grid, "");
    python::run("minerals.py", &[data, Path::new(id), &again.path().join("out")]);
}

#[tokio::test]
async fn a_scan_tells_its_minerals() {
    let daemon = Daemon::with(&rig(&library(), COARSE, "max_not_identified = 0.0"));
    let mut events = daemon.client().await.events(None).await.unwrap();
    let viewer = follow(&daemon.socket, "");
    let (record, seen) = closed(&daemon, &mut events).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    // What the tap showed is what the files hold.
    let shown = daemon.folder.path().join("live.bin");
    std::fs::write(&shown, viewer.join().unwrap()).unwrap();
    python::run("live_minerals.py", &[&shown, &daemon.data.join("scans").join(&record.id)]);
    let identified = seen.iter().filter(|kind| matches!(kind, EventKind::SampleIdentified { .. })).count();
    assert_eq!(identified, 4, "{seen:?}");
    assert!(!seen.iter().any(|kind| matches!(kind, EventKind::MineralsPending { .. })), "{seen:?}");
    for (at, sample) in (0..).zip(&record.samples) {
        let minerals = sample.minerals.as_ref().unwrap();
        assert!(minerals.part == at && minerals.pixels > 500 && minerals.groups.len() == 2, "{minerals:?}");
        let limit = minerals.not_identified.unwrap().share > 0.0;
        let told = record.warnings.iter().any(|w| w.contains("minerals.max_not_identified") && w.starts_with(&sample.sample));
        assert_eq!(limit, told, "{:?}", record.warnings);
    }
    let text = metrics(&daemon);
    assert!(text.contains("hyclus_minerals_not_identified_ratio{container=\"A1\"}"), "{text}");
    let spectra: u64 = record.samples.iter().map(|sample| sample.minerals.as_ref().unwrap().pixels).sum();
    assert!(text.contains(&format!("hyclus_minerals_spectra_total {spectra}")), "{text}");
    whole(&daemon.data, &record.id, &library(), COARSE);

    let data = daemon.data.display().to_string();
    let shown = hyclus(&["tail", "--minerals", "--data", &data, "--scan", &record.id, "--format", "jsonl"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(text.lines().count() as u64, spectra, "{}", String::from_utf8_lossy(&shown.stderr));
    let row: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert!(row["mineral_2"].is_string() && row["score_2"].is_number() && row["plant"] == "P1", "{row}");
    let out = daemon.folder.path().join("table");
    let exported = hyclus(&["export", "csv", "--data", &data, &record.id, out.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let table = std::fs::read_to_string(out.join("minerals.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.len() == 5 && rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
    let share: f64 = rows[1][rows[0].iter().position(|name| *name == "not_identified").unwrap()].parse().unwrap();
    assert_eq!(share, record.samples[0].minerals.as_ref().unwrap().not_identified.unwrap().share);
}

#[tokio::test]
async fn samples_without_room_are_identified_from_their_files() {
    let daemon = Daemon::with(&rig(&library(), FINE, NO_ROOM));
    let mut events = daemon.client().await.events(None).await.unwrap();
    let client = daemon.client().await;
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(&mut events, |kind| matches!(kind, EventKind::MineralsCaughtUp { scan, .. } if *scan == id)).await;
    let told = seen.iter().filter(|kind| matches!(kind, EventKind::MineralsPending { .. })).count();
    assert_eq!(told, 1, "{seen:?}");
    let stored = seen.iter().filter_map(|kind| match kind {
        EventKind::SampleStored { record, .. } => record.minerals.as_ref()?.deferred.clone(),
        _ => None,
    });
    assert!(stored.filter(|reason| reason.contains("minerals.max_memory_mib")).count() > 0);
    whole(&daemon.data, &id, &library(), FINE);
    // The same limit defers them when the recording is processed, too. They follow at the end.
    let again = again(&daemon.data, &id, &library(), FINE, NO_ROOM);
    python::run("minerals.py", &[&daemon.data, Path::new(&id), &again.path().join("out")]);
}

/// A library of its own, which a test may change.
fn own_library() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(library().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&entry, folder.path().join(entry.file_name().unwrap())).unwrap();
    }
    let mine = folder.path().join("usgs.toml");
    (folder, mine)
}

/// A library that is gone when a scan begins is waited for. A daemon that is killed meanwhile identifies each sample once.
#[tokio::test]
async fn a_daemon_that_is_killed_identifies_each_sample_once() {
    let (_libraries, mine) = own_library();
    let daemon = Daemon::with(&rig(&mine, COARSE, ""));
    let aside = mine.with_extension("aside");
    std::fs::rename(&mine, &aside).unwrap();
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (record, seen) = closed(&daemon, &mut events).await;
    let id = record.id.clone();
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    let pending = record.pending_minerals().unwrap();
    assert!(pending.samples.len() == 4 && pending.reason.contains("usgs.toml"), "{pending:?}");
    assert_eq!(seen.iter().filter(|kind| matches!(kind, EventKind::MineralsPending { .. })).count(), 1, "{seen:?}");
    let shown = daemon.hyclus(&["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("scan {id} lacks the minerals of S-A1")), "{shown:?}");
    assert!(metrics(&daemon).contains("hyclus_pending_minerals_samples 4"));
    let mut folder = daemon.kill();
    std::fs::rename(&aside, &mine).unwrap();
    for ms in [50, 300, 800, 1500, 2500] {
        let daemon = Daemon::launch(folder);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        folder = daemon.kill();
    }
    let daemon = Daemon::launch(folder);
    caught_up(&daemon, &id).await;
    whole(&daemon.data, &id, &mine, COARSE);
}

/// A daemon that is killed between a sample's file and its part of the data set gives what it would have given without.
#[tokio::test]
async fn a_kill_between_a_sample_and_its_minerals_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), rig(&library(), COARSE, "")).unwrap();
    let disk = Disk::new(folder.path(), &folder.path().join("data"));
    let environment = disk.environment.clone();
    // No part is written, and samples are stored all the same.
    disk.order(&Orders { mode: Mode::Gated, trigger: (MINERALS, 0), bytes_left: 0, clock_step_s: 0 });
    let daemon = Daemon::launch_in(folder, &environment);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(&mut events, |kind| matches!(kind, EventKind::SampleStored { .. })).await;
    assert!(!seen.iter().any(|kind| matches!(kind, EventKind::SampleIdentified { .. })), "{seen:?}");
    let folder = daemon.kill();
    disk.mend();
    let daemon = Daemon::launch(folder);
    while hyclus::data_root::record(&daemon.data, &id).is_none_or(|record| record.complete.is_none()) {
        tokio::task::yield_now().await;
    }
    caught_up(&daemon, &id).await;
    assert!(daemon.record(&id).pending_minerals().is_none());
    let verified = hyclus(&["verify", &id, "--data", &daemon.data.display().to_string()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    python::run("minerals.py", &[&daemon.data, Path::new(&id)]);
    assert_eq!(std::fs::read_dir(daemon.data.join(".minerals-unfinished")).unwrap().count(), 0);
}

/// A library that was changed before the rest was identified: all samples are by the new one.
#[tokio::test]
async fn one_scan_has_one_library() {
    let (_libraries, mine) = own_library();
    let daemon = Daemon::with(&rig(&mine, COARSE, ""));
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (record, _) = closed(&daemon, &mut events).await;
    let before = record.minerals.unwrap();
    assert_eq!(before.pending, None);
    let folder = daemon.kill();
    // As if a part had not been published, and the library was changed since.
    let data = folder.path().join("data");
    let path = data.join("scans").join(&record.id).join("scan.json");
    let mut text: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    text["minerals"]["pending"] = serde_json::json!({"reason": "a part is missing", "samples": ["samples/S-A1.h5"]});
    std::fs::write(&path, text.to_string()).unwrap();
    std::fs::remove_file(data.join(format!("minerals/scan={}/part-00000.parquet", record.id))).unwrap();
    let library = std::fs::read_to_string(&mine).unwrap();
    std::fs::write(&mine, format!("{library}\n# changed\n")).unwrap();
    let daemon = Daemon::launch(folder);
    caught_up(&daemon, &record.id).await;
    let after = daemon.record(&record.id).minerals.unwrap();
    assert_ne!(before.library_sha256, after.library_sha256);
    whole(&daemon.data, &record.id, &mine, COARSE);
}
