//! The raw recording of a camera: the Lumo layout, and the journal of the scan.

use crate::scan::LedgerLine;
use contract::{CameraDescription, Exposure, PixelFormat, Values};
use replay::envi;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the raw recording {} cannot be written: {error}; check the disk", path.display())]
pub struct RecordingError {
    /// Which file.
    pub path: PathBuf,
    /// What the system said.
    pub error: std::io::Error,
}

/// What the header of a recording says of its camera.
#[derive(Debug, Clone)]
pub struct RecordingSettings {
    /// The camera.
    pub description: CameraDescription,
    /// Its settings.
    pub exposure: Exposure,
}

/// `capture/NAME.raw`, `.hdr` and `.lines.csv`, growing as the scan runs.
///
/// A line's counts are handed to the kernel before its row in `lines.csv`, so every row of that file has its counts.
pub struct Recording {
    raw: BufWriter<File>,
    lines: BufWriter<File>,
    header: PathBuf,
    path: PathBuf,
    settings: RecordingSettings,
    count: u64,
}

/// Lines between two flushes of the journal.
const FLUSH_LINES: u64 = 16;

impl Recording {
    /// Creates the files in `<folder>/capture/`.
    pub fn create(folder: &Path, name: &str, settings: RecordingSettings) -> Result<Self, RecordingError> {
        let capture = folder.join("capture");
        let wrap = |path: &Path| {
            let path = path.to_owned();
            move |error| RecordingError { path, error }
        };
        std::fs::create_dir_all(&capture).map_err(wrap(&capture))?;
        let path = capture.join(format!("{name}.raw"));
        let raw = File::create_new(&path).map_err(wrap(&path))?;
        let csv = capture.join(format!("{name}.lines.csv"));
        let mut lines = BufWriter::new(File::create_new(&csv).map_err(wrap(&csv))?);
        writeln!(lines, "line,frame,time_ns,position_mm,status").map_err(wrap(&csv))?;
        let recording = Self {
            raw: BufWriter::with_capacity(1 << 20, raw),
            lines,
            header: capture.join(format!("{name}.hdr")),
            path,
            settings,
            count: 0,
        };
        recording.write_header(&[])?;
        Ok(recording)
    }

    /// Appends a line: its counts `[band][pixel]` as bytes, and its row in `lines.csv`.
    pub fn append(&mut self, counts: &[u8], line: &LedgerLine) -> Result<(), RecordingError> {
        self.append_counts(counts)
            .and_then(|()| {
                writeln!(self.lines, "{},{},{},{},{}", self.count, line.frame, line.time_ns, line.position_mm, line.status.word())?;
                self.count += 1;
                if self.count.is_multiple_of(FLUSH_LINES) {
                    self.raw.flush()?;
                    self.lines.flush()?;
                }
                Ok(())
            })
            .map_err(|error| RecordingError { path: self.path.clone(), error })
    }

    #[cfg(target_endian = "little")]
    fn append_counts(&mut self, counts: &[u8]) -> std::io::Result<()> {
        self.raw.write_all(counts)
    }

    /// Completes the files; `gaps` go into the header's `errors`.
    pub fn finish(mut self, gaps: &[(u64, u64)]) -> Result<(), RecordingError> {
        self.raw.flush().and_then(|()| self.lines.flush()).map_err(|error| RecordingError { path: self.path.clone(), error })?;
        self.write_header(gaps)
    }

    fn write_header(&self, gaps: &[(u64, u64)]) -> Result<(), RecordingError> {
        let wrap = |error| RecordingError { path: self.header.clone(), error };
        let header = header(&self.settings, self.count, gaps);
        let part = self.header.with_extension("hdr.part");
        let mut file = BufWriter::new(File::create(&part).map_err(wrap)?);
        header.write(&mut file).and_then(|()| file.flush()).map_err(wrap)?;
        std::fs::rename(&part, &self.header).map_err(wrap)
    }
}

/// The ENVI header of `lines` lines of a camera.
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

/// What the header of a recording says of its gaps (first frame and number of frames).
pub fn errors(gaps: &[(u64, u64)]) -> Option<String> {
    let lost: u64 = gaps.iter().map(|gap| gap.1).sum();
    (lost > 0).then(|| {
        let list: Vec<String> = gaps.iter().map(|(first, count)| format!("{first}-{}", first + count - 1)).collect();
        format!("{lost} lines lost; frames {}", list.join(" "))
    })
}
