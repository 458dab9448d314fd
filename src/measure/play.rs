//! Plays a recorded camera for a measurement.

use crate::acquire::{Acquire, Acquired, ConstantSpeed, Places};
use crate::config::Loaded;
use crate::data_root::{Capture, Opened, ProcessError, judge, reach_mm, take_references, units};
use crate::devices::CameraUnit;
use crate::pipeline::build::BuildError;
use contract::{Received, Subject};
use std::time::{Duration, Instant};

/// Recorded cameras with their references, and the places of their lines.
pub(crate) struct Recorded {
    /// The cameras, each with the places of its lines.
    pub cameras: Vec<(CameraUnit, Places)>,
    /// Time of the first line where one is recorded, ns since 1970-01-01T00:00:00Z.
    pub first_line_ns: Option<i64>,
}

impl Recorded {
    /// Opens captures, and takes their references.
    ///
    /// # Errors
    /// A capture or its references cannot be used.
    pub(crate) fn open(loaded: &Loaded, captures: &[Capture]) -> Result<Self, ProcessError> {
        let Opened { mut units, first_line_ns, tables } = units(loaded, captures)?;
        let places = judge(&loaded.config, &units, &tables, reach_mm(&loaded.config, None));
        take_references(loaded, captures, &mut units)?;
        Ok(Self { cameras: units.into_iter().zip(places).collect(), first_line_ns })
    }
}

/// Gives every line and gap of a recorded camera to `take`, and stops the camera.
///
/// # Errors
/// The recording cannot be played.
pub(crate) fn play(loaded: &Loaded, unit: &mut CameraUnit, places: Places, mut take: impl FnMut(Acquired)) -> Result<(), ProcessError> {
    let config = &loaded.config;
    let constant = ConstantSpeed { speed_mm_per_s: config.conveyor.speed_mm_per_s, frame_rate_hz: unit.exposure.frame_rate_hz };
    let mut acquire = Acquire::new(unit.config.offset_mm, None, None, constant, None);
    acquire.judged(places, reach_mm(config, None));
    let mut stream = unit.camera.start(unit.pool.clone(), Subject::Tray)?;
    loop {
        match stream.next(Instant::now() + Duration::from_secs(1))? {
            Received::End => break,
            Received::Nothing => {}
            Received::Frame(frame) => acquire.process(frame, &mut |_| {}, &mut take).map_err(BuildError::from)?,
        }
    }
    drop(stream);
    Ok(unit.camera.ensure_stopped()?)
}
