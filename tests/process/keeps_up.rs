//! `hyclus bench` on the simulated rig, with few lines.

use crate::rig::hyclus;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The simulated rig without minerals, of which the lines of a bench have none.
static CONFIG: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut rig: toml::Table = fs::read_to_string(source.join("simulated.toml")).unwrap().parse().unwrap();
    rig.remove("minerals");
    rig["encoder"]["model"] = source.join("encoders/simulated-pca4.onnx").display().to_string().into();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keeps-up-{}.toml", std::process::id()));
    fs::write(&path, rig.to_string()).unwrap();
    path
});

fn arguments(folder: &Path, more: &[&str]) -> Vec<String> {
    let mut all = vec!["bench".to_owned(), "--config".into(), CONFIG.display().to_string(), "--lines".into(), "200".into()];
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
    for stage in ["acquire-vnir", "rectify-swir", "join", "store", "encode", "publish"] {
        let figure = |key: &str| stages[stage][key].as_f64().unwrap_or(f64::NAN);
        assert!(figure("lines_per_s") > 0.0 && figure("seconds") > 0.0, "{stage}: {stages:?}");
    }
    let (whole, slowest) = (&record["whole"], &stages["rectify-swir"]);
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

/// What grows is what was doubled, by the bytes of every stage; times are only there.
#[test]
fn it_shows_how_every_stage_scales() {
    let folder = tempfile::tempdir().unwrap();
    let scale = ["--scale", "--runs", "1"];
    let record = hyclus(&arguments(folder.path(), &[&scale[..], &["--json"]].concat())).record();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the folder is left as it was");
    let stages: Vec<&str> = record["stages"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(stages, ["acquire-swir", "acquire-vnir", "encode", "join", "publish", "rectify-swir", "rectify-vnir", "store"]);
    let cases = record["scale"].as_object().unwrap();
    assert_eq!(cases.keys().collect::<Vec<_>>(), ["bands", "cameras", "lines", "pixels"]);
    for (name, case) in cases {
        let of = |stage: &str| if stage == "whole" { &case["whole"] } else { &case["stages"][stage] };
        let bytes = |stage: &str| of(stage)["ratio"]["bytes"].as_f64();
        for stage in stages.iter().copied().chain(["whole"]) {
            for figure in ["seconds_per_line", "bytes_per_line"] {
                assert!(of(stage)["to"][figure].as_f64().unwrap() > 0.0, "{name}, {stage}: {case}");
            }
            let alone = of(stage)["from"].is_null();
            // The model takes the spectra of both cameras, and none of the first alone.
            let only_there = stage.ends_with("-swir") || ["encode", "publish"].contains(&stage);
            assert_eq!((alone, bytes(stage).is_none()), (name == "cameras" && only_there, alone), "{name}, {stage}: {case}");
            assert!(alone || of(stage)["ratio"]["seconds"].as_f64().unwrap() > 0.0, "{name}, {stage}: {case}");
        }
        // Bytes of the counts of a line, as the shape of its frames says.
        let shape = |when: &str| {
            let camera = &case["cameras"][when][0];
            ["pixels", "bands", "lines"].map(|key| camera[key].as_u64().unwrap())
        };
        for when in ["from", "to"] {
            let [pixels, bands, _] = shape(when);
            assert_eq!(of("acquire-vnir")[when]["bytes_per_line"].as_f64(), Some((2 * pixels * bands) as f64), "{name}: {case}");
        }
        let ([p, b, l], after) = (shape("from"), shape("to"));
        let near = |stage: &str, ratio: f64| assert!((bytes(stage).unwrap() - ratio).abs() < 0.02 * ratio, "{name}, {stage}: {case}");
        match name.as_str() {
            "bands" | "pixels" => {
                assert_eq!(after, if name == "bands" { [p, 2 * b, l] } else { [2 * p, b, l] });
                for stage in ["acquire-vnir", "acquire-swir", "rectify-vnir", "rectify-swir", "join", "store", "encode"] {
                    near(stage, 2.0);
                }
                // Into how many parts the rows go, is up to the clock.
                assert_eq!(bytes("publish").unwrap() > 1.5, name == "pixels", "{name}: {case}");
            }
            "cameras" => {
                assert_eq!((after, case["cameras"]["from"].as_array().unwrap().len()), ([p, b, l], 1));
                near("rectify-vnir", 1.0);
                assert!(bytes("join").unwrap() > 1.5 && bytes("store").unwrap() > 1.0, "{case}");
            }
            _ => {
                assert_eq!(after, [p, b, 2 * l]);
                near("rectify-vnir", 1.0);
                // The first lines show containers, the last only the other camera's way to them.
                assert!((1.0..2.5).contains(&bytes("store").unwrap()), "{case}");
            }
        }
    }
    let ended = hyclus(&arguments(folder.path(), &[&scale[..], &["--stage", "store"]].concat()));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let row = ended.out.lines().filter(|line| line.trim_start().starts_with("store ")).nth(1).unwrap();
    let numbers: Vec<f64> = row.split_whitespace().skip(1).map(|word| word.trim_matches(['(', ')']).parse().unwrap()).collect();
    assert_eq!(numbers.len(), 2 + 2 * 4, "{}", ended.out);
    assert!(numbers.iter().all(|number| *number > 0.0), "{}", ended.out);
    let without = hyclus(&arguments(folder.path(), &["--runs", "2"]));
    assert!(without.code == Some(2) && without.err.contains("--scale"), "{}", without.err);
}
