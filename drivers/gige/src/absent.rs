//! The camera of a build without Aravis.

use crate::config::Config;
use crate::found::Found;
use contract::{CameraDescription, CameraError, Exposure, FramePool, FrameStream, LineCamera, Subject};
use std::convert::Infallible;

/// A camera that this build cannot open.
pub struct Camera(Infallible);

impl Camera {
    /// Refuses to open, because this build has no such cameras.
    ///
    /// # Errors
    /// Always [`CameraError::Start`].
    pub fn open(name: &str, config: &Config) -> Result<Self, CameraError> {
        let reason = config.faults().into_iter().next().map_or_else(String::new, |(key, problem)| format!("camera.device.{key} {problem}"));
        Err(CameraError::Start { camera: name.to_owned(), reason })
    }

    /// The warnings of an open camera, which cannot exist.
    pub fn warnings(&self) -> &[String] {
        match self.0 {}
    }
}

/// Finds no cameras.
pub fn discover() -> Vec<Found> {
    Vec::new()
}

impl LineCamera for Camera {
    fn describe(&self) -> &CameraDescription {
        match self.0 {}
    }

    fn apply(&mut self, _wanted: &Exposure) -> Result<Exposure, CameraError> {
        match self.0 {}
    }

    fn set_shutter(&mut self, _open: bool) -> Result<(), CameraError> {
        match self.0 {}
    }

    fn start(&mut self, _pool: FramePool, _subject: Subject) -> Result<Box<dyn FrameStream>, CameraError> {
        match self.0 {}
    }

    fn ensure_stopped(&mut self) -> Result<(), CameraError> {
        match self.0 {}
    }
}
