//! Recordings of references: the newest good one of each camera and kind is kept, and linked into the scans that use it.

use crate::acquire::{RecordingError, RecordingSettings};
use crate::calibrate::{Accumulator, Reference};
use crate::devices::{CameraUnit, Held};
use crate::scan::{ReferenceKind, iso, now_ns};
use contract::{CameraError, FramePool, LineCamera, Received, Subject};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The recording of a reference: counts as the camera gave them.
pub(super) struct ReferenceRecording {
    stem: PathBuf,
    raw: BufWriter<File>,
}

impl ReferenceRecording {
    pub(super) fn create(folder: &Path, kind: ReferenceKind) -> Result<Self, RecordingError> {
        let stem = folder.join(format!("{}-{}", word(kind), now_ns()));
        let wrap = |error| RecordingError { path: stem.with_extension("raw"), error };
        std::fs::create_dir_all(folder).map_err(wrap)?;
        forget_unfinished(folder, kind).map_err(wrap)?;
        let raw = File::create_new(stem.with_extension("raw.part")).map_err(wrap)?;
        Ok(Self { raw: BufWriter::with_capacity(1 << 20, raw), stem })
    }

    pub(super) fn append(&mut self, counts: &[u8]) -> Result<(), RecordingError> {
        self.raw.write_all(counts).map_err(|error| RecordingError { path: self.stem.with_extension("raw"), error })
    }

    pub(super) fn finish(mut self, settings: &RecordingSettings, reference: &Reference) -> Result<PathBuf, RecordingError> {
        let (raw, hdr) = (self.stem.with_extension("raw"), self.stem.with_extension("hdr"));
        let wrap = |path: &Path| {
            let path = path.to_owned();
            move |error| RecordingError { path, error }
        };
        // Scans that were cut off are processed with it.
        self.raw.flush().and_then(|()| self.raw.get_ref().sync_all()).map_err(wrap(&raw))?;
        let mut text = crate::acquire::header(settings, u64::from(reference.frames), &[]);
        // As Lumo dates its recordings.
        let taken = iso(reference.taken_ns);
        let (date, time) = taken.split_once('T').unwrap_or((&taken, ""));
        text.other.push(("acquisition date".into(), format!("DATE(yyyy-mm-dd): {date}")));
        text.other.push(("start time".into(), format!("UTC TIME: {}", time.get(..8).unwrap_or(time))));
        let mut header = BufWriter::new(File::create(&hdr).map_err(wrap(&hdr))?);
        text.write(&mut header).and_then(|()| header.flush()).and_then(|()| header.get_ref().sync_all()).map_err(wrap(&hdr))?;
        std::fs::rename(self.stem.with_extension("raw.part"), &raw).map_err(wrap(&raw))?;
        let folder = raw.parent().unwrap_or(Path::new("."));
        crate::disk::sync_folders(folder, folder).map_err(wrap(&raw))?;
        Ok(self.stem.clone())
    }
}

impl Drop for ReferenceRecording {
    /// A reference that was refused or stopped leaves nothing behind; one that was finished has no such file any more.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.stem.with_extension("raw.part"));
        if !self.stem.with_extension("raw").exists() {
            let _ = std::fs::remove_file(self.stem.with_extension("hdr"));
        }
    }
}

/// Removes what a disk that refused everything has left.
fn forget_unfinished(folder: &Path, kind: ReferenceKind) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(word(kind)) && name.ends_with(".raw.part") {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn word(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Dark => "dark",
        ReferenceKind::White => "white",
    }
}

/// Removes recordings of a kind other than `kept`, whatever the clock was set to when they were made: scans hold links to those that they used.
pub(super) fn forget_older(kept: &Path, kind: ReferenceKind) {
    for other in recorded(kept.parent().unwrap_or(Path::new("")), kind) {
        if other.as_path() != kept {
            for ending in ["raw", "hdr"] {
                let _ = std::fs::remove_file(other.with_extension(ending));
            }
        }
    }
}

/// The recordings of a kind in a folder, without ending, oldest first. Their names end with the time in ns, which has as many
/// digits until the year 2286.
fn recorded(folder: &Path, kind: ReferenceKind) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let first = format!("{}-", word(kind));
    let mut stems: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "raw"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&first)))
        .map(|path| path.with_extension(""))
        .collect();
    stems.sort();
    stems
}

/// The last good reference that an earlier run of the daemon recorded in `folder`, where one of the same shape can be read.
pub(super) fn last_good(unit: &CameraUnit, folder: &Path, kind: ReferenceKind) -> Option<Reference> {
    let path = recorded(folder, kind).pop()?.with_extension("hdr");
    let read = || -> Result<Option<Reference>, CameraError> {
        let mut camera = replay::Camera::open(&unit.config.name, &replay::CameraConfig::new(&path))?;
        let layout = camera.describe().layout;
        if layout != unit.camera.describe().layout {
            return Ok(None);
        }
        let pool = FramePool::new(layout, 2);
        let mut sum = Accumulator::new(layout, pool.slots());
        let mut stream = camera.start(pool, Subject::Tray)?;
        while let Received::Frame(frame) = stream.next(Instant::now() + Duration::from_secs(1))? {
            sum.add(frame);
        }
        Ok(sum.finish(camera.exposure()))
    };
    read().unwrap_or_else(|error| {
        tracing::warn!(%error, "the last reference cannot be read, and the new one is not compared with it");
        None
    })
}

/// Puts the recordings of the references that are held beside a scan's raw recording, as `DARKREF_NAME` and `WHITEREF_NAME`.
pub fn beside(unit: &CameraUnit, capture: &Path, name: &str) -> Result<(), RecordingError> {
    for (prefix, held) in [("DARKREF_", &unit.dark), ("WHITEREF_", &unit.white)] {
        link(held.as_ref(), prefix, capture, name)?;
    }
    Ok(())
}

/// Puts the recording of the dark reference after a scan beside its raw recording, as `DARKREFAFTER_NAME`.
pub fn beside_after(after: &Held, capture: &Path, name: &str) -> Result<(), RecordingError> {
    link(Some(after), "DARKREFAFTER_", capture, name)
}

fn link(held: Option<&Held>, prefix: &str, capture: &Path, name: &str) -> Result<(), RecordingError> {
    let Some(stem) = held.and_then(|held| held.recording.as_ref()) else { return Ok(()) };
    let to = |ending: &str| capture.join(format!("{prefix}{name}.{ending}"));
    for ending in ["raw", "hdr"] {
        let (from, to_here) = (stem.with_extension(ending), to(ending));
        // A link costs nothing; across file systems it takes a copy.
        let linked =
            std::fs::hard_link(&from, &to_here).or_else(|_| std::fs::copy(&from, &to_here).and_then(|_| File::open(&to_here)?.sync_all()));
        if let Err(error) = linked {
            // Half of one would be taken for a reference that cannot be read.
            for ending in ["raw", "hdr"] {
                let _ = std::fs::remove_file(to(ending));
            }
            return Err(RecordingError { path: to_here, error });
        }
    }
    Ok(())
}
