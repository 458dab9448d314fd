//! Samples written, read back, and read by the programs of others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edit;
mod python;

use contract::{CameraDescription, Exposure, Layout, PixelFormat, Values};
use hyclus::config::{Compression, CorrectionConfig, StoreConfig};
use hyclus::context::{CameraContext, EncoderContext, Reads, ScanContext};
use hyclus::inspect;
use hyclus::join::{Axes, Row, Spectra};
use hyclus::reference::{Calibration, MendBands, Reference, Referenced};
use hyclus::scan::{Container, Footprint, Ledger, LedgerLine, LineStatus, Quality, SampleRecord, Tray};
use hyclus::segment::{Mask, Sample, SampleEvent, SampleRow};
use hyclus::store::{SampleError, Store, StoreError, StoredSample, read_sample};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const START_NS: i64 = 1_530_627_302_000_000_000;
const WIDTH: usize = 16;
const BANDS: usize = 40;
const LINES: u32 = 300;

fn container(at: &str, sample: &str) -> Container {
    let keys = BTreeMap::from([("plant".to_owned(), "Süd".to_owned()), ("name".to_owned(), "own".to_owned())]);
    let vars = BTreeMap::from([("Cu/Fe".to_owned(), 0.61)]);
    Container { at: at.into(), cell: None, footprint: None, height_mm: None, sample: sample.into(), keys, vars }
}

fn camera(name: &str, calibration: Calibration) -> CameraContext {
    let exposure = Exposure { exposure_us: 2500.0, frame_rate_hz: 50.0, binning: (1, 2) };
    let description = CameraDescription {
        model: "Maker Model".into(),
        serial: "0815".into(),
        layout: Layout { pixels: 4, bands: 3, format: PixelFormat::U16 },
        wavelengths_nm: vec![400.0, 500.0, 600.0],
        fwhm_nm: Some(vec![5.0; 3]),
        values: Values::Counts,
        saturation: Some(4095.0),
        shutter: true,
        recorded: false,
        waits: false,
        max_frame_rate_hz: 100.0,
        exposure_range_us: (10.0, 10_000.0),
        frames: None,
    };
    CameraContext { name: name.into(), description, exposure, calibration: Arc::new(calibration), correction: CorrectionConfig::default() }
}

fn referenced() -> Calibration {
    let reference = |add: f32| Reference {
        mean: (0..3).flat_map(|band| (0..4).map(move |pixel| add + 10.0 * band as f32 + pixel as f32)).collect(),
        sd: vec![1.5; 12],
        peak: vec![add + 30.0; 12],
        frames: 100,
        level_sd: 0.1,
        temperature_c: Some(21.5),
        taken_ns: START_NS - 902_000_000_000,
        exposure: Exposure { exposure_us: 2500.0, frame_rate_hz: 50.0, binning: (1, 1) },
    };
    let mut bad = vec![0; 12];
    bad[4 + 2] = 1;
    let (dark, white) = (reference(0.0), reference(1000.0));
    Calibration::Referenced(Box::new(Referenced {
        dark: dark.into(),
        white: white.into(),
        white_dark: None,
        exposure_ratio: 1.0,
        panel: vec![0.99, 0.98, 0.97],
        panel_uncertainty: None,
        certificate: None,
        gain: vec![0.001; 12],
        bad,
        bands: MendBands::new(&[400.0, 410.0, 420.0], None),
        response: None,
        height_factor: 1.0,
        drift: None,
        light: None,
        evenness: None,
    }))
}

