//! An encoder or a data set that fails or falls behind: samples are stored regardless, and the rest is made up for.

use super::gige::metrics;
use super::python;
use super::rig::{Daemon, Options, configuration, encoder, tray, until};
use hyclus::client::EventStream;
use hyclus::scan::{EventKind, ScanRecord};
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLLOWS: &str = "time_scale = 2.0";

/// A rig whose belt does not wait; its pools hold a whole scan, so that a line is not lost where a busy machine takes it late. `faults`
/// are those of the simulated world, and what is left is tried again after `retry_s`.
fn rig(faults: &str, retry_s: f64) -> String {
    let more = encoder().replace("batch = 64", &format!("batch = 64\nretry_s = {retry_s:?}\nlinger_s = 0.3"));
    let text = configuration(&Options { pace: "real_time", time_scale: 2.0, pool_slots: 256, more, ..Options::default() });
    assert!(text.contains(FOLLOWS));
    // A dark level measured afterwards would be interpolated where the recording is processed again.
    let text = text.replace("frames = 12", "frames = 12\ndark_after = false");
    text.replace(FOLLOWS, &format!("{FOLLOWS}\nfaults = {{ {faults} }}"))
}

/// Starts a scan, and gives its record as it was when it was closed.
async fn closed(daemon: &Daemon, events: &mut EventStream) -> (ScanRecord, Vec<EventKind>) {
    let client = daemon.client().await;
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    (daemon.record(&id), seen)
}

/// Waits until a scan lacks nothing any more.
async fn caught_up(events: &mut EventStream, id: &str) {
    until(events, |kind| matches!(kind, EventKind::EmbeddingsCaughtUp { scan, .. } if scan == id)).await;
}

fn valid(record: &ScanRecord) -> u64 {
    record.samples.iter().map(|sample| sample.valid).sum()
}

/// Fails unless a scan went to its end, all its samples are stored, no line was lost, and what it lacks is named.
fn stored_and_pending(record: &ScanRecord, because: &str) {
    assert_eq!((record.complete, record.reason.as_deref(), record.samples.len()), (Some(true), None, 4));
    for (name, sums) in &record.cameras {
        assert!(sums.received > 60 && sums.lost == 0 && sums.received == sums.expected, "{name}: {sums:?}");
    }
    let pending = record.pending.as_ref().unwrap();
    assert!(pending.reason.contains(because), "{}", pending.reason);
    assert_eq!(record.embeddings + pending.spectra, valid(record));
    assert!(pending.spectra > 0 && pending.samples.values().sum::<u64>() == pending.spectra, "{pending:?}");
}

fn hyclus(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(arguments).arg("--data").arg(data);
    command
}

