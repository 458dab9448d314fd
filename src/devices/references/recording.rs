//! Recordings of references. The newest good one of each camera and kind stays, and scans link to it.
//!
//! The dark reference that belongs to a white one lies beside it, as `whitedark` with the number of the white one. It stays as long as
//! the white one, whatever becomes of the dark reference itself.

use crate::acquire::{RecordingError, RecordingSettings};
use crate::devices::{CameraUnit, Held};
use crate::disk::{create_folders, create_new, create_over, open_plain, sync_folders};
use crate::reference::{Accumulator, Reference, WhiteReference};
use crate::scan::{ReferenceKind, iso_exact, now_ns};
use contract::{CameraError, FramePool, LineCamera, Received, Subject};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The recording of a reference: the camera's counts.
pub(super) struct ReferenceRecording {
    stem: PathBuf,
    raw: BufWriter<File>,
}

impl ReferenceRecording {
    pub(super) fn create(folder: &Path, kind: ReferenceKind) -> Result<Self, RecordingError> {
        let stem = folder.join(format!("{}-{}", word(kind), now_ns()));
        let wrap = |error| RecordingError { path: stem.with_extension("raw"), error };
        // The data root holds `references/CAMERA`.
        create_folders(folder, folder.ancestors().nth(2).unwrap_or(folder)).map_err(wrap)?;
        forget_unfinished(folder, kind).map_err(wrap)?;
        let raw = create_new(&stem.with_extension("raw.part")).map_err(wrap)?;
        Ok(Self { raw: BufWriter::with_capacity(1 << 20, raw), stem })
    }

    pub(super) fn append(&mut self, counts: &[u8]) -> Result<(), RecordingError> {
        self.raw.write_all(counts).map_err(|error| RecordingError { path: self.stem.with_extension("raw"), error })
    }

    /// Completes the recording of `reference`. The dark reference that belongs to a white one is linked beside it first, and `own_dark`
    /// then names the link.
    pub(super) fn finish(
        mut self,
        settings: &RecordingSettings,
        reference: &Reference,
        own_dark: Option<&mut Held>,
    ) -> Result<PathBuf, RecordingError> {
        let (raw, hdr) = (self.stem.with_extension("raw"), self.stem.with_extension("hdr"));
        let wrap = |path: &Path| {
            let path = path.to_owned();
            move |error| RecordingError { path, error }
        };
        // Recovery processes interrupted scans with this recording.
        self.raw.flush().and_then(|()| self.raw.get_ref().sync_all()).map_err(wrap(&raw))?;
        if let Some(own_dark) = own_dark {
            let beside = dark_of(&self.stem);
            link(Some(own_dark), |ending| beside.with_extension(ending))?;
            own_dark.recording = own_dark.recording.is_some().then_some(beside);
        }
        let mut text = crate::acquire::header(settings, u64::from(reference.frames), &[]);
        // In Lumo's date format, to the nanosecond: processing the recording again finds the same time.
        let taken = iso_exact(begin_ns(reference));
        let (date, time) = taken.split_once('T').unwrap_or((&taken, ""));
        text.other.push(("acquisition date".into(), format!("DATE(yyyy-mm-dd): {date}")));
        text.other.push(("start time".into(), format!("UTC TIME: {}", time.trim_end_matches('Z'))));
        let part = self.stem.with_extension("hdr.part");
        let mut header = BufWriter::new(create_over(&part).map_err(wrap(&hdr))?);
        text.write(&mut header).and_then(|()| header.flush()).and_then(|()| header.get_ref().sync_all()).map_err(wrap(&hdr))?;
        std::fs::rename(&part, &hdr).map_err(wrap(&hdr))?;
        std::fs::rename(self.stem.with_extension("raw.part"), &raw).map_err(wrap(&raw))?;
        let folder = raw.parent().unwrap_or(Path::new("."));
        // The folder of the camera and the one above may be new.
        sync_folders(folder, folder.ancestors().nth(2).unwrap_or(folder)).map_err(wrap(&raw))?;
        Ok(self.stem.clone())
    }
}

