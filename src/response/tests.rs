//! Linearity and stray light of simulated cameras, whose truth is known.

use super::exposures::Series;
use super::linearity::{FitError, MOST_DRIFT, Step, fit};
use crate::config::{CalibrateConfig, CameraDevice, CorrectionConfig};
use crate::devices::CameraUnit;
use crate::devices::references::{Taking, gather};
use crate::panel::Panel;
use crate::reference::{Reference, Referenced, Response, WhiteReference, mean, median};
use contract::Subject;
use sim::{CameraConfig, LampChange, LightConfig, WorldConfig};
use std::sync::Arc;

/// Reflectance of the panel.
const PANEL: f64 = 0.95;
/// Exposure of a scan, µs. The panel then gives 90 % of the full scale.
const SCAN_US: f64 = 2000.0;
/// Exposures of a series, as shares of that of a scan, with one that is repeated.
const SHARES: [f64; 13] = [0.5, 0.1, 1.0, 0.5, 0.2, 0.9, 0.4, 0.5, 0.8, 0.3, 0.7, 0.6, 0.5];

/// A camera above a panel that stands under it.
struct Bench {
    world: Arc<sim::World>,
    unit: CameraUnit,
}

fn camera() -> CameraConfig {
    CameraConfig { pixels: 96, bands: 30, dead_elements: 3, hot_elements: 3, noisy_elements: 3, ..CameraConfig::default() }
}

impl Bench {
    fn new(camera: &CameraConfig, change: impl FnOnce(&mut WorldConfig)) -> Self {
        let mut world = WorldConfig { seed: 7, pace: sim::Pace::AsRead, warm_up_s: 0.0, lamp_drift: 0.0, ..WorldConfig::default() };
        (world.panel.start_mm, world.panel.end_mm) = (-200.0, -50.0);
        change(&mut world);
        let world = sim::World::new(&world).unwrap();
        let text =
            "name = \"vnir\"\nfield_of_view_mm = 300.0\nexposure_us = 2000.0\nframe_rate_hz = 60.0\ndevice = { kind = \"simulated\" }\n";
        let mut config: crate::config::CameraConfig = toml::from_str(text).unwrap();
        config.device = CameraDevice::Simulated(Box::new(camera.clone()));
        let device = Box::new(world.camera("vnir", camera).unwrap());
        let unit = CameraUnit::new(config, device, &CalibrateConfig::default(), 64).unwrap();
        let bench = Self { world, unit };
        bench.lamp(1.0);
        bench
    }

