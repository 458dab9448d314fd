//! Captures as folders, and the cameras made of them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod written;

use contract::{CameraError, Exposure, FrameInfo, FramePool, FrameStatus, LineCamera, Received, StreamStatistics, Subject, Values};
use replay::capture::{Capture as Opened, CaptureError, Reference, Warning};
use replay::{Camera, CameraConfig, Pace};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use written::Capture;

const PLAIN: Capture = Capture { lines: 6, fps: 50.0, references: true, frames: None };

fn camera(path: &Path) -> Camera {
    Camera::open("vnir", &CameraConfig::new(path)).unwrap()
}

fn config(path: &Path, more: &str) -> CameraConfig {
    toml::from_str(&format!("path = {:?}\n{more}", path.to_str().unwrap())).unwrap()
}

fn play(camera: &mut Camera, subject: Subject) -> (Vec<(FrameInfo, Vec<u16>)>, StreamStatistics) {
    let pool = FramePool::new(camera.describe().layout, 2);
    let mut stream = camera.start(pool, subject).unwrap();
    let mut frames = Vec::new();
    loop {
        match stream.next(Instant::now() + Duration::from_secs(10)).unwrap() {
            Received::Frame(frame) => frames.push((frame.info, frame.slot.as_u16().unwrap().to_vec())),
            Received::Nothing => panic!("a recording does not wait"),
            Received::End => break,
        }
    }
    let statistics = stream.statistics();
    drop(stream);
    camera.ensure_stopped().unwrap();
    (frames, statistics)
}

fn replace(path: PathBuf, from: &str, to: &str) {
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_capture_is_found_by_folder_header_or_data() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let capture = folder.path().join("capture");
    for path in [folder.path().to_owned(), capture.clone(), capture.join("NAME.hdr"), capture.join("NAME.raw")] {
        let opened = Opened::open(&path).unwrap();
        assert_eq!((opened.name.as_str(), opened.lines(), opened.warnings.len()), ("NAME", 6, 0));
        assert!(matches!((&opened.dark, &opened.white), (Reference::Found(_), Reference::Found(_))));
        assert!(opened.records.is_none());
    }
}

#[test]
fn no_capture_or_several_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Opened::open(folder.path()), Err(CaptureError::NoImage { .. })));
    PLAIN.write(folder.path());
    let capture = folder.path().join("capture");
    fs::copy(capture.join("NAME.hdr"), capture.join("ANOTHER.hdr")).unwrap();
    let error = Opened::open(folder.path()).unwrap_err();
    assert!(matches!(&error, CaptureError::SeveralImages { names, .. } if *names == ["ANOTHER.hdr", "NAME.hdr"]), "{error}");
    Opened::open(&capture.join("NAME.hdr")).unwrap();
}

#[test]
fn the_description_is_what_the_header_says() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let camera = camera(folder.path());
    let description = camera.describe();
    assert_eq!(description.model, "TEST 1");
    assert_eq!(description.wavelengths_nm, [400.0, 410.0, 420.0, 430.0, 440.0]);
    assert_eq!((description.values, description.saturation, description.frames), (Values::Counts, None, Some(6)));
    assert!(description.recorded && description.waits && !description.shutter);
    let exposure = camera.exposure();
    // `binning = {4, 2}` is spectral, spatial.
    assert_eq!((exposure.exposure_us, exposure.frame_rate_hz, exposure.binning), (1500.0, 50.0, (2, 4)));
}

#[test]
fn the_good_bands_of_the_header_are_those_of_the_camera() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    assert_eq!(camera(folder.path()).used_bands(), None);
    let header = folder.path().join("capture/NAME.hdr");
    replace(header.clone(), "fps", "bbl = {1, 1, 0, 1, 0}\nfps");
    assert_eq!(camera(folder.path()).used_bands(), Some([true, true, false, true, false].as_slice()));
    replace(header, "{1, 1, 0, 1, 0}", "{0, 0, 0, 0, 0}");
    let error = Camera::open("vnir", &CameraConfig::new(folder.path())).unwrap_err();
    assert!(error.to_string().contains("no band is good"), "{error}");
}