fn context(containers: Vec<Container>) -> Arc<ScanContext> {
    let ledger = Ledger::new(2);
    let statuses = [LineStatus::Ok, LineStatus::Ok, LineStatus::Ok, LineStatus::Incomplete, LineStatus::Stalled, LineStatus::Ok];
    for (frame, status) in [8, 9, 10, 12, 310, 311].into_iter().zip(statuses) {
        let (time_ns, y_mm) = (START_NS + frame * 20_000_000, frame as f64 * 0.5);
        let device_time_ns = (frame > 9).then_some(77);
        ledger.push(
            0,
            LedgerLine {
                frame: frame as u64,
                device_time_ns,
                time_ns,
                position_mm: 100.0 + y_mm,
                y_mm,
                exposure_us: None,
                temperature_c: Some(22.5),
                status,
            },
        );
    }
    Arc::new(ScanContext {
        uncertainty: None,
        scan_id: "20180703T141502Z-T1".into(),
        start_ns: START_NS,
        tray: Tray { tray: "T1".into(), keys: vec!["plant".into(), "name".into()], grid: None, containers },
        axes: Axes {
            pixel_mm: 0.5,
            x0_mm: -4.0,
            width: WIDTH,
            wavelengths_nm: (0..BANDS).map(|band| 400.0 + 10.0 * band as f64).collect(),
            fwhm_nm: vec![12.0; BANDS],
        },
        cameras: vec![camera("vnir", referenced()), camera("swir", Calibration::Scaled { scale: 10_000.0, ignore: None })],
        encoder: Some(EncoderContext {
            name: "dense".into(),
            sha256: "ab".repeat(32),
            dimensions: 4,
            reads: Reads::All,
            edge: false,
            novelty: false,
        }),
        ledger: Arc::new(ledger),
        configuration: format!("# rig\n{}", "x".repeat(100_000)),
        configuration_sha256: "cd".repeat(32),
    })
}

/// A grid row whose values tell where they are and need every bit of their mantissa, with a gap at row 17, pixel 5.
fn row(index: i64) -> Row {
    let value = |pixel: usize, band: usize| (index as f32 * 1000.0 + pixel as f32 * 50.0 + band as f32) / 3.0;
    let mut row = Row { index, time_ns: START_NS + (index - 10) * 20_000_000, spectra: Spectra::default(), quality: vec![0; WIDTH] };
    let mut spectra: Vec<f32> = (0..WIDTH).flat_map(|pixel| (0..BANDS).map(move |band| value(pixel, band))).collect();
    if index == 17 {
        row.quality[5] = Quality::GAP;
        spectra[5 * BANDS..6 * BANDS].fill(f32::NAN);
    }
    row.spectra = spectra.into();
    row
}

/// Sample 0 covers pixels 4 to 6 in a cube from pixel 3, sample 1 pixels 10 to 12 in a cube from pixel 9.
fn sample(number: u16, container: Container) -> Arc<Sample> {
    Arc::new(Sample {
        number,
        container,
        first_row: 10,
        first_pixel: 3 + 6 * usize::from(number),
        width: 5,
        rim_mm: 0.0,
        levels: Vec::new(),
    })
}

fn mask() -> Arc<Mask> {
    Arc::new(Mask { labels: (0..WIDTH).map(|p| u16::from((4..7).contains(&p)) + 2 * u16::from((10..13).contains(&p))).collect() })
}

fn line(sample: &Arc<Sample>, line: u32) -> SampleEvent {
    SampleEvent::Row(SampleRow { sample: Arc::clone(sample), line, row: Arc::new(row(10 + i64::from(line))), mask: mask() })
}

