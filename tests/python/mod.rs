//! Runs the scripts of this folder.

use std::path::Path;
use std::process::Command;

/// Runs `tests/python/{script}` and fails with what it printed. `HYCLUS_PYTHON` names the interpreter, else `python3`; a module
/// that is missing fails the test unless `HYCLUS_SKIP_PYTHON` is set.
pub fn run(script: &str, arguments: &[&Path]) {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped: {script}, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let output = Command::new(&python).arg(&script).args(arguments).output().unwrap_or_else(|e| panic!("{python}: {e}; set HYCLUS_PYTHON"));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{said}{failed}", script.display(), output.status);
}
