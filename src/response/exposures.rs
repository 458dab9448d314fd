//! White references of one panel at several exposures, from recordings.

use super::linearity::{FitError, Step};
use crate::config::{CameraConfig, CorrectionConfig, Loaded};
use crate::data_root::{Capture, Opened, ProcessError, RecoveryError, units};
use crate::devices::references::{self, TakeError, Taking};
use crate::devices::{CameraUnit, DeviceError};
use crate::measure::WriteError;
use crate::reference::{Reference, same_settings};
use contract::{CameraError, ConveyorError, Layout, LightError, Subject, Values};
use std::path::PathBuf;

/// The signal of the panel at several exposures.
#[derive(Debug, Clone)]
pub struct Series {
    /// The camera's configured name.
    pub camera: String,
    /// The configured correction.
    pub configured: CorrectionConfig,
    /// Level of saturation, counts.
    pub full: f64,
    /// The exposures, in the order in which they were taken.
    pub steps: Vec<Step>,
}

impl Series {
    /// A series without an exposure. The camera must give counts, with a known level of saturation.
    ///
    /// # Errors
    /// [`LinearityError::Counts`] for a camera of which this is not known.
    pub(super) fn of(unit: &CameraUnit) -> Result<Self, LinearityError> {
        let CameraConfig { name, correction, .. } = &unit.config;
        match (unit.about.values, unit.about.saturation) {
            (Values::Counts, Some(full)) => Ok(Self { camera: name.clone(), configured: correction.clone(), full, steps: Vec::new() }),
            _ => Err(LinearityError::Counts { camera: name.clone() }),
        }
    }
}

/// The linearity cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum LinearityError {
    /// A capture cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A reference cannot be taken.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// A camera fails.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A device cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The conveyor fails.
    #[error(transparent)]
    Conveyor(#[from] ConveyorError),
    /// A lamp fails.
    #[error(transparent)]
    Light(#[from] LightError),
    /// The data root is in use.
    #[error(transparent)]
    InUse(#[from] RecoveryError),
    /// The series gives no curve.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The configuration cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A camera without counts, or without a level of saturation.
    #[error("{camera}: linearity needs counts, and their level of saturation; set `bits` or `saturation` in camera.device")]
    Counts {
        /// The camera's configured name.
        camera: String,
    },
    /// A recording does not state its exposure.
    #[error("{}: nothing tells the exposure of its white reference; add `tint = ...` (ms) to the header of WHITEREF_NAME", path.display())]
    Unstated {
        /// The recording.
        path: PathBuf,
    },
    /// A white reference has no dark one of its exposure.
    #[error(
        "{}: the white reference was taken at {exposure_us} µs, and no dark one of that exposure lies beside it; record it as WHITEDARKREF_NAME, with `tint` in its header",
        path.display()
    )]
    NoDark {
        /// The recording.
        path: PathBuf,
        /// Exposure of the white reference, µs.
        exposure_us: f64,
    },
    /// Recordings of one camera with other pixels, bands or binning.
    #[error("{}: it has other pixels, bands or binning than the first recording of {camera}; give recordings of one setting", path.display())]
    Unlike {
        /// The camera's configured name.
        camera: String,
        /// The recording.
        path: PathBuf,
    },
    /// The series was not taken.
    #[error("{0}")]
    Live(String),
    /// Something was not put back.
    #[error("{0}")]
    Unsafe(String),
}

/// The white references of recordings, by camera, in the order of the configuration.
///
/// # Errors
/// A recording cannot be read, or does not state its exposure. It lacks a dark reference of that exposure, or has another shape.
pub fn recorded(loaded: &Loaded, captures: &[Capture]) -> Result<Vec<Series>, LinearityError> {
    let mut all: Vec<(Series, Layout, (u32, u32))> = Vec::new();
    for capture in captures {
        let Opened { mut units, .. } = units(loaded, std::slice::from_ref(capture))?;
        let Some(mut unit) = units.pop() else { continue };
        let (white, dark) = pair(&mut unit, capture)?;
        let (layout, binning) = (Layout { format: unit.pool.layout().format, ..unit.about.layout }, white.exposure.binning);
        let step = |full| Step::new(&white, &dark, full);
        match all.iter_mut().find(|(series, ..)| series.camera == capture.camera) {
            Some((series, same, same_binning)) => {
                if (*same, *same_binning) != (layout, binning) {
                    return Err(LinearityError::Unlike { camera: capture.camera.clone(), path: capture.path.clone() });
                }
                series.steps.push(step(series.full));
            }
            None => {
                let mut series = Series::of(&unit)?;
                series.steps.push(step(series.full));
                all.push((series, layout, binning));
            }
        }
    }
    let place = |series: &Series| loaded.config.camera.iter().position(|camera| camera.name == series.camera);
    all.sort_by_key(|(series, ..)| place(series));
    Ok(all.into_iter().map(|(series, ..)| series).collect())
}

/// The white reference of a capture and the dark one of its exposure. No limit of the configuration refuses them.
fn pair(unit: &mut CameraUnit, capture: &Capture) -> Result<(Reference, Reference), LinearityError> {
    let gather = |unit: &mut CameraUnit, subject| references::gather(unit, Taking::recorded(subject, None), &()).map(|of| of.reference);
    let stated = |unit: &CameraUnit, subject| unit.camera.exposure_of(subject);
    let path = || capture.path.clone();
    let of_tray = stated(unit, Subject::Tray);
    let exposure = stated(unit, Subject::White).or(of_tray).ok_or_else(|| LinearityError::Unstated { path: path() })?;
    let mut white = gather(unit, Subject::White)?;
    white.exposure = exposure;
    let own = match gather(unit, Subject::WhiteDark) {
        Ok(own) => Some((own, stated(unit, Subject::WhiteDark))),
        Err(TakeError::Camera(CameraError::NoRecording { .. })) => None,
        Err(error) => return Err(error.into()),
    };
    let (dark, of_dark) = match own {
        Some(own) => own,
        None => (gather(unit, Subject::Dark)?, stated(unit, Subject::Dark)),
    };
    // A header without an exposure is that of the tray's settings.
    if of_dark.or(of_tray).is_some_and(|of_dark| same_settings(&of_dark, &exposure)) {
        return Ok((white, dark));
    }
    Err(LinearityError::NoDark { path: path(), exposure_us: exposure.exposure_us })
}