/// Writes two samples that lie beside each other.
fn write(folder: &Path, compression: Compression) -> Vec<SampleRecord> {
    let containers = vec![container("A1", "P1-M100"), container("A2", "P2-M100")];
    let samples = [sample(0, containers[0].clone()), sample(1, containers[1].clone())];
    let mut store = Store::new(context(containers), &StoreConfig { compression, ..StoreConfig::default() }, folder).unwrap();
    let mut records = Vec::new();
    let mut give = |piece: SampleEvent| store.process(&piece, &mut |record| records.push(record)).unwrap();
    samples.iter().for_each(|s| give(SampleEvent::Open(Arc::clone(s))));
    for number in 0..LINES {
        samples.iter().for_each(|s| give(line(s, number)));
    }
    for (s, doubts) in samples.iter().zip([vec!["looks wet".to_owned()], Vec::new()]) {
        give(SampleEvent::Close { sample: Arc::clone(s), lines: LINES, doubts });
    }
    store.end_of_scan(&mut |record| records.push(record), None).unwrap();
    records
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder.join("samples")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let records = write(folder.path(), Compression::None);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].file, "samples/P2-M100.h5");
    assert_eq!((records[0].pixels, records[0].valid, records[0].shape), (900, 899, [300, 5, 40]));
    assert_eq!((records[1].pixels, records[1].valid), (900, 900));
    assert_eq!(records[0].doubts, ["looks wet"]);
    for (number, record) in records.iter().enumerate() {
        let data = read_sample(&folder.path().join(&record.file)).unwrap();
        assert_eq!((data.name.as_str(), data.container.as_str(), data.tray.as_str()), (&*record.sample, &*record.container, "T1"));
        assert_eq!((data.scan.as_str(), data.doubts.as_slice()), ("20180703T141502Z-T1", record.doubts.as_slice()));
        assert_eq!((data.keys["plant"].as_str(), data.keys["name"].as_str(), data.vars["Cu/Fe"]), ("Süd", "own", 0.61));
        assert_eq!(data.reflectance.dim(), (300, 5, 40));
        let first_pixel = 3 + 6 * number;
        for ((line, pixel, band), value) in data.reflectance.indexed_iter() {
            let expected = row(10 + line as i64).band(band, BANDS).at(first_pixel + pixel);
            assert!(*value == expected || value.is_nan() && expected.is_nan(), "{value} for {expected} at {line}, {pixel}, {band}");
        }
        assert_eq!(data.mask.row(299).to_vec(), [0, 1, 1, 1, 0]);
        assert_eq!(data.quality[[7, 2]], if number == 0 { Quality::GAP } else { 0 });
        assert_eq!((data.line_mm[0], data.line_mm.len(), data.pixel_mm[0]), (5.0, 300, -4.0 + first_pixel as f64 * 0.5));
        assert_eq!((data.time_ns[1], data.wavelengths_nm[1], data.fwhm_nm.len()), (START_NS + 20_000_000, 410.0, BANDS));
    }
}

/// What went into the cube of the first sample, as bytes beside the file: what a reader must give back, bit for bit.
fn truth(folder: &Path) -> PathBuf {
    let values = (0..LINES).flat_map(|line| row(10 + i64::from(line)).to_vec(3..8, BANDS));
    let path = folder.join("cube.f32");
    std::fs::write(&path, values.flat_map(f32::to_ne_bytes).collect::<Vec<u8>>()).unwrap();
    path
}

#[test]
fn the_programs_of_others_read_it_bit_for_bit() {
    let (plain, packed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = plain.path().join(&write(plain.path(), Compression::None)[0].file);
    let small = packed.path().join(&write(packed.path(), Compression::Deflate)[0].file);
    let truth = truth(plain.path());
    python::run("sample_h5py.py", &[&file, &small, &truth]);
    for script in ["sample_xarray.py", "sample_silx.py", "sample_nexusformat.py", "sample_hyperspy.py"] {
        for file in [&file, &small] {
            python::run(script, &[file, &truth]);
        }
    }
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = |folder: &Path| {
        write(folder, Compression::Deflate).iter().map(|record| std::fs::read(folder.join(&record.file)).unwrap()).collect::<Vec<_>>()
    };
    // Times within the file are whole seconds: the second run must fall into another.
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let one = bytes(first.path());
    while std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() <= before {
        std::thread::yield_now();
    }
    assert!(one == bytes(second.path()));
}

#[test]
fn no_name_appears_before_the_sample_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample(0, container("A1", "s"));
    let mut store = Store::new(context(vec![container("A1", "s")]), &StoreConfig::default(), folder.path()).unwrap();
    assert!(listed(folder.path()).is_empty());
    let mut records = Vec::new();
    store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |r| records.push(r)).unwrap();
    (0..40).for_each(|number| store.process(&line(&sample, number), &mut |r| records.push(r)).unwrap());
    assert_eq!((listed(folder.path()), records.len()), (vec![".s.h5.part".to_owned()], 0));

    store.end_of_scan(&mut |r| records.push(r), Some("stopped by the operator")).unwrap();
    assert_eq!(listed(folder.path()), ["s.h5"]);
    assert_eq!(records[0].doubts, ["the scan ended before the sample did: stopped by the operator"]);
    let data = read_sample(&folder.path().join("samples/s.h5")).unwrap();
    assert_eq!((data.reflectance.dim().0, &data.doubts), (40, &records[0].doubts));

    store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |r| records.push(r)).unwrap();
    drop(store);
    assert_eq!(listed(folder.path()), ["s.h5"], "a store that is dropped leaves nothing unfinished");
}

