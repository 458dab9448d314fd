//! The fault matrix: everything that can fail, while references are taken, while the belt moves, and while the last is written. Each
//! time the belt must stand, the lamps must be safe, what was scanned must be whole, the cause must be named wherever one looks, and
//! the rig must scan again once the fault is acknowledged. `HYCLUS_MATRIX="disk is"` tries the rows of that name alone.

pub mod disk;
mod mounted;
mod rows;

use super::python;
use super::rig::{Daemon, Options, configuration, encoder, tray, until};
use disk::{Disk, Mode};
use hyclus::client::{Client, EventStream};
use hyclus::scan::{EventKind, ScanRecord, StateName, Status};
use mounted::Mounted;
pub use rows::MINERALS;
use rows::{Fault, Outcome, Row, rows};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the daemon of so small a rig never needs, KiB.
const MOST_KIB: u64 = 512 << 10;
/// Rows at a time.
const AT_ONCE: usize = 4;

/// What is done to a file system of its own, where the row has one.
fn mounted(row: &Row) -> Option<Mode> {
    match &row.inject {
        Fault::System(orders) if orders.mode.mounted() => Some(orders.mode),
        _ => None,
    }
}

/// Rows of containers: more than what waits before a slow disk holds.
fn tray_rows(row: &Row) -> usize {
    if row.fault == "disk is slow" && row.real_time { 4 } else { 1 }
}

/// Whether the row is about minerals, which need a finer grid of bands.
fn identifies(row: &Row) -> bool {
    row.fault.starts_with("minerals")
}

fn options(row: &Row) -> Options {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml");
    let minerals = if identifies(row) { format!("[minerals]\nlibrary = {library:?}\nretry_s = 0.2\n") } else { String::new() };
    Options {
        pace: if row.real_time { "real_time" } else { "as_read" },
        time_scale: if row.fault == "lamp fails" { 1.0 } else { 2.0 },
        tray: (tray_rows(row), 2),
        simulation: "faults_file = \"faults.toml\"",
        more: format!("{}\n{minerals}", encoder()),
        pool_slots: 12,
        bands: if identifies(row) { 160 } else { 24 },
        ..Options::default()
    }
}

/// A rig that notices soon.
fn soon(row: &Row) -> String {
    configuration(&options(row))
        .replace("exposure_us = 2000.0\nframe_rate_hz", "exposure_us = 2000.0\nsilence_s = 1.0\nframe_rate_hz")
        .replace("[scan]\n", "[scan]\nkeep_lamps = false\n")
        .replace("[references]\n", "[disk]\nreserve_mib = 1\n[references]\n")
}

/// Whether the belt stands and no lamp burns, as the devices themselves say.
fn safe(status: &Status) -> bool {
    status.devices.iter().map(|device| serde_json::to_value(device).unwrap()).all(|device| match device["device"].as_str() {
        Some("conveyor") => device["state"]["moving"] == false,
        Some("light") => device["state"]["on"] == false,
        _ => true,
    })
}

/// Waits until the belt stands and no lamp burns.
async fn made_safe(client: &Client, what: &str) -> Status {
    let patience = Instant::now() + super::rig::PATIENCE;
    loop {
        let status = client.status().await.unwrap();
        if safe(&status) {
            return status;
        }
        assert!(Instant::now() < patience, "{what}: {status:?}");
        tokio::task::yield_now().await;
    }
}

/// Waits until the embeddings and minerals that a scan left for later are made: a slow disk holds their data sets up, too.
async fn caught_up(daemon: &Daemon, id: &str, what: &str) {
    let patience = Instant::now() + super::rig::PATIENCE;
    loop {
        let record = daemon.record(id);
        if record.pending.is_none() && record.pending_minerals().is_none() {
            return;
        }
        assert!(Instant::now() < patience, "{what}: {id} lacks {:?} {:?}", record.pending, record.pending_minerals());
        tokio::task::yield_now().await;
    }
}

