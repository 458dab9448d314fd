//! Rigs of one, two and three cameras.

use crate::rig::{ALONG, BOXES, Camera, FULL, Rig, only, reflectance};
use ndarray::{Array2, Array3};
use std::path::Path;

/// A sample as it was stored.
struct Stored {
    wavelengths: Vec<f64>,
    x_mm: Vec<f64>,
    y_mm: Vec<f64>,
    /// `[line][pixel][band]`.
    cube: Array3<f32>,
    quality: Array2<u8>,
    mask: Array2<u8>,
}

fn read(path: &Path) -> Stored {
    let group = hdf5::File::open(path).unwrap().group("entry/reflectance").unwrap();
    let list = |name: &str| group.dataset(name).unwrap().read_raw::<f64>().unwrap();
    let flags = |name: &str| group.dataset(name).unwrap().read_2d::<u8>().unwrap();
    Stored {
        wavelengths: list("wavelength"),
        x_mm: list("pixel"),
        y_mm: list("line"),
        cube: group.dataset("reflectance").unwrap().read().unwrap(),
        quality: flags("quality"),
        mask: flags("mask"),
    }
}

/// Processes what the cameras saw, checks both samples against the scene, and gives their wavelengths.
fn wavelengths(cameras: &[Camera], sections: &str) -> Vec<f64> {
    let mut rig = Rig::new(cameras, 0.0);
    rig.config.push_str(sections);
    let record = rig.process("out").record();
    assert_eq!((&record["complete"], &record["missing"]), (&true.into(), &serde_json::json!([])), "{record}");
    let names: Vec<&String> = record["cameras"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), cameras.len(), "{names:?}");
    // The coarsest camera pixel and one line: nearer to an edge than that, what lies beside it shows.
    let rim = 1.0 + cameras.iter().map(|camera| crate::rig::VIEW_MM / camera.pixels as f64).fold(0.0, f64::max);
    let mut found = Vec::new();
    for (name, (left, right)) in ["left", "right"].iter().zip(BOXES) {
        let stored = read(&only(&rig.path("out"), &format!("{name}.h5")));
        assert_eq!(stored.cube.dim(), (stored.y_mm.len(), stored.x_mm.len(), stored.wavelengths.len()));
        let (mut inside, mut outside) = (0, 0);
        for ((line, pixel), quality) in stored.quality.indexed_iter() {
            let (x, y) = (stored.x_mm[pixel], stored.y_mm[line]);
            let depth = (x - left).min(right - x).min(y - ALONG.0).min(ALONG.1 - y);
            if depth.abs() < rim {
                continue;
            }
            assert_eq!(stored.mask[(line, pixel)], u8::from(depth > 0.0), "{name}: mask at {x}, {y} mm");
            if depth < 0.0 {
                outside += 1;
                continue;
            }
            inside += 1;
            assert_eq!(*quality, 0, "{name} at {x}, {y} mm");
            for (band, nm) in stored.wavelengths.iter().enumerate() {
                let (is, should) = (f64::from(stored.cube[(line, pixel, band)]), reflectance(x, y, *nm));
                assert!((is - should).abs() <= 0.51 / FULL, "{name} at {x}, {y} mm, {nm} nm: {is} instead of {should}");
            }
        }
        assert!(inside > 50 && outside > 0, "{name}: {inside} pixels inside, {outside} outside");
        found.push(stored.wavelengths);
    }
    assert_eq!(found[0], found[1]);
    found.swap_remove(0)
}

/// All bands of some cameras in the order of their wavelengths.
fn sorted(cameras: &[Camera]) -> Vec<f64> {
    let mut all: Vec<f64> = cameras.iter().flat_map(|camera| camera.wavelengths.clone()).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn increasing(wavelengths: &[f64]) {
    assert!(wavelengths.is_sorted_by(|a, b| a < b), "{wavelengths:?}");
}

#[test]
fn one_camera_makes_a_rig() {
    let camera = Camera::new("only", 40, 9, (400.0, 1000.0), 0.0);
    assert_eq!(wavelengths(std::slice::from_ref(&camera), ""), camera.wavelengths);
}

#[test]
fn two_cameras_that_do_not_touch_keep_all_their_bands() {
    let cameras = [Camera::new("vnir", 40, 7, (400.0, 950.0), 0.0), Camera::new("swir", 20, 5, (1000.0, 2400.0), 12.0)];
    let found = wavelengths(&cameras, "");
    increasing(&found);
    assert_eq!(found, sorted(&cameras));
}

#[test]
fn an_overlap_is_cut_or_kept() {
    // 900, 920 .. 1000 and 900, 925 .. 1000 are seen twice.
    let cameras = [Camera::new("vnir", 40, 31, (400.0, 1000.0), 0.0), Camera::new("swir", 20, 17, (900.0, 1300.0), 12.0)];
    let cut = wavelengths(&cameras, "");
    increasing(&cut);
    let wanted: Vec<f64> = cameras[0].wavelengths.iter().copied().filter(|nm| *nm < 950.0).collect();
    assert_eq!(cut[..wanted.len()], wanted[..], "below the middle of the overlap");
    assert_eq!(cut[wanted.len()..], cameras[1].wavelengths[2..], "from the middle of the overlap");
    let kept = wavelengths(&cameras, "[join]\noverlap = \"keep\"\n");
    assert_eq!(kept, sorted(&cameras));
}

#[test]
fn three_cameras_that_touch_give_one_rising_spectrum() {
    // In no order on the belt or in the configuration, and each begins where the one before ends.
    let cameras = [
        Camera::new("swir", 20, 8, (1000.0, 1700.0), 12.0),
        Camera::new("vnir", 40, 13, (400.0, 1000.0), 0.0),
        Camera::new("long", 16, 5, (1700.0, 2500.0), 7.0),
    ];
    let cut = wavelengths(&cameras, "");
    increasing(&cut);
    let mut wanted = sorted(&cameras);
    wanted.dedup();
    assert_eq!(wanted.len(), 13 + 8 + 5 - 2);
    assert_eq!(cut, wanted, "what two cameras both see is kept once");
    let kept = wavelengths(&cameras, "[join]\noverlap = \"keep\"\n");
    assert_eq!(kept, sorted(&cameras));
}
