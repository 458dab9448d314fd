//! Long work over stored scans: one job at a time, each with its progress, each to be cancelled.

mod child;
mod compare;
mod map;
mod process;
mod tar;
mod work;

use super::answer::{Answer, Named, problem, unknown, wrong};
use super::{Caller, Data, files, place};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hyclus::scan::{compact, is_scan_id, iso, now_ns};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most jobs that wait.
const MOST_WAITING: usize = 20;
/// Most ended jobs that are listed, and whose results are kept.
const MOST_ENDED: usize = 20;
/// Most bytes of all results. The oldest are removed.
const MOST_BYTES: u64 = 64 << 30;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Compares the files of a scan with their hashes.
    Verify,
    /// Processes the recording of a scan again, into a folder of its own.
    Process,
    /// Writes the samples of a scan in another format.
    Export,
    /// Makes a map of embeddings.
    Tsne,
}

/// A format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ENVI images.
    #[default]
    Envi,
    /// The layout of the HIDSAG data set.
    Hidsag,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    Waiting,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// A job as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    id: String,
    kind: Kind,
    scan: Option<String>,
    scans: Vec<String>,
    format: Option<Format>,
    state: Progress,
    /// Share that is done.
    progress: Option<f64>,
    message: String,
    started: Option<String>,
    ended: Option<String>,
    by: String,
}

struct Entry {
    job: Job,
    cancelled: Arc<AtomicBool>,
    /// The folder with its result.
    folder: PathBuf,
}

/// The jobs, in the order in which they were asked for.
#[derive(Default)]
pub struct Jobs(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Entry>,
    next: u64,
    running: bool,
}

/// A job that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    kind: Kind,
    #[serde(default)]
    scan: Option<String>,
    #[serde(default)]
    scans: Vec<String>,
    #[serde(default)]
    format: Option<Format>,
}

fn folder(state: &Path) -> PathBuf {
    state.join("jobs")
}

/// Removes the results of an earlier run, which no list names any more.
pub fn clear(state: &Path) {
    let folder = folder(state);
    if folder.is_dir()
        && let Err(error) = std::fs::remove_dir_all(&folder)
    {
        tracing::warn!(%error, folder = %folder.display(), "results of earlier jobs cannot be removed");
    }
}

impl Jobs {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        self.with(|inner| inner.jobs.iter_mut().find(|entry| entry.job.id == id).map(|entry| change(&mut entry.job)));
    }
}

fn operates(caller: Option<&Extension<Caller>>) -> bool {
    caller.is_some_and(|caller| caller.operates)
}

/// `GET /api/jobs`: the newest first.
pub async fn list(State(data): State<Arc<Data>>) -> Json<Vec<Job>> {
    Json(data.jobs.with(|inner| inner.jobs.iter().rev().map(|entry| entry.job.clone()).collect()))
}

