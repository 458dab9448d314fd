//! Large files on the disk: reserved space, compressed chunks, reused memory pages, access past the page cache, hashes, and free space.

mod advice;
mod background_sync;
mod buffer;
mod create;
mod deflate;
mod digest;
mod direct;
mod folders;
mod hashes;
mod priority;
mod rate;
mod reserve;
mod space;
mod stall;
mod whole;

pub(crate) use advice::advice;
pub(crate) use background_sync::BackgroundSync;
pub(crate) use buffer::{Buffer, Buffers, PAGE};
pub(crate) use create::{check_folders, create_folders, create_new, create_over, open_plain, remove_stale};
pub(crate) use deflate::Deflate;
pub(crate) use digest::Hashed;
pub(crate) use direct::{DirectFile, DirectReader};
pub(crate) use folders::{folder_of, sync_above, sync_folders};
pub use hashes::{Growing, Hashes};
pub(crate) use priority::give_way;
pub use priority::lower_priority_by;
pub(crate) use rate::write_rate;
pub(crate) use reserve::Reservation;
pub(crate) use space::{free_bytes, free_of};
pub(crate) use stall::{Stream, stalls};
pub(crate) use whole::{remove_whole, write_whole};
