//! Several encoders at once: each has its own data set, and none of them costs another one anything.

use super::rig::{Daemon, Options, configuration, encoder, tray, until};
use super::{gige::metrics, python};
use hyclus::scan::{EventKind, ScanRecord};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Writes an encoder that gives the first `numbers` numbers of the embeddings.
pub(crate) fn fewer(folder: &Path, numbers: u8) -> PathBuf {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx");
    let out = folder.join(format!("first-{numbers}.onnx"));
    python::run("fewer_dimensions.py", &[&model, Path::new(&numbers.to_string()), &out]);
    out
}

/// The same with three numbers, under a name of its own, so that it is another model.
pub(crate) fn named(folder: &Path, name: &str) -> PathBuf {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx");
    let out = folder.join(format!("{name}.onnx"));
    python::run("fewer_dimensions.py", &[&model, Path::new("3"), &out, Path::new(name)]);
    out
}

/// A rig with the encoders `main`, `trial` and the shadow `ghost`, in a world with these faults. Its pools hold a whole scan.
pub(crate) fn rig(models: &Path, faults: &str) -> String {
    let [trial, ghost] = [3, 2].map(|numbers| fewer(models, numbers));
    let others = format!(
        "[[encoder]]\nname = \"trial\"\nmodel = {trial:?}\nbatch = 64\nretry_s = 0.2\nlinger_s = 5.0\n\
         [[encoder]]\nname = \"ghost\"\nshadow = true\nmodel = {ghost:?}\nbatch = 64\nlinger_s = 0.3\n[publish]"
    );
    let more = encoder().replace("[encoder]", "[[encoder]]").replace("[publish]", &others);
    let text = configuration(&Options { pace: "real_time", time_scale: 2.0, pool_slots: 256, more, ..Options::default() });
    // A dark level measured afterwards would have the recording processed again.
    let text = text.replace("frames = 12", "frames = 12\ndark_after = false");
    text.replace("time_scale = 2.0", &format!("time_scale = 2.0\nfaults = {{ {faults} }}"))
}

pub(crate) fn valid(record: &ScanRecord) -> u64 {
    record.samples.iter().map(|sample| sample.valid).sum()
}

pub(crate) fn hyclus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).output().unwrap()
}

