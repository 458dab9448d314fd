//! Measures the rate at which one core renders frames of simulated cameras.
//!
//! `cargo run --release -p sim --example rate [RIG.toml]`. With a rig it takes that rig's world and cameras.

use contract::{Conveyor, FramePool, Light, LineCamera, Received, Subject};
use sim::{CameraConfig, ConveyorConfig, LightConfig, Pace, World, WorldConfig};
use std::time::{Duration, Instant};

type Error = Box<dyn std::error::Error>;

/// The world and the simulated cameras of a rig's configuration.
fn read(path: &str) -> Result<(WorldConfig, Vec<CameraConfig>), Error> {
    let mut rig: toml::Table = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?.parse()?;
    let world = rig.remove("simulation").ok_or_else(|| format!("{path}: has no section [simulation]"))?.try_into()?;
    let cameras = rig.get("camera").and_then(toml::Value::as_array).ok_or_else(|| format!("{path}: has no camera"))?;
    let device = |camera: &toml::Value| -> Result<CameraConfig, Error> {
        let mut device = camera.get("device").and_then(toml::Value::as_table).ok_or("a camera has no device")?.clone();
        device.remove("kind");
        Ok(toml::Value::from(device).try_into()?)
    };
    Ok((world, cameras.iter().map(device).collect::<Result<_, _>>()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let usual = |(pixels, bands)| CameraConfig { pixels, bands, ..CameraConfig::default() };
    let (config, cameras) = match std::env::args().nth(1) {
        Some(path) => read(&path)?,
        None => (WorldConfig::default(), [(512, 224), (384, 288), (1024, 448)].map(usual).to_vec()),
    };
    for config_of_camera in cameras {
        let begin = Instant::now();
        let world = World::new(&WorldConfig { pace: Pace::AsRead, ..config.clone() })?;
        let built = begin.elapsed();
        world.light("halogen", &LightConfig::default())?.set(1.0).await?;
        let mut camera = world.camera("vnir", &config_of_camera)?;
        let opened = begin.elapsed() - built;
        let pool = FramePool::new(camera.describe().layout, 4);
        // The tray is under the camera from the first frame on.
        let belt = ConveyorConfig { start_position_mm: config_of_camera.offset_mm, ..ConveyorConfig::default() };
        let conveyor = world.conveyor(&belt)?;
        let mut stream = camera.start(pool, Subject::Tray)?;
        conveyor.run(40.0).await?;
        let begin = Instant::now();
        let frames = 500;
        for _ in 0..frames {
            let Received::Frame(_) = stream.next(Instant::now() + Duration::from_secs(10))? else { return Err("no frame".into()) };
        }
        let rate = f64::from(frames) / begin.elapsed().as_secs_f64();
        let CameraConfig { pixels, bands, .. } = config_of_camera;
        println!("{pixels} x {bands}: {rate:.0} frames/s; the world took {built:.0?}, the camera {opened:.0?}");
    }
    Ok(())
}
