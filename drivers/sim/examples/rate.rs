//! Measures the rate at which one core renders frames of the simulated camera.
//!
//! `cargo run --release -p sim --example rate`

use contract::{Conveyor, FramePool, Light, LineCamera, Received, Subject};
use sim::{CameraConfig, ConveyorConfig, LightConfig, Pace, World, WorldConfig};
use std::time::{Duration, Instant};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (pixels, bands) in [(512, 224), (384, 288), (1024, 448)] {
        let world = World::new(&WorldConfig { pace: Pace::AsRead, ..WorldConfig::default() })?;
        world.light("halogen", &LightConfig::default())?.set(1.0).await?;
        let mut camera = world.camera("vnir", &CameraConfig { pixels, bands, ..CameraConfig::default() })?;
        let pool = FramePool::new(camera.describe().layout, 4);
        let mut stream = camera.start(pool, Subject::Tray)?;
        world.conveyor(&ConveyorConfig::default())?.run(40.0).await?;
        let begin = Instant::now();
        let frames = 1000;
        for _ in 0..frames {
            let Received::Frame(_) = stream.next(Instant::now() + Duration::from_secs(10))? else { return Err("no frame".into()) };
        }
        println!("{pixels} x {bands}: {:.0} frames/s", f64::from(frames) / begin.elapsed().as_secs_f64());
    }
    Ok(())
}
