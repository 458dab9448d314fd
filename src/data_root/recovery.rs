//! Recovers unfinished scans: the pipeline processes their raw recordings, and the scans are closed as incomplete.
//!
//! A scan's `scan.json` exists from the scan's beginning and says when the scan ended. A scan without that time was cut off. All its
//! files but the recording are made anew. Recovery itself may be cut off and repeated until `scan.json` says that the scan ended.

use super::catch_up::{CatchUpError, catch_up_all};
use super::minerals::catch_up_minerals;
use super::process::{Capture, Process, ProcessError};
use super::record::{self, CONFIGURATION, RecordError};
use crate::acquire;
use crate::config::{ConfigError, Loaded};
use crate::devices::references::forget_incomplete;
use crate::disk::{Hashes, check_folders, create_over, open_plain, remove_stale, sync_above, sync_folders};
use crate::publish::{self, PublishError};
use crate::scan::ScanRecord;
use nix::fcntl::{Flock, FlockArg};
use replay::capture::{CaptureError, LINES_HEADER, parse_records};
use replay::envi::Header;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lock file of a data root. The one writer holds it.
pub const LOCK: &str = ".lock";

/// A scan cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// Another process writes below the data root.
    #[error("{} is in use by another hyclusd or hyclus recover; a daemon recovers its scans by itself when it starts", path.display())]
    InUse {
        /// The data root.
        path: PathBuf,
    },
    /// The data root cannot be locked.
    #[error("{} cannot be locked: {error}; {}", path.display(), crate::disk::advice(error, "check its owner and the disk"))]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A file or folder cannot be read, changed or removed.
    #[error("{} cannot be {doing}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The attempted action, as a past participle.
        doing: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// The scan's own configuration is missing.
    #[error(
        "the configuration of {scan} (sha256 {wanted}) is not there any more; name one by --config, or process its recording with `hyclus process` and another one"
    )]
    NoConfiguration {
        /// The scan's id.
        scan: String,
        /// SHA-256 of its configuration.
        wanted: String,
    },
    /// The scan's own configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The program broke down over the recording.
    #[error("recovery broke down; this is a defect of hyclus, please report it with the log and the recording")]
    Broken,
    /// A recording makes no sense.
    #[error("{}: {reason}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// Published parts cannot be withdrawn.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The recording cannot be processed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Deferred embeddings cannot be made.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    /// `scan.json` cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> RecoveryError {
    let path = path.to_owned();
    move |error| RecoveryError::Io { path, doing, error }
}

/// A data root that this process alone writes to, as long as the value lives.
#[derive(Debug)]
pub struct DataRoot {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataRoot {
    /// Locks the data root and removes remains of scans.
    ///
    /// # Errors
    /// Another process holds the lock, the lock cannot be made, or remains of a scan cannot be removed.
    pub fn take(path: &Path) -> Result<Self, RecoveryError> {
        let file = path.join(LOCK);
        let wrap = |error| RecoveryError::Lock { path: file.clone(), error };
        let lock = open_plain(&file, File::options().write(true).create(true).truncate(false), 0).map_err(wrap)?;
        match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                let root = Self { path: path.to_owned(), _lock: lock };
                root.remove_remains()?;
                let references = path.join("references");
                forget_incomplete(&references).map_err(failed(&references, "cleared"))?;
                publish::clear_all_unfinished(path)?;
                // The folder may be new. With its name everything below it is lost.
                sync_above(path);
                Ok(root)
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(RecoveryError::InUse { path: path.to_owned() }),
            Err((_, error)) => Err(wrap(error.into())),
        }
    }

    /// Removes remains of a daemon that was cut off just after a scan ended, or just before one began.
    fn remove_remains(&self) -> Result<(), RecoveryError> {
        let Ok(folders) = fs::read_dir(self.path.join("scans")) else { return Ok(()) };
        for entry in folders.flatten() {
            let (folder, configuration) = (entry.path(), entry.path().join(CONFIGURATION));
            let record = entry.file_name().to_str().and_then(|id| record::one(&self.path, id));
            // A scan without a record has not begun. A recording would have a record.
            let begun = folder.join("scan.json").exists() || folder.join("raw").exists();
            if configuration.exists()
                && record.map_or(!begun, |record| record.ended.is_some() && !record.lacks() && record.set_aside.is_none())
            {
                fs::remove_file(&configuration).map_err(failed(&configuration, "removed"))?;
            }
            if !begun {
                let _ = fs::remove_file(folder.join(".scan.json.part"));
                // A folder with any other content stays.
                let _ = fs::remove_dir(&folder);
            }
        }
        Ok(())
    }

