//! A power cut at any moment: a log of what the daemon did to its disk is played up to some step, and the disk loses what it may lose.
//! `HYCLUS_POWER_POINTS=1000` cuts so often, `HYCLUS_POWER_SEED` cuts elsewhere,
//! and `HYCLUS_POWER_LOGS` names a folder in which the logs are kept.
#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod log;
mod model;
#[path = "../daemon/rig.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemon")]
mod rig;

use check::{Cut, Truth};
use hyclus::config::Loaded;
use hyclus::scan::EventKind;
use log::Log;
use model::{Disk, Tree, lay_out};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rig::{Daemon, Options, configuration, encoder, tray, until};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use tempfile::TempDir;

/// Cuts of the short run.
const POINTS: usize = 100;
/// Threads that recover.
const AT_ONCE: usize = 3;

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// A folder in memory where there is one: what is tried here is what the log says, not how long a disk takes.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A program's run: the disk before it, its log, and what it left.
struct Run {
    name: &'static str,
    /// The disk before the first step.
    _root: TempDir,
    before: Disk,
    log: Log,
    truth: Truth,
    loaded: Loaded,
}

fn rig(simulation: &'static str, store: &str) -> String {
    // A scan of a second is synced ten times.
    let more = format!("{}[store]\nsync_s = 0.1\n{store}", encoder());
    let options =
        Options { pace: "real_time", time_scale: 2.0, tray: (1, 2), simulation, bands: 24, pool_slots: 256, more, ..Options::default() };
    // The trial of the disk before a scan is no part of what is tried here.
    configuration(&options).replace("[references]\n", "[disk]\ncheck_rate = false\n[references]\n")
}

/// Lays a state out in a folder of its own, with the configuration that the daemon had.
fn laid_out(tree: &Tree, text: &str) -> TempDir {
    let root = folder();
    lay_out(tree, root.path());
    std::fs::write(root.path().join("rig.toml"), text).unwrap();
    root
}

/// A daemon on an empty folder: two scans, and references between them.
async fn daemon_runs(name: &'static str, text: &str, mended: &str) -> Run {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("rig.toml"), text).unwrap();
    let log = root.path().join("disk.log");
    let mut inodes = Disk::of(root.path());
    let environment = log::environment(root.path(), &log);
    let daemon = Daemon::launch_in(root, &environment);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    for scan in 0..2 {
        let id = client.start_scan(tray(1, 2)).await.unwrap().id;
        until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
        for kind in ["dark", "white"] {
            let taken = daemon.hyclus(&["reference", kind]);
            assert!(scan == 1 || taken.status.success(), "{taken:?}");
        }
    }
    let (success, _, root) = daemon.end("-TERM");
    assert!(success);
    finished(name, root, &log, &mut inodes, None, mended)
}

fn finished(name: &'static str, root: TempDir, log: &Path, disk: &mut Disk, before: Option<&Truth>, text: &str) -> Run {
    if let Some(kept) = std::env::var_os("HYCLUS_POWER_LOGS") {
        std::fs::copy(log, Path::new(&kept).join(name)).unwrap();
    }
    let log = Log::read(log);
    let first = disk.clone();
    disk.run(&log, log.ops.len());
    check::same_as_the_folder(disk, root.path());
    let truth = Truth::of(disk, before);
    let loaded = Loaded::from_text(text.to_owned(), &root.path().join("rig.toml")).unwrap();
    Run { name, _root: root, before: first, log, truth, loaded }
}

/// `hyclus recover` on what a daemon left that was killed after so many steps. The disk lacks what that daemon did not sync.
fn recovery(name: &'static str, end: usize, before: &Run, text: &str) -> Run {
    let mut disk = before.before.clone();
    disk.run(&before.log, end);
    let root = laid_out(&disk.whole(), text);
    let log = root.path().join("disk.log");
    disk.moved(root.path());
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["recover", "--config"])
        .arg(root.path().join("rig.toml"))
        .arg("--data")
        .arg(root.path().join("data"))
        .envs(log::environment(root.path(), &log))
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    finished(name, root, &log, &mut disk, Some(&before.truth), text)
}

