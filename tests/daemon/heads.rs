//! Heads: numbers of each sample, with intervals and refusals.

use super::encoders::{hyclus, said};
use super::python;
use super::rig::{Daemon, Options, configuration, scan, tray};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn head(folder: &Path, name: &str, distance: &str) -> PathBuf {
    let out = folder.join(format!("{name}.onnx"));
    python::run("make_head.py", &[Path::new("600,1600,2200"), Path::new(distance), &out]);
    out
}

#[tokio::test]
async fn heads_judge_every_sample() {
    let models = tempfile::tempdir().unwrap();
    let [known, foreign, gone] = [("known", "0.5"), ("foreign", "3.25"), ("gone", "0.5")].map(|(name, d)| head(models.path(), name, d));
    let section = |name: &str, model: &Path| format!("[[head]]\nname = \"{name}\"\nmodel = {model:?}\n");
    let more = section("known", &known) + &section("foreign", &foreign) + &section("gone", &gone);
    let daemon = Daemon::with(&configuration(&Options { more, ..Options::default() }));
    std::fs::rename(&gone, models.path().join("elsewhere.onnx")).unwrap();
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    let id = record.id.as_str();
    let data = daemon.data.clone();
    let of = |name: &str, model: &Path| PathBuf::from(format!("{name}={}", model.display()));
    let judge = |heads: &[PathBuf]| {
        let all: Vec<&Path> = [data.as_path(), Path::new(id)].into_iter().chain(heads.iter().map(PathBuf::as_path)).collect();
        python::run("heads.py", &all);
    };
    judge(&[of("known", &known), of("foreign", &foreign)]);
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4));
    assert!(record.samples.iter().all(|sample| !sample.heads["known"].refused && sample.heads["foreign"].refused));
    // A head that fails costs nothing but its numbers.
    assert!(record.heads["gone"].failed.as_deref().unwrap().contains("gone.onnx"), "{:?}", record.heads);
    assert!(record.samples.iter().all(|sample| !sample.heads.contains_key("gone")));
    let warned = |text: &str| record.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("the head foreign refuses 4 of 4 samples") && warned("the head gone did not judge"), "{:?}", record.warnings);
    assert!(!warned("the head known"), "{:?}", record.warnings);
    let text = String::from_utf8(daemon.hyclus(&["scans", id]).stdout).unwrap();
    assert!(text.contains("brightness [%]") && text.contains("refused, distance 3.2"), "{text}");

    let (success, _, folder) = daemon.end("-TERM");
    assert!(success);
    let (data, config) = (folder.path().join("data"), folder.path().join("rig.toml"));
    let (data, config) = (data.to_str().unwrap(), config.to_str().unwrap());
    let check = hyclus(&["check", config]);
    assert!(String::from_utf8_lossy(&check.stderr).contains("head[2].model"), "{}", String::from_utf8_lossy(&check.stderr));
    // When it is back, it judges what it missed.
    std::fs::rename(models.path().join("elsewhere.onnx"), &gone).unwrap();
    let told = said(&["recover", "--data", data, "--config", config, "--heads", id]);
    assert!(told.contains("4 samples are judged"), "{told}");
    judge(&[of("known", &known), of("foreign", &foreign), of("gone", &gone)]);
    let record = hyclus::data_root::record(Path::new(data), id).unwrap();
    let warnings: Vec<_> = record.warnings.iter().filter(|warning| warning.starts_with("the head")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("foreign"), "{warnings:?}");
    assert!(said(&["verify", id, "--data", data]).contains("all as scan.json says"));
    let out = folder.path().join("table");
    said(&["export", "csv", &format!("{data}/scans/{id}"), out.to_str().unwrap()]);
    let table = std::fs::read_to_string(out.join("minerals.csv")).unwrap();
    let (head, rows) = table.split_once('\n').unwrap();
    let column = |name: &str| head.split(',').position(|other| other == name).unwrap_or_else(|| panic!("{name} is not in {head}"));
    for row in rows.lines() {
        let cells: Vec<&str> = row.split(',').collect();
        let sample = record.samples.iter().find(|sample| sample.sample == cells[column("sample")]).unwrap();
        assert_eq!(cells[column("known")].parse::<f64>().unwrap(), sample.heads["known"].value);
        assert_eq!((cells[column("foreign")], cells[column("foreign_distance")]), ("", "3.25"), "{row}");
    }
    assert_eq!(rows.lines().count(), 4);
}

#[test]
fn what_is_no_head_is_refused_with_its_path() {
    let models = tempfile::tempdir().unwrap();
    let encoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/encoders/simulated-pca4.onnx");
    let good = head(models.path(), "good", "0.5");
    let text = configuration(&Options::default());
    let file = models.path().join("rig.toml");
    let faults = |more: &str| {
        std::fs::write(&file, format!("{text}\n{more}")).unwrap();
        let output = hyclus(&["check", "--json", file.to_str().unwrap()]);
        assert!(!output.status.success(), "{more}");
        let all = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        all.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).map_or(all, |value| value.to_string())
    };
    let no_head = faults(&format!("[[head]]\nname = \"cu\"\nmodel = {encoder:?}\n"));
    assert!(no_head.contains("head[0].model") && no_head.contains("hyclus.kind"), "{no_head}");
    let twice = faults(&format!(
        "[[head]]\nname = \"Cu\"\nmodel = {good:?}\n[[head]]\nname = \"fe\"\nmodel = {good:?}\n[[head]]\nname = \"fe\"\nmodel = {good:?}\n"
    ));
    for path in ["head[0].name", "head[1].name", "head[2].name"] {
        assert!(twice.contains(path), "{path} is not in {twice}");
    }
}
