//! Minerals, judged by spectra and programs that are not ours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod python;

use hyclus::identify::Library;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml")
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hyclus"))
}

/// A real measurement, from `HYCLUS_TEST_DATA` or the shared folder.
fn measured(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("HYCLUS_TEST_DATA").map_or_else(beside, PathBuf::from).join(name);
    let there = path.exists();
    if !there {
        println!("skipped: {} is absent; set HYCLUS_TEST_DATA", path.display());
    }
    there.then(|| path.canonicalize().unwrap())
}

fn hyclus(arguments: &[&Path]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn held_out_records_mixtures_and_nothing_are_told_apart() {
    let (Some(spectra), Some(meta)) = (measured("minerals/usgs_minerals.npz"), measured("minerals/usgs_minerals_meta.json")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    python::run("minerals_usgs.py", &[program(), &library(), &spectra, &meta, folder.path()]);
}

#[test]
fn another_program_names_the_same_minerals() {
    let folder = tempfile::tempdir().unwrap();
    python::run("minerals_cramm.py", &[program(), &library(), folder.path()]);
}

#[test]
fn features_lie_below_the_convex_hull_of_another_program() {
    let Some(image) = measured("fenix/image.hdr") else { return };
    let folder = tempfile::tempdir().unwrap();
    python::run("minerals_hull.py", &[program(), &library(), &image, folder.path()]);
}

#[test]
fn features_lie_where_another_program_maps_them() {
    let Some(image) = measured("fenix/image.hdr") else { return };
    let folder = tempfile::tempdir().unwrap();
    python::run("minerals_hylite.py", &[program(), &library(), &image, folder.path()]);
}

#[test]
fn every_kind_of_cube_gives_the_same_minerals() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/1/scans/20000101T000000Z-T1/samples/left.h5");
    python::run("minerals_readers.py", &[program(), &library(), &sample, folder.path()]);
}

#[test]
fn a_rig_names_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/1/scans/20000101T000000Z-T1/samples/left.h5");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/simulated.toml");
    let identify = |more: &[&Path]| hyclus(&[&[Path::new("identify")], more, &[sample.as_path()]].concat());
    let (by_library, by_config) = (identify(&[Path::new("--library"), &library()]), identify(&[Path::new("--config"), &config]));
    assert_eq!((by_config.status.code(), text(&by_config.stdout)), (by_library.status.code(), text(&by_library.stdout)));
    assert_eq!(text(&by_config.stderr), text(&by_library.stderr));
    let both = identify(&[Path::new("--library"), &library(), Path::new("--config"), &config]);
    assert!(both.status.code() == Some(1) && text(&both.stderr).contains("give one of them"), "{both:?}");
    let bare = folder.path().join("rig.toml");
    std::fs::write(&bare, std::fs::read_to_string(&config).unwrap().replace("[minerals]\nlibrary = \"minerals/usgs.toml\"", "")).unwrap();
    let bare = identify(&[Path::new("--config"), &bare]);
    assert!(bare.status.code() == Some(1) && text(&bare.stderr).contains("has no section [minerals]"), "{bare:?}");
}

#[test]
fn a_rig_is_told_what_it_can_see() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/simulated.toml");
    let output = hyclus(&[Path::new("minerals"), Path::new("check"), &library(), Path::new("--config"), &config]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("of 40 minerals can be identified") && said.contains("never: "), "{said}");
    let output = hyclus(&[Path::new("--json"), Path::new("minerals"), Path::new("check"), &library(), Path::new("--config"), &config]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["coverage"].as_array().unwrap().len(), 40);
}

#[test]
fn every_fault_of_a_library_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(library()).unwrap();
    std::fs::copy(library().with_extension("csv"), folder.path().join("usgs.csv")).unwrap();
    let path = folder.path().join("faulty.toml");
    let wrong = good
        .replacen("min_snr = 5.0", "min_snr = -1.0\nmin_colour = 2", 1)
        .replacen("left_nm = [440.0, 460.0]", "left_nm = [460.0, 440.0]", 1)
        .replacen("name = \"Fe3_900\"", "name = \"Fe3_visible\"", 1)
        .replacen("name = \"kaolin_2200\"\n\n", "name = \"nowhere\"\n\n", 1)
        .replacen("min_fit = 0.9\n", "min_fit = 1.9\n", 1)
        .replacen("keep = [\"depth\"]", "keep = [\"depth\", \"colour\"]", 1);
    std::fs::write(&path, &wrong).unwrap();
    // The form first: its faults would hide those of the meaning.
    let faults = Library::read(&path).unwrap_err().faults;
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert!(paths.contains(&"limits.min_colour") && paths.iter().any(|path| path.starts_with("feature[0].keep[1]")), "{faults:?}");
    let wrong = wrong.replacen("\nmin_colour = 2", "", 1).replacen(", \"colour\"]", "]", 1);
    std::fs::write(&path, &wrong).unwrap();
    let output = hyclus(&[Path::new("minerals"), Path::new("check"), &path]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for path in ["limits.min_snr", "window[0]", "window[1].name", "min_fit: must be from 0 to 1", "there is no [[window]] `Fe3_900`"] {
        assert!(said.contains(path), "{path} in {said}");
    }
    // The table of spectra.
    std::fs::write(&path, &good).unwrap();
    let table = std::fs::read_to_string(library().with_extension("csv")).unwrap();
    let line = table.lines().nth(500).unwrap();
    let broken = line.replacen(',', ",NaN,", 1);
    std::fs::write(folder.path().join("usgs.csv"), table.replacen(line, &broken, 1).replacen("topaz__00", "topaz__99", 1)).unwrap();
    let faults = Library::read(&path).unwrap_err().to_string();
    assert!(faults.contains("spectra: line 501") && faults.contains("no column `topaz__00`"), "{faults}");
}

#[test]
fn what_is_no_reflectance_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let header = folder.path().join("counts.hdr");
    let listed = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
    let nm: Vec<f64> = (0..200).map(|band| 2000.0 + 2.5 * f64::from(band)).collect();
    let write = |wavelength: &str, factor: f32| {
        let shape = "ENVI\nsamples = 4\nlines = 2\nbands = 200\ndata type = 4\ninterleave = bip\nbyte order = 0\n";
        std::fs::write(&header, format!("{shape}{wavelength}")).unwrap();
        let values: Vec<u8> = (0..1600).flat_map(|i| (factor * (0.5 + (i % 7) as f32 * 0.01)).to_le_bytes()).collect();
        std::fs::write(header.with_extension("dat"), values).unwrap();
        let output = hyclus(&[Path::new("identify"), Path::new("--library"), &library(), &header]);
        (output.status.code(), text(&output.stderr), text(&output.stdout))
    };
    let (code, said, _) = write("", 1.0);
    assert!(code == Some(1) && said.contains("add the band centres"), "{said}");
    let all = format!("wavelength = {{{}}}\n", listed(&nm));
    let (code, said, _) = write(&all, 4000.0);
    assert!(code == Some(1) && said.contains("reflectance scale factor"), "{said}");
    let (code, said, shown) = write(&all, 1.0);
    assert!(code == Some(0) && shown.contains("not identified") && shown.contains("100.00 %"), "{said}{shown}");
    let visible: Vec<f64> = (0..200).map(|band| 400.0 + f64::from(band)).collect();
    let (code, said, _) = write(&format!("wavelength = {{{}}}\n", listed(&visible)), 1.0);
    assert!(code == Some(1) && said.contains("cover no mineral"), "{said}");
}
