//! What the daemon does not start with, and that `hyclus check` says the same.

use super::python;
use super::rig::{Daemon, Options, PATIENCE, configuration, encoder};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    let child = command.args(arguments).env("HYCLUS_LOG", "off").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let (ended, output) = channel();
    std::thread::spawn(move || ended.send(child.wait_with_output().unwrap()));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        panic!("{program} {arguments:?} does not end");
    };
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// What the daemon and `hyclus check` say of a configuration that neither takes. Both say the same.
fn refused(folder: &Path, text: &str) -> String {
    let path = folder.join("rig.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let (daemon, started) = run(env!("CARGO_BIN_EXE_hyclusd"), &["--config", path]);
    let (check, checked) = run(env!("CARGO_BIN_EXE_hyclus"), &["check", path]);
    assert_eq!((daemon, check), (Some(1), Some(1)), "hyclusd: {started}\nhyclus check: {checked}\n{text}");
    let started = started.strip_prefix("hyclusd: ").unwrap_or(&started).to_owned();
    assert_eq!(started, checked.strip_prefix("hyclus: ").unwrap_or(&checked), "{text}");
    assert!(!folder.join("data").exists() || folder.join("data").is_file(), "a refused start leaves nothing behind");
    started
}

#[test]
fn what_start_refuses_check_refuses_with_the_same_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let good = configuration(&Options { more: encoder(), ..Options::default() });
    let long = format!("socket = \"{}/s\"", "a-folder-with-a-long-name/".repeat(5));
    let cases: &[(&str, String, &[&str])] = &[
        ("data_dir = \"data\"", "data_dir = \"/dev/null\"".into(), &["rig.data_dir", "/dev/null", "a device"]),
        ("data_dir = \"data\"", "data_dir = \"file\"".into(), &["rig.data_dir", "a file, expected a folder"]),
        ("data_dir = \"data\"", "data_dir = \"file/below\"".into(), &["rig.data_dir", "a file, expected a folder"]),
        ("data_dir = \"data\"", "data_dir = \"nowhere\"".into(), &["rig.data_dir", "leads nowhere"]),
        ("data_dir = \"data\"", "data_dir = \"/proc/hyclus\"".into(), &["rig.data_dir", "/proc"]),
        ("data_dir = \"data\"", "data_dir = \"other\"".into(), &["rig.data_dir", "scans", "a file, expected a folder"]),
        ("socket = \"s\"", long, &["control.socket", "at most 107"]),
        ("socket = \"s\"", "socket = \"file\"".into(), &["control.socket", "is not a socket"]),
        ("socket = \"s\"", "socket = \"file/s\"".into(), &["control.socket", "a file, expected a folder"]),
        ("socket = \"s\"", "socket = \"s\"\ngroup = \"no-such-group\"".into(), &["control.group", "no group `no-such-group`"]),
        ("[simulation]\n", "[control.roles]\noperate = [\"no-such-user\"]\n[simulation]\n".into(), &["control.roles.operate", "no-such-user"]),
        ("127.0.0.1:0", address.clone(), &["control.listen", &address, "choose another address"]),
        ("127.0.0.1:0", "203.0.113.1:9420".into(), &["control.listen", "203.0.113.1"]),
        ("pixels = 128", "pixels = 1_000_000_000".into(), &["camera[0].device.pixels", "too many"]),
        ("pixels = 128", "pixels = 0".into(), &["camera[0].device.pixels"]),
        ("pool_slots = 16", "pool_slots = 65536".into(), &["rig.max_memory_mib"]),
        ("pixels = 128, bands = 40", "pixels = 4096, bands = 400".into(), &["rig.max_memory_mib", "this machine has"]),
        ("bits = 16", "bits = 40".into(), &["camera[1].device.bits"]),
        ("last_nm = 2500.0", "last_nm = 1700.0".into(), &["encoder.model", "420", "1700 nm are measured"]),
        ("batch = 64", "batch = 64\nlibrary = \"gone.so\"".into(), &["encoder.library", "gone.so"]),
        ("simulated-pca4.onnx", "gone.onnx".into(), &["encoder.model", "gone.onnx", "cannot be read"]),
        ("panel = { reflectance = 0.95 }", "panel = { file = \"file\" }".into(), &["references.panel", "file"]),
        ("panel = { reflectance = 0.95 }", "panel = { file = \"gone\" }".into(), &["references.panel", "gone"]),
        ("time_scale = 1.0", "time_scale = -1.0".into(), &["simulation.time_scale"]),
        (
            "device = { kind = \"simulated\" }\n[[camera]]",
            "device = { kind = \"modbus\", profile = \"gone.toml\", address = \"127.0.0.1:1\", unit = 1, min_speed_mm_per_s = 1.0, max_speed_mm_per_s = 100.0 }\n[[camera]]".into(),
            &["conveyor.device"],
        ),
        (
            "device = { kind = \"simulated\", pixels = 128, bands = 40, dead_elements = 5, hot_elements = 5 }",
            "device = { kind = \"replay\", path = \"gone\" }".into(),
            &["camera[0].device", "gone"],
        ),
    ];
    for (from, to, parts) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "no number\n").unwrap();
        std::os::unix::fs::symlink("not-there", folder.path().join("nowhere")).unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::write(folder.path().join("other/scans"), "").unwrap();
        let mut text = good.replacen(from, to, 1);
        if to.contains("65536") || to.contains("4096") {
            text = text.replacen("[rig]\n", "[rig]\nmax_memory_mib = 100000000\n", 1).replacen("pool_slots = 16", "pool_slots = 65536", 1);
        }
        if to.starts_with("pool_slots") {
            text = text.replacen("max_memory_mib = 100000000", "max_memory_mib = 100", 1);
        }
        assert_ne!(text, good, "{from}");
        let said = refused(folder.path(), &text);
        for part in *parts {
            assert!(said.contains(part), "{from} -> {to}: `{part}` is not in: {said}");
        }
    }
    drop(taken);
}

