//! What cannot be processed is refused with its reason, and leaves nothing behind.

use crate::rig::{Camera, Ended, Rig, encoder, files, hyclus};
use std::fs;
use std::path::{Path, PathBuf};

/// Fails unless the program ended with `code`, said all of `words`, and left no file under the data root.
fn refused(rig: &Rig, ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.out, ended.err);
    assert_eq!(ended.out, "", "a refusal goes to the error output");
    for word in words {
        assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err);
    }
    let left = files(&rig.path("out"));
    assert!(left.is_empty(), "files are left: {:?}", left.keys());
    let scans: Vec<_> = fs::read_dir(rig.path("out").join("scans")).into_iter().flatten().collect();
    assert!(scans.is_empty(), "folders of scans are left, and stand in the way of the next try: {scans:?}");
}

fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "`{from}` is not in the text");
    *text = text.replacen(from, to, 1);
}

/// A rig whose recordings are sound.
fn sound() -> Rig {
    Rig::pair(0.0)
}

fn capture(rig: &Rig, file: &str) -> PathBuf {
    rig.path("swir").join("capture").join(file)
}

#[test]
fn the_rig_that_the_others_are_made_of_is_sound() {
    assert_eq!(sound().process("out").record()["complete"], true);
}

#[test]
fn unknown_keys_are_told_all_at_once() {
    let mut rig = sound();
    replace(&mut rig.config, "[rig]\n", "[rig]\ncolour = \"red\"\n");
    replace(&mut rig.config, "bits = 12", "bits = 12, gamma = 2");
    replace(&mut rig.config, "[grid]\npixel_mm = 1.0", "[grid]\npixel_mm = \"small\"");
    let words = ["3 fault(s)", "rig.colour: unknown field `colour`", "camera[0].device.gamma", "grid.pixel_mm", "out.rig.toml"];
    refused(&rig, &rig.process("out"), 1, &words);
}

#[test]
fn two_devices_on_one_port_are_refused() {
    let mut rig = sound();
    let (vnir, swir) = (rig.path("vnir").display().to_string(), rig.path("swir").display().to_string());
    replace(&mut rig.config, &swir, &vnir);
    refused(&rig, &rig.process("out"), 1, &["1 fault(s)", "camera[1].device.path", &vnir, "is the port of camera[0].device.path too"]);
}

#[test]
fn faults_of_sense_are_told_all_at_once() {
    let mut rig = sound();
    replace(&mut rig.config, "exposure_us = 2000.0", "exposure_us = 50001.0");
    replace(&mut rig.config, "reflectance = 0.95", "reflectance = 0.0");
    let period = "50001 µs is longer than the line period of 50000.0 µs";
    refused(&rig, &rig.process("out"), 1, &["2 fault(s)", "camera[0].exposure_us", period, "references.panel.reflectance"]);
}

#[test]
fn faults_of_the_tray_map_are_told_all_at_once() {
    let mut rig = sound();
    rig.tray = "tray = \"T/1\"\nkeys = [\"plant\"]\n[grid]\nrows = 1\ncolumns = 2\n\
        [[container]]\nat = \"A1\"\nsample = \"one\"\nplant = \"P1\"\n[[container]]\nat = \"A2\"\nsample = \"One\"\nplant = \"P1\"\n\
        [[container]]\nat = \"B1\"\nsample = \"two\"\nplant = \"P1\"\n[[container]]\nat = \"A1\"\nsample = \"../three\"\n\
        [[container]]\nat = \"A3\"\nsample = \".four\"\nplant = \"P1\"\ncolour = \"red\"\n"
        .into();
    let words = [
        "tray: `T/1` must be",
        "container[1].sample: `One` lies in two containers",
        "container[2].at: `B1` is no place of the tray: A1 to A2",
        "container[3].at: `A1` holds two samples",
        "container[3].sample: `../three` must be",
        "container[3].plant: is missing",
        "container[4].at: `A3` is no place",
        "container[4].sample: `.four` must be",
        "container[4].colour: unknown key",
        "9 fault(s)",
    ];
    refused(&rig, &rig.process("out"), 1, &words);
}

