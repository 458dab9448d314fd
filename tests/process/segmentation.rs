//! Trays that do not lie as they should, or do not hold what they should: the scan completes, no sample gets another's name, and what
//! is in doubt is said in `scan.json` and shown in `quicklook.png`.

use crate::rig::{Camera, Rig, files, only};
use hyclus::store::read_sample;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Extent of a container, and distances of columns and rows, mm.
const SIZE: (f64, f64) = (13.0, 18.0);
const PITCH: (f64, f64) = (20.0, 25.0);
/// Where row A begins, and the length of the scan, mm.
const FIRST_MM: f64 = 12.0;
const SCAN_MM: usize = 110;

/// First and last edge across and along, mm on the tray, and the reflectance.
type Thing = ((f64, f64), (f64, f64), f64);

/// A tray of three rows and two columns, as it was laid and filled.
#[derive(Clone)]
struct Resampled {
    shift: (f64, f64),
    tilt_deg: f64,
    /// What lies on it; each place has a reflectance of its own.
    things: Vec<Thing>,
}

impl Resampled {
    fn full() -> Self {
        let place = |i: usize| {
            let (x, y) = (3.5 + (i % 2) as f64 * PITCH.0, FIRST_MM + (i / 2) as f64 * PITCH.1);
            ((x, x + SIZE.0), (y, y + SIZE.1), 0.3 + 0.1 * i as f64)
        };
        Self { shift: (0.0, 0.0), tilt_deg: 0.0, things: (0..6).map(place).collect() }
    }

    fn reflectance(&self, x: f64, y: f64) -> f64 {
        let (cx, cy) = (20.0, FIRST_MM + 1.5 * PITCH.1);
        let (sin, cos) = self.tilt_deg.to_radians().sin_cos();
        let (dx, dy) = (x - self.shift.0 - cx, y - self.shift.1 - cy);
        let (x, y) = (cx + dx * cos + dy * sin, cy - dx * sin + dy * cos);
        self.things.iter().find(|(a, b, _)| (a.0..a.1).contains(&x) && (b.0..b.1).contains(&y)).map_or(0.02, |thing| thing.2)
    }

    /// Records and processes it; gives the record, and how bright each sample is.
    fn process(&self, segment: &str) -> (Rig, Value) {
        let mut rig = Rig::new(&[], 0.0);
        let camera = Camera::new("vnir", 40, 4, (450.0, 750.0), 0.0);
        let folder = rig.path("vnir");
        camera.record_scene(&folder, 0.0, SCAN_MM, &|x, y, _| self.reflectance(x, y));
        rig.config.push_str(&camera.section(&folder));
        write!(
            rig.config,
            "[segment]\nmin_area_mm2 = 20.0\nlookahead_mm = 6.0\nmargin_mm = 2.0\nclose_mm = 2.0\nbridge_mm = 1.0\n{segment}\n"
        )
        .unwrap();
        rig.cameras = vec![camera];
        rig.tray = "tray = \"T1\"\n[grid]\nrows = 3\ncolumns = 2\n".into();
        for (i, at) in ["A1", "A2", "B1", "B2", "C1", "C2"].iter().enumerate() {
            write!(rig.tray, "[[container]]\nat = \"{at}\"\nsample = \"s{i}\"\n").unwrap();
        }
        let record = rig.process("out").record();
        assert_eq!(record["complete"], true, "{record}");
        (rig, record)
    }
}

/// Names of the samples of a record, and of those in doubt.
fn names(record: &Value) -> (Vec<String>, Vec<String>) {
    let samples = record["samples"].as_array().unwrap();
    let mut all: Vec<String> = samples.iter().map(|s| s["container"].as_str().unwrap().to_owned()).collect();
    let mut doubtful: Vec<String> =
        samples.iter().filter(|s| s["doubts"] != serde_json::json!([])).map(|s| s["container"].as_str().unwrap().to_owned()).collect();
    all.sort();
    doubtful.sort();
    (all, doubtful)
}

