//! The configuration of a rig.

mod output;

pub use output::{Compression, EncoderConfig, PublishConfig, StoreConfig};
