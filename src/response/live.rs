//! A series of exposures of the panel, taken on the rig. The daemon does not run meanwhile.
//!
//! The belt brings the panel under a camera and stands. Each exposure has a dark and a white reference. One exposure is repeated after
//! every other, and tells how the light changes. Cameras with a shutter take a dark reference before each white one. Without a shutter,
//! the dark ones follow when the lamps are off.
//!
//! On every way out the settings are put back, shutters are opened, the belt is stopped, and the lamps are off.

use super::exposures::{LinearityError, Series};
use super::linearity::{Step, check_range};
use crate::config::{CameraConfig, Config, Loaded, ReferencesConfig};
use crate::data_root::DataRoot;
use crate::devices::lamps::{self, Steadiness};
use crate::devices::references::{self, Taking, Watch};
use crate::devices::{CameraUnit, Devices};
use crate::reference::Reference;
use contract::{Conveyor, ConveyorError, Subject, Values};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The exposures of a series where none are given, as shares of `camera.exposure_us`.
pub const EXPOSURES: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Share of the frame period that an exposure may fill.
const MOST_OF_PERIOD: f64 = 0.95;
/// Time for filaments to cool down before dark references without a shutter.
const AFTERGLOW: Duration = Duration::from_secs(2);
/// Interval at which belt, lamps and the stop flag are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Distance within which the belt has reached the panel, mm.
const NEAR_MM: f64 = 2.0;
/// Largest number of approaches to the panel, each slower than the one before.
const APPROACHES: usize = 6;
/// Limit of a travel: a multiple of the time that its way needs, and a constant on top.
const TRAVEL_LIMIT: (f64, Duration) = (3.0, Duration::from_secs(10));
/// Attempts to stop the belt and to switch a lamp off.
const ATTEMPTS: usize = 3;

/// What a series consists of.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The camera; every one that gives counts when absent.
    pub camera: Option<String>,
    /// The exposures, as shares of `camera.exposure_us`. When empty, a tenth to all of it in ten steps.
    pub exposures: Vec<f64>,
}

/// A stop that a signal asks for.
#[derive(Debug, Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Watch for Stop {
    fn stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The devices during a series. Dropped, it makes the rig safe.
struct Bench {
    devices: Devices,
    runtime: Runtime,
    config: Config,
    /// The sections of the cameras, with the settings of a scan.
    sections: Vec<CameraConfig>,
    stop: Stop,
    safe: bool,
}

fn live(text: impl Into<String>) -> LinearityError {
    LinearityError::Live(text.into())
}

/// Takes the series of every wanted camera. `tell` gets a line of text for each exposure.
///
/// # Errors
/// The daemon runs, a device fails, the panel does not come under a camera, or a signal stops it. The rig is not safe afterwards.
pub fn taken(loaded: &Loaded, wanted: &Wanted, tell: &dyn Fn(&str)) -> Result<Vec<Series>, LinearityError> {
    let config = &loaded.config;
    let Some(references) = &config.references else { return Err(live("[references] is missing: the place of the panel is needed")) };
    if let Some(name) = wanted.camera.as_ref().filter(|name| config.camera.iter().all(|camera| camera.name != **name)) {
        let known: Vec<&str> = config.camera.iter().map(|camera| camera.name.as_str()).collect();
        return Err(live(format!("the configuration has no camera `{name}`; it has {}", known.join(", "))));
    }
    let root = &config.rig.data_dir;
    std::fs::create_dir_all(root).map_err(|error| live(format!("rig.data_dir {}: {error}; create it", root.display())))?;
    // A daemon holds the same lock.
    let _alone = DataRoot::take(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| live(format!("no runtime: {error}")))?;
    let stop = Stop::default();
    {
        let _inside = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signal = signal(kind).map_err(|error| live(format!("signals cannot be caught: {error}")))?;
            let stop = stop.clone();
            runtime.spawn(async move {
                signal.recv().await;
                stop.0.store(true, Ordering::Release);
            });
        }
    }
    let mut config = config.clone();
    let devices = {
        let _inside = runtime.enter();
        Devices::open(&mut config)?
    };
    let sections = devices.cameras.iter().map(|unit| unit.config.clone()).collect();
    let mut bench = Bench { runtime, devices, config, sections, stop, safe: false };
    let series = bench.all(wanted, references, tell);
    let safe = bench.make_safe();
    match (series, safe) {
        (series, Ok(())) => series,
        (Ok(_), Err(problem)) => Err(LinearityError::Unsafe(problem)),
        (Err(error), Err(problem)) => Err(LinearityError::Unsafe(format!("{error}; and {problem}"))),
    }
}

