//! Why a rig is faulted.

use contract::{CameraError, ConveyorError, LightError};

/// The part of the rig that failed, or its operator: a label of the fault metric.
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
    /// Nothing failed: a person stopped the rig in an emergency.
    Operator,
}

impl Subsystem {
    /// Every subsystem.
    pub const ALL: [Self; 6] = [Self::Camera, Self::Belt, Self::Light, Self::Disk, Self::Data, Self::Operator];

    /// The subsystem's name, as the metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Belt => "belt",
            Self::Light => "light",
            Self::Disk => "disk",
            Self::Data => "data",
            Self::Operator => "operator",
        }
    }
}

/// Why the rig is faulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The part of the rig that failed.
    pub subsystem: Subsystem,
    /// The device's message and the remedy.
    pub text: String,
}

impl Cause {
    /// A cause in words.
    pub fn new(subsystem: Subsystem, text: impl Into<String>) -> Self {
        Self { subsystem, text: text.into() }
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
