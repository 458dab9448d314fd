//! Opening the devices of a rig.

use crate::acquire::RecordingSettings;
use crate::config::{
    CalibrateConfig, CameraConfig, CameraDevice, CameraLimits, Config, ConveyorDevice, LightConfig, LightDevice, Limits, SquareError,
};
use crate::panel::{Panel, PanelError};
use crate::reference::{Figures, MendBands, Reference, UsedBands, WhiteReference, mend_limit_nm};
use crate::scan::{BadElements, WavelengthCheck};
use crate::wavelength::{Features, FeaturesError};
use contract::{CameraDescription, CameraError, Conveyor, ConveyorError, Exposure, FramePool, Light, LightError, LineCamera};
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
    /// The file with the white panel's absorptions is unusable.
    #[error(transparent)]
    Features(#[from] FeaturesError),
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
    /// The dark reference that belongs to a white one: the one that was held when the white one was taken. `None` for a dark reference.
    pub own_dark: Option<Box<Held>>,
    /// The bad elements by this reference and the other one that the camera held; `None` without the other one.
    pub bad: Option<BadElements>,
    /// The wavelength axis by the absorptions of the panel, where a white reference shows them.
    pub wavelength: Option<WavelengthCheck>,
    /// Why a white reference is in doubt although it is good.
    pub doubts: Vec<String>,
    /// Burning time of the lamps at the reference, h.
    pub lamp_hours: f64,
    /// Start of the reference's age, independent of changes of the clock.
    pub since: Instant,
}

impl Held {
    /// A white reference with its own dark one.
    pub fn white(&self) -> WhiteReference {
        let dark = self.own_dark.as_ref().map(|dark| Arc::clone(&dark.reference));
        WhiteReference { reference: Arc::clone(&self.reference), dark }
    }

    /// A white reference and the dark one under it: its own, or else `dark`.
    pub fn over<'a>(&'a self, dark: &'a Reference) -> (&'a Reference, &'a Reference) {
        (&self.reference, self.own_dark.as_ref().map_or(dark, |own| &own.reference))
    }
}

/// A camera and its references.
pub struct CameraUnit {
    /// The camera's section of the configuration.
    pub config: CameraConfig,
    /// The camera's driver.
    pub camera: Box<dyn LineCamera>,
    /// The bands that are used. Frames and recordings hold all bands, references and everything behind the calibration only these.
    pub used: UsedBands,
    /// The camera as the data path sees it: with the used bands alone.
    pub about: CameraDescription,
    /// How bad elements are interpolated over the used bands.
    pub mend: MendBands,
    /// The pool of the camera's frames.
    pub pool: FramePool,
    /// The accepted settings.
    pub exposure: Exposure,
    /// The white panel of its white references.
    pub panel: Option<Arc<Panel>>,
    /// The panel's absorptions, by which a white reference tells the wavelengths.
    pub features: Option<Arc<Features>>,
    /// The dark reference.
    pub dark: Option<Held>,
    /// The white reference.
    pub white: Option<Held>,
    /// The dark reference after the scan, where the camera plays a recording that has one, and the times of the recording's first and last
    /// line, ns since 1970-01-01T00:00:00Z.
    pub dark_after: Option<(Held, (i64, i64))>,
    /// The white reference after the scan, with the same times.
    pub white_after: Option<(Held, (i64, i64))>,
}

impl CameraUnit {
    /// Takes over a driver: applies the settings and makes the frame pool with `slots` slots. Its memory is found now.
    ///
    /// # Errors
    /// The camera does not stop, or it refuses the settings. No band is left to use.
    pub fn new(
        config: CameraConfig,
        mut camera: Box<dyn LineCamera>,
        calibrate: &CalibrateConfig,
        slots: usize,
    ) -> Result<Self, CameraError> {
        camera.ensure_stopped()?;
        let wanted = wanted(&config);
        let exposure = camera.apply(&wanted)?;
        sound(&config.name, camera.describe(), &exposure)?;
        if exposure != wanted && !camera.describe().recorded {
            tracing::warn!(camera = %config.name, ?wanted, accepted = ?exposure, "the camera accepted other settings than asked");
        }
        let description = described(&config, camera.describe());
        let used = used_bands(&config, &description.wavelengths_nm, camera.used_bands())?;
        if let Some(summary) = used.summary() {
            tracing::info!(camera = %config.name, "{summary}");
        }
        let mend = MendBands {
            wavelengths_nm: used.select(&description.wavelengths_nm),
            // Left-out bands do not make the others wider apart.
            limit_nm: mend_limit_nm(&description.wavelengths_nm, calibrate.max_mend_nm),
        };
        let about = used.describe(&description);
        let pool = FramePool::with_room(camera.describe().layout, slots, camera.frame_room());
        Ok(Self {
            config,
            camera,
            used,
            about,
            mend,
            pool,
            exposure,
            panel: None,
            features: None,
            dark: None,
            white: None,
            dark_after: None,
            white_after: None,
        })
    }

