use super::*;
use crate::scan::Container;
use crate::segment::Mask;

const BANDS: [f64; 4] = [450.0, 560.0, 650.0, 800.0];

fn axes(width: usize) -> Axes {
    Axes { pixel_mm: 0.5, x0_mm: 0.0, width, wavelengths_nm: BANDS.to_vec(), fwhm_nm: vec![f64::NAN; BANDS.len()] }
}

fn row(index: i64, width: usize, value: impl Fn(usize) -> [f32; 4]) -> Row {
    Row { index, time_ns: index, spectra: (0..width).flat_map(value).collect::<Vec<f32>>().into(), quality: vec![0; width] }
}

fn sample(number: u16, at: &str, name: &str, first_row: i64, first_pixel: usize, width: usize) -> Arc<Sample> {
    let (cell, footprint, keys, vars) = Default::default();
    let container = Container { at: at.into(), cell, footprint, height_mm: None, sample: name.into(), keys, vars };
    Arc::new(Sample { number, container, first_row, first_pixel, width, rim_mm: 0.0, levels: Vec::new() })
}

/// Gives a sample whose cube has `lines` lines. `on(line, pixel)` tells whether a pixel lies on the sample.
fn give(quicklook: &mut Quicklook, sample: &Arc<Sample>, lines: u32, doubts: &[&str], on: impl Fn(i64, usize) -> bool) {
    quicklook.sample_event(&SampleEvent::Open(Arc::clone(sample)));
    for line in 0..lines {
        let mut labels = vec![0; sample.first_pixel + sample.width];
        for pixel in (0..sample.width).filter(|pixel| on(i64::from(line), *pixel)) {
            labels[sample.first_pixel + pixel] = sample.number + 1;
        }
        let row = Arc::new(Row { index: sample.first_row + i64::from(line), ..Row::default() });
        quicklook.sample_event(&SampleEvent::Row(SampleRow { sample: Arc::clone(sample), line, row, mask: Arc::new(Mask { labels }) }));
    }
    let doubts = doubts.iter().map(|&doubt| doubt.to_owned()).collect();
    quicklook.sample_event(&SampleEvent::Close { sample: Arc::clone(sample), lines, doubts });
}

struct Image {
    width: usize,
    height: usize,
    per_metre: u32,
    pixels: Vec<u8>,
}

impl Image {
    fn read(path: &Path) -> Self {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let dims = reader.info().pixel_dims.unwrap();
        assert_eq!(dims.xppu, dims.yppu, "square pixels");
        Self { width: info.width as usize, height: info.height as usize, per_metre: dims.xppu, pixels }
    }

    fn at(&self, row: usize, pixel: usize) -> Colour {
        let at = (row * self.width + pixel) * 3;
        self.pixels[at..at + 3].try_into().unwrap()
    }
}

