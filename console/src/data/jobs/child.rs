//! A program that does the work of a job, at low priority and watched.

use super::work::{OUT, Outcome, Running, bytes_below};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The file with what the program said.
pub const SAID: &str = "said.txt";
/// The file with its errors.
const ERRORS: &str = "errors.txt";
/// How often the program is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Time that the program has to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that are read of what it said.
const MOST_SAID: u64 = 1 << 20;
/// Least free room on the disk, MiB. The disk may be that of scans.
const LEAST_FREE_MIB: f64 = 2048.0;

/// What a program said.
pub struct Said {
    pub out: String,
    pub errors: String,
}

impl Said {
    /// The last line.
    pub fn last(&self) -> String {
        let line = |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
        line(&self.out).or_else(|| line(&self.errors)).unwrap_or_default()
    }
}

/// How a program ended.
pub enum Ended {
    Code(i32, Said),
    Cancelled,
    Failed(String),
}

impl Ended {
    /// The job's end where the program did not do it.
    pub fn failed(self) -> Outcome {
        match self {
            Self::Cancelled => Outcome::Cancelled,
            Self::Failed(why) => Outcome::Failed(why),
            Self::Code(_, said) if !said.errors.trim().is_empty() => Outcome::Failed(said.errors),
            Self::Code(code, said) => Outcome::Failed(format!("hyclus ended with {code}: {}", said.last())),
        }
    }
}

/// A program and how its progress is known.
pub struct Watched<'a> {
    pub running: &'a Running<'a>,
    /// Bytes that it reads or writes altogether.
    pub all: u64,
    /// Whether bytes below the result count, else bytes that it read.
    pub of_output: bool,
}

impl Watched<'_> {
    /// Runs the program to its end.
    pub fn run(&self, program: &Path, arguments: &[OsString]) -> Ended {
        let folder = &self.running.folder;
        let file = |name: &str| File::create(folder.join(name));
        let (out, errors) = match (file(SAID), file(ERRORS)) {
            (Ok(out), Ok(errors)) => (out, errors),
            (Err(error), _) | (_, Err(error)) => return Ended::Failed(format!("{} cannot be written: {error}", folder.display())),
        };
        let mut command = Command::new("nice");
        command.args(["-n", "15"]).arg(program).args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(out).stderr(errors).env("HYCLUS_LOG", "warn");
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ended::Failed(format!("{} cannot be started: {error}; is hyclus installed?", program.display())),
        };
        let code = self.watch(&mut child);
        let read = |name: &str| {
            let mut text = Vec::new();
            let _ = File::open(folder.join(name)).and_then(|file| file.take(MOST_SAID).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        };
        match code {
            Ok(Some(code)) => Ended::Code(code, Said { out: read(SAID), errors: read(ERRORS) }),
            Ok(None) => Ended::Cancelled,
            Err(why) => Ended::Failed(why),
        }
    }

    /// The code that it ends with. `None` where it was cancelled.
    fn watch(&self, child: &mut Child) -> Result<Option<i32>, String> {
        let mut looked = 0_u32;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(Some(status.code().unwrap_or(-1))),
                Ok(None) => {}
                Err(error) => return Err(format!("hyclus cannot be waited for: {error}")),
            }
            if self.running.cancelled() {
                stop(child);
                return Ok(None);
            }
            if looked.is_multiple_of(5) {
                if self.of_output && hyclus::data_root::free_mib(&self.running.folder).is_ok_and(|free| free < LEAST_FREE_MIB) {
                    stop(child);
                    return Err(format!("the disk has less than {LEAST_FREE_MIB} MiB left; make room, or remove results of other jobs"));
                }
                let done = if self.of_output { bytes_below(&self.running.folder.join(OUT)) } else { bytes_read(child) };
                // The end is known when it is there.
                let share = (self.all > 0).then(|| (done as f64 / self.all as f64).min(0.99));
                self.running.show(share, "");
            }
            looked = looked.wrapping_add(1);
            std::thread::sleep(LOOK);
        }
    }
}

/// Bytes that a child has read so far.
fn bytes_read(child: &Child) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap_or_default();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar:"));
    read.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

/// Ends a child and what it started, at first politely.
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let send = |signal: Signal| group.as_ref().is_ok_and(|group| killpg(*group, signal).is_ok());
    let _ = send(Signal::SIGTERM);
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = send(Signal::SIGKILL);
    let _ = child.kill();
    let _ = child.wait();
}
