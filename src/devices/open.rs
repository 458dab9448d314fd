//! Opening the devices of a rig.

use crate::calibrate::{Figures, Panel, PanelError, Reference};
use crate::config::{CameraConfig, CameraDevice, CameraLimits, Config, ConveyorDevice, LightConfig, LightDevice, Limits, SquareError};
use contract::{CameraError, Conveyor, ConveyorError, Exposure, FramePool, Light, LightError, LineCamera};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A device that cannot be opened or misbehaves.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A camera failed.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The conveyor failed.
    #[error(transparent)]
    Conveyor(#[from] ConveyorError),
    /// A light failed.
    #[error(transparent)]
    Light(#[from] LightError),
    /// Square pixels are not possible.
    #[error(transparent)]
    Square(#[from] SquareError),
    /// The simulated world is faulty.
    #[error(transparent)]
    World(#[from] sim::WorldError),
    /// The white panel's spectrum is unusable.
    #[error(transparent)]
    Panel(#[from] PanelError),
}

/// A held reference and its recording.
#[derive(Debug, Clone)]
pub struct Held {
    /// Statistics over the reference's frames.
    pub reference: Arc<Reference>,
    /// Path of the recording, without its extension (`.raw` and `.hdr`); `None` where the camera itself plays a recording.
    pub recording: Option<PathBuf>,
    /// The reference's figures.
    pub figures: Figures,
    /// Burning time of the lamps at the reference, h.
    pub lamp_hours: f64,
    /// Start of the reference's age, independent of changes of the clock.
    pub since: Instant,
}

/// A camera and its references.
pub struct CameraUnit {
    /// The camera's section of the configuration.
    pub config: CameraConfig,
    /// The camera's driver.
    pub camera: Box<dyn LineCamera>,
    /// The pool of the camera's frames.
    pub pool: FramePool,
    /// The accepted settings.
    pub exposure: Exposure,
    /// The dark reference.
    pub dark: Option<Held>,
    /// The white reference.
    pub white: Option<Held>,
    /// The dark reference after the scan, where the camera plays a recording that has one.
    pub dark_after: Option<Held>,
}

impl CameraUnit {
    /// Takes over a driver: applies the settings and makes the frame pool with `slots` slots. Its memory is found now.
    ///
    /// # Errors
    /// The camera does not stop, or it refuses the settings.
    pub fn new(config: CameraConfig, mut camera: Box<dyn LineCamera>, slots: usize) -> Result<Self, CameraError> {
        camera.ensure_stopped()?;
        let wanted = wanted(&config);
        let exposure = camera.apply(&wanted)?;
        if exposure != wanted && !camera.describe().recorded {
            tracing::warn!(camera = %config.name, ?wanted, accepted = ?exposure, "the camera accepted other settings than asked");
        }
        let pool = FramePool::with_room(camera.describe().layout, slots, camera.frame_room());
        Ok(Self { config, camera, pool, exposure, dark: None, white: None, dark_after: None })
    }

    /// Longest time without a frame before the camera counts as silent.
    pub fn silence(&self) -> Duration {
        Duration::from_secs_f64(self.config.silence_s.unwrap_or_else(|| (20.0 / self.exposure.frame_rate_hz).max(2.0)))
    }

    /// The error of a camera that failed to do `what` for some time.
    pub fn silent(&self, what: &str, time: Duration) -> CameraError {
        CameraError::Link { camera: self.config.name.clone(), reason: format!("it {what} for {:.1} s", time.as_secs_f64()) }
    }

    /// Requests the settings of a scan again. Returns the settings that the camera accepts now.
    ///
    /// # Errors
    /// The camera refuses the settings.
    pub fn settings(&mut self) -> Result<Exposure, CameraError> {
        self.camera.apply(&wanted(&self.config))
    }
}

pub(super) fn wanted(config: &CameraConfig) -> Exposure {
    Exposure { exposure_us: config.exposure_us, frame_rate_hz: config.frame_rate_hz, binning: config.binning }
}

/// A light and its section of the configuration.
pub struct LightUnit {
    /// The light's name.
    pub name: String,
    /// Level during a scan, 0 to 1.
    pub level: f64,
    /// The light's driver.
    pub light: Arc<dyn Light>,
}

/// All devices of a rig.
pub struct Devices {
    /// The cameras, in the order of the configuration.
    pub cameras: Vec<CameraUnit>,
    /// The conveyor.
    pub conveyor: Arc<dyn Conveyor>,
    /// The lamps.
    pub lights: Vec<LightUnit>,
    /// The white panel.
    pub panel: Option<Panel>,
    /// The simulated world, if one is configured.
    pub world: Option<Arc<sim::World>>,
}

impl Devices {
    /// Opens every device of a rig and applies its settings. With square pixels, it puts the planned speed and line rates into `config`.
    ///
    /// # Errors
    /// A device cannot be opened or refuses its settings. The panel's file is unusable. No plan for square pixels exists.
    pub fn open(config: &mut Config) -> Result<Self, DeviceError> {
        let world = config.simulation.as_ref().map(sim::World::new).transpose()?;
        // The conveyor opens first. In a simulated world, it determines the belt's position.
        let conveyor = open_conveyor(&config.conveyor.device, world.as_ref())?;
        let mut opened = Vec::new();
        for of in &config.camera {
            let mut camera = open_camera(of, world.as_ref())?;
            let limits =
                if config.scan.square_pixels { Some(CameraLimits::ask(camera.as_mut(), of.exposure_us, of.binning)?) } else { None };
            opened.push((camera, limits));
        }
        if config.scan.square_pixels {
            let limits = opened.iter().filter_map(|(_, limits)| *limits).collect();
            config.follow(config.plan_square(&Limits { cameras: limits, speed_mm_per_s: conveyor.describe().speed_range_mm_per_s })?);
        }
        let pools = config.pools();
        for (pool, of) in pools.iter().zip(&config.camera) {
            let (mib, seconds) = (pool.bytes >> 20, pool.seconds);
            if pool.shortened {
                tracing::warn!(camera = %of.name, mib, seconds, "the frame pool is shortened to rig.max_memory_mib");
            } else {
                tracing::debug!(camera = %of.name, mib, seconds, slots = pool.slots, "frame pool");
            }
        }
        let cameras = opened.into_iter().zip(&config.camera).zip(pools);
        let cameras = cameras.map(|(((camera, _), of), pool)| CameraUnit::new(of.clone(), camera, pool.slots));
        let cameras = cameras.collect::<Result<Vec<_>, _>>()?;
        let mut lights = Vec::new();
        let mut controllers = light_serial::Controllers::new();
        for of in &config.light {
            let light = open_light(of, world.as_ref(), &mut controllers)?;
            lights.push(LightUnit { name: of.name.clone(), level: of.level, light });
        }
        let panel = super::references::panel(config.references.as_ref())?;
        Ok(Self { cameras, conveyor, lights, panel, world })
    }
}

/// The world of the simulated devices.
pub(super) fn simulated(world: Option<&Arc<sim::World>>) -> Result<&Arc<sim::World>, sim::WorldError> {
    world.ok_or_else(|| sim::WorldError { faults: vec![("simulation".into(), "is missing".into())] })
}

/// Opens the conveyor.
///
/// # Errors
/// The drive cannot be opened, or the simulated world is missing.
pub fn open_conveyor(device: &ConveyorDevice, world: Option<&Arc<sim::World>>) -> Result<Arc<dyn Conveyor>, DeviceError> {
    Ok(match device {
        ConveyorDevice::Simulated(config) => Arc::new(simulated(world)?.conveyor(config)?),
        ConveyorDevice::Recorded(_) => Arc::new(replay::Conveyor::new()),
        ConveyorDevice::Modbus(config) => Arc::new(conveyor_modbus::Drive::open(config)?),
    })
}

/// Opens a camera.
///
/// # Errors
/// The camera cannot be opened, or the simulated world is missing.
pub fn open_camera(config: &CameraConfig, world: Option<&Arc<sim::World>>) -> Result<Box<dyn LineCamera>, DeviceError> {
    Ok(match &config.device {
        CameraDevice::Simulated(sim) => Box::new(simulated(world)?.camera(&config.name, sim)?),
        CameraDevice::Replay(replay) => {
            let camera = replay::Camera::open(&config.name, replay)?;
            for warning in camera.warnings() {
                tracing::warn!(camera = %config.name, %warning, "doubtful recording");
            }
            Box::new(camera)
        }
        CameraDevice::Bridge(bridge) => Box::new(bridge::Camera::open(&config.name, bridge)?),
        CameraDevice::Gige(gige) => {
            let camera = gige::Camera::open(&config.name, gige)?;
            for warning in camera.warnings() {
                tracing::warn!(camera = %config.name, %warning, "the camera could be connected better");
            }
            Box::new(camera)
        }
    })
}

/// Opens a light. Channels of one controller share a connection in `controllers`.
///
/// # Errors
/// The light cannot be opened, or the simulated world is missing.
pub fn open_light(
    config: &LightConfig,
    world: Option<&Arc<sim::World>>,
    controllers: &mut light_serial::Controllers,
) -> Result<Arc<dyn Light>, DeviceError> {
    Ok(match &config.device {
        LightDevice::Simulated(sim) => Arc::new(simulated(world)?.light(&config.name, sim)?),
        LightDevice::Serial(serial) => Arc::new(controllers.open(&config.name, serial)?),
    })
}
