//! What can be wrong with a campaign.

use std::path::PathBuf;

/// Why a campaign could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rig's configuration cannot be used for it.
    #[error("{path}: {reason}")]
    Rig {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A program cannot be started.
    #[error("{program} cannot be started: {source}; build it, or set HYCLUS_BIN to its folder")]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon ended or did not answer.
    #[error("hyclusd gave up on tray {tray}; its log {log} ends with: {last}")]
    Daemon {
        /// The tray.
        tray: String,
        /// Where its log is.
        log: PathBuf,
        /// The last lines of the log.
        last: String,
    },
    /// A scan failed.
    #[error("tray {tray} was not scanned: {reason}; see {log}")]
    Scan {
        /// The tray.
        tray: String,
        /// What `hyclus scan` said.
        reason: String,
        /// The daemon's log.
        log: PathBuf,
    },
    /// The folder holds something else.
    #[error("{folder} holds a campaign with other settings; remove it, or set campaign.folder to another one")]
    Other {
        /// The folder.
        folder: PathBuf,
    },
    /// It was not scanned yet.
    #[error("{folder} holds {done} of {all} trays; run `hyclus-study campaign` first")]
    Unfinished {
        /// The folder.
        folder: PathBuf,
        /// Trays scanned.
        done: usize,
        /// Trays of the campaign.
        all: usize,
    },
}
