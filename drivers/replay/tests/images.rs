//! Images of every type, order and interleave, by line.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod written;

use contract::{FramePool, PixelFormat};
use replay::envi::{DATA_ENDINGS, Image, ImageError, Reading, Reflectance};
use std::fs;
use std::path::{Path, PathBuf};
use written::{BANDS, LINES, PIXELS, header, places, value};

fn stored(code: u32, big: bool, value: usize) -> Vec<u8> {
    macro_rules! bytes {
        ($value:expr) => {
            if big { $value.to_be_bytes().to_vec() } else { $value.to_le_bytes().to_vec() }
        };
    }
    match code {
        1 => vec![value as u8],
        2 => bytes!((value as i16 - 2000)),
        3 => bytes!((value as i32 * 1000 - 2_000_000)),
        4 => bytes!((value as f32 / 8.0)),
        5 => bytes!((value as f64 / 8.0)),
        12 => bytes!((value as u16 * 13)),
        _ => bytes!((value as u32 * 100_000)),
    }
}

fn expected(code: u32, value: usize) -> f32 {
    match code {
        1 => f32::from(value as u8),
        2 => value as f32 - 2000.0,
        3 => (value as f64 * 1000.0 - 2e6) as f32,
        4 | 5 => value as f32 / 8.0,
        12 => f32::from(value as u16 * 13),
        _ => (value as f64 * 1e5) as f32,
    }
}

fn write(folder: &Path, name: &str, code: u32, big: bool, interleave: &str, offset: usize) -> PathBuf {
    let more = format!("interleave = {interleave}\ndata type = {code}\nbyte order = {}\nheader offset = {offset}", u8::from(big));
    let path = folder.join(format!("{name}.hdr"));
    fs::write(&path, header(PIXELS, LINES, BANDS, &more)).unwrap();
    let mut bytes = vec![0xAA; offset];
    bytes.extend(places(interleave).into_iter().flat_map(|(line, band, pixel)| stored(code, big, value(line, band, pixel))));
    fs::write(folder.join(format!("{name}.raw")), bytes).unwrap();
    path
}

#[test]
fn every_type_order_and_interleave_gives_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    for code in [1, 2, 3, 4, 5, 12, 13] {
        for big in [false, true] {
            for interleave in ["bil", "bip", "bsq"] {
                let offset = if big { 7 } else { 0 };
                let (mut image, _) = Image::open(&write(folder.path(), "IMAGE", code, big, interleave, offset)).unwrap();
                let layout = image.layout();
                assert_eq!(layout.format, if [1, 12].contains(&code) { PixelFormat::U16 } else { PixelFormat::F32 });
                let (mut floats, mut counts) = (vec![f32::NAN; PIXELS * BANDS], vec![0_u16; PIXELS * BANDS]);
                let mut slot = FramePool::new(layout, 1).try_take().unwrap();
                // The lines come out of order. Any line can be read at any time.
                for line in [2, 0, 1] {
                    let wanted: Vec<f32> = (0..BANDS).flat_map(|b| (0..PIXELS).map(move |p| expected(code, value(line, b, p)))).collect();
                    image.read_line_f32(line, &mut floats).unwrap();
                    assert_eq!(floats, wanted, "type {code}, big {big}, {interleave}");
                    image.read_slot(line, &mut slot).unwrap();
                    if layout.format == PixelFormat::U16 {
                        image.read_line_u16(line, &mut counts).unwrap();
                        assert!(counts.iter().zip(&wanted).all(|(count, value)| f32::from(*count) == *value), "{code} {big} {interleave}");
                        assert_eq!(slot.as_u16().unwrap(), counts);
                    } else {
                        assert_eq!(slot.as_f32().unwrap(), wanted);
                        assert!(matches!(image.read_line_u16(line, &mut counts), Err(ImageError::NotCounts { .. })));
                    }
                }
            }
        }
    }
}

#[test]
fn a_clone_reads_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (mut image, _) = Image::open(&write(folder.path(), "IMAGE", 12, false, "bip", 0)).unwrap();
    let mut other = image.clone();
    let (mut a, mut b) = (vec![0_u16; PIXELS * BANDS], vec![0_u16; PIXELS * BANDS]);
    image.read_line_u16(1, &mut a).unwrap();
    other.read_line_u16(1, &mut b).unwrap();
    assert_eq!(a, b);
}

#[test]
fn lines_outside_and_buffers_of_another_size_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut image, _) = Image::open(&write(folder.path(), "IMAGE", 12, false, "bil", 0)).unwrap();
    let outside = image.read_line_u16(LINES, &mut [0; PIXELS * BANDS]);
    assert!(matches!(outside, Err(ImageError::NoSuchLine { line: LINES, lines: LINES, .. })));
    let small = image.read_line_u16(0, &mut [0; 3]);
    assert!(matches!(small, Err(ImageError::Buffer { expected, found: 3, .. }) if expected == PIXELS * BANDS));
}

