//! The stored scans in a browser: lists, pictures, spectra, the explorer of embeddings, and jobs over scans.
//!
//! Everything here reads the data root and never writes it. Jobs write into the console's own state folder. No path of a browser is
//! joined unchecked: see `place`.

mod answer;
mod counts;
mod explorer;
mod files;
mod held;
mod jobs;
mod ledger;
mod picture;
mod place;
mod sample;
mod scan;
mod scans;
mod spectrum;

use answer::{Answer, problem};
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post};
use counts::Means;
use explorer::Sets;
use held::{AllBounds, Held};
use hyclus::control::Role;
use jobs::Jobs;
use picture::Pictures;
use scans::Index;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Readers at a time. HDF5 lets one call in at once, so that more would only wait.
const READERS: usize = 4;
/// Computations at a time. A picture never waits for them.
const COMPUTING: usize = 3;

/// The person who asks. The server's layer puts it into the request's extensions. Without it, everything that needs more than looking is
/// refused.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub name: String,
    /// Whether the account may operate the rig.
    pub operates: bool,
}

/// The data root as the console shows it.
pub struct Data {
    root: PathBuf,
    state: PathBuf,
    busy: Box<dyn Fn() -> bool + Send + Sync>,
    readers: Arc<Semaphore>,
    computing: Arc<Semaphore>,
    index: Index,
    held: Held,
    bounds: AllBounds,
    means: Means,
    pictures: Pictures,
    sets: Sets,
    jobs: Jobs,
    program: Option<PathBuf>,
    configuration_dir: PathBuf,
}

impl Data {
    /// The data root below `data_dir`. Jobs write into `state_dir`. `busy` says whether a scan runs.
    pub fn new(data_dir: PathBuf, state_dir: PathBuf, busy: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        jobs::clear(&state_dir);
        Self {
            // The folder itself may be a link. Nothing below it is followed.
            root: std::fs::canonicalize(&data_dir).unwrap_or(data_dir),
            state: state_dir,
            busy: Box::new(busy),
            readers: Arc::new(Semaphore::new(READERS)),
            computing: Arc::new(Semaphore::new(COMPUTING)),
            index: Index::default(),
            held: Held::default(),
            bounds: AllBounds::default(),
            means: Means::default(),
            pictures: Pictures::default(),
            sets: Sets::default(),
            jobs: Jobs::default(),
            program: None,
            configuration_dir: PathBuf::from("/etc/hyclus"),
        }
    }

    /// Runs this program for jobs, instead of the `hyclus` beside this one or in the path.
    #[must_use]
    pub fn with_program(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    /// Relative paths of a rig's configuration are relative to this folder.
    #[must_use]
    pub fn with_configuration_dir(self, folder: PathBuf) -> Self {
        Self { configuration_dir: folder, ..self }
    }

    /// Whether a scan runs.
    fn busy(&self) -> bool {
        (self.busy)()
    }

    /// Runs something that reads files, on a thread that may wait. At most [`READERS`] run at a time.
    async fn reading<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Self) -> Answer<T> + Send + 'static) -> Answer<T> {
        self.aside(&self.readers, work).await
    }

    /// Runs something that computes, on a thread that may wait. At most [`COMPUTING`] run at a time.
    async fn computing<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Self) -> Answer<T> + Send + 'static) -> Answer<T> {
        self.aside(&self.computing, work).await
    }

    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&Self) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let stopped = || problem(StatusCode::INTERNAL_SERVER_ERROR, "the console could not finish this; look at its log and try again");
        let permit = Arc::clone(places).acquire_owned().await.map_err(|_| stopped())?;
        let data = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            // Work whose browser has gone still counts.
            let _permit = permit;
            work(&data)
        });
        done.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// All routes, under `/api/`. They check no login.
pub fn router<S: Clone + Send + Sync + 'static>(data: Arc<Data>) -> Router<S> {
    Router::new()
        .route("/api/scans", get(scans::list))
        .route("/api/scans/{scan}", get(scan::record))
        .route("/api/scans/{scan}/picture.png", get(picture::picture))
        .route("/api/scans/{scan}/ledger", get(ledger::ledger))
        .route("/api/scans/{scan}/spectrum", get(spectrum::at_place))
        .route("/api/scans/{scan}/counts", get(counts::counts))
        .route("/api/scans/{scan}/files", get(files::list))
        .route("/api/scans/{scan}/files/{*path}", get(files::download))
        .route("/api/samples", get(scans::samples))
        .route("/api/samples/{scan}/{sample}", get(sample::about))
        .route("/api/samples/{scan}/{sample}/image", get(sample::image))
        .route("/api/samples/{scan}/{sample}/spectrum", get(spectrum::of_pixel))
        .route("/api/samples/{scan}/{sample}/region", get(spectrum::of_region))
        .route("/api/explorer", get(explorer::info))
        .route("/api/explorer/points", get(explorer::points))
        .route("/api/explorer/places", get(explorer::places))
        .route("/api/explorer/values", get(explorer::values))
        .route("/api/explorer/minerals", get(explorer::minerals))
        .route("/api/explorer/selection", post(explorer::selection))
        .route("/api/explorer/elbow", get(explorer::elbow))
        .route("/api/explorer/spectra", get(explorer::spectra))
        .route("/api/explorer/classify", get(explorer::classify))
        .route("/api/jobs", get(jobs::list).post(jobs::start))
        .route("/api/jobs/{id}", delete(jobs::cancel))
        .route("/api/jobs/{id}/result", get(jobs::result))
        .with_state(data)
}

/// The least role that a call needs. Jobs check the [`Caller`] themselves: to verify is to look.
pub fn least_role(method: &Method, path: &str) -> Role {
    let looks = method == Method::GET || method == Method::HEAD;
    let asks = path == "/api/explorer/selection" || path == "/api/jobs" || path.starts_with("/api/jobs/");
    if looks || asks { Role::Observe } else { Role::Operate }
}
