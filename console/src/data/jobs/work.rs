//! Carries out jobs, one behind the other.

use super::child::{Ended, Watched};
use super::{Job, Kind, MOST_BYTES, MOST_ENDED, Progress, end};
use crate::data::{Data, place};
use hyclus::scan::{iso, now_ns};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The folder with the result, within that of the job.
pub const OUT: &str = "out";
/// How often a job that waits for the end of a scan looks.
const LOOK: Duration = Duration::from_millis(500);

/// How a job ended.
pub enum Outcome {
    Done(String),
    Failed(String),
    Cancelled,
}

/// A job that runs.
pub struct Running<'a> {
    pub data: &'a Data,
    pub job: Job,
    pub folder: PathBuf,
    pub cancelled: Arc<AtomicBool>,
}

impl Running<'_> {
    /// Whether the job is to end.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Shows how far the job is.
    pub fn show(&self, share: Option<f64>, message: &str) {
        self.data.jobs.change(&self.job.id, |job| {
            job.progress = share.filter(|share| share.is_finite()).map(|share| share.clamp(0.0, 1.0));
            message.clone_into(&mut job.message);
        });
    }
}

impl Data {
    /// Carries out jobs until none waits.
    pub(super) fn drive(self: &Arc<Self>) {
        loop {
            let next = self.jobs.with(|inner| {
                let entry = inner.jobs.iter_mut().find(|entry| entry.job.state == Progress::Waiting);
                inner.running = entry.is_some();
                entry.map(|entry| {
                    entry.job.state = Progress::Running;
                    entry.job.started = Some(iso(now_ns()));
                    (entry.job.clone(), entry.folder.clone(), Arc::clone(&entry.cancelled))
                })
            });
            let Some((job, folder, cancelled)) = next else { return };
            let running = Running { data: self, job, folder, cancelled };
            // A job that breaks down must not end those behind it.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| running.run()));
            let outcome = outcome.unwrap_or_else(|_| Outcome::Failed("the job broke down; look at the log of the console".to_owned()));
            let (state, message) = match outcome {
                Outcome::Done(message) => (Progress::Done, message),
                Outcome::Failed(message) => (Progress::Failed, message),
                Outcome::Cancelled => (Progress::Cancelled, "cancelled".to_owned()),
            };
            tracing::info!(job = running.job.id, ?state, message, "a job has ended");
            if state != Progress::Done {
                let _ = std::fs::remove_dir_all(&running.folder);
            }
            self.jobs.change(&running.job.id, |job| end(job, state, &message));
            self.tidy();
        }
    }

    /// Removes the oldest results that are too many or too large.
    fn tidy(&self) {
        let ended: Vec<(String, PathBuf)> = self.jobs.with(|inner| {
            let ended = inner.jobs.iter().filter(|entry| !matches!(entry.job.state, Progress::Waiting | Progress::Running));
            ended.map(|entry| (entry.job.id.clone(), entry.folder.clone())).collect()
        });
        let mut bytes = 0;
        for (number, (id, folder)) in ended.iter().rev().enumerate() {
            bytes += bytes_below(folder);
            if number >= MOST_ENDED || (bytes > MOST_BYTES && number > 0) {
                self.jobs.with(|inner| inner.jobs.retain(|entry| entry.job.id != *id));
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    /// The program that does what jobs ask for.
    fn hyclus(&self) -> PathBuf {
        let beside = || std::env::current_exe().ok().map(|own| own.with_file_name("hyclus")).filter(|path| path.is_file());
        self.program.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("hyclus"))
    }
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, about)| if about.is_dir() { bytes_below(&path) } else { about.len() })
        .sum()
}

impl Running<'_> {
    fn run(&self) -> Outcome {
        // It was asked for while no scan ran, and waited since.
        while self.job.kind != Kind::Tsne && self.data.busy() {
            if self.cancelled() {
                return Outcome::Cancelled;
            }
            self.show(None, "waits for the end of the scan");
            std::thread::sleep(LOOK);
        }
        if self.cancelled() {
            return Outcome::Cancelled;
        }
        if let Err(error) = std::fs::create_dir_all(self.folder.join(OUT)) {
            return Outcome::Failed(format!("{} cannot be made: {error}; may the console write its state folder?", self.folder.display()));
        }
        let scan = self.job.scan.clone().unwrap_or_default();
        match self.job.kind {
            Kind::Verify => self.verify(&scan),
            Kind::Export => self.export(&scan),
            Kind::Process => self.process(&scan),
            Kind::Tsne => self.map(),
        }
    }

    /// Runs `hyclus`, and shows how far it is.
    pub fn hyclus(&self, arguments: &[OsString], all: u64, of_output: bool) -> Ended {
        let program = self.data.hyclus();
        Watched { running: self, all, of_output }.run(&program, arguments)
    }

    fn verify(&self, scan: &str) -> Outcome {
        let record = match place::record(&self.data.root, scan) {
            Ok(record) => record,
            Err(problem) => return Outcome::Failed(problem.into_detail()),
        };
        let all = record.files.iter().map(|file| file.bytes).sum();
        let arguments = ["verify".into(), "--data".into(), self.data.root.clone().into(), scan.into()];
        match self.hyclus(&arguments, all, false) {
            // It says of every file what is wrong. That is a result.
            Ended::Code(code @ (0 | 1), said) if !said.out.is_empty() => {
                Outcome::Done(if code == 0 { said.last() } else { format!("damage was found: {}", said.last()) })
            }
            other => other.failed(),
        }
    }

    fn export(&self, scan: &str) -> Outcome {
        let format = match self.job.format.unwrap_or_default() {
            super::Format::Envi => "envi",
            super::Format::Hidsag => "hidsag",
        };
        let all = bytes_below(&self.data.root.join("scans").join(scan).join("samples"));
        let out = self.folder.join(OUT);
        let arguments = ["export".into(), "--data".into(), self.data.root.clone().into(), format.into(), scan.into(), out.into()];
        match self.hyclus(&arguments, all, true) {
            Ended::Code(0, said) => Outcome::Done(said.last()),
            other => other.failed(),
        }
    }
}