impl Bench {
    fn all(&mut self, wanted: &Wanted, references: &ReferencesConfig, tell: &dyn Fn(&str)) -> Result<Vec<Series>, LinearityError> {
        self.stop_belt()?;
        let counts = |unit: &CameraUnit| unit.about.values == Values::Counts;
        let chosen = |unit: &CameraUnit| wanted.camera.as_ref().map_or_else(|| counts(unit), |name| *name == unit.config.name);
        let mut order: Vec<usize> = (0..self.devices.cameras.len()).filter(|i| chosen(&self.devices.cameras[*i])).collect();
        // A belt that runs one way only passes them in this order.
        order.sort_by(|a, b| self.devices.cameras[*a].config.offset_mm.total_cmp(&self.devices.cameras[*b].config.offset_mm));
        let mut all: Vec<(usize, Series)> = Vec::new();
        for i in order {
            all.push((i, self.one(i, &wanted.exposures, references, tell)?));
        }
        all.sort_by_key(|(i, _)| *i);
        Ok(all.into_iter().map(|(_, series)| series).collect())
    }

    /// Takes the series of one camera.
    fn one(&mut self, i: usize, shares: &[f64], references: &ReferencesConfig, tell: &dyn Fn(&str)) -> Result<Series, LinearityError> {
        let unit = &self.devices.cameras[i];
        let (name, description) = (unit.config.name.clone(), unit.camera.describe().clone());
        if description.recorded {
            return Err(live(format!("{name} plays a recording; give it with --capture")));
        }
        if !description.shutter && self.devices.lights.is_empty() {
            let remedy = "record each exposure with the lamps off as WHITEDARKREF_, and give the recordings with --capture";
            return Err(live(format!("{name} has no shutter and the rig switches no lamp, so it cannot be dark; {remedy}")));
        }
        let series = Series::of(unit)?;
        let (at_scan_us, rate) = (unit.config.exposure_us, unit.exposure.frame_rate_hz);
        let (shortest_us, longest_us) = description.exposure_range_us;
        let shares = if shares.is_empty() { &EXPOSURES } else { shares };
        let mut exposures_us: Vec<f64> = shares.iter().map(|share| share * at_scan_us).collect();
        exposures_us.sort_by(f64::total_cmp);
        check_range(&name, exposures_us.iter().copied())?;
        if let Some(beyond) = exposures_us.iter().find(|us| !(shortest_us..=longest_us).contains(*us)) {
            let range = format!("it exposes {shortest_us} to {longest_us} µs");
            return Err(live(format!("{name} cannot expose {beyond:.1} µs; {range}; give other shares with --exposures")));
        }
        // One rate for all, so that nothing but the exposure differs.
        let most_us = exposures_us.last().copied().unwrap_or(at_scan_us);
        let rate = rate.min(description.max_frame_rate_hz).min(MOST_OF_PERIOD * 1e6 / most_us);
        self.lamps_on()?;
        if let Some((from, to)) = references.panel_mm.filter(|_| !self.devices.conveyor.describe().recorded) {
            self.travel(self.devices.cameras[i].config.offset_mm + f64::midpoint(from, to))?;
        }
        self.steady(i)?;
        let result = self.exposures(i, series, (&exposures_us, rate), references, tell);
        let restored = restore(&mut self.devices.cameras[i], &self.sections[i]);
        let series = result?;
        restored.map_err(LinearityError::Unsafe)?;
        Ok(series)
    }

