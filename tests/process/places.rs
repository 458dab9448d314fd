//! Wrong positions, frame numbers and times in `lines.csv`: what is wrong is left out with its reason, and neither disk nor time is lost.

use crate::rig::{Ended, LENGTH_MM, RATE, Rig, SPEED, files, only};
use hyclus::store::read_sample;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;

/// Most bytes that the results of these small scans take.
const MOST_BYTES: u64 = 20 << 20;

/// One row of `lines.csv`: frame, time and position, in words.
struct Line {
    frame: u64,
    time_ns: String,
    position_mm: String,
}

/// Writes a table of lines beside every recording. `change` gets the camera's name and the number of the line.
fn tables(rig: &Rig, change: &dyn Fn(&str, usize, &mut Line)) {
    for camera in &rig.cameras {
        let mut text = "line,frame,time_ns,position_mm,status\n".to_owned();
        for line in 0..LENGTH_MM + camera.offset_mm as usize {
            let time_ns = 1_700_000_000_000_000_000 + (line as f64 / RATE * 1e9) as i64;
            let position_mm = line as f64 * SPEED / RATE;
            let mut row = Line { frame: line as u64, time_ns: time_ns.to_string(), position_mm: format!("{position_mm:?}") };
            change(camera.name, line, &mut row);
            writeln!(text, "{line},{},{},{},ok", row.frame, row.time_ns, row.position_mm).unwrap();
        }
        fs::write(rig.path(camera.name).join("capture").join(format!("{}.lines.csv", camera.name)), text).unwrap();
    }
}

fn footprints(rig: &mut Rig) {
    rig.config.push_str("[segment]\nmethod = \"footprint\"\n");
    rig.tray = "tray = \"T1\"\n[grid]\nrows = 1\ncolumns = 2\n[[container]]\nat = \"A1\"\nsample = \"left\"\nx_mm = 4.0\ny_mm = 15.0\nwidth_mm = 13.0\nlength_mm = 20.0\n\
        [[container]]\nat = \"A2\"\nsample = \"right\"\nx_mm = 23.0\ny_mm = 15.0\nwidth_mm = 13.0\nlength_mm = 20.0\n"
        .into();
}

fn process(rig: &Rig, change: &dyn Fn(&str, usize, &mut Line)) -> Ended {
    tables(rig, change);
    let _ = fs::remove_dir_all(rig.path("out"));
    let ended = rig.process("out");
    let bytes: u64 = files(&rig.path("out")).values().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
    ended
}

/// Flags and times of a sample's rows.
fn left(rig: &Rig) -> (Vec<Vec<u8>>, Vec<i64>) {
    let sample = read_sample(&only(&rig.path("out"), "left.h5")).unwrap();
    (sample.quality.outer_iter().map(|row| row.to_vec()).collect(), sample.time_ns)
}

fn warned(record: &Value, of: &str) -> bool {
    record["warnings"].as_array().unwrap().iter().any(|warning| warning.as_str().unwrap().contains(of))
}

#[test]
fn one_wrong_position_is_a_gap_of_its_line_and_nothing_else_is_lost() {
    for by_footprint in [false, true] {
        let mut rig = Rig::pair(0.0);
        if by_footprint {
            footprints(&mut rig);
        }
        let good = process(&rig, &|_, _, _| ()).record();
        assert!(!warned(&good, "no belt"), "{good}");
        let pixels = good["samples"][0]["pixels"].as_u64().unwrap();
        for wrong in ["100025.0", "1e9", "1e300", "-1e300", "-1000.0"] {
            let record = process(&rig, &|camera, line, row| {
                if (camera, line) == ("vnir", 25) {
                    row.position_mm = wrong.into();
                }
            })
            .record();
            let what = format!("{wrong}, footprints {by_footprint}: {record}");
            assert_eq!((&record["complete"], record["samples"].as_array().unwrap().len()), (&Value::Bool(true), 2), "{what}");
            assert!(record["samples"][0]["pixels"].as_u64().unwrap().abs_diff(pixels) <= 4, "{what}");
            assert_eq!((&record["cameras"]["vnir"]["unusable"], &record["cameras"]["swir"]["unusable"]), (&1.into(), &0.into()), "{what}");
            assert!(warned(&record, "vnir: 1 of its lines lie where no belt could have carried them, the first is frame 25"), "{what}");
            let (quality, _) = left(&rig);
            let gaps = quality.iter().filter(|row| row.iter().any(|flags| flags & hyclus::scan::Quality::GAP != 0)).count();
            assert_eq!(gaps, 1, "{what}");
        }
    }
}

