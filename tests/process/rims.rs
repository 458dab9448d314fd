//! What a pixel on the rim of a container mixes, and cameras that do not see a container in one place.

use crate::rig::{Camera, LENGTH_MM, Rig, only, reflectance};
use hyclus::store::read_sample;
use serde_json::Value;

fn pair() -> [Camera; 2] {
    [Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0), Camera::new("swir", 40, 5, (1100.0, 2300.0), 12.0)]
}

/// The largest error of the mean over a mask, relative to the scene, over bands and samples.
fn worst_mean(segment: &str) -> f64 {
    let cameras = pair();
    let mut rig = Rig::new(&cameras, 0.0);
    // Half a pixel off the grid, so that every edge is mixed.
    let scene = |x: f64, y: f64, nm: f64| reflectance(x - 0.5, y - 0.5, nm);
    cameras.iter().for_each(|camera| camera.record_averaged(&rig.path(camera.name), LENGTH_MM, &scene));
    rig.config.push_str(segment);
    let record = rig.process("out").record();
    let mut worst = 0.0_f64;
    for sample in record["samples"].as_array().unwrap() {
        assert_eq!(sample["doubts"], serde_json::json!([]), "{record}");
        let data = read_sample(&only(&rig.path("out"), &format!("{}.h5", sample["sample"].as_str().unwrap()))).unwrap();
        let bands = data.wavelengths_nm.len();
        let spectra = data.reflectance.as_slice().unwrap().chunks_exact(bands);
        let inside: Vec<&[f32]> = spectra.zip(&data.mask).filter(|(_, on)| **on == 1).map(|(spectrum, _)| spectrum).collect();
        assert!(inside.len() > 100, "{record}");
        for (band, nm) in data.wavelengths_nm.iter().enumerate() {
            let mean = inside.iter().map(|spectrum| f64::from(spectrum[band])).sum::<f64>() / inside.len() as f64;
            worst = worst.max((mean / (0.2 + nm / 5000.0) - 1.0).abs());
        }
    }
    worst
}

#[test]
fn the_mean_over_the_mask_is_the_mean_of_the_sample() {
    let (eroded, whole) = (worst_mean(""), worst_mean("[segment]\nerode_mm = 0.0\n"));
    assert!(eroded < 0.001 && whole > 0.02, "{eroded} without the rim, {whole} with it");
}

/// What the record says where the second camera is turned: it sees what lies `slope` further along for each mm across.
fn turned(slope: f64) -> Value {
    let cameras = pair();
    let rig = Rig::new(&cameras, 0.0);
    // Edges between two lines, as edges mostly are.
    let scene = |x: f64, y: f64, nm: f64, slope: f64| reflectance(x, y - 0.25 - slope * (x - 20.0), nm);
    cameras[0].record_averaged(&rig.path("vnir"), LENGTH_MM, &|x, y, nm| scene(x, y, nm, 0.0));
    cameras[1].record_averaged(&rig.path("swir"), LENGTH_MM, &|x, y, nm| scene(x, y, nm, slope));
    rig.process("out").record()
}

#[test]
fn a_turned_camera_is_warned_of_though_the_median_residual_is_zero() {
    // Containers 19 mm apart on a grid of 1 mm show a slope to 8 mm/m. The limit is 2 mm/m beyond that.
    let record = turned(0.03);
    let (along, of) = (record["residuals_mm"]["swir"][1].as_f64().unwrap(), &record["registration"]["swir"]);
    assert!(along.abs() < 0.1, "{record}");
    assert!((of["slope_mm_per_m"][1].as_f64().unwrap() - 30.0).abs() < 6.0, "{record}");
    assert!((of["yaw_deg"].as_f64().unwrap() - 1.7).abs() < 0.4, "{record}");
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("swir is turned by 1.") && warnings.contains("join.max_residual_slope_mm_per_m"), "{record}");
    let record = turned(0.01);
    assert_eq!(record["warnings"], serde_json::json!([]), "{record}");
    assert!(record["registration"]["swir"]["slope_mm_per_m"][1].as_f64().unwrap() > 2.0, "{record}");
}

#[test]
fn a_narrow_container_keeps_half_of_itself_and_is_in_doubt() {
    // A rim of 1.5 mm takes more than half of 6 mm by 20 mm, and less than half of 13 mm by 20 mm.
    let camera = Camera::new("vnir", 40, 7, (400.0, 1000.0), 0.0);
    let mut rig = Rig::new(std::slice::from_ref(&camera), 0.0);
    let narrow = |x: f64, y: f64, nm: f64| if x < 20.0 && x > 9.0 { 0.02 } else { reflectance(x, y, nm) };
    camera.record_averaged(&rig.path("vnir"), LENGTH_MM, &narrow);
    rig.config.push_str("[segment]\nmin_area_mm2 = 20.0\n");
    let record = rig.process("out").record();
    let sample = |name: &str| record["samples"].as_array().unwrap().iter().find(|sample| sample["sample"] == name).unwrap().clone();
    let rim = |sample: &Value| sample["doubts"].to_string().contains("segment.erode_mm");
    assert!(rim(&sample("left")) && !rim(&sample("right")), "{record}");
    assert!(sample("left")["pixels"].as_u64().unwrap() >= 45, "{record}");
}