    /// Takes the references of a camera over which the panel stands.
    fn exposures(
        &mut self,
        i: usize,
        mut series: Series,
        (exposures_us, rate): (&[f64], f64),
        references: &ReferencesConfig,
        tell: &dyn Fn(&str),
    ) -> Result<Series, LinearityError> {
        let shutter = self.devices.cameras[i].camera.describe().shutter;
        let repeated = exposures_us.len() / 2;
        // The light changes with time. So exposures do not come in their order, and the repeated one lies between all others.
        let mut order = vec![repeated];
        for k in 0..exposures_us.len() {
            let next = if k % 2 == 0 { k / 2 } else { exposures_us.len() - 1 - k / 2 };
            if next != repeated {
                order.extend([next, repeated]);
            }
        }
        let mut darks: Vec<Option<Reference>> = vec![None; exposures_us.len()];
        let mut whites: Vec<(usize, Reference)> = Vec::new();
        for at in order {
            set(&mut self.devices.cameras[i], exposures_us[at], rate)?;
            if shutter && darks[at].is_none() {
                self.devices.cameras[i].camera.set_shutter(false)?;
                let dark = self.gather(i, Subject::Dark, references);
                self.devices.cameras[i].camera.set_shutter(true)?;
                darks[at] = Some(dark?);
            }
            let white = self.gather(i, Subject::White, references)?;
            tell(&format!(
                "{}: {:.1} µs, mean {:.0} counts",
                series.camera,
                white.exposure.exposure_us,
                crate::reference::mean(&white.mean)
            ));
            whites.push((at, white));
        }
        if !shutter {
            self.lamps_off().map_err(LinearityError::Unsafe)?;
            self.pause(AFTERGLOW)?;
            for (dark, exposure_us) in darks.iter_mut().zip(exposures_us) {
                set(&mut self.devices.cameras[i], *exposure_us, rate)?;
                *dark = Some(self.gather(i, Subject::Dark, references)?);
            }
        }
        for (at, white) in &whites {
            if let Some(dark) = &darks[*at] {
                series.steps.push(Step::new(white, dark, series.full));
            }
        }
        Ok(series)
    }

    fn gather(&mut self, i: usize, subject: Subject, references: &ReferencesConfig) -> Result<Reference, LinearityError> {
        let taking = Taking::recorded(subject, Some(references));
        Ok(references::gather(&mut self.devices.cameras[i], taking, &self.stop)?.reference)
    }