    /// Scans that did not finish, oldest first.
    pub fn unfinished(&self) -> Vec<ScanRecord> {
        record::all(&self.path).into_iter().filter(|record| record.ended.is_none()).collect()
    }

    /// Scans whose recovery failed, oldest first.
    pub fn set_aside(&self) -> Vec<ScanRecord> {
        record::all(&self.path).into_iter().filter(|record| record.set_aside.is_some()).collect()
    }

    /// Scans that have ended and lack embeddings or minerals, oldest first.
    pub fn pending(&self) -> Vec<ScanRecord> {
        record::all(&self.path).into_iter().filter(|record| record.ended.is_some() && record.lacks()).collect()
    }

    /// Makes what a scan lacks, with the configuration `loaded` or the scan's own. Gives its record, rows added, and samples identified.
    ///
    /// # Errors
    /// The encoder, the library or the data set still fails. The rest can be made later.
    pub fn catch_up(&self, mut scan: ScanRecord, loaded: Option<&Loaded>) -> Result<(ScanRecord, u64, u64), RecoveryError> {
        let own;
        let config = match loaded {
            Some(loaded) => &loaded.config,
            None => {
                own = configuration(&self.path.join("scans").join(&scan.id), &scan, None)?;
                &own.config
            }
        };
        let identified = catch_up_minerals(&mut scan, config, &self.path, &|| false);
        let rows = catch_up_all(&mut scan, config, &self.path)?;
        Ok((scan, rows, identified?))
    }

    /// Recovers an unfinished scan: truncates its torn recording, processes the rest, and closes the scan as incomplete.
    ///
    /// `loaded` replaces the scan's own configuration where that is missing. `tick` is called again and again.
    ///
    /// # Errors
    /// The recording cannot be processed. The scan is then set aside with the reason, and the same call may be repeated.
    pub fn recover(&self, mut scan: ScanRecord, loaded: Option<&Loaded>, tick: &dyn Fn()) -> Result<ScanRecord, RecoveryError> {
        (scan.ended, scan.complete, scan.reason, scan.set_aside) = (None, None, None, None);
        scan.files.clear();
        let attempt = AssertUnwindSafe(|| self.attempt(&mut scan, loaded, tick));
        let result = std::panic::catch_unwind(attempt).unwrap_or(Err(RecoveryError::Broken));
        result.inspect_err(|error| self.put_aside(scan, error, tick))
    }

    /// Closes a scan whose recovery failed. Its recording and its configuration stay as they are.
    fn put_aside(&self, mut scan: ScanRecord, error: &RecoveryError, tick: &dyn Fn()) {
        let mut close = || {
            // Results of half a recording would be taken for those of the whole. Without a configuration, nothing was made.
            if !matches!(error, RecoveryError::NoConfiguration { .. } | RecoveryError::Configuration(_)) {
                let folder = self.path.join("scans").join(&scan.id);
                check_folders(&folder, &self.path).map_err(failed(&folder, "used"))?;
                clear(&folder)?;
                publish::withdraw_all(&self.path, &scan.id)?;
            }
            scan.set_aside = Some(error.to_string());
            scan.close(Some(format!("the daemon was cut off in the middle of the scan, and its recording cannot be processed: {error}")));
            let hashes = Hashes::start(1).map_err(|error| RecordError { path: self.path.clone(), error })?;
            scan.hash_files(&self.path, &hashes, tick)?;
            scan.write(&self.path)?;
            Ok::<_, RecoveryError>(())
        };
        if let Err(error) = close() {
            tracing::error!(%error, "the scan cannot be set aside; the next start tries to recover it again");
        }
    }