#[test]
fn each_subject_plays_its_own_recording() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let mut camera = camera(folder.path());
    for (subject, lines, base) in [(Subject::Tray, 6, 0), (Subject::Dark, 4, 1000), (Subject::White, 5, 2000), (Subject::Tray, 6, 0)] {
        let (frames, statistics) = play(&mut camera, subject);
        assert_eq!(statistics, StreamStatistics { received: lines, lost_pool: 0, lost_link: 0 });
        for (line, (info, counts)) in frames.iter().enumerate() {
            assert_eq!(info.number, line as u64);
            // 2000-01-01 and 50 lines a second, on every run and every machine.
            assert_eq!(info.time_ns, 946_684_800_000_000_000 + 20_000_000 * line as i64);
            assert_eq!((info.position_mm, info.status), (None, FrameStatus::Ok));
            let first = base + 60 * line as u16;
            assert_eq!(*counts, (first..first + 60).collect::<Vec<u16>>());
        }
    }
}

#[test]
fn a_missing_reference_is_told_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    Capture { references: false, ..PLAIN }.write(folder.path());
    let mut camera = camera(folder.path());
    let pool = FramePool::new(camera.describe().layout, 2);
    for (subject, name) in [(Subject::Dark, "DARKREF_NAME.hdr"), (Subject::White, "WHITEREF_NAME.hdr")] {
        match camera.start(pool.clone(), subject) {
            Err(CameraError::NoRecording { subject: told, path, .. }) => {
                assert_eq!((told, path), (subject, folder.path().join("capture").join(name)));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("there is no recording"),
        }
    }
    assert_eq!(play(&mut camera, Subject::Tray).0.len(), 6);
}

#[test]
fn a_reference_of_another_shape_is_refused_with_both() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let path = folder.path().join("capture/WHITEREF_NAME.hdr");
    // Twelve pixels by five bands become five pixels by twelve bands. The size of the file still fits.
    let more = "interleave = bil\ndata type = 12\nbyte order = 0";
    fs::write(&path, written::header(5, 5, 12, more)).unwrap();
    let error = Opened::open(folder.path()).unwrap_err();
    assert!(matches!(&error, CaptureError::Reference { path: told, .. } if *told == path));
    assert!(error.to_string().contains("5 samples x 12 bands") && error.to_string().contains("12 x 5"), "{error}");
}

