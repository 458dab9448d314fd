//! Every limit in the simulated world: one world beyond it, and one just within it.

use super::*;
use crate::config::CameraDevice;
use crate::wavelength::{Feature, FeatureKind};
use contract::Conveyor;
use sim::{
    CameraConfig, ConveyorConfig, Dirt, ExposureSticks, Faults, LampFlickers, LightConfig, PanelFeature, Shade, ShutterSticks, WorldConfig,
};

/// A world with one camera over a moving panel.
struct Bench {
    world: Arc<sim::World>,
    unit: CameraUnit,
    conveyor: Arc<dyn Conveyor>,
    config: ReferencesConfig,
    runtime: tokio::runtime::Runtime,
}

fn world() -> WorldConfig {
    WorldConfig { seed: 5, pace: sim::Pace::AsRead, warm_up_s: 0.0, lamp_drift: 0.0, ..WorldConfig::default() }
}

fn camera() -> CameraConfig {
    CameraConfig { pixels: 128, bands: 24, dead_elements: 5, hot_elements: 5, ..CameraConfig::default() }
}

/// Starts the belt, where there is one, once the camera streams.
struct Begins(Option<Arc<dyn Conveyor>>);

impl Watch for Begins {
    fn streaming(&self) {
        if let Some(conveyor) = &self.0 {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(conveyor.run(80.0)).unwrap();
        }
    }
}

impl Bench {
    fn new(world: &WorldConfig, camera: &CameraConfig, exposure_us: f64) -> Self {
        let world = sim::World::new(world).unwrap();
        let conveyor: Arc<dyn Conveyor> = Arc::new(world.conveyor(&ConveyorConfig::default()).unwrap());
        let text = format!(
            "name = \"vnir\"\nfield_of_view_mm = 300.0\nexposure_us = {exposure_us:?}\nframe_rate_hz = 100.0\ndevice = {{ kind = \"simulated\" }}\n"
        );
        let mut config: crate::config::CameraConfig = toml::from_str(&text).unwrap();
        config.device = CameraDevice::Simulated(Box::new(camera.clone()));
        let calibrate = crate::config::CalibrateConfig::default();
        let mut unit = CameraUnit::new(config, Box::new(world.camera("vnir", camera).unwrap()), &calibrate, 64).unwrap();
        unit.panel = Some(Arc::new(Panel::constant(0.95, None)));
        let config = toml::from_str("panel = { reflectance = 0.95 }\npanel_mm = [-70.0, -25.0]\nframes = 25\n").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bench = Self { world, unit, conveyor, config, runtime };
        bench.lamp("halogen", 0.8, 1.0);
        bench.lamp("led", 0.2, 1.0);
        bench
    }

    fn lamp(&self, name: &str, share: f64, level: f64) {
        let lamp = self.world.light(name, &LightConfig { share, ..LightConfig::default() }).unwrap();
        self.runtime.block_on(contract::Light::set(&lamp, level)).unwrap();
    }

