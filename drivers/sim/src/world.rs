//! The world that all simulated devices share.

use crate::check::WorldError;
use crate::clock::Clock;
use crate::config::{Pace, WorldConfig};
use crate::faults::{Faults, Moment};
use crate::lamp::{self, LampHistory};
use crate::minerals::mineral;
use crate::motion::{BeltFaults, Motion, Place};
use crate::tray::Tray;
use crate::truth::{MineralMap, Truth};
use contract::{ConveyorError, LightError, Subject};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Interval of the looks at the file of faults.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// One simulated rig. Devices hold on to it. A rig has one world.
pub struct World {
    pub(crate) config: WorldConfig,
    pub(crate) tray: Tray,
    pub(crate) epoch_ns: i64,
    live: Mutex<Live>,
}

/// The changing state of the world.
struct Live {
    clock: Clock,
    belt: Motion,
    lamps: Vec<LampHistory>,
    /// All faults that were given, and those that hold now.
    faults: Faults,
    holding: Faults,
    moment: Moment,
    /// Ids of the streams that look at the tray.
    looking: Vec<u64>,
    /// The time of the last look at the file of faults, and the file's identity then.
    looked: Option<Instant>,
    file: Option<(u64, i64, i64, u64)>,
}

/// Conditions at a frame's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub belt_mm: f64,
    pub speed_mm_per_s: f64,
    /// Light, as a share of full.
    pub light: f64,
}

/// The fate of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    /// This frame and all after it do not come.
    pub silent: bool,
    /// This frame does not come. The number is that of the next one that does.
    pub skipped: Option<u64>,
    /// The frame comes without its end.
    pub torn: bool,
    /// Delay of the frame, s of simulated time.
    pub late_s: f64,
    /// An error comes instead of the frame.
    pub lost: bool,
}

impl World {
    /// A world that begins now, with the belt at standstill and all lamps off.
    ///
    /// # Errors
    /// [`WorldError`] for a configuration that cannot be used, with every fault.
    pub fn new(config: &WorldConfig) -> Result<Arc<Self>, WorldError> {
        config.check()?;
        let epoch_ns = contract::now_ns();
        let live = Live {
            clock: Clock::new(config.pace, config.time_scale),
            belt: Motion::new(-120.0).with_ripple(config.belt_ripple, config.belt_ripple_mm),
            lamps: Vec::new(),
            faults: Faults::default(),
            holding: Faults::default(),
            moment: Moment::References,
            looking: Vec::new(),
            looked: None,
            file: None,
        };
        let world = Self { config: config.clone(), tray: Tray::new(config), epoch_ns, live: Mutex::new(live) };
        world.inject(&config.faults);
        Ok(Arc::new(world))
    }

    /// The real scene on the belt, with spectra at `wavelengths_nm`.
    pub fn truth(&self, wavelengths_nm: &[f64]) -> Truth {
        self.tray.truth(wavelengths_nm)
    }

    /// Real reflectance at a place (x across the belt, y along the tray, mm), texture included. It fills as many values as both
    /// slices have.
    pub fn reflectance_at(&self, x_mm: f64, y_mm: f64, wavelengths_nm: &[f64], reflectance: &mut [f32]) {
        let (material, brightness) = self.tray.material(x_mm, y_mm);
        for (value, wavelength) in reflectance.iter_mut().zip(wavelengths_nm) {
            *value = self.tray.reflectance(material, *wavelength) as f32 * brightness;
        }
    }

    /// Minerals at a place (x across the belt, y along the tray, mm) and their shares of the area. There are none beside the ore.
    pub fn minerals_at(&self, x_mm: f64, y_mm: f64) -> Vec<(&'static str, f64)> {
        self.tray.minerals_at(x_mm, y_mm).iter().map(|&(index, share)| (mineral(index).name, share)).collect()
    }

    /// The minerals over the whole tray, on a grid with pixels of `pixel_mm` (0.05 or more).
    pub fn mineral_map(&self, pixel_mm: f64) -> MineralMap {
        self.tray.mineral_map(pixel_mm.max(0.05))
    }

    /// Real reflectance of the white panel at a place across the belt, without dirt and shade.
    pub fn panel_reflectance_at(&self, x_mm: f64) -> f64 {
        self.tray.panel_at(x_mm)
    }

    /// Real light on the belt at a time (ns since 1970-01-01T00:00:00Z), as a share of full, with every drift, ripple and fault.
    pub fn light_at(&self, time_ns: i64) -> f64 {
        self.light_of(&self.live(), time_ns - self.epoch_ns, 0.0)
    }

    /// Light on a surface at this height above the belt, mm, as a share of that on the belt.
    pub fn light_at_height(&self, height_mm: f64) -> f64 {
        self.tray.light_at(height_mm)
    }

