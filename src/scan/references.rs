//! Taking references, and refusing bad ones.

use super::devices::{CameraUnit, Held};
use super::operations::{ReferenceKind, ReferenceStatus};
use super::time::{iso, now_ns};
use crate::acquire::{RecordingError, RecordingSettings};
use crate::calibrate::{Accumulator, Calibration, Panel, PanelError, Reference, ReferenceError, Referenced};
use crate::config::{PanelConfig, ReferencesConfig};
use contract::{CameraError, FrameStatus, PositionTrack, Received, Subject, Values};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reference that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// No frame came.
    #[error("{camera} gave {found} frames for its {kind} reference where at least {wanted} are needed; check camera, belt and panel_mm")]
    Frames {
        /// Whose.
        camera: String,
        /// Which.
        kind: ReferenceKind,
        /// Frames that came.
        found: u32,
        /// Frames needed.
        wanted: u32,
    },
    /// A figure is beyond its limit.
    #[error("the {kind} reference of {camera} is refused: {figure}; {remedy}")]
    Gate {
        /// Whose.
        camera: String,
        /// Which.
        kind: ReferenceKind,
        /// The figure, with its value and its limit.
        figure: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Its recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Somebody stopped.
    #[error("stopped")]
    Stopped,
}

/// Where on the belt a reference is taken while it moves.
#[derive(Clone)]
pub struct Passage {
    /// The belt.
    pub track: Arc<dyn PositionTrack>,
    /// Belt positions between which the panel lies under the camera, mm.
    pub between_mm: (f64, f64),
}

/// Frames without which a reference says nothing.
const LEAST_FRAMES: u32 = 5;
/// Longest time without a frame, s.
const SILENCE: Duration = Duration::from_secs(5);

/// The white panel that a configuration describes.
pub fn panel(config: Option<&ReferencesConfig>) -> Result<Option<Panel>, PanelError> {
    match config.map(|references| &references.panel) {
        Some(PanelConfig::Reflectance(reflectance)) => Ok(Some(Panel::Constant(*reflectance))),
        Some(PanelConfig::File(path)) => Panel::read(path).map(Some),
        None => Ok(None),
    }
}

