//! Recordings of other recorders, and recordings that are worth nothing.

use crate::rig::{Camera, Ended, Rig, files, only};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A rig with one camera.
fn one() -> Rig {
    Rig::new(&[Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0)], 0.0)
}

fn capture(rig: &Rig, file: &str) -> PathBuf {
    rig.path("vnir").join("capture").join(file)
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "`{from}` is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The counts of an image in the order of its file.
fn counts(path: &Path) -> Vec<u16> {
    fs::read(path).unwrap().chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

/// The samples of a data root: names and contents.
fn samples(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let is_sample = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "h5");
    files(out).into_values().filter(is_sample).map(|path| (path.file_name().unwrap().into(), fs::read(path).unwrap())).collect()
}

/// Fails unless the rig's recordings give the same samples as those of `wanted`.
fn same(rig: &Rig, wanted: &[(PathBuf, Vec<u8>)], what: &str) {
    let out = what.replace(' ', "-");
    let record = rig.process(&out).record();
    assert_eq!(record["complete"], true, "{what}: {record}");
    assert!(samples(&rig.path(&out)) == wanted, "{what}: other samples");
}

/// Fails unless the program ended with 1 and gave these reasons.
fn failed(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    words.iter().for_each(|word| assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err));
}

#[test]
fn references_of_any_number_type_interleave_and_byte_order_are_read() {
    let rig = one();
    rig.process("out").record();
    let wanted = samples(&rig.path("out"));
    assert_eq!(wanted.len(), 2);
    let (header, data) = (capture(&rig, "WHITEREF_vnir.hdr"), capture(&rig, "WHITEREF_vnir.raw"));
    let (text, white) = (fs::read_to_string(&header).unwrap(), counts(&data));
    let (lines, bands, pixels) = (5, 7, 40);
    type Write = fn(u16) -> Vec<u8>;
    let kinds: [(&str, u32, u32, Write); 6] = [
        ("bil", 4, 0, |n| f32::from(n).to_le_bytes().to_vec()),
        ("bsq", 4, 1, |n| f32::from(n).to_be_bytes().to_vec()),
        ("bip", 5, 1, |n| f64::from(n).to_be_bytes().to_vec()),
        ("bsq", 3, 0, |n| i32::from(n).to_le_bytes().to_vec()),
        ("bip", 2, 1, |n| i16::try_from(n).unwrap().to_be_bytes().to_vec()),
        ("bip", 12, 1, |n| n.to_be_bytes().to_vec()),
    ];
    for (interleave, kind, order, write) in kinds {
        let at = |line: usize, band: usize, pixel: usize| white[(line * bands + band) * pixels + pixel];
        let mut bytes = Vec::new();
        let (outer, inner) = match interleave {
            "bil" => (lines, (bands, pixels)),
            "bip" => (lines, (pixels, bands)),
            _ => (bands, (lines, pixels)),
        };
        for a in 0..outer {
            for b in 0..inner.0 {
                for c in 0..inner.1 {
                    bytes.extend(write(match interleave {
                        "bil" => at(a, b, c),
                        "bip" => at(a, c, b),
                        _ => at(b, a, c),
                    }));
                }
            }
        }
        fs::write(&data, bytes).unwrap();
        let to = format!("interleave = {interleave}\ndata type = {kind}\nbyte order = {order}");
        fs::write(&header, text.replacen("interleave = bil\ndata type = 12\nbyte order = 0", &to, 1)).unwrap();
        same(&rig, &wanted, &format!("{interleave} {kind} {order}"));
    }
}

#[test]
fn one_averaged_line_of_floats_is_a_white_reference_and_bytes_are_a_dark_one() {
    let rig = one();
    let (header, data) = (capture(&rig, "WHITEREF_vnir.hdr"), capture(&rig, "WHITEREF_vnir.raw"));
    let line: Vec<u8> = counts(&data)[..280].iter().flat_map(|n| (f32::from(*n) + 0.25).to_le_bytes()).collect();
    fs::write(&data, line).unwrap();
    edit(&header, "lines = 5", "lines = 1");
    edit(&header, "data type = 12", "data type = 4");
    let (header, data) = (capture(&rig, "DARKREF_vnir.hdr"), capture(&rig, "DARKREF_vnir.raw"));
    fs::write(&data, counts(&data).iter().map(|n| u8::try_from(*n).unwrap()).collect::<Vec<u8>>()).unwrap();
    edit(&header, "data type = 12", "data type = 1");
    let record = rig.process("out").record();
    assert_eq!((&record["complete"], record["samples"].as_array().unwrap().len()), (&json!(true), 2), "{record}");
}

