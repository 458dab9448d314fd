//! One simulated rig: belt, lamps, a tray of minerals and a white panel, behind a simulated camera, conveyor and light.
//!
//! What a camera sees depends on where the belt is, which lamps burn, how warm they are and whether its shutter is open. All of
//! it is seeded, and [`World::truth`] says what is really there. [`Pace`] says how time passes. Faults are injected by
//! configuration, [`World::inject`], or a file ([`WorldConfig::faults_file`]).
//!
//! Geometry: x runs across the belt, y along the tray, both in mm. A camera with offset D looks at y = belt position - D.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod camera;
mod check;
mod clock;
mod config;
mod conveyor;
mod faults;
mod grains;
mod light;
pub mod minerals;
mod motion;
mod noise;
mod render;
mod tray;
mod world;

pub use camera::Camera;
pub use config::{
    CameraConfig, Contents, ConveyorConfig, Dirt, GrainsConfig, LightConfig, Pace, PanelConfig, Shade, TrayConfig, WorldConfig,
};
pub use conveyor::BeltConveyor;
pub use faults::{
    BeltReverses, BeltSlips, BeltStalls, CameraLate, CameraLost, CameraShort, CameraSilent, DriveSilent, DriveTrips, EncoderJumps,
    EncoderSticks, ExposureSticks, Faults, LampFails, LampFlickers, LightSilent, Moment, ShutterSticks,
};
pub use light::Lamp;
pub use tray::{ContainerTruth, Truth};
pub use world::World;

/// A configuration of the simulation that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the simulation's configuration cannot be used; change {}", listed(faults))]
pub struct WorldError {
    /// Key and what is wrong with its value, for every fault found.
    pub faults: Vec<(String, String)>,
}

fn listed(faults: &[(String, String)]) -> String {
    faults.iter().map(|(key, fault)| format!("{key}: {fault}")).collect::<Vec<_>>().join("; ")
}
