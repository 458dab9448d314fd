//! Why an encoder cannot be used.

use std::path::PathBuf;

/// Why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// ONNX Runtime is nowhere.
    #[error(
        "libonnxruntime.so was not found; looked in {}; run `make setup`, which fetches it, or name it by `encoder.library` or ORT_DYLIB_PATH",
        list(tried)
    )]
    LibraryMissing {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// ONNX Runtime is there and cannot be loaded.
    #[error("{} cannot be loaded as ONNX Runtime: {reason}; run `make setup`, which fetches one that fits", path.display())]
    LibraryLoad {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// What the encoder is to run on is not there.
    #[error(
        "ONNX Runtime cannot run on {provider}: {reason}; name a library built for it by `encoder.library`, or set encoder.provider = \"cpu\""
    )]
    Provider {
        /// What was asked for.
        provider: &'static str,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// The threads that encode cannot be started.
    #[error("the threads that encode cannot be started: {0}; lower encoder.workers, or raise the limit of processes")]
    Threads(std::io::Error),
    /// A thread that encodes ended by a defect of this program.
    #[error("a thread that encodes broke down; this is a defect of hyclus, please report it with the log")]
    Broken,
    /// The model file cannot be read.
    #[error("the encoder {} cannot be read: {source}; check `encoder.model`", path.display())]
    Read {
        /// The model.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no ONNX model that this ONNX Runtime takes.
    #[error("the encoder {} is no ONNX model that can be loaded: expected a self-contained .onnx file, found: {reason}", path.display())]
    NotOnnx {
        /// The model.
        path: PathBuf,
        /// What ONNX Runtime says.
        reason: String,
    },
    /// Inputs or outputs are not as the contract says.
    #[error("the encoder {} does not fit: expected {expected}, found {found}", path.display())]
    Interface {
        /// The model.
        path: PathBuf,
        /// What is wanted.
        expected: String,
        /// What the model has.
        found: String,
    },
    /// The model says no wavelengths and its band count is not the cube's.
    #[error(
        "the encoder {} takes {found} bands, but spectra have {expected}; give the model the metadata hyclus.wavelengths_nm, so that spectra can be resampled, or use one for {expected} bands",
        path.display()
    )]
    Bands {
        /// The model.
        path: PathBuf,
        /// Bands of a spectrum.
        expected: usize,
        /// Bands of the model.
        found: usize,
    },
    /// The model wants wavelengths that are not measured.
    #[error(
        "the encoder {} wants {} to {} nm, but {} to {} nm are measured; use a model within the measured range",
        path.display(), wanted_nm.0, wanted_nm.1, measured_nm.0, measured_nm.1
    )]
    Range {
        /// The model.
        path: PathBuf,
        /// First and last wavelength of the model, nm.
        wanted_nm: (f64, f64),
        /// First and last wavelength of a spectrum, nm.
        measured_nm: (f64, f64),
    },
    /// An entry of the model's metadata is wrong.
    #[error("the encoder {} has a wrong metadata entry {key}: {problem}", path.display())]
    Metadata {
        /// The model.
        path: PathBuf,
        /// The entry.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The model does not give the reference output.
    #[error(
        "the encoder {} does not reproduce its hyclus.reference_output: number {index} should be {expected}, found {found}; the file is damaged, or its metadata belong to another model",
        path.display()
    )]
    Reference {
        /// The model.
        path: PathBuf,
        /// Index into `hyclus.reference_output`.
        index: usize,
        /// What it says.
        expected: f32,
        /// What the model gives.
        found: f32,
    },
    /// The model gives what is no number.
    #[error("the encoder {} gives {found} for a valid spectrum; its file is damaged, or it was made for other spectra", path.display())]
    NotFinite {
        /// The model.
        path: PathBuf,
        /// What it gave.
        found: f32,
    },
    /// ONNX Runtime fails to run the model.
    #[error("the encoder {} fails to run: {reason}", path.display())]
    Run {
        /// The model.
        path: PathBuf,
        /// What ONNX Runtime says.
        reason: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
