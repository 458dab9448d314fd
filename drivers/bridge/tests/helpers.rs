//! The example helpers, in Python and in C, pass the suite of the contract. Helpers with faults give errors.
#![allow(clippy::unwrap_used)]

use bridge::{Camera, Config};
use contract::{CameraError, Exposure, FramePool, LineCamera, Received, Subject, conformance};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).display().to_string()
}

fn config(command: &[&str]) -> Config {
    let command = command.iter().map(|part| (*part).to_owned()).collect();
    Config { command, socket: None, pixels: 32, bands: 8, open_ms: 10_000, timeout_ms: 2000 }
}

fn python() -> Option<Config> {
    if std::env::var_os("HYCLUS_SKIP_PYTHON").is_some() {
        eprintln!("skipped, because HYCLUS_SKIP_PYTHON is set");
        return None;
    }
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    Some(config(&[&python, &example("ramp.py")]))
}

fn in_c(folder: &Path) -> Config {
    let program = folder.join("ramp");
    let status =
        Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(example("ramp.c")).status().unwrap();
    assert!(status.success());
    config(&[program.to_str().unwrap()])
}

fn passes(config: &Config) {
    let mut camera = Camera::open("vnir", config).unwrap();
    conformance::camera(&mut camera);
    conformance::slow_reader(&mut camera);
    // The counts arrive as they were sent.
    let pool = FramePool::new(camera.describe().layout, 4);
    let mut stream = camera.start(pool, Subject::Tray).unwrap();
    for _ in 0..5 {
        let Received::Frame(frame) = stream.next(Instant::now() + Duration::from_secs(10)).unwrap() else { panic!("no frame") };
        let counts = frame.slot.as_u16().unwrap();
        let lowest = frame.info.number as u16;
        assert!(counts.chunks(32).zip(0..).all(|(line, band)| line.iter().all(|count| *count == lowest + band)), "{counts:?}");
        assert!(frame.info.device_time_ns.is_some());
    }
    camera.ensure_stopped().unwrap();
    let refused = camera.apply(&Exposure { exposure_us: 100.0, frame_rate_hz: 10.0, binning: (2, 1) }).unwrap_err();
    assert!(matches!(&refused, CameraError::Refused { reason, .. } if reason.contains("does not bin")), "{refused}");
}

#[test]
fn the_helper_in_python_passes() {
    if let Some(config) = python() {
        passes(&config);
    }
}

#[test]
fn the_helper_in_c_passes() {
    let folder = tempfile::tempdir().unwrap();
    passes(&in_c(folder.path()));
}

#[test]
fn a_helper_that_listens_passes() {
    let Some(config) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("helper.sock");
    let mut child = Command::new(&config.command[0]).arg(&config.command[1]).args(["32", "8"]).arg(&socket).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < end, "it listens");
        std::thread::yield_now();
    }
    passes(&Config { command: Vec::new(), socket: Some(socket), ..config });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_helper_that_is_killed_is_an_error_and_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let program = in_c(folder.path()).command[0].clone();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > '{}'; exec '{program}'", pid.display());
    let mut camera = Camera::open("swir", &config(&["sh", "-c", &script])).unwrap();
    let pool = FramePool::new(camera.describe().layout, 4);
    let mut stream = camera.start(pool.clone(), Subject::Tray).unwrap();
    assert!(matches!(stream.next(Instant::now() + Duration::from_secs(10)).unwrap(), Received::Frame(_)));
    let first = std::fs::read_to_string(&pid).unwrap();
    assert!(Command::new("kill").args(["-KILL", first.trim()]).status().unwrap().success());
    let end = Instant::now() + Duration::from_secs(10);
    let error = loop {
        assert!(Instant::now() < end, "its end is noticed");
        match stream.next(Instant::now() + Duration::from_millis(50)) {
            Ok(Received::Frame(_) | Received::Nothing) => {}
            Ok(Received::End) => panic!("an end without an error"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, CameraError::Link { reason, .. } if reason.contains("closed")), "{error}");
    // The thread that reads gives the error first, and then its end of the channel.
    assert!(matches!(stream.next(Instant::now() + Duration::from_secs(10)), Ok(Received::End)));
    camera.ensure_stopped().unwrap();
    drop(stream);
    assert_eq!(pool.free(), 4, "every slot comes back");
    let accepted = camera.apply(&Exposure { exposure_us: 100.0, frame_rate_hz: 10.0, binning: (1, 1) }).unwrap();
    assert_eq!(accepted.frame_rate_hz, 10.0);
    assert_ne!(std::fs::read_to_string(&pid).unwrap(), first, "another process");
    conformance::camera(&mut camera);
}