fn metrics(daemon: &Daemon) -> String {
    let output = Command::new("curl").args(["-sSf", &format!("http://{}/metrics", daemon.address)]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The scan that is asked for, to its end, with all that was told of it.
async fn one_scan(row: &Row, client: &Client, events: &mut EventStream) -> (String, Vec<EventKind>) {
    let id = client.start_scan(tray(tray_rows(row), 2)).await.unwrap().id;
    let seen = until(events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    (id, seen)
}

/// Breaks what the row says while a scan runs, looks at what comes of it, mends it, and scans again.
async fn try_row(row: &Row) -> TempDir {
    let what = format!("{} during {}", row.fault, row.moment);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), soon(row)).unwrap();
    let disk = matches!(row.inject, Fault::System(_)).then(|| Disk::new(folder.path(), &folder.path().join("data")));
    let environment = disk.as_ref().map(|disk| disk.environment.clone()).unwrap_or_default();
    let mount = mounted(row).map(|mode| (mode, Mounted::new(&folder.path().join("data")).unwrap()));
    let enter = mount.as_ref().map(|(_, mount)| mount.enter()).unwrap_or_default();
    let file = folder.path().join("faults.toml");
    if let Fault::World(keys) = row.inject {
        std::fs::write(&file, format!("during = '{}'\n{keys}\n", row.moment)).unwrap();
    }
    let mut daemon = tokio::task::spawn_blocking(move || Daemon::launch_by(&enter, folder, &environment)).await.unwrap();
    if let Some((_, mount)) = &mount {
        daemon.data = mount.seen();
    }
    if let (Some(disk), Fault::System(orders)) = (&disk, &row.inject) {
        disk.order(orders);
    }
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let (id, mut seen) = one_scan(row, &client, &mut events).await;

    // What comes of it.
    let closed = client.scans().await.unwrap().into_iter().find(|scan| scan.id == id).unwrap();
    let (part, words) = match row.outcome {
        Outcome::Faulted(part, words) | Outcome::CompleteFaulted(part, words) => (Some(part), words),
        Outcome::Refused(words) | Outcome::Warned(words) => (None, words),
        Outcome::Complete | Outcome::Counted(_) => (None, ""),
    };
    let complete = !matches!(row.outcome, Outcome::Faulted(..) | Outcome::Refused(_));
    assert_eq!(closed.complete, Some(complete), "{what}: {:?}", closed.reason);
    if let Some(part) = part {
        // A fault at the very end is told behind the end of its scan.
        if !seen.iter().any(|kind| matches!(kind, EventKind::State { state: StateName::Faulted, .. })) {
            seen.extend(until(&mut events, |kind| matches!(kind, EventKind::State { state: StateName::Faulted, .. })).await);
        }
        let told = seen.iter().find_map(|kind| match kind {
            EventKind::State { state: StateName::Faulted, cause } => cause.clone(),
            _ => None,
        });
        assert!(told.as_ref().is_some_and(|cause| cause.contains(words)), "{what}: {told:?}");
        let status = client.status().await.unwrap();
        assert_eq!((status.state, &status.cause), (StateName::Faulted, &told), "{what}");
        let counted = metrics(&daemon);
        for line in [format!("hyclus_faults_total{{part=\"{part}\"}} 1"), "hyclus_state{state=\"faulted\"} 1".to_owned()] {
            assert!(counted.lines().any(|other| other == line), "{what}: {line} is not in the metrics");
        }
        assert!(client.start_scan(tray(1, 2)).await.unwrap_err().to_string().contains("acknowledge"), "{what}");
    } else {
        let status = client.status().await.unwrap();
        assert_eq!((status.state, status.cause), (StateName::Idle, None), "{what}");
    }
    if !complete {
        assert!(closed.reason.as_ref().unwrap().contains(words), "{what}: {:?}", closed.reason);
    }
    if let Outcome::Warned(words) = row.outcome {
        assert!(closed.warnings.iter().any(|warning| warning.contains(words)), "{what}: {:?}", closed.warnings);
        let told = |kind: &EventKind| matches!(kind, EventKind::Warning { message } if message.contains(words));
        assert!(seen.iter().any(told), "{what}");
    }
    counted(row, &closed, &what);
    let (peak_kib, _) = daemon.usage("VmHWM");
    assert!(peak_kib < MOST_KIB, "{what}: {peak_kib} KiB");

    // Mended, it stands and is dark, also where it could not be told so; and it scans again.
    if let Some((mode, mount)) = &mount {
        mount.mend(*mode);
    }
    match &disk {
        Some(disk) => disk.mend(),
        None => std::fs::remove_file(&file).unwrap(),
    }
    made_safe(&client, &what).await;
    if part.is_some() {
        let status = client.acknowledge().await.unwrap();
        assert_eq!((status.state, status.cause), (StateName::Idle, None), "{what}");
    }
    let (again, _) = one_scan(row, &client, &mut events).await;
    let record = daemon.record(&again);
    assert_eq!(record.complete, Some(true), "{what}: the scan after it: {:?}", record.reason);
    let lost: u64 = record.cameras.values().map(|sums| sums.lost).sum();
    assert!(record.samples.len() == 2 * tray_rows(row) || lost > 0, "{what}: the scan after it: {:?}", record.missing);
    made_safe(&client, &what).await;
    for id in [&id, &again] {
        caught_up(&daemon, id, &what).await;
    }

    let (ended, log, folder) = tokio::task::spawn_blocking(move || daemon.end("-TERM")).await.unwrap();
    assert!(ended, "{what}: {}", log.join("\n"));
    if let Some((_, mount)) = &mount {
        mount.lay_out();
    }
    let level = if part.is_some() { "ERROR" } else { "WARN" };
    let named = |line: &String| line.contains(&format!("\"{level}\"")) && line.contains(words);
    assert!(words.is_empty() || log.iter().any(named), "{what}: the log does not name it:\n{}", log.join("\n"));
    for id in [&id, &again] {
        let data = folder.path().join("data");
        let output = Command::new(env!("CARGO_BIN_EXE_hyclus")).args(["verify", "--data"]).arg(data).arg(id).output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stdout));
    }
    nothing_left(&folder, &what);
    folder
}