#[test]
fn a_jump_that_lasts_ends_the_scan_with_its_reason() {
    for by_footprint in [false, true] {
        for (by_mm, cameras) in [(1e5, 1), (1e300, 1), (1e5, 2), (-1e5, 2)] {
            let mut rig = Rig::pair(0.0);
            if by_footprint {
                footprints(&mut rig);
            }
            let record = process(&rig, &|camera, line, row| {
                if line >= 40 && (cameras == 2 || camera == "vnir") {
                    row.position_mm = format!("{:?}", line as f64 + by_mm);
                }
            })
            .incomplete();
            assert_eq!(record["complete"], false, "{record}");
            assert!(record["reason"].as_str().unwrap().contains("position jumps from 39.0 mm"), "{record}");
            assert_eq!(record["cameras"]["vnir"]["received"], 40, "{record}");
        }
    }
}

#[test]
fn times_at_the_ends_of_their_range_overflow_nothing_and_rows_of_a_gap_have_times_in_order() {
    for (first, last) in [(i64::MIN, i64::MAX), (i64::MAX - 5000, i64::MAX), (i64::MIN, i64::MIN + 5000), (-30, 30)] {
        for pixel_mm in ["1.0", "0.4", "2.0"] {
            let mut rig = Rig::pair(0.0);
            rig.config = rig.config.replace("pixel_mm = 1.0", &format!("pixel_mm = {pixel_mm}"));
            let record = process(&rig, &|_, line, row| {
                // Ten lines are missing in the middle of the containers.
                row.frame = if line < 20 { line as u64 } else { line as u64 + 10 };
                row.position_mm = format!("{:?}", row.frame as f64);
                let share = line as f64 / (LENGTH_MM + 11) as f64;
                let way = i128::from(last) - i128::from(first);
                row.time_ns = (i128::from(first) + (way as f64 * share) as i128).clamp(first.into(), last.into()).to_string();
            })
            .record();
            assert_eq!(record["cameras"]["vnir"]["lost"], 10, "{record}");
            let (quality, times) = left(&rig);
            assert!(quality.iter().any(|row| row.iter().all(|flags| flags & hyclus::scan::Quality::GAP != 0)));
            assert!(times.is_sorted(), "{first} to {last}, {pixel_mm} mm: {times:?}");
        }
    }
    let rig = Rig::pair(0.0);
    for time_ns in [i64::MIN, i64::MAX, 1 << 62] {
        let record = process(&rig, &|_, line, row| {
            if line == 30 {
                row.time_ns = time_ns.to_string();
            }
        });
        assert_eq!(record.record()["samples"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn numbers_and_positions_that_fit_no_belt_end_with_a_reason() {
    let rig = Rig::pair(0.0);
    // The last frame number is the largest there is.
    let record = process(&rig, &|_, line, row| {
        if line == 59 {
            row.frame = u64::MAX - 100;
        }
        row.frame += if line > 59 { u64::MAX - 100 - 59 } else { 0 };
        row.position_mm = String::new();
    })
    .incomplete();
    assert!(record["complete"] == false && record["reason"].as_str().unwrap().contains("position jumps"), "{record}");
    // A camera that saw another part of the belt.
    let ended = process(&rig, &|camera, line, row| {
        if camera == "swir" {
            row.position_mm = format!("{:?}", 1e6 + line as f64);
        }
    });
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("swir begins at") && ended.err.contains("camera.offset_mm"), "{}", ended.err);
    assert!(files(&rig.path("out")).is_empty());
    for wrong in ["NaN", "inf", "-inf", "1e999"] {
        let ended = process(&rig, &|camera, line, row| {
            if (camera, line) == ("vnir", 25) {
                row.position_mm = wrong.into();
            }
        });
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.err.contains("vnir.lines.csv:27") && ended.err.contains("is not a number"), "{}", ended.err);
        assert!(files(&rig.path("out")).is_empty());
    }
}

#[test]
fn results_that_the_disk_has_no_room_for_are_refused_before_anything_is_written() {
    let mut rig = Rig::pair(0.0);
    rig.config.push_str("[disk]\nreserve_mib = 1073741824\n");
    let ended = process(&rig, &|_, _, _| ());
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("MiB free") && ended.err.contains("disk.reserve_mib"), "{}", ended.err);
    assert!(files(&rig.path("out")).is_empty());
}
