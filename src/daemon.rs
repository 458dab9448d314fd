//! The service `hyclusd`: opens the rig, serves the control socket, informs systemd, and ends in order.

use crate::config::{ConfigError, Loaded};
use crate::control::{self, Access, Hosts, Limits};
use crate::data_root::DataRoot;
use crate::rig::{Controller, Operations};
use crate::scan::ScanRecord;
use crate::start::{self, Checked, Place};
use crate::telemetry::metrics::Metrics;
use clap::{CommandFactory, Parser};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Drives the rig and serves its control socket.
#[derive(Debug, Parser)]
#[command(name = "hyclusd", version, about)]
struct Arguments {
    /// Configuration of the rig
    #[arg(long, value_name = "RIG.toml")]
    config: PathBuf,
    /// Where scans and embeddings go, instead of rig.data_dir
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Control socket, instead of control.socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Address of the read-only listener, instead of control.listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// The arguments of the program.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Time that clients have to notice the end.
const CLIENTS_END: Duration = Duration::from_secs(5);

/// Limit of open files where the system gives none.
const CUSTOMARY_DESCRIPTORS: usize = 1024;
/// Limit of open files below which a large tray may not be scanned.
const FEW_DESCRIPTORS: usize = 1024;

/// Any error that ends the daemon.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Largest number of heaps of the allocator.
///
/// By default it has eight for each processor. The threads of every scan then use other heaps. Their remains add up over a hundred
/// scans, without a leak.
#[cfg(target_env = "gnu")]
const MAX_HEAPS: i32 = 4;
/// Size from which memory lies outside the heaps, bytes. Such memory returns to the system when freed.
///
/// By default this size grows to the largest block that was ever freed. Buffers of megabytes then come from the heaps. These grow
/// during a scan with every unlucky order of buffers.
#[cfg(target_env = "gnu")]
const OUTSIDE_HEAP_BYTES: i32 = 128 << 10;

/// Keeps the daemon's memory from growing over weeks with its numbers of threads and scans.
#[cfg(target_env = "gnu")]
fn limit_heaps() {
    for (setting, value) in [(nix::libc::M_ARENA_MAX, MAX_HEAPS), (nix::libc::M_MMAP_THRESHOLD, OUTSIDE_HEAP_BYTES)] {
        // SAFETY: `main` calls this before it starts any thread. The call takes numbers only.
        unsafe { nix::libc::mallopt(setting, value) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn limit_heaps() {}

/// Raises the soft limit of open files to the hard one, and gives it.
///
/// The soft one is 1024 by custom, for programs that use `select`. This one does not.
fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        let raised = if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) };
        if let Err(error) = raised {
            tracing::warn!(%error, soft, hard, "the limit of open files cannot be raised");
        }
        if raised.is_ok() { hard } else { soft }
    });
    limit.ok().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(CUSTOMARY_DESCRIPTORS)
}

