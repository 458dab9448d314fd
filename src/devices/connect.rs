//! The connection test: opens every device of a configuration once and reports its answer.

use super::{DeviceError, open_camera, open_conveyor, open_light};
use crate::config::{CameraConfig, CameraDevice, Config, ConveyorDevice, LightDevice};
use crate::reference::UsedBands;
use contract::Exposure;
use serde::Serialize;
use std::sync::Arc;

/// The result of opening one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connected {
    /// The device's key in the configuration, such as `camera[0]`.
    pub key: String,
    /// The device's name, or its key's name where it has none.
    pub name: String,
    /// Port, address or program; empty where the device has none.
    pub place: String,
    /// The device's description and accepted settings; `None` after a failure.
    pub accepted: Option<String>,
    /// The reason for a failure.
    pub fault: Option<String>,
}

impl Connected {
    fn new(key: String, name: &str, place: String, result: Result<String, DeviceError>) -> Self {
        let (accepted, fault) = match result {
            Ok(accepted) => (Some(accepted), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { key, name: name.to_owned(), place, accepted, fault }
    }
}

/// Opens every device of a rig in turn, applies its settings, and closes it. A running belt is stopped, and lights go to their safe level.
/// The call blocks. Drives and lamps need a runtime of their own.
pub async fn connect(config: &Config) -> Vec<Connected> {
    let mut list = Vec::new();
    let world = config.simulation.as_ref().map(sim::World::new).transpose();
    let world = match &world {
        Ok(world) => world.as_ref(),
        Err(error) => {
            let fault = Some(error.to_string());
            return vec![Connected { key: "simulation".into(), name: "simulation".into(), place: String::new(), accepted: None, fault }];
        }
    };
    let place = match &config.conveyor.device {
        ConveyorDevice::Modbus(drive) => drive.place(),
        ConveyorDevice::Simulated(_) | ConveyorDevice::Recorded(_) => String::new(),
    };
    let belt = belt(&config.conveyor.device, world).await;
    list.push(Connected::new("conveyor".into(), "conveyor", place, belt));
    for (i, config) in config.camera.iter().enumerate() {
        let place = match &config.device {
            CameraDevice::Replay(replay) => replay.path.display().to_string(),
            CameraDevice::Bridge(bridge) => bridge.place(),
            CameraDevice::Gige(gige) => gige.place(),
            CameraDevice::Simulated(_) => String::new(),
        };
        list.push(Connected::new(format!("camera[{i}]"), &config.name, place, camera(config, world)));
    }
    let mut controllers = light_serial::Controllers::new();
    for (i, config) in config.light.iter().enumerate() {
        let place = match &config.device {
            LightDevice::Serial(serial) => format!("{} channel {}", serial.place(), serial.channel),
            LightDevice::Simulated(_) => String::new(),
        };
        let result = match open_light(config, world, &mut controllers) {
            Ok(light) => light.state().await.map_err(DeviceError::from).map(|state| {
                let model = &light.describe().model;
                if state.on { format!("{model}; on, level {:.2}", state.level) } else { format!("{model}; off") }
            }),
            Err(error) => Err(error),
        };
        list.push(Connected::new(format!("light[{i}]"), &config.name, place, result));
    }
    list
}

async fn belt(device: &ConveyorDevice, world: Option<&Arc<sim::World>>) -> Result<String, DeviceError> {
    let conveyor = open_conveyor(device, world)?;
    let description = conveyor.describe();
    if description.recorded {
        return Ok("none: every camera plays a recording".into());
    }
    let (slowest, fastest) = description.speed_range_mm_per_s;
    let way = if description.reversible { ", either way" } else { "" };
    let state = conveyor.state().await?;
    Ok(format!("{}; {slowest} to {fastest} mm/s{way}; at {:.1} mm", description.model, state.position_mm))
}

fn camera(config: &CameraConfig, world: Option<&Arc<sim::World>>) -> Result<String, DeviceError> {
    let mut camera = open_camera(config, world)?;
    camera.ensure_stopped()?;
    // The plan for square pixels needs all devices. Here, the highest line rate serves.
    let most = camera.describe().max_frame_rate_hz.min(1e6 / config.exposure_us);
    let frame_rate_hz = if config.frame_rate_hz > 0.0 { config.frame_rate_hz } else { most };
    let accepted = camera.apply(&Exposure { exposure_us: config.exposure_us, frame_rate_hz, binning: config.binning })?;
    let description = camera.describe();
    let nm = config.correction.shifted_nm(&description.wavelengths_nm);
    let used = UsedBands::new(&nm, config.used_ranges(), camera.used_bands());
    let left_out = used.summary().map_or_else(String::new, |summary| format!("; {summary}"));
    Ok(format!(
        "{} {}; {} px x {} bands; accepted exposure {} µs, {} lines/s, binning {} x {}{left_out}",
        description.model,
        description.serial,
        description.layout.pixels,
        description.layout.bands,
        accepted.exposure_us,
        accepted.frame_rate_hz,
        accepted.binning.0,
        accepted.binning.1
    ))
}
