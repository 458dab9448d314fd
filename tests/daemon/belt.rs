//! Frame numbers, time, belt and picture held against each other.

use super::rig::{Daemon, Options, configuration, scan, tray};
use hyclus::scan::{DeviceStatus, ScanRecord, StateName};

/// `lines.csv` of a camera, without its header.
fn lines(daemon: &Daemon, record: &ScanRecord, camera: &str) -> Vec<Vec<String>> {
    let of = |path: &str| path.contains(&format!("/{camera}/")) && path.ends_with(".lines.csv");
    let path = &record.files.iter().find(|file| of(&file.path)).unwrap().path;
    let csv = std::fs::read_to_string(daemon.data.join(path)).unwrap();
    let rows = csv.strip_prefix("line,frame,time_ns,position_mm,status\n").unwrap();
    rows.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Pixels of about 1.2 mm, a point spread of about a pixel, cameras 60 mm apart, and something wrong with the belt.
fn fine(simulation: &'static str) -> String {
    finely(&Options { simulation, ..Options::default() })
}

fn finely(options: &Options) -> String {
    configuration(options)
        .replace("pixels = 128", "pixels = 256, psf_mm = 1.2")
        .replace("pixels = 96", "pixels = 192, psf_mm = 1.6")
        .replace("frame_rate_hz = 40.0", "frame_rate_hz = 70.0")
        .replace("frame_rate_hz = 32.0", "frame_rate_hz = 60.0")
        .replace("offset_mm = 40.0", "offset_mm = 60.0")
        .replace("pixel_mm = 2.4", "pixel_mm = 1.2")
}

async fn run(configuration: &str) -> (Daemon, ScanRecord) {
    let daemon = Daemon::with(configuration);
    let (record, _) = scan(&daemon, tray(2, 2)).await;
    (daemon, record)
}

fn warned(record: &ScanRecord, of: &str) -> bool {
    record.warnings.iter().any(|warning| warning.contains(of))
}

#[tokio::test]
async fn slip_beyond_the_limit_is_seen_and_less_is_not() {
    let (_daemon, record) = run(&fine("faults = { belt_slips = { at_mm = -60.0, share = 0.02 } }")).await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    let slip = record.warnings.iter().find(|warning| warning.contains("slipped")).unwrap_or_else(|| panic!("{:?}", record.warnings));
    let share: f64 = slip.split("slipped by ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((share - 2.0).abs() <= 0.4 && slip.contains("mm along the tray"), "{slip}");

    let (_daemon, record) = run(&fine("faults = { belt_slips = { at_mm = -60.0, share = 0.003 } }")).await;
    assert!(!warned(&record, "slipped"), "{:?}", record.warnings);
}

#[tokio::test]
async fn one_camera_sees_slip_from_the_rows_of_the_tray() {
    let text = fine("faults = { belt_slips = { at_mm = -60.0, share = 0.02 } }");
    let (from, to) = (text.rfind("[[camera]]").unwrap(), text.find("[[light]]").unwrap());
    let text = format!("{}{}", &text[..from], &text[to..]);
    let (_daemon, record) = run(&text).await;
    assert!(!warned(&record, "slipped"), "nothing to hold it against: {:?}", record.warnings);
    let (_daemon, record) = run(&text.replace("[segment.tray]", "[segment.tray]\nfirst_row_mm = 20.0\nrow_pitch_mm = 75.0")).await;
    assert!(warned(&record, "slipped") && warned(&record, "further apart"), "{:?}", record.warnings);
}

#[tokio::test]
async fn a_belt_that_stalls_ends_the_scan_with_its_place() {
    // At a pace of its own: on its way to the start the belt is not to get as far as this while a busy machine looks elsewhere.
    let simulation = "faults = { belt_stalls = { at_mm = 100.0 } }";
    let (daemon, record) =
        run(&finely(&Options { simulation, pace: "real_time", time_scale: 4.0, pool_slots: 256, ..Options::default() })).await;
    assert_eq!(record.complete, Some(false));
    assert!(record.reason.as_ref().unwrap().contains("belt stalled at 100.0 mm"), "{:?}", record.reason);
    assert!(record.cameras.values().any(|sums| sums.unusable > 10), "{:?}", record.cameras);
    let status = daemon.client().await.status().await.unwrap();
    assert_eq!(status.state, StateName::Faulted);
    assert!(status.cause.unwrap().contains("belt stalled"));
}

/// The panel is never brought under a camera by a belt that stands.
#[tokio::test]
async fn a_belt_that_stands_gives_no_white_reference() {
    let (daemon, record) = run(&fine("faults = { belt_stalls = { at_mm = -72.0 } }")).await;
    assert_eq!((record.complete, record.samples.len()), (Some(false), 0));
    let reason = record.reason.as_ref().unwrap();
    assert!(reason.contains("the belt is at -72.0 mm and should be at") && reason.contains("check the drive"), "{reason}");
    let status = daemon.client().await.status().await.unwrap();
    assert_eq!(status.state, StateName::Faulted);
    assert!(status.devices.iter().all(|device| !matches!(device, DeviceStatus::Conveyor { state: Some(state), .. } if state.moving)));
}

#[tokio::test]
async fn a_belt_that_turns_round_ends_the_scan_and_no_row_is_there_twice() {
    let (daemon, record) = run(&fine("faults = { belt_reverses = { at_mm = 100.0 } }")).await;
    assert_eq!(record.complete, Some(false));
    let reason = record.reason.as_ref().unwrap();
    assert!(reason.contains("belt ran backwards at 9") || reason.contains("belt ran backwards at 100"), "{reason}");
    assert!(warned(&record, "ran backwards"));
    // Cameras are read at speeds of their own; the one that saw it ended the scan for both.
    let all = [lines(&daemon, &record, "vnir"), lines(&daemon, &record, "swir")];
    assert!(all.iter().flatten().any(|line| line[4] == "reversed"), "{all:?}");
    for lines in &all {
        let used: Vec<f64> = lines.iter().filter(|line| line[4] == "ok").map(|line| line[3].parse().unwrap()).collect();
        assert!(used.windows(2).all(|pair| pair[0] < pair[1]), "{used:?}");
    }
}

#[tokio::test]
async fn a_belt_off_its_speed_is_told_and_ordinary_drift_is_not() {
    let text = fine("");
    let (_daemon, record) =
        run(&text
            .replace("device = { kind = \"simulated\" }\n[[camera]]", "device = { kind = \"simulated\", speed_error = -0.1 }\n[[camera]]"))
        .await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    assert!(warned(&record, "72.00 mm/s instead of 80.00"), "{:?}", record.warnings);
    assert!((record.anisotropy["vnir"] - 72.0 / 70.0 / (300.0 / 256.0)).abs() < 1e-3, "{:?}", record.anisotropy);

    let (daemon, record) =
        run(&text
            .replace("device = { kind = \"simulated\" }\n[[camera]]", "device = { kind = \"simulated\", speed_error = 0.03 }\n[[camera]]"))
        .await;
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let status = daemon.client().await.status().await.unwrap();
    for device in status.devices {
        if let DeviceStatus::Camera { name, temperature_c, .. } = device {
            assert!(temperature_c.is_some_and(|celsius| (22.0..31.0).contains(&celsius)), "{name}: {temperature_c:?}");
        }
    }
}

/// A camera whose counter wraps during the scan, with lines lost around it: every line has the number that its time gives it. One of
/// 8 bits wraps wherever the scan begins; one of 16 bits is started so that it does.
#[tokio::test]
async fn a_frame_counter_that_wraps_gives_exact_gaps() {
    for counter in ["counter_bits = 8, counter_skips_zero = true", "counter_bits = 16, counter_skips_zero = true, counter_start = 65400"] {
        wraps(counter).await;
    }
}

async fn wraps(counter: &str) {
    let text = configuration(&Options::default())
        .replace("frame_rate_hz = 32.0", "frame_rate_hz = 160.0")
        .replace("first_nm = 1000.0,", &format!("first_nm = 1000.0, lost_per_thousand = 150.0, {counter},"));
    let (daemon, record) = run(&text).await;
    let sums = &record.cameras["swir"];
    assert!(sums.expected > 256 && sums.lost > 20 && sums.received + sums.lost == sums.expected, "{sums:?}");
    assert_eq!(sums.gaps.iter().map(|gap| gap.1).sum::<u64>(), sums.lost);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let lines: Vec<(u64, i64)> =
        lines(&daemon, &record, "swir").iter().map(|line| (line[1].parse().unwrap(), line[2].parse().unwrap())).collect();
    assert_eq!(lines.len() as u64, sums.received);
    for (frame, time_ns) in &lines {
        let by_time = (time_ns - lines[0].1) as f64 * 160.0 / 1e9;
        assert_eq!(frame - lines[0].0, by_time.round() as u64);
    }
}

/// Without speed and line rates, the daemon takes the fastest that gives square pixels; the scan says how square they are.
#[tokio::test]
async fn square_pixels_are_planned_and_measured() {
    let text = configuration(&Options::default())
        .replace("frame_rate_hz = 40.0\n", "")
        .replace("frame_rate_hz = 32.0\n", "")
        .replace("speed_mm_per_s = 80.0\n", "")
        .replace("pixels = 96,", "pixels = 96, max_frame_rate_hz = 30.0,")
        .replace("[scan]", "[scan]\nsquare_pixels = true");
    let (daemon, record) = run(&text).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 4), "{:?}", record.reason);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    for camera in ["vnir", "swir"] {
        assert!((record.anisotropy[camera] - 1.0).abs() < 1e-3, "{:?}", record.anisotropy);
    }
    // 30 lines/s of 300 mm / 96.
    let path = daemon.folder.path().join("rig.toml");
    let check = daemon.hyclus(&["check", path.to_str().unwrap()]);
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(said.contains("belt at 93.750 mm/s (the fastest)") && said.contains("highest frame rate of swir"), "{said}");
    std::fs::write(&path, text.replace("[conveyor]", "[conveyor]\nspeed_mm_per_s = 120.0")).unwrap();
    let refused = String::from_utf8(daemon.hyclus(&["check", path.to_str().unwrap()]).stderr).unwrap();
    assert!(refused.contains("scan.square_pixels") && refused.contains("93.75 mm/s at most"), "{refused}");
}

/// Cameras that overlap agree where both see, and a scan says how well; levelled, it says so.
#[tokio::test]
async fn the_step_between_cameras_that_overlap_is_in_the_record() {
    // Fine pixels: on the rim of a container the cameras see different things.
    let text = fine("");
    let adjoining = run(&text).await.1.overlap_step;
    assert_eq!((adjoining.len(), adjoining[0].range_nm, adjoining[0].levelled), (1, [1000.0, 1000.0], false));
    let text = text.replace("first_nm = 1000.0,", "first_nm = 940.0,").replace("[grid]", "[join]\nlevel = true\n[grid]");
    let (_daemon, record) = run(&text).await;
    let [step] = record.overlap_step.as_slice() else { panic!("{:?}", record.overlap_step) };
    assert_eq!((step.cameras.clone(), step.range_nm, step.levelled), (["vnir".into(), "swir".into()], [940.0, 1000.0], true));
    assert!((step.ratio - 1.0).abs() < 0.03 && step.sd < 0.2 && step.pixels > 1000, "{step:?}");
}
