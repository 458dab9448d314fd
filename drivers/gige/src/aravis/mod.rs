//! A safe layer over Aravis. Only this module of the crate contains `unsafe`.

mod device;
mod fault;
mod ffi;
mod transfer;

pub use device::{Device, Listed, list};
pub use fault::Fault;
pub use transfer::{Arrived, Memory, StreamOptions, Transfer};
