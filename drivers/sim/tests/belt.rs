//! Time and place: the smear of an exposure, the latency of a stamp, an uneven belt, and an encoder that is polled.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::{Conveyor, Exposure, LineCamera};
use rig::{Rig, close, counts, ideal, next, plain, quiet, start};
use sim::{CameraConfig, ConveyorConfig, Pace, WorldConfig};

/// A camera on the container's slanted leading edge: for each pixel and line the position by the encoder, and the signal.
async fn edge(detector: &CameraConfig, exposure_us: f64, mm_per_s: f64) -> Vec<(f64, Vec<u16>)> {
    let mut world = plain();
    world.tray.tilt_deg = 2.0;
    let rig = Rig::new(&world);
    let mut camera = rig.camera("vnir", detector, 50.0);
    camera.apply(&Exposure { exposure_us, frame_rate_hz: 50.0, binning: (1, 1) }).unwrap();
    let mut stream = start(&mut camera);
    rig.lamp_on().await;
    rig.run(mm_per_s).await;
    let mut seen = Vec::new();
    loop {
        let frame = next(stream.as_mut());
        match rig.position(&frame) {
            at if at > 45.0 => return seen,
            at if at > 0.0 => seen.push((at, counts(&frame))),
            _ => {}
        }
    }
}

fn detector() -> CameraConfig {
    CameraConfig { pixels: 300, bands: 4, reference_exposure_us: 20_000.0, ..ideal() }
}

/// Shares of the ore in the view of the pixels between 58 and 241 mm: [pixel][line].
fn shares(seen: &[(f64, Vec<u16>)]) -> Vec<Vec<f64>> {
    let value = |line: usize, pixel: usize| f64::from(seen[line].1[300 + pixel]);
    let last = seen.len() - 1;
    let share = |line, pixel| (value(line, pixel) - value(0, pixel)) / (value(last, pixel) - value(0, pixel));
    (58..241).map(|pixel| (0..=last).map(|line| share(line, pixel)).collect()).collect()
}

/// An edge that is smeared over `a` mm has the integral of f * (1 - f) over the way of a / 6, and of 15 / 16 of that with four points of time.
/// The slanted edge shows itself at all places between two lines.
#[tokio::test]
async fn a_line_is_smeared_over_its_exposure_and_not_over_the_frame_period() {
    let width = async |exposure_us: f64| {
        let seen = edge(&detector(), exposure_us, 40.0).await;
        let pitch = seen[1].0 - seen[0].0;
        let shares = shares(&seen);
        let integral: f64 = shares.iter().flatten().map(|share| share * (1.0 - share)).sum::<f64>() * pitch / shares.len() as f64;
        integral * 6.0 * 16.0 / 15.0
    };
    // A pixel is 1 mm wide. The slanted edge runs through it over 1 mm * tan 2 degrees.
    let sharp = width(50.0).await;
    for exposure_us in [5000.0, 10_000.0, 20_000.0] {
        let (found, wanted) = (width(exposure_us).await, 40.0 * exposure_us * 1e-6);
        assert!(
            found - wanted < 1.1 * sharp && found > 0.95 * wanted,
            "{found} mm at {exposure_us} µs, not {wanted}; {sharp} mm unsmeared"
        );
    }
    assert!(sharp < 0.05, "{sharp} mm with hardly any exposure");
}

#[tokio::test]
async fn a_late_stamp_moves_the_edge_with_the_speed() {
    let place = async |latency_us: f64, mm_per_s: f64| {
        let detector = CameraConfig { latency_us, ..detector() };
        let seen = edge(&detector, 2000.0, mm_per_s).await;
        let pitch = seen[1].0 - seen[0].0;
        let shares = shares(&seen);
        let on_ore = shares.iter().flatten().sum::<f64>() * pitch / shares.len() as f64;
        seen[seen.len() - 1].0 + pitch / 2.0 - on_ore
    };
    for latency_us in [0.0, 3000.0] {
        let slope_us = (place(latency_us, 80.0).await - place(latency_us, 20.0).await) / 60.0 * 1e6;
        assert!((slope_us - latency_us).abs() < 60.0, "{slope_us} µs, not {latency_us}");
    }
}

#[tokio::test]
async fn a_frame_with_latency_comes_late_and_its_camera_knows_the_time_of_its_exposure() {
    let rig = Rig::new(&WorldConfig { pace: Pace::RealTime, ..quiet() });
    let mut camera = rig.camera("vnir", &CameraConfig { pixels: 20, latency_us: 100_000.0, ..ideal() }, 100.0);
    let began = std::time::Instant::now();
    let mut stream = start(&mut camera);
    let first = next(stream.as_mut()).info;
    assert!(began.elapsed().as_secs_f64() >= 0.095, "{:?}", began.elapsed());
    assert_eq!(first.device_time_ns, Some(0));
    let second = next(stream.as_mut()).info;
    assert_eq!(second.time_ns - first.time_ns, 10_000_000);
}

