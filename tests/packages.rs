//! The Python packages of this tree, each by its own tests: the client in `python/`, and the archive in `archive/`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// Runs the tests of a package with pytest, and fails with what it printed.
fn pytest(package: &str) {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped: {package}, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(package);
    let binaries = Path::new(env!("CARGO_BIN_EXE_hyclusd")).parent().unwrap();
    let others = std::env::var("PYTHONPATH").unwrap_or_default();
    let path = format!("{}:{}:{others}", root.display(), root.join("tests").display());
    let mut command = Command::new(&python);
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]).current_dir(&root);
    command.env("PYTHONPATH", path).env("HYCLUS_BIN", binaries).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap_or_else(|error| panic!("{python}: {error}; set HYCLUS_PYTHON"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{package}: {}\n{said}{failed}", output.status);
    println!("{said}");
}

#[test]
fn the_client_does_what_it_says() {
    pytest("python");
}

#[test]
fn the_archive_does_what_it_says() {
    pytest("archive");
}
