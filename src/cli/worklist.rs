//! The arguments of `hyclus scan` and `hyclus worklist`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Tray map, TOML or JSON
    #[arg(long, value_name = "FILE", required_unless_present_any = ["next", "listed"], conflicts_with_all = ["next", "listed"])]
    pub(super) tray: Option<PathBuf>,
    /// The next tray of the worklist: the first one with a sample that no complete scan holds
    #[arg(long, conflicts_with = "listed")]
    pub(super) next: bool,
    /// This tray of the worklist
    #[arg(long, value_name = "TRAY")]
    pub(super) listed: Option<String>,
    /// Scans samples of the worklist although a complete scan holds them
    #[arg(long)]
    pub(super) again: bool,
    /// Waits for the end and shows the progress; fails if the scan is incomplete
    #[arg(long)]
    pub(super) wait: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum WorklistCommand {
    /// Holds a worklist, in the place of the one before it; refused with every fault
    Put {
        /// The samples, a row each: CSV, or a list of objects in JSON where its name ends so
        list: PathBuf,
        /// A tray map whose places are used
        #[arg(long, value_name = "TRAY")]
        preset: Option<PathBuf>,
    },
    /// Holds no worklist any longer
    Remove,
}
