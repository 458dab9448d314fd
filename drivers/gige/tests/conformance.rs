//! The suite, on Aravis's simulated camera.

#![allow(clippy::unwrap_used)]

mod fake;

use contract::conformance;
use fake::{Fake, config, in_own_network};
use gige::{Camera, PixelFormat};

#[test]
fn a_camera_passes_the_suite() {
    in_own_network("a_camera_passes_the_suite", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 0);
        let mut camera = Camera::open("vnir", &config("127.0.0.1", 256, 64)).unwrap();
        conformance::camera(&mut camera);
        conformance::slow_reader(&mut camera);
    });
}

#[test]
fn a_camera_of_8_bits_passes_the_suite() {
    in_own_network("a_camera_of_8_bits_passes_the_suite", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 0);
        let eight = gige::Config { pixel_format: PixelFormat::Mono8, ..config("127.0.0.1", 256, 64) };
        let mut camera = Camera::open("vnir", &eight).unwrap();
        conformance::camera(&mut camera);
        conformance::slow_reader(&mut camera);
    });
}

#[test]
fn a_camera_that_loses_packets_passes_the_suite() {
    in_own_network("a_camera_that_loses_packets_passes_the_suite", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 5);
        let mut camera = Camera::open("vnir", &config("127.0.0.1", 256, 64)).unwrap();
        conformance::camera(&mut camera);
        conformance::slow_reader(&mut camera);
    });
}
