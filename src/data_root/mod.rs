//! Scans on the disk: records, processing of recordings, recovery after a crash, deferred embeddings, and verification.

mod again;
mod archived;
mod catch_up;
mod deferred;
mod disk_need;
mod disk_space;
mod finalize;
mod heads;
mod minerals;
mod process;
mod record;
mod recovery;
mod verify;

pub use again::make_again;
pub use archived::{elsewhere, note_archived};
pub use catch_up::{CatchUpError, catch_up, encode_again, upgrade};
pub use disk_need::DiskNeed;
pub use disk_space::{Detector, Needed, check as check_disk, free_mib, needed};
pub use finalize::finalize;
pub use heads::{judge_samples, judge_samples_again};
pub use minerals::catch_up_minerals;
pub use process::{Capture, Opened, Process, ProcessError, judge, reach_mm, take_references, units};
pub use record::{RecordError, all as records, begin, named, one as record};
pub use recovery::{DataRoot, LOCK, RecoveryError};
pub use verify::{Damage, verify};