    fn pause(&self, time: Duration) -> Result<(), LinearityError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.go_on()?;
            std::thread::sleep(POLL_INTERVAL.min(time));
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), LinearityError> {
        if self.stop.stopped() { Err(live("stopped")) } else { Ok(()) }
    }

    /// Switches the lamps on that do not burn at the level of a scan, and waits for their least warm-up.
    fn lamps_on(&self) -> Result<(), LinearityError> {
        let mut switched = false;
        for unit in &self.devices.lights {
            let state = self.runtime.block_on(unit.light.state())?;
            if !state.on || (state.level - unit.level).abs() >= 0.01 {
                self.go_on()?;
                self.runtime.block_on(unit.light.set(unit.level))?;
                switched = true;
            }
        }
        if switched { self.pause(Duration::from_secs_f64(self.config.scan.warm_up_s)) } else { Ok(()) }
    }

    /// Waits until a camera sees a steady light.
    fn steady(&mut self, i: usize) -> Result<(), LinearityError> {
        if self.devices.lights.is_empty() {
            return Ok(());
        }
        let limits = &self.config.lamps;
        match lamps::steady(&mut self.devices.cameras[i], limits, &self.stop)? {
            Steadiness::Steady(_) => Ok(()),
            Steadiness::Stopped => Err(live("stopped")),
            Steadiness::Unsteady(nm, change) => Err(live(format!(
                "the light is not steady after {} s: it changes by {:.2} % within {} s at {nm:.0} nm; check the lamps and their supply",
                limits.max_warm_up_s,
                100.0 * change,
                limits.window_s
            ))),
        }
    }

    /// Brings the belt to a position and stops it there. A belt that overshot is brought back more slowly.
    fn travel(&self, to_mm: f64) -> Result<(), LinearityError> {
        let conveyor = &self.devices.conveyor;
        let (slowest, _) = conveyor.describe().speed_range_mm_per_s;
        let mut speed = self.config.conveyor.travel_mm_per_s.unwrap_or(self.config.conveyor.speed_mm_per_s).abs();
        for _ in 0..APPROACHES {
            let from = self.position(conveyor.as_ref())?;
            let way = to_mm - from;
            if way.abs() < NEAR_MM {
                return Ok(());
            }
            if way < 0.0 && !conveyor.describe().reversible {
                let text =
                    format!("the belt is at {from:.1} mm, cannot run backwards, and the panel lies under the camera at {to_mm:.1} mm");
                return Err(live(format!("{text}; bring the belt before that position")));
            }
            self.go_on()?;
            self.runtime.block_on(conveyor.run(speed * way.signum()))?;
            let limit = Instant::now() + Duration::from_secs_f64(TRAVEL_LIMIT.0 * way.abs() / speed) + TRAVEL_LIMIT.1;
            let arrived = loop {
                if self.stop.stopped() {
                    break Err(live("stopped"));
                }
                match self.position(conveyor.as_ref()) {
                    Err(error) => break Err(error),
                    Ok(position_mm) if (to_mm - position_mm) * way.signum() <= 0.0 => break Ok(()),
                    Ok(position_mm) if Instant::now() > limit => {
                        break Err(ConveyorError::Astray { position_mm, wanted_mm: to_mm }.into());
                    }
                    Ok(_) => std::thread::sleep(POLL_INTERVAL),
                }
            };
            self.stop_belt()?;
            arrived?;
            speed = (speed / 4.0).max(slowest);
        }
        let position_mm = self.position(conveyor.as_ref())?;
        Err(ConveyorError::Astray { position_mm, wanted_mm: to_mm }.into())
    }

    fn position(&self, conveyor: &dyn Conveyor) -> Result<f64, LinearityError> {
        Ok(self.runtime.block_on(conveyor.state())?.position_mm)
    }

    /// Stops the belt, with some attempts.
    fn stop_belt(&self) -> Result<(), LinearityError> {
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            result = self.runtime.block_on(self.devices.conveyor.stop());
            if result.is_ok() {
                break;
            }
        }
        let text = |error| format!("the belt does not stop: {error}; use the emergency stop of the rig");
        result.map_err(|error| LinearityError::Unsafe(text(error)))
    }

    /// Switches every lamp off, with some attempts. One that does not obey keeps no other on.
    fn lamps_off(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        for unit in &self.devices.lights {
            let mut off = self.runtime.block_on(unit.light.set(0.0));
            for _ in 1..ATTEMPTS {
                if off.is_err() {
                    off = self.runtime.block_on(unit.light.set(0.0));
                }
            }
            if let Err(error) = off {
                problems.push(format!("{} does not go off: {error}; switch it off by hand", unit.name));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Stops cameras and belt, opens shutters, puts the settings back, and switches the lamps off. It does all, whatever fails.
    fn make_safe(&mut self) -> Result<(), String> {
        self.safe = true;
        let belt = self.stop_belt().map_err(|error| error.to_string());
        let lamps = self.lamps_off();
        let mut problems: Vec<String> = [belt, lamps].into_iter().filter_map(Result::err).collect();
        let cameras = self.devices.cameras.iter_mut().zip(&self.sections);
        problems.extend(cameras.filter_map(|(unit, section)| restore(unit, section).err()));
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !self.safe
            && let Err(problem) = self.make_safe()
        {
            tracing::error!("{problem}");
        }
    }
}

/// Gives a camera an exposure and a frame rate.
fn set(unit: &mut CameraUnit, exposure_us: f64, rate: f64) -> Result<(), LinearityError> {
    (unit.config.exposure_us, unit.config.frame_rate_hz) = (exposure_us, rate);
    unit.exposure = unit.settings()?;
    Ok(())
}

/// Stops a camera, opens its shutter, and puts the settings of its configuration back.
fn restore(unit: &mut CameraUnit, section: &CameraConfig) -> Result<(), String> {
    unit.config.clone_from(section);
    let mut put_back = || {
        unit.camera.ensure_stopped()?;
        if unit.camera.describe().shutter {
            unit.camera.set_shutter(true)?;
        }
        unit.settings()
    };
    match put_back() {
        Ok(exposure) => {
            unit.exposure = exposure;
            Ok(())
        }
        Err(error) => Err(format!("{}: its settings are not put back: {error}", unit.config.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::fit_linearity;

    /// The simulated rig, fast, with cameras of few elements whose response bends by a percent. The second one has no shutter.
    fn bench() -> (tempfile::TempDir, Loaded, Bench) {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/simulated.toml")).unwrap();
        let mut rig: toml::Table = text.parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        rig.remove("encoder");
        rig.remove("minerals");
        rig["rig"]["data_dir"] = folder.path().join("data").display().to_string().into();
        let simulation = rig["simulation"].as_table_mut().unwrap();
        simulation.remove("lamp_changes");
        simulation.remove("mains_ripple");
        simulation.insert("time_scale".into(), 20.0.into());
        simulation.insert("lamp_drift".into(), 0.0.into());
        rig["references"]["frames"] = 20.into();
        for (camera, shutter) in rig["camera"].as_array_mut().unwrap().iter_mut().zip([true, false]) {
            let device = camera["device"].as_table_mut().unwrap();
            device.remove("telegraph");
            let few: [(&str, toml::Value); 5] = [
                ("pixels", 64.into()),
                ("bands", 20.into()),
                ("nonlinearity", 0.01.into()),
                ("shutter", shutter.into()),
                ("stray_light", 0.0.into()),
            ];
            few.into_iter().for_each(|(key, value)| _ = device.insert(key.into(), value));
        }
        let path = folder.path().join("rig.toml");
        std::fs::write(&path, rig.to_string()).unwrap();
        let loaded = Loaded::read(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = loaded.config.clone();
        let devices = Devices::open(&mut config).unwrap();
        let sections = devices.cameras.iter().map(|unit| unit.config.clone()).collect();
        (folder, loaded, Bench { runtime, devices, config, sections, stop: Stop::default(), safe: false })
    }

    /// Whether lamps are off, the belt stands, and the cameras have the settings of a scan.
    fn is_safe(bench: &mut Bench, loaded: &Loaded) -> bool {
        let dark = bench.devices.lights.iter().all(|unit| !bench.runtime.block_on(unit.light.state()).unwrap().on);
        let stands = !bench.runtime.block_on(bench.devices.conveyor.state()).unwrap().moving;
        let of_scan = bench.devices.cameras.iter_mut().zip(&loaded.config.camera).all(|(unit, config)| {
            let accepted = unit.settings().unwrap();
            accepted.exposure_us == config.exposure_us && accepted.frame_rate_hz == config.frame_rate_hz && accepted == unit.exposure
        });
        dark && stands && of_scan
    }

    #[test]
    fn a_series_of_every_camera_gives_its_linearity_and_leaves_the_rig_safe() {
        let (_folder, loaded, mut bench) = bench();
        let references = loaded.config.references.clone().unwrap();
        let lines = std::cell::Cell::new(0);
        let tell = |_: &str| lines.set(lines.get() + 1);
        let all = bench.all(&Wanted::default(), &references, &tell).unwrap();
        assert_eq!(lines.get(), 2 * (2 * EXPOSURES.len() - 1), "one exposure is repeated between the others");
        assert_eq!(all.iter().map(|series| series.camera.as_str()).collect::<Vec<_>>(), ["vnir", "swir"]);
        for series in &all {
            let found = fit_linearity(series).unwrap();
            assert!(found.before.0 > 0.001 && found.after.0 < 2e-4 && found.drift.is_some(), "{found:?}");
        }
        bench.make_safe().unwrap();
        assert!(is_safe(&mut bench, &loaded));
    }

    #[test]
    fn a_stop_on_the_way_leaves_the_rig_safe() {
        let (_folder, loaded, mut bench) = bench();
        let references = loaded.config.references.clone().unwrap();
        let stop = bench.stop.clone();
        let tell = |_: &str| stop.0.store(true, Ordering::Release);
        let wanted = Wanted { camera: Some("vnir".into()), exposures: vec![0.2, 0.4, 0.6, 0.8, 1.0] };
        let error = bench.all(&wanted, &references, &tell).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
        assert!(!is_safe(&mut bench, &loaded), "the lamps still burn");
        bench.make_safe().unwrap();
        assert!(is_safe(&mut bench, &loaded));
    }

    #[test]
    fn what_a_camera_cannot_expose_is_refused_before_anything_moves() {
        let (_folder, loaded, mut bench) = bench();
        let references = loaded.config.references.clone().unwrap();
        let wanted = Wanted { camera: Some("vnir".into()), exposures: vec![0.2, 0.5, 1.0, 1e6] };
        let error = bench.all(&wanted, &references, &|_| {}).unwrap_err();
        assert!(error.to_string().contains("give other shares with --exposures"), "{error}");
        for (exposures, word) in [(vec![0.2, 0.5, 1.0], "at 3 exposures"), (vec![0.3, 0.5, 0.7, 1.0], "at least 4 times the shortest")] {
            let wanted = Wanted { exposures, ..wanted.clone() };
            let error = bench.all(&wanted, &references, &|_| {}).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(is_safe(&mut bench, &loaded));
    }
}