pub(crate) fn said(arguments: &[&str]) -> String {
    let output = hyclus(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Scans a tray, and gives the record as it was when the scan was closed, and the events until then.
pub(crate) async fn scanned(daemon: &Daemon) -> (ScanRecord, Vec<EventKind>) {
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    (daemon.record(&id), seen)
}

#[tokio::test]
async fn every_encoder_has_a_data_set_of_its_own() {
    let models = tempfile::tempdir().unwrap();
    let daemon = Daemon::with(&rig(models.path(), ""));
    let (record, seen) = scanned(&daemon).await;
    let rows = valid(&record);
    let shas: Vec<_> = record.encoders.values().map(|encoder| encoder.encoder_sha256.clone()).collect();
    assert!(shas[0] != shas[1] && !shas.contains(&record.encoder_sha256) && !shas.contains(&None), "{shas:?}");
    assert!(!record.encoders["trial"].shadow && record.encoders["ghost"].shadow);
    // The machine may be too slow for a shadow, which is never waited for.
    assert_eq!((record.embeddings, record.pending.as_ref()), (rows, None));
    assert_eq!((record.encoders["trial"].embeddings, record.encoders["trial"].pending.as_ref()), (rows, None));
    let closed = |set: &str| seen.iter().any(|kind| matches!(kind, EventKind::PartClosed { path, .. } if path.starts_with(set)));
    assert!(closed("embeddings/scan=") && closed("embeddings-trial/scan="), "{seen:?}");
    assert!(metrics(&daemon).contains("hyclus_stage_items_in_total{stage=\"encode-trial\"}"), "{}", metrics(&daemon));

    let (data, id) = (daemon.data.to_str().unwrap().to_owned(), record.id.clone());
    let names: Vec<&Path> = [daemon.data.as_path(), Path::new(&id), Path::new("trial")]
        .into_iter()
        .chain(record.encoders["ghost"].pending.is_none().then_some(Path::new("ghost")))
        .collect();
    python::run("encoders.py", &names);
    assert!(said(&["verify", &id, "--data", &data]).contains("all as scan.json says"));
    assert!(record.files.iter().any(|file| file.path.starts_with("embeddings-trial/scan=")));
    let line = |encoder: &str| said(&["tail", "--data", &data, "--encoder", encoder, "--format", "jsonl"]).lines().count() as u64;
    assert_eq!((line("main"), line("trial")), (rows, rows));
    let unknown = hyclus(&["tail", "--data", &data, "--encoder", "other"]);
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && told.contains("its encoders are main, ghost, trial"), "{told}");
}

#[tokio::test]
async fn an_encoder_that_fails_costs_the_others_nothing_and_a_shadow_owes_nothing() {
    let models = tempfile::tempdir().unwrap();
    let faults = r#"encoder_fails = { after_batches = 3, encoder = "trial" }, encoder_slow = { batch_s = 600.0, encoder = "ghost" }"#;
    let daemon = Daemon::with(&rig(models.path(), faults));
    let (record, seen) = scanned(&daemon).await;
    let (id, rows) = (record.id.clone(), valid(&record));
    assert_eq!((record.complete, record.embeddings, record.pending.as_ref()), (Some(true), rows, None));
    let [trial, ghost] = ["trial", "ghost"].map(|name| record.encoders[name].clone());
    // The daemon may have tried again meanwhile, which adds three batches.
    assert!(trial.embeddings >= 3 * 64 && trial.embeddings < rows, "{trial:?}");
    assert_eq!(trial.pending.as_ref().map(|pending| pending.spectra), Some(rows - trial.embeddings));
    assert!(ghost.embeddings == 0 && ghost.pending.is_some(), "{ghost:?}");
    let pending: Vec<_> =
        seen.iter().filter_map(|kind| if let EventKind::EmbeddingsPending { encoder, .. } = kind { Some(encoder) } else { None }).collect();
    assert_eq!(pending, [&Some("trial".to_owned())], "{seen:?}");
    let warned = |text: &str| seen.iter().any(|kind| matches!(kind, EventKind::Warning { message } if message.contains(text)));
    assert!(warned("the shadow encoder ghost"), "{seen:?}");
    let status = daemon.client().await.status().await.unwrap();
    assert!(status.pending.is_empty(), "{:?}", status.pending);
    assert!(status.pending_encoders.get(&id).is_none_or(|encoders| !encoders.contains_key("ghost")), "{:?}", status.pending_encoders);

    // The encoder fails again and again, and each try adds some batches.
    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    std::fs::write(folder.path().join("rig.toml"), rig(models.path(), "")).unwrap();
    let daemon = Daemon::launch(folder);
    let mut events = daemon.client().await.events(None).await.unwrap();
    if daemon.record(&id).lacks() {
        until(&mut events, |kind| matches!(kind, EventKind::EmbeddingsCaughtUp { encoder: Some(name), .. } if name == "trial")).await;
    }
    let record = daemon.record(&id);
    assert_eq!((record.encoders["trial"].embeddings, record.encoders["trial"].pending.as_ref()), (rows, None));
    assert!(record.encoders["ghost"].pending.is_some() && !record.lacks());

    // What a shadow did not make is made on request.
    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    let (data, config) = (folder.path().join("data"), folder.path().join("rig.toml"));
    let (data, config) = (data.to_str().unwrap(), config.to_str().unwrap());
    let recover = |encoder: &str| said(&["recover", "--data", data, "--config", config, "--encoder", encoder]);
    assert!(recover("ghost").contains(&format!("{rows} embeddings of the encoder ghost")));
    assert!(recover("ghost").contains(": 0 embeddings"), "rows are published once");
    python::run("encoders.py", &[Path::new(data), Path::new(&id), Path::new("trial"), Path::new("ghost")]);
    assert!(said(&["verify", &id, "--data", data]).contains("all as scan.json says"));
    let unknown = hyclus(&["recover", "--data", data, "--config", config, "--encoder", "other"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("no such [[encoder]]"));
    assert!(!hyclus::data_root::record(Path::new(data), &id).unwrap().encoders.contains_key("other"));

    // A model that took the place of another has all rows made anew.
    let swapped = std::fs::read_to_string(config).unwrap().replace("first-3.onnx", "first-2.onnx");
    std::fs::write(config, swapped).unwrap();
    assert!(recover("trial").contains(&format!(": {rows} embeddings")), "all of them");
    python::run("encoders.py", &[Path::new(data), Path::new(&id), Path::new("trial"), Path::new("ghost")]);
}