#[test]
fn a_file_of_another_size_is_an_error_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "IMAGE", 12, false, "bil", 5);
    let data = folder.path().join("IMAGE.raw");
    let right = (5 + PIXELS * BANDS * LINES * 2) as u64;
    let whole = fs::read(&data).unwrap();
    assert_eq!(whole.len() as u64, right);
    for change in [-1_i64, 1] {
        let mut bytes = whole.clone();
        bytes.resize((right as i64 + change) as usize, 0);
        fs::write(&data, bytes).unwrap();
        let error = Image::open(&path).unwrap_err();
        let size = (right as i64 + change) as u64;
        assert!(matches!(error, ImageError::Size { expected, found, .. } if (expected, found) == (right, size)), "{error}");
        let message = error.to_string();
        assert!(message.contains(&right.to_string()) && message.contains(&size.to_string()), "{message}");
    }
    fs::write(&path, "ENVI\nsamples = 9000000000\nlines = 0\nbands = 9000000000\ninterleave = bil\ndata type = 5\nbyte order = 0").unwrap();
    assert!(matches!(Image::open(&path), Err(ImageError::TooLarge { .. })));
}

#[test]
fn the_data_is_found_beside_its_header_and_the_header_beside_its_data() {
    let endings = DATA_ENDINGS.iter().flat_map(|ending| [format!(".{ending}"), format!(".{}", ending.to_uppercase())]);
    for ending in endings.chain([".Bil".into(), String::new()]) {
        for header_ending in ["hdr", "HDR", "Hdr"] {
            let folder = tempfile::tempdir().unwrap();
            let path = write(folder.path(), "an.image", 12, false, "bil", 0);
            let (header, data) = (folder.path().join(format!("an.image.{header_ending}")), folder.path().join(format!("an.image{ending}")));
            fs::rename(path, &header).unwrap();
            fs::rename(folder.path().join("an.image.raw"), &data).unwrap();
            for named in [&header, &data] {
                let (image, _) = Image::open(named).unwrap();
                assert_eq!((image.header_path(), image.data_path()), (header.as_path(), data.as_path()));
            }
        }
    }
}

#[test]
fn the_header_may_carry_the_ending_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    let header = folder.path().join("image.raw.hdr");
    fs::rename(path, &header).unwrap();
    for named in [&header, &folder.path().join("image.raw")] {
        assert_eq!(Image::open(named).unwrap().0.data_path(), folder.path().join("image.raw"));
    }
}

#[test]
fn of_several_data_files_the_one_that_fits_is_taken_if_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    fs::write(folder.path().join("image.dat"), b"a table of something").unwrap();
    assert_eq!(Image::open(&path).unwrap().0.data_path(), folder.path().join("image.raw"));
    fs::copy(folder.path().join("image.raw"), folder.path().join("image.dat")).unwrap();
    assert!(matches!(Image::open(&path), Err(ImageError::SeveralData { found, .. }) if found.len() == 2));
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    fs::rename(folder.path().join("image.raw"), folder.path().join("other.raw")).unwrap();
    let error = Image::open(&path).unwrap_err();
    assert!(matches!(&error, ImageError::NoData { .. }) && error.to_string().contains("image.raw"), "{error}");
    let error = Image::open(&folder.path().join("other.raw")).unwrap_err();
    assert!(matches!(&error, ImageError::NoHeader { .. }) && error.to_string().contains("other.hdr"), "{error}");
    assert!(matches!(Image::open(&folder.path().join("none.hdr")), Err(ImageError::Io { .. })));
}

#[test]
fn a_header_in_another_encoding_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"operator = J\xfcrgen\n");
    fs::write(&path, bytes).unwrap();
    assert_eq!(Image::open(&path).unwrap().0.header().get("operator"), Some("J\u{fc}rgen"));
}

#[test]
fn the_data_may_be_in_the_name_of_its_header_in_any_case() {
    for (header, data) in
        [("scan.bil.hdr", "scan.bil"), ("SCAN.HDR", "scan.bsq"), ("scan.BIP.hdr", "scan.bip"), ("scan.hdr", "scan.HySpex")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "image", 12, false, "bil", 0);
        let (header, data) = (folder.path().join(header), folder.path().join(data));
        fs::rename(path, &header).unwrap();
        fs::rename(folder.path().join("image.raw"), &data).unwrap();
        for named in [&header, &data] {
            let (image, _) = Image::open(named).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((image.header_path(), image.data_path()), (header.as_path(), data.as_path()));
        }
    }
}