/// Each place has a reflectance of its own: every file must hold that of its name.
fn every_file_holds_what_its_name_says(rig: &Rig) {
    let samples: Vec<_> = files(&rig.path("out")).into_values().filter(|path| path.extension().is_some_and(|e| e == "h5")).collect();
    assert!(!samples.is_empty());
    for path in samples {
        let number: f32 = path.file_stem().unwrap().to_str().unwrap().trim_start_matches('s').parse().unwrap();
        let data = read_sample(&path).unwrap();
        let bands = data.wavelengths_nm.len();
        let spectra = data.reflectance.as_slice().unwrap().chunks_exact(bands);
        let mut inside: Vec<f32> = spectra.zip(&data.mask).filter(|(_, on)| **on != 0).map(|(spectrum, _)| spectrum[1]).collect();
        inside.sort_by(f32::total_cmp);
        let median = inside[inside.len() / 2];
        assert!((median - (0.3 + 0.1 * number)).abs() < 0.02, "{}: {median}", path.display());
    }
}

/// Pixels of the picture that say that something is doubtful.
fn red(rig: &Rig) -> usize {
    let file = std::io::BufReader::new(std::fs::File::open(only(&rig.path("out"), "quicklook.png")).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels.chunks_exact(3).filter(|pixel| *pixel == [255, 72, 40]).count()
}

const KNOWN: &str = "[segment.tray]\nfirst_row_mm = 12.0\nrow_pitch_mm = 25.0\n";
const ALL: [&str; 6] = ["A1", "A2", "B1", "B2", "C1", "C2"];

#[test]
fn a_tray_is_found_where_it_lies() {
    let mut usual = 0;
    for (shift, tilt_deg) in [((0.0, 0.0), 0.0), ((6.0, 8.0), 3.0), ((-6.0, -8.0), -3.0), ((6.0, -8.0), -3.0)] {
        let (rig, record) = Resampled { shift, tilt_deg, ..Resampled::full() }.process(KNOWN);
        every_file_holds_what_its_name_says(&rig);
        assert_eq!(names(&record).0, ALL, "{shift:?} {tilt_deg}: {record}");
        assert_eq!((&record["missing"], &record["warnings"]), (&json!([]), &json!([])), "{record}");
        if tilt_deg == 0.0 {
            usual = red(&rig);
        }
    }
    assert!(usual < 200, "only the legend is red");
}

#[test]
fn an_empty_row_and_an_empty_place_shift_no_name() {
    let mut laid = Resampled { shift: (4.0, 5.0), tilt_deg: -2.0, ..Resampled::full() };
    laid.things.remove(3);
    laid.things.drain(..2);
    let (rig, record) = laid.process(KNOWN);
    every_file_holds_what_its_name_says(&rig);
    assert_eq!(names(&record).0, ["B1", "C1", "C2"], "{record}");
    assert_eq!(record["missing"], json!(["A1", "A2", "B2"]));
    assert!(red(&rig) > 200, "empty places are outlined");
}

#[test]
fn what_is_half_empty_touches_or_does_not_belong_there_is_said_and_shown() {
    let mut laid = Resampled { shift: (2.0, -3.0), tilt_deg: 2.0, ..Resampled::full() };
    // The front half of A1 only; B1 and B2 have slid together; something lies behind the last row.
    laid.things[0].1.1 -= SIZE.1 / 2.0;
    for (thing, x) in [(2, 3.5), (3, -3.5)] {
        let across = &mut laid.things[thing].0;
        *across = (across.0 + x, across.1 + x);
    }
    laid.things.push(((17.5, 22.5), (92.0, 98.0), 0.2));
    let (rig, record) = laid.process(KNOWN);
    every_file_holds_what_its_name_says(&rig);
    assert_eq!(names(&record), (ALL.map(str::to_owned).to_vec(), ["A1", "B1", "B2"].map(str::to_owned).to_vec()), "{record}");
    let samples = record["samples"].as_array().unwrap();
    let doubt = |at: &str| samples.iter().find(|s| s["container"] == at).unwrap()["doubts"].to_string();
    assert!(doubt("A1").contains("not full") && doubt("B1").contains("B1 and B2 touch"), "{record}");
    let warnings: Vec<&str> = record["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert!(matches!(warnings[..], [one] if one.contains("no name")), "{warnings:?}");
    assert!(red(&rig) > 400);
}

#[test]
fn rims_are_left_out_of_masks() {
    let pixels = |segment: &str| {
        let (_, record) = Resampled::full().process(segment);
        record["samples"].as_array().unwrap().iter().map(|s| s["pixels"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let (whole, inner) = (pixels("erode_mm = 0.0"), pixels("erode_mm = 2.0"));
    for (whole, inner) in whole.iter().zip(&inner) {
        assert!(whole.abs_diff(13 * 18) <= 40 && inner.abs_diff(9 * 14) <= 30, "{whole} {inner}");
    }
}
