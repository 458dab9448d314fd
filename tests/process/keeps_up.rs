//! `hyclus bench` on the simulated rig, with few lines.

use crate::rig::hyclus;
use std::fs;
use std::path::Path;

fn arguments(folder: &Path, more: &[&str]) -> Vec<String> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/simulated.toml");
    let mut all = vec!["bench".to_owned(), "--config".into(), config.display().to_string(), "--lines".into(), "200".into()];
    all.extend(["--folder".to_owned(), folder.display().to_string()]);
    all.extend(more.iter().map(|text| (*text).to_owned()));
    all
}

#[test]
fn every_stage_and_the_whole_are_measured_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let record = hyclus(&arguments(folder.path(), &["--json"])).record();
    assert_eq!((&record["cameras"][0]["lines"], &record["cameras"][0]["pixels"]), (&200.into(), &512.into()));
    // The other camera stands 60 mm behind and must be shown as much of the belt.
    assert!(record["cameras"][1]["lines"].as_u64().unwrap() > 200 * 50 / 68 + 60);
    let stages = record["stages"].as_object().unwrap();
    for stage in ["acquire-vnir", "lane-swir", "join", "store", "encode", "publish"] {
        let figure = |key: &str| stages[stage][key].as_f64().unwrap_or(f64::NAN);
        assert!(figure("lines_per_s") > 0.0 && figure("seconds") > 0.0, "{stage}: {stages:?}");
    }
    let (whole, slowest) = (&record["whole"], &stages["lane-swir"]);
    assert!(whole["seconds"].as_f64() > slowest["seconds"].as_f64(), "{record}");
    assert!((whole["of_rig"].as_f64().unwrap() - whole["lines_per_s"].as_f64().unwrap() / 68.0).abs() < 1e-6);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the folder is left as it was");
}

#[test]
fn one_stage_may_be_asked_for_and_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let ended = hyclus(&arguments(folder.path(), &["--stage", "store"]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("store ") && ended.out.contains("whole ") && !ended.out.contains("encode"), "{}", ended.out);
    let ended = hyclus(&arguments(folder.path(), &["--stage", "paint"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no stage `paint`") && ended.err.contains("join"), "{}", ended.err);
}
