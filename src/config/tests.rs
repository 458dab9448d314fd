use super::*;
use crate::scan::Tray;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    list.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    list.sort();
    assert!(!list.is_empty());
    list
}

#[test]
fn every_rig_of_the_folder_loads() {
    for path in files(&folder()) {
        Loaded::read(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_tray_of_the_folder_loads() {
    for path in files(&folder().join("trays")) {
        Tray::read(&path).unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()));
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let committed = std::fs::read_to_string(folder().join("schema.json")).unwrap_or_default();
    assert!(committed == schema(), "config/schema.json is stale: run `cargo run -- schema > config/schema.json`");
}

fn simulated() -> String {
    std::fs::read_to_string(folder().join("simulated.toml")).unwrap()
}

fn paths(text: &str) -> Vec<String> {
    match load::parse(text) {
        Err(faults) => faults.into_iter().map(|fault| fault.path).collect(),
        Ok(rig) => rig.faults().into_iter().map(|fault| fault.path).collect(),
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_told_all_at_once_with_their_paths() {
    let text = simulated()
        .replace("[rig]\n", "[rig]\ncolour = \"red\"\n")
        .replace("pixel_mm = 0.6", "pixel_mm = \"small\"")
        .replace("bits = 12", "bits = 12, gamma = 2")
        .replace("warm_up_s = 1.0", "warmup_s = 1.0");
    let mut found = paths(&text);
    found.sort();
    assert_eq!(found, ["camera[0].device.gamma", "grid.pixel_mm", "rig.colour", "scan.warmup_s"]);
}

#[test]
fn faults_of_sense_are_told_all_at_once() {
    let text = simulated().replacen("exposure_us = 2000.0", "exposure_us = 20000.0", 1).replace("name = \"led\"", "name = \"halogen\"");
    assert_eq!(paths(&text), ["camera[0].exposure_us", "light[1].name"]);
}

#[test]
fn two_devices_on_one_port_are_refused() {
    let text = std::fs::read_to_string(folder().join("replay.toml")).unwrap().replace("captures/swir", "captures/vnir");
    assert_eq!(paths(&text), ["camera[1].device.path"]);
}

#[test]
fn a_limit_of_memory_is_kept() {
    let text = simulated().replace("[rig]\n", "[rig]\nmax_memory_mib = 10\n");
    assert_eq!(paths(&text), ["rig.max_memory_mib"]);
    assert!(load::parse(&simulated()).unwrap().memory().total() < 1 << 30, "the demo fits into a gibibyte");
}
