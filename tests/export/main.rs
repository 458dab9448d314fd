//! `hyclus export` on a data root of small scans, read back by the programs of others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../edit/mod.rs"]
mod edit;
mod envi;
mod hidsag;
#[path = "../python/mod.rs"]
mod python;
mod refused;
mod scans;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `hyclus export --data DATA ARGUMENTS...`.
fn export(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
    command.arg("export").arg("--data").arg(data).args(arguments).env_remove("HYCLUS_LOG").stdin(Stdio::null());
    command.output().unwrap()
}

/// What a run that succeeds says: standard output and standard error.
fn said(output: &Output) -> (String, String) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    (out, err)
}

/// What a run that fails says.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
