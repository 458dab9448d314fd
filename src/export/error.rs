//! Why samples cannot be exported.

use crate::publish::PublishError;
use crate::quicklook::QuicklookError;
use crate::scan::NewerFormat;
use crate::store::SampleError;
use crate::worklist::WorklistError;
use std::path::{Path, PathBuf};

/// Samples could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such scan.
    #[error("`{scan}` is neither a scan of {} nor the folder of one; {}", data.display(), known(scans))]
    UnknownScan {
        /// The scan as it was named.
        scan: String,
        /// The data root.
        data: PathBuf,
        /// The scans it holds.
        scans: Vec<String>,
    },
    /// A scan is named twice.
    #[error("the scan in {} is named twice; name it once", folder.display())]
    Twice {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is nothing to export.
    #[error("{} holds no sample; its scan.json says what was lost, and the raw recording can be processed again", folder.display())]
    NoSamples {
        /// The scan's folder.
        folder: PathBuf,
    },
    /// A scan has neither minerals nor heads.
    #[error("{} has neither minerals nor values of heads; process its recording with a configuration that has [minerals], or run `hyclus recover --heads`", folder.display())]
    NoMinerals {
        /// The scan's folder.
        folder: PathBuf,
    },
    /// A file or folder has the name of one that would be written.
    #[error("{} exists already, and nothing was written; choose another target, or remove it", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Two samples would be given one name.
    #[error("two samples would be written as `{name}`; export their scans one by one, to different targets")]
    Clash {
        /// The name.
        name: String,
    },
    /// A name in a file cannot be the name of a folder.
    #[error("`{name}` cannot be the name of a folder: it must be 1 to 64 of A-Z a-z 0-9 . _ - and not begin with a dot; {advice}")]
    Name {
        /// The name.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// The scans are of different trays, and none was named.
    #[error("the scans are of the trays {}; name the data set with --dataset", trays.join(", "))]
    Trays {
        /// The trays.
        trays: Vec<String>,
    },
    /// The layout needs both ranges.
    #[error("{}: none of its bands is {range}, which the layout of HIDSAG needs; export it as ENVI", file.display())]
    Range {
        /// The sample's file.
        file: PathBuf,
        /// `VNIR` or `SWIR`.
        range: &'static str,
    },
    /// The samples do not have the same bands.
    #[error("{}: its {range} bands are not those of {}; a HIDSAG data set has one list of wavelengths, so export them to different data sets",
        file.display(), first.display())]
    Wavelengths {
        /// The sample's file.
        file: PathBuf,
        /// The first sample's file.
        first: PathBuf,
        /// `VNIR` or `SWIR`.
        range: &'static str,
    },
    /// A sample's file is not as it should be.
    #[error("{}: {path} {problem}; is the file one that hyclus wrote, and whole?", file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A sample's file cannot be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// There is nothing to report on.
    #[error("{} holds no worklist; name the data root with --data, or put one there: hyclus worklist put", data.display())]
    NoWorklist {
        /// The data root.
        data: PathBuf,
    },
    /// The worklist cannot be read.
    #[error(transparent)]
    Worklist(#[from] WorklistError),
    /// Embeddings cannot be read.
    #[error(transparent)]
    Embeddings(#[from] PublishError),
    /// A later version of the program wrote the scan's record.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// A picture cannot be written.
    #[error(transparent)]
    Picture(#[from] QuicklookError),
    /// The HDF5 library cannot write.
    #[error("{}: {source}; check the free space and the permissions", file.display())]
    Hdf5 {
        /// The file being written.
        file: PathBuf,
        /// What the library said.
        source: hdf5::Error,
    },
    /// The file system refused.
    #[error("{} cannot be {doing}: {source}; check the free space and the permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempt: `created`, `written`, ...
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

fn known(scans: &[String]) -> String {
    if scans.is_empty() { "it holds no scan: name the data root with --data".to_owned() } else { format!("it holds {}", scans.join(", ")) }
}

/// Adds a path and the attempt to what the file system said.
pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> ExportError {
    move |source| ExportError::Io { path: path.into(), doing, source }
}
