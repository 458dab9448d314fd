//! Line-scan cameras.

use crate::frame::{Frame, FramePool, Layout};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Instant;

/// What the numbers of a camera mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Values {
    /// Detector counts that need a dark and a white reference.
    Counts,
    /// Already reflectance: divide by `scale`. A value equal to `ignore` means no value.
    Reflectance {
        /// What stands for a reflectance of one (`reflectance scale factor` of an ENVI header).
        scale: f64,
        /// The value that stands for "no data", where there is one.
        ignore: Option<f64>,
    },
}

/// What lies under the camera, as far as the caller knows. A live camera ignores it; a recorded one plays the recording of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The tray.
    Tray,
    /// Nothing: the shutter is closed, or the lamps are off.
    Dark,
    /// The white panel.
    White,
    /// Nothing, once more: the dark after a scan.
    DarkAfter,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tray => "tray",
            Self::Dark => "dark",
            Self::White => "white",
            Self::DarkAfter => "dark after the scan",
        })
    }
}

/// What a camera is and can do. Abilities are data here, not methods that fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraDescription {
    /// Maker and model.
    pub model: String,
    /// Serial number, empty where there is none.
    pub serial: String,
    /// Shape of a frame.
    pub layout: Layout,
    /// Band centres, nm; as long as `layout.bands`.
    pub wavelengths_nm: Vec<f64>,
    /// Full width at half maximum of each band, nm, where known.
    pub fwhm_nm: Option<Vec<f64>>,
    /// What the numbers mean.
    pub values: Values,
    /// Counts at and above this level are saturated; `None` where that is not known.
    pub saturation: Option<f64>,
    /// Whether [`LineCamera::set_shutter`] moves something.
    pub shutter: bool,
    /// Whether the camera plays recordings of its references ([`Subject::Dark`], [`Subject::White`]) itself, so that neither
    /// shutter, lamps nor belt are needed to take them.
    pub recorded: bool,
    /// Whether nothing is lost when frames are taken late (recordings read on demand).
    pub waits: bool,
    /// Highest frame rate, 1/s.
    pub max_frame_rate_hz: f64,
    /// Shortest and longest exposure, µs.
    pub exposure_range_us: (f64, f64),
    /// How many frames a recording of the tray holds; `None` for a live camera.
    pub frames: Option<u64>,
}

/// Settings of an exposure. [`LineCamera::apply`] returns what the hardware accepted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// Exposure time, µs.
    pub exposure_us: f64,
    /// Frames per second.
    pub frame_rate_hz: f64,
    /// Pixels binned together, spatially and spectrally.
    pub binning: (u32, u32),
}

/// Counters of a stream since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamStatistics {
    /// Frames delivered.
    pub received: u64,
    /// Frames lost because no slot of the pool was free.
    pub lost_pool: u64,
    /// Frames lost before they reached the pool (link, camera, recording).
    pub lost_link: u64,
}

/// What [`FrameStream::next`] brings.
#[derive(Debug)]
pub enum Received {
    /// A frame.
    Frame(Frame),
    /// None came before the deadline.
    Nothing,
    /// There will be no more: the recording is at its end, or the camera was stopped.
    End,
}

/// A camera's faults. A refusal (the device answered, and said no) and a broken link are different things.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// The device refused a setting.
    #[error("{camera} refused {setting} = {wanted}: {reason}")]
    Refused {
        /// Which camera.
        camera: String,
        /// Which setting.
        setting: &'static str,
        /// What was asked.
        wanted: String,
        /// What it said.
        reason: String,
    },
    /// The link is broken, or the device does not answer.
    #[error("{camera} does not answer: {reason}; check its cable and power")]
    Link {
        /// Which camera.
        camera: String,
        /// What was seen.
        reason: String,
    },
    /// The camera was asked for what its description says it cannot do.
    #[error("{camera} has no {ability}")]
    Unable {
        /// Which camera.
        camera: String,
        /// What it lacks.
        ability: &'static str,
    },
    /// A recorded camera has no recording of this subject.
    #[error("{camera}: the capture lacks its {subject} recording; looked for {}", path.display())]
    NoRecording {
        /// Which camera.
        camera: String,
        /// What was asked for.
        subject: Subject,
        /// Where it should be.
        path: PathBuf,
    },
    /// A recording cannot be used.
    #[error("{camera}: {}: {reason}", path.display())]
    Recording {
        /// Which camera.
        camera: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A stream is running already, or the pool has frames of another shape.
    #[error("{camera} cannot start: {reason}")]
    Start {
        /// Which camera.
        camera: String,
        /// Why.
        reason: String,
    },
}

/// The control half of a camera. Setters return what the hardware accepted, never the request.
pub trait LineCamera: Send {
    /// What the camera is and can do.
    fn describe(&self) -> &CameraDescription;
    /// Applies settings and reads them back.
    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError>;
    /// Opens or closes the shutter; [`CameraError::Unable`] where the description has none.
    fn set_shutter(&mut self, open: bool) -> Result<(), CameraError>;
    /// Room that the slots of its pool need behind the counts, bytes, so that it receives into them what comes with a frame (see
    /// [`FramePool::with_room`]). It works without, and copies then.
    fn frame_room(&self) -> usize {
        0
    }
    /// Starts a stream whose frames come from `pool`. Frame numbers start anew at zero.
    fn start(&mut self, pool: FramePool, subject: Subject) -> Result<Box<dyn FrameStream>, CameraError>;
    /// Ends the stream, if one runs; idempotent, in any state. A stream that was running answers [`Received::End`] once its
    /// frames that wait are taken.
    fn ensure_stopped(&mut self) -> Result<(), CameraError>;
}

/// The data half, owned by the acquisition thread, so that control never waits for an exposure.
pub trait FrameStream: Send {
    /// The next frame, waiting for it until `deadline`.
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError>;
    /// Counters since the start of the stream.
    fn statistics(&self) -> StreamStatistics;
    /// What else the link counts since then, by the names of whoever counts it: packets, requests, failures. They only rise.
    fn link_counters(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}
