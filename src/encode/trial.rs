//! The trial of a model in a process of its own.
//!
//! ONNX Runtime computes constants while it loads a model, and cannot be interrupted there. A faulty model can also exhaust the memory
//! or crash. A process of its own can be ended at any time, and takes nothing along.

use super::EncoderError;
use super::model::Model;
use crate::config::EncoderConfig;
use crate::sync::lock;
use nix::libc;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// First argument of a process that tries a model.
const ARGUMENT: &str = "--try-encoder";
/// Interval at which the process is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Whether this program can run itself with [`ARGUMENT`]. Programs of others that use the crate cannot.
static AVAILABLE: AtomicBool = AtomicBool::new(false);
/// What passed the last trials. A scan loads its models again, which needs no further trial.
static PASSED: Mutex<Vec<Request>> = Mutex::new(Vec::new());
/// Most trials that are remembered.
const MOST_PASSED: usize = 16;

/// What is tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Request {
    config: EncoderConfig,
    path: PathBuf,
    /// Number of bands where the model leaves it open.
    bands: Option<usize>,
    sha256: String,
}

impl Request {
    /// Whether it is the same trial. A path names a model in messages only.
    fn same(&self, other: &Self) -> bool {
        (&self.config, self.bands, &self.sha256) == (&other.config, other.bands, &other.sha256)
    }
}

/// Tries a model where this process was started for that, and gives the exit code. `main` calls this first.
pub fn try_encoder() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_none_or(|argument| argument != ARGUMENT) {
        AVAILABLE.store(true, Ordering::Release);
        return None;
    }
    // Nobody waits for the result of a trial whose parent has ended.
    // SAFETY: the call takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // Where memory is short, the trial goes first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut input = std::io::stdin().lock();
    let (mut request, mut bytes) = (String::new(), Vec::new());
    let read = input.read_line(&mut request).and_then(|_| input.read_to_end(&mut bytes));
    let request = read.ok().and_then(|_| serde_json::from_str::<Request>(&request).ok());
    Some(match request.map(|request| request.load(bytes)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    })
}

impl Request {
    fn load(self, bytes: Vec<u8>) -> Result<(), EncoderError> {
        // The parent keeps the limit. One session shows what several would.
        let config = EncoderConfig { limit_s: f64::from(u32::MAX), workers: 1, ..self.config };
        let model = Model::of(&config, &self.path, bytes)?;
        match model.bands.or(self.bands) {
            Some(bands) => model.prepare(bands).map(|_| ()),
            None => Ok(()),
        }
    }
}

/// Tries a model, unless it has passed already. `bands` is the number of bands where the model leaves it open.
///
/// A model that fails in order passes, because loading it tells why.
///
/// # Errors
/// The model takes longer than `encoder.limit_s` or more memory than `encoder.max_memory_mib`, or crashes.
pub(super) fn attempt(config: &EncoderConfig, path: &Path, bytes: &[u8], sha256: &str, bands: Option<usize>) -> Result<(), EncoderError> {
    let request = Request { config: config.clone(), path: path.to_owned(), bands, sha256: sha256.to_owned() };
    if !AVAILABLE.load(Ordering::Acquire) || lock(&PASSED).iter().any(|passed| passed.same(&request)) {
        return Ok(());
    }
    let failed = |reason: String| EncoderError::Trial { path: path.to_owned(), reason };
    let mut header = serde_json::to_vec(&request).map_err(|e| failed(e.to_string()))?;
    header.push(b'\n');
    // The link leads to this program even after an upgrade has replaced its file.
    let child = Command::new("/proc/self/exe")
        .arg0("hyclus")
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(format!("no process can be started for it: {e}")))?;
    let mut trial = Trial(child);
    let input = trial.0.stdin.take();
    let status = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A process that was ended closes its end, which ends the writing.
            input.map(|mut input| input.write_all(&header).and_then(|()| input.write_all(bytes)))
        });
        let status = trial.wait(config, path);
        // The writer ends only with the process.
        trial.end();
        status
    })?;
    match (status.code(), status.signal()) {
        (Some(0 | 1), _) => {}
        (_, Some(signal)) => return Err(failed(format!("it ends the process by signal {signal}"))),
        (code, _) => return Err(failed(format!("it ends the process with code {code:?}"))),
    }
    if status.success() {
        let mut passed = lock(&PASSED);
        if passed.len() == MOST_PASSED {
            passed.remove(0);
        }
        passed.push(request);
    }
    Ok(())
}

/// The process that tries a model. It ends with this value.
struct Trial(Child);

impl Trial {
    fn wait(&mut self, config: &EncoderConfig, path: &Path) -> Result<ExitStatus, EncoderError> {
        let begin = Instant::now();
        loop {
            let failed = |e: std::io::Error| EncoderError::Trial { path: path.to_owned(), reason: e.to_string() };
            if let Some(status) = self.0.try_wait().map_err(failed)? {
                return Ok(status);
            }
            if begin.elapsed() > config.limit() {
                return Err(EncoderError::Endless { path: path.to_owned(), what: "loading", limit_s: config.limit_s });
            }
            if self.resident_kib() >> 10 > config.max_memory_mib {
                return Err(EncoderError::Memory { path: path.to_owned(), limit_mib: config.max_memory_mib });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Memory of the process, KiB. 0 where the system does not tell.
    fn resident_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    fn end(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.end();
    }
}

/// Largest model file, bytes. The format of ONNX holds no more.
const MOST_BYTES: u64 = 2 << 30;

/// Reads a model file.
///
/// # Errors
/// It cannot be read, is no regular file, or is larger than a model can be.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, EncoderError> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |source| EncoderError::Read { path: path.to_owned(), source };
    let wrong = |problem: &str| failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, problem.to_owned()));
    // Opening a pipe does not wait for its writer.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(wrong("it is a folder, expected a file"));
    }
    if !metadata.is_file() {
        return Err(wrong("it is a pipe or a device, expected a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong("it has more than 2 GiB, which no ONNX model has"));
    }
    Ok(bytes)
}