    fn attempt(&self, scan: &mut ScanRecord, loaded: Option<&Loaded>, tick: &dyn Fn()) -> Result<ScanRecord, RecoveryError> {
        let folder = self.path.join("scans").join(&scan.id);
        let loaded = configuration(&folder, scan, loaded)?;
        check_folders(&folder, &self.path).map_err(failed(&folder, "used"))?;
        clear(&folder)?;
        publish::withdraw_all(&self.path, &scan.id)?;
        let reason = "the daemon was cut off in the middle of the scan; recovered from the raw recording".to_owned();
        let mut captures = Vec::new();
        let mut lines = 0;
        for camera in &loaded.config.camera {
            let path = folder.join("raw").join(&camera.name);
            check_folders(&path.join("capture"), &folder).map_err(failed(&path, "used"))?;
            if let Some(truncated) = truncate_torn(&path.join("capture"), &scan.id, tick)? {
                lines += truncated.lines;
                if let Some(torn) = truncated.torn {
                    scan.warnings.push(format!("{}: {torn}", camera.name));
                }
                captures.push(Capture { camera: camera.name.clone(), path });
            }
        }
        if lines == 0 {
            if !loaded.config.scan.record {
                scan.warnings.push("scan.record is off: what was scanned cannot be recovered".into());
            }
            scan.close(Some(format!("{reason}, which holds no line")));
            let hashes = Hashes::start(1).map_err(|error| RecordError { path: self.path.clone(), error })?;
            scan.hash_files(&self.path, &hashes, tick)?;
            record::end(scan, &self.path)?;
            return Ok(scan.clone());
        }
        let process = Process::resume(&loaded, scan.clone(), &captures, self.path.clone(), reason)?;
        while !process.wait(Duration::from_millis(200)) {
            tick();
        }
        Ok(process.finish()?)
    }
}

/// The configuration that a scan was made with.
fn configuration(folder: &Path, scan: &ScanRecord, loaded: Option<&Loaded>) -> Result<Loaded, RecoveryError> {
    let path = folder.join(CONFIGURATION);
    let stored = match contract::open_regular(&path).and_then(io::read_to_string) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&path, "read")(error)),
    };
    if let Some((from, text)) = stored.strip_prefix("# ").and_then(|stored| stored.split_once('\n')) {
        let loaded = Loaded::from_text(text.to_owned(), Path::new(from))?;
        if loaded.sha256 == scan.configuration_sha256 {
            return Ok(loaded);
        }
    }
    loaded
        .filter(|loaded| loaded.sha256 == scan.configuration_sha256)
        .cloned()
        .ok_or_else(|| RecoveryError::NoConfiguration { scan: scan.id.clone(), wanted: scan.configuration_sha256.clone() })
}

/// Removes everything of a scan but its recording, record and configuration.
pub(super) fn clear(folder: &Path) -> Result<(), RecoveryError> {
    for entry in fs::read_dir(folder).map_err(failed(folder, "read"))? {
        let entry = entry.map_err(failed(folder, "read"))?;
        if ["raw", "scan.json", CONFIGURATION].iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(failed(&path, "removed"))?;
    }
    Ok(())
}

/// A recording after its torn end was cut off.
pub(super) struct Truncated {
    /// Whole lines in the recording.
    pub(super) lines: usize,
    /// Description of the removed part, where there was one.
    pub(super) torn: Option<String>,
}

