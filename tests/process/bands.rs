//! Bad elements, bands without a value, and bands that are left out.

use crate::rig::{Camera, DARK, Ended, FULL, Rig, encoder_at, files, measured, only, reflectance};
use serde_json::Value;
use std::fs;
use std::path::Path;

const PIXELS: usize = 40;
const BANDS: usize = 31;
/// The flags of a pixel.
const BAD_PIXEL: u8 = 2;
const NO_DATA: u8 = 32;
const MISSING_BANDS: u8 = 128;
/// A pixel of the detector in the left container, and the number of the pixel in its cube.
const PIXEL: usize = 10;

/// A camera with a band every 20 nm from 400 to 1000 nm, pixels of 1 mm, and no known level of saturation.
fn rig() -> Rig {
    let mut rig = Rig::new(&[Camera::new("vnir", PIXELS, BANDS, (400.0, 1000.0), 0.0)], 4.0);
    rig.config = rig.config.replace(", bits = 12", "");
    rig
}

/// Changes the numbers of one recording: `change` gets line, band, pixel and number.
fn change(rig: &Rig, prefix: &str, change: impl Fn(usize, usize, usize, u16) -> u16) {
    let path = rig.path("vnir/capture").join(format!("{prefix}vnir.raw"));
    let mut counts = fs::read(&path).unwrap();
    for (i, bytes) in counts.chunks_exact_mut(2).enumerate() {
        let (line, band, pixel) = (i / (PIXELS * BANDS), i / PIXELS % BANDS, i % PIXELS);
        let count = change(line, band, pixel, u16::from_le_bytes([bytes[0], bytes[1]]));
        bytes.copy_from_slice(&count.to_le_bytes());
    }
    fs::write(path, counts).unwrap();
}

