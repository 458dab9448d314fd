//! Why a rig is faulted.

use contract::{CameraError, ConveyorError, LightError};

/// What failed, as it labels the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subsystem {
    /// A camera.
    Camera,
    /// The belt, its drive or its encoder.
    Belt,
    /// A lamp or its controller.
    Light,
    /// The disk that the data goes to.
    Disk,
    /// The data path itself.
    Data,
}

impl Subsystem {
    /// Every part.
    pub const ALL: [Self; 5] = [Self::Camera, Self::Belt, Self::Light, Self::Disk, Self::Data];

    /// Its name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Belt => "belt",
            Self::Light => "light",
            Self::Disk => "disk",
            Self::Data => "data",
        }
    }
}

/// Why the rig is faulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What failed.
    pub part: Subsystem,
    /// What it said, and what to do.
    pub text: String,
}

impl Cause {
    /// A cause in words.
    pub fn new(part: Subsystem, text: impl Into<String>) -> Self {
        Self { part, text: text.into() }
    }
}

impl From<&CameraError> for Cause {
    fn from(error: &CameraError) -> Self {
        Self::new(Subsystem::Camera, error.to_string())
    }
}

impl From<&ConveyorError> for Cause {
    fn from(error: &ConveyorError) -> Self {
        Self::new(Subsystem::Belt, error.to_string())
    }
}

impl From<&LightError> for Cause {
    fn from(error: &LightError) -> Self {
        Self::new(Subsystem::Light, error.to_string())
    }
}
