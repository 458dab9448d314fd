//! Each fault shows in its place, and nowhere else.
#![allow(clippy::unwrap_used)]

mod rig;

use contract::{CameraError, Conveyor, ConveyorError, FramePool, FrameStatus, Light, LightError, LineCamera, Received, Subject};
use rig::{Rig, counts, ideal, next, quiet, start};
use sim::{
    BeltSlips, BeltStalls, CameraConfig, CameraLate, CameraLost, CameraShort, CameraSilent, ConveyorConfig, DriveSilent, DriveTrips,
    Faults, LampFails, LightSilent, Moment, Pace, ShutterSticks, World, WorldConfig,
};
use std::time::{Duration, Instant};

fn mean(counts: &[u16]) -> f64 {
    counts.iter().map(|c| f64::from(*c)).sum::<f64>() / counts.len() as f64
}

#[tokio::test]
async fn a_lamp_fails_at_its_position() {
    for reported in [false, true] {
        let faults = Faults { lamp_fails: Some(LampFails { light: "halogen".into(), at_mm: -50.0, reported }), ..Faults::default() };
        let rig = Rig::new(&WorldConfig { faults, ..quiet() });
        let mut camera = rig.camera("vnir", &ideal(), 50.0);
        let mut stream = start(&mut camera);
        rig.lamp_on().await;
        rig.run(50.0).await;
        for _ in 0..100 {
            let frame = next(stream.as_mut());
            let (position, level) = (rig.position(&frame), mean(&counts(&frame)));
            if [-70.0, -50.0, -25.0].iter().any(|edge: &f64| (position - edge).abs() < 1.0) {
                continue;
            }
            let dark = !(-70.0..-25.0).contains(&position) || position > -50.0;
            assert!(if dark { level < 3000.0 } else { level > 20_000.0 }, "{level} at {position}");
        }
        match rig.lamp.state().await {
            Err(LightError::Lamp { .. }) => assert!(reported),
            state => assert!(!reported && state.unwrap().on),
        }
        rig.world.clear_faults();
        assert!(rig.lamp.state().await.unwrap().on);
    }
}

#[tokio::test]
async fn a_belt_that_stalls_stands_and_one_that_slips_is_elsewhere() {
    let rig = Rig::new(&quiet());
    let mut camera = rig.camera("vnir", &ideal(), 50.0);
    let mut stream = start(&mut camera);
    rig.lamp_on().await;
    rig.run(50.0).await;
    rig.world.inject(&Faults { belt_slips: Some(BeltSlips { at_mm: -100.0, share: 0.5 }), ..Faults::default() });
    let mut bright = Vec::new();
    for _ in 0..200 {
        let frame = next(stream.as_mut());
        if mean(&counts(&frame)) > 20_000.0 {
            bright.push(rig.position(&frame));
        }
    }
    // The panel's edges at -70 and -25 mm come after twice the way from -100 mm by the encoder.
    assert!((bright[0] + 40.0).abs() < 2.0 && (bright.last().unwrap() - 50.0).abs() < 2.0, "{bright:?}");

    let here = rig.belt.state().await.unwrap().position_mm;
    rig.world.inject(&Faults { belt_stalls: Some(BeltStalls { at_mm: here + 10.0 }), ..Faults::default() });
    let last = (0..50).map(|_| rig.position(&next(stream.as_mut()))).last().unwrap();
    assert!((last - here - 10.0).abs() < 1e-6);
    let state = rig.belt.state().await.unwrap();
    assert!(!state.moving && state.speed_mm_per_s == 0.0);
    rig.world.clear_faults();
    let moved = (0..50).map(|_| rig.position(&next(stream.as_mut()))).last().unwrap();
    assert!(moved > last + 40.0, "mended, it goes on");
}

#[tokio::test]
async fn a_shutter_sticks() {
    let faults = Faults { shutter_sticks: Some(ShutterSticks { camera: "vnir".into(), open: true }), ..Faults::default() };
    let rig = Rig::new(&WorldConfig { faults, ..quiet() });
    rig.lamp_on().await;
    for (name, sticks) in [("vnir", true), ("swir", false)] {
        let mut camera = rig.camera(name, &ideal(), 50.0);
        let mut stream = start(&mut camera);
        let open = mean(&counts(&next(stream.as_mut())));
        camera.set_shutter(false).unwrap();
        let shut = mean(&counts(&next(stream.as_mut())));
        assert_eq!(open == shut, sticks, "{name}: {open} open, {shut} shut");
    }
}