#[tokio::test]
async fn a_belt_with_a_ripple_runs_unevenly_and_its_encoder_shows_it() {
    let rig = Rig::new(&WorldConfig { belt_ripple: 0.05, belt_ripple_mm: 60.0, ..plain() });
    let mut camera = rig.camera("vnir", &CameraConfig { pixels: 20, ..ideal() }, 100.0);
    let mut stream = start(&mut camera);
    rig.run(50.0).await;
    next(stream.as_mut());
    let seen: Vec<(i64, f64)> = (0..240).map(|_| next(stream.as_mut())).map(|frame| (frame.info.time_ns, rig.position(&frame))).collect();
    let speeds: Vec<f64> = seen.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) as f64 * 1e9).collect();
    let (least, most) = speeds.iter().fold((f64::MAX, f64::MIN), |(least, most), speed| (least.min(*speed), most.max(*speed)));
    assert!(close((most - least) / 2.0, 0.05 * 50.0, 0.02) && close((most + least) / 2.0, 50.0, 0.002), "{least} to {most} mm/s");
    // Two periods on, the belt is where it should be: 2.4 s are 120 mm.
    assert!((seen[239].1 - seen[0].1 - 50.0 * 2.39).abs() < 0.2);
    for (time_ns, read_mm) in seen {
        assert_eq!(rig.world.belt_at(time_ns).0, read_mm);
    }
}

#[tokio::test]
async fn a_polled_encoder_is_late_and_restless_by_what_was_set() {
    let deviations = async |belt: ConveyorConfig| {
        let rig = Rig::with_belt(&plain(), &belt);
        let mut camera = rig.camera("vnir", &CameraConfig { pixels: 4, bands: 2, ..ideal() }, 97.0);
        let mut stream = start(&mut camera);
        rig.run(50.0).await;
        for _ in 0..20 {
            next(stream.as_mut());
        }
        let track = rig.belt.track();
        let deviation = |time_ns: i64| track.position_mm(time_ns).unwrap() - rig.world.belt_at(time_ns).0;
        let seen: Vec<f64> = (0..2000).map(|_| deviation(next(stream.as_mut()).info.time_ns)).collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let rms = (seen.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / seen.len() as f64).sqrt();
        (mean, rms)
    };
    let belt = |poll_ms, delay_ms, jitter_ms| ConveyorConfig { poll_ms, delay_ms, jitter_ms, ..ConveyorConfig::default() };
    let (mean, rms) = deviations(belt(0.0, 0.0, 0.0)).await;
    assert!(mean == 0.0 && rms == 0.0, "{mean} {rms}");
    let (mean, rms) = deviations(belt(50.0, 0.0, 0.0)).await;
    assert!(mean.abs() < 1e-6 && rms < 1e-6, "at constant speed a straight line is right: {mean} {rms}");
    let (mean, rms) = deviations(belt(50.0, 4.0, 0.0)).await;
    assert!(close(mean, -50.0 * 0.004, 0.02) && rms < 1e-6, "{mean} {rms}");
    // An early stamp is known before a late one, which moves the mean by some micrometres.
    let (mean, rms) = deviations(belt(20.0, 0.0, 3.0)).await;
    assert!(mean.abs() < 0.02 && close(rms, 50.0 * 0.003 / 3.0_f64.sqrt(), 0.1), "{mean} {rms}");
}

#[tokio::test]
async fn a_polled_encoder_goes_on_as_it_was_when_the_belt_stops() {
    let rig = Rig::with_belt(&plain(), &ConveyorConfig { poll_ms: 100.0, ..ConveyorConfig::default() });
    let mut camera = rig.camera("vnir", &CameraConfig { pixels: 4, bands: 2, ..ideal() }, 100.0);
    let mut stream = start(&mut camera);
    rig.run(50.0).await;
    let since_poll = |time_ns: i64| (time_ns - rig.world.epoch_ns()) % 100_000_000;
    // The belt stops early between two readings.
    for _ in 0..30 {
        next(stream.as_mut());
    }
    while since_poll(next(stream.as_mut()).info.time_ns) > 15_000_000 {}
    rig.belt.stop().await.unwrap();
    let mut most = 0.0_f64;
    for _ in 0..30 {
        let frame = next(stream.as_mut());
        let after_ns = since_poll(frame.info.time_ns);
        let (read_mm, mm_per_s) = rig.world.belt_at(frame.info.time_ns - after_ns);
        assert!((rig.position(&frame) - read_mm - mm_per_s * after_ns as f64 * 1e-9).abs() < 1e-6);
        most = most.max(rig.position(&frame) - rig.world.belt_at(frame.info.time_ns).0);
    }
    assert!(most > 3.0, "the reading runs on until the next poll: {most} mm");
    let last = next(stream.as_mut());
    assert!((rig.position(&last) - rig.world.belt_at(last.info.time_ns).0).abs() < 1e-9, "and then knows");
}
