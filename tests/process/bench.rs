//! Recordings of trays whose contents are known, made and scored by the shared bench.

use crate::rig::{Rig, files, shared};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs a script of the bench and gives what it prints.
fn script(path: &Path, arguments: impl IntoIterator<Item = OsString>) -> String {
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(&python).arg(path).args(arguments).output().unwrap_or_else(|e| panic!("{python}: {e}; set HYCLUS_PYTHON"));
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The configuration that fits the truth: speed, rates, offsets, views and the panel's reflectance.
fn config(truth: &Value, folder: &Path) -> String {
    let number = |value: &Value| format!("{:?}", value.as_f64().unwrap());
    let mut text = format!(
        "[rig]\nname = \"bench\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = {}\ndevice = {{ kind = \"recorded\" }}\n\
         [references]\npanel = {{ reflectance = {} }}\n[grid]\npixel_mm = 0.6\n",
        number(&truth["belt_mm_per_s"]),
        number(&truth["panel_reflectance"])
    );
    for (name, camera) in truth["cameras"].as_object().unwrap() {
        let bits = (camera["full_scale"].as_u64().unwrap() + 1).ilog2();
        write!(
            text,
            "[[camera]]\nname = \"{name}\"\noffset_mm = {}\nshift_mm = {}\nfield_of_view_mm = {}\nexposure_us = 2000.0\nframe_rate_hz = {}\n\
             device = {{ kind = \"replay\", path = \"{}\", bits = {bits} }}\n",
            number(&camera["lag_mm"]),
            number(&camera["shift_mm"]),
            number(&truth["fov_mm"]),
            number(&camera["fps"]),
            folder.join(name).display()
        )
        .unwrap();
    }
    text
}

/// A regular tray with a sample in every place.
fn tray(rows: usize, columns: usize) -> String {
    let mut text = format!("tray = \"T1\"\nkeys = [\"plant\"]\n[grid]\nrows = {rows}\ncolumns = {columns}\n");
    for (row, letter) in ('A'..='Z').take(rows).enumerate() {
        for column in 1..=columns {
            write!(text, "[[container]]\nat = \"{letter}{column}\"\nsample = \"S-{letter}{column}\"\nplant = \"P{row}\"\n").unwrap();
        }
    }
    text
}

/// Makes a tray, processes it, and holds the score and the ledger against the truth.
fn tray_is_as_it_was_made(rows: usize, columns: usize, options: &[&str]) {
    let Some(bench) = shared("bench") else { return };
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        println!("skipped: the bench needs Python, and HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let mut rig = Rig::new(&[], 0.0);
    let folder = rig.folder.path().to_owned();
    let mut made = vec![folder.clone().into_os_string()];
    made.extend(["--rows", &rows.to_string(), "--cols", &columns.to_string()].map(OsString::from));
    made.extend(options.iter().map(OsString::from));
    script(&bench.join("make_tray.py"), made);
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("truth.json")).unwrap()).unwrap();
    rig.config = config(&truth, &folder);
    rig.tray = tray(rows, columns);
    let mut arguments = rig.arguments("out");
    for name in truth["cameras"].as_object().unwrap().keys() {
        arguments.extend(["--capture".into(), format!("{name}={}", folder.join(name).display())]);
    }
    let record = crate::rig::hyclus(&arguments).record();
    assert_eq!(record["complete"], true, "{record}");
    assert_eq!(record["missing"], serde_json::json!([]), "{record}");

    for (name, camera) in truth["cameras"].as_object().unwrap() {
        let sums = &record["cameras"][name];
        let number = |key: &str| sums[key].as_u64().unwrap();
        assert_eq!(number("received"), camera["lines"].as_u64().unwrap(), "{name}: {sums}");
        assert_eq!(number("expected"), camera["frames"].as_u64().unwrap(), "{name}: {sums}");
        assert_eq!(number("received") + number("lost"), number("expected"), "{name}: {sums}");
        let gaps: Vec<(u64, u64)> = serde_json::from_value(sums["gaps"].clone()).unwrap();
        let lost: Vec<u64> = gaps.iter().flat_map(|(first, count)| *first..first + count).collect();
        assert_eq!(lost, serde_json::from_value::<Vec<u64>>(camera["lost"].clone()).unwrap(), "{name}: gaps are the lines that were lost");
        assert_eq!(number("lost"), lost.len() as u64, "{name}: {sums}");
    }
    let out = rig.path("out");
    let on_disk: Value = serde_json::from_str(&std::fs::read_to_string(crate::rig::only(&out, "scan.json")).unwrap()).unwrap();
    assert_eq!(on_disk, record, "scan.json says what was printed");

    let samples = files(&out).into_values().filter(|path| path.extension().is_some_and(|e| e == "h5"));
    let scored = [folder.into_os_string()].into_iter().chain(samples.map(Into::into)).chain(["--json".into()]);
    let score: Value = serde_json::from_str(&script(&bench.join("score_tray.py"), scored)).unwrap();
    println!("{rows} x {columns} {options:?}: {score}");
    let figure = |key: &str| score[key].as_f64().unwrap();
    assert_eq!((figure("found"), figure("files")), (figure("expected"), figure("expected")), "{score}");
    assert!(figure("iou_worst") >= 0.94, "{score}");
    assert!(figure("bias").abs() <= 0.005, "{score}");
    assert!(figure("registration_mm") <= 0.1, "{score}");
    let step = &record["overlap_step"][0];
    let (ratio, sd) = (step["ratio"].as_f64().unwrap(), step["sd"].as_f64().unwrap());
    assert!((ratio - 1.0).abs() < 0.005 && sd < 0.03, "no camera is brighter: {step}");
    assert_eq!(record["warnings"], serde_json::json!([]), "{record}");
    assert!(figure("rmse_vnir") <= 0.008 && figure("rmse_swir") <= 0.006, "{score}");
    let residual: [f64; 2] = serde_json::from_value(record["residuals_mm"]["vnir"].clone()).unwrap();
    assert!(residual[0].hypot(residual[1]) <= 0.1, "the cameras agree: {}", record["residuals_mm"]);
    geometry_is_recovered(&mut rig, &truth);
}

