//! One simulated rig: belt, lamps, a tray of minerals and a white panel, behind a simulated camera, conveyor and light.
//!
//! A camera's view depends on the belt's position, the lamps' level and warmth, and its shutter. All of it is seeded.
//! [`World::truth`] describes the real scene. [`Pace`] sets the pace of time. Faults come from the configuration,
//! [`World::inject`], or a file ([`WorldConfig::faults_file`]).
//!
//! Geometry: x runs across the belt, y along the tray, both in mm. A camera with offset D looks at y = belt position - D.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod camera;
mod check;
mod clock;
mod config;
mod conveyor;
mod detector;
mod faults;
mod grains;
mod lamp;
mod light;
pub mod minerals;
mod motion;
mod noise;
mod optics;
mod ores;
mod render;
mod tray;
mod truth;
mod world;

pub use camera::Camera;
pub use check::WorldError;
pub use config::{
    CameraConfig, Contents, ConveyorConfig, Dirt, GrainsConfig, LampChange, LightConfig, MineralShare, OreConfig, OreTexture, Pace,
    PanelConfig, PanelFeature, Shade, Telegraph, TrayConfig, VeinConfig, WorldConfig,
};
pub use conveyor::BeltConveyor;
pub use faults::{
    BeltReverses, BeltSlips, BeltStalls, CameraLate, CameraLost, CameraShort, CameraSilent, DriveSilent, DriveTrips, EncoderJumps,
    EncoderSticks, ExposureSticks, Faults, LampFails, LampFlickers, LightSilent, Moment, ShutterSticks,
};
pub use light::Lamp;
pub use optics::Optics;
pub use truth::{CameraTruth, ContainerTruth, IdealCamera, MineralMap, MineralShares, Truth};
pub use world::World;
