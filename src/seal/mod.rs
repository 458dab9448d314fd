//! Proof of a scan for others: its files, listed with their hashes in the form of RO-Crate 1.1, and signed.
//!
//! The seal of a scan lies in `seals/{scan}` of the data root. `ro-crate-metadata.json` lists every file with its SHA-256. It is signed by
//! Ed25519 in the format of minisign, so that others verify it without this program. `scan.json` lies beside it as it was sealed, because
//! the daemon goes on noting there where the scan is archived. A pack is a zip file of the sealed files, and a data root when unpacked.

mod carry;
mod error;
mod files;
mod key;
mod metadata;
mod pack;

pub use carry::CarriedSeal;
pub use error::SealError;
pub use key::{PublicKey, SealKey, new_key};
pub use metadata::{About, address, user};
pub use pack::{Packed, pack};

use crate::data_root::{Damage, record};
use crate::scan::{ScanRecord, iso, now_ns};
use error::failed;
use files::{Listed, SealedFile};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the metadata, as RO-Crate 1.1 has it.
const METADATA: &str = "ro-crate-metadata.json";
/// Name of the signature of the metadata, as minisign expects it.
const SIGNATURE: &str = "ro-crate-metadata.json.minisig";
/// Name of the public key beside them.
const PUBLIC_KEY: &str = "seal.pub";
/// Name of the record as it was sealed.
const RECORD: &str = "scan.json";
/// Most bytes of the metadata that are read.
const MOST_BYTES: u64 = 256 << 20;

/// A seal that was made or verified.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sealed {
    /// The scan's id.
    pub scan: String,
    /// ID of the key that signed it, as minisign shows it.
    pub key: String,
    /// Number of sealed files.
    pub files: usize,
    /// Their size, bytes.
    pub bytes: u64,
    /// What the signature says of itself: the scan, the time and the person. Signed, too.
    pub comment: String,
    /// The folder of the seal.
    pub folder: PathBuf,
}

/// Seals an ended scan. A seal that it has is replaced. `tick` is called again and again.
///
/// Every file is compared with `scan.json` first, so that no damage is sealed.
///
/// # Errors
/// The scan runs, lacks something or is damaged, files lie in an archive alone, or the disk refuses.
pub fn seal(scan: &ScanRecord, data_dir: &Path, key: &SealKey, about: &About, tick: &dyn Fn()) -> Result<Sealed, SealError> {
    if scan.ended.is_none() {
        return Err(SealError::Runs { scan: scan.id.clone() });
    }
    if scan.lacks() {
        return Err(SealError::Lacks { scan: scan.id.clone() });
    }
    if let Some(file) = scan.files.iter().find(|file| scan.away(&file.path) && !data_dir.join(&file.path).exists()) {
        return Err(SealError::Away { scan: scan.id.clone(), path: file.path.clone() });
    }
    let damages = crate::data_root::verify(scan, data_dir, tick)?;
    if !damages.is_empty() {
        return Err(SealError::Damaged { scan: scan.id.clone(), damages });
    }
    let record = record_text(scan, data_dir)?;
    let mut listed = Vec::with_capacity(scan.files.len() + 1);
    listed.push(SealedFile::of_text(record_path(&scan.id), &record));
    for file in &scan.files {
        listed.push(SealedFile::read(data_dir, &file.path, tick)?);
    }
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    let (time, by) = (iso(now_ns()), crate::terminal::plain(&about.by));
    let metadata = metadata::text(scan, &listed, data_dir, about, &time)?;
    let comment = format!("scan:{} time:{time} by:{by}", scan.id);
    let signature = key.sign(metadata.as_bytes(), &comment)?;
    CarriedSeal::new(&scan.id, [record, key.public()?, metadata, signature])?.write(&scan.id, data_dir)?;
    let folder = folder(data_dir, &scan.id);
    let bytes = listed.iter().map(|file| file.bytes).sum();
    Ok(Sealed { scan: scan.id.clone(), key: key.id(), files: listed.len(), bytes, comment, folder })
}

/// Verifies the seal of a scan. `None` where it has none.
///
/// `trusted` is the key that must have signed it. Without it, the key that lies beside the seal is used: this shows that the seal is whole,
/// and not who made it. Files that only an archive holds are passed over. `tick` is called again and again.
///
/// # Errors
/// A file cannot be read.
pub fn verify(
    scan: &ScanRecord,
    data_dir: &Path,
    trusted: Option<&PublicKey>,
    tick: &dyn Fn(),
) -> Result<Option<(Sealed, Vec<Damage>)>, SealError> {
    let Some(seal) = Seal::read(&scan.id, data_dir)? else { return Ok(None) };
    let sealed = |key: String, comment: String, files: &Listed| {
        let bytes = files.values().map(|file| file.bytes).sum();
        Sealed { scan: scan.id.clone(), key, files: files.len(), bytes, comment, folder: seal.folder.clone() }
    };
    let (key, comment) = match seal.signed(trusted) {
        Ok(signed) => signed,
        Err(problem) => return Ok(Some((sealed(String::new(), String::new(), &Listed::new()), vec![seal.broken(data_dir, problem)]))),
    };
    let files = match metadata::files(&seal.metadata, &scan.id) {
        Ok(files) => files,
        Err(problem) => return Ok(Some((sealed(key, comment, &Listed::new()), vec![seal.broken(data_dir, problem)]))),
    };
    let mut damages = Vec::new();
    for (path, wanted) in &files {
        if *path == record_path(&scan.id) {
            damages.extend(seal.record_damage(scan, wanted, data_dir, tick)?);
        } else if !scan.away(path) || data_dir.join(path).exists() {
            damages.extend(wanted.damage(data_dir, tick)?);
        }
    }
    let unsealed = scan.files.iter().filter(|file| !files.contains_key(&file.path));
    damages.extend(unsealed.map(|file| Damage::Unsealed { path: file.path.clone() }));
    Ok(Some((sealed(key, comment, &files), damages)))
}

