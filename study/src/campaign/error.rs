//! Errors of a campaign.

use std::path::PathBuf;

/// Why a campaign cannot be scanned or read.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The rig's configuration cannot be used for a campaign.
    #[error("{path}: {reason}")]
    Rig {
        /// The file's path.
        path: PathBuf,
        /// The fault, in words.
        reason: String,
    },
    /// A program cannot be started.
    #[error("{program} cannot be started: {source}; build it, or set HYCLUS_BIN to its folder")]
    Program {
        /// The program's path.
        program: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The daemon ended too early.
    #[error("hyclusd gave up on tray {tray}; its log {log} ends with: {last}")]
    Daemon {
        /// The tray's name.
        tray: String,
        /// Path of the daemon's log.
        log: PathBuf,
        /// The last lines of the log.
        last: String,
    },
    /// A scan failed.
    #[error("tray {tray} was not scanned: {reason}; see {log}")]
    Scan {
        /// The tray's name.
        tray: String,
        /// The output of `hyclus scan`.
        reason: String,
        /// Path of the daemon's log.
        log: PathBuf,
    },
    /// The folder holds another campaign.
    #[error("{folder} holds a campaign with other settings; remove it, or set campaign.folder to another one")]
    Other {
        /// The campaign's folder.
        folder: PathBuf,
    },
    /// The campaign is not finished.
    #[error("{folder} holds {done} of {all} trays; run `hyclus-study campaign` first")]
    Unfinished {
        /// The campaign's folder.
        folder: PathBuf,
        /// Number of scanned trays.
        done: usize,
        /// Number of trays of the campaign.
        all: usize,
    },
}
