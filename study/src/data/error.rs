//! Errors of data sets.

use std::path::PathBuf;

/// Why spectra cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("{path}: {source}")]
    Open {
        /// The path of the file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file does not have the expected contents.
    #[error("{path} cannot be read: {reason}")]
    Format {
        /// The file's path.
        path: PathBuf,
        /// The fault, in words.
        reason: String,
    },
    /// The sources hold no spectra.
    #[error("{paths:?} hold no spectra; name a Parquet file or sample HDF5, or a folder of them, or a HIDSAG data set")]
    Empty {
        /// Paths of the sources.
        paths: Vec<PathBuf>,
    },
    /// A Parquet file has embeddings only.
    #[error("{path} has no column `spectrum`; scan with `[publish] spectra = true`")]
    NoSpectra {
        /// The file's path.
        path: PathBuf,
    },
    /// A label is missing.
    #[error("{path} has no label `{label}`; it has {found:?}: change data.labels, or scan with that key in the tray map")]
    NoLabel {
        /// The file's path.
        path: PathBuf,
        /// The missing label.
        label: String,
        /// Labels of the file.
        found: Vec<String>,
    },
    /// All spectra have the same label.
    #[error("all spectra have the same `{label}`, {class:?}; add samples of another one, or take it out of data.labels")]
    OneClass {
        /// The label's name.
        label: String,
        /// Its only class.
        class: String,
    },
    /// A spectrum has an infinite value.
    #[error(
        "{path}: the spectrum of {sample:?} at line {line}, pixel {pixel} is infinite in band {band}; take the sample out or scan it again"
    )]
    NotFinite {
        /// The file's path.
        path: PathBuf,
        /// The sample's name.
        sample: String,
        /// Line in the sample's cube.
        line: i32,
        /// Pixel in the sample's cube.
        pixel: i32,
        /// First such band of the spectrum, from 0.
        band: usize,
    },
    /// A file has other wavelengths than the files before.
    #[error("{path} has other wavelengths ({found}) than the files before ({expected}); keep scans of different rigs apart")]
    Wavelengths {
        /// The file's path.
        path: PathBuf,
        /// Wavelengths of the first file, in short.
        expected: String,
        /// Wavelengths of this file, in short.
        found: String,
    },
    /// A model belongs to other wavelengths.
    #[error("the model was made for other wavelengths ({model}) than the data has ({data}); train it on this data")]
    ModelWavelengths {
        /// Wavelengths of the model, in short.
        model: String,
        /// Wavelengths of the data, in short.
        data: String,
    },
}

/// Wavelengths in short, for messages.
pub(crate) fn in_short(wavelengths_nm: &[f64]) -> String {
    match (wavelengths_nm.first(), wavelengths_nm.last()) {
        (Some(first), Some(last)) => format!("{} bands from {first} to {last} nm", wavelengths_nm.len()),
        _ => "none".to_owned(),
    }
}
