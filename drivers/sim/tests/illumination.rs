//! Each effect of light, panel and height, measured back from frames.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::{Exposure, FrameStream, LineCamera};
use rig::{ON_ORE, ON_PANEL, Rig, close, counts, ideal, next, plain, reflectance, signal, start};
use sim::{CameraConfig, ConveyorConfig, LampChange, WorldConfig};

fn mean(counts: &[u16]) -> f64 {
    counts.iter().map(|count| f64::from(*count)).sum::<f64>() / counts.len() as f64
}

/// A camera that looks at the standing panel, with its dark level.
async fn on_panel(config: &WorldConfig, exposure_us: f64, frame_rate_hz: f64) -> (Rig, Box<dyn FrameStream>, f64) {
    let rig = Rig::with_belt(config, &ConveyorConfig { start_position_mm: ON_PANEL, ..ConveyorConfig::default() });
    let mut camera = rig.camera("vnir", &CameraConfig { pixels: 20, reference_exposure_us: exposure_us.max(2000.0), ..ideal() }, 50.0);
    camera.apply(&Exposure { exposure_us, frame_rate_hz, binning: (1, 1) }).unwrap();
    let mut stream = start(&mut camera);
    let dark = mean(&counts(&next(stream.as_mut())));
    rig.lamp_on().await;
    (rig, stream, dark)
}

#[tokio::test]
async fn a_drift_of_the_lamp_takes_its_time_and_is_the_light_of_the_truth() {
    let change = LampChange { share: -0.05, over_s: 20.0, from_s: None, from_mm: None };
    let (rig, mut stream, dark) = on_panel(&WorldConfig { lamp_changes: vec![change], ..plain() }, 2000.0, 10.0).await;
    let full = signal(&plain(), &CameraConfig { pixels: 20, ..ideal() }, ON_PANEL, 1.0).await;
    let full = full.iter().sum::<f64>() / full.len() as f64;
    let mut last = 0.0;
    for _ in 0..400 {
        let frame = next(stream.as_mut());
        let since_s = (frame.info.time_ns - rig.world.epoch_ns()) as f64 * 1e-9;
        let light = (mean(&counts(&frame)) - dark) / full;
        let wanted = 1.0 - 0.05 * (since_s / 20.0).min(1.0);
        assert!((light - wanted).abs() < 0.0005, "{light} after {since_s} s, not {wanted}");
        assert!((rig.world.light_at(frame.info.time_ns) - wanted).abs() < 1e-9);
        last = light;
    }
    assert!(close(1.0 - last, 0.05, 0.02), "{last} in the end");
}

#[tokio::test]
async fn a_step_of_the_lamp_comes_at_its_belt_position() {
    let change = LampChange { share: 0.09, over_s: 0.0, from_s: None, from_mm: Some(-50.0) };
    let rig = Rig::new(&WorldConfig { lamp_changes: vec![change], ..plain() });
    let mut camera = rig.camera("vnir", &CameraConfig { reference_exposure_us: 4000.0, ..ideal() }, 50.0);
    camera.apply(&Exposure { exposure_us: 2000.0, frame_rate_hz: 50.0, binning: (1, 1) }).unwrap();
    let mut stream = start(&mut camera);
    let dark = mean(&counts(&next(stream.as_mut())));
    rig.lamp_on().await;
    rig.run(50.0).await;
    let (mut before, mut after) = (0.0, 0.0);
    loop {
        let frame = next(stream.as_mut());
        let light = mean(&counts(&frame)) - dark;
        match rig.position(&frame) {
            at if at > -30.0 => break,
            at if (-65.0..-50.5).contains(&at) => before = light,
            at if at > -49.5 => after = light,
            _ => {}
        }
    }
    assert!(close(after / before - 1.0, 0.09, 0.02), "{before} to {after}");
}