/// Makes the recordings float32: `change` gets the prefix of the recording, line, band, pixel and number.
fn floats(rig: &Rig, change: impl Fn(&str, usize, usize, usize, f32) -> f32) {
    for prefix in ["", "DARKREF_", "WHITEREF_"] {
        let path = rig.path("vnir/capture").join(format!("{prefix}vnir.raw"));
        let counts = fs::read(&path).unwrap();
        let number = |(i, bytes): (usize, &[u8])| {
            let count = f32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
            change(prefix, i / (PIXELS * BANDS), i / PIXELS % BANDS, i % PIXELS, count)
        };
        fs::write(&path, counts.chunks_exact(2).enumerate().map(number).flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
        edit(&path.with_extension("hdr"), "data type = 12", "data type = 4");
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The cube of a sample: wavelengths, and values and flags of every pixel within the container, away from its edges.
struct Cube {
    nm: Vec<f64>,
    pixels: Vec<(usize, Vec<f32>, u8)>,
}

impl Cube {
    fn read(out: &Path, sample: &str) -> Self {
        let data = hdf5::File::open(only(out, sample)).unwrap().group("entry/reflectance").unwrap();
        let read = |name: &str| data.dataset(name).unwrap();
        let (nm, x): (Vec<f64>, Vec<f64>) = (read("wavelength").read_raw().unwrap(), read("pixel").read_raw().unwrap());
        let (values, quality, mask): (Vec<f32>, Vec<u8>, Vec<u8>) =
            (read("reflectance").read_raw().unwrap(), read("quality").read_raw().unwrap(), read("mask").read_raw().unwrap());
        // The flag of the rim says nothing about bands.
        let pixel = |i: usize| (x[i % x.len()].floor() as usize, values[i * nm.len()..(i + 1) * nm.len()].to_vec(), quality[i] & !64);
        let pixels = (0..mask.len()).filter(|i| mask[*i] == 1).map(pixel).collect();
        Self { nm, pixels }
    }

    /// Fails unless every finite value is the scene's.
    fn assert_true(&self) {
        for (pixel, values, _) in &self.pixels {
            for (value, nm) in values.iter().zip(&self.nm).filter(|(value, _)| value.is_finite()) {
                let truth = reflectance(*pixel as f64 + 0.5, 20.0, *nm);
                assert!((f64::from(*value) - truth).abs() < 0.01, "{value} instead of {truth} at pixel {pixel}, {nm} nm");
            }
        }
    }

    /// The wavelengths at which a pixel has no value.
    fn missing(&self, values: &[f32]) -> Vec<f64> {
        self.nm.iter().zip(values).filter(|(_, value)| value.is_nan()).map(|(nm, _)| *nm).collect()
    }
}

fn valid(record: &Value) -> (u64, u64) {
    let sum = |key: &str| record["samples"].as_array().unwrap().iter().map(|sample| sample[key].as_u64().unwrap()).sum();
    (sum("pixels"), sum("valid"))
}

fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    words.iter().for_each(|word| assert!(ended.err.contains(word), "`{word}` is not in: {}", ended.err));
}

#[test]
fn an_element_that_clips_in_one_frame_of_the_white_is_mended() {
    let mut rig = rig();
    rig.config = rig.config.replace("device = { kind = \"replay\",", "device = { kind = \"replay\", bits = 12,");
    change(&rig, "WHITEREF_", |line, band, pixel, count| if (line, band, pixel) == (2, 10, PIXEL) { 4095 } else { count });
    let record = rig.process("out").record();
    assert_eq!(record["bad_elements"]["vnir"]["mended"], 1.0 / (PIXELS * BANDS) as f64, "{record}");
    let cube = Cube::read(&rig.path("out"), "left.h5");
    cube.assert_true();
    assert!(cube.pixels.iter().all(|(pixel, values, quality)| {
        values.iter().all(|value| value.is_finite()) && *quality == if *pixel == PIXEL { BAD_PIXEL } else { 0 }
    }));
}

#[test]
fn bands_without_light_of_the_panel_are_missing_and_never_invented() {
    let rig = rig();
    // The first band, one, and eleven hardly see the panel. The white of another one lies below its dark.
    let dead = |band: usize| band == 0 || band == 5 || (10..21).contains(&band);
    change(&rig, "WHITEREF_", |line, band, pixel, count| match band {
        26 => DARK as u16 - 60,
        _ if dead(band) => DARK as u16 + [0, 1, 0, 2, 1][(line + pixel) % 5],
        _ => count,
    });
    let record = rig.process("out").record();
    let share = |n: f64| n / BANDS as f64;
    let bad = &record["bad_elements"]["vnir"];
    assert!((bad["mended"].as_f64().unwrap() - share(2.0)).abs() < 1e-9 && (bad["missing"].as_f64().unwrap() - share(12.0)).abs() < 1e-9);
    let (pixels, valid) = valid(&record);
    assert!(pixels > 300 && valid == pixels, "{record}");
    for sample in ["left.h5", "right.h5"] {
        let cube = Cube::read(&rig.path("out"), sample);
        cube.assert_true();
        let missing: Vec<f64> = std::iter::once(400.0).chain((10..21).map(|band| 400.0 + 20.0 * f64::from(band))).collect();
        for (_, values, quality) in &cube.pixels {
            assert_eq!((cube.missing(values), *quality), (missing.clone(), BAD_PIXEL | MISSING_BANDS));
        }
    }
}

#[test]
fn the_distance_of_mending_is_configured() {
    let mut rig = rig();
    change(&rig, "WHITEREF_", |_, band, _, count| if (10..14).contains(&band) { DARK as u16 } else { count });
    for (limit, flag) in
        [("", MISSING_BANDS), ("[calibrate]\nmax_mend_nm = 99.0\n", MISSING_BANDS), ("[calibrate]\nmax_mend_nm = 100.0\n", BAD_PIXEL)]
    {
        let config = rig.config.clone();
        rig.config.push_str(limit);
        let out = format!("out{}", limit.len());
        let out = if limit.contains("99") { "tight".to_owned() } else { out };
        rig.process(&out).record();
        let cube = Cube::read(&rig.path(&out), "left.h5");
        cube.assert_true();
        assert!(cube.pixels.iter().all(|(_, _, quality)| *quality == flag), "{limit}");
        rig.config = config;
    }
}

#[test]
fn a_number_that_is_not_finite_is_never_a_value() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let rig = rig();
        // One band of a pixel in the scene, all bands of another one, and one element of the white and of the dark.
        floats(&rig, |prefix, _, band, pixel, count| match (prefix, band, pixel) {
            ("", 10, PIXEL) | ("", _, 12) | ("WHITEREF_", 20, 14) | ("DARKREF_", 4, 15) => bad,
            _ => count,
        });
        let record = rig.process("out").record();
        let cube = Cube::read(&rig.path("out"), "left.h5");
        cube.assert_true();
        for (pixel, values, quality) in &cube.pixels {
            let (missing, flags) = match *pixel {
                PIXEL => (1, MISSING_BANDS),
                12 => (BANDS, NO_DATA),
                14 | 15 => (0, BAD_PIXEL),
                _ => (0, 0),
            };
            assert_eq!((cube.missing(values).len(), quality & !8), (missing, flags), "{bad} at pixel {pixel}");
        }
        let (pixels, valid) = valid(&record);
        let without = cube.pixels.iter().filter(|(pixel, ..)| *pixel == 12).count() as u64;
        assert_eq!(valid, pixels - without);
    }
}