/// Runs the service with the arguments of this process.
pub fn main() -> ExitCode {
    limit_heaps();
    let arguments = Arguments::parse();
    if let Err(error) = crate::telemetry::init_logging() {
        eprintln!("hyclusd: {error}");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("control").enable_all().build();
    let result = runtime.map_err(Failure::from).and_then(|runtime| {
        let result = runtime.block_on(serve(arguments));
        // A task that hangs on a disk without answer is not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "hyclusd ends");
            eprintln!("hyclusd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The signals that end the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The daemon's terminal was closed. The belt must not run on.
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [terminate, interrupt, hangup] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hangup: hangup? })
    }

    /// Waits for the next signal, and gives its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Runs the daemon until a signal or a failure.
async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let descriptors = raise_descriptors();
    let mut loaded = Loaded::read(&arguments.config)?;
    let Arguments { data, socket, listen, .. } = arguments;
    if let Some(data) = data {
        loaded.config.rig.data_dir = data;
    }
    let socket = socket.unwrap_or_else(|| loaded.config.control.socket.clone());
    let listen = listen.unwrap_or_else(|| loaded.config.control.listen.clone());
    let mut listeners = control::activated()?;
    let place = Place { socket: listeners.is_empty().then(|| socket.clone()), listen: listen.clone() };
    let Checked { faults, warnings, .. } = start::check(&loaded, &place, true);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if !faults.is_empty() {
        return Err(ConfigError { path: loaded.path, faults }.into());
    }
    std::fs::create_dir_all(&loaded.config.rig.data_dir).map_err(|e| {
        format!("rig.data_dir {}: {e}; create it, or let the user of the daemon write there", loaded.config.rig.data_dir.display())
    })?;
    let root = DataRoot::take(&loaded.config.rig.data_dir)?;
    let group = loaded.config.control.group.clone();
    let access = Arc::new(Access::new(loaded.config.control.roles.as_ref())?);
    let metrics = Metrics::new();
    let controller = Controller::open(loaded.clone(), metrics.clone())?;
    // A model that does not fit stops the daemon here, and no scan later.
    for (name, context) in controller.check_encoders()? {
        tracing::info!(encoder = %name, model = %context.name, dimensions = context.dimensions, "encoder fits");
    }
    let unfinished = root.unfinished();
    root.set_aside().iter().for_each(|scan| controller.note_set_aside(scan));
    controller.recovering(unfinished.first().map(|scan| scan.id.as_str()));
    let rig: Arc<dyn Operations> = Arc::new(Arc::clone(&controller));

    // The rest is for devices and files, so that no number of connections ends a scan.
    let limits = Limits::within(descriptors / 8);
    tracing::info!(descriptors, control = limits.connections, read_only = limits.connections, "open files, and connections among them");
    if descriptors < FEW_DESCRIPTORS {
        let text = "the daemon may open few files; a tray with many containers needs more: raise the limit (`LimitNOFILE=`, `ulimit -n`)";
        tracing::warn!(descriptors, "{text}");
    }

    // Signals are caught before any client can start the belt.
    let mut signals = Signals::new()?;
    let (end, ended) = watch::channel(false);
    let mut servers = tokio::task::JoinSet::new();
    if listeners.is_empty() {
        if let Some(folder) = socket.parent() {
            std::fs::create_dir_all(folder).map_err(|e| format!("the folder of the control socket {}: {e}", folder.display()))?;
        }
        listeners.push(control::bind(&socket, group.as_deref(), 0o660)?);
        tracing::info!(socket = %socket.display(), "control socket");
    }
    for listener in listeners {
        let (rig, access) = (Arc::clone(&rig), Arc::clone(&access));
        servers.spawn(control::serve_control(listener, rig, access, metrics.clone(), limits, ended.clone()));
    }
    if !listen.is_empty() {
        let listener = TcpListener::bind(&listen).await.map_err(|e| format!("control.listen {listen}: {e}; choose another address"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "read-only listener");
        if !address.ip().is_loopback() {
            tracing::info!(%address, "whoever reaches this machine may look on: control.listen is not an address of loopback");
        }
        let hosts = Hosts::new(&listen, &loaded.config.control.hosts);
        servers.spawn(control::serve_readonly(listener, Arc::clone(&rig), metrics.clone(), hosts, limits, ended.clone()));
    }
    // Clients see the state of the recovery. A recovery that a signal ends begins anew at the next start.
    let root = tokio::select! {
        root = recover(root, unfinished, &loaded, &controller) => root?,
        _ = signals.next() => return Ok(()),
    };
    root.pending().iter().for_each(|scan| controller.note_pending(scan));
    controller.start_catching_up()?;

    notify(&[NotifyState::Ready, NotifyState::Status("ready")]);
    tracing::info!(rig = %loaded.config.rig.name, version = crate::VERSION, "hyclusd is ready");
    let watchdog = tokio::spawn(feed_watchdog(Arc::clone(&rig)));
    let (ended_by, lost) = tokio::select! {
        signal = signals.next() => (signal, None),
        Some(server) = servers.join_next() => {
            let broke = server.err().map_or_else(|| "the log says why".to_owned(), |error| error.to_string());
            ("the end of a listener", Some(format!("a listener ended: {broke}")))
        }
    };
    tracing::info!(by = ended_by, "ending");
    notify(&[NotifyState::Stopping]);
    // Further signals change nothing, because the daemon is ending already.
    let closed = controller.shut_down(&format!("the daemon was ended by {ended_by}")).await;
    // The socket closes last, so that a client sees how its scan ended.
    let _ = end.send(true);
    let clients_gone = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(CLIENTS_END, clients_gone).await.is_err() {
        tracing::warn!("somebody holds on to the socket");
    }
    watchdog.abort();
    drop(root);
    match lost {
        Some(lost) => Err(lost.into()),
        None if closed => Ok(()),
        None => Err("the scan could not be closed in time; it is recovered at the next start".into()),
    }
}

/// Closes scans that were cut off when the daemon or the machine ended. A scan that cannot be recovered is set aside.
async fn recover(root: DataRoot, unfinished: Vec<ScanRecord>, loaded: &Loaded, controller: &Arc<Controller>) -> Result<DataRoot, Failure> {
    // A daemon that was cut off, in a scan or not, stopped neither the belt nor the lamps.
    controller.make_safe().await;
    if unfinished.is_empty() {
        return Ok(root);
    }
    let (loaded, rig) = (loaded.clone(), Arc::clone(controller));
    let (root, recovered) = tokio::task::spawn_blocking(move || {
        let mut recovered = Vec::new();
        for scan in unfinished {
            let id = scan.id.clone();
            rig.recovering(Some(&id));
            tracing::warn!(scan = %id, "the scan was cut off and is recovered from its recording");
            // Every tick extends the time that systemd waits.
            let tick = || notify(&[NotifyState::ExtendTimeoutUsec(30_000_000), NotifyState::Status("recovering a scan")]);
            match root.recover(scan, Some(&loaded), &tick) {
                Ok(record) => recovered.push(record),
                Err(error) => {
                    tracing::error!(scan = %id, %error, "the scan cannot be recovered and is set aside; its recording is kept");
                    recovered.extend(root.set_aside().into_iter().find(|scan| scan.id == id));
                }
            }
        }
        (root, recovered)
    })
    .await?;
    for record in &recovered {
        controller.recovered(record);
    }
    controller.recovering(None);
    Ok(root)
}

/// Sends a state to systemd.
fn notify(state: &[NotifyState<'_>]) {
    // Without systemd, an error is normal.
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Feeds systemd's watchdog as long as the data path makes progress or is idle.
async fn feed_watchdog(rig: Arc<dyn Operations>) {
    let mut micros = 0;
    let wanted = sd_notify::watchdog_enabled(false, &mut micros);
    let every = if wanted { Duration::from_micros(micros / 3) } else { Duration::from_secs(5) };
    loop {
        let health = rig.liveness();
        if health.alive {
            if wanted {
                notify(&[NotifyState::Watchdog]);
            }
        } else {
            tracing::error!(stuck = health.stuck.join(", "), "the data path makes no progress");
        }
        tokio::time::sleep(every).await;
    }
}