    /// Takes and holds a reference, or returns the figure that refuses it.
    fn take(&mut self, kind: ReferenceKind, folder: Option<&Path>) -> Result<(), String> {
        let white = kind == ReferenceKind::White;
        if self.unit.camera.describe().shutter {
            self.unit.camera.set_shutter(white).unwrap();
        }
        let passage = Passage { track: self.conveyor.track(), between_mm: (-68.0, -27.0), standstill: Duration::from_secs(10) };
        if white {
            // Back to the start, as time passes with frames, then over the panel.
            let back = self.runtime.block_on(self.conveyor.state()).unwrap().position_mm + 120.0;
            if back > 0.0 {
                self.runtime.block_on(self.conveyor.run(-100.0)).unwrap();
                self.pass(back / 100.0);
            }
        }
        // The belt waits for the camera's stream. The panel would pass a slow machine unseen.
        let begins = Begins(white.then(|| Arc::clone(&self.conveyor)));
        let taking = Taking {
            passage: white.then_some(&passage),
            folder,
            accept_change: false,
            ..Taking::recorded(if white { Subject::White } else { Subject::Dark }, Some(&self.config))
        };
        let held = take(&mut self.unit, taking, &begins);
        self.runtime.block_on(self.conveyor.stop()).unwrap();
        match held {
            Ok(held) if white => self.unit.white = Some(held),
            Ok(held) => self.unit.dark = Some(held),
            Err(TakeError::Refused { figure, .. }) => return Err(figure),
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    /// Lets simulated time pass.
    fn pass(&mut self, seconds: f64) {
        let mut stream = self.unit.camera.start(self.unit.pool.clone(), Subject::Tray).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds")]
        for _ in 0..(seconds * 100.0).ceil() as usize {
            stream.next(Instant::now() + Duration::from_secs(5)).unwrap();
        }
        self.unit.camera.ensure_stopped().unwrap();
    }

    fn both(&mut self) -> Result<(), String> {
        self.take(ReferenceKind::Dark, None)?;
        self.take(ReferenceKind::White, None)
    }
}

/// Dark and white in a world: refused with a figure that contains `word`, or taken without a `word`.
fn outcome(world: &WorldConfig, camera: &CameraConfig, exposure_us: f64, word: Option<&str>) {
    let result = Bench::new(world, camera, exposure_us).both();
    match word {
        Some(word) => assert!(result.as_ref().is_err_and(|figure| figure.contains(word)), "{word}: {result:?}"),
        None => assert_eq!(result, Ok(())),
    }
}

#[test]
fn a_saturated_tile_is_refused() {
    // 90 % of full scale at 2000 us. Full scale begins at 2230 us. At 2350 us, half a percent of the elements have reached it.
    outcome(&world(), &camera(), 2150.0, None);
    outcome(&world(), &camera(), 2600.0, Some("saturated"));
}

/// The system gain follows from noise. A last white reference with other noise is one of another gain.
#[test]
fn a_gain_that_moved_puts_the_white_reference_in_doubt() {
    let mut bench = Bench::new(&world(), &camera(), 2000.0);
    bench.both().unwrap();
    // The gain goes as the square of the noise. By 25 frames of 3000 elements it is known to 0.5 %, and the change of one to 0.7 %. A change of
    // 2 % is within the limit of 5 % by four times that.
    for (noise, doubted) in [(1.01, false), (1.05, true)] {
        let last = bench.unit.white.as_mut().unwrap();
        let mut reference = (*last.reference).clone();
        reference.sd.iter_mut().for_each(|sd| *sd *= noise);
        last.reference = Arc::new(reference);
        bench.take(ReferenceKind::White, None).unwrap();
        let doubts = doubts(&bench.unit, 0);
        assert_eq!(doubts.iter().any(|doubt| doubt.contains("overall system gain")), doubted, "{noise}: {doubts:?}");
    }
}

#[test]
fn a_dirty_tile_is_refused() {
    let dirty = |share, y_mm| {
        let mut world = world();
        world.panel.dirt = Some(Dirt { x_mm: (100.0, 110.0), y_mm, share });
        world
    };
    outcome(&dirty(0.04, None), &camera(), 2000.0, None);
    outcome(&dirty(0.065, None), &camera(), 2000.0, Some("darker than its surroundings"));
    // A spot passes in a tenth of the frames. It hardly darkens the mean, but it scatters.
    outcome(&dirty(0.08, Some((-50.0, -46.0))), &camera(), 2000.0, None);
    outcome(&dirty(0.3, Some((-50.0, -46.0))), &camera(), 2000.0, Some("noise"));
}

#[test]
fn a_half_lit_tile_is_refused() {
    let shaded = |share| {
        let mut world = world();
        world.panel.shade = Some(Shade { from_x_mm: 150.0, share });
        world
    };
    // Light falls off to 86 % at the edges.
    outcome(&shaded(0.38), &camera(), 2000.0, None);
    outcome(&shaded(0.45), &camera(), 2000.0, Some("darkest part"));
}

#[test]
fn a_tile_without_light_is_refused() {
    let dim = |level: f64| {
        let mut bench = Bench::new(&world(), &camera(), 2000.0);
        bench.take(ReferenceKind::Dark, None).unwrap();
        bench.lamp("halogen", 0.8, level);
        bench.lamp("led", 0.2, level);
        bench.take(ReferenceKind::White, None)
    };
    assert_eq!(dim(0.13), Ok(()));
    assert!(dim(0.07).unwrap_err().contains("mean signal"));
}

#[test]
fn a_flickering_lamp_is_refused() {
    let flickering = |share| {
        let flicker = LampFlickers { light: "halogen".into(), at_mm: -500.0, share, hz: 13.0 };
        WorldConfig { faults: Faults { lamp_flickers: Some(flicker), ..Faults::default() }, ..world() }
    };
    // The lamp has 80 % of the light. The scatter of a sine is 0.7 of its amplitude.
    outcome(&flickering(0.015), &camera(), 2000.0, None);
    outcome(&flickering(0.022), &camera(), 2000.0, Some("flickers"));
}

#[test]
fn a_shutter_that_stays_open_is_refused() {
    let stuck = Faults { shutter_sticks: Some(ShutterSticks { camera: "vnir".into(), open: true }), ..Faults::default() };
    let mut bench = Bench::new(&WorldConfig { faults: stuck.clone(), ..world() }, &camera(), 2000.0);
    // Over the dark belt the light is weak, but it is the panel's.
    assert_eq!(bench.take(ReferenceKind::Dark, None), Ok(()));
    assert!(bench.take(ReferenceKind::White, None).unwrap_err().contains("the dark reference holds"));
    // With a white reference, the dark reference itself is refused.
    let mut bench = Bench::new(&world(), &camera(), 2000.0);
    bench.both().unwrap();
    // To the dark belt behind the tray, wherever the belt came to meanwhile.
    bench.runtime.block_on(bench.conveyor.run(80.0)).unwrap();
    while bench.runtime.block_on(bench.conveyor.state()).unwrap().position_mm < 450.0 {
        bench.pass(0.2);
    }
    bench.runtime.block_on(bench.conveyor.stop()).unwrap();
    bench.take(ReferenceKind::Dark, None).unwrap();
    bench.world.inject(&stuck);
    let refused = bench.take(ReferenceKind::Dark, None).unwrap_err();
    assert!(refused.contains("the dark reference holds"), "{refused}");
}

#[test]
fn a_noisy_dark_is_refused() {
    outcome(&world(), &CameraConfig { read_noise: 36.0, ..camera() }, 2000.0, None);
    outcome(&world(), &CameraConfig { read_noise: 46.0, ..camera() }, 2000.0, Some("noise"));
}

#[test]
fn another_exposure_than_that_of_the_scan_is_refused() {
    let mut bench = Bench::new(&world(), &camera(), 2000.0);
    bench.take(ReferenceKind::Dark, None).unwrap();
    let sticks = |exposure_us| {
        let fault = ExposureSticks { camera: "vnir".into(), exposure_us };
        Faults { exposure_sticks: Some(fault), ..Faults::default() }
    };
    bench.world.inject(&sticks(2001.0));
    bench.take(ReferenceKind::White, None).unwrap();
    bench.world.inject(&sticks(2010.0));
    assert!(bench.take(ReferenceKind::White, None).unwrap_err().contains("2010 µs"));

    // References of another exposure or binning do not calibrate a scan.
    assert!(calibration(&bench.unit).is_ok());
    bench.unit.exposure.exposure_us = 2003.0;
    let error = calibration(&bench.unit).unwrap_err().to_string();
    assert!(error.contains("dark reference was taken at 2000 µs") && error.contains("2003 µs"), "{error}");
    bench.unit.exposure.exposure_us = 2000.0;
    bench.unit.exposure.binning = (2, 1);
    assert!(calibration(&bench.unit).unwrap_err().to_string().contains("binning 2 x 1"));
}

/// An unseen lamp failure shows in the next white reference, also after a restart of the daemon.
#[test]
fn a_lamp_that_failed_since_the_last_white_reference_is_refused() {
    let failed = |share: f64, again: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(&world(), &camera(), 2000.0);
        bench.take(ReferenceKind::Dark, Some(folder.path())).unwrap();
        bench.take(ReferenceKind::White, Some(folder.path())).unwrap();
        if again {
            bench.unit.white = None;
        }
        bench.lamp("led", share, 0.0);
        let result = bench.take(ReferenceKind::White, Some(folder.path()));
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 6, "the last good ones and the dark of the white one are kept, and nothing else");
        result
    };
    // The remaining light is 0.8, for any present share of the lamp.
    for again in [false, true] {
        assert!(failed(0.2, again).unwrap_err().contains("scans since then are in doubt"));
    }
}