#[test]
fn a_reference_of_nothing_finite_or_of_no_light_is_refused() {
    for prefix in ["WHITEREF_", "DARKREF_"] {
        let rig = rig();
        floats(&rig, |of, _, _, _, count| if of == prefix { f32::NAN } else { count });
        refused(&rig.process("out"), &["reference of vnir is refused", "100.0 % of its elements have no finite value"]);
        assert!(files(&rig.path("out")).is_empty());
    }
    let rig = rig();
    change(&rig, "WHITEREF_", |_, _, _, _| DARK as u16);
    // Any of its limits may say so first.
    refused(&rig.process("out"), &["white reference of vnir is refused"]);
}

#[test]
fn bands_outside_use_nm_appear_nowhere_but_in_the_recording() {
    let mut rig = rig();
    rig.config = rig.config.replace("device = { kind = \"replay\",", "device = { kind = \"replay\", bits = 12,");
    // The ends of the range see nothing, and their noise flickers. The white reference would be refused for it.
    change(
        &rig,
        "WHITEREF_",
        |line, band, pixel, count| if (3..28).contains(&band) { count } else { DARK as u16 + (line * pixel % 7) as u16 },
    );
    change(&rig, "", |_, band, _, count| if band == 1 { 4095 } else { count });
    refused(&rig.process("all"), &["white reference of vnir is refused", "references.limits.min_band_signal"]);
    rig.config = rig.config.replace("exposure_us", "use_nm = [[460, 600], [660.0, 940.0]]\nexposure_us");
    let record = rig.process("out").record();
    assert_eq!(record["left_out_nm"]["vnir"], serde_json::json!([[400.0, 440.0], [620.0, 640.0], [960.0, 1000.0]]));
    assert_eq!(record["bad_elements"]["vnir"], serde_json::json!({"mended": 0.0, "missing": 0.0}));
    let cube = Cube::read(&rig.path("out"), "left.h5");
    cube.assert_true();
    let inside = (3..28).map(|band| 400.0 + 20.0 * f64::from(band)).filter(|nm| *nm <= 600.0 || *nm >= 660.0);
    assert_eq!(cube.nm, inside.collect::<Vec<_>>());
    assert!(cube.pixels.iter().all(|(_, values, quality)| *quality == 0 && values.iter().all(|value| value.is_finite())));
}

#[test]
fn ranges_that_are_none_or_hold_no_band_are_refused() {
    for (value, words) in [
        ("[960, 420]", "[960, 420] is no range"),
        ("[]", "must hold at least one range"),
        ("[420, nan]", "must be a finite number"),
        ("\"420-960\"", "must be a range [from, to] in nm, or several"),
        ("[1100, 1200]", "no band lies within it: the camera sees 400.0 to 1000.0 nm"),
    ] {
        let mut rig = rig();
        rig.config = rig.config.replace("exposure_us", &format!("use_nm = {value}\nexposure_us"));
        refused(&rig.process("out"), &["camera[0].use_nm", words]);
    }
}

#[test]
fn bands_that_the_header_marks_as_bad_are_left_out_and_named() {
    let rig = rig();
    let bbl: Vec<&str> = (0..BANDS).map(|band| if (10..14).contains(&band) { "0" } else { "1" }).collect();
    edit(&rig.path("vnir/capture/vnir.hdr"), "fps", &format!("bbl = {{{}}}\nfps", bbl.join(", ")));
    let record = rig.process("out").record();
    assert_eq!(record["left_out_nm"]["vnir"], serde_json::json!([[600.0, 660.0]]));
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("4 of 31 bands are left out: 600.0 to 660.0 nm (marked as bad by the header's bbl)"), "{warnings}");
    let cube = Cube::read(&rig.path("out"), "left.h5");
    cube.assert_true();
    assert_eq!((cube.nm.len(), cube.pixels.iter().all(|(_, _, quality)| *quality == 0)), (27, true));
}