#[test]
fn of_several_headers_the_one_that_fits_is_taken_if_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    let (data, other) = (folder.path().join("image.raw"), folder.path().join("image.raw.hdr"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&other, text.replace("lines = 3", "lines = 4")).unwrap();
    assert_eq!(Image::open(&data).unwrap().0.header_path(), path);
    fs::write(&other, &text).unwrap();
    Image::open(&data).unwrap();
    fs::write(&other, text.replace("interleave = bil", "interleave = bip")).unwrap();
    let error = Image::open(&data).unwrap_err();
    assert!(matches!(&error, ImageError::SeveralHeaders { found, .. } if found.len() == 2), "{error}");
    assert!(error.to_string().contains("image.hdr") && error.to_string().contains("image.raw.hdr"), "{error}");
}

/// An image of one line, two pixels and `bands` bands.
fn tiny(folder: &Path, code: u32, more: &str, bytes: &[u8]) -> Image {
    let bands = bytes.len() / 2 / [0, 1, 2, 4, 4, 8, 0, 0, 0, 0, 0, 0, 2, 4][code as usize];
    let text = header(2, 1, bands, &format!("interleave = bil\ndata type = {code}\nbyte order = 0\n{more}"));
    fs::write(folder.join("tiny.hdr"), text).unwrap();
    fs::write(folder.join("tiny.raw"), bytes).unwrap();
    Image::open(&folder.join("tiny.hdr")).unwrap().0
}

fn reflectance(image: Image) -> (Vec<f32>, f64) {
    let Reflectance { reading, scale, .. } = Reading::reflectance(image.header());
    let mut image = image.read_as(reading);
    let mut values = vec![0.0; image.layout().elements()];
    image.read_line_f32(0, &mut values).unwrap();
    (values, scale)
}

#[test]
fn a_number_to_ignore_is_compared_in_the_type_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let ignored = |code: u32, text: &str, bytes: &[u8]| {
        let (values, _) = reflectance(tiny(folder.path(), code, &format!("data ignore value = {text}"), bytes));
        values.iter().map(|value| value.is_nan()).collect::<Vec<bool>>()
    };
    let floats = |values: [f32; 2]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    for (text, value) in [
        ("-9999.99", -9999.99_f32),
        ("0.1", 0.1),
        ("1e-5", 1e-5),
        ("-3.40282347e+38", f32::MIN),
        ("-3.40282e+38", f32::MIN),
        ("3.4028235e38", f32::MAX),
        ("-1.7976931348623157e308", f32::NEG_INFINITY),
        ("nan", f32::NAN),
    ] {
        assert_eq!(ignored(4, text, &floats([value, 0.5])), [true, false], "{text}");
    }
    // Neighbours that are the same number as 32-bit floating point.
    let whole = |values: [i32; 2]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(ignored(3, "16777217", &whole([16_777_217, 16_777_216])), [true, false]);
    assert_eq!(ignored(3, "-2147483648", &whole([i32::MIN, i32::MIN + 1])), [true, false]);
    assert_eq!(
        ignored(13, "4294967295", &[u32::MAX, u32::MAX - 1].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>()),
        [true, false]
    );
    let wide = |values: [f64; 2]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(ignored(5, "0.1", &wide([0.1, 0.1 + 1e-12])), [true, false]);
}

#[test]
fn gains_offsets_and_scale_are_applied_in_their_order_behind_the_number_to_ignore() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = [100_i16, -7, 200, 300].iter().flat_map(|n| n.to_le_bytes()).collect();
    let read = |more: &str| reflectance(tiny(folder.path(), 2, more, &bytes));
    let gains = "data gain values = {2.0, 0.5}\ndata offset values = {1, -3}";
    let (values, scale) = read(&format!("{gains}\nreflectance scale factor = 10\ndata ignore value = -7"));
    assert_eq!((values[0], values[1].is_nan(), values[2], values[3], scale), (201.0, true, 97.0, 147.0, 10.0));
    assert_eq!(read("data offset values = {1, -3}").0, [101.0, -6.0, 197.0, 297.0]);
    let own = "data reflectance gain values = {0.01, 0.02}\ndata reflectance offset values = {0.5, 0}";
    let (values, scale) = read(&format!("{own}\n{gains}\nreflectance scale factor = 10"));
    assert_eq!((values, scale), (vec![1.5, 0.43, 4.0, 6.0], 1.0));
    // Gain and factor say the same.
    let image = tiny(folder.path(), 2, "data gain values = {0.0001, 0.0001}\nreflectance scale factor = 10000", &bytes);
    assert!(Reading::reflectance(image.header()).doubt.is_some());
    assert_eq!(reflectance(image), (vec![100.0, -7.0, 200.0, 300.0], 10_000.0));
}

#[test]
fn other_than_regular_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "image", 12, false, "bil", 0);
    let data = folder.path().join("image.raw");
    fs::remove_file(&data).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &data).unwrap();
    let error = Image::open(&path).unwrap_err().to_string();
    assert!(error.contains("image.raw") && error.contains("a device"), "{error}");
}