/// `POST /api/jobs`.
pub async fn start(
    State(data): State<Arc<Data>>,
    caller: Option<Extension<Caller>>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Answer<(StatusCode, Json<Job>)> {
    let Json(wanted) = wanted.map_err(|error| wrong(format!("the job cannot be read: {}", error.body_text())))?;
    if wanted.kind != Kind::Verify && !operates(caller.as_ref()) {
        return Err(problem(StatusCode::FORBIDDEN, "this needs the role operate; to verify a scan, observe is enough"));
    }
    let scans = match wanted.kind {
        Kind::Tsne => wanted.scans.clone(),
        _ => wanted.scan.iter().cloned().collect(),
    };
    if scans.is_empty() || scans.len() > 200 || scans.iter().any(|scan| !is_scan_id(scan)) {
        return Err(wrong("say which scan: `scan` is the id of one, and for tsne `scans` are 1 to 200 ids"));
    }
    for scan in &scans {
        place::scan_folder(&data.root, scan)?;
    }
    if wanted.kind != Kind::Tsne && data.busy() {
        return Err(problem(StatusCode::CONFLICT, "a scan runs, and the disk is its; start this when the scan has ended"));
    }
    let by = caller.map(|caller| caller.name.clone()).unwrap_or_default();
    let folder = folder(&data.state);
    let (job, drive) = data.jobs.with(|inner| {
        if inner.jobs.iter().filter(|entry| entry.job.state == Progress::Waiting).count() >= MOST_WAITING {
            return Err(problem(StatusCode::CONFLICT, format!("{MOST_WAITING} jobs wait already; cancel one, or come again later")));
        }
        inner.next += 1;
        let id = format!("{}-{}", compact(now_ns()), inner.next);
        let job = Job {
            kind: wanted.kind,
            scan: wanted.scan.clone().filter(|_| wanted.kind != Kind::Tsne),
            scans: if wanted.kind == Kind::Tsne { scans } else { Vec::new() },
            format: (wanted.kind == Kind::Export).then(|| wanted.format.unwrap_or_default()),
            state: Progress::Waiting,
            progress: None,
            message: String::new(),
            started: None,
            ended: None,
            by,
            id,
        };
        inner.jobs.push_back(Entry { job: job.clone(), cancelled: Arc::default(), folder: folder.join(&job.id) });
        Ok((job, !std::mem::replace(&mut inner.running, true)))
    })?;
    tracing::info!(job = job.id, kind = ?job.kind, by = job.by, "a job is asked for");
    if drive {
        tokio::task::spawn_blocking(move || data.drive());
    }
    Ok((StatusCode::CREATED, Json(job)))
}

/// `DELETE /api/jobs/{id}`: ends a job, or removes one that has ended.
pub async fn cancel(State(data): State<Arc<Data>>, caller: Option<Extension<Caller>>, Named(id): Named<String>) -> Answer<Json<Job>> {
    let name = caller.as_ref().map(|caller| caller.name.clone());
    let operates = operates(caller.as_ref());
    let (job, folder) = data.jobs.with(|inner| {
        let at = inner.jobs.iter().position(|entry| entry.job.id == id).ok_or_else(no_job)?;
        let entry = &mut inner.jobs[at];
        if !operates && name.as_ref() != Some(&entry.job.by) {
            return Err(problem(StatusCode::FORBIDDEN, "the job is of another person; to cancel it needs the role operate"));
        }
        match entry.job.state {
            Progress::Waiting => end(&mut entry.job, Progress::Cancelled, "cancelled before it began"),
            Progress::Running => entry.cancelled.store(true, Ordering::Relaxed),
            Progress::Done | Progress::Failed | Progress::Cancelled => {
                let removed = inner.jobs.remove(at).ok_or_else(no_job)?;
                return Ok((removed.job, Some(removed.folder)));
            }
        }
        Ok((entry.job.clone(), None))
    })?;
    if let Some(folder) = folder {
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    }
    Ok(Json(job))
}

fn no_job() -> crate::data::answer::Refusal {
    unknown("there is no such job; the list of jobs has those that are kept")
}

fn end(job: &mut Job, state: Progress, message: &str) {
    job.state = state;
    // A text for a page is short.
    job.message = message.chars().take(2000).collect();
    job.ended = Some(iso(now_ns()));
    if state == Progress::Done {
        job.progress = Some(1.0);
    }
}

/// `GET /api/jobs/{id}/result`.
pub async fn result(State(data): State<Arc<Data>>, Named(id): Named<String>) -> Answer<Response> {
    let found = data.jobs.with(|inner| {
        let entry = inner.jobs.iter().find(|entry| entry.job.id == id);
        entry.map(|entry| (entry.job.clone(), entry.folder.clone()))
    });
    let (job, folder) = found.ok_or_else(no_job)?;
    if job.state != Progress::Done {
        return Err(problem(StatusCode::CONFLICT, "the job has no result; it has one when its state is done"));
    }
    let name = format!("{}-{}", job.scan.as_deref().unwrap_or("map"), format!("{:?}", job.kind).to_lowercase());
    let response = data.reading(move |_| match job.kind {
        Kind::Tsne => Err(unknown("a map is no file; the explorer shows it with the projection t-SNE")),
        Kind::Verify => {
            let (file, bytes, _) = files::opened(&folder.join(child::SAID))?;
            Ok(files::attachment(file, bytes, &format!("{name}.txt")))
        }
        Kind::Process | Kind::Export => tar::response(&folder.join(work::OUT), &name),
    });
    let mut response = response.await?.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
