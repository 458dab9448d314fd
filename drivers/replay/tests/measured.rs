//! Real measurements, read from the folder in `HYCLUS_TEST_DATA`, or from `../shared/data` beside the workspace. Without a folder
//! the tests are left out, with a message. The figures come from Spectral Python 0.25 and NumPy.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use contract::{LineCamera, PixelFormat, Values};
use replay::capture::{Capture, Reference};
use replay::envi::{ByteOrder, DataType, Image, Interleave, Warning};
use replay::{Camera, CameraConfig};
use std::path::{Path, PathBuf};

fn data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("HYCLUS_TEST_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        println!("skipped: {} is absent; set HYCLUS_TEST_DATA", path.display());
        return None;
    }
    Some(path)
}

/// Sum of all values, and sum weighted by (7 line + 3 pixel + band) mod 11. The weights show an exchange of axes.
fn sums(image: &mut Image) -> (f64, f64) {
    let layout = image.layout();
    let mut line = vec![0.0; layout.elements()];
    let (mut plain, mut weighted) = (0.0, 0.0);
    for index in 0..image.header().lines {
        image.read_line_f32(index, &mut line).unwrap();
        for (element, value) in line.iter().enumerate() {
            let (band, pixel) = (element / layout.pixels, element % layout.pixels);
            plain += f64::from(*value);
            weighted += f64::from(*value) * ((7 * index + 3 * pixel + band) % 11) as f64;
        }
    }
    (plain, weighted)
}

fn close(found: (f64, f64), expected: (f64, f64)) {
    let near = |a: f64, b: f64| ((a - b) / b).abs() < 1e-12;
    assert!(near(found.0, expected.0) && near(found.1, expected.1), "{found:?}, by Spectral Python {expected:?}");
}

fn at(image: &mut Image, line: usize, pixel: usize, band: usize) -> f32 {
    let layout = image.layout();
    let mut values = vec![0.0; layout.elements()];
    image.read_line_f32(line, &mut values).unwrap();
    values[band * layout.pixels + pixel]
}

#[test]
fn a_fenix_image_of_reflectance() {
    let Some(path) = data("fenix/image.hdr") else { return };
    let (mut image, warnings) = Image::open(&path).unwrap();
    assert_eq!(warnings, []);
    let header = image.header().clone();
    assert_eq!((header.samples, header.lines, header.bands), (23, 38, 450));
    assert_eq!((header.interleave, header.data_type), (Interleave::Bsq, DataType::U16));
    close(sums(&mut image), (6_515_781_365.0, 32_577_959_295.0));
    assert_eq!([at(&mut image, 0, 0, 0), at(&mut image, 37, 22, 449), at(&mut image, 19, 7, 225)], [8612.0, 10_922.0, 17_886.0]);
    assert_eq!(header.wavelengths_nm.unwrap()[0], 378.190_002);
    let camera = Camera::open("fenix", &CameraConfig { frame_rate_hz: Some(50.0), ..CameraConfig::new(path) }).unwrap();
    assert_eq!(camera.describe().values, Values::Reflectance { scale: 65_535.0, ignore: Some(0.0) });
    assert_eq!(camera.describe().layout.format, PixelFormat::U16);
}

#[test]
fn a_header_by_lumo() {
    let Some(path) = data("fenix/fenix_Radiometric_4x2_1x1.hdr") else { return };
    let (mut image, warnings) = Image::open(&path).unwrap();
    println!("{warnings:?}");
    let header = image.header().clone();
    assert_eq!((header.samples, header.lines, header.bands, header.data_type), (384, 1, 450, DataType::F32));
    assert_eq!((header.fps, header.tint_ms, header.exposure_ms(), header.binning), (Some(29.94), None, Some(28.0), Some((4, 2))));
    assert_eq!(header.sensor_type.as_deref(), Some("FENIX , Lumo - Recorder v2018-512"));
    assert_eq!(header.description.as_deref(), Some("File Imported into ENVI"));
    assert_eq!((header.errors, header.default_bands), (None, Some(vec![141, 36, 240])));
    assert_eq!(header.other.iter().find(|(key, _)| key == "scb temperature channel4").map(|(_, value)| value.as_str()), Some("22.23"));
    close(sums(&mut image), (29_461.908_579_491_31, 147_294.393_792_333_08));
    // 768 pixels and 696 bands of the first detector are binned by two and four.
    let camera = Camera::open("fenix", &CameraConfig::new(path)).unwrap();
    assert_eq!((camera.exposure().binning, camera.exposure().exposure_us), ((2, 4), 28_000.0));
    assert_eq!(camera.describe().serial, "3500015");
}

#[test]
fn an_fx10_with_its_references() {
    let Some(path) = data("fx10") else { return };
    let mut capture = Capture::open(&path).unwrap();
    assert_eq!((capture.name.as_str(), capture.lines(), capture.warnings.len()), ("fx10_snow_2lines", 2, 0));
    close(sums(&mut capture.image), (1_115_959_170.0, 5_579_797_333.0));
    let (Reference::Found(mut dark), Reference::Found(mut white)) = (capture.dark, capture.white) else { panic!("both are there") };
    close(sums(&mut dark), (251_326_790.0, 1_256_638_189.0));
    close(sums(&mut white), (1_873_592_986.0, 9_367_959_128.0));
    assert!(Camera::open("vnir", &CameraConfig::new(&path)).unwrap_err().to_string().contains("frame_rate_hz"));
    let camera = Camera::open("vnir", &CameraConfig { frame_rate_hz: Some(50.0), bits: Some(12), ..CameraConfig::new(&path) }).unwrap();
    assert_eq!((camera.describe().model.as_str(), camera.describe().saturation), ("FX10", Some(4095.0)));
}

#[test]
fn an_emit_image_without_an_ending() {
    let Some(path) = data("emit/emit20250324t221005_jpl_unmix_ex") else { return };
    for path in [path.clone(), path.with_extension("hdr")] {
        let (mut image, warnings) = Image::open(&path).unwrap();
        assert!(matches!(warnings.as_slice(), [Warning::UnitsGuessed { taken: "nm", .. }]), "{warnings:?}");
        assert_eq!((image.header().data_ignore, image.header().byte_order), (Some(-9999.0), ByteOrder::Little));
        assert!(image.header().get("band names").unwrap().contains("channel_284"));
        assert_eq!(image.header().fwhm_nm.as_ref().unwrap()[0], 8.415_000_000_000_001);
        close(sums(&mut image), (4_595.199_456_108_734, 22_975.782_722_635_195));
    }
}

#[test]
fn an_aviris_image_with_bad_bands() {
    let Some(path) = data("salton/salton_sea_bil.hdr") else { return };
    let (mut image, warnings) = Image::open(&path).unwrap();
    assert_eq!(warnings.first(), Some(&Warning::NotIncreasing { band: 33, wavelength_nm: 655.476, before_nm: 667.545 }));
    close(sums(&mut image), (182_397.417_801_891_92, 911_971.241_593_333_9));
    assert_eq!(at(&mut image, 50, 55, 223), 0.278_6);
    let good = image.header().good_bands.clone().unwrap();
    assert!(good.len() == 224 && good.contains(&false));
    let camera = Camera::open("aviris", &CameraConfig { frame_rate_hz: Some(10.0), ..CameraConfig::new(path) }).unwrap();
    assert_eq!((camera.describe().values, camera.describe().layout.format), (Values::Counts, PixelFormat::F32));
}
