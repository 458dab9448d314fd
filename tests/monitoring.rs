//! The alarms and the dashboard of `config/monitoring/`, tried with Prometheus by scripts of `tests/python/`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// Runs a script, and fails with what it printed. Left out where a variable names no program, or Python's tests are left out.
fn run(script: &str, arguments: &[&str], needs: &str) {
    let there = std::env::var_os(needs).is_some_and(|path| Path::new(&path).exists());
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() || !there {
        eprintln!("skipped: {script}, because HYCLUS_SKIP_PYTHON is set or {needs} names none; run `make test`");
        return;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let binaries = Path::new(env!("CARGO_BIN_EXE_hyclusd")).parent().unwrap();
    let output = Command::new(&python).arg(&script).args(arguments).env("HYCLUS_BIN", binaries).output();
    let output = output.unwrap_or_else(|e| panic!("{python}: {e}; set HYCLUS_PYTHON"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{said}{failed}", script.display(), output.status);
    println!("{said}");
}

#[test]
fn promtool_has_each_alarm_fire_and_be_quiet() {
    run("monitoring.py", &["rules"], "HYCLUS_PROMTOOL");
}

#[test]
fn each_scene_raises_its_alarms_and_no_other() {
    run("monitoring_scenes.py", &[], "HYCLUS_PROMETHEUS");
}
