//! Foreign files in and out, and our own files in again.

pub mod export;
pub mod inspect;
pub mod quicklook;
mod sample;

pub use sample::{SampleData, SampleError, read_sample};