    /// Real position and speed of the belt at a time (ns since 1970-01-01T00:00:00Z), mm and mm/s.
    pub fn belt_at(&self, time_ns: i64) -> (f64, f64) {
        let place = self.live().belt.at(time_ns - self.epoch_ns);
        (place.true_mm, place.true_mm_per_s)
    }

    /// Beginning of the world, ns since 1970-01-01T00:00:00Z.
    pub fn epoch_ns(&self) -> i64 {
        self.epoch_ns
    }

    /// Simulated time now, ns since 1970-01-01T00:00:00Z.
    pub fn now_ns(&self) -> i64 {
        self.epoch_ns + self.live().clock.seen_ns()
    }

    /// Adds the given faults. They hold from now on, never for frames already made.
    pub fn inject(&self, faults: &Faults) {
        let mut live = self.live();
        let old = std::mem::take(&mut live.faults);
        let merged = Faults {
            during: faults.during.or(old.during),
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
            camera_short: faults.camera_short.clone().or(old.camera_short),
            camera_late: faults.camera_late.clone().or(old.camera_late),
            camera_lost: faults.camera_lost.clone().or(old.camera_lost),
            drive_trips: faults.drive_trips.clone().or(old.drive_trips),
            drive_silent: faults.drive_silent.clone().or(old.drive_silent),
            light_silent: faults.light_silent.clone().or(old.light_silent),
            encoder_sticks: faults.encoder_sticks.clone().or(old.encoder_sticks),
            encoder_jumps: faults.encoder_jumps.clone().or(old.encoder_jumps),
        };
        live.faults = merged;
        live.hold();
    }

    /// Removes all faults. The belt goes on as commanded. A silent stream stays silent until the next start of its camera.
    pub fn clear_faults(&self) {
        let mut live = self.live();
        live.faults = Faults::default();
        live.hold();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.config.faults_file {
            live.look(path);
        }
        live
    }

    /// Puts the belt at `start_mm`, unless it has moved already.
    pub(crate) fn place_belt(&self, start_mm: f64) {
        let mut live = self.live();
        if live.belt.is_fresh() {
            live.belt = Motion::new(start_mm).with_ripple(self.config.belt_ripple, self.config.belt_ripple_mm);
            live.hold();
        }
    }

    /// The index of the lamp `name`, which is added where it is new. `share` is its share of the full light.
    pub(crate) fn add_lamp(&self, name: &str, share: f64) -> usize {
        let mut live = self.live();
        let index = live.lamps.iter().position(|lamp| lamp.name == name).unwrap_or(live.lamps.len());
        if index == live.lamps.len() {
            live.lamps.push(LampHistory::new(name));
        }
        live.lamps[index].set_share(share);
        index
    }

    pub(crate) fn as_read(&self) -> bool {
        self.config.pace == Pace::AsRead
    }

    /// Commands a speed to the drive, which may not hear or obey. A tripped drive takes a stop.
    pub(crate) fn run_belt(&self, mm_per_s: f64) -> Result<(), ConveyorError> {
        let mut live = self.live();
        if mm_per_s == 0.0 && live.moment == Moment::Scan {
            live.enter(Moment::Drain);
        }
        let time_ns = live.clock.command();
        live.drive(time_ns, mm_per_s != 0.0)?;
        live.belt.command(time_ns, mm_per_s);
        Ok(())
    }

    pub(crate) fn belt(&self) -> Result<Place, ConveyorError> {
        let live = self.live();
        let time_ns = live.clock.seen_ns();
        live.drive(time_ns, true)?;
        Ok(live.belt.at(time_ns))
    }

    /// Position and speed of the belt by its encoder, `None` before the world began.
    pub(crate) fn encoder(&self, since_ns: i64) -> Option<Place> {
        (since_ns >= 0).then(|| self.live().belt.at(since_ns))
    }

    /// Sets a lamp. Returns whether its failure is known.
    pub(crate) fn set_lamp(&self, index: usize, level: f64) -> Result<bool, LightError> {
        let mut live = self.live();
        live.light(index)?;
        let time_ns = live.clock.command();
        live.lamps[index].set(time_ns, level, self.config.warm_up_s);
        Ok(live.reports_failure(index, time_ns))
    }

    /// Level of a lamp, and whether its failure is known.
    pub(crate) fn lamp_state(&self, index: usize) -> Result<(f64, bool), LightError> {
        let live = self.live();
        live.light(index)?;
        let time_ns = live.clock.seen_ns();
        Ok((live.lamps[index].level(time_ns), live.reports_failure(index, time_ns)))
    }