/// Time of the first of a reference's frames if all had the distance of the frame rate, ns. Lost frames make the distances longer. Frames
/// that are read at the frame rate from then on have the mean time of the reference.
#[expect(clippy::cast_possible_truncation, reason = "minutes in nanoseconds")]
fn begin_ns(reference: &Reference) -> i64 {
    let half_s = f64::from(reference.frames.saturating_sub(1)) / 2.0 / reference.exposure.frame_rate_hz;
    reference.taken_ns.saturating_sub((half_s * 1e9).round() as i64)
}

impl Drop for ReferenceRecording {
    /// Removes a refused or stopped recording. A finished one no longer has this file.
    fn drop(&mut self) {
        for ending in ["raw.part", "hdr.part"] {
            let _ = std::fs::remove_file(self.stem.with_extension(ending));
        }
        if !self.stem.with_extension("raw").exists() {
            let _ = std::fs::remove_file(self.stem.with_extension("hdr"));
            remove(&dark_of(&self.stem));
        }
    }
}

/// Removes the remains of recordings of a kind, after the disk refused everything or the power was cut: unfinished files, and a header or
/// counts without the other.
fn forget_unfinished(folder: &Path, kind: ReferenceKind) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let alone = match path.extension().and_then(|ending| ending.to_str()) {
            Some("raw") => !path.with_extension("hdr").exists(),
            Some("hdr") => !path.with_extension("raw").exists(),
            Some("part") => true,
            _ => false,
        };
        let alone = alone || white_of(&path).is_some_and(|white| !white.exists());
        if name.starts_with(word(kind)) && alone {
            tracing::warn!(path = %path.display(), "an incomplete recording of a reference is removed");
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes incomplete recordings of references below `references`, the folder of a data root.
///
/// # Errors
/// A folder cannot be read, or a file cannot be removed.
pub fn forget_incomplete(references: &Path) -> std::io::Result<()> {
    let cameras = match std::fs::read_dir(references) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        cameras => cameras?,
    };
    for camera in cameras {
        let camera = camera?;
        if camera.file_type()?.is_dir() {
            [ReferenceKind::Dark, ReferenceKind::White].into_iter().try_for_each(|kind| forget_unfinished(&camera.path(), kind))?;
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

/// First words of the names of a white reference and of the dark one that belongs to it.
const WHITE_AND_DARK: (&str, &str) = ("white-", "whitedark-");

/// The recording of the dark reference that belongs to the white one `white`. It is no file for any other.
fn dark_of(white: &Path) -> PathBuf {
    let name = white.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.strip_prefix(WHITE_AND_DARK.0);
    number.map_or_else(PathBuf::new, |number| white.with_file_name(format!("{}{number}", WHITE_AND_DARK.1)))
}

/// The file of the white reference to which a file of a dark one belongs.
fn white_of(dark: &Path) -> Option<PathBuf> {
    let number = dark.file_name()?.to_str()?.strip_prefix(WHITE_AND_DARK.1)?;
    Some(dark.with_file_name(format!("{}{number}", WHITE_AND_DARK.0)))
}

/// Removes the files of a recording.
fn remove(stem: &Path) {
    for ending in ["raw", "hdr"] {
        let _ = std::fs::remove_file(stem.with_extension(ending));
    }
}

/// Removes all recordings of a kind except `newest`, independent of changes of the clock. Scans hold links to those that they used.
pub(super) fn forget_older(newest: &Path, kind: ReferenceKind) {
    for other in recorded(newest.parent().unwrap_or(Path::new("")), kind) {
        if other.as_path() != newest {
            remove(&other);
            remove(&dark_of(&other));
        }
    }
}

/// The recordings of a kind in a folder, without extension, oldest first. Their names end with the time in ns. It has the same number of
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

/// The last good reference that an earlier run recorded in `folder`; `None` without a readable one of the same shape. White references of
/// earlier versions have no dark one of their own.
pub(super) fn last_good(unit: &CameraUnit, folder: &Path, kind: ReferenceKind) -> Option<WhiteReference> {
    let stem = recorded(folder, kind).pop()?;
    let dark = dark_of(&stem).with_extension("hdr");
    let dark = if dark.exists() { read(unit, &dark) } else { None };
    Some(WhiteReference { reference: read(unit, &stem.with_extension("hdr"))?.into(), dark: dark.map(Into::into) })
}

/// The recorded reference of a header; `None` where it is not readable, or has another shape.
fn read(unit: &CameraUnit, path: &Path) -> Option<Reference> {
    let read = || -> Result<Option<Reference>, CameraError> {
        let mut camera = replay::Camera::open(&unit.config.name, &replay::CameraConfig::new(path))?;
        let layout = camera.describe().layout;
        if layout != unit.camera.describe().layout {
            return Ok(None);
        }
        let pool = FramePool::new(layout, 2);
        let mut sum = Accumulator::new(layout, &unit.used, pool.slots());
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

/// Links the recordings of the held references beside a scan's raw recording, as `DARKREF_NAME`, `WHITEREF_NAME` and `WHITEDARKREF_NAME`.
/// Writes the panel's certificate there, as `PANEL_NAME.txt`.
///
/// # Errors
/// The recording cannot be linked or copied.
pub fn beside(unit: &CameraUnit, capture: &Path, name: &str) -> Result<(), RecordingError> {
    let own_dark = unit.white.as_ref().and_then(|white| white.own_dark.as_deref());
    for (prefix, held) in [("DARKREF_", unit.dark.as_ref()), ("WHITEREF_", unit.white.as_ref()), ("WHITEDARKREF_", own_dark)] {
        link(held, |ending| capture.join(format!("{prefix}{name}.{ending}")))?;
    }
    if let Some(certificate) = unit.panel.as_ref().and_then(|panel| panel.certificate.as_ref()) {
        let name = certificate_name(name);
        write_whole(capture, &name, &certificate.text).map_err(|error| RecordingError { path: capture.join(name), error })?;
    }
    // Recovery processes a scan that is cut off with these.
    sync_folders(capture, capture).map_err(|error| RecordingError { path: capture.to_owned(), error })
}

/// Links a reference after a scan beside the scan's raw recording, as `DARKREFAFTER_NAME` or `WHITEREFAFTER_NAME`.
///
/// # Errors
/// The recording cannot be linked or copied.
pub fn beside_after(after: &Held, kind: ReferenceKind, capture: &Path, name: &str) -> Result<(), RecordingError> {
    let prefix = match kind {
        ReferenceKind::Dark => "DARKREFAFTER_",
        ReferenceKind::White => "WHITEREFAFTER_",
    };
    link(Some(after), |ending| capture.join(format!("{prefix}{name}.{ending}")))?;
    sync_folders(capture, capture).map_err(|error| RecordingError { path: capture.to_owned(), error })
}

/// Name of the panel's certificate beside a recording.
pub fn certificate_name(recording: &str) -> String {
    format!("PANEL_{recording}.txt")
}

/// Writes a file that has its name only when it is whole.
fn write_whole(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let part = folder.join(format!(".{name}.part"));
    let mut file = create_over(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, folder.join(name))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = open_plain(from, File::options().read(true), 0)?;
    let mut copy = create_over(to)?;
    std::io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// Links the files of a held reference to `to`, by the ending of each.
fn link(held: Option<&Held>, to: impl Fn(&str) -> PathBuf) -> Result<(), RecordingError> {
    let Some(stem) = held.and_then(|held| held.recording.as_ref()) else { return Ok(()) };
    for ending in ["raw", "hdr"] {
        let (from, to_here) = (stem.with_extension(ending), to(ending));
        // A link costs nothing. Across file systems, a copy is needed.
        let linked = std::fs::hard_link(&from, &to_here).or_else(|_| copy(&from, &to_here));
        if let Err(error) = linked {
            // An incomplete pair would look like an unreadable reference.
            for ending in ["raw", "hdr"] {
                let _ = std::fs::remove_file(to(ending));
            }
            return Err(RecordingError { path: to_here, error });
        }
    }
    Ok(())
}
