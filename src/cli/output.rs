//! Output of all commands: results, errors and exit statuses.

use crate::client::ClientError;
use crate::devices::Connected;
use crate::scan::{Fault, ScanRecord};
use crate::terminal::{document, lines, message, plain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit status where the rig is not ready.
pub const NOT_READY: u8 = 3;

/// Prints an error. Gives the exit status of a failure.
pub(super) fn fail(error: impl Display) -> ExitCode {
    eprintln!("hyclus: {}", message(&error.to_string()));
    ExitCode::FAILURE
}

/// The exit status after output. A reader that closes our output, such as `head`, is no failure.
pub(super) fn exit_code(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(error),
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a record as one line of JSON.
pub(super) fn write_json(record: &ScanRecord, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    writeln!(out)
}

/// Writes a line for each device.
pub(super) fn write_devices(list: &[Connected], out: &mut dyn Write) -> io::Result<()> {
    for device in list {
        let text = |text: &str| plain(text).into_owned();
        let place = if device.place.is_empty() { String::new() } else { format!(" at {}", text(&device.place)) };
        match (&device.accepted, &device.fault) {
            (Some(accepted), _) => writeln!(out, "  {} ({}){place}: {}", text(&device.name), device.key, text(accepted))?,
            (None, fault) => {
                writeln!(out, "  {} ({}){place}: FAILED: {}", text(&device.name), device.key, text(fault.as_deref().unwrap_or_default()))?
            }
        }
    }
    Ok(())
}

/// Failure of a command that calls the daemon.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the tray map has {} fault(s)", .0.len())]
    Tray(Vec<Fault>),
    #[error("the model {} cannot be read: {}", .0.display(), .1)]
    Model(PathBuf, io::Error),
    #[error("no scan is running; name one to stop it")]
    NothingRuns,
    #[error("the scan is incomplete: {0}")]
    Incomplete(String),
    #[error("no longer waiting; scan {0} goes on, `hyclus stop {0}` ends it")]
    StoppedWaiting(String),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The faults of the request.
    fn faults(&self) -> &[Fault] {
        match self {
            Self::Client(ClientError::Refused(problem)) => &problem.faults,
            Self::Tray(faults) => faults,
            _ => &[],
        }
    }

    /// The exit status.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Client(error) if error.not_ready() => ExitCode::from(NOT_READY),
            // `hyclus events | head` is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    /// Prints the failure, as JSON or as text.
    pub(super) fn print(&self, json: bool) {
        if json {
            let problem = match self {
                Self::Client(ClientError::Refused(problem)) => serde_json::json!(problem),
                _ => serde_json::json!({"detail": self.to_string(), "faults": self.faults()}),
            };
            eprintln!("{problem}");
            return;
        }
        if self.faults().is_empty() {
            eprintln!("hyclus: {}", plain(&self.to_string()));
            return;
        }
        // One fault per line reads better than the message with all of them.
        eprintln!("hyclus: {} fault(s) in the request", self.faults().len());
        for fault in self.faults() {
            eprintln!("  {}", plain(&fault.to_string()));
        }
    }
}

/// Standard output for results, as text or as JSON lines.
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    /// Writes a document as JSON, or as the text that `human` makes of it.
    pub(super) fn show<T: Serialize + DeserializeOwned>(&self, answer: &T, human: impl FnOnce(&T) -> String) -> io::Result<()> {
        let text = if self.json { serde_json::to_string(answer).map_err(io::Error::from)? } else { shown(answer, human) };
        let mut out = io::stdout().lock();
        out.write_all(text.trim_end().as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// An answer in words. Ends of lines are ours alone: names in the answer have none any more.
fn shown<T: Serialize + DeserializeOwned>(answer: &T, human: impl FnOnce(&T) -> String) -> String {
    lines(&human(document(answer).as_ref().unwrap_or(answer))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{self, lacks};
    use crate::scan::{EventKind, MAIN, Pending};
    use std::collections::BTreeMap;

    #[test]
    fn names_from_the_network_keep_to_their_line() {
        let odd = "a\u{1b}[2J\nb\u{9b}\u{202e}".to_owned();
        let event = EventKind::ScanStarted { scan: odd.clone() };
        assert_eq!(shown(&event, print::happened), "scan a\\u{1b}[2J\\nb\\u{9b}\\u{202e} started");
        let pending = BTreeMap::from([(odd, Pending::because("c\r".to_owned()))]);
        let text = shown(&pending, |pending| pending.iter().map(|(scan, pending)| lacks(scan, MAIN, pending)).collect());
        assert!(text.starts_with("scan a\\u{1b}[2J\\nb") && text.ends_with("c\\r") && text.lines().count() == 1, "{text:?}");
    }
}
