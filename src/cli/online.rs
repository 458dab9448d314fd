//! Commands that ask the daemon.

use super::{Belt, Command, Kind, NOT_READY, ScanArgs, StopArgs, print, wait};
use crate::control::client::{Client, ClientError, Notice};
use crate::rig::{ConveyorRequest, LightingRequest, ReferenceRequest};
use crate::scan::{Fault, ReferenceKind, Tray};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the tray map has {} fault(s)", .0.len())]
    Tray(Vec<Fault>),
    #[error("no scan is running; name one to stop it")]
    NothingRuns,
    #[error("the scan is incomplete: {0}")]
    Incomplete(String),
    #[error("no longer waiting; scan {0} goes on, `hyclus stop {0}` ends it")]
    Left(String),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn faults(&self) -> &[Fault] {
        match self {
            Self::Client(ClientError::Refused(problem)) => &problem.faults,
            Self::Tray(faults) => faults,
            _ => &[],
        }
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Client(error) if error.not_ready() => ExitCode::from(NOT_READY),
            // `hyclus events | head` is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    fn tell(&self, json: bool) {
        if json {
            let problem = match self {
                Self::Client(ClientError::Refused(problem)) => serde_json::json!(problem),
                _ => serde_json::json!({"detail": self.to_string(), "faults": self.faults()}),
            };
            eprintln!("{problem}");
            return;
        }
        if self.faults().is_empty() {
            eprintln!("hyclus: {self}");
            return;
        }
        // One fault a line reads better than the message that names them all.
        eprintln!("hyclus: {} fault(s) in the request", self.faults().len());
        for fault in self.faults() {
            eprintln!("  {fault}");
        }
    }
}

/// Where results go: as text, or as JSON lines.
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// Writes a document, as JSON or as the text that `human` makes of it.
    pub(super) fn show<T: serde::Serialize>(&self, document: &T, human: impl FnOnce(&T) -> String) -> io::Result<()> {
        let text = if self.json { serde_json::to_string(document).map_err(io::Error::from)? } else { human(document) };
        let mut out = io::stdout().lock();
        out.write_all(text.trim_end().as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// Runs a command.
pub(super) async fn run(command: Command, socket: PathBuf, json: bool) -> ExitCode {
    match ask(command, socket, &Output { json }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.code();
            if code != ExitCode::SUCCESS {
                failure.tell(json);
            }
            code
        }
    }
}

async fn ask(command: Command, socket: PathBuf, out: &Output) -> Result<(), Failure> {
    // Before the daemon is asked: a wrong tray map is told of even where there is no daemon.
    let tray = match &command {
        Command::Scan(args) => Some(read_tray(&args.tray).map_err(Failure::Tray)?),
        _ => None,
    };
    let client = Client::connect(socket).await?;
    match command {
        Command::Status => out.show(&client.status().await?, print::status)?,
        Command::Scan(ScanArgs { wait, .. }) => {
            let record = client.start_scan(tray.unwrap_or_default()).await?;
            out.show(&record, |record| record.id.clone())?;
            if wait {
                wait::for_end(&client, &record.id, out).await?;
            }
        }
        Command::Stop(StopArgs { emergency: true, .. }) => out.show(&client.emergency_stop().await?, print::status)?,
        Command::Stop(StopArgs { scan, .. }) => {
            let id = match scan {
                Some(id) => id,
                None => client.status().await?.scan.ok_or(Failure::NothingRuns)?.scan,
            };
            out.show(&client.stop_scan(&id).await?, print::scan)?;
        }
        Command::Acknowledge => out.show(&client.acknowledge().await?, print::status)?,
        Command::Reference { kind, accept_change } => {
            let kind = match kind {
                Kind::Dark => ReferenceKind::Dark,
                Kind::White => ReferenceKind::White,
            };
            out.show(&client.reference(kind, ReferenceRequest { accept_change }).await?, |list| print::references(list))?;
        }
        Command::Lamps(args) => {
            let request = LightingRequest { light: args.light, level: args.level };
            out.show(&client.lighting(&request).await?, |list| print::devices(list))?;
        }
        Command::Belt(belt) => {
            let request = match belt {
                Belt::Run { speed } => ConveyorRequest::Run { speed_mm_per_s: speed },
                Belt::Stop => ConveyorRequest::Stop {},
                Belt::To { mm } => ConveyorRequest::Travel { to_mm: mm },
            };
            out.show(&client.conveyor(&request).await?, |device| print::devices(std::slice::from_ref(device)))?;
        }
        Command::Events { follow_from } => {
            let mut events = client.events(follow_from).await?;
            loop {
                match events.next().await? {
                    Notice::Event(event) => out.show(&event, print::event)?,
                    Notice::Lagged(missed) => {
                        let note = serde_json::json!({"event": "lagged", "missed": missed});
                        out.show(&note, |_| print::lagged(missed))?;
                    }
                }
            }
        }
        Command::Scans { scan: Some(id) } => out.show(&client.scan(&id).await?, print::scan)?,
        Command::Scans { scan: None } => out.show(&client.scans().await?, |list| print::scans(list))?,
        // `main` takes these.
        Command::Tail(_)
        | Command::Process(_)
        | Command::Recover(_)
        | Command::Verify(_)
        | Command::Calibrate(_)
        | Command::Check(_)
        | Command::Bench(_)
        | Command::Devices(_)
        | Command::Schema
        | Command::Inspect(_)
        | Command::Export(_)
        | Command::Completions { .. } => {}
    }
    Ok(())
}

/// A tray map as it is written, once it has passed the checks that need no rig.
fn read_tray(path: &Path) -> Result<serde_json::Value, Vec<Fault>> {
    Tray::read(path)?;
    let fault = |problem: String| vec![Fault::new(path.display().to_string(), problem)];
    let text = std::fs::read_to_string(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        serde_json::from_str(&text).map_err(|e| fault(format!("is not JSON: {e}")))
    } else {
        toml::from_str(&text).map_err(|e| fault(format!("is not TOML: {}", e.message())))
    }
}
