//! Measures how fast this machine is for a rig. Generated frames of its cameras pass through the whole data path at full speed.

mod scale;
mod stall;

pub use scale::{Scaled, scale};
pub use stall::{Stalled, stall};

use crate::acquire::{RecordingSettings, header};
use crate::config::{Config, Loaded, SegmentMethod};
use crate::data_root::{Capture, Process, ProcessError};
use crate::devices::{DeviceError, Devices};
use crate::join::Bands;
use crate::pipeline::build::grid_width;
use crate::scan::{Container, Footprint, ScanRecord, Tray};
use contract::{CameraDescription, Exposure, PixelFormat, Values};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The rig cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The rig's devices cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The generated captures cannot be written.
    #[error("{} cannot be written: {error}; check the free space, or choose another folder with --folder", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The generated captures cannot be processed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A camera of the measured rig.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchCamera {
    /// The camera's configured name.
    pub name: String,
    /// Pixels and bands.
    pub shape: (usize, usize),
    /// Number of processed lines.
    pub lines: u64,
    /// Configured line rate, Hz.
    pub rate_hz: f64,
}

/// The time and work of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchStage {
    /// The stage's name.
    pub name: String,
    /// Busy time, s. It is the least time of the stage on a core of its own.
    pub seconds: f64,
    /// Bytes in and out of the stage:
    ///
    /// - `acquire`: the counts of a camera
    /// - `rectify`: these, and the rows that they are resampled onto
    /// - `join`: the rows of every camera, and the joined ones
    /// - `store`, `encode`: the reflectance of the containers
    /// - `publish`: the parts
    pub bytes: u64,
}

/// Result of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The cameras, in the order of the configuration.
    pub cameras: Vec<BenchCamera>,
    /// Time that the rig would need for these lines, s.
    pub scan_s: f64,
    /// The stages, in the order of their names.
    pub stages: Vec<BenchStage>,
    /// Time of the whole from the references to the last hash, s, and its bytes in and out.
    pub whole: (f64, u64),
}

/// Number of different lines in a recording. They repeat.
const CYCLE: usize = 8;
/// Columns of containers, and the greatest length of one, mm.
const COLUMNS: u32 = 3;
const MAX_LENGTH_MM: f64 = 200.0;
/// Levels of the generated counts as shares of the full scale, and the noise on them.
const DARK: f64 = 0.03;
const WHITE: f64 = 0.8;
const NOISE: f64 = 0.002;

/// Generates a scan in `folder` and processes it. The first camera has `lines` lines, the others those of the same belt travel.
///
/// All written files stay below `folder`.
///
/// # Errors
/// The devices cannot be opened, the disk is full, or the configuration does not process.
pub fn measure(loaded: &Loaded, lines: u32, folder: &Path) -> Result<Measured, BenchError> {
    let mut loaded = loaded.clone();
    let about = described(&mut loaded.config)?;
    run(&loaded, &about, lines, folder)
}

/// A camera's description and settings.
type About = (CameraDescription, Exposure);

/// Opens the cameras, reads their descriptions, and closes them again.
fn described(config: &mut Config) -> Result<Vec<About>, BenchError> {
    let devices = Devices::open(config)?;
    Ok(devices.cameras.iter().map(|unit| (unit.camera.describe().clone(), unit.exposure)).collect())
}

