//! What can be wrong with data.

use std::path::PathBuf;

/// Why spectra could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("{path}: {source}")]
    Open {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{path} cannot be read: {reason}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is nothing to read.
    #[error("{paths:?} hold no spectra; name a Parquet file or sample HDF5, or a folder of them, or a HIDSAG data set")]
    Empty {
        /// The sources.
        paths: Vec<PathBuf>,
    },
    /// A Parquet file has embeddings only.
    #[error("{path} has no column `spectrum`; scan with `[publish] spectra = true`")]
    NoSpectra {
        /// Which file.
        path: PathBuf,
    },
    /// A label is missing.
    #[error("{path} has no label `{label}`; it has {found:?}: change data.labels, or scan with that key in the tray map")]
    NoLabel {
        /// Which file.
        path: PathBuf,
        /// Label asked for.
        label: String,
        /// Labels that are there.
        found: Vec<String>,
    },
    /// All spectra have the same label.
    #[error("all spectra have the same `{label}`, {class:?}; add samples of another one, or take it out of data.labels")]
    OneClass {
        /// Label.
        label: String,
        /// Its only class.
        class: String,
    },
    /// A spectrum has values that are no numbers.
    #[error(
        "{path}: the spectrum of {sample:?} at line {line}, pixel {pixel} is not finite in band {band}; take the sample out or scan it again"
    )]
    NotFinite {
        /// Which file.
        path: PathBuf,
        /// Sample.
        sample: String,
        /// Line in its cube.
        line: i32,
        /// Pixel in its cube.
        pixel: i32,
        /// First such band, from 0.
        band: usize,
    },
    /// Files do not have the same wavelengths.
    #[error("{path} has other wavelengths ({found}) than the files before ({expected}); keep scans of different rigs apart")]
    Wavelengths {
        /// Which file.
        path: PathBuf,
        /// Those of the first file, in short.
        expected: String,
        /// Its own, in short.
        found: String,
    },
    /// A model was made for other wavelengths.
    #[error("the model was made for other wavelengths ({model}) than the data has ({data}); train it on this data")]
    ModelWavelengths {
        /// Those of the model, in short.
        model: String,
        /// Those of the data, in short.
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
