//! Taking references, and refusing bad ones.

mod judging;
mod recording;
#[cfg(test)]
mod tests;

pub use judging::{dark_drift, doubts, light_drift};
pub use recording::{beside, beside_after, certificate_name, forget_incomplete};

use crate::acquire::RecordingError;
use crate::config::{PanelConfig, ReferencesConfig};
use crate::devices::{CameraUnit, Held};
use crate::panel::{Panel, PanelError};
use crate::reference::{Accumulator, Calibration, Reference, ReferenceError, Referenced, Response, same_settings};
use crate::scan::{Cause, ReferenceKind, ReferenceStatus, Subsystem, iso};
use crate::wavelength::{Features, FeaturesError, HistoryLine, Origin, append_history};
use contract::{CameraError, Exposure, FramePool, FrameStatus, PositionTrack, Received, Subject, Values};
use judging::{Wavelength, bad_elements, change_of, check_limits, figures, gain_doubt, refuse_dead, wavelength};
use recording::{ReferenceRecording, forget_older};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reference that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// Too few frames arrived.
    #[error(
        "{camera} gave {found} frames for its {kind} reference where at least {wanted} are needed; check camera, belt and references.panel_mm, or lower references.frames"
    )]
    Frames {
        /// The camera's name.
        camera: String,
        /// Dark or white.
        kind: ReferenceKind,
        /// Number of frames that arrived.
        found: u32,
        /// Number of needed frames.
        wanted: u32,
    },
    /// The belt does not carry the panel past the camera.
    #[error("the belt stands at {position_mm:.1} mm and does not bring the panel under {camera}; check the drive")]
    Belt {
        /// The camera's name.
        camera: String,
        /// Position of the standing belt, mm.
        position_mm: f64,
    },
    /// A figure is beyond its limit.
    #[error("the {kind} reference of {camera} is refused: {figure}; {remedy}")]
    Refused {
        /// The camera's name.
        camera: String,
        /// Dark or white.
        kind: ReferenceKind,
        /// The figure, with its value and its limit.
        figure: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// The belt or the lamps misbehave.
    #[error("{}", .0.text)]
    Rig(Cause),
    /// The recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The reference was stopped.
    #[error("stopped")]
    Stopped,
}

impl TakeError {
    /// Whether something is broken, rather than a reference refused.
    pub fn breaks(&self) -> bool {
        matches!(self, Self::Camera(_) | Self::Belt { .. } | Self::Rig(_) | Self::Recording(_))
    }
}

impl From<&TakeError> for Cause {
    fn from(error: &TakeError) -> Self {
        let part = match error {
            TakeError::Rig(cause) => return cause.clone(),
            TakeError::Camera(_) => Subsystem::Camera,
            TakeError::Belt { .. } => Subsystem::Belt,
            TakeError::Recording(_) => Subsystem::Disk,
            TakeError::Frames { .. } | TakeError::Refused { .. } | TakeError::Stopped => Subsystem::Data,
        };
        Self::new(part, error.to_string())
    }
}

/// The belt's passage during a reference.
#[derive(Clone)]
pub struct Passage {
    /// The belt's position over time.
    pub track: Arc<dyn PositionTrack>,
    /// Belt positions between which the panel lies under the camera, mm.
    pub between_mm: (f64, f64),
    /// Longest time without advance before the belt counts as standing.
    pub standstill: Duration,
}

/// Least number of frames of a meaningful reference.
const LEAST_FRAMES: u32 = 5;
/// Slots for the frames of a recorded reference in another number format.
const REFERENCE_SLOTS: usize = 4;
/// Least motion that counts as motion of the belt, mm.
const MOTION_MM: f64 = 0.5;

/// The white panel of a configuration; `None` without `[references]`.
///
/// # Errors
/// The panel's file is unusable.
pub fn panel(config: Option<&ReferencesConfig>) -> Result<Option<Panel>, PanelError> {
    let Some(PanelConfig { reflectance, uncertainty, file, .. }) = config.map(|references| &references.panel) else { return Ok(None) };
    match file {
        Some(file) => Panel::read(file).map(Some),
        None => Ok(reflectance.map(|reflectance| Panel::constant(reflectance, *uncertainty))),
    }
}

/// The absorptions of the white panel of a configuration; `None` where it names none.
///
/// # Errors
/// The features file is unusable.
pub fn panel_features(config: Option<&ReferencesConfig>) -> Result<Option<Arc<Features>>, FeaturesError> {
    let file = config.and_then(|references| references.panel.features.as_ref());
    file.map(|file| Features::read(file).map(Arc::new)).transpose()
}

