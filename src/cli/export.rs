//! `hyclus export`: writes samples in the file formats of others.

use super::arguments::{ExportArgs, ExportFormat};
use super::output::{exit_code, fail};
use crate::export;
use crate::export::{Exported, Scan};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// `hyclus export`.
pub(super) fn export(args: &ExportArgs, json: bool) -> ExitCode {
    let found = |scans: &[String]| Scan::find_all(&args.data, scans);
    let (out, exported) = match &args.format {
        ExportFormat::Envi { scans, out } => (out, found(scans).and_then(|scans| export::envi::export(&scans, out))),
        ExportFormat::Hidsag { scans, out, dataset } => {
            (out, found(scans).and_then(|scans| export::hidsag::export(&scans, out, dataset.as_deref())))
        }
    };
    match exported {
        Ok(exported) => exit_code(write_exported(&exported, out, json)),
        Err(error) => fail(error),
    }
}

/// Writes the summary of an export.
fn write_exported(exported: &Exported, target: &Path, json: bool) -> io::Result<()> {
    let Exported { samples, paths, warnings } = exported;
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", json!({"out": target, "samples": samples, "paths": paths, "warnings": warnings}));
    }
    for warning in warnings {
        eprintln!("hyclus: warning: {warning}");
    }
    let plural = if *samples == 1 { "" } else { "s" };
    // A single path is the folder of a data set. Several paths are files in the target.
    let place = if let [path] = paths.as_slice() { path } else { target };
    writeln!(out, "{samples} sample{plural} in {}", place.display())
}