#[test]
fn a_tray_map_without_places_is_refused_where_places_are_needed() {
    let mut rig = sound();
    rig.config.push_str("[segment]\nmethod = \"footprint\"\n");
    refused(&rig, &rig.process("out"), 1, &["segment.method = \"footprint\" needs x_mm, y_mm"]);
}

#[test]
fn an_encoder_for_other_spectra_is_refused() {
    let mut rig = sound();
    if rig.encode(7) {
        refused(&rig, &rig.process("out"), 1, &["encoder.onnx takes 7 bands, but spectra have 12", "hyclus.wavelengths_nm"]);
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let mut rig = sound();
    // Without Python there is no ONNX Runtime either.
    let Some(model) = encoder(rig.folder.path(), 12) else { return };
    rig.config.push_str(&format!("[encoder]\nmodel = \"{}\"\n", model.display()));
    assert_eq!(hyclus(&rig.arguments("good")).record()["complete"], true);
    fs::write(&model, "this is no model\n").unwrap();
    refused(&rig, &rig.process("out"), 1, &["encoder.onnx is no ONNX model that can be loaded"]);
    fs::remove_file(&model).unwrap();
    refused(&rig, &rig.process("out"), 1, &["encoder.onnx cannot be read", "the key `model`"]);
}

/// The trial has dark spectra only, so the model passes it. The batch that does not end is given up.
#[test]
fn an_encoder_that_loops_on_some_spectra_is_given_up_and_the_samples_are_stored() {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        println!("skipped, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let mut rig = sound();
    let models = rig.path("models");
    crate::python::run("make_models.py", &[&models]);
    rig.config.push_str(&format!("[encoder]\nmodel = {:?}\nlimit_s = 5.0\n", models.join("endless_if_bright.onnx")));
    let ended = rig.process("out");
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    let record: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err));
    let reason = record["pending"]["reason"].as_str().unwrap();
    assert!(reason.contains("after 5 s of running a batch") && reason.contains("encoder.limit_s"), "{reason}");
    assert!(!record["samples"].as_array().unwrap().is_empty() && record["embeddings"] == 0, "{record}");
}

#[test]
fn a_recording_of_another_size_than_its_header_says_is_refused_with_both_sizes() {
    let rig = sound();
    let raw = capture(&rig, "swir.raw");
    let whole = fs::metadata(&raw).unwrap().len();
    for found in [whole - 1, whole + 2] {
        fs::File::options().write(true).open(&raw).unwrap().set_len(found).unwrap();
        let sizes = [format!("{found} bytes"), format!("its header says {whole}")];
        refused(&rig, &rig.process("out"), 1, &["swir.raw", &sizes[0], &sizes[1]]);
    }
}

#[test]
fn a_reference_that_was_cut_off_is_refused_with_both_sizes() {
    let rig = sound();
    let raw = capture(&rig, "WHITEREF_swir.raw");
    let whole = fs::metadata(&raw).unwrap().len();
    fs::File::options().write(true).open(&raw).unwrap().set_len(whole / 2).unwrap();
    let sizes = [format!("{} bytes", whole / 2), format!("its header says {whole}")];
    refused(&rig, &rig.process("out"), 1, &["WHITEREF_swir.raw", &sizes[0], &sizes[1]]);
}

#[test]
fn a_recording_without_a_reference_is_refused() {
    for (kind, prefix) in [("dark recording", "DARKREF_"), ("white recording", "WHITEREF_")] {
        let rig = sound();
        for ending in ["raw", "hdr"] {
            fs::remove_file(capture(&rig, &format!("{prefix}swir.{ending}"))).unwrap();
        }
        refused(&rig, &rig.process("out"), 1, &["swir", kind, &format!("{prefix}swir.hdr")]);
    }
}