#[test]
fn references_are_found_in_any_case_and_with_any_ending() {
    for (header, data) in
        [("darkref_name.HDR", "darkref_name.RAW"), ("DARKREF_NAME.bil.hdr", "DARKREF_NAME.bil"), ("Darkref_NAME.hdr", "Darkref_NAME")]
    {
        let folder = tempfile::tempdir().unwrap();
        PLAIN.write(folder.path());
        let capture = folder.path().join("capture");
        fs::rename(capture.join("DARKREF_NAME.hdr"), capture.join(header)).unwrap();
        fs::rename(capture.join("DARKREF_NAME.raw"), capture.join(data)).unwrap();
        assert_eq!(play(&mut camera(folder.path()), Subject::Dark).0.len(), 4, "{header}");
        fs::copy(capture.join(header), capture.join("DARKREF_NAME.IMG.hdr")).unwrap();
        fs::copy(capture.join(data), capture.join("DARKREF_NAME.IMG")).unwrap();
        match Opened::open(folder.path()) {
            Err(error @ CaptureError::SeveralReferences { .. }) => {
                assert!(error.to_string().contains(header) && error.to_string().contains("DARKREF_NAME.IMG.hdr"), "{error}");
            }
            // A name in the same case goes before another.
            Ok(opened) => assert!(matches!(opened.dark, Reference::Found(image) if image.header_path().ends_with("DARKREF_NAME.IMG.hdr"))),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_references_of_a_folder_serve_its_image() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let capture = folder.path().join("capture");
    for (from, to) in [("DARKREF_NAME", "darkReference"), ("WHITEREF_NAME", "whiteReference")] {
        fs::rename(capture.join(format!("{from}.hdr")), capture.join(format!("{to}.hdr"))).unwrap();
        fs::rename(capture.join(format!("{from}.raw")), capture.join(to)).unwrap();
    }
    let mut camera = camera(folder.path());
    assert_eq!((play(&mut camera, Subject::Dark).0.len(), play(&mut camera, Subject::White).0.len()), (4, 5));
}

#[test]
fn an_exposure_that_the_header_lacks_is_that_of_the_request_and_never_the_frame_period() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let mut stated = camera(folder.path());
    let wanted = Exposure { exposure_us: 700.0, ..stated.exposure() };
    assert_eq!(stated.apply(&wanted).unwrap().exposure_us, 1500.0);
    replace(folder.path().join("capture/NAME.hdr"), "tint", "other");
    let mut camera = camera(folder.path());
    assert!(camera.exposure().exposure_us.is_nan());
    assert_eq!((camera.apply(&wanted).unwrap().exposure_us, camera.exposure().exposure_us), (700.0, 700.0));
}

#[test]
fn dark_lines_at_the_end_are_the_dark_reference_where_there_is_none_and_else_the_one_after() {
    let folder = tempfile::tempdir().unwrap();
    Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
    let capture = folder.path().join("capture");
    replace(capture.join("NAME.hdr"), "fps", "autodarkstartline = 4\nfps");
    let mut with = camera(folder.path());
    assert_eq!((with.describe().frames, play(&mut with, Subject::Tray).0.len()), (Some(4), 4));
    let first = |frames: &[(FrameInfo, Vec<u16>)]| (frames.len(), frames[0].1[0], frames[0].0.time_ns - Capture::TIME_NS as i64);
    assert_eq!(first(&play(&mut with, Subject::DarkAfter).0), (2, 240, 80_000_000));
    assert_eq!(play(&mut with, Subject::Dark).0[0].1[0], 1000);
    fs::remove_file(capture.join("DARKREF_NAME.hdr")).unwrap();
    let mut without = camera(folder.path());
    assert_eq!(first(&play(&mut without, Subject::Dark).0), (2, 240, 80_000_000));
    assert!(without.start(FramePool::new(without.describe().layout, 2), Subject::DarkAfter).is_err());
    for (value, frames, doubts) in [("6", 6, 0), ("0", 6, 1), ("7", 6, 1), ("soon", 6, 1)] {
        let text = fs::read_to_string(capture.join("NAME.hdr")).unwrap();
        let line = text.lines().find(|line| line.starts_with("autodark")).unwrap();
        fs::write(capture.join("NAME.hdr"), text.replace(line, &format!("autodarkstartline = {value}"))).unwrap();
        let opened = camera(folder.path());
        assert_eq!((opened.describe().frames, opened.warnings().len()), (Some(frames), doubts), "{value}");
    }
}

#[test]
fn the_dark_of_the_white_recording_is_a_subject_and_undated_references_have_the_times_of_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
    let capture = folder.path().join("capture");
    let pool = FramePool::new(camera(folder.path()).describe().layout, 2);
    match camera(folder.path()).start(pool, Subject::WhiteDark) {
        Err(CameraError::NoRecording { path, .. }) => assert!(path.ends_with("WHITEDARKREF_NAME.hdr"), "{}", path.display()),
        _ => panic!("there is no recording"),
    }
    for (from, to) in [("DARKREF_NAME", "WHITEDARKREF_NAME"), ("WHITEREF_NAME", "DARKREFAFTER_NAME")] {
        for ending in ["hdr", "raw"] {
            fs::copy(capture.join(format!("{from}.{ending}")), capture.join(format!("{to}.{ending}"))).unwrap();
        }
    }
    let mut camera = camera(folder.path());
    let after_ns = |ns: i64| ns - Capture::TIME_NS as i64;
    assert_eq!(camera.lines_ns(), (Capture::TIME_NS as i64, Capture::TIME_NS as i64 + 100_000_000));
    for (subject, lines, counts, ns) in [
        (Subject::WhiteDark, 4, 1000, 0),
        (Subject::Dark, 4, 1000, 0),
        (Subject::White, 5, 2000, 0),
        (Subject::DarkAfter, 5, 2000, 100_000_000),
    ] {
        let frames = play(&mut camera, subject).0;
        assert_eq!((frames.len(), frames[0].1[0], after_ns(frames[0].0.time_ns)), (lines, counts, ns), "{subject}");
    }
    replace(capture.join("DARKREFAFTER_NAME.hdr"), "fps", "acquisition time = 2018-07-03T14:15:02.25Z\nfps");
    let dated = play(&mut Camera::open("vnir", &CameraConfig::new(folder.path())).unwrap(), Subject::DarkAfter).0;
    assert_eq!(dated[0].0.time_ns, 1_530_627_302_250_000_000);
}

