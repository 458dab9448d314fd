//! What a scan's data path is made of, and how it ends.

use super::Meters;
use crate::acquire::{Acquire, Irregularity, RecordingError};
use crate::calibrate::{Calibrate, LightFinding, LightWatch};
use crate::context::ScanContext;
use crate::disk::Hashes;
use crate::encode::Encode;
use crate::join::{Join, Step};
use crate::publish::Publish;
use crate::quicklook::Quicklook;
use crate::rectify::Rectify;
use crate::scan::{Cause, EventKind, LineCounts, SampleRecord, Subsystem};
use crate::segment::{Findings, Segment, SlipGate};
use crate::store::{NativeLines, Store, StoreError};
use contract::{CameraError, FramePool, FrameStream};
use std::sync::Arc;
use std::time::Duration;

/// What went wrong in the data path. Any of these ends the scan; what was recorded is kept.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A camera fell silent.
    #[error("{camera} gave no frame for {seconds:.1} s; check its link, its trigger and its power")]
    Silent {
        /// Which.
        camera: String,
        /// For how long.
        seconds: f64,
    },
    /// A camera gave frames, and none that was whole.
    #[error("{camera} gave no whole frame for {seconds:.1} s; check its cable and its network")]
    Torn {
        /// Which.
        camera: String,
        /// For how long, by the times of its frames.
        seconds: f64,
    },
    /// The belt does not do what it should.
    #[error(transparent)]
    Belt(#[from] Irregularity),
    /// A lamp failed.
    #[error("{}", .found.message(.camera))]
    Light {
        /// The camera that saw it.
        camera: String,
        /// What it saw.
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
        /// Its name.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A thread ended by a defect of this program.
    #[error("the thread {name} broke down; this is a defect of hyclus, please report it with the log")]
    Broken {
        /// Its name.
        name: String,
    },
}

impl From<&PipelineError> for Cause {
    fn from(error: &PipelineError) -> Self {
        let part = match error {
            PipelineError::Camera(_) | PipelineError::Silent { .. } | PipelineError::Torn { .. } => Subsystem::Camera,
            PipelineError::Belt(_) => Subsystem::Belt,
            PipelineError::Light { .. } => Subsystem::Light,
            PipelineError::Recording(_) | PipelineError::Store(_) => Subsystem::Disk,
            PipelineError::Thread { .. } | PipelineError::Broken { .. } => Subsystem::Data,
        };
        Self::new(part, error.to_string())
    }
}

/// One camera's way to the join.
pub struct CameraParts {
    /// The camera's name.
    pub name: String,
    /// Its running stream.
    pub stream: Box<dyn FrameStream>,
    /// The pool that the stream fills.
    pub pool: FramePool,
    /// Whether the camera waits for those who read it, and loses nothing at the pool.
    pub waits: bool,
    /// Longest time without a frame before the camera is called silent.
    pub silence: Duration,
    /// The stages.
    pub acquire: Acquire,
    /// Counts to reflectance.
    pub calibrate: Calibrate,
    /// What watches the light, where a white strip is in view.
    pub light: Option<LightWatch>,
    /// Lines to rows.
    pub rectify: Rectify,
    /// Width of a pixel across the belt, mm.
    pub pixel_mm: f64,
    /// Bands of the camera.
    pub bands: usize,
    /// Where its calibrated lines wait for the samples, where these are kept on its own grid too.
    pub native: Option<Arc<NativeLines>>,
    /// How many rows this camera may be ahead of the others.
    pub lead_rows: usize,
}

/// Tells what happens, from any thread.
pub type Emit = Arc<dyn Fn(EventKind) + Send + Sync>;

/// Everything a scan's data path is made of.
pub struct PipelineParts {
    /// What is fixed for the scan.
    pub context: Arc<ScanContext>,
    /// The cameras.
    pub cameras: Vec<CameraParts>,
    /// The join.
    pub join: Join,
    /// The segmentation.
    pub segment: Segment,
    /// What tells slip.
    pub slip: SlipGate,
    /// The picture of the tray.
    pub quicklook: Option<Quicklook>,
    /// The sample files.
    pub store: Store,
    /// What hashes the files meanwhile: whoever runs the plan asks it at the end.
    pub hashes: Arc<Hashes>,
    /// Encoder and publisher, where an encoder is configured and both can be had.
    pub encode: Option<(Encode, Publish)>,
    /// Why they cannot be had: embeddings are left for later.
    pub deferred: Option<String>,
    /// How long a live scan waits for the encoder behind everything else.
    pub linger: Duration,
    /// Meters of the process.
    pub meters: Meters,
    /// Where events go.
    pub emit: Emit,
}

/// How a scan's data path ended.
#[derive(Debug)]
pub struct Outcome {
    /// Sums of each camera, in the order of the configuration.
    pub sums: Vec<LineCounts>,
    /// The samples stored, in the order in which they were closed.
    pub samples: Vec<SampleRecord>,
    /// What the segmentation has to tell.
    pub findings: Findings,
    /// What did not go together.
    pub irregularities: Vec<Irregularity>,
    /// Mean advance of the belt from line to line of each camera over its pixel across the belt; `None` where positions were not
    /// measured.
    pub anisotropy: Vec<Option<f64>>,
    /// Steps between cameras whose ranges meet.
    pub steps: Vec<Step>,
    /// Rows of embeddings published.
    pub embeddings: u64,
    /// Why embeddings were left for later, where some were.
    pub deferred: Option<String>,
    /// Why the scan was ended early.
    pub reason: Option<String>,
    /// The error that ended it, where there was one.
    pub error: Option<PipelineError>,
}