/// Cuts the power at `points` moments of a run, recovers, and gives what did not hold.
fn cut_and_recover(run: &Run, points: usize, random: &mut Pcg64) -> Vec<String> {
    let telling = check::telling(&run.log);
    let mut moments: Vec<(usize, u64)> = (0..points)
        .map(|point| {
            let at = if point % 2 == 0 {
                random.random_range(0..=run.log.ops.len())
            } else {
                telling[random.random_range(0..telling.len())] + 1
            };
            (at, random.random_range(0..u64::MAX))
        })
        .collect();
    moments.sort_unstable();
    let faults = Mutex::new(Vec::new());
    let (cuts, waiting) = std::sync::mpsc::sync_channel::<Cut>(AT_ONCE);
    let waiting = Mutex::new(waiting);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().recv();
                    let Ok(cut) = next else { return };
                    let root = folder();
                    lay_out(&cut.tree, root.path());
                    let found = check::faults(&cut, &run.truth, root.path(), &run.loaded);
                    faults.lock().unwrap().extend(found.into_iter().map(|fault| format!("{}: {fault}", cut.what)));
                }
            });
        }
        let mut disk = run.before.clone();
        for (at, seed) in moments {
            disk.run(&run.log, at);
            let tree = disk.cut(&mut Pcg64::seed_from_u64(seed));
            let what = format!("{} at step {at} of {}, seed {seed}", run.name, run.log.ops.len());
            cuts.send(run.truth.cut(what, &disk, tree)).unwrap();
        }
        drop(cuts);
    });
    faults.into_inner().unwrap()
}

/// A step of a run at this share of its first scan.
fn in_the_middle(run: &Run, share: f64) -> usize {
    let steps: Vec<usize> = run
        .log
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| matches!(op, log::Op::Rename { to, .. } if to.1 == "scan.json"))
        .map(|(at, _)| at)
        .collect();
    steps[0] + ((steps[1] - steps[0]) as f64 * share) as usize
}

#[tokio::test]
async fn after_a_power_cut_nothing_that_was_synced_is_lost() {
    let begin = Instant::now();
    let points = usize::try_from(variable("HYCLUS_POWER_POINTS", POINTS as u64)).unwrap();
    let mut random = Pcg64::seed_from_u64(variable("HYCLUS_POWER_SEED", 23));
    let plain = rig("", "");
    let packed = rig("", "compression = \"deflate\"\nnative = true\n");
    let failing = rig("faults = { encoder_fails = { after_batches = 3 } }", "").replace("batch = 64", "batch = 64\nretry_s = 1e6");
    let scans = daemon_runs("scans", &plain, &plain).await;
    let native = daemon_runs("compressed scans with native lines", &packed, &packed).await;
    let deferring = daemon_runs("scans without embeddings", &failing, &plain).await;
    let early = recovery("recovery", in_the_middle(&scans, 0.5), &scans, &plain);
    let late = recovery("late recovery", in_the_middle(&scans, 0.9), &scans, &plain);
    let catching_up = recovery("catching up", deferring.log.ops.len(), &deferring, &plain);
    println!("recorded in {:.1} s", begin.elapsed().as_secs_f64());
    let mut faults = Vec::new();
    for (run, share) in [(&scans, 30), (&native, 15), (&deferring, 15), (&early, 10), (&late, 10), (&catching_up, 20)] {
        let (begin, points) = (Instant::now(), points * share / 100);
        let found = cut_and_recover(run, points, &mut random);
        println!(
            "{}: {} steps, {} MB, {points} cuts, {} faults, {:.1} s",
            run.name,
            run.log.ops.len(),
            run.log.bytes / 1_000_000,
            found.len(),
            begin.elapsed().as_secs_f64()
        );
        faults.extend(found);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