/// Generates and processes frames of the cameras that `about` describes, in `folder`.
fn run(loaded: &Loaded, about: &[About], lines: u32, folder: &Path) -> Result<Measured, BenchError> {
    let mut loaded = loaded.clone();
    let config = &mut loaded.config;
    let speed = config.conveyor.speed_mm_per_s;
    let first_rate = about.first().map_or(1.0, |(_, exposure)| exposure.frame_rate_hz);
    let length_mm = f64::from(lines) * speed / first_rate;
    let (least, most) = config.camera.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), c| (l.min(c.offset_mm), m.max(c.offset_mm)));
    let frames = config.references.as_ref().map_or(0, |references| references.frames);
    let (mut captures, mut cameras) = (Vec::new(), Vec::new());
    for (config, (description, exposure)) in config.camera.iter_mut().zip(about) {
        config.frame_rate_hz = exposure.frame_rate_hz;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a recording of seconds")]
        let count = ((length_mm + config.offset_mm - least) * exposure.frame_rate_hz / speed).ceil() as u64;
        let layout = description.layout;
        cameras.push(BenchCamera {
            name: config.name.clone(),
            shape: (layout.pixels, layout.bands),
            lines: count,
            rate_hz: exposure.frame_rate_hz,
        });
        let path = folder.join("captures").join(&config.name);
        let counts = description.values == Values::Counts;
        let full_scale = description.saturation.unwrap_or(4095.0);
        let settings = RecordingSettings { description: description.clone(), exposure: *exposure, good_bands: None };
        let references = if counts { &[("DARKREF_", DARK), ("WHITEREF_", WHITE)][..] } else { &[] };
        for (prefix, level) in references {
            generate(&path, &format!("{prefix}bench"), u64::from(frames), &settings, level * full_scale, full_scale)?;
        }
        // The level is brighter than any tray, so that every pixel belongs to a container.
        generate(&path, "bench", count, &settings, (DARK + 0.5 * (WHITE - DARK)) * full_scale, full_scale)?;
        captures.push(Capture { camera: config.name.clone(), path });
    }
    config.segment.method = SegmentMethod::Footprint;
    config.lamps.strip_mm = None;
    if let Some(minerals) = &mut config.minerals {
        // Generated counts show no mineral, which is no news.
        minerals.max_not_identified = 1.0;
    }
    let from_mm = -least;
    let to_mm = from_mm + length_mm - (most - least).min(0.5 * length_mm);
    let tray = tray(config.across_mm(), (from_mm, to_mm));

    let begin = Instant::now();
    let process = Process::start(&loaded, tray, &captures, folder.join("data"), Arc::new(|_| {}))?;
    let meters = process.meters.clone();
    let record = process.finish()?;
    let whole_s = begin.elapsed().as_secs_f64();
    let work = Work::new(&loaded.config, about, &cameras, to_mm - from_mm, &record);
    let stages = meters.stages().into_iter().map(|(name, (_, _, seconds))| BenchStage { bytes: work.of(&name), name, seconds });
    Ok(Measured { scan_s: f64::from(lines) / first_rate, stages: stages.collect(), whole: (whole_s, work.whole()), cameras })
}

/// The work of the stages, bytes.
struct Work {
    /// The counts of each camera, and the reflectance of its lines on the grid, by name.
    cameras: BTreeMap<String, (u64, u64)>,
    /// Reflectance of all rows, reflectance of the rows in containers, and parts of both data sets.
    joined: u64,
    stored: u64,
    parts: u64,
    minerals: u64,
}

impl Work {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "rows of a tray")]
    fn new(config: &Config, about: &[About], cameras: &[BenchCamera], tray_mm: f64, record: &ScanRecord) -> Self {
        let spectra: Vec<_> = about.iter().map(|(d, _)| (d.wavelengths_nm.as_slice(), d.fwhm_nm.as_deref())).collect();
        let bands = Bands::new(&spectra, config.join.overlap).wavelengths_nm.len();
        let pixel_mm = config.grid.pixel_mm;
        let width = grid_width(config.across_mm(), pixel_mm);
        let reflectance = |mm: f64, bands: usize| (mm / pixel_mm).round() as u64 * (width * bands * size_of::<f32>()) as u64;
        let length_mm = |camera: &BenchCamera| camera.lines as f64 * config.conveyor.speed_mm_per_s / camera.rate_hz;
        let one = |(camera, (about, _)): (&BenchCamera, &About)| {
            let counts = camera.lines * about.layout.bytes() as u64;
            (camera.name.clone(), (counts, reflectance(length_mm(camera), about.layout.bands)))
        };
        let below = |folder: &str| record.files.iter().filter(|file| file.path.starts_with(folder)).map(|file| file.bytes).sum();
        Self {
            cameras: cameras.iter().zip(about).map(one).collect(),
            joined: reflectance(cameras.iter().map(length_mm).fold(0.0, f64::max), bands),
            stored: reflectance(tray_mm, bands),
            parts: below("embeddings/"),
            minerals: below("minerals/"),
        }
    }

    /// Bytes in and out of a stage.
    fn of(&self, stage: &str) -> u64 {
        let camera = |prefix| stage.strip_prefix(prefix).and_then(|name| self.cameras.get(name));
        match (camera("acquire-"), camera("rectify-"), stage) {
            (Some((counts, _)), ..) => *counts,
            (_, Some((counts, resampled)), _) => counts + resampled,
            (_, _, "join") => self.cameras.values().map(|(_, resampled)| resampled).sum::<u64>() + self.joined,
            (_, _, "publish") => self.parts,
            (_, _, "minerals") => self.minerals,
            _ => self.stored,
        }
    }

    fn whole(&self) -> u64 {
        self.cameras.values().map(|(counts, _)| counts).sum::<u64>() + self.stored + self.parts + self.minerals
    }
}