#[test]
fn samples_are_outlined_and_gaps_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    let (width, rows) = (500, 300);
    let mut quicklook = Quicklook::new(&axes(width), path.clone());
    for index in 0..rows {
        // The bands are blue, green, red and one that is not shown. Row 7 and pixel 3 have no value.
        let gap = |pixel| index == 7 || pixel == 3;
        quicklook.row(&row(index + 50, width, |pixel| if gap(pixel) { [f32::NAN; 4] } else { [0.1, 0.2, 0.4, 9.0] }));
    }
    let (sure, unsure) = (sample(0, "A1", "barley-17", 70, 100, 150), sample(1, "A2", "oat-3", 70, 300, 150));
    // The cube is larger than the sample by a margin of ten.
    let on = |line: i64, pixel: usize| (10..90).contains(&line) && (10..140).contains(&pixel);
    give(&mut quicklook, &sure, 100, &[], on);
    give(&mut quicklook, &unsure, 100, &["it touches sample number 0 of the scan"], on);
    quicklook.finish().unwrap();

    let image = Image::read(&path);
    assert_eq!((image.width, image.height), (500, 300 + strip(1)));
    assert_eq!(image.per_metre, 2000);
    // More than 2 % of the values are the red ones, so white is 0.4.
    assert_eq!(image.at(0, 0), [255, tone(0.5), tone(0.25)]);
    assert_eq!((image.at(7, 200), image.at(150, 3)), (GAP, GAP));
    for (first_pixel, colour) in [(110, SAMPLE), (310, DOUBTFUL)] {
        let (top, bottom, left, right) = (30, 109, first_pixel, first_pixel + 129);
        let plain = [255, tone(0.5), tone(0.25)];
        // The outline of a doubtful sample is dashed.
        let line = |row: usize, pixel: usize| if colour == SAMPLE || dashed(row + pixel) { colour } else { plain };
        for pixel in left..=right {
            let expected = (line(top, pixel), line(bottom, pixel));
            assert_eq!((image.at(top, pixel), image.at(bottom, pixel)), expected, "pixel {pixel}");
        }
        for row in top..=bottom {
            assert_eq!((image.at(row, left), image.at(row, right)), (line(row, left), line(row, right)), "row {row}");
        }
        assert_eq!((image.at(top - 1, left), image.at(bottom + 1, right)), (plain, plain), "outside");
        assert_eq!((image.at(top + 1, left + 1), image.at(bottom - 1, right - 1)), (plain, plain), "inside");
        // A label stands on a dark ground at the centre.
        let label = (55..85).flat_map(|row| (left + 20..right - 20).map(move |pixel| (row, pixel)));
        let (ink, ground) =
            label.fold((0, 0), |n, (r, p)| (n.0 + usize::from(image.at(r, p) == colour), n.1 + usize::from(image.at(r, p) == GROUND)));
        assert!(ink > 40 && ground > 2 * ink, "{ink} {ground}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file stays");
}

#[test]
fn a_sample_ends_where_its_mask_ends_and_open_ones_are_doubtful() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    let mut quicklook = Quicklook::new(&axes(900), path.clone());
    for index in 0..60 {
        quicklook.row(&row(index, 900, |_| [0.3; 4]));
    }
    // The sample is a staircase. Each line is shorter, so the end of the line before is an outline from below.
    give(&mut quicklook, &sample(0, "1", "a", 10, 20, 9), 5, &[], |line, pixel| (1..8 - usize::try_from(line).unwrap()).contains(&pixel));
    let open = sample(1, "2", "b", 30, 100, 4);
    quicklook.sample_event(&SampleEvent::Open(Arc::clone(&open)));
    let mask = Arc::new(Mask { labels: vec![2; 900] });
    quicklook.sample_event(&SampleEvent::Row(SampleRow { sample: open, line: 0, row: Arc::new(row(30, 900, |_| [0.3; 4])), mask }));
    assert_eq!(quicklook.thumbnail.outline(10, 27), Some(0));
    assert_eq!(quicklook.thumbnail.outline(14, 23), Some(0));
    assert_eq!(quicklook.thumbnail.outline(14, 24), None);
    quicklook.finish().unwrap();
    let image = Image::read(&path);
    assert_eq!((image.at(30, 99), image.at(30, 100), image.at(30, 104)), ([255; 3], DOUBTFUL, [255; 3]));
}

#[test]
fn what_is_no_sample_is_outlined_and_cut_off_where_nothing_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    let mut quicklook = Quicklook::new(&axes(900), path.clone());
    for index in 10..110 {
        quicklook.row(&row(index, 900, |_| [0.3; 4]));
    }
    let outline = |rows, pixels| Outline { label: "B2?".into(), rows, pixels };
    quicklook.outline(&[
        outline((30, 60), (100, 200)),
        outline((90, 400), (700, 2000)),
        outline((500, 600), (5, 9)),
        outline((-9, 5), (5, 9)),
    ]);
    quicklook.finish().unwrap();
    let image = Image::read(&path);
    let red = |rows: std::ops::RangeInclusive<usize>, pixels: std::ops::RangeInclusive<usize>| {
        rows.flat_map(|row| pixels.clone().map(move |pixel| (row, pixel))).filter(|at| image.at(at.0, at.1) == DOUBTFUL).count()
    };
    assert!((60..70).contains(&red(20..=20, 100..=200)) && (60..70).contains(&red(50..=50, 100..=200)), "dashed");
    assert!((15..25).contains(&red(20..=50, 100..=100)) && (15..25).contains(&red(20..=50, 200..=200)));
    assert!(red(22..=40, 102..=140) > 30, "a label in the corner");
    assert!(red(99..=99, 700..=899) > 100 && red(80..=99, 899..=899) > 5, "cut off at the end of the picture");
    assert_eq!(red(0..=19, 0..=899) + red(60..=79, 0..=899), 0, "nothing else is marked");
}

