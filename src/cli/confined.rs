//! `hyclus inspect` of an HDF5 file, in a process of its own.
//!
//! The HDF5 library breaks down on some damaged files, or does not come to an end. The process that reads has bounds for its memory, its
//! time and its open files. Where it breaks down, this one says so.

use super::output::{exit_code, fail};
use crate::inspect;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

/// Most memory of the process that reads, bytes of addresses.
const MEMORY: u64 = 3 << 30;
/// Time that every file is given, s of a processor.
const TIME_S: u64 = 10;
/// Bytes of a file that give a second more.
const BYTES_PER_S: u64 = 50 << 20;
/// Files that are opened to read one: by the library, and by what checks it.
const FILES: u64 = 2;

/// Describes an HDF5 file: has another process do it, and waits for its end.
pub(super) fn inspect(path: &Path, follow: bool, pixel: Option<(u64, u64)>) -> ExitCode {
    let mut command = Command::new("/proc/self/exe");
    command.args(["inspect", "--confined"]).args(follow.then_some("--follow"));
    if let Some((line, pixel)) = pixel {
        command.arg(format!("--pixel={line},{pixel}"));
    }
    command.arg("--").arg(path).stdin(Stdio::null());
    match command.status() {
        Ok(status) => match status.code() {
            Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            None => fail(format!("{}: {}", path.display(), died(path, status))),
        },
        Err(error) => fail(format!("the process that reads {} cannot be started: {error}", path.display())),
    }
}

/// Why the process that read a file is gone.
fn died(path: &Path, status: ExitStatus) -> String {
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    let by = signal.map_or("a signal", Signal::as_str);
    match signal {
        Some(Signal::SIGXCPU) => format!("reading it took more than {} s; it is damaged, or made to keep readers busy", seconds(path)),
        _ => format!("the HDF5 library broke down over it ({by}); it is damaged, or made to break readers. Restore it from a copy"),
    }
}

fn seconds(path: &Path) -> u64 {
    TIME_S + std::fs::metadata(path).map_or(0, |about| about.len()) / BYTES_PER_S
}

/// Describes an HDF5 file in this process, after giving it bounds.
pub(super) fn read(path: &Path, follow: bool, pixel: Option<(u64, u64)>) -> ExitCode {
    let mut bounds = vec![(Resource::RLIMIT_AS, MEMORY), (Resource::RLIMIT_CPU, seconds(path)), (Resource::RLIMIT_CORE, 0)];
    if !follow {
        // The lowest free descriptor. Files beyond those that are needed cannot be opened, whatever the file refers to.
        match File::open("/dev/null") {
            Ok(file) => bounds.push((Resource::RLIMIT_NOFILE, u64::from(file.as_raw_fd().unsigned_abs()) + FILES)),
            Err(error) => return fail(error),
        }
    }
    for (resource, most) in bounds {
        let bound = getrlimit(resource).and_then(|(_, hard)| setrlimit(resource, most.min(hard), hard));
        if let Err(error) = bound {
            return fail(format!("{}: no bounds can be set for reading it: {error}", path.display()));
        }
    }
    // A file that is referred to may be a pipe, which takes no time of a processor.
    let (most, name) = (Duration::from_secs(2 * seconds(path)), path.display().to_string());
    let (running, runs) = std::sync::mpsc::sync_channel(0);
    std::thread::spawn(move || {
        // A thread that starts may open a file of the system for a moment, and none is to spare.
        let _ = running.send(());
        std::thread::sleep(most);
        let _ = fail(format!("{name}: reading it took more than {} s", most.as_secs()));
        std::process::exit(1);
    });
    let _ = runs.recv();
    let mut text = Vec::new();
    let shown = match pixel {
        Some(pixel) => inspect::pixel(path, pixel, &mut text),
        None => inspect::hdf5(path, follow, &mut text),
    };
    shown.map_or_else(fail, |()| exit_code(io::stdout().lock().write_all(&text)))
}