#[tokio::test]
async fn an_exposure_takes_the_mean_of_the_ripple() {
    for (exposure_us, hz) in [(1000.0, 100.0), (3000.0, 120.0), (10_000.0, 100.0)] {
        let config = WorldConfig { mains_ripple: 0.04, mains_ripple_hz: hz, ..plain() };
        let (rig, mut stream, dark) = on_panel(&config, exposure_us, 37.0).await;
        let frames = (0..300).map(|_| next(stream.as_mut())).map(|frame| (frame.info.time_ns, mean(&counts(&frame)) - dark));
        let light: Vec<(i64, f64)> = frames.collect();
        let even = light.iter().map(|(_, light)| light).sum::<f64>() / light.len() as f64;
        let (mut sin, mut cos) = (0.0, 0.0);
        for (time_ns, light) in &light {
            let phase = (time_ns - rig.world.epoch_ns()) as f64 * 1e-9 * hz * std::f64::consts::TAU;
            (sin, cos) = (sin + (light / even - 1.0) * phase.sin(), cos + (light / even - 1.0) * phase.cos());
        }
        let found = 2.0 * f64::hypot(sin, cos) / light.len() as f64;
        let half = std::f64::consts::PI * hz * exposure_us * 1e-6;
        let wanted = 0.04 * (half.sin() / half).abs();
        assert!((found - wanted).abs() < 0.02 * 0.04, "{found} at {exposure_us} µs and {hz} Hz, not {wanted}");
    }
}

#[tokio::test]
async fn an_uneven_panel_reflects_less_at_the_far_edge() {
    let mut config = plain();
    config.panel.unevenness = 0.03;
    let world = sim::World::new(&config).unwrap();
    let even = signal(&plain(), &ideal(), ON_PANEL, 1.0).await;
    let seen = signal(&config, &ideal(), ON_PANEL, 1.0).await;
    for pixel in [0, 75, 150, 225, 299] {
        let ratio = seen[10 * 300 + pixel] / even[10 * 300 + pixel];
        let wanted = world.panel_reflectance_at(pixel as f64 + 0.5) / 0.95;
        assert!((ratio - wanted).abs() < 0.0003, "pixel {pixel}: {ratio}, not {wanted}");
    }
    let (first, last) = (world.panel_reflectance_at(0.0), world.panel_reflectance_at(300.0));
    assert!(close(1.0 - last / first, 0.03, 1e-6));
    let ore = |frame: Vec<f64>| frame[10 * 300 + 250];
    let (even, seen) = (ore(reflectance(&plain(), &ideal(), ON_ORE).await), ore(reflectance(&config, &ideal(), ON_ORE).await));
    assert!(seen > 1.02 * even, "what the panel lacks, the ore seems to have: {even}, {seen}");
}

#[tokio::test]
async fn a_higher_tray_looks_larger_and_brighter_and_a_higher_panel_makes_it_darker() {
    let mut config = plain();
    config.tray.height_mm = 10.0;
    let flat = reflectance(&plain(), &ideal(), ON_ORE).await;
    let high = reflectance(&config, &ideal(), ON_ORE).await;
    let row = |frame: &[f64]| frame[10 * 300..11 * 300].to_vec();
    let (flat, high) = (row(&flat), row(&high));
    let gain = high[150] / flat[150];
    assert!(close(gain - 1.0, (500.0_f64 / 490.0).powi(2) - 1.0, 0.02), "{gain}");
    assert_eq!(sim::World::new(&config).unwrap().light_at_height(10.0), (500.0_f64 / 490.0).powi(2));
    // Its edges lie 130 mm from the middle, and are seen to a quarter of a pixel of 1 mm.
    config.tray.height_mm = 35.0;
    let high = row(&reflectance(&config, &ideal(), ON_ORE).await);
    let inside = |row: &[f64]| 120.0 + row[2..30].iter().map(|value| (value - row[2]) / (row[150] - row[2])).sum::<f64>();
    let wider = inside(&high) / inside(&flat);
    assert!(close(wider - 1.0, 500.0 / 465.0 - 1.0, 0.02), "{wider}");
    let mut config = plain();
    config.panel.height_mm = 5.0;
    let dimmer = row(&reflectance(&config, &ideal(), ON_ORE).await)[150] / flat[150];
    assert!(close(1.0 - dimmer, 1.0 - (495.0_f64 / 500.0).powi(2), 0.02), "{dimmer}");
}
