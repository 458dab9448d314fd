use super::*;
use crate::scan::Tray;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    list.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    list.sort();
    assert!(!list.is_empty());
    list
}

#[test]
fn every_rig_of_the_folder_loads() {
    // `study.toml` configures another program.
    for path in files(&folder()).into_iter().filter(|path| !path.ends_with("study.toml")) {
        Loaded::read(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_tray_of_the_folder_loads() {
    for path in files(&folder().join("trays")) {
        Tray::read(&path).unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()));
    }
}

#[test]
fn the_committed_schema_is_fresh() {
    let committed = std::fs::read_to_string(folder().join("schema.json")).unwrap_or_default();
    assert!(committed == schema(), "config/schema.json is stale: run `cargo run -- schema > config/schema.json`");
}

fn simulated() -> String {
    std::fs::read_to_string(folder().join("simulated.toml")).unwrap()
}

fn paths(text: &str) -> Vec<String> {
    match load::parse::<Config>(text) {
        Err(faults) => faults.into_iter().map(|fault| fault.path).collect(),
        Ok(rig) => rig.faults().into_iter().map(|fault| fault.path).collect(),
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_reported_all_at_once_with_their_paths() {
    let text = simulated()
        .replace("[rig]\n", "[rig]\ncolour = \"red\"\n")
        .replace("pixel_mm = 0.6", "pixel_mm = \"small\"")
        .replace("bits = 12", "bits = 12\ngamma = 2")
        .replace("warm_up_s = 1.0", "warmup_s = 1.0");
    let mut found = paths(&text);
    found.sort();
    assert_eq!(found, ["camera[0].device.gamma", "grid.pixel_mm", "rig.colour", "scan.warmup_s"]);
}

#[test]
fn faults_of_sense_are_reported_all_at_once() {
    let text = simulated().replacen("exposure_us = 2000.0", "exposure_us = 20000.0", 1).replace("name = \"led\"", "name = \"halogen\"");
    assert_eq!(paths(&text), ["camera[0].exposure_us", "light[1].name"]);
}

/// Replaces the float that is number `n` of a configuration. False where it has fewer.
fn replace_float(value: &mut toml::Value, n: &mut usize, by: f64) -> bool {
    match value {
        toml::Value::Float(number) if *n == 0 => {
            *number = by;
            true
        }
        toml::Value::Float(_) => {
            *n -= 1;
            false
        }
        toml::Value::Array(list) => list.iter_mut().any(|inner| replace_float(inner, n, by)),
        toml::Value::Table(table) => table.iter_mut().any(|(_, inner)| replace_float(inner, n, by)),
        _ => false,
    }
}

#[test]
fn no_number_of_a_configuration_is_boundless() {
    let whole: toml::Value = toml::from_str(&simulated()).unwrap();
    let mut tried = 0;
    for number in 0.. {
        for by in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let mut value = whole.clone();
            if !replace_float(&mut value, &mut number.clone(), by) {
                assert!(tried > 80, "{tried} numbers were tried");
                return;
            }
            let faults = load::parse::<Config>(&toml::to_string(&value).unwrap()).expect_err("a number that is not finite");
            assert!(faults.len() == 1 && faults[0].problem.starts_with("must be a finite number"), "{faults:?}");
            tried += 1;
        }
    }
}

#[test]
fn the_limits_of_the_wavelengths_are_in_order() {
    let (told, refused) = ("references.max_wavelength_shift_nm", "references.refuse_wavelength_shift_nm");
    for (keys, wrong) in [
        ("max_wavelength_shift_nm = 5.0", vec![]),
        ("max_wavelength_shift_nm = 5.1", vec![refused]),
        ("max_wavelength_shift_nm = 0.0", vec![told]),
        ("refuse_wavelength_shift_nm = 20.0", vec![]),
        ("refuse_wavelength_shift_nm = 20.1", vec![refused]),
        ("refuse_wavelength_shift_nm = 0.9", vec![refused]),
    ] {
        assert_eq!(paths(&simulated().replace("[references]\n", &format!("[references]\n{keys}\n"))), wrong, "{keys}");
    }
}

#[test]
fn two_devices_on_one_port_are_refused() {
    let text = std::fs::read_to_string(folder().join("replay.toml")).unwrap().replace("captures/swir", "captures/vnir");
    assert_eq!(paths(&text), ["camera[1].device.path"]);
}

/// The simulated rig with a belt on Modbus and lights on serial lines.
fn wired(profile: &str, belt: &str, lights: [&str; 2]) -> String {
    let mut rig: toml::Table = simulated().parse().unwrap();
    let profile = folder().join("drives").join(profile);
    let belt = format!(
        "kind = \"modbus\"\nprofile = {profile:?}\nmm_per_s_per_hz = 4.0\nmin_speed_mm_per_s = 1.0\nmax_speed_mm_per_s = 200.0\n{belt}"
    );
    rig["conveyor"]["device"] = belt.parse::<toml::Table>().unwrap().into();
    for (light, device) in rig["light"].as_array_mut().unwrap().iter_mut().zip(lights) {
        light["device"] = format!("kind = \"serial\"\nprotocol = \"gardasoft\"\n{device}").parse::<toml::Table>().unwrap().into();
    }
    rig.to_string()
}

#[test]
fn every_drive_of_the_folder_is_sound() {
    for path in files(&folder().join("drives")) {
        let text = wired(path.to_str().unwrap(), "port = \"/dev/ttyUSB0\"", ["port = \"/dev/ttyUSB1\"", "port = \"/dev/ttyUSB2\""]);
        assert_eq!(paths(&text), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn channels_share_a_controller_and_nothing_else_shares_a_port() {
    fn found(belt: &str, lights: [&str; 2]) -> Vec<String> {
        let faults = load::parse::<Config>(&wired("siemens-v20.toml", belt, lights)).unwrap().faults();
        faults.into_iter().map(|fault| fault.to_string()).collect()
    }
    let usb = |number: u8, channel: u8| format!("port = \"/dev/ttyUSB{number}\"\nchannel = {channel}");
    let belt = "port = \"/dev/ttyUSB0\"";
    assert_eq!(found(belt, [&usb(1, 1), &usb(1, 2)]), Vec::<String>::new());
    for (lights, key, first) in [
        ([usb(0, 1), usb(1, 1)], "light[0].device.port", "conveyor.device.port"),
        ([usb(1, 1), usb(1, 1)], "light[1].device.port", "light[0].device.port"),
        ([usb(1, 1), format!("{}\nbaud = 9600", usb(1, 2))], "light[1].device.port", "light[0].device.port"),
    ] {
        let faults = found(belt, [&lights[0], &lights[1]]);
        assert!(faults.len() == 1 && faults[0].contains(key) && faults[0].contains(first), "{faults:?}");
    }
    // A counter may be another unit on the drive's bus. A light may not.
    let counter = format!("{belt}\nencoder_counts_per_mm = 40.0\n[encoder]\nunit = 2\naddress = 20\nwords = 2");
    assert_eq!(found(&counter, [&usb(1, 1), &usb(1, 2)]), Vec::<String>::new());
    let faults = found(&counter.replace("unit = 2", "unit = 0"), [&usb(0, 1), &usb(1, 1)]);
    let named = |key: &str| faults.iter().any(|fault| fault.contains(key));
    assert!(faults.len() == 2 && named("conveyor.device.encoder.unit") && named("light[0].device.port"), "{faults:?}");
    let faults = found("port = \"/dev/ttyUSB0\"\naddress = \"there\"\nunit = 0", [&usb(1, 1), "volts = 12.0"]);
    for key in ["conveyor.device.port", "conveyor.device.address", "conveyor.device.unit", "light[1].device.port", "light[1].device.volts"]
    {
        assert!(faults.iter().any(|fault| fault.contains(key)), "{key}: {faults:?}");
    }
}

#[test]
fn a_limit_of_memory_is_kept() {
    let text = simulated().replace("[rig]\n", "[rig]\nmax_memory_mib = 10\n");
    assert_eq!(paths(&text), ["rig.max_memory_mib"]);
    assert!(load::parse::<Config>(&simulated()).unwrap().memory().total() < 1 << 30, "the demo fits into a gibibyte");
}

#[test]
fn nothing_listens_beyond_this_machine_unless_configured() {
    let listen: std::net::SocketAddr = load::parse::<Config>(&simulated()).unwrap().control.listen.parse().unwrap();
    let default: std::net::SocketAddr = ControlConfig::default().listen.parse().unwrap();
    assert!(listen.ip().is_loopback() && default.ip().is_loopback());
    let faulty = simulated().replace("127.0.0.1:9420", "somewhere");
    assert_eq!(paths(&faulty), ["control.listen"]);
}

#[test]
fn a_list_is_no_table() {
    let lists = "store = []\npublish = []\n[rig]\n";
    let found = paths(&simulated().replacen("[rig]\n", lists, 1));
    assert!(["store", "publish"].iter().all(|path| found.contains(&(*path).to_owned())), "{found:?}");
}

#[test]
fn a_host_of_the_listener_has_no_port() {
    for (name, wanted) in [("rig", true), ("rig.lan", true), ("::1", true), ("[::1]", true), ("10.0.0.1", true), ("rig:80", false)] {
        assert_eq!(crate::console_config::is_host(name), wanted, "{name}");
    }
    assert!(["", "*", "http://rig/", "a b"].iter().all(|name| !crate::console_config::is_host(name)));
}