/// An observer of a reference in progress.
pub trait Watch: Sync {
    /// The camera streams. The belt may run now.
    fn streaming(&self) {}
    /// Whether the reference must stop.
    fn stopped(&self) -> bool {
        false
    }
}

/// An observer that does nothing.
impl Watch for () {}

/// How a reference is taken.
#[derive(Clone, Copy)]
pub struct Taking<'a> {
    /// The thing under the camera. Only [`Subject::Dark`] and [`Subject::White`] are compared with the last good reference: the change of
    /// a dark reference after a scan is the drift.
    pub subject: Subject,
    /// The configuration, with the limits for refusal.
    pub config: Option<&'a ReferencesConfig>,
    /// The belt's passage during the frames; any position when absent.
    pub passage: Option<&'a Passage>,
    /// Folder of the recording (`<kind>-<time>.raw` and `.hdr`); no recording when absent.
    pub folder: Option<&'a Path>,
    /// Whether the reference may differ from the last good one.
    pub accept_change: bool,
    /// Burning time of the lamps, h.
    pub lamp_hours: f64,
}

impl<'a> Taking<'a> {
    /// The reference that accompanies a recording.
    pub fn recorded(subject: Subject, config: Option<&'a ReferencesConfig>) -> Self {
        Self { subject, config, passage: None, folder: None, accept_change: true, lamp_hours: 0.0 }
    }

    /// Dark or white.
    pub fn kind(&self) -> ReferenceKind {
        kind(self.subject)
    }
}

/// The kind of a reference of a subject.
pub fn kind(subject: Subject) -> ReferenceKind {
    if matches!(subject, Subject::White | Subject::WhiteAfter) { ReferenceKind::White } else { ReferenceKind::Dark }
}

/// The gathered frames of a reference, not yet judged.
pub struct Gathered {
    /// Statistics over the frames.
    pub reference: Reference,
    recording: Option<ReferenceRecording>,
}

/// Takes a reference with one camera. The call blocks.
///
/// # Errors
/// The camera fails, too few frames arrive, or the belt stands. A limit refuses the reference, or its recording cannot be written.
/// The `watch` stops it.
pub fn take(unit: &mut CameraUnit, taking: Taking<'_>, watch: &dyn Watch) -> Result<Held, TakeError> {
    let of_recording = if taking.subject == Subject::White && unit.camera.describe().recorded {
        take_recorded(unit, Taking { subject: Subject::WhiteDark, ..taking })?
    } else {
        None
    };
    let gathered = gather(unit, taking, watch)?;
    judge(unit, taking, gathered, of_recording.as_ref().or(unit.dark.as_ref()))
}

/// Takes a reference that a recording may lack; `None` where it does.
///
/// # Errors
/// As [`take`].
pub fn take_recorded(unit: &mut CameraUnit, taking: Taking<'_>) -> Result<Option<Held>, TakeError> {
    match take(unit, taking, &()) {
        Err(TakeError::Camera(CameraError::NoRecording { .. })) => Ok(None),
        taken => taken.map(Some),
    }
}

/// Takes a reference that a recording may lack, over the dark reference `own_dark` or, without one, that of the camera; `None` where the
/// recording lacks it.
///
/// # Errors
/// As [`take`].
pub fn take_recorded_over(unit: &mut CameraUnit, taking: Taking<'_>, own_dark: Option<&Held>) -> Result<Option<Held>, TakeError> {
    match gather(unit, taking, &()) {
        Err(TakeError::Camera(CameraError::NoRecording { .. })) => Ok(None),
        gathered => judge(unit, taking, gathered?, own_dark.or(unit.dark.as_ref())).map(Some),
    }
}