#[test]
fn a_dimmer_light_within_the_limit_and_a_change_that_is_meant_are_taken() {
    let mut bench = Bench::new(&world(), &camera(), 2000.0);
    bench.both().unwrap();
    bench.lamp("led", 0.2, 0.91);
    assert_eq!(bench.take(ReferenceKind::White, None), Ok(()), "1.8 % less");
    bench.lamp("led", 0.2, 0.8);
    let figure = bench.take(ReferenceKind::White, None).unwrap_err();
    assert!(figure.contains("-2.2 %") && figure.contains("references.limits.max_change"), "{figure}");
    bench.lamp("led", 0.2, 0.0);
    assert!(bench.take(ReferenceKind::White, None).is_err());
    bench.unit.white = None;
    assert_eq!(bench.take(ReferenceKind::White, None), Ok(()));
}

#[test]
fn dead_hot_and_noisy_elements_are_distinguished_and_all_found() {
    use crate::reference::BadElement;
    let camera = CameraConfig { dead_elements: 7, hot_elements: 4, noisy_elements: 9, ..camera() };
    let mut bench = Bench::new(&world(), &camera, 2000.0);
    bench.config.frames = 40;
    bench.both().unwrap();
    let Calibration::Referenced(referenced) = calibration(&bench.unit).unwrap() else { panic!() };
    let count = |flag| referenced.bad.iter().filter(|bad| **bad & flag != 0).count();
    assert_eq!(
        (count(BadElement::DEAD), count(BadElement::HOT), count(BadElement::NOISY)),
        (7 + 4, 4, 9),
        "a hot element does not respond"
    );
}

