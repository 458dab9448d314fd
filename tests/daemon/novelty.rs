//! A mineral that no encoder was trained on is told while the belt moves, and the same is counted from the files.

use super::gige::metrics;
use super::python;
use super::rig::{Daemon, Options, configuration, tray, until};
use hyclus::scan::{EventKind, NoveltyRecord, ScanRecord};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The container with what no encoder was trained on.
const UNSEEN: &str = "A2";

fn rig(more: String) -> String {
    let text = configuration(&Options { pace: "real_time", time_scale: 2.0, pool_slots: 256, more, ..Options::default() });
    // A dark level measured afterwards would have the recording processed again.
    text.replace("frames = 12", "frames = 12\ndark_after = false")
}

/// Loose grains of minerals, each with its share, in some containers.
fn ore(at: &[&str], minerals: &[(&str, f64)]) -> String {
    let minerals: Vec<String> =
        minerals.iter().map(|(mineral, share)| format!("{{ mineral = \"{mineral}\", share = {share:?} }}")).collect();
    format!(
        "[[simulation.tray.ores]]\nat = {at:?}\ngaps = 0.3\npath_spread = 0.3\nshade_spread = 0.1\nminerals = [{}]\n",
        minerals.join(", ")
    )
}

/// Two ores that the encoders are trained on.
const KNOWN: [&[(&str, f64)]; 2] =
    [&[("kaolinite", 0.4), ("goethite", 0.3), ("quartz", 0.3)], &[("muscovite", 0.5), ("quartz", 0.3), ("jarosite", 0.2)]];

/// Encoders: `main` and a shadow, which also judge by their residual, and `codes`, which does not. Batches of `codes` fail from the fourth on.
fn encoders(models: [&PathBuf; 2], faults: &str) -> String {
    let [whole, codes] = models;
    format!(
        "[[encoder]]\nmodel = {whole:?}\nbatch = 64\nlinger_s = 60.0\n\
         [[encoder]]\nname = \"codes\"\nmodel = {codes:?}\nbatch = 64\nretry_s = 600.0\n\
         [[encoder]]\nname = \"ghost\"\nshadow = true\nmodel = {whole:?}\nbatch = 64\n[publish]\nmax_age_s = 0.1\n{faults}"
    )
}

/// Scans a tray in a folder by a configuration. Gives the record, the events, the metrics, and the folder.
async fn scanned(folder: tempfile::TempDir, text: &str) -> (ScanRecord, Vec<EventKind>, String, tempfile::TempDir) {
    std::fs::write(folder.path().join("rig.toml"), text).unwrap();
    let daemon = Daemon::launch(folder);
    let client = daemon.client().await;
    let mut events = client.events(None).await.unwrap();
    let id = client.start_scan(tray(2, 2)).await.unwrap().id;
    let seen = until(&mut events, |kind| matches!(kind, EventKind::ScanClosed { scan, .. } if *scan == id)).await;
    let (record, metrics) = (daemon.record(&id), metrics(&daemon));
    let (success, log, folder) = daemon.end("-TERM");
    assert!(success, "{}", log.join("\n"));
    (record, seen, metrics, folder)
}

fn hyclus(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fits the encoders to the samples of a scan.
fn fitted(folder: &Path, id: &str) -> [PathBuf; 2] {
    let models = [folder.join("whole.onnx"), folder.join("codes.onnx")];
    python::run("novel_encoders.py", &[&folder.join("data/scans").join(id).join("samples"), &models[0], &models[1]]);
    models
}

fn novelty<'a>(record: &'a ScanRecord, encoder: &str) -> &'a NoveltyRecord {
    if encoder == "main" { record.novelty.as_ref() } else { record.encoders[encoder].novelty.as_ref() }.unwrap()
}

