//! The configuration of a rig.

mod bands;
mod check;
mod correction;
mod encoders;
mod heads;
mod height;
mod load;
mod memory;
mod minerals;
mod output;
mod pool;
mod rig;
mod square;
mod stages;

pub use crate::console_config::{ConsoleConfig, ConsoleTls};
pub use crate::ship_config::ShipConfig;
pub use bands::{KnownBands, UseNm};
pub use check::MOST_UNEVEN;
pub use correction::{CorrectionConfig, LINEARITY};
pub use encoders::{Encoders, is_name as is_encoder_name};
pub use heads::HeadConfig;
pub use load::{ConfigError, Loaded};
pub use memory::Memory;
pub use minerals::MineralsConfig;
pub use output::{Compression, DiskConfig, EncoderConfig, Provider, PublishConfig, StoreConfig};
pub use pool::{Pool, WAITING_SLOTS};
pub use rig::{
    CameraConfig, CameraDevice, Config, ControlConfig, ConveyorConfig, ConveyorDevice, LightConfig, LightDevice, RigConfig, RolesConfig,
    ScanConfig,
};
pub use square::{CameraLimits, Limits, SquareError, SquarePlan};
pub use stages::{
    CalibrateConfig, EVENNESS, GridConfig, JoinConfig, LampsConfig, Overlap, PanelConfig, PlausibilityLimits, ReferenceLimits,
    ReferencesConfig, SegmentConfig, SegmentMethod, TrayGeometry, beside,
};

/// The JSON schema of a configuration, as `config/schema.json` holds it.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Config);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
