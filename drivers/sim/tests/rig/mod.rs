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
        Self::with_belt(config, &ConveyorConfig::default())
    }

    pub fn with_belt(config: &WorldConfig, belt: &ConveyorConfig) -> Self {
        let world = World::new(config).unwrap();
        let belt = world.conveyor(belt).unwrap();
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

/// One wide container of one ore, from 20 to 280 mm across and from 20 to 80 mm along, in a world without noise.
pub fn plain() -> WorldConfig {
    let mut config = quiet();
    config.tray.rows = 1;
    config.tray.columns = 1;
    config.tray.container_width_mm = Some(260.0);
    config
}

/// Belt positions in the middle of the panel and of the container of [`plain`].
pub const ON_PANEL: f64 = -47.0;
pub const ON_ORE: f64 = 50.0;

/// A frame of a belt that stands at `belt_mm`, at a level of the lamp.
pub async fn still(config: &WorldConfig, detector: &CameraConfig, belt_mm: f64, level: f64) -> Vec<f64> {
    let rig = Rig::with_belt(config, &ConveyorConfig { start_position_mm: belt_mm, ..ConveyorConfig::default() });
    let mut camera = rig.camera("vnir", detector, 50.0);
    let mut stream = start(&mut camera);
    rig.lamp.set(level).await.unwrap();
    counts(&next(stream.as_mut())).into_iter().map(f64::from).collect()
}

/// Counts above dark of a standing belt.
pub async fn signal(config: &WorldConfig, detector: &CameraConfig, belt_mm: f64, level: f64) -> Vec<f64> {
    let dark = still(config, detector, belt_mm, 0.0).await;
    still(config, detector, belt_mm, level).await.iter().zip(dark).map(|(counts, dark)| counts - dark).collect()
}

/// Reflectance by way of a dark and a white reference, [band][pixel].
pub async fn reflectance(config: &WorldConfig, detector: &CameraConfig, belt_mm: f64) -> Vec<f64> {
    let white = signal(config, detector, ON_PANEL, 1.0).await;
    signal(config, detector, belt_mm, 1.0).await.iter().zip(white).map(|(seen, white)| seen / white * config.panel.reflectance).collect()
}

/// Whether a figure lies within a share of what it should be.
pub fn close(found: f64, wanted: f64, share: f64) -> bool {
    (found - wanted).abs() <= share * wanted.abs()
}
