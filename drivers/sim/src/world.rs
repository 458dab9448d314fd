//! The world: what all simulated devices share.

use crate::camera::Camera;
use crate::clock::Clock;
use crate::config::{CameraConfig, ConveyorConfig, Faults, LightConfig, WorldConfig};
use crate::conveyor::BeltConveyor;
use crate::light::{Lamp, LampHistory};
use crate::motion::{Motion, Place};
use crate::tray::{Tray, Truth};
use crate::{Pace, WorldError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One simulated rig. Devices hold on to it; make it once per rig.
pub struct World {
    pub(crate) config: WorldConfig,
    pub(crate) tray: Tray,
    pub(crate) epoch_ns: i64,
    live: Mutex<Live>,
}

/// What changes while the world runs.
struct Live {
    clock: Clock,
    belt: Motion,
    lamps: Vec<LampHistory>,
    faults: Faults,
}

/// What a frame's time decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub belt_mm: f64,
    pub speed_mm_per_s: f64,
    /// Light, as a share of full.
    pub light: f64,
}

impl World {
    /// A world that begins now, with the belt at standstill and all lamps off.
    pub fn new(config: &WorldConfig) -> Result<Arc<Self>, WorldError> {
        config.check()?;
        let epoch_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
        let clock = Clock::new(config.pace, config.time_scale);
        let live = Live { clock, belt: Motion::new(-120.0), lamps: Vec::new(), faults: Faults::default() };
        let world = Self { config: config.clone(), tray: Tray::new(config), epoch_ns, live: Mutex::new(live) };
        world.inject(&config.faults);
        Ok(Arc::new(world))
    }

    /// A camera of this world. Faults name it by `name`, and its noise depends on it.
    pub fn camera(self: &Arc<Self>, name: &str, config: &CameraConfig) -> Result<Camera, WorldError> {
        config.check()?;
        Ok(Camera::new(Arc::clone(self), name, config))
    }

    /// The conveyor of this world. The start position holds until the belt first moves.
    pub fn conveyor(self: &Arc<Self>, config: &ConveyorConfig) -> Result<BeltConveyor, WorldError> {
        config.check()?;
        let mut live = self.live();
        if live.belt.is_fresh() {
            live.belt = Motion::new(config.start_position_mm);
            let faults = live.faults.clone();
            live.set_belt_faults(&faults);
        }
        drop(live);
        Ok(BeltConveyor::new(Arc::clone(self), config))
    }

    /// A light of this world; a second one of the same name is the same lamp.
    pub fn light(self: &Arc<Self>, name: &str, config: &LightConfig) -> Result<Lamp, WorldError> {
        config.check()?;
        let mut live = self.live();
        let index = live.lamps.iter().position(|lamp| lamp.name == name).unwrap_or(live.lamps.len());
        if index == live.lamps.len() {
            live.lamps.push(LampHistory::new(name));
        }
        live.lamps[index].set_share(config.share);
        drop(live);
        Ok(Lamp::new(Arc::clone(self), index, name, config))
    }

    /// What is really on the belt, with spectra at `wavelengths_nm`.
    pub fn truth(&self, wavelengths_nm: &[f64]) -> Truth {
        self.tray.truth(wavelengths_nm)
    }

    /// Reflectance at a place (x across the belt, y along the tray, mm) as it really lies there, texture included. Fills as many
    /// values as both slices have.
    pub fn reflectance_at(&self, x_mm: f64, y_mm: f64, wavelengths_nm: &[f64], reflectance: &mut [f32]) {
        let (material, brightness) = self.tray.material(x_mm, y_mm);
        for (value, wavelength) in reflectance.iter_mut().zip(wavelengths_nm) {
            *value = self.tray.reflectance(material, *wavelength) as f32 * brightness;
        }
    }

    /// When the world began, ns since 1970-01-01T00:00:00Z.
    pub fn epoch_ns(&self) -> i64 {
        self.epoch_ns
    }

    /// Simulated time now, ns since 1970-01-01T00:00:00Z.
    pub fn now_ns(&self) -> i64 {
        self.epoch_ns + self.live().clock.seen_ns()
    }

    /// Adds the faults that are given; they hold from now on, never for frames already made.
    pub fn inject(&self, faults: &Faults) {
        let mut live = self.live();
        let old = std::mem::take(&mut live.faults);
        let merged = Faults {
            lamp_fails: faults.lamp_fails.clone().or(old.lamp_fails),
            lamp_flickers: faults.lamp_flickers.clone().or(old.lamp_flickers),
            belt_stalls: faults.belt_stalls.clone().or(old.belt_stalls),
            belt_reverses: faults.belt_reverses.clone().or(old.belt_reverses),
            belt_slips: faults.belt_slips.clone().or(old.belt_slips),
            shutter_sticks: faults.shutter_sticks.clone().or(old.shutter_sticks),
            camera_silent: faults.camera_silent.clone().or(old.camera_silent),
            exposure_sticks: faults.exposure_sticks.clone().or(old.exposure_sticks),
            encoder_slow: faults.encoder_slow.clone().or(old.encoder_slow),
            encoder_fails: faults.encoder_fails.clone().or(old.encoder_fails),
        };
        live.set_belt_faults(&merged);
        live.faults = merged;
    }