#[test]
fn a_table_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
    let table = folder.path().join("capture/NAME.lines.csv");
    let whole = fs::read_to_string(&table).unwrap();
    fs::write(&table, whole.clone() + "6,6," + &"1".repeat(1 << 20)).unwrap();
    let error = Opened::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("longer than") && error.len() < 1000, "{error}");
    // Text behind zeros tells nothing.
    for more in ["\0\0\n6,6,1,1,ok\n", "\0\0\0torn"] {
        fs::write(&table, whole.clone() + more).unwrap();
        let opened = Opened::open(folder.path()).unwrap();
        assert_eq!((opened.lines(), opened.torn_rows), (6, 1), "{more:?}");
    }
    // The size is stated, and nothing behind it is stored.
    fs::write(&table, &whole).unwrap();
    fs::OpenOptions::new().write(true).open(&table).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(Opened::open(folder.path()).unwrap().torn_rows, 1);
}

#[test]
fn a_line_larger_than_any_camera_gives_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let header = folder.path().join("capture/NAME.hdr");
    let text =
        "ENVI\nsamples = 2000000000\nlines = 0\nbands = 1\ninterleave = bil\ndata type = 12\nbyte order = 0\nfps = 1\nwavelength = {500}\n";
    fs::write(header, text).unwrap();
    fs::write(folder.path().join("capture/NAME.raw"), []).unwrap();
    for reference in ["DARKREF_NAME", "WHITEREF_NAME"] {
        fs::remove_file(folder.path().join(format!("capture/{reference}.hdr"))).unwrap();
    }
    let error = Camera::open("vnir", &CameraConfig::new(folder.path())).unwrap_err();
    assert!(error.to_string().contains("MiB"), "{error}");
}

#[test]
fn holes_are_counted_and_stamps_come_from_the_table() {
    let folder = tempfile::tempdir().unwrap();
    Capture { frames: Some(vec![100, 101, 104, 105, 106, 108]), ..PLAIN }.write(folder.path());
    replace(folder.path().join("capture/NAME.lines.csv"), "3,105,1530000000100000000,-1,ok", "3,105,1530000000100000000,,packets missing");
    let mut camera = camera(folder.path());
    assert_eq!(camera.first_frame(), 100);
    let (frames, statistics) = play(&mut camera, Subject::Tray);
    assert_eq!(statistics, StreamStatistics { received: 6, lost_pool: 0, lost_link: 3 });
    let numbers: Vec<u64> = frames.iter().map(|(info, _)| info.number).collect();
    assert_eq!(numbers, [0, 1, 4, 5, 6, 8]);
    let times: Vec<i64> = frames.iter().map(|(info, _)| info.time_ns - Capture::TIME_NS as i64).collect();
    assert_eq!(times, [0, 20_000_000, 80_000_000, 100_000_000, 120_000_000, 160_000_000]);
    let positions: Vec<Option<f64>> = frames.iter().map(|(info, _)| info.position_mm).collect();
    assert_eq!(positions[2], Some(0.08 * 40.0 - 5.0));
    assert_eq!((positions[3], frames[3].0.status, frames[4].0.status), (None, FrameStatus::Incomplete, FrameStatus::Ok));
    assert_eq!(camera.records().unwrap()[3].fault.as_deref(), Some("packets missing"));
}

