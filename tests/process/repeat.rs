//! The same recording gives the same files.

use crate::python;
use crate::rig::{Camera, LENGTH_MM, Rig, files, only, reflectance};
use hyclus::store::read_sample;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Paths and bytes of what a data root holds, but for the record, which tells when it was made.
fn contents(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let all = files(out).into_iter().filter(|(path, _)| !path.ends_with("scan.json"));
    all.map(|(relative, path)| (relative, std::fs::read(path).unwrap())).collect()
}

/// The record without the times of the run.
fn record(rig: &Rig, out: &str) -> Value {
    let mut record = rig.process(out).record();
    for key in ["started", "ended"] {
        assert!(record.as_object_mut().unwrap().remove(key).unwrap().is_string());
    }
    record
}

#[test]
fn the_same_recording_gives_the_same_bytes() {
    let rig = Rig::pair(30.0);
    let (a, b) = (record(&rig, "a"), record(&rig, "b"));
    assert_eq!(a["samples"].as_array().unwrap().len(), 2, "{a}");
    assert_eq!(a, b);
    let (a, b) = (contents(&rig.path("a")), contents(&rig.path("b")));
    assert_eq!(a.len(), 3, "two samples and the quicklook");
    for ((path, a), (other, b)) in a.iter().zip(&b) {
        assert_eq!(path, other);
        assert!(a == b, "{} differs between two runs", path.display());
    }
    assert_eq!(a.len(), b.len());
}

/// Where cameras overlap, one factor for each sample levels them, the same in every run.
#[test]
fn levelled_samples_are_the_same_and_have_one_factor_each() {
    let cameras = [Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0), Camera::new("swir", 40, 9, (900.0, 1300.0), 12.0)];
    let mut rig = Rig::new(&cameras, 30.0);
    let brighter = |x: f64, y: f64, nm: f64| 1.1 * reflectance(x, y, nm);
    cameras[1].record_scene(&rig.path("swir"), 30.0, LENGTH_MM, &brighter);
    record(&rig, "as_it_is");
    rig.config.push_str("[join]\nlevel = true\n");
    let (a, b) = (record(&rig, "a"), record(&rig, "b"));
    assert_eq!(a, b);
    assert!(contents(&rig.path("a")) == contents(&rig.path("b")), "two runs differ");
    let step = &a["overlap_step"][0];
    assert!((step["ratio"].as_f64().unwrap() - 1.1).abs() < 0.005 && step["levelled"] == true, "{a}");
    for sample in ["left.h5", "right.h5"] {
        let read = |out: &str| read_sample(&only(&rig.path(out), sample)).unwrap();
        let (plain, levelled) = (read("as_it_is"), read("a"));
        let (nm, bands) = (&plain.wavelengths_nm, plain.wavelengths_nm.len());
        let mut factors = Vec::new();
        for ((at, plain), levelled) in plain.reflectance.iter().enumerate().zip(&levelled.reflectance) {
            // The overlap is cut at 950 nm.
            if nm[at % bands] < 950.0 {
                assert!(plain.to_bits() == levelled.to_bits());
            } else if plain.abs() > 0.1 {
                factors.push(levelled / plain);
            }
        }
        let (least, most) = factors.iter().fold((f32::INFINITY, 0.0_f32), |(a, b), f| (a.min(*f), b.max(*f)));
        assert!(most - least < 1e-5 && (f64::from(least) * 1.1 - 1.0).abs() < 0.005, "{sample}: {least} to {most}");
    }
}

#[test]
fn parts_may_differ_but_samples_and_rows_do_not() {
    let mut rig = Rig::pair(30.0);
    if !rig.encode(12) {
        return;
    }
    let plain = rig.config.clone();
    let mut parts = Vec::new();
    for (out, publish) in [("a", ""), ("b", ""), ("c", "max_rows = 50\n"), ("d", "max_age_s = 0.000001\nmax_rows = 1000000\n")] {
        rig.config = format!("{plain}[publish]\nspectra = true\n{publish}");
        assert!(record(&rig, out)["embeddings"].as_u64().unwrap() > 200);
        parts.push(files(&rig.path(out)).keys().filter(|path| path.extension().is_some_and(|e| e == "parquet")).count());
    }
    assert!(parts[2] > parts[0], "50 rows a part make more parts: {parts:?}");
    let roots = ["a", "b", "c", "d"].map(|out| rig.path(out));
    python::run("process_same.py", &roots.each_ref().map(PathBuf::as_path));
}
