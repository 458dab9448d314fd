//! The suite that every driver passes. Each function panics with the broken rule. A driver's tests just call it.

use crate::{CameraError, Conveyor, FramePool, FrameStatus, FrameStream, Light, LineCamera, Received, Subject, Values};
use std::time::{Duration, Instant};

/// The longest time for any step. A slower device counts as silent.
const TIMEOUT: Duration = Duration::from_secs(10);

fn frames(stream: &mut dyn FrameStream, wanted: usize) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    let end = Instant::now() + TIMEOUT;
    while numbers.len() < wanted {
        assert!(Instant::now() < end, "{} of {wanted} frames within {TIMEOUT:?}", numbers.len());
        match stream.next(Instant::now() + Duration::from_millis(100)).expect("a running stream gives no error") {
            Received::Frame(frame) => {
                if let Some(last) = numbers.last() {
                    assert!(frame.info.number > *last, "frame numbers rise: {} after {last}", frame.info.number);
                }
                if frame.info.status == FrameStatus::Ok {
                    assert!(frame.info.time_ns > 0, "a frame is stamped");
                }
                numbers.push(frame.info.number);
            }
            Received::Nothing => {}
            Received::End => break,
        }
    }
    numbers
}

fn until_end(stream: &mut dyn FrameStream) {
    let end = Instant::now() + TIMEOUT;
    loop {
        assert!(Instant::now() < end, "a stopped stream ends within {TIMEOUT:?}");
        if let Received::End = stream.next(Instant::now() + Duration::from_millis(100)).expect("a stopped stream gives no error") {
            return;
        }
    }
}

/// Opens, describes, sets, starts, reads, stops and restarts a camera.
pub fn camera(camera: &mut dyn LineCamera) {
    let description = camera.describe().clone();
    let layout = description.layout;
    assert!(layout.pixels > 0 && layout.bands > 0, "a frame has a shape");
    assert_eq!(description.wavelengths_nm.len(), layout.bands, "a wavelength for each band");
    assert!(description.fwhm_nm.as_ref().is_none_or(|f| f.len() == layout.bands), "a width for each band, or none");
    assert!(description.max_frame_rate_hz > 0.0);
    if let Values::Reflectance { scale, .. } = description.values {
        assert!(scale > 0.0, "a scale is positive");
    }

    camera.ensure_stopped().expect("a camera that does not run can be stopped");
    let wanted = crate::Exposure {
        exposure_us: description.exposure_range_us.0.max(500.0).min(description.exposure_range_us.1),
        frame_rate_hz: description.max_frame_rate_hz.min(50.0),
        binning: (1, 1),
    };
    let accepted = camera.apply(&wanted).expect("a setting within the description is accepted");
    assert!(accepted.frame_rate_hz > 0.0 && accepted.exposure_us > 0.0, "what was accepted is stated");
    assert_eq!(camera.apply(&accepted).expect("what was accepted is accepted again"), accepted, "settings read back are stable");

    match (camera.set_shutter(true), description.shutter) {
        (Ok(()), true) | (Err(CameraError::Unable { .. }), false) => {}
        (result, shutter) => panic!("description says shutter = {shutter}, set_shutter says {result:?}"),
    }

    let pool = FramePool::new(layout, 8);
    let mut stream = camera.start(pool.clone(), Subject::Tray).expect("a stopped camera starts");
    match camera.start(pool.clone(), Subject::Tray) {
        Err(CameraError::Start { .. }) => {}
        Err(other) => panic!("a second start is refused as such, not as {other}"),
        Ok(_) => panic!("a running camera does not start again"),
    }
    let first = frames(stream.as_mut(), 20);
    assert!(!first.is_empty(), "frames come");
    let span = first.last().map_or(0, |last| last + 1);
    let seen = stream.statistics();
    assert!(seen.received >= first.len() as u64, "every frame delivered is counted");
    assert!(
        seen.lost_pool + seen.lost_link >= span - first.len() as u64,
        "every number that is missing is counted: {seen:?} for {} of {span}",
        first.len()
    );
    camera.ensure_stopped().expect("a running camera stops");
    camera.ensure_stopped().expect("a stopped camera stops");
    until_end(stream.as_mut());
    drop(stream);
    assert_eq!(pool.free(), pool.slots(), "every slot comes back");

    let mut again = camera.start(pool, Subject::Tray).expect("a camera starts again after it was stopped");
    assert_eq!(frames(again.as_mut(), 1).first().copied(), Some(first[0]), "numbers start anew");
    camera.ensure_stopped().expect("stops");
    drop(again);

    let wrong = FramePool::new(crate::Layout { pixels: layout.pixels + 1, ..layout }, 2);
    assert!(matches!(camera.start(wrong, Subject::Tray), Err(CameraError::Start { .. })), "a pool of another shape is refused");
}

