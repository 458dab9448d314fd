//! What the rig is doing, and what a scan knows of itself.

mod context;
mod ledger;
mod operations;
mod tray;

pub use context::{CameraContext, EncoderContext, ScanContext};
pub use ledger::{Ledger, LedgerLine, LineStatus};
pub use operations::{
    CameraSums, ConveyorRequest, DeviceStatus, Event, EventKind, FileRecord, LightingRequest, Operations, Peer, Progress, ReferenceKind,
    ReferenceStatus, Refusal, SampleRecord, ScanRecord, ScanRequest, StateName, Status,
};
pub use tray::{Container, Fault, Footprint, Grid, Tray, is_name};