/// A SWIR camera over a panel that absorbs at 2130 nm, whose wavelengths are off by `shift_nm`, after a white reference. The file has the
/// absorption at `listed_nm`.
fn swir(shift_nm: f64, depth: f64, listed_nm: f64, corrected_nm: f64, folder: Option<&Path>) -> (Bench, Result<(), String>) {
    let mut world = world();
    world.panel.features = vec![PanelFeature { nm: 2130.0, depth, width_nm: 14.0 }];
    let camera = CameraConfig {
        pixels: 384,
        bands: 224,
        first_nm: 1000.0,
        last_nm: 2500.0,
        fwhm_nm: Some(12.0),
        bits: 16,
        wavelength_shift_nm: shift_nm,
        ..camera()
    };
    let mut bench = Bench::new(&world, &camera, 2000.0);
    let kind = FeatureKind::Minimum;
    let all = vec![Feature { nm: listed_nm, kind, window_nm: 60.0, tolerance_nm: 0.05, source: String::new() }];
    bench.unit.features = Some(Arc::new(Features { name: "PTFE".into(), least: 1, all, spectrum: None }));
    bench.unit.about.wavelengths_nm.iter_mut().for_each(|nm| *nm += corrected_nm);
    let taken = bench.take(ReferenceKind::Dark, None).and_then(|()| bench.take(ReferenceKind::White, folder));
    (bench, taken)
}

#[test]
fn the_panels_absorption_tells_the_wavelengths() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, taken) = swir(1.0, 0.15, 2130.0, 0.0, Some(folder.path()));
    taken.unwrap();
    let check = bench.unit.white.as_ref().unwrap().wavelength.clone().unwrap();
    assert!((check.shift_nm - 1.0).abs() < 0.15 && check.shift_uncertainty_nm < 0.15, "{check:?}");
    let (smile, u) = (check.smile_nm.unwrap(), check.smile_uncertainty_nm.unwrap());
    assert!(smile.abs() < 4.0 * u && u < 0.5, "{check:?}");
    assert_eq!(check.features_nm, [2130.0]);
    let reported = status(&bench.unit).into_iter().find(|status| status.kind == ReferenceKind::White).unwrap();
    assert_eq!(reported.wavelength.as_ref(), Some(&check));
    let history = crate::wavelength::read_history(&folder.path().join("wavelength.csv")).unwrap();
    assert_eq!((history.len(), history[0].camera.as_str(), history[0].origin), (1, "vnir", Origin::White));
    assert!((history[0].shift_nm - check.shift_nm).abs() < 1e-3);
}

#[test]
fn wavelengths_beyond_a_limit_are_told_or_refused() {
    let told = |shift_nm: f64| {
        let (bench, taken) = swir(shift_nm, 0.3, 2130.0, 0.0, None);
        taken.map(|()| doubts(&bench.unit, 0).iter().any(|doubt| doubt.contains("references.max_wavelength_shift_nm")))
    };
    assert_eq!((told(0.85), told(-1.15), told(4.8)), (Ok(false), Ok(true), Ok(true)));
    let figure = told(-5.2).unwrap_err();
    assert!(figure.contains("references.refuse_wavelength_shift_nm"), "{figure}");
}

#[test]
fn what_is_corrected_or_not_to_be_seen_is_not_told() {
    let after = |listed_nm, corrected_nm| {
        let (bench, taken) = swir(1.5, 0.3, listed_nm, corrected_nm, None);
        taken.unwrap();
        (bench.unit.white.as_ref().unwrap().wavelength.clone(), doubts(&bench.unit, 0))
    };
    // A camera without the absorption in its range has no figure, and no doubt.
    assert_eq!(after(640.0, 0.0), (None, vec![]));
    // An absorption that the panel lacks is a doubt.
    let (check, doubts) = after(1600.0, 0.0);
    assert!(check.is_none() && doubts.len() == 1, "{check:?} {doubts:?}");
    assert!(doubts[0].contains("cannot be checked") && doubts[0].contains("1600.0 nm"), "{doubts:?}");
    // What the configuration corrects is not found again.
    let (check, doubts) = after(2130.0, 1.5);
    assert!(check.as_ref().is_some_and(|check| check.shift_nm.abs() < 0.15) && doubts.is_empty(), "{check:?} {doubts:?}");
}
