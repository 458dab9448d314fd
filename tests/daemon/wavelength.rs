//! The wavelength axis: measured from the scan of a doped tile, written, and right in the next scan; and told by each white panel.

use super::gige::metrics;
use super::rig::{Daemon, Options, configuration, scan, tray};
use hyclus::store::read_sample;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// Width of the camera's bands, nm.
const FWHM_NM: f64 = 12.0;

/// One SWIR camera over a doped tile (A1) and ore (B1), which both reach over the line. Its true wavelengths are off by `device`.
fn rig(device: &str, simulation: &str, panel: &str) -> String {
    let text = configuration(&Options::default());
    let (head, rest) = text.split_once("[[camera]]\nname = \"vnir\"").unwrap();
    let (_, rest) = rest.split_once("[[camera]]\nname = \"swir\"").unwrap();
    let text = format!("{head}[[camera]]\nname = \"swir\"{rest}");
    let tile = "rows = 2\ncolumns = 1\ncontainer_width_mm = 280.0\ntiles = [\"A1\"]\n\
                contents = [{ plant = \"P9\", month = \"2018-06\", size = \"M100\" }]\n";
    text.replace("rows = 2\ncolumns = 2\n", tile)
        .replace("lamp_drift = 0.0\n", &format!("lamp_drift = 0.0\ntexture = 0.0\n{simulation}\n"))
        .replace("pixels = 96, bands = 48", &format!("pixels = 192, bands = 224, fwhm_nm = {FWHM_NM:?}{device}"))
        .replace("frames = 12", "frames = 50")
        .replace("{ reflectance = 0.95 }", panel)
        .replace("[grid]\n", "# The grid.\n[grid]\n")
}

/// The ore as bands of the camera at `nm` see it, in a world like that of [`rig`].
fn truth(text: &str, nm: &[f64]) -> Vec<f64> {
    let rig: toml::Table = text.parse().unwrap();
    let world: sim::WorldConfig = rig["simulation"].clone().try_into().unwrap();
    let fine: Vec<f64> = (0..3400).map(|i| 900.0 + 0.5 * f64::from(i)).collect();
    let truth = sim::World::new(&world).unwrap().truth(&fine);
    let ore = &truth.containers.iter().find(|container| container.at == "B1").unwrap().lower;
    let sigma = FWHM_NM / 2.354_820_045;
    let seen = |centre: &f64| {
        let weights = || fine.iter().map(|nm| (-0.5 * ((nm - centre) / sigma).powi(2)).exp());
        weights().zip(ore).map(|(weight, value)| weight * value).sum::<f64>() / weights().sum::<f64>()
    };
    nm.iter().map(seen).collect()
}

/// The worst error of a band in a sample, as a share: of its mean at the left end, in the middle and at the right end.
fn worst(file: &Path, text: &str) -> f64 {
    let data = read_sample(file).unwrap();
    let truth = truth(text, &data.wavelengths_nm);
    let mut worst: f64 = 0.0;
    for (from_mm, to_mm) in [(14.0, 34.0), (140.0, 160.0), (266.0, 286.0)] {
        for (band, truth) in truth.iter().enumerate() {
            let (mut sum, mut n) = (0.0, 0.0);
            for ((line, pixel), _) in
                data.mask.indexed_iter().filter(|((_, pixel), mask)| **mask == 1 && (from_mm..to_mm).contains(&data.pixel_mm[*pixel]))
            {
                sum += f64::from(data.reflectance[[line, pixel, band]]);
                n += 1.0;
            }
            assert!(n > 100.0, "{n} pixels from {from_mm} mm on");
            worst = worst.max((sum / n / truth - 1.0).abs());
        }
    }
    worst
}

const FEATURES: &str = r#"
name = "doped tile of the simulator"
[[feature]]
nm = 1257.0
window_nm = 50.0
tolerance_nm = 0.02
[[feature]]
nm = 1534.0
window_nm = 45.0
tolerance_nm = 0.02
[[feature]]
nm = 1680.0
window_nm = 50.0
tolerance_nm = 0.02
[[feature]]
nm = 1933.0
window_nm = 55.0
tolerance_nm = 0.02
[[feature]]
nm = 2215.0
window_nm = 55.0
tolerance_nm = 0.02
[[feature]]
nm = 802.0
window_nm = 30.0
"#;

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rig.toml"), text).unwrap();
    std::fs::write(folder.path().join("tile.toml"), FEATURES).unwrap();
    let ptfe = "name = \"panel\"\nleast = 1\n[[feature]]\nnm = 2130.0\nwindow_nm = 60.0\ntolerance_nm = 0.05\n";
    std::fs::write(folder.path().join("ptfe.toml"), ptfe).unwrap();
    folder
}

