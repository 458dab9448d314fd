//! The same recording gives the same files.

use crate::python;
use crate::rig::{Rig, files};
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
        assert!(record(&rig, out)["embeddings"].as_u64().unwrap() > 500);
        parts.push(files(&rig.path(out)).keys().filter(|path| path.extension().is_some_and(|e| e == "parquet")).count());
    }
    assert!(parts[2] > parts[0], "50 rows a part make more parts: {parts:?}");
    let roots = ["a", "b", "c", "d"].map(|out| rig.path(out));
    python::run("process_same.py", &roots.each_ref().map(PathBuf::as_path));
}
