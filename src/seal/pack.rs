//! A sealed scan as one file.

use super::error::{SealError, failed};
use super::files::SealedFile;
use super::{METADATA, PUBLIC_KEY, PublicKey, SIGNATURE, metadata, record_path, sealed_scan};
use crate::data_root::Damage;
use crate::disk::{create_over, folder_of, free_bytes, sync_folders};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A pack that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The zip file.
    pub path: PathBuf,
    /// Number of sealed files in it.
    pub files: usize,
    /// Its size, bytes.
    pub bytes: u64,
}

/// Bytes of an entry beside its content and its name, at most: both headers, with their sizes of 64 bits.
const ENTRY_BYTES: u64 = 256;

/// Packs the sealed scan `id` into a new zip file. `tick` is called again and again.
///
/// Each file is verified while it is copied. The pack appears under its name when it is whole. Files are stored as they are, because cubes
/// and parts are compressed already. The same sealed scan gives the same bytes.
///
/// # Errors
/// The scan is not sealed, or not as it was sealed; something has the name of the pack; or the disk refuses.
pub fn pack(id: &str, data_dir: &Path, out: &Path, trusted: Option<&PublicKey>, tick: &dyn Fn()) -> Result<Packed, SealError> {
    let (scan, seal) = sealed_scan(id, data_dir)?;
    let damaged = |damages: Vec<Damage>| SealError::Damaged { scan: id.to_owned(), damages };
    let broken = |problem: String| damaged(vec![seal.broken(data_dir, problem)]);
    seal.signed(trusted).map_err(broken)?;
    let files = metadata::files(&seal.metadata, id).map_err(broken)?;
    if let Some(path) = files.keys().find(|path| scan.away(path) && !data_dir.join(path).exists()) {
        return Err(SealError::Away { scan: id.to_owned(), path: path.clone() });
    }
    if out.symlink_metadata().is_ok() {
        return Err(SealError::Exists { path: out.into() });
    }
    let folder = folder_of(out);
    let names: u64 = files.keys().map(|path| 2 * path.len() as u64 + ENTRY_BYTES).sum();
    let bytes = files.values().map(|file| file.bytes).sum::<u64>() + names + seal.metadata.len() as u64;
    let free = free_bytes(folder).map_err(failed(folder, "looked at"))?;
    if bytes > free {
        return Err(SealError::Full { path: folder.into(), bytes, free });
    }
    let part = Part::create(out)?;
    let options = options(&scan.started);
    let refused: Refused = Refused::default();
    let mut zip =
        ZipWriter::new(Guarded { file: BufWriter::with_capacity(1 << 20, &part.file), refused: Rc::clone(&refused), at: 0, end: 0 });
    let written = || refused.take().map_or(Ok(()), |error| Err(failed(out, "written")(error)));
    let told = |error: zip::result::ZipError| failed(out, "written")(error.into());
    // Readers of a repository look at the metadata first.
    for name in [METADATA, SIGNATURE, PUBLIC_KEY] {
        zip.start_file(name, options).map_err(told)?;
        SealedFile::copy(&seal.folder, name, &mut zip, tick)?;
        written()?;
    }
    for (path, wanted) in &files {
        zip.start_file(path.as_str(), options).map_err(told)?;
        // The record goes in as it was sealed.
        let unpacked = seal.folder == data_dir;
        let (folder, name) =
            if *path == record_path(id) && !unpacked { (seal.folder.as_path(), super::RECORD) } else { (data_dir, path.as_str()) };
        let found = SealedFile::copy(folder, name, &mut zip, tick)?;
        written()?;
        if let Some(damage) = wanted.differs(&SealedFile { path: path.clone(), ..found }) {
            return Err(damaged(vec![damage]));
        }
    }
    zip.finish().map_err(told)?.flush().map_err(failed(out, "written"))?;
    written()?;
    let bytes = part.publish(out)?;
    Ok(Packed { path: out.into(), files: files.len(), bytes })
}

/// The attributes of every file in the pack: stored as it is, with the time at which the scan began.
fn options(started: &str) -> SimpleFileOptions {
    let time = started.parse::<jiff::Timestamp>().map(|time| jiff::tz::Offset::UTC.to_datetime(time)).ok();
    let time = time.and_then(|time| {
        let of = |number: i8| u8::try_from(number).unwrap_or(0);
        let year = u16::try_from(time.year()).ok()?;
        DateTime::from_date_and_time(year, of(time.month()), of(time.day()), of(time.hour()), of(time.minute()), of(time.second())).ok()
    });
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true)
        .unix_permissions(0o644)
        .last_modified_time(time.unwrap_or_default())
}

/// The pack while it grows. It is removed unless it is published.
struct Part {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Part {
    fn create(out: &Path) -> Result<Self, SealError> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let path = out.with_file_name(format!(".{name}.part"));
        let file = create_over(&path).map_err(failed(&path, "created"))?;
        Ok(Self { path, file, published: false })
    }

    /// Gives the pack its name. Gives its size, bytes.
    fn publish(mut self, out: &Path) -> Result<u64, SealError> {
        self.file.sync_all().map_err(failed(out, "written"))?;
        let bytes = self.file.metadata().map_err(failed(out, "written"))?.len();
        if out.symlink_metadata().is_ok() {
            return Err(SealError::Exists { path: out.into() });
        }
        fs::rename(&self.path, out).map_err(failed(out, "renamed"))?;
        self.published = true;
        sync_folders(folder_of(out), folder_of(out)).map_err(failed(out, "made durable"))?;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the part of a pack stays; remove it");
        }
    }
}

/// The first error of a file.
type Refused = Rc<Cell<Option<io::Error>>>;

/// A file that keeps its first error and takes no byte after it. The library that writes the zip file ends it whatever happened. So the
/// places go on as if every byte had been written.
struct Guarded<'a> {
    file: BufWriter<&'a File>,
    refused: Refused,
    /// Place of the next byte, and the length of the file.
    at: u64,
    end: u64,
}

impl Guarded<'_> {
    fn guard(&mut self, act: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) {
        let error = self.refused.take().or_else(|| act(&mut self.file).err());
        self.refused.set(error);
    }
}

impl Write for Guarded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.guard(|file| file.write_all(bytes));
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.guard(|file| file.flush());
        Ok(())
    }
}

impl Seek for Guarded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        if place != self.at {
            self.guard(|file| file.seek(SeekFrom::Start(place)).map(drop));
            self.at = place;
        }
        Ok(place)
    }
}
