//! The section of the configuration. Its faults are reported, in a build without Aravis too.

#![allow(clippy::unwrap_used)]

mod fake;

use gige::{BUILT_IN, Camera, Config, Feature, StatusLineConfig, Value};

fn keys(config: &Config) -> Vec<&'static str> {
    // A build without Aravis refuses every such camera.
    config.faults().into_iter().map(|(key, _)| key).filter(|key| BUILT_IN || *key != "kind").collect()
}

#[test]
fn a_build_without_aravis_says_so() {
    let config = fake::config("127.0.0.1", 64, 32);
    if BUILT_IN {
        assert_eq!(config.faults(), []);
        return;
    }
    let fault = config.faults().remove(0);
    assert!(fault.0 == "kind" && fault.1.contains("built without GigE Vision") && fault.1.contains("libaravis-dev"), "{fault:?}");
    let error = Camera::open("vnir", &config).err().unwrap().to_string();
    assert!(error.contains("vnir cannot start: camera.device.kind is `gige`"), "{error}");
}

#[test]
fn what_is_wrong_is_told_by_its_key() {
    let good = || fake::config("127.0.0.1", 64, 32);
    assert!(keys(&good()).is_empty());
    assert_eq!(keys(&Config { address: None, ..good() }), ["serial"]);
    assert_eq!(keys(&Config { address: Some("camera".into()), bands: 0, ..good() }), ["address", "bands"]);
    assert_eq!(keys(&Config { last_nm: None, ..good() }), ["wavelengths"]);
    assert_eq!(keys(&Config { wavelengths: Some("vnir.txt".into()), ..good() }), ["wavelengths"]);
    assert_eq!(keys(&Config { frame_id_bits: Some(32), packet_size: Some(100), ..good() }), ["frame_id_bits", "packet_size"]);
    let line = |frame_counter| Some(StatusLineConfig { frame_counter, missed_counter: None, exposure_unit_us: 1.0 });
    assert_eq!(keys(&Config { status_line: line(Some(4)), pixels: 128, ..good() }), ["status_line"]);
    assert_eq!(keys(&Config { status_line: line(Some(1)), ..good() }), ["status_line"], "64 pixels do not hold it");
    assert!(keys(&Config { status_line: line(Some(1)), pixels: 128, ..good() }).is_empty());
    let feature = |value| Feature { name: "Gain".into(), value };
    assert_eq!(feature(Some(Value::Float(1.5))).to_string(), "Gain = 1.5");
    assert_eq!(feature(None).to_string(), "Gain");
}