/// Changes when a scan is sealed. Empty where it has no seal.
pub fn stamp(scan: &str, data_dir: &Path) -> String {
    let modified = fs::symlink_metadata(folder(data_dir, scan).join(SIGNATURE)).and_then(|about| about.modified());
    modified.map(|time| jiff::Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default()).unwrap_or_default()
}

/// The seal of a scan as it lies on the disk.
struct Seal {
    folder: PathBuf,
    metadata: String,
}

impl Seal {
    /// The seal in `seals/{scan}`, or that of an unpacked scan. `None` where there is none.
    fn read(id: &str, data_dir: &Path) -> Result<Option<Self>, SealError> {
        for folder in [folder(data_dir, id), data_dir.to_owned()] {
            let path = folder.join(METADATA);
            match contract::read_regular_text(&path, MOST_BYTES) {
                // What lies in the data root itself may be the seal of another scan.
                Ok(metadata) if folder != data_dir || metadata::is_of(&metadata, id) => return Ok(Some(Self { folder, metadata })),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path, "read")(error)),
            }
        }
        Ok(None)
    }

    /// The ID of the key that signed the metadata, and the signed comment.
    fn signed(&self, trusted: Option<&PublicKey>) -> Result<(String, String), String> {
        let told = |name: &str, error: &dyn std::fmt::Display| format!("{name} beside it cannot be used: {error}");
        let beside = PublicKey::read(&self.folder.join(PUBLIC_KEY)).map_err(|error| told(PUBLIC_KEY, &error))?;
        let signature = contract::read_regular_text(&self.folder.join(SIGNATURE), 1 << 20).map_err(|error| told(SIGNATURE, &error))?;
        let key = trusted.unwrap_or(&beside);
        key.verify(self.metadata.as_bytes(), &signature).map(|comment| (key.id(), comment))
    }

    /// The record as it was sealed: that of the seal, or the scan's own in an unpacked scan.
    fn record(&self, data_dir: &Path, id: &str) -> PathBuf {
        if self.folder == data_dir { data_dir.join(record_path(id)) } else { self.folder.join(RECORD) }
    }

    /// What is wrong with the record: its sealed copy was altered, or the scan has another one today. Where the scan is archived is not
    /// sealed.
    fn record_damage(&self, scan: &ScanRecord, wanted: &SealedFile, data_dir: &Path, tick: &dyn Fn()) -> Result<Vec<Damage>, SealError> {
        let path = self.record(data_dir, &scan.id);
        let copy = SealedFile { path: relative(&path, data_dir), ..wanted.clone() };
        let mut damages: Vec<_> = copy.damage(data_dir, tick)?.into_iter().collect();
        if scan.archived.is_none() {
            if copy.path != wanted.path {
                damages.extend(wanted.damage(data_dir, tick)?);
            }
        } else if damages.is_empty() {
            let text = contract::read_regular_text(&path, ScanRecord::MOST_BYTES).map_err(failed(&path, "read"))?;
            let now = ScanRecord { archived: None, ..scan.clone() };
            if !ScanRecord::parse(&text, &path).is_ok_and(|sealed| ScanRecord { archived: None, ..sealed } == now) {
                let problem = "it changed since it was sealed; seal the scan again if that was meant".into();
                damages.push(Damage::Seal { path: wanted.path.clone(), problem });
            }
        }
        Ok(damages)
    }

    /// Damage of the metadata, or of what vouches for it.
    fn broken(&self, data_dir: &Path, problem: String) -> Damage {
        Damage::Seal { path: relative(&self.folder.join(METADATA), data_dir), problem }
    }
}

/// A path as damages name it: relative to the data root.
fn relative(path: &Path, data_dir: &Path) -> String {
    path.strip_prefix(data_dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// The folder of a scan's seal.
fn folder(data_dir: &Path, id: &str) -> PathBuf {
    data_dir.join("seals").join(id)
}

/// Path of a scan's record, relative to the data root.
fn record_path(id: &str) -> String {
    format!("scans/{id}/{RECORD}")
}

/// The record as it is sealed: the text on the disk, without the note of an archive.
fn record_text(scan: &ScanRecord, data_dir: &Path) -> Result<String, SealError> {
    let path = data_dir.join(record_path(&scan.id));
    if scan.archived.is_none() {
        return contract::read_regular_text(&path, ScanRecord::MOST_BYTES).map_err(failed(&path, "read"));
    }
    let sealed = ScanRecord { archived: None, ..scan.clone() };
    let text = serde_json::to_string_pretty(&sealed).map_err(|error| failed(&path, "written")(error.into()))?;
    Ok(text + "\n")
}

/// The scan with an id, and its seal. For those that need both.
///
/// # Errors
/// There is no such scan, or it has no seal.
fn sealed_scan(id: &str, data_dir: &Path) -> Result<(ScanRecord, Seal), SealError> {
    let scan = record(data_dir, id).ok_or_else(|| SealError::NoScan { scan: id.to_owned(), data: data_dir.to_owned() })?;
    let seal = Seal::read(id, data_dir)?.ok_or_else(|| SealError::NoSeal { scan: id.to_owned() })?;
    Ok((scan, seal))
}

#[cfg(test)]
mod tests;
