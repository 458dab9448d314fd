//! What a detector does to the light: measured from recordings, written into the configuration, and corrected.

use crate::references::deviation;
use crate::rig::{Camera, DARK, Ended, FULL, LENGTH_MM, Rig, VIEW_MM, hyclus, only, reflectance};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PIXELS: usize = 40;
const BANDS: usize = 7;
/// Full scale of 12 bits, counts.
const SATURATION: f64 = 4095.0;
/// Dark level of an exposure of half the length, counts.
const DARK_HALF: f64 = 170.0;

fn rig() -> Rig {
    let mut rig = Rig::new(&[Camera::new("vnir", PIXELS, BANDS, (400.0, 1000.0), 0.0)], 0.0);
    // As the configuration of a rig is written by hand.
    rig.config = rig.config.replace("name = \"vnir\"\n", "name = \"vnir\" # the front one\n");
    rig
}

/// Writes a recording of `lines` lines into the capture `folder`, with these counts by line, band and pixel.
fn write(folder: &Path, name: &str, tint_ms: f64, lines: usize, counts: impl Fn(usize, usize, usize) -> f64) {
    fs::create_dir_all(folder).unwrap();
    let all = (0..lines).flat_map(|line| (0..BANDS).flat_map(move |band| (0..PIXELS).map(move |pixel| (line, band, pixel))));
    let bytes: Vec<u8> = all.flat_map(|(line, band, pixel)| (counts(line, band, pixel).round() as u16).to_le_bytes()).collect();
    fs::write(folder.join(format!("{name}.raw")), bytes).unwrap();
    let nm: Vec<String> = (0..BANDS).map(|band| (400 + 100 * band).to_string()).collect();
    let text = format!(
        "ENVI\nsamples = {PIXELS}\nlines = {lines}\nbands = {BANDS}\ninterleave = bil\ndata type = 12\nbyte order = 0\nfps = 20\n\
         tint = {tint_ms}\nwavelength units = nm\nwavelength = {{{}}}\n",
        nm.join(", ")
    );
    fs::write(folder.join(format!("{name}.hdr")), text).unwrap();
}

/// Puts a white reference of half the exposure beside the tray's recording, with its own dark one.
fn half(rig: &Rig) {
    let folder = rig.path("vnir/capture");
    write(&folder, "WHITEREF_vnir", 1.0, 5, |_, _, _| DARK_HALF + 0.5 * 0.95 * FULL);
    write(&folder, "WHITEDARKREF_vnir", 1.0, 5, |_, _, _| DARK_HALF);
}

fn with_linearity(rig: &mut Rig, linearity: &str) {
    rig.config = rig
        .config
        .replace("device = { kind = \"replay\"", &format!("correction = {{ linearity = {linearity} }}\ndevice = {{ kind = \"replay\""));
}

#[test]
fn a_white_reference_of_half_the_exposure_is_scaled() {
    let mut rig = rig();
    half(&rig);
    with_linearity(&mut rig, "[0.0]");
    let record = rig.process("out").record();
    assert_eq!(record["warnings"], serde_json::json!([]));
    let sample = only(&rig.path("out"), "left.h5");
    let found = deviation(&sample);
    assert!(found < 1e-3, "{:.3} % off", 100.0 * found);
    let calibration = hdf5::File::open(&sample).unwrap().group("entry/calibration/vnir").unwrap();
    for (name, exposure_us) in [("dark", 2000.0), ("white", 1000.0), ("white_dark", 1000.0)] {
        let stated: f64 = calibration.dataset(name).unwrap().attr("exposure_us").unwrap().read_scalar().unwrap();
        assert_eq!(stated, exposure_us, "{name}");
    }
    assert!(calibration.dataset("bad_pixel").unwrap().read_raw::<u8>().unwrap().iter().all(|bad| *bad == 0));
}

