//! The configuration of a rig.

mod output;
mod stages;

pub use output::{Compression, EncoderConfig, PublishConfig, StoreConfig};
pub use stages::{
    CalibrateConfig, GridConfig, JoinConfig, Overlap, PanelConfig, ReferencesConfig, SegmentConfig, SegmentMethod, TrayGeometry,
};
