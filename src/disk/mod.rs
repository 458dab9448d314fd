//! Large files on the disk: room asked for ahead, pages in memory that are used again, and writing and reading past the page cache.

mod behind;
mod buffer;
mod direct;
mod reserve;

pub(crate) use behind::Behind;
pub(crate) use buffer::{Buffer, Buffers, Leave, PAGE};
pub(crate) use direct::{DirectFile, DirectReader};
pub(crate) use reserve::Reservation;