    /// Whether the shutter of a camera is open after the command `open`.
    pub(crate) fn shutter_is_open(&self, camera: &str, open: bool) -> bool {
        match &self.live().holding.shutter_sticks {
            Some(stuck) if stuck.camera == camera => stuck.open,
            _ => open,
        }
    }

    /// The fate of a camera's frame with this number.
    pub(crate) fn frame_of(&self, camera: &str, number: u64) -> Fate {
        let live = self.live();
        let faults = &live.holding;
        let within = |from: u64, frames: Option<u64>| number >= from && frames.is_none_or(|frames| number - from < frames);
        let silent = faults.camera_silent.as_ref().filter(|fault| fault.camera == camera && within(fault.from_frame, fault.frames));
        let short = faults.camera_short.as_ref().filter(|fault| fault.camera == camera && within(fault.from_frame, fault.frames));
        let late = faults.camera_late.as_ref().filter(|fault| fault.camera == camera && number >= fault.from_frame);
        let lost = faults.camera_lost.as_ref().filter(|fault| fault.camera == camera && number >= fault.from_frame);
        Fate {
            silent: silent.is_some_and(|fault| fault.frames.is_none()),
            skipped: silent.and_then(|fault| fault.frames.map(|frames| fault.from_frame + frames)),
            torn: short.is_some(),
            late_s: late.map_or(0.0, |fault| fault.delay_s),
            lost: lost.is_some(),
        }
    }

    /// The fixed exposure of a camera with that fault, µs.
    pub(crate) fn stuck_exposure_us(&self, camera: &str) -> Option<f64> {
        self.live().holding.exposure_sticks.as_ref().filter(|fault| fault.camera == camera).map(|fault| fault.exposure_us)
    }

    pub(crate) fn begin_stream(&self, subject: Subject) -> (u64, i64) {
        let mut live = self.live();
        let (id, start_ns) = live.clock.begin();
        match subject {
            Subject::Dark | Subject::White | Subject::WhiteDark => live.enter(Moment::References),
            Subject::Tray => {
                live.looking.push(id);
                live.enter(Moment::Scan);
            }
            Subject::DarkAfter | Subject::WhiteAfter => live.enter(Moment::Drain),
        }
        (id, start_ns)
    }

    pub(crate) fn pass_frame(&self, stream: u64, next_ns: i64) {
        self.live().clock.passed(stream, next_ns);
    }

    pub(crate) fn end_stream(&self, stream: u64) {
        let mut live = self.live();
        live.clock.end(stream);
        let before = live.looking.len();
        live.looking.retain(|id| *id != stream);
        if before > 0 && live.looking.is_empty() && live.moment == Moment::Scan {
            live.enter(Moment::Drain);
        }
    }

    /// The conditions of the frame with its middle at `time_ns`, which is stamped `latency_ns` later. From now on nothing can change
    /// them.
    pub(crate) fn make_frame(&self, stream: u64, time_ns: i64, latency_ns: i64, exposure_s: f64) -> Conditions {
        let mut live = self.live();
        live.clock.made(stream, time_ns + latency_ns, time_ns);
        let place = live.belt.at(time_ns);
        let light = self.light_of(&live, time_ns, exposure_s);
        Conditions { belt_mm: place.true_mm, speed_mm_per_s: place.true_mm_per_s, light }
    }

    /// Mean light over an exposure with its middle at `time_ns`, as a share of full.
    fn light_of(&self, live: &Live, time_ns: i64, exposure_s: f64) -> f64 {
        let config = &self.config;
        let lit = live.lamps.iter().enumerate().filter(|(i, _)| !live.has_failed(*i, time_ns));
        let light: f64 = lit.map(|(i, lamp)| lamp.light(time_ns, config.warm_up_s) * live.flicker(i, time_ns)).sum();
        let phase = time_ns as f64 * 1e-9 / config.lamp_drift_period_s * std::f64::consts::TAU;
        let mut light = light * (1.0 + config.lamp_drift * phase.sin());
        for change in &config.lamp_changes {
            let since_ns = live.begin_ns(change.from_s, change.from_mm).map(|begin_ns| time_ns - begin_ns);
            light *= since_ns.map_or(1.0, |since_ns| lamp::changed(change, since_ns as f64 * 1e-9));
        }
        if config.mains_ripple != 0.0 {
            light *= lamp::ripple(config.mains_ripple, config.mains_ripple_hz, time_ns as f64 * 1e-9, exposure_s);
        }
        light
    }

    /// Whether an effect has begun that begins at a time or at a belt position.
    pub(crate) fn has_begun(&self, from_s: Option<f64>, from_mm: Option<f64>, time_ns: i64) -> bool {
        self.live().begin_ns(from_s, from_mm).is_some_and(|begin_ns| begin_ns <= time_ns)
    }

