//! `hyclus export`: samples in the file formats of others.

use super::{ExportArgs, ExportFormat};
use crate::export;
use crate::export::{Exported, Scan};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub(super) fn export(args: &ExportArgs, json: bool) -> ExitCode {
    let found = |scans: &[String]| Scan::find_all(&args.data, scans);
    let (out, exported) = match &args.format {
        ExportFormat::Envi { scans, out } => (out, found(scans).and_then(|scans| export::envi::export(&scans, out))),
        ExportFormat::Hidsag { scans, out, dataset } => {
            (out, found(scans).and_then(|scans| export::hidsag::export(&scans, out, dataset.as_deref())))
        }
    };
    match exported.map(|exported| say(&exported, out, json)) {
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("hyclus: {error}");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyclus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(exported: &Exported, target: &Path, json: bool) -> io::Result<()> {
    let Exported { samples, paths, warnings } = exported;
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", json!({"out": target, "samples": samples, "paths": paths, "warnings": warnings}));
    }
    for warning in warnings {
        eprintln!("hyclus: warning: {warning}");
    }
    let plural = if *samples == 1 { "" } else { "s" };
    // A folder is a data set; of files there are many.
    let place = if let [path] = paths.as_slice() { path } else { target };
    writeln!(out, "{samples} sample{plural} in {}", place.display())
}
