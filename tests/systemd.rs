//! The files in `systemd/`, judged by systemd's own programs. Where one is not installed, its test says so and passes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The worst exposure that `systemd-analyze security` may report. The service reports 1.6.
const EXPOSURE_LIMIT: f64 = 2.0;
/// The same for the page, which touches no device. It reports 1.4.
const CONSOLE_EXPOSURE_LIMIT: f64 = 1.5;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// Runs a program of systemd or udev, or says that it is missing.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).env("SYSTEMD_COLORS", "0").output();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: {program} is not installed (Debian packages systemd and udev)");
            None
        }
        Err(error) => panic!("cannot run {program}: {error}"),
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The units as they would be installed, with the programs of this build in place of /usr/bin.
fn units_of_this_build(folder: &Path) -> Vec<String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_hyclusd")).parent().expect("a program lies in a folder");
    assert_eq!(Path::new(env!("CARGO_BIN_EXE_hyclus")).parent(), Some(programs));
    ["hyclusd.service", "hyclusd.socket", "hyclus-console.service", "hyclus-console.socket", "hyclus-ship.service"]
        .iter()
        .map(|name| {
            let text = fs::read_to_string(shipped(name)).expect(name);
            let placed = folder.join(name);
            // Programs of other crates may not be built beside these.
            let text = text.replace("=/usr/bin/hyclus-console", "=/bin/true").replace("=/usr/bin/hyclus-ship", "=/bin/true");
            let text = text.replace("=/usr/bin/", &format!("={}/", programs.display()));
            fs::write(&placed, text).expect(name);
            placed.display().to_string()
        })
        .collect()
}

fn verify(units: &[String]) -> Option<Output> {
    let arguments: Vec<&str> = ["verify", "--man=no"].into_iter().chain(units.iter().map(String::as_str)).collect();
    run("systemd-analyze", &arguments)
}

#[test]
fn systemd_reads_the_units_without_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let units = units_of_this_build(folder.path());
    let Some(output) = verify(&units) else { return };
    // A key it does not know is a warning to systemd, and exit status 0.
    assert_eq!(said(&output), "");
    assert!(output.status.success());
}

#[test]
fn a_misspelt_key_would_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let units = units_of_this_build(folder.path());
    let misspelt = fs::read_to_string(&units[0]).unwrap().replace("WatchdogSec=", "WatchdogSeconds=");
    fs::write(&units[0], misspelt).unwrap();
    let Some(output) = verify(&units) else { return };
    assert!(said(&output).contains("WatchdogSeconds"), "{}", said(&output));
}

#[test]
fn the_services_are_well_enclosed() {
    let limits = [
        ("hyclusd.service", EXPOSURE_LIMIT),
        ("hyclus-console.service", CONSOLE_EXPOSURE_LIMIT),
        ("hyclus-ship.service", CONSOLE_EXPOSURE_LIMIT),
    ];
    limits.into_iter().for_each(|(name, limit)| is_enclosed(name, limit));
}

