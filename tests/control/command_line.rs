//! `hyclus` as a process: what it prints and how it ends.

use crate::rig::{SCAN, Served, output, serve, spawn, tray};
use hyclus::rig::Refusal;
use hyclus::scan::StateName;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn command(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.args(arguments).env("HYCLUS_SOCKET", socket).env_remove("HYCLUS_LOG").env_remove("HYCLUS_LOG_FORMAT").stdin(Stdio::null());
    command
}

async fn hyclus(socket: &Path, arguments: &[&str]) -> Ended {
    let mut command = command(socket, arguments);
    let output = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn tray_file(folder: &Path, text: &str) -> String {
    let path: PathBuf = folder.join("tray.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn good_tray(folder: &Path) -> String {
    tray_file(folder, &toml::to_string(&tray()).unwrap())
}

async fn text(served: &Served, arguments: &[&str]) -> String {
    let ended = hyclus(&served.path, arguments).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}: {}", ended.out);
    ended.out
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_reaches_the_rig() {
    let served = serve();
    let status = text(&served, &["status"]).await;
    assert!(status.starts_with("bench: ready\n"), "{status}");
    for part in ["swir", "moves, 40.0 mm/s", "halogen", "on, 50%", "15 min", "3.5 GB free", "join 3/64"] {
        assert!(status.contains(part), "{part} is not in\n{status}");
    }
    text(&served, &["acknowledge"]).await;
    assert!(text(&served, &["reference", "white"]).await.contains("51234.5"));
    text(&served, &["reference", "dark"]).await;
    text(&served, &["lamps", "on"]).await;
    text(&served, &["lamps", "0.25", "--light", "led"]).await;
    text(&served, &["belt", "run", "-40"]).await;
    text(&served, &["belt", "to", "12.5"]).await;
    text(&served, &["belt", "stop"]).await;
    let encoders = text(&served, &["encoders"]).await;
    assert!(encoders.contains("pca4") && encoders.contains("configured"), "{encoders}");
    text(&served, &["encoders", "reset", "main"]).await;
    text(&served, &["stop", SCAN]).await;
    text(&served, &["stop", "--emergency"]).await;
    *served.rig.state.lock().unwrap() = StateName::Scanning;
    text(&served, &["stop"]).await;
    assert!(text(&served, &["scans"]).await.contains(SCAN));
    assert!(text(&served, &["scans", SCAN]).await.contains("nothing found in: B2"));
    let wanted = [
        "acknowledge",
        "reference White",
        "reference Dark",
        "lighting None 1",
        "lighting Some(\"led\") 0.25",
        "Run { speed_mm_per_s: -40.0 }",
        "Travel { to_mm: 12.5 }",
        "Stop",
        "restore_encoder main",
        &format!("stop_scan {SCAN}"),
        "emergency_stop",
        &format!("stop_scan {SCAN}"),
    ];
    assert_eq!(served.rig.names(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_document_a_line() {
    let served = serve();
    for arguments in [&["status"][..], &["scans"], &["reference", "dark"], &["lamps", "off"], &["belt", "stop"], &["scans", SCAN]] {
        let out = text(&served, &[arguments, &["--json"]].concat()).await;
        assert_eq!(out.lines().count(), 1, "{out}");
        let _: Value = serde_json::from_str(&out).unwrap();
    }
    *served.rig.refusal.lock().unwrap() = Some(Refusal::NotReady { reason: "a scan is running".into() });
    let ended = hyclus(&served.path, &["--json", "belt", "stop"]).await;
    let problem: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!((ended.code, &problem["status"]), (3, &409.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_awaited_to_its_end() {
    let served = serve();
    let folder = tempfile::tempdir().unwrap();
    let tray = good_tray(folder.path());
    served.rig.warn("long ago");
    assert_eq!(text(&served, &["scan", "--tray", &tray]).await.trim(), SCAN);
    let out = text(&served, &["scan", "--tray", &tray, "--wait"]).await;
    assert!(out.starts_with(&format!("{SCAN}\n")), "{out}");
    for part in
        ["sample s1 stored in samples/s1.h5", "scan 20180703T141502Z-T1: complete", "touches the edge", "swir         100        98     2"]
    {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    assert!(!out.contains("long ago"), "{out}");
    assert!(!out.contains("11.0 of 400.0"), "progress is shown by tenths\n{out}");
    *served.rig.complete.lock().unwrap() = false;
    let ended = hyclus(&served.path, &["scan", "--tray", &tray, "--wait", "--json"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("the scan is incomplete: the belt stalled"), "{}", ended.err);
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    assert_eq!((&last["id"], &last["complete"]), (&SCAN.into(), &false.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_says_what_kind_of_failure_it_was() {
    let served = serve();
    let folder = tempfile::tempdir().unwrap();
    let tray = good_tray(folder.path());
    *served.rig.refusal.lock().unwrap() = Some(Refusal::NotReady { reason: "the lamps are warming".into() });
    let ended = hyclus(&served.path, &["scan", "--tray", &tray, "--wait"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (3, "hyclus: the rig is not ready: the lamps are warming\n"));
    *served.rig.refusal.lock().unwrap() = Some(Refusal::Device { reason: "the drive does not answer".into() });
    assert_eq!(hyclus(&served.path, &["belt", "stop"]).await.code, 1);
    let ended = hyclus(&served.path, &["stop"]).await;
    assert_eq!((ended.code, ended.err.contains("no scan is running")), (1, true));
    assert_eq!(hyclus(&served.path, &["scans", "none"]).await.code, 1);
    for usage in [&["lamps", "2"][..], &["fly"], &[], &["scan"], &["stop", SCAN, "--emergency"]] {
        assert_eq!(hyclus(&served.path, usage).await.code, 2, "{usage:?}");
    }
    let nowhere = folder.path().join("none.sock");
    let ended = hyclus(&nowhere, &["status"]).await;
    assert!(ended.code == 1 && ended.err.contains("is hyclusd running"), "{}", ended.err);
    let named = served.path.display().to_string();
    assert_eq!(hyclus(&nowhere, &["status", "--socket", &named]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_tray_map_is_told_even_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let tray = tray_file(folder.path(), "tray = \"a/b\"\n[[container]]\nat = \"A1\"\nsample = \"s\"\n");
    let ended = hyclus(&folder.path().join("none.sock"), &["scan", "--tray", &tray]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("\n  tray: ") && ended.err.contains("\n  container[0].at: "), "{}", ended.err);
    let ended = hyclus(&folder.path().join("none.sock"), &["scan", "--tray", "missing.toml"]).await;
    assert!(ended.code == 1 && ended.err.contains("missing.toml: cannot be read"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_and_a_reader_may_leave() {
    let served = serve();
    ["one", "two", "three"].iter().for_each(|word| served.rig.warn(word));
    let mut command = command(&served.path, &["events", "--follow-from", "1", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let rig = served.rig.clone();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = spawn(&mut command);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for id in [2, 3] {
            let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!((&event["id"], &event["event"]), (&id.into(), &"warning".into()));
        }
        // `hyclus events | head -2`: a line has nowhere to go, once no other child that was begun meanwhile has the pipe by accident.
        drop(lines);
        while child.try_wait().unwrap().is_none() {
            rig.warn("more");
            std::thread::yield_now();
        }
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_the_log_need_no_daemon() {
    let nowhere = Path::new("/nonexistent/control.sock");
    for shell in ["bash", "zsh", "fish"] {
        let ended = hyclus(nowhere, &["completions", shell]).await;
        assert!(ended.code == 0 && ended.out.contains("follow-from"), "{shell}");
    }
    for (name, value) in [("HYCLUS_LOG", "hyclus=loud"), ("HYCLUS_LOG_FORMAT", "xml")] {
        let mut command = command(nowhere, &["status"]);
        command.env(name, value);
        let output = tokio::task::spawn_blocking(move || output(&mut command)).await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(value));
    }
}