/// Gathers the frames of a reference with one camera. The call blocks.
///
/// # Errors
/// As [`take`], except for the refusal by limits.
pub fn gather(unit: &mut CameraUnit, taking: Taking<'_>, watch: &dyn Watch) -> Result<Gathered, TakeError> {
    let Taking { subject, config, passage, folder, .. } = taking;
    let kind = taking.kind();
    let recorded = unit.camera.describe().recorded;
    // A recorded reference is used as a whole.
    let wanted = config.filter(|_| !recorded).map_or(u32::MAX, |config| config.frames);
    let layout = unit.camera.layout_of(subject);
    // A recorded reference may hold other numbers than its tray.
    let pool = if layout == unit.pool.layout() { unit.pool.clone() } else { FramePool::new(layout, REFERENCE_SLOTS) };
    let mut sum = Accumulator::new(layout, &unit.used, pool.slots());
    settings_hold(unit, kind)?;
    let mut recording = folder.map(|folder| ReferenceRecording::create(folder, kind)).transpose()?;
    let mut stream = unit.camera.start(pool, subject)?;
    watch.streaming();
    let (mut heard, mut whole, mut moved) = (Instant::now(), Instant::now(), (f64::NEG_INFINITY, Instant::now()));
    let silence = unit.silence();
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
            Ok(Received::Nothing) if heard.elapsed() > silence => break Err(unit.silent("gave no frame", heard.elapsed()).into()),
            Ok(Received::Nothing) => {}
            Ok(Received::Frame(frame)) => {
                heard = Instant::now();
                if frame.info.status != FrameStatus::Ok {
                    if whole.elapsed() > silence {
                        break Err(unit.silent("gave no whole frame", whole.elapsed()).into());
                    }
                    continue;
                }
                whole = heard;
                if let Some(Passage { track, between_mm: (from, to), standstill }) = passage {
                    let position_mm = track.position_mm(frame.info.time_ns);
                    match position_mm {
                        Some(mm) if mm > moved.0 + MOTION_MM => moved = (mm, Instant::now()),
                        Some(position_mm) if moved.1.elapsed() > *standstill => {
                            break Err(TakeError::Belt { camera: unit.config.name.clone(), position_mm });
                        }
                        _ => {}
                    }
                    match position_mm {
                        Some(mm) if mm > *to => break Ok(()),
                        Some(mm) if mm >= *from => {}
                        _ => continue,
                    }
                }
                if let Some(recording) = &mut recording
                    && let Err(error) = recording.append(frame.slot.bytes())
                {
                    break Err(error.into());
                }
                sum.add(frame);
            }
        }
    };
    unit.camera.ensure_stopped()?;
    drop(stream);
    result?;
    let least = if recorded { 1 } else { wanted.min(LEAST_FRAMES) };
    let frames = sum.frames();
    let camera = unit.config.name.clone();
    let few = || TakeError::Frames { camera, kind, found: frames, wanted: least };
    let reference = if frames >= least { sum.finish(exposure_of(unit, subject)) } else { None }.ok_or_else(few)?;
    Ok(Gathered { reference, recording })
}

/// The settings of a reference. A recorded one of a white panel may state another exposure than its tray.
fn exposure_of(unit: &CameraUnit, subject: Subject) -> Exposure {
    let of_panel = [Subject::White, Subject::WhiteDark].contains(&subject);
    let stated = unit.camera.exposure_of(Subject::Tray).and_then(|_| unit.camera.exposure_of(subject));
    stated.filter(|stated| of_panel && !same_settings(stated, &unit.exposure)).unwrap_or(unit.exposure)
}

/// Makes the reference from the gathered frames of `unit`, and refuses a bad one. A white reference is judged over `dark`, and keeps it as
/// its own.
///
/// # Errors
/// A limit refuses the reference, or its recording cannot be completed.
pub fn judge(unit: &CameraUnit, taking: Taking<'_>, gathered: Gathered, dark: Option<&Held>) -> Result<Held, TakeError> {
    let kind = taking.kind();
    let own_dark = dark.filter(|_| kind == ReferenceKind::White);
    let Gathered { reference, recording } = gathered;
    let figures = figures(unit, &reference, own_dark);
    let refused = |(figure, remedy)| {
        let of_white = if taking.subject == Subject::WhiteDark { "in the one of the white panel (WHITEDARKREF_), " } else { "" };
        TakeError::Refused { camera: unit.config.name.clone(), kind, figure: format!("{of_white}{figure}"), remedy }
    };
    figures.refuse_not_finite().map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    if let Some(config) = taking.config {
        check_limits(unit, (&reference, own_dark), &figures, config, &taking).map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    }
    // A limit says more of the reason.
    let bad = bad_elements(unit, kind, &reference, own_dark);
    bad.filter(|_| kind == ReferenceKind::White).and_then(refuse_dead).map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    let Wavelength { check, doubt, refusal } =
        own_dark.map(|own| wavelength(unit, &taking, &reference, &own.reference)).unwrap_or_default();
    refusal.map_or(Ok(()), |refusal| Err(refused(refusal)))?;
    let gain = own_dark.and_then(|own| gain_doubt(unit, &taking, &reference, &own.reference));
    let doubts: Vec<String> = gain.into_iter().chain(doubt).collect();
    for doubt in &doubts {
        tracing::warn!("{doubt}");
    }
    let settings = unit.recording_settings();
    let mut own_dark = own_dark.cloned().map(Box::new);
    let recording = recording.map(|recording| recording.finish(&settings, &reference, own_dark.as_deref_mut())).transpose()?;
    if let Some(newest) = &recording {
        forget_older(newest, kind);
    }
    if let Some((folder, check)) = taking.folder.zip(check.as_ref()) {
        let of = &unit.config;
        let configured = (of.correction.wavelength_shift_nm, of.correction.smile_nm);
        let line = HistoryLine::new(&of.name, Origin::White, reference.taken_ns, check, configured);
        if let Err(error) = append_history(folder, &line) {
            tracing::warn!(camera = %of.name, %error, "the history of the wavelengths cannot be written");
        }
    }
    let (reference, lamp_hours) = (Arc::new(reference), taking.lamp_hours);
    Ok(Held { reference, recording, figures, own_dark, bad, wavelength: check, doubts, lamp_hours, since: Instant::now() })
}

