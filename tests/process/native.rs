//! Samples on each camera's own grid, compared with what NumPy makes of the raw recordings.

use crate::python;
use crate::rig::{ALONG, BOXES, Camera, Rig, files, hyclus, only};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Two cameras whose pixels are finer and coarser than the grid's, one 12 mm behind the other; `sections` goes to the configuration.
fn rig(grid_mm: f64, sections: &str) -> Rig {
    let cameras = [Camera::new("vnir", 110, 7, (400.0, 1000.0), 0.0), Camera::new("swir", 18, 5, (1100.0, 2300.0), 12.0)];
    let mut rig = Rig::new(&cameras, 30.0);
    rig.config = rig.config.replace("pixel_mm = 1.0", &format!("pixel_mm = {grid_mm:?}"));
    write!(rig.config, "[store]\nnative = true\n{sections}").unwrap();
    rig
}

/// Processes into `out`, and compares both samples.
fn compared(rig: &Rig, out: &str) -> PathBuf {
    let record = rig.process(out).record();
    assert_eq!((&record["complete"], record["samples"].as_array().unwrap().len()), (&true.into(), 2), "{record}");
    let out = rig.path(out);
    for sample in ["left.h5", "right.h5"] {
        let offsets: Vec<String> = rig.cameras.iter().map(|camera| camera.offset_mm.to_string()).collect();
        let (vnir, swir) = (rig.path("vnir/capture"), rig.path("swir/capture"));
        python::run("process_native.py", &[&only(&out, sample), &vnir, Path::new(&offsets[0]), &swir, Path::new(&offsets[1])]);
    }
    out
}

#[test]
fn the_own_grids_hold_the_calibrated_lines_that_overlap_the_cube() {
    compared(&rig(1.0, ""), "fine");
    // Several lines a row, and their edges within rows.
    compared(&rig(2.5, "compression = \"deflate\"\n"), "coarse");
}

#[test]
fn a_footprint_ends_with_lines_that_come_after_its_last_row() {
    let mut rig = rig(0.5, "[segment]\nmethod = \"footprint\"\n");
    for (at, (left, right)) in ["A1", "A2"].iter().zip(BOXES) {
        let (width, length) = (right - left, ALONG.1 - ALONG.0);
        let place = format!("x_mm = {left:?}\ny_mm = {:?}\nwidth_mm = {width:?}\nlength_mm = {length:?}\n", ALONG.0 + 0.2);
        rig.tray = rig.tray.replace(&format!("at = \"{at}\"\n"), &format!("at = \"{at}\"\n{place}"));
    }
    compared(&rig, "out");
}

#[test]
fn they_are_the_same_in_every_run_and_absent_unless_asked_for() {
    let mut rig = rig(1.0, "");
    let bytes = |rig: &Rig, out: &str| {
        rig.process(out).record();
        let all = files(&rig.path(out)).into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "h5"));
        all.map(|(path, file)| (path, std::fs::read(file).unwrap())).collect::<Vec<_>>()
    };
    let first = bytes(&rig, "a");
    assert!(first.len() == 2 && first == bytes(&rig, "b"));
    rig.config = rig.config.replace("native = true", "native = false");
    rig.process("plain").record();
    let entry = hdf5::File::open(only(&rig.path("plain"), "left.h5")).unwrap().group("entry").unwrap();
    assert!(!entry.link_exists("vnir_native") && !entry.link_exists("swir_native"));
}

#[test]
fn the_hidsag_export_takes_its_high_resolution_from_them() {
    let mut rig = rig(1.0, "");
    for sample in ["left", "right"] {
        let line = format!("sample = \"{sample}\"\n");
        rig.tray = rig.tray.replace(&line, &format!("{line}vars = {{ Cu = 0.61 }}\n"));
    }
    rig.process("data").record();
    let (data, out) = (rig.path("data"), rig.path("hidsag"));
    let scan = std::fs::read_dir(data.join("scans")).unwrap().next().unwrap().unwrap().path();
    let arguments = ["export", "--data", data.to_str().unwrap(), "hidsag", scan.to_str().unwrap(), out.to_str().unwrap()];
    let ended = hyclus(&arguments.map(str::to_owned));
    assert!(ended.code == Some(0) && !ended.err.contains("native"), "{}{}", ended.out, ended.err);
    python::run("export_hidsag.py", &[Path::new("--whole"), &out.join("T1"), &scan]);
}
