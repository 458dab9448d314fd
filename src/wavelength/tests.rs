//! The wavelength axis of cameras whose axis is known.

use super::axis::*;
use super::{Certified, Feature, FeatureKind, Features};

const CENTRES: [f64; 4] = [1200.0, 1535.0, 1930.0, 2210.0];

fn features(of: &[f64], least: usize, tolerance_nm: f64) -> Features {
    let all = of.iter().map(|nm| Feature { nm: *nm, kind: FeatureKind::Minimum, window_nm: 45.0, tolerance_nm, source: String::new() });
    Features { name: "T".into(), least, all: all.collect(), spectrum: None }
}

/// Reflectance of a tile with four absorptions.
fn tile(nm: f64) -> f64 {
    CENTRES.iter().fold(0.8, |value, at| value * (1.0 - 0.3 * (-0.5 * ((nm - at) / 11.0).powi(2)).exp()))
}

fn nm() -> Vec<f64> {
    (0..230).map(|band| 1000.0 + 6.5 * f64::from(band)).collect()
}

/// Columns over the line of a camera whose true wavelengths are `off` away, by place and stated wavelength.
fn columns(off: impl Fn(f64, f64) -> f64) -> Vec<Column> {
    let of = |place: f64| Column { place, square: place * place, values: nm().iter().map(|nm| tile(nm + off(place, *nm))).collect() };
    (0..16).map(|i| of((f64::from(i) + 0.5) / 8.0 - 1.0)).collect()
}

fn measured(columns: &[Column], smile_nm: f64, features: &Features) -> Result<Axis, AxisError> {
    Axis::measure(columns, CameraBands { nm: &nm(), fwhm_nm: None, smile_nm }, features, 5.0)
}

#[test]
fn shift_smile_and_tilt_are_told_apart() {
    let found = measured(&columns(|place, _| 0.8 + 1.2 * place * place - 0.3 * place), 0.0, &features(&CENTRES, 2, 0.1)).unwrap();
    let near = |value: Value, truth: f64| assert!((value.value - truth).abs() < 0.02, "{value:?} {truth}");
    near(found.shift_nm, 0.8);
    near(found.smile_nm.unwrap(), 1.2);
    near(found.tilt_nm.unwrap(), -0.3);
    assert!(!found.dispersion.unwrap().sure() && found.features.iter().all(|feature| feature.agrees), "{found:?}");
    // What is corrected already is not found again.
    let left = measured(&columns(|place, _| 1.2 * place * place), 1.2, &features(&CENTRES, 2, 0.1)).unwrap();
    near(left.smile_nm.unwrap(), 0.0);
    near(left.shift_nm, 0.0);
    // A tile in the middle of the line tells a shift and no smile.
    let all = columns(|_, _| 1.0);
    let narrow = measured(&all[6..10], 0.0, &features(&CENTRES, 2, 0.1)).unwrap();
    assert_eq!((narrow.smile_nm, narrow.tilt_nm), (None, None));
    near(narrow.shift_nm, 1.0);
}

#[test]
fn an_error_of_the_dispersion_is_reported() {
    let found = measured(&columns(|_, nm| 0.5 + 0.002 * (nm - 1700.0)), 0.0, &features(&CENTRES, 2, 0.01)).unwrap();
    let dispersion = found.dispersion.unwrap();
    assert!((dispersion.value - 0.002).abs() < 0.0001 && dispersion.sure(), "{dispersion:?}");
    let left = found.left_by_dispersion_nm(&nm()).unwrap();
    assert!((left.value.abs() - 1.5).abs() < 0.4, "{left:?}");
    assert_eq!(measured(&columns(|_, _| 0.0), 0.0, &features(&CENTRES[1..2], 1, 0.1)).unwrap().dispersion, None);
}

#[test]
fn a_feature_that_disagrees_is_set_aside() {
    let mut of = features(&CENTRES, 2, 0.05);
    of.all[2].nm += 2.0;
    let found = measured(&columns(|_, _| 1.0), 0.0, &of).unwrap();
    assert_eq!(found.features.iter().map(|feature| feature.agrees).collect::<Vec<_>>(), [true, true, false, true]);
    assert!((found.shift_nm.value - 1.0).abs() < 0.02, "{:?}", found.shift_nm);
}