#[test]
fn a_reference_of_another_band_count_is_refused() {
    let rig = sound();
    let other = Camera::new("swir", 20, 6, (1100.0, 2300.0), 12.0);
    other.record(&rig.path("other"), 0.0);
    for ending in ["raw", "hdr"] {
        let file = format!("WHITEREF_swir.{ending}");
        fs::copy(rig.path("other").join("capture").join(&file), capture(&rig, &file)).unwrap();
    }
    let words = ["WHITEREF_swir.hdr", "a reference of 20 samples x 6 bands", "its image has 20 x 5"];
    refused(&rig, &rig.process("out"), 1, &words);
}

#[test]
fn references_that_say_nothing_are_refused() {
    // The white reference shows as much as the dark one: the lamps were off.
    let rig = sound();
    fs::copy(capture(&rig, "DARKREF_swir.raw"), capture(&rig, "WHITEREF_swir.raw")).unwrap();
    refused(&rig, &rig.process("out"), 1, &["white reference of swir is refused", "mean signal 0.00 % of full scale", "check lamps"]);
}

#[test]
fn counts_without_a_panel_are_refused() {
    let mut rig = sound();
    replace(&mut rig.config, "[references]\npanel = { reflectance = 0.95 }\n", "");
    refused(&rig, &rig.process("out"), 1, &["vnir gives counts", "[references]", "white panel"]);
}

#[test]
fn captures_that_do_not_name_the_cameras_are_refused() {
    let rig = sound();
    let mut arguments = rig.arguments("out");
    let last = arguments.last_mut().unwrap();
    *last = last.replacen("swir=", "lwir=", 1);
    refused(&rig, &hyclus(&arguments), 1, &["no camera `lwir`", "vnir, swir"]);
}

#[test]
fn wrong_usage_is_told_apart() {
    let rig = sound();
    let whole = rig.arguments("out");
    let (config, capture) = (whole[3].clone(), whole.last().unwrap().clone());
    let without = |flag: &str| {
        let at = whole.iter().position(|word| word == flag).unwrap();
        [&whole[..at], &whole[at + 2..]].concat()
    };
    refused(&rig, &hyclus(&without("--tray")), 2, &["--tray"]);
    refused(&rig, &hyclus(&without("--out")), 2, &["--out"]);
    let with = |words: &[&str]| [whole.clone(), words.iter().map(|word| (*word).to_owned()).collect()].concat();
    refused(&rig, &hyclus(&with(&["--capture", &capture])), 2, &["swir"]);
    refused(&rig, &hyclus(&with(&["--capture", "nowhere"])), 2, &["--capture", "nowhere"]);
    refused(&rig, &hyclus(&with(&["--faster"])), 2, &["--faster"]);
    refused(&rig, &hyclus(&["process", "--config", &config].map(str::to_owned)), 2, &["--capture"]);
}

#[test]
fn a_configuration_that_is_not_there_is_refused() {
    let rig = sound();
    for (at, name) in [(3, "out.rig.toml"), (5, "out.tray.toml")] {
        let mut arguments = rig.arguments("out");
        fs::remove_file(&arguments[at]).unwrap();
        refused(&rig, &hyclus(&arguments), 1, &[name, "cannot be read"]);
        arguments[at] = rig.path("text").display().to_string();
        fs::write(rig.path("text"), "this is = no = toml").unwrap();
        refused(&rig, &hyclus(&arguments), 1, &["text"]);
    }
}

#[test]
fn a_data_root_that_cannot_be_written_is_refused() {
    let rig = sound();
    fs::write(rig.path("out"), "a file").unwrap();
    let ended = rig.process("out");
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.contains(&rig.path("out").display().to_string()), "{}", ended.err);
    assert_eq!(fs::read(rig.path("out")).unwrap(), b"a file");
}

fn bytes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(folder).into_iter().map(|(relative, path)| (relative, fs::read(path).unwrap())).collect()
}

#[test]
fn a_scan_that_exists_is_left_alone() {
    let rig = sound();
    let id = rig.process("out").record()["id"].as_str().unwrap().to_owned();
    let before = bytes(&rig.path("out"));
    let ended = rig.process("out");
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.contains("exists already") && ended.err.contains(&id), "{}", ended.err);
    assert!(bytes(&rig.path("out")) == before, "the scan that was there has changed");
}