/// Lines that were lost are counted where they should be, and nowhere else.
fn counted(row: &Row, closed: &ScanRecord, what: &str) {
    let sum = |of: fn(&hyclus::scan::LineCounts) -> u64| closed.cameras.values().map(of).sum::<u64>() > 0;
    let found = [sum(|sums| sums.lost_link), sum(|sums| sums.lost_pool), sum(|sums| sums.unusable)];
    for (name, sums) in &closed.cameras {
        assert_eq!(sums.received + sums.lost, sums.expected, "{what}: {name}");
        assert_eq!(sums.lost_pool + sums.lost_link, sums.lost, "{what}: {name}");
    }
    match row.outcome {
        // In real time a busy machine may lose others, too.
        Outcome::Counted(expected) => {
            assert!(expected.iter().zip(found).all(|(expected, found)| !expected || found), "{what}: {:?}", closed.cameras);
        }
        Outcome::Complete | Outcome::Warned(_) if !row.real_time => assert_eq!(found, [false; 3], "{what}: {:?}", closed.cameras),
        _ => {}
    }
}

/// Every file is one of a scan that is closed, or a reference.
fn nothing_left(folder: &TempDir, what: &str) {
    let data = folder.path().join("data");
    let records = hyclus::data_root::records(&data);
    let mut folders = vec![data.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&data).unwrap().to_string_lossy().into_owned();
            let known = records.iter().any(|record| record.files.iter().any(|file| file.path == name));
            let other = name == ".lock" || name.ends_with("/scan.json") || (name.starts_with("references/") && !name.ends_with(".part"));
            assert!(known || other, "{what}: {name} was left behind");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_ends_as_its_policy_says() {
    let only = std::env::var("HYCLUS_MATRIX").unwrap_or_default();
    let begin = Instant::now();
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut running = tokio::task::JoinSet::new();
    let possible = Mounted::possible();
    let mut told = Vec::new();
    for (number, row) in rows().into_iter().enumerate().filter(|(_, row)| format!("{} {}", row.fault, row.moment).contains(&only)) {
        if mounted(&row).is_some() && !possible {
            told.push((number, format!("{:<24} {:<12} not tried: the system allows no namespaces", row.fault, row.moment)));
            continue;
        }
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            let begin = Instant::now();
            let result = tokio::spawn(async move {
                let folder = try_row(&row).await;
                (row, folder)
            });
            (number, result.await, begin.elapsed())
        });
    }
    let (mut folders, mut failed) = (Vec::new(), Vec::new());
    while let Some(done) = running.join_next().await {
        match done.unwrap() {
            (number, Ok((row, folder)), took) => {
                told.push((number, line(&row, took)));
                folders.push(folder);
            }
            (number, Err(error), _) => failed.push((number, error)),
        }
    }
    told.sort();
    println!("fault                    moment       outcome");
    told.iter().for_each(|(_, line)| println!("{line}"));
    println!("{} rows in {:.1} s", folders.len(), begin.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "{} rows failed: {failed:?}", failed.len());
    let data: Vec<PathBuf> = folders.iter().map(|folder| folder.path().join("data")).collect();
    python::run("intact.py", &data.iter().map(PathBuf::as_path).collect::<Vec<_>>());
}