    /// Longest time without a frame before the camera counts as silent.
    pub fn silence(&self) -> Duration {
        Duration::from_secs_f64(self.config.silence_s.unwrap_or_else(|| (20.0 / self.exposure.frame_rate_hz).max(2.0)))
    }

    /// The error of a camera that failed to do `what` for some time.
    pub fn silent(&self, what: &str, time: Duration) -> CameraError {
        CameraError::Link {
            camera: self.config.name.clone(),
            reason: format!("it {what} for {:.1} s (camera.silence_s)", time.as_secs_f64()),
        }
    }

    /// The facts for the header of a recording. A recording holds all bands.
    pub fn recording_settings(&self) -> RecordingSettings {
        let good_bands = self.camera.used_bands().map(<[bool]>::to_vec);
        RecordingSettings { description: self.camera.describe().clone(), exposure: self.exposure, good_bands }
    }

    /// Requests the settings of a scan again. Returns the settings that the camera accepts now.
    ///
    /// # Errors
    /// The camera refuses the settings.
    pub fn settings(&mut self) -> Result<Exposure, CameraError> {
        self.camera.apply(&wanted(&self.config))
    }
}

/// A camera with its true wavelengths.
pub(super) fn described(config: &CameraConfig, stated: &CameraDescription) -> CameraDescription {
    CameraDescription { wavelengths_nm: config.correction.shifted_nm(&stated.wavelengths_nm), ..stated.clone() }
}

/// The bands at `wavelengths_nm` that the configuration leaves, and the recording's header where it says which are `good`.
pub(super) fn used_bands(config: &CameraConfig, wavelengths_nm: &[f64], good: Option<&[bool]>) -> Result<UsedBands, CameraError> {
    let used = UsedBands::new(wavelengths_nm, config.used_ranges(), good);
    match used.summary() {
        Some(summary) if used.is_empty() => Err(no_band(config, &summary)),
        _ => Ok(used),
    }
}

/// Checks the numbers that a camera gives. A driver may pass on what a device or a helper program says.
pub(super) fn sound(camera: &str, about: &CameraDescription, accepted: &Exposure) -> Result<(), CameraError> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let bands = about.layout.bands;
    let fwhm = about.fwhm_nm.iter().flatten();
    let strange = about.wavelengths_nm.iter().chain(fwhm).find(|nm| !positive(**nm));
    let (setting, found) = if !positive(accepted.exposure_us) {
        ("exposure", format!("an exposure of {} µs", accepted.exposure_us))
    } else if !positive(accepted.frame_rate_hz) {
        ("frame rate", format!("{} frames/s", accepted.frame_rate_hz))
    } else if about.wavelengths_nm.len() != bands || about.fwhm_nm.as_ref().is_some_and(|fwhm| fwhm.len() != bands) {
        ("wavelengths", format!("{} wavelengths for {bands} bands", about.wavelengths_nm.len()))
    } else if let Some(nm) = strange {
        ("wavelengths", format!("a band of {nm} nm"))
    } else if let Some(level) = about.saturation.filter(|level| !positive(*level)) {
        ("saturation", format!("a level of saturation of {level} counts"))
    } else {
        return Ok(());
    };
    let reason = "these must be positive numbers; check the device, its driver and its file of wavelengths".to_owned();
    Err(CameraError::Refused { camera: camera.to_owned(), setting, wanted: found, reason })
}

fn no_band(config: &CameraConfig, summary: &str) -> CameraError {
    let ranges = config.used_ranges().unwrap_or_default();
    let wanted: Vec<String> = ranges.iter().map(|(from, to)| format!("{from} to {to} nm")).collect();
    let reason = format!("no band is left: {summary}; widen use_nm, or correct `bbl` in the header");
    CameraError::Refused { camera: config.name.clone(), setting: "use_nm", wanted: wanted.join(", "), reason }
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
        let cameras = cameras.map(|(((camera, _), of), pool)| CameraUnit::new(of.clone(), camera, &config.calibrate, pool.slots));
        let mut cameras = cameras.collect::<Result<Vec<_>, _>>()?;
        let panel = super::references::panel(config.references.as_ref())?.map(Arc::new);
        let features = super::references::panel_features(config.references.as_ref())?;
        cameras.iter_mut().for_each(|unit| (unit.panel, unit.features) = (panel.clone(), features.clone()));
        let mut lights = Vec::new();
        let mut controllers = light_serial::Controllers::new();
        for of in &config.light {
            let light = open_light(of, world.as_ref(), &mut controllers)?;
            lights.push(LightUnit { name: of.name.clone(), level: of.level, light });
        }
        Ok(Self { cameras, conveyor, lights, world })
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
