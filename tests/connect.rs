//! `hyclus check --connect` and `hyclus devices` on devices that answer, and on some that do not.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn hyclus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hyclus")).args(arguments).env_remove("HYCLUS_LOG").output().unwrap()
}

/// The simulated rig, with its second camera behind `helper`.
fn rig(folder: &Path, helper: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rig: toml::Table = std::fs::read_to_string(root.join("config/simulated.toml")).unwrap().parse().unwrap();
    rig.remove("encoder");
    rig.remove("minerals");
    rig["rig"]["data_dir"] = folder.join("data").display().to_string().into();
    let mut device = toml::Table::new();
    device.insert("kind".into(), "bridge".into());
    device.insert("command".into(), helper.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>().into());
    device.insert("pixels".into(), 32.into());
    device.insert("bands".into(), 8.into());
    rig["camera"][1]["device"] = device.into();
    let path = folder.join("rig.toml");
    std::fs::write(&path, rig.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn what_the_devices_accept_is_shown_and_what_fails_is_told() {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers/bridge/examples/ramp.py").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let good = rig(folder.path(), &[&python, &helper]);
    for arguments in [["check", "--connect", &good], ["devices", "--config", &good]] {
        let output = hyclus(&arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        for part in
            ["conveyor (conveyor): simulated conveyor", "ramp in Python PY01; 32 px x 8 bands; accepted exposure", "halogen (light[0])"]
        {
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
    }
    let bad = rig(folder.path(), &["/no/such/helper"]);
    let output = hyclus(&["check", "--connect", &bad]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("(camera[1]) at /no/such/helper: FAILED:") && said.contains("vnir (camera[0])"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&hyclus(&["--json", "check", "--connect", &bad]).stdout).unwrap();
    assert!(json["connected"][2]["fault"].as_str().unwrap().contains("/no/such/helper"), "{json}");
    // Without --connect, nothing is opened.
    assert!(hyclus(&["check", &bad]).status.success());
}

/// The simulated rig, with small cameras whose response bends by a percent of the full scale.
fn bent(folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rig: toml::Table = std::fs::read_to_string(root.join("config/simulated.toml")).unwrap().parse().unwrap();
    rig.remove("encoder");
    rig.remove("minerals");
    rig["rig"]["data_dir"] = folder.join("data").display().to_string().into();
    rig["simulation"].as_table_mut().unwrap().remove("mains_ripple");
    for camera in rig["camera"].as_array_mut().unwrap() {
        let device = camera["device"].as_table_mut().unwrap();
        for (key, value) in [("pixels", 64.into()), ("bands", 20.into()), ("nonlinearity", 0.01.into())] {
            let _: Option<toml::Value> = device.insert(key.into(), value);
        }
    }
    let path = folder.join("rig.toml");
    std::fs::write(&path, rig.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn linearity_is_measured_on_the_rig_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let rig = bent(folder.path());
    let arguments = ["--json", "calibrate", "linearity", "--config", &rig, "--connect", "--camera", "vnir", "--exposures"];
    let output = hyclus(&[&arguments[..], &["0.2,0.4,0.6,0.8,1.0", "--write"]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.contains(" µs, mean ")).count(), 9, "{told}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| found[key].as_f64().unwrap();
    assert!(number("residual_before") > 0.001 && number("residual") < 0.0003 && number("drift") < 0.005, "{found}");
    let written: toml::Table = std::fs::read_to_string(&rig).unwrap().parse().unwrap();
    let first = written["camera"][0]["correction"]["linearity"][0].as_float().unwrap();
    assert!((first - 0.04).abs() < 0.01 && written["camera"][1].get("correction").is_none(), "{written}");
}

#[test]
fn linearity_is_refused_while_a_daemon_holds_the_data_root() {
    let folder = tempfile::tempdir().unwrap();
    let rig = bent(folder.path());
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    let held = hyclus::data_root::DataRoot::take(&folder.path().join("data")).unwrap();
    let output = hyclus(&["calibrate", "linearity", "--config", &rig, "--connect"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("in use"), "{told}");
    drop(held);
    let output = hyclus(&["calibrate", "linearity", "--config", &rig, "--connect", "--camera", "tir"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("no camera `tir`; it has vnir, swir"), "{told}");
}

#[test]
fn ctrl_c_ends_a_series_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let rig = bent(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(["calibrate", "linearity", "--config", &rig, "--connect"]).env_remove("HYCLUS_LOG");
    let mut running = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.any(|line| line.contains(" µs, mean ")), "the series has begun");
    assert!(Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = told.collect();
    assert_eq!(running.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.last().unwrap().ends_with("stopped") && rest.len() < 10, "{rest:?}");
}