#[test]
fn a_sample_is_told_of_once_it_is_complete_though_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample(0, container("A1", "s"));
    let mut store = Store::new(context(vec![container("A1", "s")]), &StoreConfig::default(), folder.path()).unwrap();
    let mut records = Vec::new();
    for piece in [SampleEvent::Open(Arc::clone(&sample)), line(&sample, 0), SampleEvent::Close { sample, lines: 1, doubts: Vec::new() }] {
        store.process(&piece, &mut |r| records.push(r)).unwrap();
    }
    while records.is_empty() {
        store.tick(&mut |r| records.push(r)).unwrap();
        std::thread::yield_now();
    }
    assert_eq!((listed(folder.path()), records[0].file.as_str()), (vec!["s.h5".to_owned()], "samples/s.h5"));
    store.end_of_scan(&mut |_| panic!("again"), None).unwrap();
}

#[test]
fn a_second_sample_of_a_container_takes_no_other_place() {
    let folder = tempfile::tempdir().unwrap();
    let tray = vec![container("A1", "s"), container("A2", "S.2")];
    let mut store = Store::new(context(tray), &StoreConfig::default(), folder.path()).unwrap();
    let mut files = Vec::new();
    for (number, name) in [(0, "s"), (1, "s"), (0, "S.2")] {
        let sample = sample(number, container("A1", name));
        // A sample is told of when its file is complete, with whichever piece comes then.
        for piece in [SampleEvent::Open(Arc::clone(&sample)), line(&sample, 0), SampleEvent::Close { sample, lines: 1, doubts: Vec::new() }]
        {
            store.process(&piece, &mut |r| files.push(r.file)).unwrap();
        }
    }
    store.end_of_scan(&mut |r| files.push(r.file), None).unwrap();
    assert_eq!(files, ["samples/s.h5", "samples/s.3.h5", "samples/S.2.h5"], "each once, in their order");
}

#[test]
fn pieces_out_of_order_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(context(vec![container("A1", "s")]), &StoreConfig::default(), folder.path()).unwrap();
    let mut give = |piece: &SampleEvent| store.process(piece, &mut |_| panic!("nothing is complete"));
    let sample = sample(0, container("A1", "s"));
    assert!(matches!(give(&line(&sample, 0)), Err(StoreError::Order { .. })), "a row of a sample that is not open");
    give(&SampleEvent::Open(Arc::clone(&sample))).unwrap();
    assert!(matches!(give(&line(&sample, 1)), Err(StoreError::Order { .. })), "a hole");
    let close = SampleEvent::Close { sample, lines: 7, doubts: Vec::new() };
    assert!(matches!(give(&close), Err(StoreError::Order { .. })), "lines that did not come");
}

#[test]
fn an_error_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut scan = ScanContext::clone(&context(vec![container("A1", "s")]));
    scan.cameras[1].name = String::new();
    let mut store = Store::new(Arc::new(scan), &StoreConfig::default(), folder.path()).unwrap();
    let sample = sample(0, container("A1", "s"));
    store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |_| ()).unwrap();
    store.process(&line(&sample, 0), &mut |_| ()).unwrap();
    let closed = store.process(&SampleEvent::Close { sample, lines: 1, doubts: Vec::new() }, &mut |_| ());
    let error = closed.and_then(|()| store.end_of_scan(&mut |_| (), None)).unwrap_err();
    let StoreError::Hdf5 { file, path, .. } = &error else { panic!("{error}") };
    assert_eq!((file.as_path(), path.as_str()), (&*folder.path().join("samples/.s.h5.part"), "/entry/instrument/"), "{error}");
    assert!(listed(folder.path()).is_empty(), "an unfinished file is removed");

    let nothing = read_sample(&folder.path().join("none.h5")).unwrap_err().to_string();
    assert!(nothing.contains("none.h5"), "{nothing}");
}