/// Writes a recording of `lines` lines around `level`, with noise on every value.
fn generate(folder: &Path, name: &str, lines: u64, settings: &RecordingSettings, level: f64, full_scale: f64) -> Result<(), BenchError> {
    let capture = folder.join("capture");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| BenchError::Write { path, error }
    };
    std::fs::create_dir_all(&capture).map_err(failed(&capture))?;
    let layout = settings.description.layout;
    let values = CYCLE * layout.pixels * layout.bands;
    let scatter = NOISE * full_scale;
    // The generator of Numerical Recipes suffices, because the values only have to differ.
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        level + scatter * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the full scale of a detector")]
    let cycle: Vec<u8> = match (layout.format, settings.description.values) {
        (PixelFormat::U16, _) => (0..values).flat_map(|_| (draw() as u16).to_le_bytes()).collect(),
        (PixelFormat::F32, Values::Counts) => (0..values).flat_map(|_| (draw() as f32).to_le_bytes()).collect(),
        (PixelFormat::F32, Values::Reflectance { scale, .. }) => {
            (0..values).flat_map(|_| ((draw() / full_scale * scale) as f32).to_le_bytes()).collect()
        }
    };
    let raw = capture.join(format!("{name}.raw"));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&raw).map_err(failed(&raw))?);
    let line = cycle.len() / CYCLE;
    for number in 0..usize::try_from(lines).unwrap_or(0) {
        let first = number % CYCLE * line;
        file.write_all(&cycle[first..first + line]).map_err(failed(&raw))?;
    }
    file.flush().map_err(failed(&raw))?;
    let hdr = capture.join(format!("{name}.hdr"));
    let mut text = Vec::new();
    header(settings, lines, &[]).write(&mut text).and_then(|()| std::fs::write(&hdr, text)).map_err(failed(&hdr))
}

/// A tray of adjacent containers, over a width (mm) and between two positions along the belt (mm).
fn tray(width_mm: f64, (from_mm, to_mm): (f64, f64)) -> Tray {
    let rows = ((to_mm - from_mm) / MAX_LENGTH_MM).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few rows")]
    let list = (0..rows as u32).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
    let (width, length) = (width_mm / f64::from(COLUMNS), (to_mm - from_mm) / rows);
    let container = |(row, column): (u32, u32)| Container {
        at: format!("{row}-{column}"),
        cell: None,
        footprint: Some(Footprint {
            x_mm: f64::from(column) * width,
            y_mm: from_mm + f64::from(row) * length,
            width_mm: width,
            length_mm: length,
            round: false,
        }),
        height_mm: None,
        sample: format!("bench-{row}-{column}"),
        keys: BTreeMap::new(),
        vars: BTreeMap::new(),
    };
    Tray { tray: "bench".into(), keys: Vec::new(), grid: None, containers: list.map(container).collect() }
}
