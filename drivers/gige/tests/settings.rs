//! Search, settings, loss and recovery with Aravis's simulated camera.

#![allow(clippy::unwrap_used)]

mod fake;

use contract::{CameraError, Exposure, FramePool, LineCamera, Received, Subject};
use fake::{Fake, config, in_own_network};
use gige::{Camera, Config, Feature, Shutter, Value, discover};
use std::time::{Duration, Instant};

fn feature(name: &str, value: Option<Value>) -> Feature {
    Feature { name: name.into(), value }
}

fn opened(config: &Config) -> Result<Camera, String> {
    Camera::open("vnir", config).map_err(|error| error.to_string())
}

#[test]
fn a_camera_is_chosen_by_serial_address_or_interface() {
    in_own_network("a_camera_is_chosen_by_serial_address_or_interface", || {
        let by = |serial: Option<&str>, address: Option<&str>, interface: Option<&str>| {
            let text = |text: &str| text.to_owned();
            let (serial, address, interface) = (serial.map(text), address.map(text), interface.map(text));
            opened(&Config { serial, address, interface, ..config("127.0.0.1", 64, 32) }).map(|camera| camera.describe().serial.clone())
        };
        let nobody = by(Some("GV01"), None, None).unwrap_err();
        assert!(nobody.contains("serial GV01: is not there; no camera answers"), "{nobody}");
        let _one = Fake::start("127.0.0.1", "GV01", 0);
        assert_eq!(by(None, None, Some("lo")), Ok("GV01".into()));
        let _two = Fake::start("127.0.0.2", "GV02", 0);
        assert_eq!(by(Some("GV02"), None, None), Ok("GV02".into()));
        assert_eq!(by(None, Some("127.0.0.2"), None), Ok("GV02".into()));
        assert_eq!(by(Some("GV01"), Some("127.0.0.1"), Some("lo")), Ok("GV01".into()));
        let wrong = by(Some("GV01"), Some("127.0.0.2"), None).unwrap_err();
        assert!(wrong.contains("the camera there has serial GV02, and GV01 is wanted"), "{wrong}");
        let several = by(None, None, Some("lo")).unwrap_err();
        assert!(several.contains("several cameras fit") && several.contains("Aravis Fake, serial GV02, at 127.0.0.2"), "{several}");
        let none = by(None, None, Some("eth77")).unwrap_err();
        assert!(none.contains("no interface eth77"), "{none}");
        assert_eq!(discover().len(), 2);
    });
}

#[test]
fn what_a_camera_refuses_is_told_and_what_it_takes_is_read_back() {
    in_own_network("what_a_camera_refuses_is_told_and_what_it_takes_is_read_back", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 0);
        let base = || config("127.0.0.1", 128, 32);
        let refused = |config: Config| opened(&config).err().unwrap();
        let said = refused(Config { pixels: 4096, ..base() });
        assert!(said.contains("refused region = 4096 x 32"), "{said}");
        let said = refused(Config { features: vec![feature("NoSuchFeature", Some(Value::Integer(3)))], ..base() });
        assert!(said.contains("refused feature = NoSuchFeature = 3"), "{said}");
        let said = refused(Config { pixel_format: gige::PixelFormat::Mono12, ..base() });
        assert!(said.contains("refused pixel format = Mono12"), "{said}");
        let said = refused(Config { socket_buffer_kib: 1_048_576, ..base() });
        assert!(said.contains("`sysctl -w net.core.rmem_max=1073741824`"), "{said}");
        let set = vec![
            feature("TestBoolean", Some(Value::Switch(true))),
            feature("GainRaw", Some(Value::Integer(3))),
            feature("AcquisitionFrameRate", Some(Value::Float(25.0))),
            feature("TriggerSource", Some(Value::Text("Line0".into()))),
        ];
        let move_it = |open| vec![feature("TestBoolean", Some(Value::Switch(open)))];
        let shutter = Some(Shutter { open: move_it(true), closed: move_it(false), settle_ms: 1 });
        let mut camera = opened(&Config { features: set, shutter, offset_x: 8, offset_y: 4, packet_size: Some(1500), ..base() }).unwrap();
        assert!(camera.warnings()[0].contains("packets of 1500 bytes over lo"), "{:?}", camera.warnings());
        camera.set_shutter(false).unwrap();
        camera.set_shutter(true).unwrap();
        let exposure = Exposure { exposure_us: 1234.0, frame_rate_hz: 40.0, binning: (1, 1) };
        assert_eq!(camera.apply(&exposure), Ok(exposure));
        assert!(matches!(camera.apply(&Exposure { binning: (99, 1), ..exposure }), Err(CameraError::Refused { setting: "binning", .. })));
    });
}

