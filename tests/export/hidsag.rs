//! The layout of HIDSAG, read as `formats.md` describes it.

use crate::scans::Made;
use crate::{export, listed, python, said};
use serde_json::Value;

#[test]
fn a_reader_of_the_layout_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    // The first sample lies in two containers of the second scan too, and is longer than a block of lines there.
    let first = Made::default().write(&data);
    let samples = [("A1", "P3-M100", 3), ("A10", "P1-M100", 4), ("A2", "P1-M100", 500)];
    let second = Made { id: "20180704T141502Z-T1", samples: &samples, ..Made::default() }.write(&data);
    let (text, warnings) =
        said(&export(&data, &["hidsag", "20180703T141502Z-T1", "20180704T141502Z-T1", out.to_str().unwrap(), "--dataset", "GEO"]));
    assert_eq!(text, format!("5 samples in {}\n", out.join("GEO").display()));
    assert!(warnings.contains("looks wet") && warnings.contains("no native VNIR grid is stored"), "{warnings}");
    assert_eq!(listed(&out), ["GEO"]);
    assert_eq!(listed(&out.join("GEO")), ["P1-M100", "P2-M100", "P3-M100", "wavelengths.json"]);
    python::run("export_hidsag.py", &[&out.join("GEO"), &first, &second]);

    let json = |path: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(out.join("GEO").join(path)).unwrap()).unwrap() };
    // Both cameras have a band at 975 nm, the middle of their overlap; it was kept of the SWIR.
    let nm = json("wavelengths.json");
    let (vnir, swir) = (nm["wavelength_VNIR"].as_array().unwrap(), nm["wavelength_SWIR"].as_array().unwrap());
    assert_eq!((vnir.len(), vnir[229].as_f64(), swir.len(), swir[0].as_f64()), (230, Some(972.5), 306, Some(975.0)));
    let metadata = json("P1-M100/metadata.json");
    assert_eq!(metadata["vars"]["Cu/Fe"], 0.61);
    let heights: Vec<&Value> = (1..)
        .zip(metadata["crops"].as_array().unwrap())
        .map(|(n, crop)| &crop[format!("{n:02}")]["swir_low"]["image_dims"]["height"])
        .collect();
    assert_eq!(heights, [6, 4, 500], "as given, and as the containers lie on the tray");
    // In the order of the tray map's keys.
    assert_eq!(metadata["crops"][0]["tags"], serde_json::json!(["Süd {1}", "2018-07"]));
    let about = &metadata["crops"][2]["03"];
    for (kind, key, wanted) in [
        ("vnir_low", "sample_frequency", 50.0),
        ("swir_low", "sample_frequency", 60.0),
        ("vnir_low", "integrations_time", 2.5),
        ("swir_low", "integrations_time", 4.0),
        ("vnir_low", "dolly_speed", 25.0),
        ("swir_low", "dolly_speed", 40.0),
        ("vnir_low", "spatial_binning", 2.0),
        ("vnir_low", "spectral_binning", 4.0),
        ("swir_low", "spectral_binning", 1.0),
    ] {
        let found = about[kind][key].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{kind} {key}: {found}");
    }
    assert!(about["vnir_high"]["resampled"].as_str().unwrap().contains("vnir_low") && about["vnir_low"].get("resampled").is_none());
}

#[test]
fn a_native_vnir_grid_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let scan = Made { samples: &[("A1", "S", 6)], ..Made::default() }.write(&data);
    python::run("export_native.py", &[&scan.join("samples/S.h5")]);
    let (_, warnings) = said(&export(&data, &["hidsag", scan.to_str().unwrap(), out.to_str().unwrap()]));
    assert_eq!(warnings, "");
    // Named after the tray.
    python::run("export_hidsag.py", &[&out.join("T1"), &scan]);
}