#[test]
fn a_repeated_recording_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    Capture { frames: Some(vec![7, 8, 10, 11, 12, 13]), ..PLAIN }.write(folder.path());
    let mut camera = Camera::open("vnir", &config(folder.path(), "repeat = 3")).unwrap();
    assert_eq!(camera.describe().frames, Some(18));
    let (frames, statistics) = play(&mut camera, Subject::Tray);
    assert_eq!(statistics, StreamStatistics { received: 18, lost_pool: 0, lost_link: 3 });
    for (info, _) in &frames {
        // One frame is 20 ms and 0.8 mm, in every round and between them.
        assert_eq!(info.time_ns, Capture::TIME_NS as i64 + 20_000_000 * info.number as i64);
        assert!((info.position_mm.unwrap() - (0.8 * info.number as f64 - 5.0)).abs() < 1e-9, "{info:?}");
    }
    assert_eq!(frames[6].0.number, 7);
    assert_eq!(frames[6].1, frames[0].1);
    assert_eq!(play(&mut camera, Subject::Dark).0.len(), 4, "references are played once");
}

#[test]
fn a_repeated_recording_without_a_table_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let mut camera = Camera::open("vnir", &config(folder.path(), "repeat = 2")).unwrap();
    let (frames, _) = play(&mut camera, Subject::Tray);
    for (index, (info, _)) in frames.iter().enumerate() {
        assert_eq!((info.number, info.time_ns), (index as u64, 946_684_800_000_000_000 + 20_000_000 * index as i64));
    }
    assert_eq!(frames.len(), 12);
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for rows in [5, 7] {
        Capture { frames: Some((0..rows).collect()), ..PLAIN }.write(folder.path());
        let error = Opened::open(folder.path()).unwrap_err();
        assert!(matches!(error, CaptureError::Rows { rows: told, lines: 6, .. } if told as u64 == rows), "{error}");
    }
}

#[test]
fn a_row_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("capture/NAME.lines.csv");
    let wrong = [
        ("line,frame", "frame,line", 1),
        ("2,2,", "2,two,", 4),
        ("2,2,", "2,1,", 4),
        ("2,2,", "3,2,", 4),
        ("3,3,1530000000060000000,-2.6,ok", "3,3,1530000000060000000,NaN,ok", 5),
        ("3,3,1530000000060000000,-2.6,ok", "3,3,1530000000060000000,-2.6", 5),
        ("3,3,1530000000060000000,-2.6,ok", "3,3,soon,-2.6,ok", 5),
        ("3,3,1530000000060000000,-2.6,ok", "", 5),
    ];
    for (from, to, line) in wrong {
        Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
        replace(table.clone(), from, to);
        let error = Opened::open(folder.path()).unwrap_err();
        assert!(matches!(&error, CaptureError::Row { row, .. } if *row == line), "{to}: {error}");
    }
}

#[test]
fn a_torn_last_row_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("capture/NAME.lines.csv");
    for (cut, zeros) in [(2, 0), (4, 0), (12, 0), (20, 0), (12, 300)] {
        Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
        let mut bytes = fs::read(&table).unwrap();
        bytes.truncate(bytes.len() - cut);
        bytes.resize(bytes.len() + zeros, 0);
        fs::write(&table, bytes).unwrap();
        let opened = Opened::open(folder.path()).unwrap();
        assert_eq!((opened.lines(), opened.torn_rows), (5, 1), "cut {cut}");
        assert_eq!(opened.warnings, [Warning::TornRow { path: table.clone(), rows: 5, lines: 6, used: 5 }]);
        let mut camera = camera(folder.path());
        assert_eq!((play(&mut camera, Subject::Tray).0.len(), camera.describe().frames), (5, Some(5)));
    }
    // Only the end of line is missing. The row is whole.
    Capture { frames: Some((0..6).collect()), ..PLAIN }.write(folder.path());
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.trim_end().replace('\n', "\r\n")).unwrap();
    assert_eq!((Opened::open(folder.path()).unwrap().lines(), Opened::open(folder.path()).unwrap().torn_rows), (6, 0));
}