/// Whoever has a reference taken.
pub trait Watch: Sync {
    /// The camera streams: the belt may run.
    fn streaming(&self) {}
    /// Whether to stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// Nobody in particular.
impl Watch for () {}

/// Takes a reference with one camera; blocks. With a `passage`, only frames taken on it count.
///
/// The frames are recorded under `folder` (`<kind>-<time>.raw` and `.hdr`), where one is given.
pub fn take(
    unit: &mut CameraUnit,
    kind: ReferenceKind,
    config: Option<&ReferencesConfig>,
    passage: Option<&Passage>,
    folder: Option<&Path>,
    watch: &dyn Watch,
) -> Result<Held, TakeError> {
    let subject = match kind {
        ReferenceKind::Dark => Subject::Dark,
        ReferenceKind::White => Subject::White,
    };
    let recorded = unit.camera.describe().recorded;
    // A recording of a reference is used as a whole.
    let wanted = config.filter(|_| !recorded).map_or(u32::MAX, |config| config.frames);
    let layout = unit.camera.describe().layout;
    let mut sum = Accumulator::new(layout);
    let mut recording = folder.map(|folder| ReferenceRecording::create(folder, kind)).transpose()?;
    let mut stream = unit.camera.start(unit.pool.clone(), subject)?;
    watch.streaming();
    let mut heard = Instant::now();
    let result = loop {
        if watch.stopped() {
            break Err(TakeError::Stopped);
        }
        if sum.frames() >= wanted {
            break Ok(());
        }
        match stream.next(Instant::now() + Duration::from_millis(100)) {
            Err(error) => break Err(error.into()),
            Ok(Received::End) => break Ok(()),
            Ok(Received::Nothing) if heard.elapsed() > SILENCE => break Ok(()),
            Ok(Received::Nothing) => {}
            Ok(Received::Frame(frame)) => {
                heard = Instant::now();
                if frame.info.status != FrameStatus::Ok {
                    continue;
                }
                if let Some(Passage { track, between_mm: (from, to) }) = passage {
                    match track.position_mm(frame.info.time_ns) {
                        Some(mm) if mm > *to => break Ok(()),
                        Some(mm) if mm >= *from => {}
                        _ => continue,
                    }
                }
                sum.add(&frame.slot, frame.info.time_ns);
                if let Some(recording) = &mut recording
                    && let Err(error) = recording.append(frame.slot.bytes())
                {
                    break Err(error.into());
                }
            }
        }
    };
    unit.camera.ensure_stopped()?;
    drop(stream);
    result?;
    let least = if recorded { 1 } else { wanted.min(LEAST_FRAMES) };
    let frames = sum.frames();
    let camera = unit.config.name.clone();
    let few = || TakeError::Frames { camera: camera.clone(), kind, found: frames, wanted: least };
    let reference = if frames >= least { sum.finish(unit.exposure) } else { None }.ok_or_else(few)?;
    if let Some(config) = config {
        gate(unit, kind, &reference, config)?;
    }
    let settings = RecordingSettings { description: unit.camera.describe().clone(), exposure: unit.exposure };
    let recording = recording.map(|recording| recording.finish(&settings, reference.frames)).transpose()?;
    Ok(Held { reference: Arc::new(reference), recording })
}

/// Share of elements at or above the camera's saturation level.
fn saturated(unit: &CameraUnit, reference: &Reference) -> f64 {
    let Some(level) = unit.camera.describe().saturation else { return 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
    let share = reference.mean.iter().filter(|mean| f64::from(**mean) >= 0.995 * level).count() as f64 / reference.mean.len() as f64;
    share
}

fn mean(values: &[f32]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
    let n = values.len().max(1) as f64;
    values.iter().map(|v| f64::from(*v)).sum::<f64>() / n
}

/// Refuses a reference that cannot be right.
fn gate(unit: &CameraUnit, kind: ReferenceKind, reference: &Reference, config: &ReferencesConfig) -> Result<(), TakeError> {
    let camera = &unit.config.name;
    let refuse = |figure: String, remedy| Err(TakeError::Gate { camera: camera.clone(), kind, figure, remedy });
    let Some(full) = unit.camera.describe().saturation else { return Ok(()) };
    let level = mean(&reference.mean) / full;
    match kind {
        ReferenceKind::Dark if level > config.max_dark => refuse(
            format!("mean {:.1} % of full scale, at most {:.1} %", 100.0 * level, 100.0 * config.max_dark),
            "check that the shutter closes and the lamps are off",
        ),
        ReferenceKind::Dark => Ok(()),
        ReferenceKind::White => {
            let share = saturated(unit, reference);
            // Hot elements are saturated in the dark already.
            let hot = unit.dark.as_ref().map_or(0.0, |dark| saturated(unit, &dark.reference));
            if share - hot > config.max_saturated {
                return refuse(
                    format!("{:.2} % of elements are saturated, at most {:.2} %", 100.0 * (share - hot), 100.0 * config.max_saturated),
                    "expose shorter or dim the lamps",
                );
            }
            let dark = unit.dark.as_ref().map_or(0.0, |dark| mean(&dark.reference.mean) / full);
            if level - dark < config.min_signal {
                return refuse(
                    format!(
                        "mean signal {:.2} % of full scale above dark, at least {:.2} %",
                        100.0 * (level - dark),
                        100.0 * config.min_signal
                    ),
                    "check lamps, shutter and that the panel lies where panel_mm says",
                );
            }
            Ok(())
        }
    }
}

/// A camera's calibration from what is held for it.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A reference is missing.
    #[error("{camera} has no {kind} reference; take one with `hyclus reference`")]
    Missing {
        /// Whose.
        camera: String,
        /// Which.
        kind: ReferenceKind,
    },
    /// The panel's reflectance is not known.
    #[error("{camera} gives counts: the configuration needs [references] with the reflectance of the white panel")]
    NoPanel {
        /// Whose.
        camera: String,
    },
    /// The panel's spectrum does not fit.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// References do not fit the camera.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// How a camera's numbers become reflectance, from the references that are held.
pub fn calibration(unit: &CameraUnit, panel: Option<&Panel>) -> Result<Calibration, CalibrationError> {
    let description = unit.camera.describe();
    match description.values {
        Values::Reflectance { scale, ignore } => Ok(Calibration::Scaled { scale, ignore }),
        Values::Counts => {
            let camera = || unit.config.name.clone();
            let held = |held: &Option<Held>, kind| {
                held.as_ref().map(|h| Reference::clone(&h.reference)).ok_or_else(|| CalibrationError::Missing { camera: camera(), kind })
            };
            let dark = held(&unit.dark, ReferenceKind::Dark)?;
            let white = held(&unit.white, ReferenceKind::White)?;
            let panel = panel.ok_or_else(|| CalibrationError::NoPanel { camera: camera() })?.at(&description.wavelengths_nm)?;
            Ok(Calibration::Referenced(Box::new(Referenced::new(dark, white, panel, description.layout, description.saturation)?)))
        }
    }
}

/// What status shows of the references that are held.
pub fn status(unit: &CameraUnit) -> Vec<ReferenceStatus> {
    [(ReferenceKind::Dark, &unit.dark), (ReferenceKind::White, &unit.white)]
        .into_iter()
        .filter_map(|(kind, held)| {
            let held = held.as_ref()?;
            #[expect(clippy::cast_precision_loss, reason = "an age in seconds")]
            let age_s = (now_ns() - held.reference.taken_ns) as f64 / 1e9;
            Some(ReferenceStatus {
                camera: unit.config.name.clone(),
                kind,
                taken: iso(held.reference.taken_ns),
                age_s,
                frames: held.reference.frames,
                mean_counts: mean(&held.reference.mean),
                noise_counts: f64::from(held.reference.noise()),
                saturated: saturated(unit, &held.reference),
            })
        })
        .collect()
}

/// The recording of a reference: counts as the camera gave them.
struct ReferenceRecording {
    stem: PathBuf,
    raw: BufWriter<File>,
}

impl ReferenceRecording {
    fn create(folder: &Path, kind: ReferenceKind) -> Result<Self, RecordingError> {
        let name = match kind {
            ReferenceKind::Dark => "dark",
            ReferenceKind::White => "white",
        };
        let stem = folder.join(format!("{name}-{}", now_ns()));
        let wrap = |error| RecordingError { path: stem.with_extension("raw"), error };
        std::fs::create_dir_all(folder).map_err(wrap)?;
        let raw = File::create_new(stem.with_extension("raw.part")).map_err(wrap)?;
        Ok(Self { raw: BufWriter::with_capacity(1 << 20, raw), stem })
    }

    fn append(&mut self, counts: &[u8]) -> Result<(), RecordingError> {
        self.raw.write_all(counts).map_err(|error| RecordingError { path: self.stem.with_extension("raw"), error })
    }

    fn finish(mut self, settings: &RecordingSettings, frames: u32) -> Result<PathBuf, RecordingError> {
        let (raw, hdr) = (self.stem.with_extension("raw"), self.stem.with_extension("hdr"));
        let wrap = |path: &Path| {
            let path = path.to_owned();
            move |error| RecordingError { path, error }
        };
        self.raw.flush().map_err(wrap(&raw))?;
        let mut header = BufWriter::new(File::create(&hdr).map_err(wrap(&hdr))?);
        crate::acquire::header(settings, u64::from(frames), &[]).write(&mut header).and_then(|()| header.flush()).map_err(wrap(&hdr))?;
        std::fs::rename(self.stem.with_extension("raw.part"), &raw).map_err(wrap(&raw))?;
        Ok(self.stem)
    }
}

/// Puts the recordings of the references that are held beside a scan's raw recording, as `DARKREF_NAME` and `WHITEREF_NAME`.
pub fn beside(unit: &CameraUnit, capture: &Path, name: &str) -> Result<(), RecordingError> {
    for (prefix, held) in [("DARKREF_", &unit.dark), ("WHITEREF_", &unit.white)] {
        let Some(stem) = held.as_ref().and_then(|held| held.recording.as_ref()) else { continue };
        for ending in ["raw", "hdr"] {
            let (from, to) = (stem.with_extension(ending), capture.join(format!("{prefix}{name}.{ending}")));
            // A link costs nothing; across file systems it takes a copy.
            std::fs::hard_link(&from, &to)
                .or_else(|_| std::fs::copy(&from, &to).map(drop))
                .map_err(|error| RecordingError { path: to, error })?;
        }
    }
    Ok(())
}
