//! The commands of `hyclus-ship`.

use crate::daemon::Daemon;
use crate::fetch::fetch;
use crate::metrics::Metrics;
use crate::place::Place;
use crate::state::{Lock, State};
use crate::watch::{Backlog, Scans, Watch, look};
use clap::{CommandFactory, Parser, Subcommand};
use hyclus::config::{Loaded, ShipConfig};
use hyclus::data_root::{self, DataRoot};
use hyclus::scan::{Archived, FilesHere, iso, now_ns};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Steps of `nice` below the daemon.
const NICE: u8 = 10;

/// Ships ended scans to an archive, with proof.
#[derive(Debug, Parser)]
#[command(name = "hyclus-ship", version, about)]
struct Arguments {
    /// Configuration of the rig
    #[arg(long, global = true, value_name = "RIG.toml", default_value = "/etc/hyclus/rig.toml")]
    config: PathBuf,
    /// Prints JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ships what has ended, now and as long as it runs (without a command, too)
    Run {
        /// Ships what has ended by now, and ends; exit status 1 where something is left
        #[arg(long)]
        once: bool,
    },
    /// Shows what is shipped, what waits, and why
    Status,
    /// Brings a scan back from the archive, verified
    Fetch {
        /// Which scan
        scan: String,
        /// The data root that it goes to; that of the rig where it is not given
        #[arg(long, value_name = "DATA")]
        into: Option<PathBuf>,
        /// Name of the rig that scanned it; this one where it is not given
        #[arg(long)]
        rig: Option<String>,
    },
    /// Checks configuration, credentials and state folder, and whether the archive and the daemon answer
    Check,
}

/// Any error that ends a command.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// The arguments of the program.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hyclus-ship: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let loaded = Loaded::read(&arguments.config)?;
    let config = loaded.config.ship.clone().ok_or_else(|| {
        format!("{}: there is no section [ship], so nothing is shipped; rig.example.toml explains it", loaded.path.display())
    })?;
    // The only one, and before any request.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match arguments.command.unwrap_or(Command::Run { once: false }) {
        Command::Run { once } => ship(loaded, config, once),
        Command::Status => status(&loaded, &config, arguments.json),
        Command::Fetch { scan, into, rig } => bring(&loaded, &config, &scan, into, rig, arguments.json),
        Command::Check => check(&loaded, &config),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(4).thread_name("ship").enable_all().build()
}

/// `hyclus-ship run`.
fn ship(loaded: Loaded, config: ShipConfig, once: bool) -> Result<ExitCode, Error> {
    hyclus::telemetry::init_logging()?;
    // All threads come after this.
    hyclus::lower_priority_by(NICE);
    let _lock = Lock::take(&config.state_dir)?;
    let state = State::read(&config.state_dir, &config.archive, &loaded.config.rig.name)?;
    let place = Place::open(&config)?;
    let metrics = Metrics::new()?;
    runtime()?.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        if let Some(listen) = &config.listen {
            let address = metrics.serve(listen.parse()?).await.map_err(|error| format!("ship.listen = \"{listen}\": {error}"))?;
            tracing::info!(%address, "metrics are at http://{address}/metrics");
        }
        let mut watch = Watch::new(loaded, config, place, metrics, state);
        watch.follow_rig().await;
        tracing::info!(place = watch.place.name(), rig = watch.loaded.config.rig.name, "ships ended scans");
        // An error means that systemd did not start this process.
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        let work = async {
            if !once {
                watch.run().await;
            }
            let left = watch.round().await;
            watch.end_events().await;
            ExitCode::from(u8::from(left.archive || left.failed + left.waiting > 0))
        };
        let code = tokio::select! {
            code = work => code,
            _ = terminate.recv() => ExitCode::SUCCESS,
            _ = interrupt.recv() => ExitCode::SUCCESS,
        };
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        Ok(code)
    })
}

