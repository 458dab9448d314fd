//! The camera shows the scene on the belt. The same seed shows the same scene.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::{Conveyor, FrameStream, Light, LineCamera};
use rig::{ON_ORE, Rig, close, counts, ideal, next, plain, quiet, reflectance, start};
use sim::{CameraConfig, ConveyorConfig, GrainsConfig, LampChange, Pace, PanelFeature, Telegraph, WorldConfig};

/// Reads until the belt is `to_mm` under the camera, and returns the counts of the last frame.
fn read_to(rig: &Rig, stream: &mut dyn FrameStream, to_mm: f64) -> Vec<u16> {
    loop {
        let frame = next(stream);
        if rig.position(&frame) >= to_mm {
            return counts(&frame);
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_frames() {
    let scan = async |seed| {
        let config = WorldConfig { seed, texture: 0.03, warm_up_s: 1.0, ..quiet() };
        let rig = Rig::new(&config);
        let detector = CameraConfig { pixels: 200, bands: 30, lost_per_thousand: 20.0, ..CameraConfig::default() };
        let mut camera = rig.camera("vnir", &detector, 50.0);
        let mut stream = start(&mut camera);
        rig.lamp_on().await;
        rig.run(100.0).await;
        let frames: Vec<_> = (0..150).map(|_| next(stream.as_mut())).map(|frame| (frame.info.number, counts(&frame))).collect();
        (frames, stream.statistics())
    };
    let (first, again, other) = (scan(1).await, scan(1).await, scan(2).await);
    assert!(first == again, "the same seed");
    assert!(first.0 != other.0, "another seed");
    let span = first.0.last().unwrap().0 + 1;
    assert!(first.1.lost_link > 0 && first.1.lost_link == span - 150, "frames lost on the link are counted: {:?} of {span}", first.1);
    assert!(first.0[1].1 != first.0[2].1, "each frame has noise of its own");
}

#[tokio::test]
async fn frames_show_the_truth_by_way_of_dark_and_white() {
    let mut config = WorldConfig { segregation: 0.5, ..quiet() };
    config.tray.tilt_deg = 2.0;
    config.tray.shift_along_mm = 6.0;
    let rig = Rig::new(&config);
    let detector = CameraConfig { offset_mm: 60.0, shift_mm: 1.7, ..ideal() };
    let mut camera = rig.camera("swir", &detector, 50.0);
    let wavelengths = camera.describe().wavelengths_nm.clone();
    let truth = rig.world.truth(&wavelengths);
    let mut stream = start(&mut camera);
    rig.lamp_on().await;
    camera.set_shutter(false).unwrap();
    let dark = counts(&next(stream.as_mut()));
    camera.set_shutter(true).unwrap();
    rig.run(40.0).await;
    let white = read_to(&rig, stream.as_mut(), 60.0 - 47.0);
    let most = f64::from(*white.iter().max().unwrap());
    assert!((most / 65_535.0 - 0.9).abs() < 0.01, "the panel gives 90 % of full scale at the reference exposure: {most}");

    // Both halves of every container, in the order of their arrival.
    let mut spots: Vec<_> = truth
        .containers
        .iter()
        .flat_map(|c| [(c.centre_y_mm - 10.0, c.centre_x_mm, &c.upper), (c.centre_y_mm + 10.0, c.centre_x_mm, &c.lower)])
        .collect();
    spots.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut worst = 0.0_f64;
    let (mut at, mut seen) = (f64::MIN, Vec::new());
    for (y_mm, x_mm, spectrum) in spots {
        if y_mm > at {
            at = y_mm;
            seen = read_to(&rig, stream.as_mut(), 60.0 + y_mm);
        }
        let pixel = (x_mm - 1.7).round() as usize;
        for (band, real) in spectrum.iter().enumerate() {
            let of = |frame: &[u16]| f64::from(frame[band * 300 + pixel]);
            let reflectance = (of(&seen) - of(&dark)) / (of(&white) - of(&dark)) * truth.panel_reflectance;
            worst = worst.max((reflectance - real).abs());
        }
    }
    assert_eq!(truth.containers.len(), 12);
    println!("reflectance is within {worst} of the truth");
    // A count of the dimmest band's white is about 0.0001 in reflectance.
    assert!(worst < 0.001, "reflectance is off by {worst}");
    assert!(truth.containers.iter().any(|c| c.lower != c.upper), "halves differ in a segregated world");
    assert!(serde_json::to_string(&truth).unwrap().contains("\"at\":\"D3\""));
}

/// Grains are of ore: a tile has none.
#[tokio::test]
async fn a_doped_tile_and_the_panel_absorb_where_the_truth_says() {
    let mut config = WorldConfig { grains: Some(GrainsConfig::default()), ..plain() };
    config.tray.tiles = vec!["A1".into()];
    config.panel.features = vec![PanelFeature { nm: 2130.0, depth: 0.2, width_nm: 15.0 }];
    let detector = CameraConfig { bands: 211, ..ideal() };
    let nm: Vec<f64> = (0..211).map(|band| 400.0 + 10.0 * f64::from(band)).collect();
    let truth = sim::World::new(&config).unwrap().truth(&nm);
    let tile = &truth.containers[0].lower;
    assert_eq!((tile, truth.containers[0].lower_minerals.as_slice()), (&truth.containers[0].upper, [("doped tile", 1.0)].as_slice()));
    assert!(close(truth.panel[173], 0.8 * 0.95, 1e-9) && close(truth.panel[0], 0.95, 1e-9), "{:?}", truth.panel);
    assert!(tile[113] < 0.6 * tile[105], "an absorption near 1534 nm");
    let seen = reflectance(&config, &detector, ON_ORE).await;
    for band in 0..211 {
        // The white reference holds the absorption of the panel.
        let wanted = tile[band] / truth.panel[band] * 0.95;
        assert!(close(seen[band * 300 + 150], wanted, 0.004), "{} nm: {} of {wanted}", nm[band], seen[band * 300 + 150]);
    }
    config.tray.tiles = vec!["B1".into()];
    config.panel.features[0].depth = 1.1;
    let error = sim::World::new(&config).err().unwrap();
    let keys: Vec<&str> = error.faults.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.contains(&"tray.tiles[0]") && keys.contains(&"panel.features[0].depth"), "{error}");
}

#[tokio::test]
async fn it_is_dark_behind_a_closed_shutter_or_without_lamps_and_bright_elements_saturate() {
    let rig = Rig::new(&quiet());
    let detector = CameraConfig { dead_elements: 3, hot_elements: 5, ..ideal() };
    let mut camera = rig.camera("vnir", &detector, 50.0);
    let mut stream = start(&mut camera);
    let unlit = counts(&next(stream.as_mut()));
    rig.lamp_on().await;
    camera.set_shutter(false).unwrap();
    let shut = counts(&next(stream.as_mut()));
    assert!(unlit == shut, "no light is no light");
    let usual = shut.iter().filter(|c| (1..1000).contains(*c)).count();
    assert_eq!(usual, 300 * 24 - 8);
    assert_eq!(shut.iter().filter(|c| **c == 0).count(), 3, "dead elements");
    assert_eq!(shut.iter().filter(|c| **c == 65_535).count(), 5, "hot elements");

    rig.lamp.set(0.5).await.unwrap();
    camera.set_shutter(true).unwrap();
    rig.run(40.0).await;
    let half = read_to(&rig, stream.as_mut(), -47.0);
    rig.lamp_on().await;
    let full = counts(&next(stream.as_mut()));
    for ((half, full), dark) in half.iter().zip(&full).zip(&shut).filter(|(_, dark)| (1..1000).contains(*dark)) {
        let (half, full) = (f64::from(half - dark), f64::from(full - dark));
        assert!((half * 2.0 - full).abs() <= 3.0, "half the light is half the signal: {half} of {full}");
    }
    camera.ensure_stopped().unwrap();
    let wanted = contract::Exposure { exposure_us: 20_000.0, frame_rate_hz: 50.0, binning: (1, 1) };
    camera.apply(&wanted).unwrap();
    rig.belt.stop().await.unwrap();
    rig.run(-40.0).await;
    let mut stream = start(&mut camera);
    while rig.position(&next(stream.as_mut())) > -47.0 {}
    let over = counts(&next(stream.as_mut()));
    assert!(over.iter().filter(|c| **c == 65_535).count() > 1000, "ten times the exposure saturates");
}

#[tokio::test]
async fn two_cameras_read_at_different_speeds_see_one_belt() {
    let rig = Rig::new(&quiet());
    let (mut a, mut b) = (rig.camera("vnir", &ideal(), 100.0), rig.camera("swir", &ideal(), 25.0));
    let (mut ahead, mut behind) = (start(&mut a), start(&mut b));
    rig.lamp_on().await;
    rig.run(50.0).await;
    let mut seen: Vec<(i64, f64, Vec<u16>)> = Vec::new();
    for _ in 0..100 {
        let frame = next(ahead.as_mut());
        seen.push((frame.info.time_ns, rig.position(&frame), counts(&frame)));
    }
    assert_eq!(rig.belt.state().await.unwrap().position_mm, -120.0, "the belt is where the slower camera has yet to look");
    // The command takes effect after the last frame of the camera that is ahead, not now.
    rig.run(10.0).await;
    for (i, (time_ns, position, _)) in seen.iter().enumerate() {
        assert!((position - (-120.0 + 0.5 * i as f64)).abs() < 1e-6, "frame {i} at {position}");
        assert_eq!(rig.belt.track().position_mm(*time_ns), Some(*position), "what was stays");
    }
    for i in 0..25 {
        let frame = next(behind.as_mut());
        assert_eq!(frame.info.time_ns, seen[4 * i].0);
        assert_eq!(rig.position(&frame), seen[4 * i].1);
    }
    let (last, after) = (next(ahead.as_mut()), next(ahead.as_mut()));
    assert!((rig.position(&after) - rig.position(&last) - 0.1).abs() < 1e-6, "the new speed holds");
    b.ensure_stopped().unwrap();
    assert!(rig.belt.state().await.unwrap().position_mm > rig.position(&after), "a camera that stopped holds the belt no longer");
    assert_eq!(rig.belt.track().position_mm(rig.world.epoch_ns() - 1), None, "nothing is known of before");
}

#[tokio::test]
async fn in_real_time_frames_are_stamped_when_they_come_and_the_belt_follows_the_wall_clock() {
    let rig = Rig::new(&WorldConfig { pace: Pace::RealTime, time_scale: 10.0, ..quiet() });
    let mut camera = rig.camera("vnir", &ideal(), 100.0);
    rig.run(100.0).await;
    let began = std::time::Instant::now();
    let mut stream = start(&mut camera);
    let frames: Vec<_> = (0..100).map(|_| next(stream.as_mut())).map(|f| (f.info.number, f.info.time_ns, rig.position(&f))).collect();
    let wall = began.elapsed().as_secs_f64();
    let (first, last) = (frames[0], frames[99]);
    let simulated = (last.1 - first.1) as f64 * 1e-9;
    assert!((simulated - (last.0 - first.0) as f64 / 100.0).abs() < 1e-6);
    assert!(wall >= simulated / 10.0 * 0.95, "{simulated} s at tenfold speed cannot pass in {wall} s");
    assert!((last.2 - first.2 - 100.0 * simulated).abs() < 1e-3);
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_at_once() {
    let mut config = WorldConfig { time_scale: 0.0, ..WorldConfig::default() };
    config.tray.rows = 0;
    config.tray.missing = vec!["Z9".into()];
    let error = sim::World::new(&config).err().unwrap();
    let keys: Vec<_> = error.faults.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["time_scale", "tray.rows", "tray.missing[0]"], "{error}");
    let mut config = WorldConfig { lamp_distance_mm: 0.0, belt_ripple: 0.6, mains_ripple: -0.1, ..WorldConfig::default() };
    config.lamp_changes = vec![LampChange { share: -2.0, over_s: -1.0, from_s: Some(1.0), from_mm: Some(2.0) }];
    config.panel.unevenness = 0.9;
    config.tray.height_mm = 400.0;
    let error = sim::World::new(&config).err().unwrap();
    let keys: Vec<_> = error.faults.iter().map(|(key, _)| key.as_str()).collect();
    let wanted = [
        "lamp_changes[0].share",
        "lamp_changes[0].over_s",
        "lamp_changes[0].from_mm",
        "mains_ripple",
        "lamp_distance_mm",
        "belt_ripple",
        "tray.height_mm",
        "panel.unevenness",
    ];
    assert_eq!(keys, wanted, "{error}");
    let world = sim::World::new(&WorldConfig::default()).unwrap();
    let telegraph = Some(Telegraph { share: 2.0, counts: 1e6, hz: 0.0, from_s: None, from_mm: None });
    let camera = CameraConfig {
        distance_mm: 0.0,
        psf_mm: 40.0,
        fwhm_nm: Some(0.0),
        smile_nm: 60.0,
        keystone_px: 30.0,
        yaw_deg: 20.0,
        wavelength_shift_nm: f64::NAN,
        dispersion_error: 0.1,
        nonlinearity: 0.2,
        stray_light: 0.6,
        stray_light_bands: -0.1,
        stray_light_pixels: 1.0,
        telegraph,
        latency_us: -1.0,
        ..CameraConfig::default()
    };
    let error = world.camera("vnir", &camera).err().unwrap();
    assert_eq!(error.faults.len(), 16, "{error}");
    assert!(error.to_string().contains("smile_nm: must be from -50 to 50, is 60"), "{error}");
    let belt = ConveyorConfig { poll_ms: 20.0, jitter_ms: 10.5, delay_ms: -1.0, ..ConveyorConfig::default() };
    let error = world.conveyor(&belt).err().unwrap();
    assert!(error.to_string().contains("jitter_ms: must be from 0 to half of poll_ms, is 10.5"), "{error}");
    assert!(world.conveyor(&ConveyorConfig { jitter_ms: 10.0, delay_ms: 0.0, ..belt }).is_ok());
    let mut high = WorldConfig::default();
    high.tray.height_mm = 100.0;
    let near = |distance_mm: f64| sim::World::new(&high).unwrap().camera("vnir", &CameraConfig { distance_mm, ..CameraConfig::default() });
    assert!(near(199.0).err().unwrap().to_string().contains("distance_mm") && near(200.0).is_ok());
    let unknown = serde_json::from_str::<WorldConfig>(r#"{"tray": {"row": 3}}"#).unwrap_err();
    assert!(unknown.to_string().contains("row"), "{unknown}");
    let whole = serde_json::to_string(&WorldConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<WorldConfig>(&whole).unwrap(), WorldConfig::default());
}