#[tokio::test]
async fn a_mineral_that_no_encoder_has_seen_is_told_while_the_belt_moves() {
    let (record, _, metrics, folder) =
        scanned(tempfile::tempdir().unwrap(), &rig(ore(&["A1", "B2"], KNOWN[0]) + &ore(&["A2", "B1"], KNOWN[1]))).await;
    assert!(record.novelty.is_none() && !metrics.contains("hyclus_novel_ratio"));
    let models = fitted(folder.path(), &record.id);
    let [whole, codes] = &models;
    if !whole.exists() {
        return;
    }

    // Other grains, and one container of another mineral.
    let faults = "[simulation.faults.encoder_fails]\nafter_batches = 3\nencoder = \"codes\"\n";
    let ores = [ore(&["A1", "B2"], KNOWN[0]), ore(&["B1"], KNOWN[1]), ore(&[UNSEEN], &[("malachite", 1.0)])].concat();
    let text = |faults: &str| rig(ores.clone() + &encoders([whole, codes], faults)).replace("seed = 3", "seed = 4");
    let (record, seen, metrics, folder) = scanned(folder, &text(faults)).await;
    let told: Vec<usize> = (0..seen.len()).filter(|at| matches!(seen[*at], EventKind::SampleNovel { .. })).collect();
    assert_eq!(told.len(), 1, "{seen:?}");
    let EventKind::SampleNovel { scan, sample, container, encoder, share, spectra } = &seen[told[0]] else { unreachable!() };
    assert_eq!((scan.as_str(), sample.as_str(), container.as_str(), encoder), (record.id.as_str(), "S-A2", UNSEEN, &None));
    let done = seen.iter().position(|kind| matches!(kind, EventKind::CameraDone { .. })).unwrap();
    assert!(told[0] < done, "the belt still moves: {seen:?}");

    let of = novelty(&record, "main");
    assert_eq!((of.max_share, of.containers.len()), (0.05, 4));
    assert!((of.containers[UNSEEN].share - share).abs() < 1e-12 && of.containers[UNSEEN].spectra == *spectra, "{of:?}");
    for (at, found) in &of.containers {
        assert_eq!(found.share > 0.05, at == UNSEEN, "{of:?}");
        assert!((found.share - found.novel as f64 / found.spectra as f64).abs() < 1e-12, "{found:?}");
    }
    assert!(*share > 0.5, "{of:?}");
    let valid: u64 = record.samples.iter().map(|sample| sample.valid).sum();
    assert_eq!(of.containers.values().map(|found| found.spectra).sum::<u64>(), valid);
    let warnings: Vec<&String> =
        record.warnings.iter().filter(|warning| warning.contains("unlike anything that the encoder main was trained on")).collect();
    assert!(warnings.len() == 1 && warnings[0].starts_with("S-A2 in A2: ") && warnings[0].contains("max_novel (0.05)"), "{warnings:?}");
    assert!(metrics.contains(&format!("hyclus_novel_ratio{{container=\"{UNSEEN}\",encoder=\"main\"}} {share}\n")), "{metrics}");
    assert!(metrics.contains("hyclus_novel_containers_total{encoder=\"main\"} 1\n"), "{metrics}");
    assert!(record.encoders["codes"].pending.is_some());
    // The machine may be too slow for a shadow, which is never waited for.
    if record.encoders["ghost"].pending.is_none() {
        assert_eq!(novelty(&record, "ghost"), of);
    }

    // What is made later from the files is counted alike.
    let config = folder.path().join("rig.toml");
    std::fs::write(&config, text("")).unwrap();
    let data = folder.path().join("data");
    let again =
        std::fs::read_to_string(&config).unwrap().replace("[[encoder]]\nname = \"ghost\"\nshadow = true", "[[encoder]]\nname = \"again\"");
    std::fs::write(&config, again).unwrap();
    for encoder in ["codes", "again"] {
        let [data, config] = [&data, &config].map(|path| path.to_str().unwrap());
        hyclus(&["recover", "--data", data, "--config", config, "--encoder", encoder, &record.id]);
    }
    let later = hyclus::data_root::record(&data, &record.id).unwrap();
    assert!(later.encoders["codes"].pending.is_none() && later.encoders["again"].pending.is_none(), "{later:?}");
    assert_eq!(novelty(&later, "again"), of);
    let warned = |encoder: &str| later.warnings.iter().filter(|warning| warning.contains(&format!("the encoder {encoder} was"))).count();
    assert_eq!((warned("main"), warned("again")), (1, 1), "{:?}", later.warnings);
    python::run("novelty.py", &[&data, Path::new(&record.id), whole, codes]);

    let rows = hyclus(&["tail", "--data", data.to_str().unwrap(), "--scan", &record.id, "--format", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert!(row["novelty"].is_number(), "{row}");
    assert!(hyclus(&["verify", &record.id, "--data", data.to_str().unwrap()]).contains("all as scan.json says"));
}
