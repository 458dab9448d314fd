//! The reasons why an encoder cannot be used.

use std::path::PathBuf;

/// The reason why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// ONNX Runtime was not found.
    #[error(
        "libonnxruntime.so was not found; looked in {}; run `make setup`, which fetches it, or name it by `encoder.library` or ORT_DYLIB_PATH",
        list(tried)
    )]
    LibraryMissing {
        /// The places that were searched.
        tried: Vec<PathBuf>,
    },
    /// ONNX Runtime was found and cannot be loaded.
    #[error("{} cannot be loaded as ONNX Runtime: {reason}; run `make setup`, which fetches one that fits", path.display())]
    LibraryLoad {
        /// Path of the library.
        path: PathBuf,
        /// The loader's reason.
        reason: String,
    },
    /// ONNX Runtime cannot use the configured execution provider.
    #[error(
        "ONNX Runtime cannot run on {provider}: {reason}; name a library built for it by `encoder.library`, or set encoder.provider = \"cpu\""
    )]
    Provider {
        /// The execution provider that the configuration names.
        provider: &'static str,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// The threads that encode cannot be started.
    #[error("the threads that encode cannot be started: {0}; lower encoder.workers, or raise the limit of processes")]
    Threads(std::io::Error),
    /// A thread that encodes ended by a defect of this program.
    #[error("a thread that encodes broke down; this is a defect of hyclus, please report it with the log")]
    Broken,
    /// The model file cannot be read.
    #[error("the model {} cannot be read: {source}; check the key `model` that names it", path.display())]
    Read {
        /// Path of the model.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is no ONNX model that this ONNX Runtime takes.
    #[error("the model {} is no ONNX model that can be loaded: expected a self-contained .onnx file, found: {reason}", path.display())]
    NotOnnx {
        /// Path of the model.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },
    /// Inputs or outputs break the contract.
    #[error("the model {} does not fit: expected {expected}, found {found}", path.display())]
    Interface {
        /// Path of the model.
        path: PathBuf,
        /// The shape or type that the contract asks for.
        expected: String,
        /// The shape or type that the model has.
        found: String,
    },
    /// The model states no wavelengths, and its number of bands is not that of the spectra.
    #[error(
        "the model {} takes {found} bands, but spectra have {expected}; give the model the metadata hyclus.wavelengths_nm, so that spectra can be resampled, or use one for {expected} bands",
        path.display()
    )]
    Bands {
        /// Path of the model.
        path: PathBuf,
        /// Number of bands of a spectrum.
        expected: usize,
        /// Number of bands of the model.
        found: usize,
    },
    /// The model needs wavelengths that are not measured.
    #[error(
        "the model {} wants {} to {} nm, but {} to {} nm are measured; use a model within the measured range, or widen camera.use_nm",
        path.display(), wanted_nm.0, wanted_nm.1, measured_nm.0, measured_nm.1
    )]
    Range {
        /// Path of the model.
        path: PathBuf,
        /// First and last wavelength of the model, nm.
        wanted_nm: (f64, f64),
        /// First and last wavelength of a spectrum, nm.
        measured_nm: (f64, f64),
    },
    /// The model needs wavelengths at which bands are left out.
    #[error(
        "the model {} reads {wanted_nm} nm, but there is no band between {} and {} nm, and over more than {limit_nm:.1} nm nothing is interpolated (calibrate.max_mend_nm); use a model without these wavelengths, or widen camera.use_nm",
        path.display(), bands_nm.0, bands_nm.1
    )]
    LeftOut {
        /// Path of the model.
        path: PathBuf,
        /// The first such wavelength of the model, nm.
        wanted_nm: f64,
        /// The bands on either side, nm.
        bands_nm: (f64, f64),
        /// The largest distance of bands over which spectra are interpolated here, nm.
        limit_nm: f64,
    },
    /// The model needs narrower bands than those that are measured.
    #[error(
        "the model {} was trained on bands of {fwhm_nm:.1} nm at {wanted_nm:.1} nm (hyclus.fwhm_nm), but the camera's bands there are {measured_nm:.1} nm wide, and no resampling makes them narrower; use a model for bands as wide as these, or a camera with less binning",
        path.display()
    )]
    Finer {
        /// Path of the model.
        path: PathBuf,
        /// The first such wavelength of the model, nm.
        wanted_nm: f64,
        /// Full width at half maximum of the model's band, nm.
        fwhm_nm: f64,
        /// Full width at half maximum of the camera's bands, nm.
        measured_nm: f64,
    },
    /// An entry of the model's metadata is wrong.
    #[error("the model {} has a wrong metadata entry {key}: {problem}", path.display())]
    Metadata {
        /// Path of the model.
        path: PathBuf,
        /// Key of the entry.
        key: &'static str,
        /// The fault of the entry.
        problem: String,
    },
    /// The model does not reproduce its reference output.
    #[error(
        "the model {} does not reproduce its hyclus.reference_output: number {index} should be {expected}, found {found}; the file is damaged, or its metadata belong to another model",
        path.display()
    )]
    Reference {
        /// Path of the model.
        path: PathBuf,
        /// Index into `hyclus.reference_output`.
        index: usize,
        /// The number in `hyclus.reference_output`.
        expected: f32,
        /// The number that the model gives.
        found: f32,
    },
    /// The model gives a number that is not finite.
    #[error("the model {} gives {found} for a valid spectrum; its file is damaged, or it was made for other spectra", path.display())]
    NotFinite {
        /// Path of the model.
        path: PathBuf,
        /// The number that it gave.
        found: f32,
    },
    /// The model takes too long.
    #[error(
        "the model {} was not done after {limit_s} s of {what}; a model that loops without end cannot be used, for a slow one raise encoder.limit_s",
        path.display()
    )]
    Endless {
        /// Path of the model.
        path: PathBuf,
        /// The work that was not done.
        what: &'static str,
        /// The limit, s.
        limit_s: f64,
    },
    /// The model takes too much memory while it is loaded.
    #[error(
        "the model {} took more than {limit_mib} MiB while it was loaded; use a smaller model or encoder.batch, or raise encoder.max_memory_mib",
        path.display()
    )]
    Memory {
        /// Path of the model.
        path: PathBuf,
        /// The limit, MiB.
        limit_mib: u64,
    },
    /// The model cannot be tried, or the process that tries it crashes.
    #[error("the model {} failed when a process of its own loaded it: {reason}; export the model anew, or use another one", path.display())]
    Trial {
        /// Path of the model.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// ONNX Runtime fails to run the model.
    #[error("the model {} fails to run: {reason}", path.display())]
    Run {
        /// Path of the model.
        path: PathBuf,
        /// ONNX Runtime's reason.
        reason: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