/// Reads a camera slowly. A live one loses frames only at the pool's door, and counts each. One that waits loses none.
pub fn slow_reader(camera: &mut dyn LineCamera) {
    let description = camera.describe().clone();
    let pool = FramePool::new(description.layout, 2);
    let mut stream = camera.start(pool.clone(), Subject::Tray).expect("a stopped camera starts");
    let mut held = Vec::new();
    let end = Instant::now() + TIMEOUT;
    while held.len() < 2 {
        assert!(Instant::now() < end, "two frames within {TIMEOUT:?}");
        if let Received::Frame(frame) = stream.next(Instant::now() + Duration::from_millis(100)).expect("no error") {
            held.push(frame);
        }
    }
    // Both slots are held. A live camera now loses frames, and counts them.
    while !description.waits && stream.statistics().lost_pool < 3 {
        assert!(Instant::now() < end, "frames that find no slot are counted within {TIMEOUT:?}: {:?}", stream.statistics());
        std::thread::yield_now();
    }
    let last = held.last().map_or(0, |frame| frame.info.number);
    held.clear();
    let next = frames(stream.as_mut(), 1)[0];
    if description.waits {
        assert_eq!(next, last + 1, "nothing is lost");
    } else {
        let lost = stream.statistics().lost_pool + stream.statistics().lost_link;
        assert!(next > last + 3 && lost >= next - last - 1, "every number that is missing is counted: {lost} for {last} to {next}");
    }
    camera.ensure_stopped().expect("stops");
}

/// Runs, asks and stops a conveyor, in any state.
pub async fn conveyor(conveyor: &dyn Conveyor) {
    let description = conveyor.describe().clone();
    conveyor.stop().await.expect("a belt that stands can be stopped");
    assert!(!conveyor.state().await.expect("a state").moving, "a stopped belt stands");
    if description.recorded {
        return;
    }
    let speed = description.speed_range_mm_per_s.1.min(40.0);
    let before = conveyor.state().await.expect("a state").position_mm;
    let accepted = conveyor.run(speed).await.expect("a speed within the description is accepted");
    assert!((accepted - speed).abs() <= 0.05 * speed, "the drive runs at about what was asked: {accepted} for {speed}");
    let end = Instant::now() + TIMEOUT;
    while conveyor.state().await.expect("a state").position_mm <= before {
        assert!(Instant::now() < end, "a running belt moves within {TIMEOUT:?}");
        std::thread::yield_now();
    }
    conveyor.stop().await.expect("a running belt stops");
    conveyor.stop().await.expect("and can be stopped again");
    let stopped = conveyor.state().await.expect("a state");
    assert!(!stopped.moving, "it stands");
    assert_eq!(conveyor.state().await.expect("a state").position_mm, stopped.position_mm, "and stays where it is");
    assert!(conveyor.run(description.speed_range_mm_per_s.1 * 2.0).await.is_err(), "a speed beyond the drive is refused");
    if !description.reversible {
        assert!(conveyor.run(-speed).await.is_err(), "backwards is refused where the drive cannot");
    }
    conveyor.stop().await.expect("stops");
}

/// Switches, dims and asks a light.
pub async fn light(light: &dyn Light) {
    let description = light.describe().clone();
    let off = light.set(0.0).await.expect("off is accepted");
    assert!(!off.on, "off is off");
    let on = light.set(1.0).await.expect("on is accepted");
    assert!(on.on && on.level > 0.99, "on is on");
    assert_eq!(light.state().await.expect("a state"), on, "the state is what was accepted");
    match (light.set(0.5).await, description.dimmable) {
        (Ok(state), true) => assert!((state.level - 0.5).abs() < 0.05, "half is half"),
        (Err(_), false) => {}
        (result, dimmable) => panic!("description says dimmable = {dimmable}, set(0.5) says {result:?}"),
    }
    assert!(light.set(1.5).await.is_err() && light.set(-0.1).await.is_err(), "a level outside 0 to 1 is refused");
    light.set(0.0).await.expect("off again");
}
