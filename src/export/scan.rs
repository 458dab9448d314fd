//! Scans whose samples are exported.

use super::error::{ExportError, failed};
use crate::scan::{ParseError, ScanRecord, is_name, is_scan_id};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A scan whose samples are exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Its folder.
    pub folder: PathBuf,
    /// Its `scan.json`. None where it cannot be read.
    pub record: Option<ScanRecord>,
    /// The complete files of its samples, in the order of their containers on the tray, or by name where there is no record.
    pub files: Vec<PathBuf>,
}

impl Scan {
    /// Finds several scans as [`Self::find`] does.
    ///
    /// # Errors
    /// As [`Self::find`], or [`ExportError::Twice`].
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
    pub(super) fn id(&self) -> String {
        let folder = || self.folder.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
        self.record.as_ref().map(|record| record.id.clone()).filter(|id| is_scan_id(id)).or_else(folder).unwrap_or_default()
    }

    /// Finds a scan by its id below the data root, or by the path of its folder.
    ///
    /// # Errors
    /// [`ExportError::UnknownScan`] with the scans there are, [`ExportError::NoSamples`], [`ExportError::Newer`], or a folder cannot be
    /// read.
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
        let file = folder.join("scan.json");
        let record = match contract::read_regular_text(&file, ScanRecord::MOST_BYTES).map(|text| ScanRecord::parse(&text, &file)) {
            Ok(Err(ParseError::Newer(newer))) => return Err(newer.into()),
            Ok(Ok(record)) => Some(record),
            _ => None,
        };
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
            // Files that the record does not know come last.
            let place = |file: &Path| {
                let stored = record.samples.iter().find(|sample| Path::new(&sample.file).file_name() == file.file_name())?;
                record.tray.containers.iter().position(|container| container.at == stored.container)
            };
            files.sort_by_key(|file| place(file).unwrap_or(usize::MAX));
        }
        Ok(Self { folder, record, files })
    }

    /// Whether the scan is known to have no valid pixel in any sample.
    pub fn is_void(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.samples.iter().all(|sample| sample.valid == 0))
    }

    /// What a user of the export should know of the scan.
    pub(super) fn warnings(&self) -> Vec<String> {
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
