//! The driver keeps the contract, and says what is wrong.

#![allow(clippy::unwrap_used)]

use contract::{CameraError, FramePool, LineCamera, Received, Subject, conformance};
use minimal_driver::{Camera, Config, vendor};
use std::time::{Duration, Instant};

fn config(serial: &str) -> Config {
    toml::from_str(&format!("serial = '{serial}'\npixels = 64\nbands = 16\nfirst_nm = 400.0\nlast_nm = 1000.0")).unwrap()
}

#[test]
fn the_suite_passes() {
    conformance::camera(&mut Camera::open("vnir", &config("1")).unwrap());
    conformance::slow_reader(&mut Camera::open("vnir", &config("1")).unwrap());
}

#[test]
fn a_cable_that_is_pulled_ends_the_stream_with_its_name() {
    let mut camera = Camera::open("vnir", &config("pulled")).unwrap();
    let mut stream = camera.start(FramePool::new(camera.describe().layout, 8), Subject::Tray).unwrap();
    vendor::unplug("pulled");
    let end = Instant::now() + Duration::from_secs(10);
    let error = loop {
        match stream.next(end) {
            Ok(Received::Frame(_)) => {}
            Ok(other) => panic!("{other:?} of a camera that is gone"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CameraError::Link { .. }), "{error}");
    assert!(matches!(stream.next(end), Ok(Received::End)), "a broken stream is at its end");
    assert!(matches!(Camera::open("vnir", &config("pulled")), Err(CameraError::Link { .. })), "no such camera answers");
}

#[test]
fn a_camera_of_another_shape_is_refused() {
    let other = Config { bands: 17, ..config("2") };
    let Err(error) = Camera::open("vnir", &other) else { panic!("it has 16 bands") };
    assert_eq!(error.to_string(), "vnir refused shape = 64 pixels and 17 bands: it has 64 pixels and 16 bands; correct the configuration");
}

#[test]
fn a_section_that_makes_no_sense_names_every_key() {
    assert_eq!(config("3").faults(), []);
    let wrong = Config { serial: String::new(), pixels: 0, bands: 16, first_nm: 900.0, last_nm: 400.0 };
    let keys: Vec<&str> = wrong.faults().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["serial", "pixels", "first_nm"]);
    assert!(toml::from_str::<Config>("serial = '1'\nbandz = 3").is_err(), "a misspelt key does not go unseen");
}
