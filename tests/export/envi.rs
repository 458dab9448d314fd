//! ENVI images, read by Spectral Python.

use crate::scans::Made;
use crate::{export, listed, python, said};
use hyclus::config::Compression;

#[test]
fn spectral_python_reads_the_very_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    // The first is longer than a block of lines that is read at once.
    let samples = [("A1", "P1-M100", 500), ("A2", "P2-M100", 5)];
    let scan = Made { samples: &samples, compression: Compression::Deflate, ..Made::default() }.write(&data);
    let (text, warnings) = said(&export(&data, &["envi", "20180703T141502Z-T1", out.to_str().unwrap()]));
    assert_eq!(text, format!("2 samples in {}\n", out.display()));
    assert_eq!(warnings, "hyclus: warning: P2-M100 is in doubt: looks wet\n");
    let parts = |name: &str| [".hdr", ".img", "_mask.hdr", "_mask.img", "_quality.hdr", "_quality.img"].map(|e| format!("{name}{e}"));
    assert_eq!(listed(&out), ["P1-M100", "P2-M100"].map(parts).concat());
    for name in ["P1-M100", "P2-M100"] {
        python::run("export_envi.py", &[&out.join(name), &scan.join("samples").join(format!("{name}.h5"))]);
    }
}

#[test]
fn scans_with_the_same_sample_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let scans = ["20180703T141502Z-T1", "20180704T141502Z-T1"];
    for (id, other) in scans.into_iter().zip(["B", "C"]) {
        Made { id, samples: &[("A1", "S", 2), ("A2", other, 2)], ..Made::default() }.write(&data);
    }
    // One by its id, one by its folder.
    let second = data.join("scans").join(scans[1]);
    said(&export(&data, &["envi", scans[0], second.to_str().unwrap(), out.to_str().unwrap()]));
    let headers: Vec<String> =
        listed(&out).into_iter().filter(|n| n.ends_with(".hdr") && !n.contains("_mask") && !n.contains("_qual")).collect();
    assert_eq!(headers, ["20180703T141502Z-T1_S.hdr", "20180704T141502Z-T1_S.hdr", "B.hdr", "C.hdr"]);
    for (id, header) in scans.into_iter().zip(headers) {
        let text = std::fs::read_to_string(out.join(header)).unwrap();
        assert!(text.contains(&format!("hyclus scan = {id}\n")), "{text}");
    }
}