#[test]
fn references_of_other_exposures_are_refused_with_what_to_do() {
    let refused = |linearity: bool, change: &dyn Fn(&Path), words: &[&str]| {
        let mut rig = rig();
        half(&rig);
        if linearity {
            with_linearity(&mut rig, "[0.0]");
        }
        change(&rig.path("vnir/capture"));
        let ended = rig.process("out");
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        words.iter().for_each(|word| assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err));
    };
    let nothing = |_: &Path| {};
    refused(false, &nothing, &["taken at 1000 µs, the scan is at 2000 µs", "hyclus calibrate linearity"]);
    let without_dark = |folder: &Path| {
        ["raw", "hdr"].iter().for_each(|ending| fs::remove_file(folder.join(format!("WHITEDARKREF_vnir.{ending}"))).unwrap())
    };
    refused(true, &without_dark, &["WHITEDARKREF_NAME"]);
    let plain_dark = |folder: &Path| write(folder, "WHITEDARKREF_vnir", 2.0, 5, |_, _, _| DARK);
    refused(true, &plain_dark, &["WHITEDARKREF_vnir.hdr", "tint (ms) is 2, that of the white reference 1"]);
    let half_dark = |folder: &Path| write(folder, "DARKREF_vnir", 1.0, 5, |_, _, _| DARK_HALF);
    refused(
        true,
        &half_dark,
        &["DARKREF_vnir.hdr", "tint (ms) is 1, that of the tray's recording 2", "take it again with the settings of the scan"],
    );
}

/// Without an exposure in the header of the white reference nobody can know. The values are implausible, and that is told.
#[test]
fn a_white_reference_of_an_unstated_exposure_is_doubted_by_its_values() {
    let rig = rig();
    half(&rig);
    for name in ["WHITEREF_vnir.hdr", "WHITEDARKREF_vnir.hdr"] {
        let path = rig.path("vnir/capture").join(name);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("tint = 1\n", "")).unwrap();
    }
    // A scene twice as bright as it is goes beyond 1.2.
    let camera = &rig.cameras[0];
    let bright = |x: f64, y: f64, nm: f64| 2.0 * reflectance(x, y, nm);
    let folder = tempfile::tempdir().unwrap();
    camera.record_scene(folder.path(), 0.0, LENGTH_MM, &bright);
    fs::copy(folder.path().join("capture/vnir.raw"), rig.path("vnir/capture/vnir.raw")).unwrap();
    let record = rig.process("out").record();
    let warnings: Vec<&str> = record["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(warnings.iter().any(|warning| warning.contains("another exposure")), "{warnings:?}");
}

/// What a detector with a bend reads for a true signal, counts above dark.
fn bent(signal: f64) -> f64 {
    signal + 0.04 * signal * (1.0 - signal / (SATURATION - DARK))
}

fn calibrate(kind: &str, rig: &Rig, captures: &[String], more: &[&str]) -> Ended {
    let config = rig.path("cal.toml");
    fs::write(&config, &rig.config).unwrap();
    let mut arguments: Vec<String> = ["--json", "calibrate", kind, "--config"].map(str::to_owned).to_vec();
    arguments.push(config.display().to_string());
    captures.iter().for_each(|path| arguments.extend(["--capture".to_owned(), format!("vnir={path}")]));
    arguments.extend(more.iter().map(|part| (*part).to_owned()));
    hyclus(&arguments)
}

/// Captures whose white references are at shares of the exposure of a scan. The line is brighter in its middle, as of real lamps.
fn series(rig: &Rig, shares: &[f64]) -> Vec<String> {
    let lamp = |band: usize, pixel: usize| (0.4 + 0.6 * band as f64 / 6.0) * (1.0 - 0.3 * ((pixel as f64 - 19.5) / 19.5).powi(2));
    let each = shares.iter().enumerate().map(|(i, share)| {
        let folder = rig.path(&format!("series{i}/capture"));
        // Rounding of the mean over frames vanishes by a dither of whole counts.
        let dither = |line: usize, pixel: usize| ((line * 7 + pixel) % 10) as f64 / 10.0 - 0.45;
        write(&folder, "vnir", 2.0 * share, 2, |_, _, _| DARK);
        write(&folder, "DARKREF_vnir", 2.0 * share, 10, |line, _, pixel| DARK + dither(line, pixel));
        write(&folder, "WHITEREF_vnir", 2.0 * share, 10, |line, band, pixel| {
            DARK + bent(3400.0 * share * lamp(band, pixel)) + dither(line, pixel)
        });
        folder.display().to_string()
    });
    each.collect()
}