    fn lamp(&self, level: f64) {
        let lamp = self.world.light("halogen", &LightConfig::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(contract::Light::set(&lamp, level)).unwrap();
    }

    /// The white reference at an exposure, and the dark one.
    fn pair(&mut self, exposure_us: f64) -> (Reference, Reference) {
        self.unit.config.exposure_us = exposure_us;
        self.unit.exposure = self.unit.settings().unwrap();
        let config = toml::from_str("panel = { reflectance = 0.95 }\nframes = 50\n").unwrap();
        let mut one = |subject| {
            self.unit.camera.set_shutter(subject == Subject::White).unwrap();
            gather(&mut self.unit, Taking::recorded(subject, Some(&config)), &()).unwrap().reference
        };
        let dark = one(Subject::Dark);
        (one(Subject::White), dark)
    }

    fn series(&mut self, shares: &[f64]) -> Series {
        let full = self.unit.about.saturation.unwrap();
        let steps = shares.iter().map(|share| {
            let (white, dark) = self.pair(share * SCAN_US);
            Step::new(&white, &dark, full)
        });
        let steps = steps.collect();
        Series { camera: "vnir".into(), configured: CorrectionConfig::default(), full, steps }
    }

    /// Errors of the reflectance of scenes as bright as these shares of the panel, as shares. A shorter exposure of the panel stands for a
    /// darker scene. The white reference is at `white_us`.
    fn errors(&mut self, shares: &[f64], white_us: f64, correction: &CorrectionConfig) -> Vec<f64> {
        let (white, own) = self.pair(white_us);
        let (_, dark) = self.pair(SCAN_US);
        let (dark, of_white) = if white_us == SCAN_US { (own, None) } else { (dark, Some(own)) };
        let white = WhiteReference { reference: white.into(), dark: of_white.map(Arc::new) };
        let about = &self.unit.about;
        let panel = Panel::constant(PANEL, None).at(&about.wavelengths_nm).unwrap();
        let mut referenced = Referenced::new(dark, white, panel, about.layout, about.saturation, self.unit.mend.clone()).unwrap();
        let response = Response::new(correction, about.saturation);
        if let Some(response) = response {
            referenced = referenced.with_response(response);
        }
        let error = |share: &f64| {
            let (scene, dark) = self.pair(share * SCAN_US);
            let good = (0..referenced.gain.len()).filter(|at| referenced.bad[*at] == 0);
            let values = good.map(|at| {
                let signal = scene.mean[at] - dark.mean[at];
                response.map_or(signal, |response| response.straight(signal)) * referenced.gain[at] / (share * PANEL) as f32
            });
            f64::from(median(values.collect())) - 1.0
        };
        shares.iter().map(error).collect()
    }
}

/// Scenes that the series did not hold.
const SCENES: [f64; 5] = [0.06, 0.15, 0.35, 0.65, 0.95];

fn worst(errors: &[f64]) -> f64 {
    errors.iter().fold(0.0, |worst, error| f64::max(worst, error.abs()))
}

#[test]
fn a_bend_of_a_percent_is_found_and_corrected() {
    for nonlinearity in [0.01, -0.01, 0.001] {
        let mut bench = Bench::new(&CameraConfig { nonlinearity, ..camera() }, |_| {});
        let found = fit(&bench.series(&SHARES)).unwrap();
        let before = worst(&bench.errors(&SCENES, SCAN_US, &CorrectionConfig::default()));
        let correction = CorrectionConfig { linearity: found.coefficients.clone(), ..CorrectionConfig::default() };
        let after = worst(&bench.errors(&SCENES, SCAN_US, &correction));
        eprintln!("{nonlinearity}: {found:?}; R off by {:.3} %, then by {:.4} %", 100.0 * before, 100.0 * after);
        assert!(before > 0.002 && after < 0.0005, "{nonlinearity}: {before} {after}");
        assert!(found.after.0 < 1e-4 && found.before.0 > 5.0 * found.after.0, "{found:?}");
        assert_eq!((found.exposures, found.drift.is_some()), (10, true));
    }
}

#[test]
fn a_straight_response_is_found_straight() {
    let found = fit(&Bench::new(&camera(), |_| {}).series(&SHARES)).unwrap();
    assert_eq!(found.coefficients, [0.0], "{found:?}");
    assert!(found.before.0 < 2e-4, "{found:?}");
}

#[test]
fn saturated_elements_are_left_out() {
    let camera = CameraConfig { nonlinearity: 0.01, ..camera() };
    let mut bench = Bench::new(&camera, |_| {});
    // Up to twice the full scale.
    let shares: Vec<f64> = SHARES.iter().map(|share| 2.2 * share).collect();
    let found = fit(&bench.series(&shares)).unwrap();
    let correction = CorrectionConfig { linearity: found.coefficients.clone(), ..CorrectionConfig::default() };
    let after = worst(&bench.errors(&SCENES, SCAN_US, &correction));
    assert!(after < 0.0005 && found.reach > 0.95, "{after} {found:?}");
}

#[test]
fn lamps_that_drift_are_divided_out_and_beyond_a_limit_refused() {
    let drifting = |share: f64| {
        let change = LampChange { share, over_s: 22.0, ..toml::from_str("share = 0.0\n").unwrap() };
        let mut bench = Bench::new(&CameraConfig { nonlinearity: 0.01, ..camera() }, |world| world.lamp_changes = vec![change]);
        let series = bench.series(&SHARES);
        (bench, fit(&series))
    };
    let (mut bench, found) = drifting(-0.8 * MOST_DRIFT);
    let found = found.unwrap();
    assert!(found.drift.unwrap() > 0.5 * MOST_DRIFT, "{found:?}");
    let correction = CorrectionConfig { linearity: found.coefficients.clone(), ..CorrectionConfig::default() };
    let after = worst(&bench.errors(&SCENES, SCAN_US, &correction));
    assert!(after < 0.001, "{after} {found:?}");
    assert!(matches!(drifting(-1.5 * MOST_DRIFT).1, Err(FitError::Drift { .. })));
}

#[test]
fn a_series_that_says_nothing_is_refused() {
    let refused = |shares: &[f64]| fit(&Bench::new(&camera(), |_| {}).series(shares)).unwrap_err().to_string();
    assert!(refused(&[0.2, 0.5, 1.0, 1.0]).contains("at 3 exposures, at least 4"));
    assert!(refused(&[0.3, 0.5, 0.7, 1.0]).contains("600 to 2000 µs"));
    assert!(refused(&[10.0, 20.0, 30.0, 40.0]).contains("are saturated"));
    assert!(refused(&[0.05, 0.1, 0.15, 0.2]).contains("brightest elements reach"));
    // Just wide enough.
    assert!(fit(&Bench::new(&camera(), |_| {}).series(&[0.25, 0.5, 0.7, 1.0])).is_ok());
}

#[test]
fn a_curve_beyond_the_limits_is_refused() {
    let found = fit(&Bench::new(&CameraConfig { nonlinearity: 0.1, ..camera() }, |_| {}).series(&SHARES));
    assert!(matches!(&found, Err(error @ FitError::Beyond { .. }) if error.to_string().contains("linearity = [")), "{found:?}");
}

#[test]
fn a_white_at_half_exposure_gives_the_reflectance_of_a_plain_one() {
    let straight = CorrectionConfig { linearity: vec![0.0], ..CorrectionConfig::default() };
    let mut bench = Bench::new(&camera(), |_| {});
    let plain = bench.errors(&SCENES, SCAN_US, &straight);
    let half = bench.errors(&SCENES, 0.5 * SCAN_US, &straight);
    for (plain, half) in plain.iter().zip(&half) {
        assert!((plain - half).abs() < 0.001, "{plain} {half}");
    }
    // A bent response makes an error of it, which the measured curve corrects.
    let mut bench = Bench::new(&CameraConfig { nonlinearity: 0.01, ..camera() }, |_| {});
    let found = fit(&bench.series(&SHARES)).unwrap();
    let correction = CorrectionConfig { linearity: found.coefficients, ..CorrectionConfig::default() };
    let (before, after) = (bench.errors(&SCENES, 0.5 * SCAN_US, &straight), bench.errors(&SCENES, 0.5 * SCAN_US, &correction));
    assert!(worst(&before) > 0.01 && worst(&after) < 0.001, "{before:?} {after:?}");
}

/// A recorded tray of a camera.
struct Scanned {
    folder: tempfile::TempDir,
    loaded: crate::config::Loaded,
    /// Mean counts of the dark and the white reference, and of lines of the tray.
    means: Vec<Vec<f32>>,
    bench: Bench,
}

/// The recording of a tray by a camera with stray light.
fn scanned(stray_light: f64) -> Scanned {
    use contract::{Conveyor, Received};
    let camera = CameraConfig { stray_light, ..camera() };
    let mut bench = Bench::new(&camera, |_| {});
    let conveyor = bench.world.conveyor(&sim::ConveyorConfig::default()).unwrap();
    let (folder, mut means) = (tempfile::tempdir().unwrap(), Vec::new());
    let record = |unit: &CameraUnit, name: &str, bytes: &[u8]| {
        let settings = unit.recording_settings();
        let lines = bytes.len() / settings.description.layout.bytes();
        std::fs::write(folder.path().join(format!("{name}.raw")), bytes).unwrap();
        let mut text = Vec::new();
        crate::acquire::header(&settings, lines as u64, &[]).write(&mut text).unwrap();
        std::fs::write(folder.path().join(format!("{name}.hdr")), text).unwrap();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, open, speed, lines) in [("DARKREF_vnir", false, 0.0, 50), ("WHITEREF_vnir", true, 0.0, 50), ("vnir", true, 40.0, 700)] {
        bench.unit.camera.set_shutter(open).unwrap();
        if speed > 0.0 {
            runtime.block_on(conveyor.run(speed)).unwrap();
        }
        let mut stream = bench.unit.camera.start(bench.unit.pool.clone(), Subject::Tray).unwrap();
        let mut bytes = Vec::new();
        for line in 0..lines {
            let Received::Frame(frame) = stream.next(std::time::Instant::now() + std::time::Duration::from_secs(5)).unwrap() else {
                panic!("no frame {line}")
            };
            // The panel passes first.
            if speed == 0.0 || line >= 110 {
                bytes.extend_from_slice(frame.slot.bytes());
            }
        }
        drop(stream);
        bench.unit.camera.ensure_stopped().unwrap();
        // The belt is at 30 to 330 mm along the tray.
        let skipped = if speed > 0.0 { 115 } else { 0 };
        let size = camera.pixels * camera.bands * 2;
        let some: Vec<&[u8]> = bytes.chunks_exact(size).skip(skipped).take(450).collect();
        let count = |at: usize| some.iter().map(|frame| f64::from(u16::from_le_bytes([frame[2 * at], frame[2 * at + 1]]))).sum::<f64>();
        means.push((0..size / 2).map(|at| (count(at) / some.len() as f64) as f32).collect());
        record(&bench.unit, name, &bytes);
    }
    let text = format!(
        "[rig]\nname = \"test\"\ndata_dir = \"data\"\n[conveyor]\nspeed_mm_per_s = 40.0\ndevice = {{ kind = \"recorded\" }}\n\
         [references]\npanel = {{ reflectance = 0.95 }}\n[grid]\npixel_mm = 1.0\n[[camera]]\nname = \"vnir\"\nfield_of_view_mm = 300.0\n\
         exposure_us = 2000.0\nframe_rate_hz = 60.0\ndevice = {{ kind = \"replay\", path = {:?}, bits = 12 }}\n",
        folder.path().join("vnir.hdr")
    );
    let config = folder.path().join("rig.toml");
    std::fs::write(&config, text).unwrap();
    let loaded = crate::config::Loaded::read(&config).unwrap();
    Scanned { folder, loaded, means, bench }
}

/// Error of the strip's reflectance, as a share: the mean over the fifth of the bands with the least light.
fn error_on_strip(scanned: &Scanned, correction: &CorrectionConfig) -> f64 {
    let unit = &scanned.bench.unit;
    let exposure = unit.exposure;
    let reference = |mean: &Vec<f32>| {
        let sd = vec![3.0; mean.len()];
        Reference { peak: mean.clone(), mean: mean.clone(), sd, frames: 50, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
    };
    let (about, means) = (&unit.about, &scanned.means);
    let panel = vec![PANEL as f32; about.layout.bands];
    let referenced = Referenced::new(reference(&means[0]), reference(&means[1]), panel, about.layout, about.saturation, unit.mend.clone());
    let mut referenced = referenced.unwrap();
    let response = Response::new(correction, about.saturation);
    if let Some(response) = response {
        referenced = referenced.with_response(response);
    }
    let truth = scanned.bench.world.truth(&about.wavelengths_nm).background_reflectance;
    let stray = response.map_or(0.0, |response| response.stray(mean(&means[2]) - mean(&means[0])));
    let of_band = |band: usize| {
        // From 93 to 107 mm.
        let pixels = (30..34).map(|pixel| band * about.layout.pixels + pixel).filter(|at| referenced.bad[*at] == 0);
        let values = pixels.map(|at| (means[2][at] - means[0][at] - stray) * referenced.gain[at]);
        mean(&values.collect::<Vec<_>>()) / truth - 1.0
    };
    let light = |band: &usize| mean(&means[1][band * about.layout.pixels..(band + 1) * about.layout.pixels]);
    let mut bands: Vec<usize> = (0..about.layout.bands).collect();
    bands.sort_by(|a, b| light(a).total_cmp(&light(b)));
    bands.truncate(about.layout.bands / 5);
    bands.iter().map(|band| of_band(*band)).sum::<f64>() / bands.len() as f64
}

#[test]
fn stray_light_of_half_a_percent_is_found_on_a_dark_strip() {
    use super::stray::{StrayError, Strip, stray, write_back};
    let scanned_with = scanned(0.005);
    let Scanned { folder, loaded, .. } = &scanned_with;
    let capture = crate::data_root::Capture { camera: "vnir".into(), path: folder.path().join("vnir.hdr") };
    let captures = std::slice::from_ref(&capture);
    let strip = |from: f64, to: f64| Strip { across_mm: (from, to), along_mm: (f64::NEG_INFINITY, f64::INFINITY) };
    // Between two columns of containers.
    let found = stray(loaded, captures, &strip(93.0, 107.0)).unwrap().remove(0);
    // The share of the measured mean is f / (1 + f), where the world adds f of the true one.
    assert!((found.share - 0.005 / 1.005).abs() < 0.0002 && found.uncertainty < 0.0002, "{found:?}");
    write_back(loaded, std::slice::from_ref(&found)).unwrap();
    let written = crate::config::Loaded::read(&loaded.path).unwrap().config.camera[0].correction.clone();
    let [before, after] = [&CorrectionConfig::default(), &written].map(|correction| error_on_strip(&scanned_with, correction));
    eprintln!("{found:?}; the strip is off by {:.1} %, then by {:.2} %", 100.0 * before, 100.0 * after);
    assert!(before > 0.1 && after.abs() < 0.01, "{before} {after}");
    let refused = |strip: &Strip| stray(loaded, captures, strip).unwrap_err();
    assert!(matches!(refused(&strip(400.0, 410.0)), StrayError::Elements { found: 0, .. }));
    assert!(matches!(refused(&strip(40.0, 60.0)), StrayError::Bright { .. }));
    assert!(matches!(refused(&Strip { along_mm: (0.0, 5.0), ..strip(93.0, 107.0) }), StrayError::Lines { .. }));
    // Behind the last row, lines are all alike.
    assert!(matches!(refused(&Strip { along_mm: (370.0, 400.0), ..strip(93.0, 107.0) }), StrayError::Nothing { .. }));
}

#[test]
fn a_camera_without_stray_light_gives_no_share() {
    use super::stray::{StrayError, Strip, stray};
    let Scanned { folder, loaded, .. } = scanned(0.0);
    let capture = crate::data_root::Capture { camera: "vnir".into(), path: folder.path().join("vnir.hdr") };
    let strip = Strip { across_mm: (93.0, 107.0), along_mm: (f64::NEG_INFINITY, f64::INFINITY) };
    let nothing = stray(&loaded, &[capture], &strip).unwrap_err();
    assert!(matches!(nothing, StrayError::Nothing { .. }) && nothing.to_string().contains("it is small"), "{nothing:?}");
}