#[test]
fn a_long_scan_is_kept_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    let width = 320;
    let mut quicklook = Quicklook::new(&axes(width), path.clone());
    let mut line = row(0, width, |_| [0.2; 4]);
    let mut most = 0;
    let long = sample(0, "A1", "long", 40_000, 64, 192);
    for index in 0..100_000 {
        line.index = index;
        quicklook.row(&line);
        most = most.max(quicklook.thumbnail.bytes());
        if index == 60_000 {
            // The outline shrinks along with the rows that follow.
            give(&mut quicklook, &long, 20_000, &[], |_, _| true);
        }
    }
    // A pixel takes eight bytes, and a growing vector reserves up to twice the room.
    assert!(most <= 2 * 8 * MOST_ROWS * width, "{most}");
    assert_eq!((quicklook.thumbnail.step, quicklook.thumbnail.rows, quicklook.thumbnail.width), (32, 3125, 10));
    quicklook.finish().unwrap();
    let image = Image::read(&path);
    assert_eq!((image.width, image.height), (10, 3125 + strip(1)));
    assert_eq!(image.per_metre, 63, "a pixel is 16 mm");
    let (top, bottom) = (40_000 / 32, 59_999 / 32);
    for row in [top, 1300, bottom] {
        assert_eq!((image.at(row, 1), image.at(row, 2), image.at(row, 7), image.at(row, 8)), ([255; 3], SAMPLE, SAMPLE, [255; 3]));
    }
    assert_eq!((image.at(top - 1, 4), image.at(top, 4), image.at(bottom, 4)), ([255; 3], SAMPLE, SAMPLE));
    assert_eq!(image.at(bottom + 1, 4), GROUND, "too narrow for its place, which stands below");
}

#[test]
fn rows_that_are_missing_are_gaps() {
    let mut quicklook = Quicklook::new(&axes(2), "never".into());
    for index in [5, 6, 9] {
        quicklook.row(&row(index, 2, |_| [0.3; 4]));
    }
    let seen: Vec<bool> = (0..quicklook.thumbnail.rows).map(|row| quicklook.thumbnail.value(row, 0).is_some()).collect();
    assert_eq!(seen, [true, true, false, false, true]);
    // Rows may lie any distance apart.
    quicklook.row(&row(1 << 40, 2, |_| [0.3; 4]));
    assert!(quicklook.thumbnail.rows <= MOST_ROWS && quicklook.thumbnail.bytes() < 1 << 17);
}

#[test]
fn bands_are_the_visible_ones_or_spread_over_the_range() {
    assert_eq!(shown(&BANDS), Some([2, 1, 0]));
    let swir: Vec<f64> = (0..101).map(|band| 1000.0 + 15.0 * f64::from(band)).collect();
    assert_eq!(shown(&swir), Some([75, 50, 25]));
    // Without a blue band a picture in true colour would lie.
    assert_eq!(shown(&[500.0, 550.0, 600.0, 650.0, 700.0]), Some([3, 2, 1]));
    assert_eq!((shown(&[700.0]), shown(&[])), (Some([0; 3]), None));
}

#[test]
fn names_shrink_and_then_lose_their_middle() {
    assert_eq!(fit("barley-17", 500, 3), Some(("barley-17".into(), 3)));
    assert_eq!(fit("barley-17", 110, 3), Some(("barley-17".into(), 2)));
    assert_eq!(fit("barley-17", 53, 3), Some(("barley-17".into(), 1)));
    assert_eq!(fit("barley-17", 52, 3), Some(("bar..-17".into(), 1)));
    assert_eq!(fit("barley-17", 29, 3), Some(("b..17".into(), 1)));
    assert_eq!(fit("barley-17", 28, 3), None);
    assert_eq!([0.3, 1.0, 4.9, 60.0, 1999.0].map(round_length), [0.2, 1.0, 2.0, 50.0, 1000.0]);
}