#[test]
fn a_footprint_of_the_tray_map_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = container("A1", "s");
    place.footprint = Some(Footprint { x_mm: 1.0, y_mm: 2.0, width_mm: 3.0, length_mm: 4.0, round: true });
    let mut store = Store::new(context(vec![place.clone()]), &StoreConfig::default(), folder.path()).unwrap();
    let sample = sample(0, place);
    store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |_| ()).unwrap();
    store.process(&line(&sample, 0), &mut |_| ()).unwrap();
    store.end_of_scan(&mut |_| (), None).unwrap();
    let text = shown(&folder.path().join("samples/s.h5"));
    assert!(text.contains("source  () unicode (var len) = \"tray map\"") && text.contains("= \"round\""), "{text}");
    assert!(text.contains("width  () float64 = 3  @long_name=\"extent across the tray\"  @units=\"mm\""), "{text}");
}

fn shown(path: &Path) -> String {
    let mut text = Vec::new();
    inspect::hdf5(path, false, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_file_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(&write(folder.path(), Compression::Deflate)[0].file);
    let text = shown(&file);
    if std::env::var_os("HYCLUS_SHOW").is_some() {
        eprintln!("{text}");
    }
    for part in [
        "sample       P1-M100",
        "container    A1 of tray T1, scan 20180703T141502Z-T1",
        "plant        Süd",
        "doubt        looks wet",
        "300 lines x 5 pixels x 40 bands, 150.0 x 2.5 mm",
        "400.0 to 790.0 nm",
        "899 of 900 pixels on the sample (99.9 %)",
        "▁",
        "reflectance  (line=300, pixel=5, wavelength=40) float32",
        "@flag_masks=[1, 2, 4, 8, ...]",
    ] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

#[test]
fn a_file_of_a_newer_format_is_refused_and_still_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(&write(folder.path(), Compression::None)[0].file);
    let version = |version: i32| {
        let file = edit::open_rw(&path);
        file.attr("hyclus_format_version").unwrap().write_scalar(&version).unwrap();
    };
    version(1);
    assert_eq!(read_sample(&path).unwrap().name, "P1-M100");
    version(2);
    let refusal = "its format version is 2, and this program reads versions up to 1; update hyclus";
    for error in [read_sample(&path).err().unwrap(), StoredSample::open(&path).err().unwrap()] {
        assert!(matches!(error, SampleError::Newer(_)) && error.to_string().ends_with(refusal), "{error}");
    }
    let text = shown(&path);
    assert!(text.lines().next().unwrap().ends_with(refusal), "{text}");
    assert!(text.contains("reflectance  (line=300, pixel=5, wavelength=40) float32") && !text.contains("sample       P1-M100"), "{text}");

    // Files before the first version state none.
    edit::open_rw(&path).delete_attr("hyclus_format_version").unwrap();
    assert_eq!(read_sample(&path).unwrap().name, "P1-M100");
}

#[test]
fn the_same_lines_give_the_same_bytes_however_they_are_written() {
    let file = |config: StoreConfig| {
        let folder = tempfile::tempdir().unwrap();
        let mut scan = ScanContext::clone(&context(vec![container("A1", "s")]));
        (scan.axes.width, scan.axes.wavelengths_nm, scan.axes.fwhm_nm) = (90, vec![500.0; 700], vec![5.0; 700]);
        let sample = Arc::new(Sample {
            number: 0,
            container: container("A1", "s"),
            first_row: 0,
            first_pixel: 0,
            width: 90,
            rim_mm: 0.0,
            levels: Vec::new(),
        });
        let mask = Arc::new(Mask { labels: vec![1; 90] });
        let mut store = Store::new(Arc::new(scan), &config, folder.path()).unwrap();
        store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |_| ()).unwrap();
        // Several chunks, which end within a page, and a last one that is not full.
        for line in 0..40 {
            let spectra: Vec<f32> = (0..90 * 700).map(|i| (i * 7919 % 997) as f32 * 1e-4 + line as f32).collect();
            let row = Arc::new(Row { index: i64::from(line), time_ns: START_NS, spectra: spectra.into(), quality: vec![0; 90] });
            let piece = SampleRow { sample: Arc::clone(&sample), line, row, mask: Arc::clone(&mask) };
            store.process(&SampleEvent::Row(piece), &mut |_| ()).unwrap();
        }
        store.process(&SampleEvent::Close { sample, lines: 40, doubts: Vec::new() }, &mut |_| ()).unwrap();
        store.end_of_scan(&mut |_| (), None).unwrap();
        let path = folder.path().join("samples/s.h5");
        let read = read_sample(&path).unwrap();
        assert_eq!((read.reflectance[[0, 0, 0]], read.reflectance[[39, 0, 0]]), (0.0, 39.0));
        std::fs::read(path).unwrap()
    };
    for compression in [Compression::None, Compression::Deflate] {
        let one = StoreConfig { compression, ..StoreConfig::default() };
        let bytes = file(one.clone());
        for other in [
            StoreConfig { direct: false, ..one.clone() },
            StoreConfig { threads: 4, ..one.clone() },
            StoreConfig { threads: 1, sync: false, ..one.clone() },
        ] {
            assert!(file(other.clone()) == bytes, "{other:?} gives other bytes than {one:?}");
        }
    }
}

