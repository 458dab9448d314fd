//! Foreign files in and out, and our own files in again.

pub mod export;
pub mod inspect;
pub mod quicklook;
mod sample;
mod stored;

pub use sample::{SampleData, SampleError, read_sample};
pub use stored::StoredSample;