#[test]
fn names_at_the_rim_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    let mut quicklook = Quicklook::new(&axes(12), path.clone());
    for index in 0..9 {
        quicklook.row(&row(index, 12, |_| [0.3; 4]));
    }
    give(&mut quicklook, &sample(0, "A1000000000", "x", 0, 8, 4), 9, &[], |_, _| true);
    quicklook.finish().unwrap();
    let image = Image::read(&path);
    assert_eq!((image.width, image.height), (48, 36 + strip(1)), "a small grid is enlarged");
}

#[test]
fn what_cannot_be_written_says_so_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quicklook.png");
    assert!(matches!(Quicklook::new(&axes(4), path.clone()).finish(), Err(QuicklookError::NoRows { .. })));
    let picture = |path: &Path| {
        let mut quicklook = Quicklook::new(&axes(4), path.into());
        quicklook.row(&row(0, 4, |_| [0.3; 4]));
        quicklook
    };
    // A folder lies where the picture should be.
    std::fs::create_dir(&path).unwrap();
    let error = picture(&path).finish().unwrap_err();
    assert!(error.to_string().contains("cannot be renamed") && error.to_string().contains("quicklook.png"), "{error}");
    assert!(!folder.path().join(".quicklook.png.part").exists());
    let error = picture(&folder.path().join("none/quicklook.png")).finish().unwrap_err();
    assert!(matches!(error, QuicklookError::Io { doing: "created", .. }), "{error}");
}

/// A tray to look at: `HYCLUS_PICTURE=/some/folder cargo test a_picture -- --ignored`.
#[test]
#[ignore = "for the eye"]
fn a_picture_to_look_at() {
    let Some(folder) = std::env::var_os("HYCLUS_PICTURE").map(PathBuf::from) else { return };
    let (width, rows) = (320, 420);
    let mut quicklook = Quicklook::new(&axes(width), folder.join("quicklook.png"));
    let ripple =
        |index: i64, pixel: usize| f32::from(u8::try_from((usize::try_from(index).unwrap() * 7 + pixel * 13) % 40).unwrap()) / 400.0;
    let cell = |index: i64, pixel: usize| (index % 100 - 50, i64::try_from(pixel % 80).unwrap() - 40);
    let on = |index: i64, pixel: usize| {
        let (y, x) = cell(index, pixel);
        index < 400 && if index < 200 { x * x + y * y <= 34 * 34 } else { x.abs() <= 30 && y.abs() <= 44 }
    };
    for index in 0..rows {
        let gap = (250..254).contains(&index);
        let value = |pixel: usize| {
            let (dark, red) = (ripple(index, pixel) / 4.0 + 0.02, 0.3 + ripple(index, pixel));
            if gap {
                [f32::NAN; 4]
            } else if on(index, pixel) {
                [red * 0.4, red * 0.7, red, 1.0]
            } else {
                [dark, dark, dark, 1.0]
            }
        };
        quicklook.row(&row(index, width, value));
    }
    for number in 0..16_u16 {
        let (r, c) = (number / 4, number % 4);
        let at = format!("{}{}", char::from(b'A' + u8::try_from(r).unwrap()), c + 1);
        let name = ["wheat", "barley_2018-0042", "Oat.Q7", "jumpgxyz-W-0123456789-KLMNPRSTUV"][usize::from(c)];
        let sample = sample(number, &at, &format!("{name}{number}"), i64::from(r) * 100, usize::from(c) * 80, 80);
        let doubts: &[&str] = if number % 7 == 3 { &["doubt"] } else { &[] };
        give(&mut quicklook, &sample, 100, doubts, |line, pixel| on(sample.first_row + line, sample.first_pixel + pixel));
    }
    quicklook.finish().unwrap();
}