#[tokio::test]
async fn a_silent_camera_gives_nothing_and_holds_nobody_up() {
    for pace in [Pace::AsRead, Pace::RealTime] {
        let faults =
            Faults { camera_silent: Some(CameraSilent { camera: "vnir".into(), from_frame: 10, frames: None }), ..Faults::default() };
        let rig = Rig::new(&WorldConfig { faults, pace, ..quiet() });
        let mut camera = rig.camera("vnir", &ideal(), 200.0);
        let mut stream = start(&mut camera);
        for number in 0..10 {
            assert_eq!(next(stream.as_mut()).info.number, number);
        }
        let deadline = Instant::now() + Duration::from_millis(50);
        assert!(matches!(stream.next(deadline).unwrap(), Received::Nothing));
        assert!(Instant::now() >= deadline, "it waits for the frame");
        rig.run(100.0).await;
        let from = rig.belt.state().await.unwrap().position_mm;
        let patience = Instant::now() + Duration::from_secs(10);
        while rig.belt.state().await.unwrap().position_mm <= from {
            assert!(Instant::now() < patience, "the belt moves although a camera is silent");
        }
        camera.ensure_stopped().unwrap();
        assert!(matches!(stream.next(Instant::now() + Duration::from_secs(10)).unwrap(), Received::End));
        drop(stream);
        rig.world.clear_faults();
        let mut stream = start(&mut camera);
        assert_eq!((0..12).map(|_| next(stream.as_mut()).info.number).last(), Some(11), "started again, it is well");
    }
}

/// A 16-bit counter that skips 0 wraps while frames are lost. The numbers stay exact, as those of a wide counter.
#[test]
fn a_narrow_frame_counter_wraps_and_every_lost_frame_is_counted() {
    let wide = CameraConfig { lost_per_thousand: 300.0, ..ideal() };
    let narrow = CameraConfig { counter_bits: 16, counter_skips_zero: true, counter_start: Some(65_500), ..wide.clone() };
    let numbers = |config: &CameraConfig| {
        let rig = Rig::new(&quiet());
        let mut camera = rig.camera("vnir", config, 50.0);
        let mut stream = start(&mut camera);
        let numbers: Vec<u64> = (0..100).map(|_| next(stream.as_mut()).info.number).collect();
        (numbers, stream.statistics().lost_link)
    };
    let (seen, lost) = numbers(&narrow);
    assert_eq!(lost, seen.last().unwrap() + 1 - 100, "every step is a loss");
    assert!(seen.contains(&34) || seen.contains(&35), "some of it lies beside the wrap: {seen:?}");
    assert_eq!((seen, lost), numbers(&wide));
}

#[tokio::test]
async fn a_sensor_warms_up_and_a_belt_turns_round_or_runs_too_fast() {
    let world = World::new(&quiet()).unwrap();
    let belt = world.conveyor(&ConveyorConfig { speed_error: 0.1, ..ConveyorConfig::default() }).unwrap();
    let mut camera = world.camera("vnir", &CameraConfig { sensor_c: (20.0, 40.0), ..ideal() }).unwrap();
    camera.apply(&contract::Exposure { exposure_us: 2000.0, frame_rate_hz: 1.0, binning: (1, 1) }).unwrap();
    let mut stream = start(&mut camera);
    let first = next(stream.as_mut()).info;
    world.inject(&Faults { belt_reverses: Some(sim::BeltReverses { at_mm: 0.0 }), ..Faults::default() });
    belt.run(1.0).await.unwrap();
    let begin = belt.state().await.unwrap();
    assert!((begin.speed_mm_per_s - 1.1).abs() < 1e-9);
    let mut last = first;
    let mut furthest = f64::MIN;
    for _ in 0..300 {
        let info = next(stream.as_mut()).info;
        assert!(info.temperature_c > last.temperature_c, "it warms");
        last = info;
        furthest = furthest.max(belt.track().position_mm(info.time_ns).unwrap());
    }
    assert!(first.temperature_c.unwrap() > 20.0 - 1e-3 && last.temperature_c.unwrap() < 30.0, "{first:?} {last:?}");
    assert!(furthest <= 0.0 && furthest > -1.2, "{furthest}");
    assert!(belt.state().await.unwrap().speed_mm_per_s < 0.0);
}