#[test]
fn too_few_features_and_a_range_without_any_are_refused_with_reasons() {
    let few = measured(&columns(|_, _| 0.0), 0.0, &features(&[1535.0, 1700.0, 2480.0], 2, 0.1)).unwrap_err();
    let text = few.to_string();
    assert!(
        text.contains("1 features were found, at least 2") && text.contains("\n  1700.0 nm: ") && text.contains("2480.0 nm: its window"),
        "{text}"
    );
    let none = measured(&columns(|_, _| 0.0), 0.0, &features(&[450.0, 640.0], 1, 0.1)).unwrap_err();
    assert!(matches!(none, AxisError::OutOfRange { .. }) && none.to_string().contains("1000 to 248"), "{none}");
    assert_eq!(measured(&[], 0.0, &features(&CENTRES, 2, 0.1)), Err(AxisError::Nothing));
    let far = measured(&columns(|_, _| 6.5), 0.0, &features(&CENTRES, 2, 0.1)).unwrap_err().to_string();
    assert!(far.contains("at most 5.0 nm"), "{far}");
}

#[test]
fn a_certified_spectrum_is_seen_through_the_cameras_bands() {
    let certified: Vec<f64> = (0..1601).map(|i| 950.0 + f64::from(i)).collect();
    // A doublet, which wide bands see as one lopsided minimum, away from either wavelength.
    let doublet = |nm: f64| 0.9 - 0.5 * (-0.5 * ((nm - 1528.0) / 3.0).powi(2)).exp() - 0.25 * (-0.5 * ((nm - 1545.0) / 5.0).powi(2)).exp();
    let values = certified.iter().map(|nm| doublet(*nm) as f32).collect();
    let mut of = features(&[1535.0], 1, 0.0);
    of.spectrum = Some(Certified { nm: certified, values, fwhm_nm: Some(vec![1.0; 1601]) });
    let wide = |centre: f64, fwhm: f64| {
        let sigma = fwhm / 2.354_82;
        let weight = |off: f64| (-0.5 * (off / sigma).powi(2)).exp();
        let offs = || (-60..=60).map(|i| f64::from(i) * sigma / 15.0);
        offs().map(|off| weight(off) * doublet(centre + off)).sum::<f64>() / offs().map(weight).sum::<f64>()
    };
    let (nm, widths) = (nm(), vec![12.0; 230]);
    for shift in [-1.5, 0.0, 1.0] {
        let values = nm.iter().map(|nm| wide(nm + shift, 12.0)).collect();
        let columns = [Column { place: 0.0, square: 0.0, values }];
        let bands = CameraBands { nm: &nm, fwhm_nm: Some(&widths), smile_nm: 0.0 };
        let found = Axis::measure(&columns, bands, &of, 5.0).unwrap();
        assert!((found.shift_nm.value - shift).abs() < 0.05, "{shift}: {found:?}");
    }
    of.spectrum.as_mut().unwrap().fwhm_nm = Some(vec![20.0; 1601]);
    let bands = CameraBands { nm: &nm, fwhm_nm: Some(&widths), smile_nm: 0.0 };
    let columns = [Column { place: 0.0, square: 0.0, values: nm.iter().map(|nm| doublet(*nm)).collect() }];
    assert!(matches!(Axis::measure(&columns, bands, &of, 5.0), Err(AxisError::Finer { .. })));
}

/// The 90 % panel of the shared folder, as bands of 6 nm see it.
#[test]
fn the_shipped_file_finds_the_absorption_of_a_real_panel() {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("HYCLUS_TEST_DATA").map_or(beside, std::path::PathBuf::from).join("fenix/spectralon_R90.txt");
    let Ok(text) = std::fs::read_to_string(&data) else {
        println!("skipped: {} is absent; set HYCLUS_TEST_DATA", data.display());
        return;
    };
    let table: Vec<(f64, f64)> =
        text.lines().filter_map(|line| line.split_once(',')).map(|(nm, value)| (nm.parse().unwrap(), value.parse().unwrap())).collect();
    let features = Features::read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/wavelength/ptfe.toml")).unwrap();
    for fwhm_nm in [6.0, 8.0, 12.0] {
        let nm: Vec<f64> = (0..100).map(|band| 2050.0 + f64::from(band) * fwhm_nm / 2.0).filter(|nm| *nm < 2250.0).collect();
        let seen = |centre: &f64| {
            let weights = table.iter().map(|(nm, value)| ((-2.773 * ((nm - centre) / fwhm_nm).powi(2)).exp(), value));
            let (sum, weight) = weights.fold((0.0, 0.0), |(sum, all), (weight, value)| (sum + weight * value, all + weight));
            sum / weight
        };
        let values: Vec<f64> = nm.iter().map(seen).collect();
        let found = super::fit::find(&features.all[0], None, &nm, &values, 20.0).unwrap();
        assert!(found.difference_nm.abs() < 1.5 * features.all[0].tolerance_nm, "{fwhm_nm}: {found:?}");
    }
}
