//! What the rig is doing, and what a scan knows of itself.

pub mod assemble;
mod bench;
mod catch_up;
mod conductor;
mod connect;
mod context;
pub mod devices;
mod events;
mod geometry;
mod hashes;
mod health;
mod lamps;
mod ledger;
mod operations;
mod pending;
mod process;
mod pulse;
mod record;
mod recovery;
pub mod references;
mod room;
mod settle;
pub mod state;
mod time;
mod tray;
mod verify;

pub use bench::{BenchCamera, BenchError, BenchStage, Measured, Scaled, measure, scale};
pub use catch_up::CatchUpError;
pub use conductor::{Conductor, Rig};
pub use connect::{Connected, connect};
pub use context::{CameraContext, EncoderContext, ScanContext};
pub use events::EventLog;
pub use geometry::{Geometry, GeometryError, measure as measure_geometry, write_back as write_geometry};
pub use hashes::{Growing, Hashes};
pub use health::{Liveness, Missing, MissingKind, Readiness};
pub use ledger::{Ledger, LedgerLine, LineStatus};
pub use operations::{
    CameraSums, ConveyorRequest, DeviceStatus, Event, EventKind, LightingRequest, Operations, Peer, Progress, ReferenceKind,
    ReferenceRequest, ReferenceStatus, Refusal, ScanRecord, ScanRequest, StateName, Status,
};
pub use pending::Pending;
pub use process::{Capture, Process, ProcessError};
pub use record::{DarkLevelDrift, Digest, FileRecord, OverlapStep, RecordError, SampleRecord, all as records, is_scan_id, one as record};
pub use recovery::{DataRoot, RecoveryError};
pub(crate) use room::MIB;
pub use room::{Detector, Needed, free_mib, needed};
pub use time::{compact, iso, now_ns};
pub use tray::{Container, Fault, Footprint, Grid, Tray, is_name};
pub use verify::{Damage, verify};
