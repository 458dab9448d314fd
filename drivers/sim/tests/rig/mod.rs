//! A simulated rig for tests: a small camera that is read without hurry, one lamp, one belt.
// Each test program uses a part of it.
#![allow(dead_code)]

use contract::{Conveyor, Exposure, Frame, FramePool, FrameStream, Light, LineCamera, Received, Subject};
use sim::{BeltConveyor, Camera, CameraConfig, ConveyorConfig, Lamp, LightConfig, Pace, World, WorldConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Rig {
    pub world: Arc<World>,
    pub belt: BeltConveyor,
    pub lamp: Lamp,
}

/// A world without its own noise, read without hurry, with lamps that are warm at once.
pub fn quiet() -> WorldConfig {
    WorldConfig { pace: Pace::AsRead, texture: 0.0, warm_up_s: 0.0, lamp_drift: 0.0, ..WorldConfig::default() }
}

/// A camera without noise or bad elements.
pub fn ideal() -> CameraConfig {
    CameraConfig {
        pixels: 300,
        bands: 24,
        first_nm: 400.0,
        last_nm: 2500.0,
        bits: 16,
        read_noise: 0.0,
        shot_noise_per_count: 0.0,
        dead_elements: 0,
        hot_elements: 0,
        ..CameraConfig::default()
    }
}

impl Rig {
    pub fn new(config: &WorldConfig) -> Self {
        let world = World::new(config).unwrap();
        let belt = world.conveyor(&ConveyorConfig::default()).unwrap();
        let lamp = world.light("halogen", &LightConfig::default()).unwrap();
        Self { world, belt, lamp }
    }

    pub fn camera(&self, name: &str, config: &CameraConfig, frame_rate_hz: f64) -> Camera {
        let mut camera = self.world.camera(name, config).unwrap();
        let exposure_us = config.reference_exposure_us;
        camera.apply(&Exposure { exposure_us, frame_rate_hz, binning: (1, 1) }).unwrap();
        camera
    }

    pub async fn lamp_on(&self) {
        self.lamp.set(1.0).await.unwrap();
    }

    pub async fn run(&self, mm_per_s: f64) {
        self.belt.run(mm_per_s).await.unwrap();
    }

    /// The encoder's reading at the time of a frame, mm.
    pub fn position(&self, frame: &Frame) -> f64 {
        self.belt.track().position_mm(frame.info.time_ns).unwrap()
    }
}

pub fn start(camera: &mut Camera) -> Box<dyn FrameStream> {
    let pool = FramePool::new(camera.describe().layout, 4);
    camera.start(pool, Subject::Tray).unwrap()
}

pub fn next(stream: &mut dyn FrameStream) -> Frame {
    match stream.next(Instant::now() + Duration::from_secs(10)).unwrap() {
        Received::Frame(frame) => frame,
        other => panic!("a frame, not {other:?}"),
    }
}

pub fn counts(frame: &Frame) -> Vec<u16> {
    frame.slot.as_u16().unwrap().to_vec()
}
