//! Brings a scan back from the archive, verified.

use crate::failure::{Failure, Trouble};
use crate::hash::Hasher;
use crate::layout::{Layout, RECORD};
use crate::object::Reading;
use crate::place::Place;
use crate::scan::read_record;
use hyclus::scan::{Digest, FileRecord, ScanRecord};
use object_store::path::Path;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path as FilePath, PathBuf};

/// What was brought back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fetched {
    /// The record.
    pub(crate) record: ScanRecord,
    /// Revision in the archive.
    pub(crate) revision: u32,
    /// Files that were fetched, and their bytes.
    pub(crate) files: usize,
    /// See [`Self::files`].
    pub(crate) bytes: u64,
    /// Files that were here already.
    pub(crate) here: usize,
    /// Raw recordings that were never shipped.
    pub(crate) never_shipped: usize,
    /// Whether its seal was fetched. One that is here stays.
    pub(crate) seal: bool,
    /// Why a seal that the archive has was not fetched.
    pub(crate) no_seal: Option<String>,
}

/// Fetches a scan of a rig into a data root. `each` is called for every file.
///
/// Files that are here with the right hash stay. Each other one gets its name when it is whole and verified. The record comes after
/// them, where there is none, and then the seal.
///
/// # Errors
/// The archive has no such scan or fails, an object is missing or altered, or the disk does not take a file.
pub(crate) async fn fetch(
    place: &Place,
    rig: &str,
    scan: &str,
    data_dir: &FilePath,
    each: &dyn Fn(&FileRecord),
) -> Result<Fetched, Failure> {
    let layout = Layout::new(rig, scan);
    let held = place.list(&layout).await?;
    let revision = held.whole().ok_or_else(|| match held.withdrawn() {
        true => Failure::scan(format!("{} has withdrawn {scan}", place.name())),
        false => Failure::scan(format!("{} has no scan {scan} of a rig {rig}; `hyclus-archive scans` lists what it has", place.name())),
    })?;
    let (record, text) = read_record(place, &layout, revision).await?;
    let mut fetched = Fetched { record, revision, files: 0, bytes: 0, here: 0, never_shipped: 0, seal: false, no_seal: None };
    for file in &fetched.record.files.clone() {
        let name =
            layout.name(&file.path).ok_or_else(|| Failure::scan(format!("{} in the record of {scan} is no file of it", file.path)))?;
        let path = data_dir.join(&file.path);
        if matches(&path, file) {
            fetched.here += 1;
            continue;
        }
        let Some((holder, _)) = held.holder(revision, &name) else {
            if name.starts_with("raw/") {
                fetched.never_shipped += 1;
                continue;
            }
            return Err(Failure::scan(format!("{} lacks {name} of {scan}; `hyclus-archive verify` tells of all damage", place.name())));
        };
        each(file);
        bring(place, &layout.object(holder, &name), file, &path).await?;
        fetched.files += 1;
        fetched.bytes += file.bytes;
    }
    let path = data_dir.join("scans").join(scan).join(RECORD);
    if !path.exists() {
        let part = hidden(&path);
        let written = (|| {
            fs::create_dir_all(path.parent().unwrap_or(data_dir))?;
            let mut file = File::create(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)
        })();
        written.map_err(|error| Failure::scan(format!("{}: {error}", path.display())))?;
    }
    if hyclus::seal::stamp(scan, data_dir).is_empty() {
        match crate::seal::read(place, &layout, &held, scan).await {
            Ok(None) => {}
            Ok(Some(seal)) => {
                seal.write(scan, data_dir).map_err(|error| Failure::scan(error.to_string()))?;
                fetched.seal = true;
            }
            Err(failure) if failure.trouble == Trouble::Archive => return Err(failure),
            // The scan is whole all the same.
            Err(failure) => fetched.no_seal = Some(failure.message),
        }
    }
    Ok(fetched)
}

/// The name of a file that is not whole yet.
fn hidden(path: &FilePath) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// Whether a file is here as its record says.
fn matches(path: &FilePath, file: &FileRecord) -> bool {
    let hashed = || -> std::io::Result<Digest> {
        let (mut source, mut hasher, mut block) = (contract::open_regular(path)?, Hasher::like(&file.hash), vec![0; 1 << 20]);
        loop {
            match source.read(&mut block)? {
                0 => return Ok(hasher.end()),
                bytes => hasher.add(&block[..bytes]),
            }
        }
    };
    fs::metadata(path).is_ok_and(|about| about.len() == file.bytes) && hashed().is_ok_and(|found| found == file.hash)
}

/// Fetches one file.
async fn bring(place: &Place, object: &Path, file: &FileRecord, path: &FilePath) -> Result<(), Failure> {
    let disk = |error: &dyn std::fmt::Display| Failure::scan(format!("{}: {error}", path.display()));
    let part = hidden(path);
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(|error| disk(&error))?;
    let mut out = File::create(&part).map_err(|error| disk(&error))?;
    let mut copy = async || {
        let mut hasher = Hasher::like(&file.hash);
        if let Some(mut reading) = Reading::open(place, object, file.bytes).await? {
            while let Some(piece) = reading.next(None).await? {
                hasher.add(&piece);
                out.write_all(&piece).map_err(|error| disk(&error))?;
            }
            if hasher.end() == file.hash {
                return out.sync_all().and_then(|()| fs::rename(&part, path)).map_err(|error| disk(&error));
            }
        }
        Err(Failure::scan(format!("{}: {object} is not what the record of the scan says; nothing of it is kept", place.name())))
    };
    let checked = copy().await;
    if checked.is_err() {
        // It is not whole, so nobody misses it.
        let _ = fs::remove_file(&part);
    }
    checked
}