#[test]
fn helpers_that_end_hang_or_say_something_else_are_told_of() {
    let said = |script: &str, timeout_ms: u64| {
        let config = Config { open_ms: timeout_ms, timeout_ms: timeout_ms.min(1000), ..config(&["sh", "-c", script]) };
        Camera::open("vnir", &config).err().unwrap().to_string()
    };
    let text = |body: &str| format!("printf 'HELO\\{:03o}\\{:03o}\\000\\000{body}'", body.len() % 256, body.len() / 256);
    let ended = said("exit 3", 10_000);
    assert!(ended.contains("closed its output") && ended.contains("exit status: 3"), "{ended}");
    let hung = said("exec sleep 60", 100);
    assert!(hung.contains("its greeting (HELO) did not come within 100 ms"), "{hung}");
    let chat = said("echo Initialising camera; exec sleep 60", 10_000);
    assert!(chat.contains("begins with HELO, DONE, FAIL or FRAM, and this one with `Init`"), "{chat}");
    let version = said(&format!("{}; exec sleep 60", text("version = 7")), 10_000);
    assert!(version.contains("needs version = 1, and this one has 7"), "{version}");
    let shape = said(&format!("{}; exec sleep 60", text("version = 1,pixels = 4").replace(",", "\\n")), 10_000);
    assert!(shape.contains("bands") && shape.contains("none"), "{shape}");
    let nobody = said("", 10_000);
    assert!(nobody.contains("closed its output"), "{nobody}");
    let missing = Camera::open("vnir", &config(&["/no/such/helper"])).err().unwrap().to_string();
    assert!(missing.contains("/no/such/helper") && missing.contains("cannot be started"), "{missing}");
    let socket = Config { command: Vec::new(), socket: Some("/no/such.sock".into()), ..config(&[]) };
    let silent = Camera::open("vnir", &socket).err().unwrap().to_string();
    assert!(silent.contains("/no/such.sock") && silent.contains("start the helper"), "{silent}");
}

/// A scripted helper. It greets, answers, and after `start` sends `bytes`.
fn scripted(folder: &Path, bytes: Vec<u8>, close: bool) -> Config {
    let socket = folder.join("scripted.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let message = |tag: &[u8], body: &str| [tag, &(body.len() as u32).to_le_bytes(), body.as_bytes()].concat();
        let greeting = "version = 1\nmodel = scripted\npixels = 32\nbands = 8\nwavelengths_nm = 1,2,3,4,5,6,7,8\nmax_frame_rate_hz = 100\nexposure_range_us = 1,1000\nunknown = 5\n";
        stream.write_all(&message(b"HELO", greeting)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let id = line.split(' ').next().unwrap();
            if stream.write_all(&message(b"DONE", &format!("id = {id}"))).is_err() {
                return;
            }
            if line.contains("start") {
                let _ = stream.write_all(&bytes);
                if close {
                    return;
                }
            }
        }
    });
    Config { command: Vec::new(), socket: Some(socket), timeout_ms: 200, ..config(&[]) }
}

#[test]
fn short_and_wrong_frames_are_errors() {
    let frame = |length: u32, data: usize| [b"FRAM".as_slice(), &length.to_le_bytes(), &vec![1; data]].concat();
    for (bytes, close, wanted) in [
        (frame(32 + 512, 100), true, "closed its output in the middle of FRAM"),
        (frame(32 + 100, 132), false, "a FRAM message has 32 + 512 = 544 bytes, and this one 132"),
        (b"junkjunk".to_vec(), false, "and this one with `junk`"),
        (frame(32 + 512, 100), false, "it stopped in the middle of a message"),
        (Vec::new(), true, "closed its output"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut camera = Camera::open("vnir", &scripted(folder.path(), bytes, close)).unwrap();
        let pool = FramePool::new(camera.describe().layout, 2);
        let mut stream = camera.start(pool, Subject::Tray).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        let error = loop {
            assert!(Instant::now() < end, "an error comes: {wanted}");
            match stream.next(Instant::now() + Duration::from_millis(20)) {
                Ok(Received::Nothing) => {}
                Ok(other) => panic!("{other:?} where `{wanted}` was expected"),
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, CameraError::Link { reason, .. } if reason.contains(wanted)), "{error}");
    }
}
