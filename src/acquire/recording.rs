//! The raw recording of a camera: the Lumo layout, and the scan's journal.

use super::journal::Journal;
use crate::config::StoreConfig;
use crate::disk::{Hashes, PAGE, create_folders, create_new, create_over};
use crate::scan::LedgerLine;
use contract::{CameraDescription, Exposure, PixelFormat, Values};
use replay::envi;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A recording that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the raw recording {} cannot be written: {error}; {}", path.display(), crate::disk::advice(error, "check the disk"))]
pub struct RecordingError {
    /// The file's path.
    pub path: PathBuf,
    /// The system's error.
    pub error: std::io::Error,
}

/// The camera's entries in the header of a recording.
#[derive(Debug, Clone)]
pub struct RecordingSettings {
    /// The camera's description.
    pub description: CameraDescription,
    /// The camera's settings.
    pub exposure: Exposure,
    /// Whether each band may be used, where the camera says so.
    pub good_bands: Option<Vec<bool>>,
}

/// `capture/NAME.raw`, `.hdr` and `.lines.csv`, growing during the scan.
///
/// The kernel gets a line's counts before its row in `lines.csv`. Every row of that file therefore has its counts.
pub struct Recording {
    journal: Journal,
    header: PathBuf,
    path: PathBuf,
    settings: RecordingSettings,
    count: u64,
}

/// Lines per piece. Large lines fill a piece sooner.
pub const FLUSH_LINES: usize = 16;

impl Recording {
    /// Creates the files in `<folder>/capture/`. The settings in `store` choose writing past the page cache, and syncs. The `hashes`
    /// receive the hash of the counts.
    ///
    /// # Errors
    /// A file or a folder cannot be created or synced.
    pub fn create(
        folder: &Path,
        name: &str,
        settings: RecordingSettings,
        store: &StoreConfig,
        hashes: &Hashes,
    ) -> Result<Self, RecordingError> {
        let capture = folder.join("capture");
        let wrap = |path: &Path| {
            let path = path.to_owned();
            move |error| RecordingError { path, error }
        };
        // The scan's folder is the caller's.
        let root = capture.ancestors().nth(3).unwrap_or(&capture);
        create_folders(&capture, root).map_err(wrap(&capture))?;
        let path = capture.join(format!("{name}.raw"));
        create_new(&path).map_err(wrap(&path))?;
        let csv = capture.join(format!("{name}.lines.csv"));
        let mut lines = create_new(&csv).map_err(wrap(&csv))?;
        writeln!(lines, "line,frame,time_ns,position_mm,status").map_err(wrap(&csv))?;
        // The rest of a page stays in the piece beside the lines.
        let gathered = settings.description.layout.bytes() * FLUSH_LINES + PAGE;
        let recording = Self {
            journal: Journal::start(&path, lines, store, hashes.growing(path.clone()), gathered).map_err(wrap(&path))?,
            header: capture.join(format!("{name}.hdr")),
            path,
            settings,
            count: 0,
        };
        // Recovery after a crash needs this recording. So its folders are synced too: they may be new.
        write_header(&recording.header, &recording.settings, 0, &[])?;
        crate::disk::sync_folders(&capture, root).map_err(wrap(&capture))?;
        Ok(recording)
    }

    /// Appends a line: its counts `[band][pixel]` as bytes, and its row in `lines.csv`. Waits for a slow disk.
    ///
    /// # Errors
    /// The disk refuses this line or one before it.
    pub fn append(&mut self, counts: &[u8], line: &LedgerLine) -> Result<(), RecordingError> {
        let count = self.count;
        self.count += 1;
        let row = |rows: &mut String| {
            let LedgerLine { frame, time_ns, position_mm, status, .. } = line;
            // Writing to a string cannot fail.
            let _ = writeln!(rows, "{count},{frame},{time_ns},{position_mm},{}", status.word());
        };
        self.append_counts(counts, row)
            .and_then(|()| if self.count.is_multiple_of(FLUSH_LINES as u64) { self.journal.send() } else { Ok(()) })
            .map_err(|error| RecordingError { path: self.path.clone(), error })
    }

    #[cfg(target_endian = "little")]
    fn append_counts(&mut self, counts: &[u8], row: impl FnOnce(&mut String)) -> std::io::Result<()> {
        self.journal.append(counts, row)
    }

    /// Completes the files. The `gaps` go into the header's `errors`.
    ///
    /// # Errors
    /// The disk refuses a part of the recording.
    pub fn finish(self, gaps: &[(u64, u64)]) -> Result<(), RecordingError> {
        let Self { journal, header, path, settings, count } = self;
        journal.finish().map_err(|error| RecordingError { path, error })?;
        write_header(&header, &settings, count, gaps)
    }
}

fn write_header(path: &Path, settings: &RecordingSettings, lines: u64, gaps: &[(u64, u64)]) -> Result<(), RecordingError> {
    let wrap = |error| RecordingError { path: path.to_owned(), error };
    let part = path.with_extension("hdr.part");
    let mut file = BufWriter::new(create_over(&part).map_err(wrap)?);
    header(settings, lines, gaps).write(&mut file).and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all()).map_err(wrap)?;
    std::fs::rename(&part, path).map_err(wrap)
}

/// The ENVI header of a camera's recording with `lines` lines. Each gap is a first frame number and a number of frames.
pub fn header(settings: &RecordingSettings, lines: u64, gaps: &[(u64, u64)]) -> envi::Header {
    let d = &settings.description;
    let data_type = match d.layout.format {
        PixelFormat::U16 => envi::DataType::U16,
        PixelFormat::F32 => envi::DataType::F32,
    };
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    let mut header = envi::Header::new(d.layout.pixels, lines, d.layout.bands, data_type, envi::Interleave::Bil);
    header.description = Some("hyclus raw recording".into());
    header.sensor_type = Some(d.model.clone());
    header.wavelengths_nm = Some(d.wavelengths_nm.clone());
    header.fwhm_nm.clone_from(&d.fwhm_nm);
    header.good_bands.clone_from(&settings.good_bands);
    header.fps = Some(settings.exposure.frame_rate_hz);
    header.tint_ms = Some(settings.exposure.exposure_us / 1e3);
    // The header gives spectral binning first.
    header.binning = Some((settings.exposure.binning.1, settings.exposure.binning.0));
    if let Values::Reflectance { scale, ignore } = d.values {
        (header.reflectance_scale, header.data_ignore) = (Some(scale), ignore);
    }
    header.default_bands = u32::try_from(d.layout.bands).ok().map(|n| [3 * n / 4, n / 2, n / 4].map(|band| band.max(1)).to_vec());
    header.errors = errors(gaps);
    if !d.serial.is_empty() {
        header.other.push(("sensorid".into(), d.serial.clone()));
    }
    header
}

/// The header's text for gaps (first frame number and number of frames); `None` without gaps.
pub fn errors(gaps: &[(u64, u64)]) -> Option<String> {
    let lost: u64 = gaps.iter().map(|gap| gap.1).sum();
    (lost > 0).then(|| {
        let list: Vec<String> = gaps.iter().map(|(first, count)| format!("{first}-{}", first + count - 1)).collect();
        format!("{lost} lines lost; frames {}", list.join(" "))
    })
}