/// Cuts off a camera's recording behind its last whole line, which has both counts and a row in `lines.csv`. Counts that a power cut took
/// are known by their checksum.
///
/// Gives `None` where nothing was recorded yet. `tick` is called again and again.
///
/// # Errors
/// A file of the recording cannot be read, makes no sense, or cannot be written.
pub(super) fn truncate_torn(capture: &Path, name: &str, tick: &dyn Fn()) -> Result<Option<Truncated>, RecoveryError> {
    let with = |ending: &str| capture.join(format!("{name}.{ending}"));
    let (raw, table, hdr) = (with("raw"), with("lines.csv"), with("hdr"));
    let part = with("hdr.part");
    remove_stale(&part).map_err(failed(&part, "removed"))?;
    let checksums = acquire::checksums(&raw);
    if !hdr.exists() || !table.exists() {
        if checksums.exists() {
            fs::remove_file(&checksums).map_err(failed(&checksums, "removed"))?;
        }
        // Nothing was recorded yet. Zeros may stand where the table begins.
        if table.exists() {
            cut_table(&table, 0).map_err(failed(&table, "cut"))?;
        }
        return Ok(None);
    }
    let nonsense = |path: &Path, reason: String| RecoveryError::Recording { path: path.to_owned(), reason };
    let plain = |path: &Path| open_plain(path, File::options().read(true).write(true), 0);
    let text = plain(&hdr).and_then(io::read_to_string).map_err(failed(&hdr, "read"))?;
    let (mut header, _) = Header::parse(&text).map_err(|error| nonsense(&hdr, error.to_string()))?;
    let mut rows = Vec::new();
    plain(&table).and_then(|mut file| file.read_to_end(&mut rows)).map_err(failed(&table, "read"))?;
    let (rows, torn_row) = parse_records(&rows)
        .map_err(|(row, reason)| nonsense(&table, CaptureError::Row { path: table.clone(), row, reason }.to_string()))?;
    let elements = header.samples.checked_mul(header.bands).and_then(|elements| elements.checked_mul(header.data_type.bytes()));
    let line_bytes = elements.filter(|bytes| *bytes > 0).ok_or_else(|| nonsense(&hdr, "its lines have no size".into()))? as u64;
    let written = fs::metadata(&raw).map_err(failed(&raw, "read"))?.len();
    let intact = acquire::intact_bytes(&raw, tick).map_err(failed(&raw, "read"))?;
    let bytes = written.min(intact.unwrap_or(written));
    let counts = usize::try_from(bytes / line_bytes).unwrap_or(usize::MAX);
    let lines = rows.len().min(counts);

    let length = lines as u64 * line_bytes;
    if intact.is_some() {
        // A daemon that was killed left checksums that the kernel alone has. They are on the disk before what they cover.
        File::open(&checksums).and_then(|file| file.sync_all()).map_err(failed(&checksums, "written"))?;
    }
    cut_table(&table, lines).map_err(failed(&table, "cut"))?;
    let cut = || {
        let file = plain(&raw)?;
        if intact.is_some() {
            // What is left is on the disk now, and no longer fits its checksums once it is cut.
            file.sync_all()?;
            fs::remove_file(&checksums)?;
            sync_folders(capture, capture)?;
        }
        // The length is set even where it fits, because that releases space allocated ahead.
        file.set_len(length)?;
        file.sync_all()
    };
    cut().map_err(failed(&raw, "cut"))?;
    let gaps: Vec<(u64, u64)> = rows[..lines]
        .windows(2)
        .filter(|pair| pair[1].frame > pair[0].frame + 1)
        .map(|pair| (pair[0].frame + 1, pair[1].frame - pair[0].frame - 1))
        .collect();
    (header.lines, header.errors) = (lines, acquire::errors(&gaps));
    let write = || {
        let mut file = create_over(&part)?;
        header.write(&mut file)?;
        file.sync_all()?;
        fs::rename(&part, &hdr)
    };
    write().map_err(failed(&hdr, "written"))?;

    let (without_row, without_counts) = (counts - lines, rows.len() - lines + usize::from(torn_row));
    let part_of_line = usize::from(!bytes.is_multiple_of(line_bytes) || bytes < written);
    let torn = without_row + without_counts + part_of_line > 0;
    let torn = torn.then(|| {
        format!(
            "the end of the recording was torn: {} line(s) without a row in lines.csv and {without_counts} row(s) without counts were cut off",
            without_row + part_of_line
        )
    });
    Ok(Some(Truncated { lines, torn }))
}

