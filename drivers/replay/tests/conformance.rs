//! The suite of `contract`, at both paces, with and without a table of lines.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod written;

use contract::{Conveyor as _, conformance};
use replay::{Camera, CameraConfig, Conveyor, Pace};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use written::Capture;

fn for_every_camera(test: fn(&mut dyn contract::LineCamera), frames: Option<Vec<u64>>) {
    for pace in [Pace::AsRead, Pace::RealTime] {
        let folder = tempfile::tempdir().unwrap();
        Capture { lines: 60, fps: 200.0, references: false, frames: frames.clone() }.write(folder.path());
        let config = CameraConfig { pace, ..CameraConfig::new(folder.path()) };
        test(&mut Camera::open("vnir", &config).unwrap());
    }
}

#[test]
fn a_capture_is_a_camera() {
    for_every_camera(conformance::camera, None);
    for_every_camera(conformance::camera, Some((500..560).collect()));
}

#[test]
fn a_capture_with_holes_is_a_camera() {
    for_every_camera(conformance::camera, Some((500..580).filter(|frame| frame % 4 != 3).collect()));
}

#[test]
fn a_slow_reader_is_told_what_is_lost() {
    for_every_camera(conformance::slow_reader, None);
    for_every_camera(conformance::slow_reader, Some((500..560).collect()));
}

/// Runs a future of this conveyor, which never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a recorded belt makes nobody wait"),
    }
}

#[test]
fn a_recorded_belt_is_a_conveyor() {
    let conveyor = Conveyor::new();
    at_once(conformance::conveyor(&conveyor));
    assert!(conveyor.describe().recorded);
    for speed in [40.0, -40.0, 1e5] {
        assert_eq!(at_once(conveyor.run(speed)), Ok(speed));
        let state = at_once(conveyor.state()).unwrap();
        assert!(state.moving && state.speed_mm_per_s == speed);
    }
    assert!(at_once(conveyor.run(f64::NAN)).is_err());
    at_once(conveyor.stop()).unwrap();
    assert!(!at_once(conveyor.state()).unwrap().moving);
    assert_eq!(conveyor.track().position_mm(0), None);
}