#[test]
fn a_real_image_with_bad_bands_is_valid_without_them() {
    let Some(image) = measured("salton/salton_sea_bil.hdr") else { return };
    let mut rig = Rig::new(&[], 0.0);
    // The header states neither scale nor rate. Bad bands hold 0 here, and 0 means no data.
    let folder = rig.path("salton");
    fs::create_dir_all(&folder).unwrap();
    let header = fs::read_to_string(&image).unwrap();
    fs::write(folder.join("salton.hdr"), header.replace("byte order", "data ignore value = 0\nbyte order")).unwrap();
    fs::write(folder.join("salton.raw"), fs::read(image.with_extension("raw")).unwrap()).unwrap();
    rig.config.push_str(&format!(
        "[segment]\nmethod = \"footprint\"\n[[camera]]\nname = \"salton\"\nfield_of_view_mm = 56.0\nexposure_us = 2000.0\nframe_rate_hz = 20.0\n\
         device = {{ kind = \"replay\", path = \"{}\", values = \"reflectance\" }}\n",
        folder.display()
    ));
    rig.tray = "tray = \"T\"\n[[container]]\nsample = \"all\"\nx_mm = 0.0\ny_mm = -0.5\nwidth_mm = 56.0\nlength_mm = 51.0\n".to_owned();
    rig.cameras = vec![Camera { name: "salton", pixels: 56, wavelengths: Vec::new(), offset_mm: 0.0 }];
    let record = rig.process("out").record();
    assert_eq!(valid(&record), (56 * 51, 56 * 51), "{record}");
    assert_eq!(record["samples"][0]["shape"][2], 204);
    let cube = Cube::read(&rig.path("out"), "all.h5");
    let lacking: usize = cube.pixels.iter().map(|(_, values, _)| cube.missing(values).len()).sum();
    assert_eq!(lacking, 1, "one value of a good band is 0");
}

#[test]
fn a_pixel_is_valid_for_an_encoder_that_reads_none_of_its_missing_bands() {
    let dead = |rig: &Rig| change(rig, "WHITEREF_", |_, band, _, count| if (10..16).contains(&band) { DARK as u16 } else { count });
    // The model reads 440 to 560 nm and, at 720 nm, the first band after those that are missing.
    for (nm, all) in [(vec![440.0, 450.0, 560.0, 720.0], true), (vec![440.0, 610.0], false)] {
        let mut rig = rig();
        dead(&rig);
        let Some(model) = encoder_at(rig.folder.path(), &nm) else { return };
        rig.config.push_str(&format!("[encoder]\nmodel = \"{}\"\n", model.display()));
        let ended = rig.process("out");
        if !all {
            // Without a valid pixel there is nothing to encode.
            let rows = serde_json::from_str::<Value>(&ended.out).ok().map(|record| (valid(&record).1, record["embeddings"].as_u64()));
            assert!(rows.is_none_or(|rows| rows == (0, Some(0))), "{}", ended.out);
            continue;
        }
        let record = ended.record();
        let (pixels, valid) = valid(&record);
        assert!(valid == pixels && record["embeddings"] == valid, "{record}");
    }
}

#[test]
fn an_encoder_that_reads_left_out_bands_is_refused() {
    let mut rig = rig();
    let Some(model) = encoder_at(rig.folder.path(), &[440.0, 650.0]) else { return };
    rig.config.push_str(&format!("[encoder]\nmodel = \"{}\"\n", model.display()));
    rig.config = rig.config.replace("exposure_us", "use_nm = [[400, 600], [700, 1000]]\nexposure_us");
    let words = ["reads 650 nm", "no band between 600 and 700 nm", "calibrate.max_mend_nm", "camera.use_nm"];
    refused(&rig.process("out"), &words);
}

/// What a count becomes, by its band and its pixel.
type Change<'a> = &'a dyn Fn(usize, usize, u16) -> u16;

#[test]
fn a_limit_that_refuses_a_reference_is_named_by_its_key() {
    let full = FULL as u16;
    let cases: [(&str, Change<'_>); 3] = [
        ("min_signal", &|_, _, count| count / 20 + 190),
        ("max_saturated", &|band, _, count| if band < 3 { 4095 } else { count }),
        ("min_evenness", &|_, pixel, count| if pixel < 20 { DARK as u16 + full / 5 } else { count }),
    ];
    for (key, of) in cases {
        let mut rig = rig();
        rig.config = rig.config.replace("device = { kind = \"replay\",", "device = { kind = \"replay\", bits = 12,");
        change(&rig, "WHITEREF_", |_, band, pixel, count| of(band, pixel, count));
        refused(&rig.process("out"), &["white reference of vnir is refused", &format!("references.limits.{key}")]);
    }
}