/// Fails unless a scan lacks nothing, and holds exactly what it would if nothing had gone wrong.
fn whole(data: &Path, id: &str) {
    let record = hyclus::data_root::record(data, id).unwrap();
    assert_eq!((record.pending.as_ref(), record.embeddings), (None, valid(&record)));
    let verified = hyclus(&["verify", id], data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let left: Vec<PathBuf> = std::fs::read_dir(data.join(".embeddings-unfinished")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty() && !data.join("scans").join(id).join(".rig.toml").exists(), "{left:?}");

    let again = tempfile::tempdir().unwrap();
    let (config, map, out) = (again.path().join("rig.toml"), again.path().join("tray.json"), again.path().join("out"));
    std::fs::write(&config, rig("", 1.0)).unwrap();
    std::fs::write(&map, tray(2, 2).to_string()).unwrap();
    let capture = |camera: &str| format!("{camera}={}", data.join("scans").join(id).join("raw").join(camera).display());
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(["process", "--capture", &capture("vnir"), "--capture", &capture("swir")])
        .args([Path::new("--config"), &config, Path::new("--tray"), &map, Path::new("--out"), &out])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    python::run("same_rows.py", &[data, Path::new(id), &out]);
}

/// A value of the metrics.
fn metric(daemon: &Daemon, name: &str) -> u64 {
    let text = metrics(daemon);
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// An encoder that is too slow catches up after the scan, and pauses for the next one.
#[tokio::test]
async fn a_slow_encoder_costs_no_line_and_catches_up_between_scans() {
    // However long a busy machine needs for two scans, this takes longer.
    let daemon = Daemon::with(&rig("encoder_slow = { batch_s = 5.0 }", 1.0));
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (first, seen) = closed(&daemon, &mut events).await;
    stored_and_pending(&first, "the encoder");
    let told = seen.iter().filter(|kind| matches!(kind, EventKind::EmbeddingsPending { scan, .. } if *scan == first.id)).count();
    assert_eq!(told, 1, "{seen:?}");
    let status = daemon.client().await.status().await.unwrap();
    assert!(status.pending[&first.id].spectra > 0);
    assert_eq!(metric(&daemon, "hyclus_pending_scans"), 1);
    assert!(metric(&daemon, "hyclus_pending_spectra") > 0 && metric(&daemon, "hyclus_pending_samples") > 0);

    let (second, seen) = closed(&daemon, &mut events).await;
    stored_and_pending(&second, "the encoder");
    assert!(!seen.iter().any(|kind| matches!(kind, EventKind::EmbeddingsCaughtUp { .. })), "{seen:?}");
    assert_eq!(metric(&daemon, "hyclus_pending_scans"), 2);

    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    std::fs::write(folder.path().join("rig.toml"), rig("", 1.0)).unwrap();
    let daemon = Daemon::launch(folder);
    let mut events = daemon.client().await.events(None).await.unwrap();
    for id in [&first.id, &second.id] {
        if daemon.record(id).pending.is_some() {
            caught_up(&mut events, id).await;
        }
    }
    // While one was made up for, the other's part was still unfinished.
    [&first.id, &second.id].into_iter().for_each(|id| whole(&daemon.data, id));
    assert_eq!(metric(&daemon, "hyclus_pending_spectra"), 0);
    assert!(metric(&daemon, "hyclus_embeddings_caught_up_total") > 0);
}

/// An encoder that never comes back holds up neither the end of a scan nor that of the daemon.
#[tokio::test]
async fn an_encoder_that_hangs_is_left_behind() {
    let daemon = Daemon::with(&rig("encoder_slow = { batch_s = 600.0 }", 1.0));
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (record, _) = closed(&daemon, &mut events).await;
    stored_and_pending(&record, "the encoder");
    assert_eq!(record.embeddings, 0);
    let id = record.id;
    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    let data = folder.path().join("data");
    // Without a daemon, `hyclus recover` catches up, with the configuration it is given.
    let mended = folder.path().join("mended.toml");
    std::fs::write(&mended, rig("", 1.0)).unwrap();
    let recovered = hyclus(&["recover", &id, "--config", mended.to_str().unwrap()], &data).output().unwrap();
    assert!(recovered.status.success(), "{}", String::from_utf8_lossy(&recovered.stderr));
    whole(&data, &id);
}

/// What a failing encoder left is remembered by a daemon that is killed, and by the next.
#[tokio::test]
async fn what_a_failing_encoder_left_outlives_the_daemon() {
    let failing = rig("encoder_fails = { after_batches = 10 }", 1e6);
    let daemon = Daemon::with(&failing);
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (record, _) = closed(&daemon, &mut events).await;
    stored_and_pending(&record, "fails after 10 batches");
    // The next try makes ten batches more, and fails in the same way; what it made is kept.
    let id = record.id;
    until(&mut events, |kind| matches!(kind, EventKind::Warning { message } if message.contains("cannot be made yet"))).await;
    let later = daemon.record(&id);
    assert!(later.embeddings > record.embeddings && later.pending.is_some(), "{} and {}", record.embeddings, later.embeddings);
    let folder = daemon.kill();
    let data = folder.path().join("data");
    let verified = hyclus(&["verify", &id], &data).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));

    // Killed while it catches up, at moments that differ: the encoder is good, and takes its time.
    std::fs::write(folder.path().join("rig.toml"), rig("encoder_slow = { batch_s = 0.02 }", 1.0)).unwrap();
    let mut folder = folder;
    for ms in [30, 150, 400] {
        let daemon = Daemon::launch(folder);
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        folder = daemon.kill();
    }
    std::fs::write(folder.path().join("rig.toml"), rig("", 1.0)).unwrap();
    let daemon = Daemon::launch(folder);
    let mut events = daemon.client().await.events(None).await.unwrap();
    if daemon.record(&id).pending.is_some() {
        caught_up(&mut events, &id).await;
    }
    whole(&daemon.data, &id);
    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    let text = |data: &Path| std::fs::read_to_string(data.join("scans").join(&id).join("scan.json")).unwrap();
    let before = text(&data_of(&folder));
    assert!(hyclus(&["recover"], &data_of(&folder)).status().unwrap().success());
    assert_eq!(before, text(&data_of(&folder)), "caught up twice");
}

fn data_of(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data")
}

/// A model that was replaced by nonsense between scans costs no sample, and when it is there again, nothing.
#[tokio::test]
async fn a_model_that_became_nonsense_is_waited_for() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx");
    let models = tempfile::tempdir().unwrap();
    let model = models.path().join("model.onnx");
    std::fs::copy(&good, &model).unwrap();
    let daemon = Daemon::with(&rig("", 0.2).replace(&format!("{good:?}"), &format!("{model:?}")));
    std::fs::write(&model, "nonsense").unwrap();
    let mut events = daemon.client().await.events(None).await.unwrap();
    let (record, _) = closed(&daemon, &mut events).await;
    stored_and_pending(&record, "no ONNX model");
    assert_eq!((record.embeddings, record.pending.as_ref().unwrap().spectra), (0, valid(&record)));
    let shown = daemon.hyclus(&["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&format!("scan {} lacks", record.id)), "{shown:?}");
    std::fs::copy(&good, &model).unwrap();
    caught_up(&mut events, &record.id).await;
    whole(&daemon.data, &record.id);
}

/// A data set that cannot be written, from the beginning of a scan or in the middle of it.
#[tokio::test]
async fn a_data_set_that_cannot_be_written_costs_no_sample() {
    let daemon = Daemon::with(&rig("", 0.2));
    let (embeddings, aside) = (daemon.data.join("embeddings"), daemon.folder.path().join("aside"));
    let mut events = daemon.client().await.events(None).await.unwrap();
    // A file in the place of a folder: nobody can make anything below it.
    std::fs::write(&embeddings, "").unwrap();
    let (first, _) = closed(&daemon, &mut events).await;
    stored_and_pending(&first, "embeddings");
    std::fs::remove_file(&embeddings).unwrap();
    caught_up(&mut events, &first.id).await;
    whole(&daemon.data, &first.id);

    let client = daemon.client().await;
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    until(&mut events, |kind| matches!(kind, EventKind::PartClosed { scan, .. } if *scan == id)).await;
    std::fs::rename(&embeddings, &aside).unwrap();
    std::fs::write(&embeddings, "").unwrap();
    until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    let second = daemon.record(&id);
    assert_eq!((second.complete, second.samples.len()), (Some(true), 4));
    assert!(second.embeddings > 0 && second.pending.is_some(), "{:?}", second.pending);
    std::fs::remove_file(&embeddings).unwrap();
    std::fs::rename(&aside, &embeddings).unwrap();
    caught_up(&mut events, &id).await;
    whole(&daemon.data, &id);
    whole(&daemon.data, &first.id);
}
