//! References of different times: the dark reference of the white one, and its way into the files.

use crate::rig::{Camera, DARK, Rig, only, reflectance};
use std::fs;
use std::path::{Path, PathBuf};

const PIXELS: usize = 40;
/// 1.3 % of the full scale of 12 bits, counts.
const RISE: u16 = 53;

fn rig() -> Rig {
    Rig::new(&[Camera::new("vnir", PIXELS, 7, (400.0, 1000.0), 0.0)], 0.0)
}

fn capture(rig: &Rig, file: &str) -> PathBuf {
    rig.path("vnir/capture").join(file)
}

/// Adds counts to every element of a recording.
fn raise(path: &Path, by: u16) {
    let counts = fs::read(path).unwrap();
    let raised = counts.chunks_exact(2).flat_map(|bytes| (u16::from_le_bytes([bytes[0], bytes[1]]) + by).to_le_bytes());
    fs::write(path, raised.collect::<Vec<u8>>()).unwrap();
}

/// Copies a reference of the capture under another first word.
fn copy(rig: &Rig, from: &str, to: &str) {
    for ending in ["raw", "hdr"] {
        fs::copy(capture(rig, &format!("{from}vnir.{ending}")), capture(rig, &format!("{to}vnir.{ending}"))).unwrap();
    }
}

/// A recording whose dark level rose after the white reference, and before the dark one and the scan.
fn risen() -> Rig {
    let rig = rig();
    copy(&rig, "DARKREF_", "WHITEDARKREF_");
    for file in ["DARKREF_vnir.raw", "vnir.raw"] {
        raise(&capture(&rig, file), RISE);
    }
    rig
}

/// Largest deviation of a sample's pixels from the scene, as a share, away from the edges.
fn deviation(sample: &Path) -> f64 {
    let data = hdf5::File::open(sample).unwrap().group("entry/reflectance").unwrap();
    let read = |name: &str| data.dataset(name).unwrap();
    let nm: Vec<f64> = read("wavelength").read_raw().unwrap();
    let (values, quality, mask): (Vec<f32>, Vec<u8>, Vec<u8>) =
        (read("reflectance").read_raw().unwrap(), read("quality").read_raw().unwrap(), read("mask").read_raw().unwrap());
    let inside = (0..mask.len()).filter(|i| mask[*i] == 1 && quality[*i] == 0);
    let shares = inside
        .flat_map(|i| nm.iter().zip(&values[i * nm.len()..]).map(|(nm, value)| f64::from(*value) / reflectance(5.0, 20.0, *nm) - 1.0));
    let (n, largest) = shares.fold((0, 0.0_f64), |(n, largest), share| (n + 1, largest.max(share.abs())));
    assert!(n > 100, "{n} values");
    largest
}

fn calibration(sample: &Path) -> hdf5::Group {
    hdf5::File::open(sample).unwrap().group("entry/calibration/vnir").unwrap()
}

#[test]
fn a_white_reference_is_taken_over_the_dark_level_of_its_own_time() {
    let rig = risen();
    rig.process("out").record();
    let sample = only(&rig.path("out"), "left.h5");
    let found = deviation(&sample);
    assert!(found < 1e-3, "{:.3} % off", 100.0 * found);
    let of = |name: &str| calibration(&sample).dataset(name).unwrap().read_raw::<f32>().unwrap();
    assert!(of("white_dark").iter().all(|counts| f64::from(*counts) == DARK));
    assert!(of("dark").iter().all(|counts| f64::from(*counts) == DARK + f64::from(RISE)));

    // Without the dark reference of the white one, the scan's serves. The signal then lacks the rise.
    for ending in ["raw", "hdr"] {
        fs::remove_file(capture(&rig, &format!("WHITEDARKREF_vnir.{ending}"))).unwrap();
    }
    rig.process("without").record();
    let sample = only(&rig.path("without"), "left.h5");
    assert!((deviation(&sample) - 53.0 / (2850.0 - 53.0)).abs() < 1e-3, "{}", deviation(&sample));
    assert!(calibration(&sample).dataset("white_dark").is_err());
}

#[test]
fn a_dark_reference_of_the_white_one_that_is_the_scans_changes_no_byte() {
    let rig = rig();
    let read = |out: &str| fs::read(only(&rig.path(out), "left.h5")).unwrap();
    rig.process("without").record();
    copy(&rig, "DARKREF_", "WHITEDARKREF_");
    rig.process("with").record();
    assert!(read("with") == read("without"));
}

#[test]
fn a_bad_dark_reference_of_the_white_one_is_refused() {
    let refused = |change: &dyn Fn(&Rig), words: &[&str]| {
        let rig = risen();
        change(&rig);
        let ended = rig.process("out");
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        words.iter().for_each(|word| assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err));
    };
    let header = |rig: &Rig, from: &str, to: &str| {
        let path = capture(rig, "WHITEDARKREF_vnir.hdr");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    refused(
        &|rig| copy(rig, "WHITEREF_", "WHITEDARKREF_"),
        &["in the one of the white panel (WHITEDARKREF_)", "references.limits.max_dark"],
    );
    refused(&|rig| header(rig, "tint = 2.0", "tint = 4.0"), &["WHITEDARKREF_vnir.hdr", "tint (ms) is 4", "that of the tray's recording 2"]);
    refused(&|rig| header(rig, "samples = 40\n", "samples = 20\n"), &["WHITEDARKREF_vnir"]);
}

#[test]
fn an_element_that_clips_in_the_dark_of_the_white_reference_is_bad() {
    let rig = risen();
    let raw = capture(&rig, "WHITEDARKREF_vnir.raw");
    let mut counts = fs::read(&raw).unwrap();
    // Band 2, pixel 10 of the second of five frames.
    let at = 2 * (7 * PIXELS + 2 * PIXELS + 10);
    counts[at..at + 2].copy_from_slice(&4095_u16.to_le_bytes());
    fs::write(&raw, counts).unwrap();
    rig.process("out").record();
    let bad = calibration(&only(&rig.path("out"), "left.h5")).dataset("bad_pixel").unwrap().read_raw::<u8>().unwrap();
    let found: Vec<usize> = (0..bad.len()).filter(|at| bad[*at] & 8 != 0).collect();
    assert_eq!(found, [10 * 7 + 2]);
}
