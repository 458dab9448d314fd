//! What a scan knows of itself: the tray, the ledger, the record, events and status. These are data and their meaning only. Every other
//! room may use them.

mod archived;
mod cause;
mod encoder;
mod event;
mod format;
mod head;
mod health;
mod ledger;
mod minerals;
mod novelty;
mod quality;
mod record;
mod status;
mod time;
mod tray;

pub use archived::{Archived, FilesHere};
pub use cause::{Cause, Subsystem};
pub use encoder::{EncoderEntry, EncoderRecord, EncoderStatus, MAIN, PendingScans, of_encoder, part_main};
pub use event::{Event, EventKind};
pub use format::NewerFormat;
pub use head::{HeadRecord, HeadValue};
pub use health::{Liveness, Missing, MissingKind, Readiness};
pub use ledger::{Ledger, LedgerLine, LineStatus};
pub use minerals::{FeatureSummary, MineralShares, MineralsRecord, PendingMinerals, SampleMinerals, Share};
pub use novelty::{NovelShare, NoveltyRecord, count_novel, unlike};
pub use quality::Quality;
pub use record::{
    BadElements, DarkLevelDrift, Digest, FileRecord, Keystone, LightChange, LightRange, LineCounts, OverlapStep, ParseError, Pending,
    Plausibility, Registration, RestlessElement, RestlessElements, SampleRecord, ScanRecord, WavelengthCheck, is_scan_id,
};
pub use status::{DeviceStatus, Progress, ReferenceKind, ReferenceStatus, StateName, Status};
pub use time::{compact, day, iso, iso_exact, now_ns};
pub use tray::{Container, Fault, Footprint, Grid, Tray, is_name, is_reserved, map_schema, rows_of_csv, trays_of};