/// Checks that a camera still has its accepted settings.
fn settings_hold(unit: &mut CameraUnit, kind: ReferenceKind) -> Result<(), TakeError> {
    let accepted = unit.settings()?;
    if same_settings(&accepted, &unit.exposure) {
        return Ok(());
    }
    Err(TakeError::Refused {
        camera: unit.config.name.clone(),
        kind,
        figure: format!("the camera exposes {} µs, a scan {} µs", accepted.exposure_us, unit.exposure.exposure_us),
        remedy: "find what else sets the camera, and start the daemon again",
    })
}

/// References that give no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// A reference is missing.
    #[error("{camera} has no {kind} reference; take one with `hyclus reference`")]
    Missing {
        /// The camera's name.
        camera: String,
        /// The missing kind.
        kind: ReferenceKind,
    },
    /// The panel's reflectance is unknown.
    #[error("{camera} gives counts: the configuration needs [references] with the reflectance of the white panel")]
    NoPanel {
        /// The camera's name.
        camera: String,
    },
    /// The panel's spectrum does not cover the camera's range.
    #[error(transparent)]
    Panel(#[from] PanelError),
    /// References do not fit the camera.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// The calibration of a camera from its held references.
///
/// # Errors
/// A reference or the panel is missing, or does not fit the camera and its settings.
pub fn calibration(unit: &CameraUnit) -> Result<Calibration, CalibrationError> {
    let description = &unit.about;
    match description.values {
        Values::Reflectance { scale, ignore } => Ok(Calibration::Scaled { scale, ignore }),
        Values::Counts => {
            let camera = || unit.config.name.clone();
            let missing = |kind| CalibrationError::Missing { camera: camera(), kind };
            let dark = unit.dark.as_ref().map(|held| Arc::clone(&held.reference)).ok_or_else(|| missing(ReferenceKind::Dark))?;
            let white = unit.white.as_ref().map(Held::white).ok_or_else(|| missing(ReferenceKind::White))?;
            dark.fits("dark reference", &unit.exposure)?;
            white.fits(&unit.exposure, unit.config.correction.knows_linearity(description.saturation))?;
            let panel = unit.panel.as_ref().ok_or_else(|| CalibrationError::NoPanel { camera: camera() })?;
            let reflectance = panel.at(&description.wavelengths_nm)?;
            let mut referenced = Referenced::new(dark, white, reflectance, description.layout, description.saturation, unit.mend.clone())?;
            referenced = referenced.certified(panel);
            if let Some(response) = Response::new(&unit.config.correction, description.saturation) {
                referenced = referenced.with_response(response);
            }
            if let Some((after, lines_ns)) = &unit.dark_after {
                referenced = referenced.with_dark_after(Arc::clone(&after.reference), *lines_ns)?;
            }
            if let Some((after, lines_ns)) = &unit.white_after
                && let Some(change) = change_of(unit, &referenced, after)
            {
                referenced = referenced.with_white_after(Arc::clone(&after.reference), change, *lines_ns);
            }
            Ok(Calibration::Referenced(Box::new(referenced)))
        }
    }
}

/// Status of the references that a camera holds.
pub fn status(unit: &CameraUnit) -> Vec<ReferenceStatus> {
    [(ReferenceKind::Dark, &unit.dark), (ReferenceKind::White, &unit.white)]
        .into_iter()
        .filter_map(|(kind, held)| {
            let held = held.as_ref()?;
            let Held { reference, figures, .. } = held;
            let white = |figure: f64| (kind == ReferenceKind::White).then_some(figure);
            Some(ReferenceStatus {
                camera: unit.config.name.clone(),
                kind,
                taken: iso(reference.taken_ns),
                age_s: held.since.elapsed().as_secs_f64(),
                frames: reference.frames,
                mean_counts: figures.mean,
                noise_counts: f64::from(reference.noise()),
                saturated: figures.saturated,
                flicker: white(figures.flicker),
                evenness: white(figures.evenness),
                dirt: white(figures.dirt),
                least_signal_counts: white(figures.least_band.1),
                bad_elements: held.bad,
                wavelength: held.wavelength.clone(),
                temperature_c: reference.temperature_c,
            })
        })
        .collect()
}