/// `hyclus-ship status`.
fn status(loaded: &Loaded, config: &ShipConfig, as_json: bool) -> Result<ExitCode, Error> {
    let (data_dir, rig) = (&loaded.config.rig.data_dir, &loaded.config.rig.name);
    let state = State::read(&config.state_dir, &config.archive, rig)?;
    let scans = look(data_dir, Scans::new());
    let backlog = Backlog::of(&scans, &state, data_dir);
    let shipped = state.scans.values().filter(|known| known.revision.is_some()).count();
    let withdrawn: Vec<&String> = state.scans.iter().filter(|(_, known)| known.revision.is_none()).map(|(id, _)| id).collect();
    let away = scans.values().filter(|summary| summary.files != FilesHere::All).count();
    let code = ExitCode::from(u8::from(state.trouble.is_some() || !state.failed.is_empty() || backlog.behind));
    if as_json {
        let finite = |seconds: f64| seconds.is_finite().then_some(seconds);
        let report = json!({
            "archive": config.archive, "rig": rig, "shipped": shipped, "withdrawn": withdrawn, "removed_here": away,
            "backlog": {"scans": backlog.scans, "bytes": backlog.bytes, "seconds": backlog.seconds},
            "bytes_per_s": state.bytes_per_s, "disk_seconds": finite(backlog.disk_seconds), "behind": backlog.behind,
            "trouble": state.trouble, "failed": state.failed,
        });
        println!("{report}");
        return Ok(code);
    }
    let mut text = format!("archive    {}\nshipped    {shipped} scan(s)", config.archive);
    if away > 0 {
        text += &format!(", {away} of them with files there alone");
    }
    text += &format!("\nwaiting    {} scan(s), {:.1} MB", backlog.scans, mb(backlog.bytes));
    if backlog.seconds > 0.0 {
        text += &format!(", about {:.0} s at {:.1} MB/s", backlog.seconds, state.bytes_per_s / 1e6);
    }
    for id in withdrawn {
        text += &format!("\nwithdrawn  {id}");
    }
    for (id, trouble) in &state.failed {
        text += &format!("\nfailed     {id}, since {}: {}", trouble.since, trouble.reason);
    }
    if let Some(trouble) = &state.trouble {
        text += &format!("\ntrouble    since {}: {}", trouble.since, trouble.reason);
    }
    if backlog.behind {
        text += &format!("\nalarm      {}", backlog.words());
    }
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(code)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// `hyclus-ship fetch`.
fn bring(
    loaded: &Loaded,
    config: &ShipConfig,
    scan: &str,
    into: Option<PathBuf>,
    rig: Option<String>,
    as_json: bool,
) -> Result<ExitCode, Error> {
    if !hyclus::scan::is_scan_id(scan) {
        return Err(format!("`{scan}` is no id of a scan").into());
    }
    let own = &loaded.config.rig;
    let home = into.is_none() && rig.as_ref().is_none_or(|rig| *rig == own.name);
    let data_dir = into.unwrap_or_else(|| own.data_dir.clone());
    let rig = rig.unwrap_or_else(|| own.name.clone());
    let place = Place::open(config)?;
    let told = io::stderr().is_terminal() && !as_json;
    let runtime = runtime()?;
    let fetched = runtime.block_on(fetch(&place, &rig, scan, &data_dir, &|file| {
        if told {
            eprintln!("{} ({:.1} MB)", file.path, mb(file.bytes));
        }
    }))?;
    if home {
        note_home(loaded, &place, scan, fetched.revision, &runtime);
    }
    let (files, bytes, here, raw) = (fetched.files, fetched.bytes, fetched.here, fetched.never_shipped);
    if as_json {
        println!(
            "{}",
            json!({"scan": scan, "revision": fetched.revision, "files": files, "bytes": bytes, "here": here, "never_shipped": raw, "seal": fetched.seal,
                "no_seal": fetched.no_seal})
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("{scan}: {files} file(s), {:.1} MB, verified, in {}", mb(bytes), data_dir.display());
    if here > 0 {
        text += &format!("; {here} were here");
    }
    if fetched.seal {
        text += "; with its seal, which `hyclus verify` checks";
    }
    if let Some(problem) = &fetched.no_seal {
        text += &format!("; without its seal: {problem}");
    }
    if raw > 0 {
        text += &format!("; {raw} of the raw recording were never shipped");
    }
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Notes that all files are here again: through the daemon, or in the record where none runs.
fn note_home(loaded: &Loaded, place: &Place, scan: &str, revision: u32, runtime: &tokio::runtime::Runtime) {
    let data_dir = &loaded.config.rig.data_dir;
    let Some(mut record) = data_root::record(data_dir, scan).filter(|record| record.archived.is_some()) else { return };
    let daemon = Daemon::on(&loaded.config.control.socket);
    if runtime.block_on(daemon.note(scan, place.name(), revision, FilesHere::All)).is_ok() {
        return;
    }
    // A daemon that runs holds the lock.
    let archived = Archived { place: place.name().to_owned(), revision, time: iso(now_ns()), files: FilesHere::All };
    let noted = DataRoot::take(data_dir).map_err(|error| error.to_string());
    let noted = noted.and_then(|_root| data_root::note_archived(&mut record, data_dir, archived).map_err(|error| error.to_string()));
    if let Err(error) = noted {
        eprintln!("hyclus-ship: warning: the files are here, and scan.json does not say so yet: {error}");
    }
}

/// `hyclus-ship check`.
fn check(loaded: &Loaded, config: &ShipConfig) -> Result<ExitCode, Error> {
    let place = Place::open(config)?;
    println!("archive    {}", place.name());
    let state = State::read(&config.state_dir, &config.archive, &loaded.config.rig.name)?;
    // A shipper that runs writes it by itself.
    let lock = Lock::try_take(&config.state_dir)?;
    if lock.is_some() {
        state.write(&config.state_dir)?;
    }
    let runs = if lock.is_some() { "" } else { "; a shipper runs" };
    println!("state      {}, {} scan(s){runs}", config.state_dir.display(), state.scans.len());
    let runtime = runtime()?;
    runtime.block_on(place.ask(&loaded.config.rig.name))?;
    println!("answers    yes, to this rig's credentials");
    let client = hyclus::client::Client::of(&loaded.config.control.socket);
    match runtime.block_on(client.status()) {
        Ok(status) => println!("daemon     {} {}", status.rig, status.version),
        Err(error) => println!("daemon     {error}"),
    }
    Ok(ExitCode::SUCCESS)
}
