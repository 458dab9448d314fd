//! Errors of the regression.

use crate::reduce::StudyError;
use std::path::PathBuf;

/// Why there is no regression.
#[derive(Debug, thiserror::Error)]
pub enum RegressError {
    /// The configuration names no table.
    #[error("regress.table names no table of labels; give a CSV with a row for each sample")]
    NoTable,
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The table has faults.
    #[error("{} has {} fault(s):\n  {}", path.display(), faults.len(), faults.join("\n  "))]
    Table {
        /// The table's path.
        path: PathBuf,
        /// Every fault, with its row and column.
        faults: Vec<String>,
    },
    /// A setting lies outside its range.
    #[error("regress.{key} is {found}, and must be {expected}")]
    Setting {
        /// The key of the setting, without its section.
        key: &'static str,
        /// The value in the configuration.
        found: String,
        /// The values that the setting can take.
        expected: &'static str,
    },
    /// A representation has no codes.
    #[error("regress.codes names {name:?}; there are: {}", known.join(", "))]
    UnknownCodes {
        /// The unknown name.
        name: String,
        /// The folders of the representations.
        known: Vec<String>,
    },
    /// No pretreatment leaves enough bands.
    #[error("no band is left of {bands}: make the ranges of regress.mask smaller")]
    NoBands {
        /// Number of bands of the spectra.
        bands: usize,
    },
    /// The spectra or the codes cannot be read.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A result cannot be written.
    #[error(transparent)]
    Step(#[from] crate::steps::StepError),
    /// A head cannot be exported.
    #[error(transparent)]
    Export(#[from] crate::onnx::ExportError),
}