#[test]
fn linearity_is_measured_from_recordings_and_written() {
    let mut rig = rig();
    let captures = series(&rig, &[0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0]);
    let found = calibrate("linearity", &rig, &captures, &["--write"]).record();
    assert!(found["residual_before"].as_f64().unwrap() > 1e-3 && found["residual"].as_f64().unwrap() < 1e-4, "{found}");
    assert_eq!((&found["exposures"], &found["drift"], &found["written"]), (&7.into(), &Value::Null, &true.into()), "{found}");
    let written = fs::read_to_string(rig.path("cal.toml")).unwrap();
    assert!(written.contains("# the front one") && written.contains("correction = { linearity = ["), "{written}");
    // A recording of the bent detector is right with it, and not without.
    let folder = rig.path("vnir/capture");
    let nm = |band: usize| 400.0 + 100.0 * band as f64;
    let at = |line: usize, band: usize, pixel: usize| reflectance((pixel as f64 + 0.5) * VIEW_MM / PIXELS as f64, line as f64, nm(band));
    write(&folder, "vnir", 2.0, LENGTH_MM, |line, band, pixel| DARK + bent(FULL * at(line, band, pixel)));
    write(&folder, "WHITEREF_vnir", 2.0, 5, |_, _, _| DARK + bent(FULL * 0.95));
    rig.process("before").record();
    rig.config = written;
    rig.process("after").record();
    let [before, after] = ["before", "after"].map(|out| deviation(&only(&rig.path(out), "left.h5")));
    eprintln!("{before} {after}");
    assert!(before > 0.01 && after < 0.001, "{before} {after}");
}

#[test]
fn recordings_that_give_no_linearity_are_refused() {
    let refused = |ended: Ended, words: &[&str]| {
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        words.iter().for_each(|word| assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err));
    };
    let rig = rig();
    let captures = series(&rig, &[0.25, 0.5, 1.0]);
    refused(calibrate("linearity", &rig, &captures, &[]), &["vnir has white references at 3 exposures, at least 4 are needed"]);
    let mut captures = series(&rig, &[0.25, 0.5, 0.75, 1.0]);
    calibrate("linearity", &rig, &captures, &[]).record();
    // A repeated exposure tells that the light changed.
    let darker = rig.path("series9/capture");
    write(&darker, "vnir", 2.0, 2, |_, _, _| DARK);
    write(&darker, "DARKREF_vnir", 2.0, 10, |_, _, _| DARK);
    let bytes = fs::read(Path::new(&captures[3]).join("WHITEREF_vnir.raw")).unwrap();
    let counts: Vec<f64> = bytes.chunks_exact(2).map(|two| f64::from(u16::from_le_bytes([two[0], two[1]]))).collect();
    for (share, good) in [(0.985, true), (0.97, false)] {
        let dimmed = |line, band, pixel| DARK + share * (counts[(line * BANDS + band) * PIXELS + pixel] - DARK);
        write(&darker, "WHITEREF_vnir", 2.0, 10, dimmed);
        captures.truncate(4);
        captures.push(darker.display().to_string());
        let ended = calibrate("linearity", &rig, &captures, &[]);
        if good {
            assert!((ended.record()["drift"].as_f64().unwrap() - 0.015).abs() < 0.001, "{}", ended.out);
        } else {
            refused(ended, &["vnir: the panel's light at 2000 µs changed by 3.0", "at most 2 %"]);
        }
    }
    captures.pop();
    let path = Path::new(&captures[1]).join("vnir.hdr");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("fps", "binning = {2, 1}\nfps")).unwrap();
    refused(calibrate("linearity", &rig, &captures, &[]), &["other pixels, bands or binning than the first recording of vnir"]);
    half(&rig);
    let without = rig.path("vnir/capture");
    ["raw", "hdr"].iter().for_each(|ending| fs::remove_file(without.join(format!("WHITEDARKREF_vnir.{ending}"))).unwrap());
    refused(
        calibrate("linearity", &rig, &[without.display().to_string()], &[]),
        &["the white reference was taken at 1000 µs", "WHITEDARKREF_NAME"],
    );
    for name in ["WHITEREF_vnir.hdr", "vnir.hdr"] {
        let path = without.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("tint")).collect();
        fs::write(&path, kept.join("\n")).unwrap();
    }
    refused(calibrate("linearity", &rig, &[without.display().to_string()], &[]), &["nothing tells the exposure", "tint"]);
    assert_eq!(calibrate("linearity", &rig, &[], &[]).code, Some(2), "neither recordings nor the rig");
}