    /// The time up to which readings of the encoder are known to a question about `time_ns`: now, and in `as_read` pace that time
    /// itself, so that answers do not depend on the speed of readers.
    pub(crate) fn known_ns(&self, time_ns: i64) -> i64 {
        if self.as_read() { time_ns } else { self.live().clock.seen_ns() }
    }
}

impl Live {
    /// Applies the faults of the present phase.
    fn hold(&mut self) {
        self.holding = self.faults.at(self.moment);
        let faults = &self.holding;
        let at = |one: Option<f64>, other: Option<f64>| [one, other].into_iter().flatten().min_by(f64::total_cmp);
        let belt = BeltFaults {
            stands_at_mm: at(faults.belt_stalls.as_ref().map(|f| f.at_mm), faults.drive_trips.as_ref().map(|f| f.at_mm)),
            reverses_at_mm: faults.belt_reverses.as_ref().map(|f| f.at_mm),
            slips: faults.belt_slips.as_ref().map(|f| (f.at_mm, f.share)),
            silent: faults.drive_silent.as_ref().map(|f| (f.at_mm, f.stops_after_s)),
            sticks_at_mm: faults.encoder_sticks.as_ref().map(|f| f.at_mm),
            jumps: faults.encoder_jumps.as_ref().map(|f| (f.at_mm, f.by_mm)),
        };
        let time_ns = self.clock.command();
        self.belt.set_faults(time_ns, belt);
    }

    /// The beginning of an effect that begins at a time or at a belt position, or with the world; `None` where the belt never comes.
    fn begin_ns(&self, from_s: Option<f64>, from_mm: Option<f64>) -> Option<i64> {
        match (from_s, from_mm) {
            (Some(from_s), _) => Some((from_s * 1e9) as i64),
            (None, Some(from_mm)) => self.belt.passed_ns(from_mm),
            (None, None) => Some(0),
        }
    }

    fn enter(&mut self, moment: Moment) {
        if self.moment != moment {
            self.moment = moment;
            self.hold();
        }
    }

    /// Reads the file of faults, if it changed since the last time. An invalid one changes nothing.
    fn look(&mut self, path: &Path) {
        if self.looked.is_some_and(|looked| looked.elapsed() < POLL_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        let file = std::fs::metadata(path).ok().map(|about| (about.ino(), about.mtime(), about.mtime_nsec(), about.len()));
        if file == self.file {
            return;
        }
        let faults = match &file {
            None => Some(Faults::default()),
            Some(_) => contract::read_regular_text(path, 1 << 20).ok().and_then(|text| toml::from_str(&text).ok()),
        };
        self.file = file;
        if let Some(faults) = faults {
            self.faults = faults;
            self.hold();
        }
    }

    /// The drive's answer at `time_ns`. A tripped drive still takes a stop.
    fn drive(&self, time_ns: i64, tripped_matters: bool) -> Result<(), ConveyorError> {
        if self.belt.is_silent(time_ns) {
            return Err(ConveyorError::Link { reason: "no answer within 100 ms".into() });
        }
        let tripped = self.holding.drive_trips.as_ref().is_some_and(|fault| self.belt.has_passed(fault.at_mm, time_ns));
        if tripped && tripped_matters {
            return Err(ConveyorError::Drive { fault: "overcurrent (2310h)".into() });
        }
        Ok(())
    }

    fn light(&self, lamp: usize) -> Result<(), LightError> {
        let name = &self.lamps[lamp].name;
        let silent = self.holding.light_silent.as_ref().is_some_and(|fault| fault.light == *name);
        if silent { Err(LightError::Link { light: name.clone(), reason: "no answer within 100 ms".into() }) } else { Ok(()) }
    }

    fn has_failed(&self, lamp: usize, time_ns: i64) -> bool {
        let fault = self.holding.lamp_fails.as_ref().filter(|fault| fault.light == self.lamps[lamp].name);
        fault.is_some_and(|fault| self.belt.has_passed(fault.at_mm, time_ns))
    }

    /// The factor of a lamp's light from its flicker.
    fn flicker(&self, lamp: usize, time_ns: i64) -> f64 {
        match &self.holding.lamp_flickers {
            Some(fault) if fault.light == self.lamps[lamp].name && self.belt.has_passed(fault.at_mm, time_ns) => {
                1.0 + fault.share * (time_ns as f64 * 1e-9 * fault.hz * std::f64::consts::TAU).sin()
            }
            _ => 1.0,
        }
    }

    fn reports_failure(&self, lamp: usize, time_ns: i64) -> bool {
        self.holding.lamp_fails.as_ref().is_some_and(|fault| fault.reported) && self.has_failed(lamp, time_ns)
    }
}
