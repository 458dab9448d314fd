//! What is refused, and what stays behind then: nothing.

use crate::scans::Made;
use crate::{edit, export, listed, refused, said};
use std::path::Path;

const ID: &str = "20180703T141502Z-T1";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_unknown_scan_is_told_which_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    assert!(refused(&export(&data, &["envi", ID, text(&out)])).contains("it holds no scan: name the data root with --data"));
    Made::default().write(&data);
    let message = refused(&export(&data, &["hidsag", "nothing", text(&out)]));
    assert!(message.contains("`nothing`") && message.contains(&format!("it holds {ID}")), "{message}");
    let message = refused(&export(&data, &["envi", ID, text(&data.join("scans").join(ID)), text(&out)]));
    assert!(message.contains("named twice"), "{message}");
    assert!(!out.exists());
    assert_eq!(export(&data, &["envi", ID]).status.code(), Some(2), "a target is needed");
}

#[test]
fn nothing_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    Made::default().write(&data);
    std::fs::create_dir_all(out.join("T1")).unwrap();
    std::fs::write(out.join("P2-M100_mask.img"), "mine").unwrap();
    for (format, there) in [("envi", "P2-M100_mask.img"), ("hidsag", "T1")] {
        let message = refused(&export(&data, &[format, ID, text(&out)]));
        assert!(message.contains(text(&out.join(there))) && message.contains("exists already"), "{message}");
    }
    assert_eq!(listed(&out), ["P2-M100_mask.img", "T1"]);
    assert_eq!(std::fs::read_to_string(out.join("P2-M100_mask.img")).unwrap(), "mine");
    assert!(listed(&out.join("T1")).is_empty());
}

#[test]
fn half_an_export_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let scan = Made::default().write(&data);
    let second = scan.join("samples/P2-M100.h5");
    let bytes = std::fs::read(&second).unwrap();
    std::fs::write(&second, &bytes[..bytes.len() / 2]).unwrap();
    for format in ["envi", "hidsag"] {
        let message = refused(&export(&data, &[format, ID, text(&out)]));
        assert!(message.contains("P2-M100.h5"), "{message}");
        assert!(!out.exists(), "{format}: {:?}", listed(&out));
    }
}

#[test]
fn incomplete_scans_are_exported_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (complete, wanted) in [(Some(false), "is incomplete: the belt stood"), (None, "was not closed, or still runs")] {
        Made { complete, ..Made::default() }.write(&data);
        let out = folder.path().join(format!("{complete:?}"));
        let (_, warnings) = said(&export(&data, &["envi", ID, text(&out)]));
        assert!(warnings.contains(wanted), "{warnings}");
        std::fs::remove_dir_all(&data).unwrap();
    }
    let scan = Made::default().write(&data);
    std::fs::remove_file(scan.join("scan.json")).unwrap();
    let (json, warnings) = said(&export(&data, &["--json", "hidsag", ID, text(&folder.path().join("out"))]));
    assert_eq!(warnings, "");
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(told["warnings"][0].as_str().unwrap().contains("no scan.json") && told["samples"] == 2, "{json}");
}

#[test]
fn files_of_a_newer_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let scan = Made::default().write(&data);
    let refusal = "its format version is 2, and this program reads versions up to 1; update hyclus";
    let record = scan.join("scan.json");
    let text_of = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text_of.replace("\"format_version\": 1", "\"format_version\": 2")).unwrap();
    let message = refused(&export(&data, &["envi", ID, text(&out)]));
    assert!(message.contains(&format!("scan.json: {refusal}")), "{message}");
    std::fs::write(&record, text_of).unwrap();

    let file = edit::open_rw(&scan.join("samples/P2-M100.h5"));
    file.attr("hyclus_format_version").unwrap().write_scalar(&2_i32).unwrap();
    file.close().unwrap();
    for format in ["envi", "hidsag"] {
        let message = refused(&export(&data, &[format, ID, text(&out)]));
        assert!(message.contains(&format!("P2-M100.h5: {refusal}")), "{message}");
        assert!(!out.exists(), "{format}: {:?}", listed(&out));
    }
}

#[test]
fn samples_that_do_not_fit_the_layout_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let only = [("swir", 950.0, 2500.0, 50.0)];
    Made { cameras: &only, ..Made::default() }.write(&data);
    let message = refused(&export(&data, &["hidsag", ID, text(&out)]));
    assert!(message.contains("none of its bands is VNIR"), "{message}");
    std::fs::remove_dir_all(&data).unwrap();

    Made::default().write(&data);
    let other = [("vnir", 400.0, 1000.0, 5.0), ("swir", 950.0, 2500.0, 5.0)];
    Made { id: "20180704T141502Z-T2", tray: "T2", cameras: &other, ..Made::default() }.write(&data);
    let both = ["hidsag", ID, "20180704T141502Z-T2", text(&out)];
    let message = refused(&export(&data, &both));
    assert!(message.contains("T1, T2") && message.contains("--dataset"), "{message}");
    let message = refused(&export(&data, &[&both[..], &["--dataset", "GEO"]].concat()));
    assert!(message.contains("its VNIR bands are not those of"), "{message}");
    let message = refused(&export(&data, &[&both[..], &["--dataset", "../GEO"]].concat()));
    assert!(message.contains("cannot be the name of a folder"), "{message}");
    assert!(!out.exists());
}

#[test]
fn one_camera_for_everything_is_parted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    Made { cameras: &[("fenix", 400.0, 2500.0, 50.0)], ..Made::default() }.write(&data);
    said(&export(&data, &["hidsag", ID, text(&out)]));
    let nm: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(out.join("T1/wavelengths.json")).unwrap()).unwrap();
    let (vnir, swir) = (nm["wavelength_VNIR"].as_array().unwrap(), nm["wavelength_SWIR"].as_array().unwrap());
    assert_eq!((vnir.len(), vnir[11].as_f64(), swir.len(), swir[0].as_f64()), (12, Some(950.0), 31, Some(1000.0)));
}