fn first_frame(camera: &mut Camera) -> u64 {
    let pool = FramePool::new(camera.describe().layout, 4);
    let mut stream = camera.start(pool, Subject::Tray).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < end, "a frame in time");
        if let Received::Frame(frame) = stream.next(Instant::now() + Duration::from_millis(50)).unwrap() {
            camera.ensure_stopped().unwrap();
            return frame.info.number;
        }
    }
}

#[test]
fn a_camera_takes_frames_when_it_is_told_to() {
    in_own_network("a_camera_takes_frames_when_it_is_told_to", || {
        let _fake = Fake::start("127.0.0.1", "GV01", 0);
        let mut camera = opened(&Config { trigger: "software".into(), ..config("127.0.0.1", 64, 32) }).unwrap();
        camera.apply(&Exposure { exposure_us: 100.0, frame_rate_hz: 40.0, binning: (1, 1) }).unwrap();
        assert_eq!(first_frame(&mut camera), 0);
        // Nothing comes on its line.
        let mut camera = {
            drop(camera);
            opened(&Config { trigger: "Line0".into(), ..config("127.0.0.1", 64, 32) }).unwrap()
        };
        camera.apply(&Exposure { exposure_us: 100.0, frame_rate_hz: 40.0, binning: (1, 1) }).unwrap();
        let mut stream = camera.start(FramePool::new(camera.describe().layout, 4), Subject::Tray).unwrap();
        assert!(matches!(stream.next(Instant::now() + Duration::from_millis(500)), Ok(Received::Nothing)));
    });
}

/// The camera is switched off and on in the middle of a stream. The stream reports it. The camera is found, set up and used
/// again.
#[test]
fn a_camera_that_was_lost_is_found_again() {
    in_own_network("a_camera_that_was_lost_is_found_again", || {
        let mut fake = Fake::start("127.0.0.1", "GV01", 0);
        let mut camera = opened(&config("127.0.0.1", 64, 32)).unwrap();
        let exposure = Exposure { exposure_us: 10_000.0, frame_rate_hz: 50.0, binning: (1, 1) };
        camera.apply(&exposure).unwrap();
        let pool = FramePool::new(camera.describe().layout, 16);
        let mut stream = camera.start(pool.clone(), Subject::Tray).unwrap();
        while !matches!(stream.next(Instant::now() + Duration::from_millis(100)), Ok(Received::Frame(_))) {}
        fake.restart();
        let end = Instant::now() + Duration::from_secs(60);
        let error = loop {
            assert!(Instant::now() < end, "the loss is told in time");
            match stream.next(Instant::now() + Duration::from_millis(100)) {
                Ok(Received::End) => panic!("the stream ended without a word"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, CameraError::Link { reason, .. } if reason.contains("control was lost")), "{error}");
        assert!(matches!(stream.next(Instant::now() + Duration::from_secs(5)), Ok(Received::End)));
        drop(stream);
        assert_eq!(first_frame(&mut camera), 0);
        assert_eq!(camera.apply(&exposure), Ok(exposure));
        // A camera that is off is reported as such.
        fake.kill();
        assert!(matches!(camera.apply(&exposure), Err(CameraError::Link { .. })));
    });
}
