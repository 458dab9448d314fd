//! The parts of a scan's data path, and its outcome.

use super::{EncoderOutcome, EncoderParts, Meters, ScanMinerals};
use crate::acquire::{Acquire, Irregularity, RecordingError};
use crate::calibrate::{Calibrate, LightFinding, LightWatch};
use crate::context::ScanContext;
use crate::detector::{DetectorFindings, DetectorWatch};
use crate::disk::Hashes;
use crate::join::Join;
use crate::live::{CameraTap, EmbeddingTap, LedgerTap, ScanTap};
use crate::native_lines::NativeLines;
use crate::quicklook::Quicklook;
use crate::rectify::Rectify;
use crate::registration::SlipGate;
use crate::scan::{Cause, EventKind, LightRange, LineCounts, SampleRecord, Subsystem};
use crate::segment::{Findings, Segment};
use crate::store::{Store, StoreError};
use contract::{CameraError, FramePool, FrameStream};
use std::sync::Arc;
use std::time::Duration;

/// A failure of the data path. Each ends the scan, and the recording is kept.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A camera fell silent.
    #[error("{camera} gave no frame for {seconds:.1} s (camera.silence_s); check its link, its trigger and its power")]
    Silent {
        /// The camera's configured name.
        camera: String,
        /// Time without a frame, s.
        seconds: f64,
    },
    /// A camera gave frames, and none that was whole.
    #[error("{camera} gave no whole frame for {seconds:.1} s (camera.silence_s); check its cable and its network")]
    Torn {
        /// The camera's configured name.
        camera: String,
        /// Time without a whole frame, by the times of the frames, s.
        seconds: f64,
    },
    /// The belt does not move as it should.
    #[error(transparent)]
    Belt(#[from] Irregularity),
    /// A lamp failed.
    #[error("{}", .found.message(.camera))]
    Light {
        /// The camera that saw it.
        camera: String,
        /// The change of the light.
        found: LightFinding,
    },
    /// The raw recording cannot be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A sample file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread cannot be started.
    #[error("the thread {name} cannot be started: {error}")]
    Thread {
        /// The thread's name.
        name: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// A thread ended by a defect of this program.
    #[error("the thread {name} broke down; this is a defect of hyclus, please report it with the log")]
    Broken {
        /// The thread's name.
        name: String,
    },
}

impl From<&PipelineError> for Cause {
    fn from(error: &PipelineError) -> Self {
        let subsystem = match error {
            PipelineError::Camera(_) | PipelineError::Silent { .. } | PipelineError::Torn { .. } => Subsystem::Camera,
            PipelineError::Belt(_) => Subsystem::Belt,
            PipelineError::Light { .. } => Subsystem::Light,
            PipelineError::Recording(_) | PipelineError::Store(_) => Subsystem::Disk,
            PipelineError::Thread { .. } | PipelineError::Broken { .. } => Subsystem::Data,
        };
        Self::new(subsystem, error.to_string())
    }
}

/// One camera's stages, up to the join.
pub struct CameraParts {
    /// The camera's name.
    pub name: String,
    /// The camera's running stream.
    pub stream: Box<dyn FrameStream>,
    /// The pool that the stream fills.
    pub pool: FramePool,
    /// Whether the camera waits for its reader, and so loses nothing at the pool.
    pub waits: bool,
    /// Longest time without a frame before the camera is called silent.
    pub silence: Duration,
    /// Frames to lines.
    pub acquire: Acquire,
    /// Counts to reflectance.
    pub calibrate: Calibrate,
    /// The watch on the detector.
    pub detector: DetectorWatch,
    /// The watch on the light, where a white strip is in view.
    pub light: Option<LightWatch>,
    /// Lines to rows.
    pub rectify: Rectify,
    /// Width of a pixel across the belt, mm.
    pub pixel_mm: f64,
    /// Store of its calibrated lines, where samples keep them on the camera's own grid too.
    pub native: Option<Arc<NativeLines>>,
    /// Rows by which this camera may be ahead of the others.
    pub lead_rows: usize,
    /// Its picture and its ledger on the live tap, where there is one.
    pub live: Option<(CameraTap, LedgerTap)>,
}

/// Emits an event. Any thread may call it.
pub type Emit = Arc<dyn Fn(EventKind) + Send + Sync>;

/// All parts of a scan's data path.
pub struct PipelineParts {
    /// Facts that stay fixed during the scan.
    pub context: Arc<ScanContext>,
    /// The cameras.
    pub cameras: Vec<CameraParts>,
    /// The join.
    pub join: Join,
    /// The segmentation.
    pub segment: Segment,
    /// The check for slip between belt and tray.
    pub slip: SlipGate,
    /// The picture of the tray.
    pub quicklook: Option<Quicklook>,
    /// The writer of the sample files.
    pub store: Store,
    /// The threads that hash the files during the scan. The caller reads the hashes at the end.
    pub hashes: Arc<Hashes>,
    /// The encoders.
    pub encoders: Vec<EncoderParts>,
    /// The identification of minerals.
    pub minerals: ScanMinerals,
    /// The scan on the live tap, and its embeddings, where there is one.
    pub live: Option<(ScanTap, EmbeddingTap)>,
    /// Meters of the process.
    pub meters: Meters,
    /// The receiver of events.
    pub emit: Emit,
}

/// How a scan's data path ended.
#[derive(Debug)]
pub struct Outcome {
    /// Line counts of each camera, in the order of the configuration.
    pub sums: Vec<LineCounts>,
    /// The samples stored, in the order in which they were closed.
    pub samples: Vec<SampleRecord>,
    /// The findings of the segmentation.
    pub findings: Findings,
    /// Irregularities of belt and cameras.
    pub irregularities: Vec<Irregularity>,
    /// Ratio of the mean belt advance per line to the pixel width across the belt, by camera. `None` without measured positions.
    pub anisotropy: Vec<Option<f64>>,
    /// The light on the white strip, by camera; `None` without a strip.
    pub light: Vec<Option<LightRange>>,
    /// What the watch on each camera's detector found; `None` without lines.
    pub detectors: Vec<Option<DetectorFindings>>,
    /// What each encoder made.
    pub encoders: Vec<EncoderOutcome>,
    /// Reason why minerals were deferred, where some were.
    pub minerals: Option<String>,
    /// Largest share of a sample that is not identified.
    pub max_not_identified: f64,
    /// Reason why the scan ended early.
    pub reason: Option<String>,
    /// The error that ended it, where there was one.
    pub error: Option<PipelineError>,
}