#[test]
fn the_frame_rate_comes_from_configuration_header_or_table() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let rate = |more: &str| Camera::open("vnir", &config(folder.path(), more)).map(|camera| camera.exposure().frame_rate_hz);
    assert_eq!(rate(""), Ok(50.0));
    assert_eq!(rate("frame_rate_hz = 20.0"), Ok(20.0));
    assert!(matches!(rate("frame_rate_hz = 0.0"), Err(CameraError::Refused { setting: "frame_rate_hz", .. })));
    replace(folder.path().join("capture/NAME.hdr"), "fps", "other");
    let error = rate("").unwrap_err();
    assert!(matches!(error, CameraError::Recording { .. }) && error.to_string().contains("frame_rate_hz"), "{error}");
    Capture { frames: Some(vec![3, 4, 5, 8, 9, 10]), ..PLAIN }.write(folder.path());
    replace(folder.path().join("capture/NAME.hdr"), "fps", "other");
    assert_eq!(rate(""), Ok(50.0), "holes count");
}

#[test]
fn values_and_saturation_are_told_or_follow_from_the_header() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let open = |more: &str| Camera::open("vnir", &config(folder.path(), more)).map(|c| (c.describe().values, c.describe().saturation));
    let reflectance = |scale, ignore| Values::Reflectance { scale, ignore };
    assert_eq!(open(""), Ok((Values::Counts, None)));
    assert_eq!(open("bits = 12"), Ok((Values::Counts, Some(4095.0))));
    assert_eq!(open("bits = 16"), Ok((Values::Counts, Some(65_535.0))));
    assert_eq!(open("saturation = 4000.0"), Ok((Values::Counts, Some(4000.0))));
    assert_eq!(open("values = 'reflectance'"), Ok((reflectance(1.0, None), None)));
    for wrong in ["bits = 0", "bits = 17", "bits = 12\nsaturation = 4000.0"] {
        assert!(matches!(open(wrong), Err(CameraError::Refused { setting: "bits", .. })), "{wrong}");
    }
    assert!(matches!(open("saturation = nan"), Err(CameraError::Refused { setting: "saturation", .. })));
    let header = folder.path().join("capture/NAME.hdr");
    replace(header, "fps", "reflectance scale factor = 10000\ndata ignore value = 0\nfps");
    assert_eq!(open(""), Ok((reflectance(10_000.0, Some(0.0)), None)));
    assert_eq!(open("values = 'counts'"), Ok((Values::Counts, None)));
}

#[test]
fn unknown_keys_and_words_are_refused() {
    for wrong in ["path = 'a'\nspeed = 3", "path = 'a'\npace = 'fast'", "path = 'a'\nrepeat = 0", "pace = 'as_read'"] {
        assert!(toml::from_str::<CameraConfig>(wrong).is_err(), "{wrong}");
    }
    let least: CameraConfig = toml::from_str("path = 'a'").unwrap();
    assert_eq!(least, CameraConfig::new("a"));
    assert_eq!(toml::from_str::<CameraConfig>("path = 'a'\npace = 'real_time'").unwrap().pace, Pace::RealTime);
    assert!(toml::from_str::<replay::ConveyorConfig>("speed = 3").is_err());
}

#[test]
fn a_recording_without_wavelengths_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    replace(folder.path().join("capture/NAME.hdr"), "wavelength = ", "centres = ");
    let error = Camera::open("vnir", &CameraConfig::new(folder.path())).unwrap_err();
    assert!(matches!(error, CameraError::Recording { .. }) && error.to_string().contains("`wavelength`"), "{error}");
}

#[test]
fn a_file_that_shrinks_while_it_is_played_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    PLAIN.write(folder.path());
    let mut camera = camera(folder.path());
    let mut stream = camera.start(FramePool::new(camera.describe().layout, 2), Subject::Tray).unwrap();
    fs::OpenOptions::new().write(true).open(folder.path().join("capture/NAME.raw")).unwrap().set_len(150).unwrap();
    let soon = || Instant::now() + Duration::from_secs(10);
    assert!(matches!(stream.next(soon()), Ok(Received::Frame(_))));
    let error = stream.next(soon()).unwrap_err();
    assert!(matches!(&error, CameraError::Recording { reason, .. } if reason.starts_with("line 1:")), "{error}");
}