#[test]
fn a_camera_pauses_sends_torn_frames_and_is_lost() {
    let camera = || "vnir".to_owned();
    let faults = Faults {
        camera_silent: Some(CameraSilent { camera: camera(), from_frame: 3, frames: Some(4) }),
        camera_short: Some(CameraShort { camera: camera(), from_frame: 8, frames: Some(2) }),
        camera_lost: Some(CameraLost { camera: camera(), from_frame: 12 }),
        ..Faults::default()
    };
    for pace in [Pace::AsRead, Pace::RealTime] {
        let rig = Rig::new(&WorldConfig { faults: faults.clone(), pace, ..quiet() });
        let mut camera = rig.camera("vnir", &ideal(), 200.0);
        let mut stream = start(&mut camera);
        let frames: Vec<_> = (0..8).map(|_| next(stream.as_mut()).info).map(|info| (info.number, info.status == FrameStatus::Ok)).collect();
        let whole = |number| (number, true);
        assert_eq!(frames, [whole(0), whole(1), whole(2), whole(7), (8, false), (9, false), whole(10), whole(11)]);
        assert_eq!(stream.statistics().lost_link, 4);
        assert!(matches!(stream.next(Instant::now() + Duration::from_secs(10)), Err(CameraError::Link { .. })));
    }
}

#[test]
fn a_camera_that_is_late_stamps_its_frames_with_the_time_at_which_it_took_them() {
    let late = CameraLate { camera: "vnir".into(), from_frame: 2, delay_s: 0.3 };
    let faults = Faults { camera_late: Some(late), ..Faults::default() };
    let rig = Rig::new(&WorldConfig { faults, pace: Pace::RealTime, ..quiet() });
    let mut camera = rig.camera("vnir", &ideal(), 100.0);
    let begun = Instant::now();
    let mut stream = start(&mut camera);
    next(stream.as_mut());
    let second = next(stream.as_mut()).info.time_ns;
    let third = next(stream.as_mut()).info.time_ns;
    assert_eq!(third - second, 10_000_000);
    // A hundredth of a second for each frame, and the delay.
    assert!(begun.elapsed() >= Duration::from_millis(320), "{:?}", begun.elapsed());
}

/// Faults of a phase hold in that phase alone. A file brings and takes them while the world runs.
#[tokio::test]
async fn faults_come_when_they_should_and_go_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    let rig = Rig::new(&WorldConfig { faults_file: Some(file.clone()), ..quiet() });
    let mut camera = rig.camera("vnir", &ideal(), 50.0);
    let stream = |camera: &mut sim::Camera, subject| {
        camera.ensure_stopped().unwrap();
        camera.start(FramePool::new(camera.describe().layout, 4), subject).unwrap()
    };
    let write = |faults: &Faults| {
        std::fs::write(folder.path().join("new"), toml::to_string(faults).unwrap()).unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
    };
    let seen = async |fault: bool| {
        let patience = Instant::now() + Duration::from_secs(10);
        while rig.lamp.state().await.is_err() != fault {
            assert!(Instant::now() < patience, "the file is looked at");
        }
    };
    let silent = DriveSilent { at_mm: -1e6, stops_after_s: 0.1 };
    for (moment, drive) in [(Moment::References, false), (Moment::Scan, true), (Moment::Drain, false)] {
        write(&Faults {
            during: Some(moment),
            light_silent: Some(LightSilent { light: "halogen".into() }),
            drive_trips: drive.then_some(DriveTrips { at_mm: -1e6 }),
            drive_silent: (!drive).then(|| silent.clone()),
            ..Faults::default()
        });
        let held: Vec<_> = [Subject::Dark, Subject::Tray, Subject::DarkAfter].map(|subject| stream(&mut camera, subject)).into();
        drop(held);
        match moment {
            Moment::References => drop(stream(&mut camera, Subject::White)),
            Moment::Scan => std::mem::forget(stream(&mut camera, Subject::Tray)),
            Moment::Drain => {}
        }
        seen(true).await;
        let (run, stop) = (rig.belt.run(10.0).await, rig.belt.stop().await);
        match moment {
            // A tripped drive takes a stop, which ends the scan.
            Moment::Scan => assert!(matches!((&run, &stop), (Err(ConveyorError::Drive { .. }), Ok(()))), "{run:?} {stop:?}"),
            _ => assert!(matches!((&run, &stop), (Err(ConveyorError::Link { .. }), Err(_))), "{run:?} {stop:?}"),
        }
        let _other = stream(&mut camera, if moment == Moment::References { Subject::Tray } else { Subject::Dark });
        assert!(rig.lamp.state().await.is_ok() && rig.belt.state().await.is_ok(), "not in another moment");
        std::fs::remove_file(&file).unwrap();
        let _again = stream(&mut camera, Subject::Tray);
        seen(false).await;
        let patience = Instant::now() + Duration::from_secs(10);
        while rig.belt.stop().await.is_err() {
            assert!(Instant::now() < patience, "without its file a fault is gone at every moment");
        }
    }
}