#[test]
fn stray_light_is_measured_written_and_corrected() {
    let mut rig = rig();
    let share = 0.005;
    let folder = rig.path("vnir/capture");
    // A lamp that is weak at short wavelengths. The strip between 17 and 23 mm is black, containers lie beside it.
    let lamp = |band: usize| FULL * (0.08 + 0.92 * band as f64 / 6.0);
    let nm = |band: usize| 400.0 + 100.0 * band as f64;
    let x_mm = |pixel: usize| (pixel as f64 + 0.5) * VIEW_MM / PIXELS as f64;
    let scene = |line: usize, band: usize, pixel: usize| {
        let black = (17.0..23.0).contains(&x_mm(pixel));
        lamp(band) * if black { 0.01 } else { 2.0 * reflectance(x_mm(pixel), line as f64, nm(band)) }
    };
    let all = |value: &dyn Fn(usize, usize) -> f64| {
        (0..BANDS).flat_map(|band| (0..PIXELS).map(move |pixel| (band, pixel))).map(|(band, pixel)| value(band, pixel)).sum::<f64>()
            / (BANDS * PIXELS) as f64
    };
    let means: Vec<f64> = (0..LENGTH_MM).map(|line| all(&|band, pixel| scene(line, band, pixel))).collect();
    let dither = |line: usize, pixel: usize| ((line * 7 + pixel) % 10) as f64 / 10.0 - 0.45;
    let seen = |signal: f64, mean: f64| DARK + (1.0 - share) * signal + share * mean;
    write(&folder, "vnir", 2.0, LENGTH_MM, |line, band, pixel| seen(scene(line, band, pixel), means[line]) + dither(line, pixel));
    let white = all(&|band, _| 0.95 * lamp(band));
    write(&folder, "WHITEREF_vnir", 2.0, 10, |line, band, pixel| seen(0.95 * lamp(band), white) + dither(line, pixel));
    write(&folder, "DARKREF_vnir", 2.0, 10, |line, _, pixel| DARK + dither(line, pixel));
    let captures = [folder.display().to_string()];
    let found = calibrate("stray", &rig, &captures, &["--from", "18", "--to", "22", "--write"]).record();
    eprintln!("{found}");
    let measured = found["stray_light"].as_f64().unwrap();
    assert!((measured - share).abs() < 0.0002 && found["uncertainty"].as_f64().unwrap() < 0.0002, "{found}");
    rig.config = fs::read_to_string(rig.path("cal.toml")).unwrap();
    assert!(rig.config.contains("# the front one") && rig.config.contains("stray_light = 0.00"), "{}", rig.config);
    let ended = calibrate("stray", &rig, &captures, &["--from", "5", "--to", "12"]);
    assert!(ended.code == Some(1) && ended.err.contains("the strip has a reflectance of"), "{}", ended.err);
    let ended = calibrate("stray", &rig, &captures, &["--from", "18", "--to", "22", "--begin", "17", "--end", "33"]);
    assert!(ended.code == Some(1) && ended.err.contains("lines with the strip"), "{}", ended.err);
}
