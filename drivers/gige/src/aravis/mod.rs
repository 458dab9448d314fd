//! Aravis, made safe: the only module with `unsafe` of this crate.

mod device;
mod fault;
mod ffi;
mod transfer;

pub use device::{Device, Listed, list};
pub use fault::Fault;
pub use transfer::{Arrived, Memory, StreamOptions, Transfer};