/// A scan that is closed survives a power failure: every file of it, and every folder that names one, was seen on the disk, the
/// folders after the files in them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_scan_names_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), configuration(&Options { more: encoder(), ..Options::default() })).unwrap();
    let disk = Disk::new(folder.path(), &folder.path().join("data"));
    let environment = disk.environment.clone();
    let daemon = tokio::task::spawn_blocking(move || Daemon::launch_in(folder, &environment)).await.unwrap();
    let (record, _) = super::rig::scan(&daemon, tray(2, 2)).await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    let synced = disk.synced();
    let last = |path: &Path| {
        let number = std::fs::metadata(path).unwrap().ino();
        synced.iter().rposition(|other| *other == number).unwrap_or_else(|| panic!("{} was not seen on the disk", path.display()))
    };
    let named = record.files.iter().map(|file| file.path.clone()).chain([format!("scans/{}/scan.json", record.id)]);
    for path in named.map(|path| daemon.data.join(path)) {
        let at = last(&path);
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&daemon.data)) {
            let seen = last(folder);
            assert!(seen > at || path.ends_with("scan.json"), "{} before {}", folder.display(), path.display());
        }
        assert!(last(path.parent().unwrap()) > at, "{}", path.display());
    }
}

fn line(row: &Row, took: Duration) -> String {
    let outcome = match row.outcome {
        Outcome::Complete => "complete".to_owned(),
        Outcome::Counted([true, ..]) => "complete, lines counted as lost on the link".to_owned(),
        Outcome::Counted([_, true, _]) => "complete, lines counted as lost at the pool".to_owned(),
        Outcome::Counted(_) => "complete, lines counted as not usable".to_owned(),
        Outcome::Warned(words) => format!("complete, warned: {words}"),
        Outcome::CompleteFaulted(part, words) => format!("complete; faulted ({part}): {words}"),
        Outcome::Refused(words) => format!("incomplete: {words}"),
        Outcome::Faulted(part, words) => format!("incomplete; faulted ({part}): {words}"),
    };
    format!("{:<24} {:<12} {outcome} [{:.1} s]", row.fault, row.moment, took.as_secs_f64())
}
