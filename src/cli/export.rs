//! `hyclus export`: writes samples in the file formats of others.

use super::output::{exit_code, fail};
use crate::data_root;
use crate::export;
use crate::export::{Exported, Scan};
use crate::terminal::plain;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `hyclus export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Data root
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    pub(super) data: PathBuf,
    /// The file format
    #[command(subcommand)]
    pub(super) format: ExportFormat,
}

/// The file format of an export.
#[derive(Debug, Subcommand)]
pub(super) enum ExportFormat {
    /// The minerals of each sample as a table: OUT/minerals.csv, a row per sample
    Csv {
        /// Scan ids, or folders of scans
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<String>,
        /// Folder of the table
        out: PathBuf,
    },
    /// What was found of the worklist: OUT/results.csv, a row per sample, with OUT/datapackage.json, which describes it
    Worklist {
        /// Folder of the table
        out: PathBuf,
    },
    /// ENVI images: OUT/SAMPLE.hdr and .img, with mask and quality beside them
    Envi {
        /// Scan ids, or folders of scans
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<String>,
        /// Folder of the images
        out: PathBuf,
    },
    /// The layout of the HIDSAG data set: OUT/DATASET/SAMPLE/metadata.json and its images
    Hidsag {
        /// Scan ids, or folders of scans
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<String>,
        /// Folder of the data set's folder
        out: PathBuf,
        /// Name of the data set; that of the tray when absent
        #[arg(long, value_name = "NAME")]
        dataset: Option<String>,
    },
}

/// `hyclus export`.
pub(super) fn export(args: &ExportArgs, json: bool) -> ExitCode {
    let (scans, out) = match &args.format {
        ExportFormat::Worklist { out } => (&Vec::new(), out),
        ExportFormat::Csv { scans, out } | ExportFormat::Envi { scans, out } | ExportFormat::Hidsag { scans, out, .. } => (scans, out),
    };
    let found = match Scan::find_all(&args.data, scans) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    let exported = match &args.format {
        ExportFormat::Worklist { .. } => export::results::export(&args.data, &data_root::records(&args.data), out),
        ExportFormat::Csv { .. } => export::csv::export(&found, out),
        ExportFormat::Envi { .. } => export::envi::export(&found, out),
        ExportFormat::Hidsag { dataset, .. } => export::hidsag::export(&found, out, dataset.as_deref()),
    };
    match exported.map(|exported| write_exported(&exported, out, json)) {
        Ok(written) if !found.is_empty() && found.iter().all(Scan::is_void) => {
            let _ = exit_code(written);
            fail("no exported sample has a valid pixel; `quality` of the samples says why")
        }
        Ok(written) => exit_code(written),
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
        eprintln!("hyclus: warning: {}", plain(warning));
    }
    let plural = if *samples == 1 { "" } else { "s" };
    // A single path is the folder of a data set. Several paths are files in the target.
    let place = if let [path] = paths.as_slice() { path } else { target };
    writeln!(out, "{samples} sample{plural} in {}", place.display())
}