fn is_enclosed(name: &str, limit: f64) {
    let service = shipped(name);
    let arguments = ["security", "--offline=true", "--no-pager", service.to_str().unwrap()];
    let Some(output) = run("systemd-analyze", &arguments) else { return };
    let text = said(&output);
    if text.contains("unrecognized option") {
        println!("skipped: this systemd-analyze is older than 250 and judges only running services");
        return;
    }
    let last = text.lines().rfind(|line| line.contains("exposure level")).unwrap_or_else(|| panic!("{text}"));
    println!("{last}");
    // "Overall exposure level for hyclusd.service: 1.6 OK"
    let figure: f64 = last.rsplit(": ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(figure <= limit, "{text}");
}

#[test]
fn the_shipper_reads_results_and_writes_none() {
    let unit = fs::read_to_string(shipped("hyclus-ship.service")).unwrap();
    let socket = fs::read_to_string(shipped("hyclusd.socket")).unwrap();
    assert_eq!(value(&unit, "SupplementaryGroups"), value(&socket, "SocketGroup"));
    assert_ne!(value(&unit, "User"), value(&socket, "SocketUser"));
    assert_eq!((values(&unit, "ReadWritePaths").len(), values(&unit, "DeviceAllow").len()), (0, 0));
    assert!(value(&unit, "Nice").parse::<i32>().unwrap() >= 10);
}

#[test]
fn the_page_reaches_the_control_socket_and_no_device() {
    let page = fs::read_to_string(shipped("hyclus-console.service")).unwrap();
    let socket = fs::read_to_string(shipped("hyclusd.socket")).unwrap();
    assert_eq!(value(&page, "SupplementaryGroups"), value(&socket, "SocketGroup"));
    assert_ne!(value(&page, "User"), value(&socket, "SocketUser"));
    assert_eq!(values(&page, "DeviceAllow"), [""; 0]);
    assert_eq!((value(&page, "PrivateDevices"), value(&page, "CapabilityBoundingSet")), ("yes", ""));
    assert_eq!(values(&page, "ReadWritePaths"), [""; 0]);
    let nice: i32 = value(&page, "Nice").parse().unwrap();
    assert!(nice >= 10);
    let listens = fs::read_to_string(shipped("hyclus-console.socket")).unwrap();
    assert_eq!(value(&listens, "ListenStream"), hyclus::config::ConsoleConfig::default().listen);
    assert_eq!(value(&listens, "FileDescriptorName"), "console");
}

/// Every value of a key that may be set several times.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// What each device of the example needs, and that the unit leaves it.
#[test]
fn the_devices_of_the_example_are_usable_within_the_sandbox() {
    let unit = fs::read_to_string(shipped("hyclusd.service")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rig.example.toml");
    let rig: toml::Value = toml::from_str(&fs::read_to_string(example).unwrap()).unwrap();
    let mut devices = vec![rig["conveyor"]["device"].clone()];
    for kind in ["camera", "light"] {
        devices.extend(rig[kind].as_array().unwrap().iter().map(|entry| entry["device"].clone()));
    }
    assert_eq!(devices.len(), 5);
    let families: Vec<&str> = value(&unit, "RestrictAddressFamilies").split(' ').collect();
    let allowed = values(&unit, "DeviceAllow");
    assert_eq!(value(&unit, "DevicePolicy"), "closed");
    for hidden in ["PrivateDevices", "PrivateNetwork", "PrivateUsers", "IPAddressDeny", "InaccessiblePaths"] {
        assert!(values(&unit, hidden).iter().all(|value| ["no", "false"].contains(value)), "{hidden}");
    }
    for device in devices {
        let text = |key: &str| device.get(key).and_then(toml::Value::as_str);
        match text("kind").unwrap() {
            "modbus" | "serial" if text("port").is_some() => {
                // Whatever the link leads to: an adapter, or a port of the board.
                assert!(text("port").unwrap().starts_with("/dev/serial/by-id/usb-"));
                for node in ["char-ttyUSB rw", "char-ttyACM rw", "char-ttyS rw"] {
                    assert!(allowed.contains(&node), "{node} is not among {allowed:?}");
                }
                assert!(value(&unit, "SupplementaryGroups").split(' ').any(|group| group == "dialout"));
            }
            "modbus" | "serial" | "gige" if text("address").is_some() => {
                assert!(["AF_INET", "AF_INET6", "AF_NETLINK"].iter().all(|family| families.contains(family)), "{families:?}");
            }
            // Over USB3 Vision.
            "gige" => assert!(allowed.contains(&"char-usb_device rw"), "{allowed:?}"),
            "bridge" => {
                let helper = device["command"][0].as_str().unwrap();
                assert!(helper.starts_with("/usr/") && values(&unit, "NoExecPaths").is_empty());
                assert!(families.contains(&"AF_UNIX"));
            }
            other => panic!("what does a device of kind {other} need?"),
        }
    }
}

#[test]
fn accounts_and_directories_are_made_as_the_service_expects_them() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let at_root = format!("--root={}", root.path().display());

    for name in ["hyclus.sysusers", "hyclus-console.sysusers", "hyclus-ship.sysusers"] {
        let Some(output) = run("systemd-sysusers", &[&at_root, shipped(name).to_str().unwrap()]) else { return };
        assert!(output.status.success(), "{}", said(&output));
    }
    let accounts = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    assert!(accounts.lines().any(|line| line.starts_with("hyclus:")), "{accounts}");
    assert!(accounts.lines().any(|line| line.starts_with("hyclus-console:")), "{accounts}");
    let groups = fs::read_to_string(root.path().join("etc/group")).unwrap();
    assert!(
        groups.lines().any(|line| line.starts_with("hyclus:") && line.contains("hyclus-console") && line.contains("hyclus-ship")),
        "{groups}"
    );
    for group in ["dialout", "video"] {
        let members = groups.lines().find(|line| line.starts_with(&format!("{group}:"))).expect(group);
        assert!(members.ends_with(":hyclus"), "{members}");
    }

    let rules = shipped("hyclus.tmpfiles");
    let Some(output) = run("systemd-tmpfiles", &["--create", &at_root, rules.to_str().unwrap()]) else { return };
    if said(&output).contains("Operation not permitted") {
        println!("skipped: only root may give the directories to their owners");
        return;
    }
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "");
    assert!(root.path().join("run/hyclus").is_dir());
}

#[test]
fn udev_reads_the_rules_without_complaint() {
    let Some(output) = run("udevadm", &["verify", "--resolve-names=never", shipped("70-hyclus.rules").to_str().unwrap()]) else { return };
    if said(&output).contains("nknown command") {
        println!("skipped: this udevadm is older than 254 and cannot verify rules");
        return;
    }
    assert!(output.status.success(), "{}", said(&output));
}

/// The value of a key, from the one line that sets it.
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("{key} is not set"));
    assert_eq!(values.next(), None, "{key} is set twice");
    value
}

#[test]
fn the_control_socket_outlives_the_service() {
    let service = fs::read_to_string(shipped("hyclusd.service")).unwrap();
    let socket = fs::read_to_string(shipped("hyclusd.socket")).unwrap();
    let directory = format!("/run/{}/", value(&service, "RuntimeDirectory"));
    assert!(value(&socket, "ListenStream").starts_with(&directory));
    assert_eq!(value(&service, "RuntimeDirectoryPreserve"), "yes");
    assert_eq!(value(&service, "User"), value(&socket, "SocketUser"));
    assert_eq!(value(&service, "Group"), value(&socket, "SocketGroup"));
}
