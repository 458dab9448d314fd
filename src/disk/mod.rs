//! Large files on the disk: room asked for ahead, pages in memory that are used again, writing and reading past the page
//! cache, hashes of files, and what a disk has room for.

mod behind;
mod buffer;
mod digest;
mod direct;
mod folders;
mod reserve;
mod room;

pub(crate) use behind::Behind;
pub(crate) use buffer::{Buffer, Buffers, PAGE};
pub(crate) use digest::Hashed;
pub(crate) use direct::{DirectFile, DirectReader};
pub(crate) use folders::sync_folders;
pub(crate) use reserve::Reservation;
pub(crate) use room::{free_bytes, free_of, write_rate};