/// Cuts off a table of lines behind `rows` rows.
fn cut_table(path: &Path, rows: usize) -> io::Result<()> {
    let mut file = open_plain(path, File::options().read(true).append(true), 0)?;
    let mut written = Vec::new();
    file.read_to_end(&mut written)?;
    let bytes = written.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let end = ends.nth(rows);
    if let Some(end) = end {
        if end < written.len() {
            file.set_len(end as u64)?;
        }
    } else {
        // The last row lacks its line end, or not even the header is whole.
        file.set_len(if rows == 0 { 0 } else { bytes.len() as u64 })?;
        file.write_all(if rows == 0 { LINES_HEADER.as_bytes() } else { b"" })?;
        file.write_all(b"\n")?;
    }
    // A daemon that was killed left rows that the kernel alone has.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording of `lines` lines of 2 bands x 3 pixels, with frames 4 and 5 lost.
    fn recording(lines: usize, rows: usize, end: &[u8], beyond: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut table = format!("{LINES_HEADER}\n").into_bytes();
        for row in 0..rows {
            let frame = if row < 4 { row } else { row + 2 };
            table.extend(format!("{row},{frame},{},{:?},ok\n", row * 1000, row as f64 * 0.5).bytes());
        }
        table.extend(end);
        fs::write(folder.path().join("s.lines.csv"), table).unwrap();
        fs::write(folder.path().join("s.raw"), vec![7_u8; lines * 12 + beyond]).unwrap();
        let header = Header::new(3, 0, 2, replay::envi::DataType::U16, replay::envi::Interleave::Bil);
        let mut text = Vec::new();
        header.write(&mut text).unwrap();
        fs::write(folder.path().join("s.hdr"), text).unwrap();
        folder
    }

    /// Truncates, checks that the recording can be opened, and gives its lines and the torn part.
    fn truncated(folder: &tempfile::TempDir) -> (usize, Option<String>) {
        let Truncated { lines, torn } = truncate_torn(folder.path(), "s", &|| {}).unwrap().unwrap();
        let capture = replay::capture::Capture::open(&folder.path().join("s.hdr")).unwrap();
        assert_eq!((capture.lines(), capture.image.header().lines, capture.torn_rows), (lines, lines, 0));
        let again = truncate_torn(folder.path(), "s", &|| {}).unwrap().unwrap();
        assert_eq!((again.lines, again.torn), (lines, None), "truncated twice");
        (lines, torn)
    }

    #[test]
    fn a_recording_ends_with_its_last_whole_line() {
        for (what, lines, rows, end, beyond, left, said) in [
            ("whole", 8, 8, &b""[..], 0, 8, None),
            ("counts without rows", 9, 8, b"", 0, 8, Some("1 line(s) without a row")),
            ("half a line", 8, 8, b"", 5, 8, Some("1 line(s) without a row")),
            ("rows without counts", 6, 8, b"", 0, 6, Some("2 row(s) without counts")),
            ("half a row", 9, 8, b"8,10,80", 0, 8, Some("1 row(s) without counts")),
            ("a row without its end", 9, 8, b"8,10,8000,4.0,ok", 0, 9, None),
            ("zeros", 8, 8, &[0; 40], 0, 8, Some("1 row(s) without counts")),
            ("zeros before a row", 10, 8, b"8,10,8000\0\0\0\0\0\0\09,11,9000,4.5,ok\n", 0, 8, Some("2 line(s) without a row")),
            ("nothing", 0, 0, b"", 0, 0, None),
        ] {
            let folder = recording(lines, rows, end, beyond);
            let (found, torn) = truncated(&folder);
            assert_eq!(found, left, "{what}");
            assert!(torn.is_some() == said.is_some() && said.is_none_or(|said| torn.as_ref().unwrap().contains(said)), "{what}: {torn:?}");
            let errors = replay::envi::Image::open(&folder.path().join("s.hdr")).unwrap().0.header().errors.clone();
            assert_eq!(errors.as_deref(), (left > 4).then_some("2 lines lost; frames 4-5"), "{what}");
        }
        let folder = recording(0, 0, b"", 0);
        fs::write(folder.path().join("s.lines.csv"), "line,fra").unwrap();
        assert_eq!(truncated(&folder).0, 0);
        fs::remove_file(folder.path().join("s.lines.csv")).unwrap();
        assert!(truncate_torn(folder.path(), "s", &|| {}).unwrap().is_none());
    }

    #[test]
    fn room_that_was_asked_for_ahead_is_given_back() {
        use nix::fcntl::{FallocateFlags, fallocate};
        use std::os::unix::fs::MetadataExt;
        let folder = recording(8, 8, b"", 0);
        let raw = folder.path().join("s.raw");
        let file = File::options().write(true).open(&raw).unwrap();
        if fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, 1 << 20).is_err() {
            return;
        }
        let held = || fs::metadata(&raw).unwrap().blocks() * 512;
        assert!(held() >= 1 << 20);
        assert_eq!(truncated(&folder), (8, None));
        assert!(held() < 1 << 16, "{} bytes are held for {}", held(), 8 * 12);
    }

    #[test]
    fn a_row_that_makes_no_sense_is_told_and_nothing_is_cut() {
        let folder = recording(8, 8, b"8,nine,8000,4.0,ok\n9,12,9000,4.5,ok\n", 24);
        let before = fs::read(folder.path().join("s.lines.csv")).unwrap();
        let Err(error) = truncate_torn(folder.path(), "s", &|| {}) else { panic!("it was truncated") };
        assert!(error.to_string().contains("s.lines.csv:10"), "{error}");
        assert_eq!(before, fs::read(folder.path().join("s.lines.csv")).unwrap());
        assert_eq!(fs::metadata(folder.path().join("s.raw")).unwrap().len(), 10 * 12);
    }

    #[test]
    fn a_data_root_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataRoot::take(folder.path()).unwrap();
        assert!(matches!(DataRoot::take(folder.path()), Err(RecoveryError::InUse { .. })));
        drop(first);
        DataRoot::take(folder.path()).unwrap();
    }
}