/// `cargo test --release --test store -- --ignored --nocapture`: how fast 1 GB goes to `HYCLUS_BENCH` (a folder), else to the temporary folder.
#[test]
#[ignore = "writes 1 GB"]
fn throughput() {
    let base = std::env::var_os("HYCLUS_BENCH").map_or_else(std::env::temp_dir, Into::into);
    for (compression, lines) in [(Compression::None, 3400), (Compression::None, 3400), (Compression::Deflate, 340)] {
        let folder = tempfile::tempdir_in(&base).unwrap();
        let mut scan = ScanContext::clone(&context(vec![container("A1", "s")]));
        (scan.axes.width, scan.axes.wavelengths_nm, scan.axes.fwhm_nm) = (100, vec![500.0; 736], vec![5.0; 736]);
        let place = container("A1", "s");
        let sample =
            Arc::new(Sample { number: 0, container: place, first_row: 0, first_pixel: 0, width: 100, rim_mm: 0.0, levels: Vec::new() });
        let spectra: Vec<f32> = (0..100 * 736).map(|i| 0.3 + (i % 736) as f32 * 1e-4 + (i * 7919 % 101) as f32 * 1e-5).collect();
        let row = Arc::new(Row { index: 0, time_ns: START_NS, spectra: spectra.into(), quality: vec![0; 100] });
        let mask = Arc::new(Mask { labels: vec![1; 100] });
        let mut store = Store::new(Arc::new(scan), &StoreConfig { compression, ..StoreConfig::default() }, folder.path()).unwrap();
        let start = std::time::Instant::now();
        store.process(&SampleEvent::Open(Arc::clone(&sample)), &mut |_| ()).unwrap();
        for line in 0..lines {
            let piece = SampleEvent::Row(SampleRow { sample: Arc::clone(&sample), line, row: Arc::clone(&row), mask: Arc::clone(&mask) });
            store.process(&piece, &mut |_| ()).unwrap();
        }
        let written = start.elapsed();
        store.process(&SampleEvent::Close { sample, lines, doubts: Vec::new() }, &mut |_| ()).unwrap();
        store.end_of_scan(&mut |_| (), None).unwrap();
        let closed = start.elapsed();
        let bytes = std::fs::metadata(folder.path().join("samples/s.h5")).unwrap();
        let megabytes = f64::from(lines) * 0.2944;
        eprintln!(
            "{compression:?}: {megabytes:.0} MB of cube, {:.0} MB in the file: {:.0} MB/s, {:.0} MB/s with fsync",
            std::os::unix::fs::MetadataExt::blocks(&bytes) as f64 * 512e-6,
            megabytes / written.as_secs_f64(),
            megabytes / closed.as_secs_f64()
        );
    }
}
