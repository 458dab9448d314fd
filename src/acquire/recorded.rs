//! The table of lines of a raw recording, read back.

use crate::scan::LineStatus;
use replay::capture::{CaptureError, read_records};
use std::path::Path;

/// A line of a raw recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedLine {
    /// The camera's frame number.
    pub frame: u64,
    /// Whether it can be used.
    pub status: LineStatus,
}

/// The lines of a `lines.csv`, in the order of their frames. What is torn behind them is left out.
///
/// # Errors
/// The file cannot be read, or a row is malformed.
pub fn recorded_lines(path: &Path) -> Result<Vec<RecordedLine>, CaptureError> {
    let (records, _) = read_records(path)?;
    let status = |fault: Option<&str>| match fault {
        None => LineStatus::Ok,
        // A word of a later version is no line that this one can use.
        Some(word) => LineStatus::ALL.into_iter().find(|status| status.word() == word).unwrap_or(LineStatus::Incomplete),
    };
    Ok(records.iter().map(|record| RecordedLine { frame: record.frame, status: status(record.fault.as_deref()) }).collect())
}