#[test]
fn gains_and_offsets_of_image_and_references_meet_in_the_same_reflectance() {
    let rig = one();
    rig.process("out").record();
    let wanted = samples(&rig.path("out"));
    let list = |value: f64| vec![value.to_string(); 7].join(", ");
    let linear = |gain: f64, offset: f64| format!("data gain values = {{{}}}\ndata offset values = {{{}}}\nfps", list(gain), list(offset));
    // The references hold the quantity itself, the image counts of it.
    edit(&capture(&rig, "vnir.hdr"), "fps", &linear(2.0, 3.0));
    for reference in ["DARKREF_vnir", "WHITEREF_vnir"] {
        let data = capture(&rig, &format!("{reference}.raw"));
        fs::write(&data, counts(&data).iter().flat_map(|n| (2.0 * f32::from(*n) + 3.0).to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        edit(&capture(&rig, &format!("{reference}.hdr")), "data type = 12", "data type = 4");
    }
    same(&rig, &wanted, "quantities");
    // The same gains everywhere cancel. So do others that say the same.
    for reference in ["DARKREF_vnir", "WHITEREF_vnir"] {
        edit(&capture(&rig, &format!("{reference}.hdr")), "fps", &linear(1.0, 0.0));
    }
    same(&rig, &wanted, "neutral gains");
}

#[test]
fn a_scan_has_the_date_of_its_recording() {
    let id = |keys: &str| {
        let rig = one();
        edit(&capture(&rig, "vnir.hdr"), "fps", &format!("{keys}\nfps"));
        rig.process("out").record()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id("acquisition date = DATE(yyyy-mm-dd): 2019-01-29\nstart time = UTC TIME: 14:45:52"), "20190129T144552Z-T1");
    assert_eq!(id("acquisition time = 2018-07-03T16:15:02+02:00"), "20180703T141502Z-T1");
    // The lines of an undated recording have this time too.
    assert_eq!(id("operator = nobody"), "20000101T000000Z-T1");
}

#[test]
fn a_dated_recording_of_reflectance_has_its_date_and_an_undated_one_that_of_its_lines() {
    for (keys, wanted) in [("timestamp = 2018-07-03 14:15:02", "20180703T141502Z-T1"), ("operator = nobody", "20000101T000000Z-T1")] {
        let rig = one();
        edit(&capture(&rig, "vnir.hdr"), "fps", &format!("reflectance scale factor = 3000\n{keys}\nfps"));
        assert_eq!(rig.process("out").record()["id"], wanted);
    }
}

/// Moves the dark frames of a rig's reference to the end of its image.
fn dark_behind(rig: &Rig) -> usize {
    let (image, dark) = (capture(rig, "vnir.raw"), capture(rig, "DARKREF_vnir.raw"));
    let lines = counts(&image).len() / 280;
    let header = capture(rig, "vnir.hdr");
    edit(&header, &format!("lines = {lines}"), &format!("lines = {}\nautodarkstartline = {lines}", lines + 5));
    fs::write(&image, [fs::read(&image).unwrap(), fs::read(&dark).unwrap()].concat()).unwrap();
    lines
}

#[test]
fn dark_lines_at_the_end_of_a_capture_are_its_dark_reference_and_no_lines_of_the_tray() {
    let rig = one();
    let lines = dark_behind(&rig);
    for with_reference in [true, false] {
        if !with_reference {
            fs::remove_file(capture(&rig, "DARKREF_vnir.raw")).unwrap();
            fs::remove_file(capture(&rig, "DARKREF_vnir.hdr")).unwrap();
        }
        let record = rig.process(&format!("out-{with_reference}")).record();
        assert_eq!(record["cameras"]["vnir"]["received"], lines, "{record}");
        let of = |key: &str| record["samples"].as_array().unwrap().iter().map(|s| s[key].as_u64().unwrap()).sum::<u64>();
        assert!(of("valid") > 0 && of("valid") == of("pixels"), "{record}");
    }
}

#[test]
fn a_capture_without_a_line_is_a_failure() {
    let rig = one();
    fs::write(capture(&rig, "vnir.raw"), []).unwrap();
    let header = capture(&rig, "vnir.hdr");
    edit(&header, "lines = 60", "lines = 0");
    failed(&rig.process("out"), &["holds no line of the tray for vnir", "record the tray again"]);
    // A table that was cut off before its first row leaves nothing that can be used.
    for table in ["", "line,frame,ti", "line,frame,time_ns,position_mm,status\n0,0,"] {
        let rig = one();
        fs::write(capture(&rig, "vnir.lines.csv"), table).unwrap();
        failed(&rig.process("out"), &["holds no line of the tray for vnir"]);
        assert!(capture(&rig, "vnir.raw").is_file());
    }
    let rig = one();
    fs::write(capture(&rig, "vnir.lines.csv"), "line,frame,time_ns,position_mm,status\n").unwrap();
    failed(&rig.process("out"), &["0 rows", "60 lines of the image"]);
}

/// A table of lines that all have this status.
fn table(lines: usize, status: &str) -> String {
    let row = |line: usize| format!("{line},{line},{},{line},{status}\n", 1_530_000_000_000_000_000 + 50_000_000 * line);
    format!("line,frame,time_ns,position_mm,status\n{}", (0..lines).map(row).collect::<String>())
}

#[test]
fn an_outcome_without_a_valid_pixel_is_a_failure_with_its_reason_and_is_kept() {
    let unusable = one();
    fs::write(capture(&unusable, "vnir.lines.csv"), table(60, "incomplete")).unwrap();
    let empty = one();
    empty.cameras[0].record_scene(&empty.path("vnir"), 0.0, 60, &|_, _, _| 0.02);
    let half = Rig::pair(0.0);
    fs::write(half.path("swir/capture/swir.raw"), []).unwrap();
    edit(&half.path("swir/capture/swir.hdr"), "lines = 72", "lines = 0");
    for (rig, words) in
        [(half, "swir gave no line"), (unusable, "none of the 60 lines of vnir is usable"), (empty, "nothing was found on the tray")]
    {
        let ended = rig.process("out");
        failed(&ended, &["is incomplete", "no valid pixel", words]);
        let record: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(record["complete"], false, "{record}");
        assert!(record["reason"].as_str().unwrap().contains(words), "{record}");
        let kept: Value = serde_json::from_str(&fs::read_to_string(only(&rig.path("out"), "scan.json")).unwrap()).unwrap();
        assert_eq!((&kept["complete"], &kept["reason"]), (&record["complete"], &record["reason"]));
    }
}

/// Runs `hyclus` and fails where it does not end by itself.
fn ends(arguments: &[String]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hyclus"))
        .args(arguments)
        .env_remove("HYCLUS_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it did not end: {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    Ended { code, out: String::new(), err }
}

fn fifo(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn endless(path: &Path) {
    let _ = fs::remove_file(path);
    std::os::unix::fs::symlink("/dev/zero", path).unwrap();
}

#[test]
fn no_input_is_waited_for_or_read_without_end() {
    for (replace, what) in [(fifo as fn(&Path), "a FIFO"), (endless, "a device")] {
        for file in ["vnir.hdr", "vnir.raw", "vnir.lines.csv", "WHITEREF_vnir.hdr", "WHITEREF_vnir.raw"] {
            let rig = one();
            replace(&capture(&rig, file));
            failed(&ends(&rig.arguments("out")), &[file, what]);
        }
        let rig = one();
        let arguments = rig.arguments("out");
        for place in [3, 5] {
            let path = Path::new(&arguments[place]);
            let text = fs::read(path).unwrap();
            replace(path);
            failed(&ends(&arguments), &[&arguments[place], what]);
            fs::remove_file(path).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut rig = one();
        let panel = rig.path("panel.txt");
        replace(&panel);
        rig.config = rig.config.replacen("panel = { reflectance = 0.95 }", &format!("panel = {{ file = {panel:?} }}"), 1);
        failed(&ends(&rig.arguments("out")), &["panel.txt", what]);
        for ending in ["h5", "parquet", "json", "onnx", "hdr", "raw"] {
            let path = rig.path(&format!("odd.{ending}"));
            replace(&path);
            failed(&ends(&["inspect".into(), path.display().to_string()]), &[what]);
        }
    }
}
