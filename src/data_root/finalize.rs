//! Completes the files of a scan that ends, also after the disk refused some.

use super::minerals;
use super::record::{self, RecordError};
use super::recovery;
use crate::disk::Hashes;
use crate::publish;
use crate::scan::ScanRecord;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

/// Notes every file of an ended scan, and writes its record.
///
/// `torn` says that the disk refused something before. Every recording is then cut off behind its last whole line first, and
/// unfinished files are removed. Lines that were received and are not in the recording are counted.
///
/// # Errors
/// The disk still refuses. The same call may be repeated later.
pub fn finalize(
    scan: &mut ScanRecord,
    data_dir: &Path,
    hashes: Option<Arc<Hashes>>,
    torn: bool,
    tick: &dyn Fn(),
) -> Result<(), RecordError> {
    if torn {
        truncate_torn(scan, data_dir, tick)?;
    }
    scan.count_pending(data_dir);
    scan.count_pending_minerals(data_dir);
    minerals::draw(scan, data_dir);
    let hashes = hashes.map_or_else(|| Hashes::start(1).map(Arc::new), Ok);
    let hashes = hashes.map_err(|error| RecordError { path: data_dir.to_owned(), error })?;
    scan.hash_files(data_dir, &hashes, tick)?;
    record::end(scan, data_dir)
}

fn truncate_torn(record: &mut ScanRecord, data_dir: &Path, tick: &dyn Fn()) -> Result<(), RecordError> {
    let folder = data_dir.join("scans").join(&record.id);
    for (camera, sums) in &mut record.cameras {
        let capture = folder.join("raw").join(camera).join("capture");
        let truncated = recovery::truncate_torn(&capture, &record.id, tick).map_err(|error| failed(&capture, error))?;
        if let Some(truncated) = truncated {
            sums.unrecorded = sums.received.saturating_sub(truncated.lines as u64);
            if sums.unrecorded > 0 {
                let warning = format!("{camera}: {} of its lines are not in the recording, because the disk refused them", sums.unrecorded);
                if !record.warnings.contains(&warning) {
                    record.warnings.push(warning);
                }
            }
        }
    }
    let wrap = |error| RecordError { path: folder.clone(), error };
    for below in [folder.clone(), folder.join("samples")] {
        let entries = match fs::read_dir(&below) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(wrap)?,
        };
        for entry in entries {
            let entry = entry.map_err(wrap)?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".part")) {
                fs::remove_file(entry.path()).map_err(wrap)?;
            }
        }
    }
    publish::clear_unfinished(data_dir, &record.id).map_err(|error| failed(data_dir, error))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> RecordError {
    RecordError { path: path.to_owned(), error: io::Error::other(error.to_string()) }
}
