//! Samples in the file formats of others.
//!
//! Cubes are read in blocks of lines and never held whole. Everything is written below a hidden folder of the target and gets its
//! name when all of it is complete; nothing that is there already is replaced.

mod cube;
pub mod envi;
pub mod hidsag;

use crate::quicklook::QuicklookError;
use crate::scan::{ScanRecord, is_name, is_scan_id};
use crate::store::SampleError;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Samples could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such scan.
    #[error("`{scan}` is neither a scan of {} nor the folder of one; {}", data.display(), known(scans))]
    UnknownScan {
        /// What was asked for.
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
    /// Something has the name of what would be written.
    #[error("{} exists already, and nothing was written; choose another target, or remove it", path.display())]
    Exists {
        /// What is there.
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
        /// What was tried: `created`, `written`, ...
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

fn known(scans: &[String]) -> String {
    if scans.is_empty() { "it holds no scan: name the data root with --data".to_owned() } else { format!("it holds {}", scans.join(", ")) }
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> ExportError {
    move |source| ExportError::Io { path: path.into(), doing, source }
}

/// A scan whose samples are exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Its folder.
    pub folder: PathBuf,
    /// Its `scan.json`, where that can be read.
    pub record: Option<ScanRecord>,
    /// The complete files of its samples: as their containers lie on the tray, where the record says it, else by name.
    pub files: Vec<PathBuf>,
}

impl Scan {
    /// Finds scans as [`Self::find`], each once.
    ///
    /// # Errors
    /// As [`Self::find`], and [`ExportError::Twice`].
    pub fn find_all(data: &Path, scans: &[String]) -> Result<Vec<Self>, ExportError> {
        let mut folders = BTreeSet::new();
        scans
            .iter()
            .map(|scan| {
                let scan = Self::find(data, scan)?;
                let folder = scan.folder.canonicalize().map_err(failed(&scan.folder, "read"))?;
                if folders.insert(folder) { Ok(scan) } else { Err(ExportError::Twice { folder: scan.folder }) }
            })
            .collect()
    }

    /// The scan's id.
    fn id(&self) -> String {
        let folder = || self.folder.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
        self.record.as_ref().map(|record| record.id.clone()).filter(|id| is_scan_id(id)).or_else(folder).unwrap_or_default()
    }

    /// Finds a scan by its id below the data root, or by the path of its folder.
    ///
    /// # Errors
    /// [`ExportError::UnknownScan`] with the scans there are, [`ExportError::NoSamples`], or that a folder cannot be read.
    pub fn find(data: &Path, scan: &str) -> Result<Self, ExportError> {
        let scans = data.join("scans");
        let folder = [scans.join(scan), PathBuf::from(scan)]
            .into_iter()
            .skip(usize::from(!is_name(scan)))
            .find(|folder| folder.join("samples").is_dir() || folder.join("scan.json").is_file());
        let Some(folder) = folder else {
            let entries = fs::read_dir(&scans).into_iter().flatten().flatten();
            let mut scans: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            scans.sort();
            return Err(ExportError::UnknownScan { scan: scan.into(), data: data.into(), scans });
        };
        let record = fs::read_to_string(folder.join("scan.json")).ok().and_then(|text| serde_json::from_str::<ScanRecord>(&text).ok());
        let samples = folder.join("samples");
        let entries = match fs::read_dir(&samples) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            entries => Some(entries.map_err(failed(&samples, "read"))?),
        };
        let mut files = Vec::new();
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(failed(&samples, "read"))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with('.') && name.ends_with(".h5") {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(ExportError::NoSamples { folder });
        }
        files.sort();
        if let Some(record) = &record {
            // Whatever the record does not know of comes last.
            let place = |file: &Path| {
                let stored = record.samples.iter().find(|sample| Path::new(&sample.file).file_name() == file.file_name())?;
                record.tray.containers.iter().position(|container| container.at == stored.container)
            };
            files.sort_by_key(|file| place(file).unwrap_or(usize::MAX));
        }
        Ok(Self { folder, record, files })
    }

    /// What whoever uses the export should know of the scan.
    fn warnings(&self) -> Vec<String> {
        let name = self.folder.display();
        match &self.record {
            None => vec![format!("{name} has no scan.json that can be read; whether the scan is complete is not known")],
            Some(record) => match (record.complete, &record.reason) {
                (Some(true), _) => Vec::new(),
                (None, _) => vec![format!("{name} was not closed, or still runs; the samples stored so far are exported")],
                (Some(false), reason) => {
                    vec![format!("{name} is incomplete: {}", reason.as_deref().unwrap_or("no reason is known"))]
                }
            },
        }
    }
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Files of samples that were read.
    pub samples: usize,
    /// Files and folders that are new in the target.
    pub paths: Vec<PathBuf>,
    /// What is doubtful about them.
    pub warnings: Vec<String>,
}

/// A hidden folder in the target, where files wait until all of them are complete.
struct Staging {
    out: PathBuf,
    folder: PathBuf,
    /// Whether the target was there before.
    old: bool,
}

impl Staging {
    fn create(out: &Path) -> Result<Self, ExportError> {
        let old = out.is_dir();
        fs::create_dir_all(out).map_err(failed(out, "created"))?;
        let folder = out.join(format!(".hyclus-export-{}", std::process::id()));
        fs::create_dir(&folder).map_err(failed(&folder, "created"))?;
        Ok(Self { out: out.into(), folder, old })
    }

    /// Moves what is in the folder to the target, in the order given.
    fn publish(self, names: &[String]) -> Result<Vec<PathBuf>, ExportError> {
        for name in names {
            absent(&self.out.join(name))?;
        }
        let mut paths = Vec::with_capacity(names.len());
        for name in names {
            let path = self.out.join(name);
            fs::rename(self.folder.join(name), &path).map_err(failed(&path, "renamed"))?;
            paths.push(path);
        }
        fs::File::open(&self.out).and_then(|folder| folder.sync_all()).map_err(failed(&self.out, "made durable"))?;
        Ok(paths)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left in it after a failure is of no use to anybody.
        let _ = fs::remove_dir_all(&self.folder);
        if !self.old {
            // Does nothing where something was written.
            let _ = fs::remove_dir(&self.out);
        }
    }
}

/// Refuses a path that is there.
fn absent(path: &Path) -> Result<(), ExportError> {
    if path.symlink_metadata().is_ok() { Err(ExportError::Exists { path: path.into() }) } else { Ok(()) }
}
