//! Commands that call the daemon.

use super::arguments::{Belt, Command, Encoders, Kind, StopArgs};
use super::output::{Failure, Output};
use super::wait;
use super::worklist::{ScanArgs, WorklistCommand};
use crate::client::{Client, Notice};
use crate::print;
use crate::rig::{ConveyorRequest, LightingRequest, ReferenceRequest, ScanRequest, WorklistRequest};
use crate::scan::{Fault, ReferenceKind, Tray};
use crate::worklist;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs a command.
pub(super) async fn run(command: Command, socket: PathBuf, json: bool) -> ExitCode {
    match ask(command, socket, &Output { json }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.code();
            if code != ExitCode::SUCCESS {
                failure.print(json);
            }
            code
        }
    }
}

/// Calls the daemon and shows its answer.
async fn ask(command: Command, socket: PathBuf, out: &Output) -> Result<(), Failure> {
    // The tray map is checked first, so that its faults are reported even without a daemon.
    let tray = match &command {
        Command::Scan(ScanArgs { tray: Some(file), .. }) => Some(read_tray(file).map_err(Failure::Tray)?),
        _ => None,
    };
    let client = Client::connect(socket).await?;
    match command {
        Command::Status => out.show(&client.status().await?, print::status)?,
        Command::Scan(ScanArgs { wait, next, listed, again, .. }) => {
            let record = client.start(&ScanRequest { tray, next, listed, again }).await?;
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
        Command::Encoders { change: None } => out.show(&client.encoders().await?, |list| print::encoders(list))?,
        Command::Encoders { change: Some(Encoders::Put { name, model }) } => {
            let bytes = std::fs::read(&model).map_err(|error| Failure::Model(model, error))?;
            out.show(&client.replace_encoder(&name, bytes).await?, |one| print::encoders(std::slice::from_ref(one)))?;
        }
        Command::Encoders { change: Some(Encoders::Reset { name }) } => {
            out.show(&client.restore_encoder(&name).await?, |one| print::encoders(std::slice::from_ref(one)))?;
        }
        Command::Worklist { change } => {
            let status = match change {
                None => client.worklist().await?,
                Some(WorklistCommand::Put { list, preset }) => {
                    let preset = preset.map(|file| Tray::read_unchecked(&file)).transpose().map_err(Failure::Tray)?;
                    let request = WorklistRequest::read(&list, preset).map_err(Failure::Tray)?;
                    client.put_worklist(&request).await?
                }
                Some(WorklistCommand::Remove) => client.remove_worklist().await?,
            };
            out.show(&status, worklist::shown)?;
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
        // `main` handles these.
        Command::Tail(_)
        | Command::Process(_)
        | Command::Recover(_)
        | Command::Verify(_)
        | Command::Seal(_)
        | Command::Pack(_)
        | Command::Upgrade(_)
        | Command::Calibrate(_)
        | Command::Check(_)
        | Command::Bench(_)
        | Command::Devices(_)
        | Command::Schema
        | Command::Inspect(_)
        | Command::Export(_)
        | Command::Fit(_)
        | Command::Minerals(_)
        | Command::Identify(_)
        | Command::Completions { .. } => {}
    }
    Ok(())
}

/// Reads a tray map as it is written, after the checks that need no rig.
fn read_tray(path: &Path) -> Result<serde_json::Value, Vec<Fault>> {
    let map = Tray::read_unchecked(path)?;
    // What a barcode stands for is known to the daemon alone.
    if worklist::needs_worklist(&map) { Ok(map) } else { Tray::check(&map).map(|_| map) }
}
