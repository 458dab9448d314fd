//! HDF5 files that nobody vouches for, read.
//!
//! The safe interface of the HDF5 crate takes text for UTF-8 without a look at it, and sizes for true. Here text is bytes until it is
//! checked, and the replacement character U+FFFD stands where it is no UTF-8. What is read at once is bounded by the file and by
//! `MOST_BYTES`. Chunks are decompressed here, so that none becomes larger than the file says. Links to other files, external storage
//! and virtual datasets are not followed unless asked.
//!
//! The C library is still what reads the file's own structures. It is known to break down on damaged ones: `hyclus inspect` reads in a
//! process of its own.

mod chunks;
mod data;
mod error;
mod ffi;
mod file;
mod kind;
mod link;
mod object;
mod places;

pub(crate) use data::{Number, Values};
pub use error::Error;
pub(crate) use file::{File, Follow};
pub(crate) use link::Link;
pub(crate) use object::{Class, Object};

use std::result;

/// What this room gives.
pub(crate) type Result<T> = result::Result<T, Error>;

/// Most bytes that are read at once.
pub(crate) const MOST_BYTES: u64 = 512 << 20;

#[cfg(test)]
mod tests;