    /// Mends everything. The belt goes on as the drive was told; a stream that fell silent stays so until its camera is started
    /// again.
    pub fn clear_faults(&self) {
        let mut live = self.live();
        live.faults = Faults::default();
        live.set_belt_faults(&Faults::default());
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn as_read(&self) -> bool {
        self.config.pace == Pace::AsRead
    }

    pub(crate) fn run_belt(&self, mm_per_s: f64) {
        let mut live = self.live();
        let time_ns = live.clock.command();
        live.belt.command(time_ns, mm_per_s);
    }

    pub(crate) fn belt(&self) -> Place {
        let live = self.live();
        live.belt.at(live.clock.seen_ns())
    }

    pub(crate) fn encoder_mm(&self, time_ns: i64) -> Option<f64> {
        let since = time_ns - self.epoch_ns;
        (since >= 0).then(|| self.live().belt.at(since).read_mm)
    }

    /// Sets a lamp; whether its failure is known.
    pub(crate) fn set_lamp(&self, index: usize, level: f64) -> bool {
        let mut live = self.live();
        let time_ns = live.clock.command();
        live.lamps[index].set(time_ns, level, self.config.warm_up_s);
        live.reports_failure(index, time_ns)
    }

    /// Level of a lamp, and whether its failure is known.
    pub(crate) fn lamp_state(&self, index: usize) -> (f64, bool) {
        let live = self.live();
        let time_ns = live.clock.seen_ns();
        (live.lamps[index].level(time_ns), live.reports_failure(index, time_ns))
    }

    /// Whether the shutter of a camera that was told `open` is open.
    pub(crate) fn shutter_is_open(&self, camera: &str, open: bool) -> bool {
        match &self.live().faults.shutter_sticks {
            Some(stuck) if stuck.camera == camera => stuck.open,
            _ => open,
        }
    }

    /// Whether a camera keeps the frame with this number to itself.
    pub(crate) fn is_silent(&self, camera: &str, number: u64) -> bool {
        self.live().faults.camera_silent.as_ref().is_some_and(|fault| fault.camera == camera && number >= fault.from_frame)
    }

    /// The exposure that a camera sets whatever it is asked for, µs.
    pub(crate) fn stuck_exposure_us(&self, camera: &str) -> Option<f64> {
        self.live().faults.exposure_sticks.as_ref().filter(|fault| fault.camera == camera).map(|fault| fault.exposure_us)
    }

    pub(crate) fn begin_stream(&self) -> (u64, i64) {
        self.live().clock.begin()
    }

    pub(crate) fn pass_frame(&self, stream: u64, next_ns: i64) {
        self.live().clock.passed(stream, next_ns);
    }

    pub(crate) fn end_stream(&self, stream: u64) {
        self.live().clock.end(stream);
    }

    /// The conditions of the frame at `time_ns`, which from now on nothing can change.
    pub(crate) fn make_frame(&self, stream: u64, time_ns: i64, next_ns: i64) -> Conditions {
        let mut live = self.live();
        live.clock.made(stream, time_ns, next_ns);
        let place = live.belt.at(time_ns);
        let lit = live.lamps.iter().enumerate().filter(|(i, _)| !live.has_failed(*i, time_ns));
        let light: f64 = lit.map(|(i, lamp)| lamp.light(time_ns, self.config.warm_up_s) * live.flicker(i, time_ns)).sum();
        let phase = time_ns as f64 * 1e-9 / self.config.lamp_drift_period_s * std::f64::consts::TAU;
        let drift = 1.0 + self.config.lamp_drift * phase.sin();
        Conditions { belt_mm: place.true_mm, speed_mm_per_s: place.true_mm_per_s, light: light * drift }
    }
}

impl Live {
    fn set_belt_faults(&mut self, faults: &Faults) {
        let time_ns = self.clock.command();
        let slips = faults.belt_slips.as_ref().map(|slip| (slip.at_mm, slip.share));
        let stalls = faults.belt_stalls.as_ref().map(|stall| stall.at_mm);
        self.belt.set_faults(time_ns, stalls, faults.belt_reverses.as_ref().map(|turn| turn.at_mm), slips);
    }

    fn has_failed(&self, lamp: usize, time_ns: i64) -> bool {
        let fault = self.faults.lamp_fails.as_ref().filter(|fault| fault.light == self.lamps[lamp].name);
        fault.is_some_and(|fault| self.belt.has_passed(fault.at_mm, time_ns))
    }

    /// What a lamp's light is multiplied with as it flickers.
    fn flicker(&self, lamp: usize, time_ns: i64) -> f64 {
        match &self.faults.lamp_flickers {
            Some(fault) if fault.light == self.lamps[lamp].name && self.belt.has_passed(fault.at_mm, time_ns) => {
                1.0 + fault.share * (time_ns as f64 * 1e-9 * fault.hz * std::f64::consts::TAU).sin()
            }
            _ => 1.0,
        }
    }

    fn reports_failure(&self, lamp: usize, time_ns: i64) -> bool {
        self.faults.lamp_fails.as_ref().is_some_and(|fault| fault.reported) && self.has_failed(lamp, time_ns)
    }
}