#[test]
fn every_fault_of_a_start_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(&Options { more: encoder(), ..Options::default() })
        .replace("data_dir = \"data\"", "data_dir = \"/dev/null\"")
        .replace("socket = \"s\"", "socket = \"s\"\ngroup = \"no-such-group\"")
        .replace("simulated-pca4.onnx", "gone.onnx");
    let said = refused(folder.path(), &text);
    assert!(said.contains("3 fault(s)"), "{said}");
    // Elsewhere, only the faults that would hold there too are told.
    let path = folder.path().join("rig.toml");
    let (code, said) = run(env!("CARGO_BIN_EXE_hyclus"), &["check", "--elsewhere", path.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 fault(s)") && said.contains("gone.onnx"), "{said}");
}

/// `hyclus check` of a configuration.
fn check(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hyclus")).arg("check").arg(path).env("HYCLUS_LOG", "off").output().unwrap()
}

#[test]
fn a_check_changes_nothing_and_a_running_daemon_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rig.toml");
    std::fs::write(&path, configuration(&Options { more: encoder(), ..Options::default() })).unwrap();
    let said = String::from_utf8(check(&path).stdout).unwrap();
    assert!(said.contains("no faults") && !said.contains("in use") && !said.contains("not checked"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");

    let daemon = Daemon::launch(folder);
    let output = check(&daemon.folder.path().join("rig.toml"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("in use").count(), 4, "{said}");
    // A second daemon does not start.
    let (code, said) = run(env!("CARGO_BIN_EXE_hyclusd"), &["--config", daemon.folder.path().join("rig.toml").to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("in use"), "{code:?} {said}");
}

/// A loop without end, and a constant that fills the memory, end in a message within the limit.
#[test]
fn a_model_without_end_or_measure_is_refused_in_time() {
    let models = tempfile::tempdir().unwrap();
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped, because HYCLUS_SKIP_PYTHON is set");
        return;
    }
    python::run("make_models.py", &[models.path()]);
    for (model, limits, parts) in [
        ("endless", "limit_s = 1.0", &["endless.onnx", "1 s of loading", "encoder.limit_s"][..]),
        ("greedy", "max_memory_mib = 256", &["greedy.onnx", "more than 256 MiB", "encoder.max_memory_mib"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let model = models.path().join(format!("{model}.onnx"));
        // The spectra have the bands of the model.
        let options = Options { bands: 12, more: format!("[encoder]\nmodel = {model:?}\nbatch = 64\n{limits}\n"), ..Options::default() };
        let text = configuration(&options);
        let swir = text.rfind("[[camera]]").unwrap()..text.find("[[light]]").unwrap();
        let text = text.replace(&text[swir], "");
        let begin = Instant::now();
        let said = refused(folder.path(), &text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    }
    // By itself, too.
    let (code, said) = run(env!("CARGO_BIN_EXE_hyclus"), &["inspect", models.path().join("dense.onnx").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
}