/// A camera with a smile of 1 nm and a shift of 1 nm is measured by a doped tile. The next scan is right.
#[tokio::test]
async fn a_shift_and_a_smile_are_measured_written_and_gone() {
    let text = rig(", smile_nm = 1.0, wavelength_shift_nm = 1.0", "", "{ reflectance = 0.95 }");
    let daemon = Daemon::launch(folder(&text));
    let (record, _) = scan(&daemon, tray(2, 1)).await;
    assert_eq!((record.complete, record.samples.len()), (Some(true), 2), "{:?} {:?}", record.reason, record.warnings);
    let sample = |daemon: &Daemon, id: &str| daemon.data.join("scans").join(id).join("samples/S-B1.h5");
    let before = worst(&sample(&daemon, &record.id), &text);
    let place = |name: &str| daemon.folder.path().join(name).display().to_string();
    let capture = format!("swir={}", daemon.data.join("scans").join(&record.id).join("raw/swir").display());
    let (config, features) = (place("rig.toml"), place("tile.toml"));
    let arguments = ["calibrate", "wavelength", "--config", &config, "--capture", &capture, "--features", &features];
    let tile = ["--sample", "S-A1"];
    let run = |more: &[&str]| daemon.hyclus(&[&arguments[..], &tile, more].concat());
    let shown = run(&[]);
    let table = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.status.success() && table.contains("wavelength_shift_nm = ") && table.contains("802.00  not used"),
        "{table}{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    // The ore does not have these absorptions.
    let refused = daemon.hyclus(&[&arguments[..], &["--from", "0,95", "--to", "300,157"]].concat());
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && reason.contains("at least 2 are needed"), "{reason}");
    let written = run(&["--write", "--json"]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let found: Value = serde_json::from_slice(&written.stdout).unwrap();
    for (key, truth) in [("wavelength_shift_nm", 1.0), ("smile_nm", 1.0), ("tilt_nm", 0.0)] {
        let (value, u) = (found[key]["value"].as_f64().unwrap(), found[key]["uncertainty"].as_f64().unwrap());
        assert!((value - truth).abs() < 0.06 && u < 0.06, "{key}: {value} ± {u}");
    }
    assert!(found["left_nm"]["before"].as_f64().unwrap() > 1.0 && found["left_nm"]["after"].as_f64().unwrap() < 0.1, "{found}");
    let (ended, log, folder) = daemon.end("-TERM");
    assert!(ended, "{}", log.join("\n"));
    let text = std::fs::read_to_string(folder.path().join("rig.toml")).unwrap();
    assert!(text.contains("# The grid.") && text.contains("correction = { wavelength_shift_nm = "), "{text}");
    let daemon = Daemon::launch(folder);
    let (record, _) = scan(&daemon, tray(2, 1)).await;
    assert_eq!(record.complete, Some(true), "{:?}", record.reason);
    let after = worst(&sample(&daemon, &record.id), &text);
    println!("worst band error: {before:.4} before, {after:.4} after");
    assert!(before > 0.018 && after <= 0.002, "{before} {after}");
    let history =
        daemon.hyclus(&["calibrate", "wavelength", "--config", &daemon.folder.path().join("rig.toml").display().to_string(), "--history"]);
    let line = String::from_utf8(history.stdout).unwrap();
    assert!(line.contains("swir  calibration") && line.contains(" nm, smile +"), "{line}");
}

/// Where the panel absorbs at a known wavelength, each white reference tells the shift: in status, metrics, the record and the history.
#[tokio::test]
async fn the_white_panel_tells_the_wavelengths() {
    let absorbs = "panel = { features = [{ nm = 2130.0, depth = 0.2, width_nm = 14.0 }] }";
    let panel = "{ reflectance = 0.95, features = \"ptfe.toml\" }";
    for (shift_nm, told) in [(1.5, true), (0.5, false)] {
        let daemon = Daemon::launch(folder(&rig(&format!(", wavelength_shift_nm = {shift_nm:?}"), absorbs, panel)));
        let (record, _) = scan(&daemon, tray(2, 1)).await;
        let check = &record.wavelength["swir"];
        assert!(
            (check.shift_nm - shift_nm).abs() < 4.0 * check.shift_uncertainty_nm.max(0.03) && check.shift_uncertainty_nm < 0.2,
            "{check:?}"
        );
        let warned = record.warnings.iter().any(|warning| warning.contains("references.max_wavelength_shift_nm"));
        assert_eq!(warned, told, "{:?}", record.warnings);
        let status = daemon.client().await.status().await.unwrap();
        assert!(status.references.iter().any(|reference| reference.wavelength.as_ref() == Some(check)), "{:?}", status.references);
        let shown = String::from_utf8(daemon.hyclus(&["status"]).stdout).unwrap();
        assert!(shown.contains(&format!("{:+.2} ± {:.2} nm", check.shift_nm, check.shift_uncertainty_nm)), "{shown}");
        let gauge = metrics(&daemon);
        let value = gauge.lines().find_map(|line| line.strip_prefix("hyclus_wavelength_shift_nm{camera=\"swir\"} ")?.parse::<f64>().ok());
        assert!(value.is_some_and(|nm| (nm - check.shift_nm).abs() < 1e-9), "{value:?} {check:?}");
        let config = daemon.folder.path().join("rig.toml").display().to_string();
        let history = daemon.hyclus(&["calibrate", "wavelength", "--json", "--config", &config, "--history"]);
        let line: Value = serde_json::from_slice(&history.stdout).unwrap();
        assert_eq!((line["camera"].as_str(), line["origin"].as_str()), (Some("swir"), Some("white")), "{line}");
    }
}