/// Takes offset and shift out of the configuration, measures them from the tray, and holds them against the truth.
fn geometry_is_recovered(rig: &mut Rig, truth: &Value) {
    let swir = &truth["cameras"]["swir"];
    let number = |key: &str| swir[key].as_f64().unwrap();
    let (offset, shift) = (number("lag_mm"), number("shift_mm"));
    rig.config = rig
        .config
        .replace(&format!("offset_mm = {offset:?}"), "offset_mm = 0.0 # to be measured")
        .replace(&format!("shift_mm = {shift:?}"), "shift_mm = 0.0");
    let path = rig.path("rig.toml");
    std::fs::write(&path, &rig.config).unwrap();
    let capture = |name: &str| format!("{name}={}", rig.path(name).display());
    let arguments = ["calibrate", "geometry", "--json", "--write", "--config", path.to_str().unwrap(), "--capture", &capture("vnir")];
    let mut arguments: Vec<String> = arguments.map(String::from).to_vec();
    arguments.extend(["--capture".into(), capture("swir")]);
    let ended = crate::rig::hyclus(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let all: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let measured = all.iter().find(|one| one["camera"] == "swir").unwrap();
    println!("  {measured}");
    let figure = |key: &str| measured[key].as_f64().unwrap();
    assert!((figure("offset_mm") - offset).abs() <= 0.1, "{offset}: {measured}");
    assert!((figure("shift_mm") - shift).abs() <= 0.1, "{shift}: {measured}");
    assert!((figure("field_of_view_mm") - truth["fov_mm"].as_f64().unwrap()).abs() <= 0.2, "{measured}");
    let written = std::fs::read_to_string(&path).unwrap();
    let offset_mm = format!("offset_mm = {:?}", (figure("offset_mm") * 1000.0).round() / 1000.0);
    assert!(written.contains(&offset_mm), "{offset_mm} in {written}");
}

#[test]
fn three_trays_are_as_they_were_made() {
    for seed in ["1", "2", "3"] {
        tray_is_as_it_was_made(4, 3, &["--seed", seed]);
    }
}

#[test]
fn a_tray_of_other_proportions_is_as_it_was_made() {
    tray_is_as_it_was_made(2, 5, &["--seed", "1"]);
}

#[test]
fn a_crooked_tray_with_lost_lines_and_bad_pixels_seen_by_the_swir_first_is_as_it_was_made() {
    let options = ["--drop", "15", "--bad", "100", "--tilt-deg", "2", "--offset-mm", "-40", "--shift-mm", "-2"];
    tray_is_as_it_was_made(4, 3, &options);
}
