//! References of different times: the dark reference of the white one, and its way into the files.

use crate::rig::{Camera, DARK, LENGTH_MM, Rig, only, reflectance};
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
pub fn deviation(sample: &Path) -> f64 {
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
    refused(&|rig| header(rig, "tint = 2.0", "tint = 4.0"), &["WHITEDARKREF_vnir.hdr", "tint (ms) is 4", "that of the white reference 2"]);
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

/// The warnings of a scan that was processed.
fn warnings(rig: &Rig, out: &str) -> Vec<String> {
    let record = rig.process(out).record();
    record["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

/// A recording whose dark level rises by 40 counts from the first line to the last, with the dark reference after it. Nothing is dated.
fn drifting() -> Rig {
    let rig = rig();
    copy(&rig, "DARKREF_", "DARKREFAFTER_");
    raise(&capture(&rig, "DARKREFAFTER_vnir.raw"), 40);
    let path = capture(&rig, "vnir.raw");
    let counts = fs::read(&path).unwrap();
    let raised = counts.chunks_exact(2).enumerate().flat_map(|(i, bytes)| {
        let line = i / (7 * PIXELS);
        let rise = (40.0 * line as f64 / (LENGTH_MM - 1) as f64).round() as u16;
        (u16::from_le_bytes([bytes[0], bytes[1]]) + rise).to_le_bytes()
    });
    fs::write(path, raised.collect::<Vec<u8>>()).unwrap();
    rig
}

/// Dates a recording, in whole seconds after 14:45.
fn date(rig: &Rig, file: &str, second: u32) {
    let path = capture(rig, file);
    let text = fs::read_to_string(&path).unwrap();
    let date = format!("acquisition date = DATE(yyyy-mm-dd): 2019-01-29\nstart time = UTC TIME: 14:45:{second:02}\nfps");
    fs::write(path, text.replacen("fps", &date, 1)).unwrap();
}

/// A table of lines, with the time of each in ns since some second.
fn table(rig: &Rig, time_ns: impl Fn(usize) -> usize) {
    let row = |line: usize| format!("{line},{line},{},{line},ok\n", 1_548_773_100_000_000_000 + time_ns(line));
    let rows: String = (0..LENGTH_MM).map(row).collect();
    fs::write(capture(rig, "vnir.lines.csv"), format!("line,frame,time_ns,position_mm,status\n{rows}")).unwrap();
}

#[test]
fn an_undated_dark_reference_after_the_scan_is_interpolated_by_the_lines() {
    let rig = drifting();
    assert_eq!(warnings(&rig, "out"), [""; 0]);
    let found = deviation(&only(&rig.path("out"), "left.h5"));
    assert!(found < 2e-3, "{:.3} % off", 100.0 * found);
    // The recording is dated, and its references are not.
    let rig = drifting();
    table(&rig, |line| 50_000_000 * line);
    assert_eq!(warnings(&rig, "out"), [""; 0]);
    assert!(deviation(&only(&rig.path("out"), "left.h5")) < 2e-3);
    let attribute = calibration(&only(&rig.path("out"), "left.h5")).dataset("dark_after").unwrap().attr("interpolated").unwrap();
    let times: Vec<String> = attribute.read_raw::<hdf5::types::VarLenUnicode>().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(times, ["2019-01-29T14:45:00Z", "2019-01-29T14:45:03.05Z"]);
}

#[test]
fn dates_that_contradict_the_lines_are_told_and_others_are_not() {
    let with = |before: u32, after: u32| {
        let rig = drifting();
        // From 14:45:00 for three seconds.
        table(&rig, |line| 50_000_000 * line);
        date(&rig, "DARKREF_vnir.hdr", before);
        date(&rig, "DARKREFAFTER_vnir.hdr", after);
        let told = warnings(&rig, "out");
        assert!(deviation(&only(&rig.path("out"), "left.h5")) < 2e-3, "{before} {after}");
        told
    };
    assert_eq!(with(0, 2), [""; 0]);
    let told = with(3, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("vnir: the dark references are of 2019-01-29T14:45:03.100Z and 2019-01-29T14:45:01.100Z"), "{told:?}");
}

#[test]
fn lines_of_one_time_give_no_interpolation_and_are_told() {
    let rig = drifting();
    table(&rig, |_| 0);
    let told = warnings(&rig, "out");
    assert!(told.iter().any(|warning| warning.contains("DARKREFAFTER_) is not used")), "{told:?}");
}

/// Puts a certificate of the panel into the configuration: from `first` to 1000 nm, with expanded uncertainties.
fn certify(rig: &mut Rig, file: &str, first: f64, expires: &str) {
    let text = format!("# serial: SRT-7\n# expires: {expires}\n# coverage: 2\n{first} 0.95 0.01\n1000 0.95 0.03\n");
    fs::write(rig.path(file), text).unwrap();
    let configured = "panel = { reflectance = 0.95 }";
    assert!(rig.config.contains(configured));
    rig.config = rig.config.replace(configured, &format!("panel = {{ file = {:?} }}", rig.path(file)));
}

#[test]
fn a_certificate_goes_into_every_sample_and_its_day_counts() {
    for (expires, warned) in [("2019-01-29", false), ("2019-01-28", true)] {
        let mut rig = rig();
        certify(&mut rig, "panel.txt", 400.0, expires);
        date(&rig, "vnir.hdr", 0);
        let told = warnings(&rig, "out");
        assert_eq!(told.iter().any(|warning| warning.contains("SRT-7 expired on 2019-01-28")), warned, "{told:?}");
        let calibration = calibration(&only(&rig.path("out"), "left.h5"));
        let uncertainty: Vec<f32> = calibration.dataset("panel_uncertainty").unwrap().read_raw().unwrap();
        assert!((uncertainty[0] - 0.005).abs() < 1e-6 && (uncertainty[6] - 0.015).abs() < 1e-6, "{uncertainty:?}");
        let text = |name: &str| calibration.dataset(name).unwrap().read_scalar::<hdf5::types::VarLenUnicode>().unwrap().to_string();
        assert_eq!(text("panel_certificate"), fs::read_to_string(rig.path("panel.txt")).unwrap());
        assert_eq!(text("panel_certificate_sha256").len(), 64);
        // It has expired by now.
        let config = rig.path("out.rig.toml").display().to_string();
        let checked = crate::rig::hyclus(&["--json", "check", "--elsewhere", &config].map(str::to_owned)).record();
        assert!(checked["warnings"][0].as_str().unwrap().contains("expired on 2019-01-2"), "{checked}");
    }
    let mut rig = rig();
    certify(&mut rig, "panel.txt", 400.0, "2199-01-01");
    assert_eq!(warnings(&rig, "out"), [""; 0]);
    let config = rig.path("out.rig.toml").display().to_string();
    let checked = crate::rig::hyclus(&["--json", "check", "--elsewhere", &config].map(str::to_owned)).record();
    assert_eq!(checked["warnings"], serde_json::json!([]));
}

#[test]
fn a_certificate_reaches_five_nanometres_beyond_its_ends_with_a_warning() {
    for (first, warned) in [(400.0, false), (402.0, true), (405.0, true)] {
        let mut rig = rig();
        certify(&mut rig, "panel.txt", first, "2199-01-01");
        let told = warnings(&rig, "out");
        assert_eq!(told.iter().any(|warning| warning.starts_with("vnir: it sees 400.0 to 1000.0 nm")), warned, "{first}: {told:?}");
        assert!(deviation(&only(&rig.path("out"), "left.h5")) < 1e-3);
    }
    let mut rig = rig();
    certify(&mut rig, "panel.txt", 405.5, "2199-01-01");
    let ended = rig.process("out");
    assert!(ended.code == Some(1) && ended.err.contains("known from 405.5 to 1000 nm, the camera sees 400 to 1000 nm"), "{}", ended.err);
}

#[test]
fn the_certificate_beside_a_recording_counts_and_no_other() {
    let mut rig = rig();
    certify(&mut rig, "panel.txt", 400.0, "2199-01-01");
    rig.process("out").record();
    let read = |rig: &Rig, out: &str| fs::read(only(&rig.path(out), "left.h5")).unwrap();
    fs::copy(rig.path("panel.txt"), capture(&rig, "PANEL_vnir.txt")).unwrap();
    // The file of the configuration is another by now, and then it is gone.
    fs::write(rig.path("panel.txt"), "300 0.5\n1100 0.5\n").unwrap();
    let ended = rig.process("again");
    ended.record();
    assert!(ended.err.contains("another certificate of the panel"), "{}", ended.err);
    assert!(read(&rig, "again") == read(&rig, "out"));
    fs::remove_file(rig.path("panel.txt")).unwrap();
    rig.process("gone").record();
    assert!(read(&rig, "gone") == read(&rig, "out"));
    // One reflectance in the configuration is meant.
    rig.config = rig.config.replace(&format!("panel = {{ file = {:?} }}", rig.path("panel.txt")), "panel = { reflectance = 0.475 }");
    rig.process("half").record();
    assert!((deviation(&only(&rig.path("half"), "left.h5")) - 0.5).abs() < 1e-3);
}
