//! Line-scan cameras.

use crate::frame::{Frame, FramePool, Layout};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Instant;

/// The meaning of a camera's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Values {
    /// Detector counts that need a dark and a white reference.
    Counts,
    /// Reflectance already, in units of `1 / scale`. A value equal to `ignore` means no value.
    Reflectance {
        /// The number for a reflectance of one (`reflectance scale factor` of an ENVI header).
        scale: f64,
        /// The number for "no data", where there is one.
        ignore: Option<f64>,
    },
}

/// The thing under the camera, as far as the caller knows. A live camera ignores it. A recorded one plays the recording of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The tray.
    Tray,
    /// Darkness before a scan: the shutter is closed, or the lamps are off.
    Dark,
    /// The white panel.
    White,
    /// Darkness at the time of the white panel. Without a recording of it, [`Subject::Dark`] serves.
    WhiteDark,
    /// Darkness after a scan.
    DarkAfter,
    /// The white panel after a scan.
    WhiteAfter,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tray => "tray",
            Self::Dark => "dark",
            Self::White => "white",
            Self::WhiteDark => "dark of the white panel",
            Self::DarkAfter => "dark after the scan",
            Self::WhiteAfter => "white after the scan",
        })
    }
}

/// A camera and its abilities. Abilities are data here, not methods that fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraDescription {
    /// Maker and model.
    pub model: String,
    /// Serial number, empty where there is none.
    pub serial: String,
    /// Shape of a frame.
    pub layout: Layout,
    /// Band centres, nm, one for each of `layout.bands`.
    pub wavelengths_nm: Vec<f64>,
    /// Full width at half maximum of each band, nm, where known.
    pub fwhm_nm: Option<Vec<f64>>,
    /// The meaning of the numbers.
    pub values: Values,
    /// Counts at and above this level are saturated. `None` where the level is not known.
    pub saturation: Option<f64>,
    /// Whether [`LineCamera::set_shutter`] moves something.
    pub shutter: bool,
    /// Whether the camera plays recordings of its references ([`Subject::Dark`], [`Subject::White`]). Such a camera needs neither
    /// shutter, lamps nor belt for them.
    pub recorded: bool,
    /// Whether frames may be taken late without a loss. Recordings are read on demand.
    pub waits: bool,
    /// Highest frame rate, 1/s.
    pub max_frame_rate_hz: f64,
    /// Shortest and longest exposure, µs.
    pub exposure_range_us: (f64, f64),
    /// Frames in a recording of the tray. `None` for a live camera.
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

/// A result of [`FrameStream::next`].
#[derive(Debug)]
pub enum Received {
    /// A frame.
    Frame(Frame),
    /// No frame came before the deadline.
    Nothing,
    /// The stream has ended: the recording is at its end, or the camera was stopped.
    End,
}

/// A camera's faults. A refusal comes from the device. A broken link leaves it silent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CameraError {
    /// The device refused a setting.
    #[error("{camera} refused {setting} = {wanted}: {reason}")]
    Refused {
        /// The camera's configured name.
        camera: String,
        /// The name of the setting.
        setting: &'static str,
        /// The value that was asked for.
        wanted: String,
        /// The device's reason.
        reason: String,
    },
    /// The link is broken, or the device does not answer.
    #[error("{camera} does not answer: {reason}; check its cable and power")]
    Link {
        /// The camera's configured name.
        camera: String,
        /// The symptom.
        reason: String,
    },
    /// The camera lacks an ability, as its description says.
    #[error("{camera} has no {ability}")]
    Unable {
        /// The camera's configured name.
        camera: String,
        /// The ability that it lacks.
        ability: &'static str,
    },
    /// A recorded camera has no recording of this subject.
    #[error("{camera}: the capture lacks its {subject} recording; looked for {}", path.display())]
    NoRecording {
        /// The camera's configured name.
        camera: String,
        /// The subject that was asked for.
        subject: Subject,
        /// The file that is missing.
        path: PathBuf,
    },
    /// A recording cannot be used.
    #[error("{camera}: {}: {reason}", path.display())]
    Recording {
        /// The camera's configured name.
        camera: String,
        /// The file.
        path: PathBuf,
        /// The fault of the file.
        reason: String,
    },
    /// A stream runs already, or the pool's frames have another shape.
    #[error("{camera} cannot start: {reason}")]
    Start {
        /// The camera's configured name.
        camera: String,
        /// The reason.
        reason: String,
    },
}

/// The control half of a camera. Setters return the values that the hardware accepted, never the request.
pub trait LineCamera: Send {
    /// The camera and its abilities.
    fn describe(&self) -> &CameraDescription;
    /// Whether each of `layout.bands` may be used, where the source says so (`bbl` of an ENVI header). `None` where it does not.
    /// At least one band may be used.
    fn used_bands(&self) -> Option<&[bool]> {
        None
    }
    /// Shape of the frames of a subject. Only the storage of an element may differ from the description's: a recorded reference may
    /// hold other numbers than its tray.
    fn layout_of(&self, _subject: Subject) -> Layout {
        self.describe().layout
    }
    /// Settings of the recording of a subject, where that states its exposure. `None` for a live camera.
    fn exposure_of(&self, _subject: Subject) -> Option<Exposure> {
        None
    }
    /// Applies settings and reads them back.
    ///
    /// # Errors
    /// [`CameraError::Refused`] for a setting that the device does not take. [`CameraError::Refused`] or [`CameraError::Start`]
    /// while a stream runs. [`CameraError::Link`] for a device that does not answer.
    fn apply(&mut self, wanted: &Exposure) -> Result<Exposure, CameraError>;
    /// Opens or closes the shutter.
    ///
    /// # Errors
    /// [`CameraError::Unable`] where the description has no shutter. [`CameraError::Refused`] and [`CameraError::Link`] as in
    /// [`apply`](Self::apply).
    fn set_shutter(&mut self, open: bool) -> Result<(), CameraError>;
    /// Bytes that the camera needs behind the counts of a slot (see [`FramePool::with_room`]). It receives there what comes with
    /// a frame. Without that room it copies each frame.
    fn frame_room(&self) -> usize {
        0
    }
    /// Starts a stream whose frames come from `pool`. Frame numbers start anew at zero.
    ///
    /// # Errors
    /// [`CameraError::Start`] while a stream runs, or for a pool of another layout. [`CameraError::Link`] for a device that does
    /// not answer. [`CameraError::NoRecording`] and [`CameraError::Recording`] from a recorded camera.
    fn start(&mut self, pool: FramePool, subject: Subject) -> Result<Box<dyn FrameStream>, CameraError>;
    /// Ends the stream, if one runs. It is idempotent and works in any state. The stream answers [`Received::End`] after its
    /// waiting frames.
    ///
    /// # Errors
    /// [`CameraError::Link`] for a device that does not answer. The device may then still run.
    fn ensure_stopped(&mut self) -> Result<(), CameraError>;
}

/// The data half of a camera. The acquisition thread owns it, and control never waits for an exposure.
pub trait FrameStream: Send {
    /// The next frame. The call waits for it until `deadline`.
    ///
    /// # Errors
    /// [`CameraError::Link`] once the link is broken. [`CameraError::Recording`] for a recording that cannot be read.
    fn next(&mut self, deadline: Instant) -> Result<Received, CameraError>;
    /// Counters since the start of the stream.
    fn statistics(&self) -> StreamStatistics;
    /// Further counters of the link since then, by name: packets, requests, failures. They only rise.
    fn link_counters(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}
