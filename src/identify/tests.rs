use super::*;
use std::path::{Path, PathBuf};

/// The library of the project.
fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/minerals/usgs.toml")
}

/// Bands of two cameras: centres and widths, nm. The number of bands is about 650.
pub(super) fn bands() -> (Vec<f32>, Vec<f32>) {
    let vnir = (0..364).map(|band| (400.0 + 600.0 * band as f32 / 363.0, 5.5));
    let swir = (1..288).map(|band| (1000.0 + 1500.0 * band as f32 / 287.0, 8.0));
    vnir.chain(swir).unzip()
}

pub(super) fn usgs() -> (Library, Identifier) {
    let library = Library::read(&path()).unwrap();
    let (nm, fwhm) = bands();
    let identifier = Identifier::new(&library, &nm, &fwhm).unwrap();
    (library, identifier)
}

/// Numbers from 0 to 1, by Knuth's generator MMIX.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal, of standard deviation 1: the sum of twelve uniform numbers.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// Spectra of all records of a library on the bands of [`bands`], `[record][band]`, with the keys.
pub(super) fn records(library: &Library) -> Vec<(String, Vec<f32>)> {
    let (nm, fwhm) = bands();
    let wide = |all: &[f32]| all.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let of = |record: &text::Record| (record.key.clone(), prepare::resampled(library, &record.key, &wide(&nm), &wide(&fwhm)));
    library.text.record.iter().map(of).collect()
}

fn identified(identifier: &Identifier, spectra: &[f32]) -> Minerals {
    let mut out = Minerals::default();
    identifier.identify(spectra, &mut identifier.scratch(), &mut out);
    out
}

#[test]
fn the_library_of_the_project_is_good() {
    let (library, identifier) = usgs();
    assert_eq!((library.name(), library.sha256().len(), identifier.minerals().len()), ("usgs", 64, 40));
    for coverage in identifier.coverage() {
        assert!(coverage.covered() || coverage.not_identified.is_some(), "{coverage:?}");
    }
    assert!(identifier.covered_features().iter().all(|covered| *covered), "{:?}", identifier.covered_features());
    let units = identifier.features().iter().all(|feature| matches!(feature.unit, "nm" | "1") && feature.long_name.contains(": "));
    assert!(units && library.text.entry.iter().all(|entry| !entry.source.is_empty()));
}

#[test]
fn a_record_is_identified_as_its_own_mineral() {
    let (library, identifier) = usgs();
    let families = identifier.families();
    let mut not_identified = Vec::new();
    for (key, spectrum) in records(&library) {
        let found = identified(&identifier, &spectrum);
        let code = library.text.entry.iter().position(|entry| entry.records.contains(&key)).unwrap();
        let group = usize::from(library.text.entry[code].group == 2);
        match usize::from(found.winner[group][0]) {
            0 => not_identified.push(key),
            winner => assert_eq!(families[winner - 1], families[code], "{key}"),
        }
    }
    assert!(not_identified.len() <= 2, "{not_identified:?}");
}

#[test]
fn noise_flat_black_and_water_are_not_identified() {
    let (_, identifier) = usgs();
    let bands = identifier.bands();
    let (nm, _) = self::bands();
    let mut random = Random(1);
    let mut spectra = Vec::new();
    for pixel in 0..12_000 {
        let level = [0.5, 0.2, 0.05, 0.0, 0.002][pixel % 5];
        let noise = [0.3, 0.05, 0.01, 0.002, 0.0][pixel / 5 % 5] * if level > 0.0 { level } else { 1.0 };
        // Liquid water: absorptions at 970, 1190, 1450 and 1940 nm.
        let water = if pixel % 7 == 0 { 0.8 } else { 0.0 };
        let absorbs = |nm: f32, at: f32, width: f32| (-((nm - at) / width).powi(2)).exp();
        let light = |nm: f32| {
            0.05 * absorbs(nm, 970.0, 40.0) + 0.15 * absorbs(nm, 1190.0, 50.0) + absorbs(nm, 1450.0, 60.0) + absorbs(nm, 1940.0, 70.0)
        };
        spectra.extend(nm.iter().map(|nm| level * (-water * light(*nm)).exp() + noise * random.normal()));
    }
    let found = identified(&identifier, &spectra);
    assert_eq!(found.pixels(), spectra.len() / bands);
    for group in 0..2 {
        let wrong: Vec<u16> = found.winner[group].iter().copied().filter(|code| *code > 0).collect();
        assert!(wrong.len() * 1000 <= found.pixels(), "{} of {}: {wrong:?}", wrong.len(), found.pixels());
    }
}

#[test]
fn every_vector_unit_gives_the_same_bits() {
    let (library, identifier) = usgs();
    let mut random = Random(7);
    let mut spectra: Vec<f32> = records(&library).into_iter().flat_map(|(_, spectrum)| spectrum).collect();
    let known = spectra.len();
    spectra.extend_from_within(..);
    spectra[known..].iter_mut().for_each(|value| *value += 0.02 * random.normal());
    (0..spectra.len()).step_by(991).for_each(|at| spectra[at] = [f32::NAN, f32::INFINITY, 0.0, -1.0][at % 4]);
    let widest = identified(&identifier, &spectra);
    let mut scalar = Minerals::default();
    scalar.resize(widest.pixels(), identifier.features().len());
    let mut scratch = identifier.scratch();
    pulp::Arch::Scalar.dispatch(identifier::Identify {
        identifier: &identifier,
        spectra: &spectra,
        scratch: &mut scratch,
        out: &mut scalar,
    });
    let bits = |all: &[f32]| all.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    assert_eq!((&widest.winner, &widest.runner_up), (&scalar.winner, &scalar.runner_up));
    for group in 0..2 {
        assert_eq!(bits(&widest.score[group]), bits(&scalar.score[group]));
        assert_eq!(bits(&widest.runner_up_score[group]), bits(&scalar.runner_up_score[group]));
    }
    assert_eq!(bits(&widest.features), bits(&scalar.features));
}

#[test]
fn a_band_without_a_value_hides_only_its_windows() {
    let (library, identifier) = usgs();
    let (_, mut spectrum) = records(&library).into_iter().find(|(key, _)| key == "calcite__02").unwrap();
    let before = identified(&identifier, &spectrum);
    let code = 1 + u16::try_from(identifier.minerals().iter().position(|name| name == "calcite").unwrap()).unwrap();
    assert_eq!((before.winner[1][0], before.score[1][0] > 0.1), (code, true));
    let (nm, _) = bands();
    spectrum[nm.iter().position(|nm| *nm > 700.0).unwrap()] = f32::NAN;
    let after = identified(&identifier, &spectrum);
    assert_eq!(after.winner[1][0], code, "a band of the VNIR is not read");
    let at = |found: &Minerals, name: &str| found.features[identifier.features().iter().position(|f| f.name == name).unwrap()];
    assert!(at(&before, "650_Fe3_depth").is_finite() && at(&after, "650_Fe3_depth").is_nan());
    spectrum[nm.iter().position(|nm| *nm > 2330.0).unwrap()] = f32::NAN;
    let hidden = identified(&identifier, &spectrum);
    assert_eq!((hidden.winner[1][0], hidden.score[1][0].is_finite()), (0, true));
    assert!(at(&after, "2335_CO3_position") > 2330.0 && at(&hidden, "2335_CO3_position").is_nan());
}

/// Depths in a window below the line through the means of both shoulders, and the weight of each: the distance of its neighbours.
fn plain_depths(spectrum: &[f32], nm: &[f32], window: &text::Window) -> Vec<(f64, f64)> {
    let within = |[from, to]: [f64; 2]| (0..nm.len()).filter(move |i| (from..=to).contains(&f64::from(nm[*i]))).collect::<Vec<usize>>();
    let mean = |of: &[usize], values: &[f32]| of.iter().map(|i| f64::from(values[*i])).sum::<f64>() / of.len() as f64;
    let (left, right) = (within(window.left_nm), within(window.right_nm));
    let (x0, x1) = (mean(&left, nm), mean(&right, nm));
    let (y0, y1) = (mean(&left, spectrum), mean(&right, spectrum));
    let all = within([window.left_nm[0], window.right_nm[1]]);
    let extent = |i: usize| match i {
        _ if i == all[0] => 2.0 * f64::from(nm[i + 1] - nm[i]),
        _ if i == all[all.len() - 1] => 2.0 * f64::from(nm[i] - nm[i - 1]),
        _ => f64::from(nm[i + 1] - nm[i - 1]),
    };
    let depth = |i: usize| 1.0 - f64::from(spectrum[i]) / (y0 + (y1 - y0) * (f64::from(nm[i]) - x0) / (x1 - x0));
    all.iter().map(|i| (depth(*i), extent(*i))).collect()
}

#[test]
fn a_score_is_what_the_formulas_say() {
    let (library, _) = usgs();
    let (nm, fwhm) = bands();
    let all = records(&library);
    let mut random = Random(5);
    for name in ["topaz", "pyrophyllite", "serpentine"] {
        let mut one = library.clone();
        one.text.entry.retain(|entry| entry.name == name);
        one.text.entry[0].records.truncate(1);
        let identifier = Identifier::new(&one, &nm, &fwhm).unwrap();
        let entry = &one.text.entry[0];
        let window = library.text.window.iter().find(|window| window.name == entry.window[0].name).unwrap();
        let (_, own) = all.iter().find(|(key, _)| *key == entry.records[0]).unwrap();
        for share in [1.0_f32, 0.4, 0.1] {
            let spectrum: Vec<f32> = own.iter().map(|value| share * value + (1.0 - share) * 0.6 + 0.004 * random.normal()).collect();
            let (of_own, of_pixel) = (plain_depths(own, &nm, window), plain_depths(&spectrum, &nm, window));
            let weights: f64 = of_own.iter().map(|(_, weight)| weight).sum();
            let mean = |of: &[(f64, f64)]| of.iter().map(|(depth, weight)| weight * depth).sum::<f64>() / weights;
            let (a, b) = (mean(&of_own), mean(&of_pixel));
            let sum = |left: &[(f64, f64)], a: f64, right: &[(f64, f64)], b: f64| {
                left.iter().zip(right).map(|((x, weight), (y, _))| weight * (x - a) * (y - b)).sum::<f64>()
            };
            let (both, of_a, of_b) = (sum(&of_own, a, &of_pixel, b), sum(&of_own, a, &of_own, a), sum(&of_pixel, b, &of_pixel, b));
            let (fit, factor) = (both * both / (of_a * of_b), both / of_a);
            let depth = factor * of_own.iter().fold(0.0_f64, |most, (depth, _)| most.max(depth.abs()));
            let score = fit.powi(i32::from(library.text.limits.fit_power)) * depth;
            let found = identified(&identifier, &spectrum).score[1][0];
            assert!((f64::from(found) / score - 1.0).abs() < 1e-3, "{name} at {share}: {found}, not {score}");
        }
    }
}

#[test]
fn an_absorption_of_known_shape_is_measured() {
    let (_, identifier) = usgs();
    let (nm, _) = bands();
    let at = |found: &Minerals, name: &str| found.features[identifier.features().iter().position(|f| f.name == name).unwrap()];
    for (centre, depth, deviation) in [(2206.3_f32, 0.2_f32, 12.0_f32), (2196.0, 0.05, 15.0), (2212.7, 0.5, 10.0)] {
        let light = |nm: f32| 0.3 + 0.0002 * (nm - 2000.0);
        let spectrum: Vec<f32> =
            nm.iter().map(|nm| light(*nm) * (1.0 - depth * (-0.5 * ((nm - centre) / deviation).powi(2)).exp())).collect();
        let found = identified(&identifier, &spectrum);
        let position = at(&found, "2200_AlOH_position");
        assert!((position - centre).abs() < 0.3, "{position} nm, not {centre}");
        assert!((at(&found, "2200_AlOH_depth") - depth).abs() < 0.02 * depth, "{} not {depth}", at(&found, "2200_AlOH_depth"));
        let (width, area) = (2.354_82 * deviation, 2.506_628 * deviation * depth);
        assert!((at(&found, "2200_AlOH_width") / width - 1.0).abs() < 0.05, "{} not {width}", at(&found, "2200_AlOH_width"));
        assert!((at(&found, "2200_AlOH_area") / area - 1.0).abs() < 0.05, "{} not {area}", at(&found, "2200_AlOH_area"));
        assert!(at(&found, "2200_AlOH_asymmetry").abs() < 0.05, "{}", at(&found, "2200_AlOH_asymmetry"));
        assert!(at(&found, "900_Fe3_position").is_nan() && at(&found, "900_Fe3_depth") < 1e-3, "no other absorption is seen");
    }
}

#[test]
fn what_bands_do_not_cover_is_told() {
    let (library, _) = usgs();
    let (nm, fwhm): (Vec<f32>, Vec<f32>) = (0..300).map(|band| (400.0 + 3.0 * band as f32, f32::NAN)).unzip();
    let identifier = Identifier::new(&library, &nm, &fwhm).unwrap();
    let of = |name: &str| identifier.coverage().iter().find(|entry| entry.mineral == name).unwrap();
    assert!(of("hematite").covered() && of("jarosite").covered() && !of("kaolinite").covered() && !of("quartz").covered());
    let window = &of("kaolinite").windows[0];
    let reason = window.missing.as_deref().unwrap();
    assert!(reason.contains("no band lies on its left shoulder, 2070 to 2115 nm") && reason.contains("400.0 to 1297.0 nm"), "{reason}");
    assert!(of("quartz").not_identified.as_deref().is_some_and(|reason| reason.contains("no absorption")));
    assert!(identifier.covered_features().iter().any(|covered| *covered) && !identifier.covered_features().iter().all(|covered| *covered));
    let error = |nm: &[f32], fwhm: &[f32]| Identifier::new(&library, nm, fwhm).unwrap_err().to_string();
    assert!(error(&nm[..60], &fwhm[..60]).contains("cover no mineral of the library `usgs`"));
    assert!(error(&[], &[]).contains("cover no mineral"));
    assert!(error(&[500.0, 400.0], &[5.0; 2]).contains("band 1 (from 0)"));
    assert!(error(&[500.0], &[]).contains("0 widths (FWHM) for 1 bands"));
}

#[test]
fn nothing_is_allocated_where_there_is_room() {
    let (library, identifier) = usgs();
    let spectra: Vec<f32> = records(&library).into_iter().flat_map(|(_, spectrum)| spectrum).collect();
    let (mut scratch, mut out) = (identifier.scratch(), Minerals::default());
    identifier.identify(&spectra, &mut scratch, &mut out);
    let (first, places) = (out.clone(), (out.features.as_ptr(), out.winner[1].as_ptr(), out.score[0].as_ptr()));
    identifier.identify(&spectra, &mut scratch, &mut out);
    let bits = |of: &Minerals| of.features.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    assert_eq!((bits(&first), &first.winner), (bits(&out), &out.winner));
    assert_eq!(places, (out.features.as_ptr(), out.winner[1].as_ptr(), out.score[0].as_ptr()));
}

/// Repetitions of one measurement.
const REPEATS: u32 = 5;

/// Time of this thread on a core, µs.
fn on_cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

#[test]
#[ignore = "prints figures; needs an optimised build"]
fn a_spectrum_takes_microseconds() {
    let (library, _) = usgs();
    let mut random = Random(3);
    let records = records(&library);
    let spectra: Vec<f32> = (0..4096)
        .flat_map(|pixel| {
            let (a, b) = (&records[pixel % records.len()].1, &records[(pixel * 7 + 3) % records.len()].1);
            a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect::<Vec<f32>>()
        })
        .map(|value| value + 0.003 * random.normal())
        .collect();
    let without = |change: fn(&mut text::Text)| {
        let mut library = library.clone();
        change(&mut library.text);
        library
    };
    let all = [
        ("minerals and features", library.clone()),
        ("minerals", without(|text| text.feature.clear())),
        ("features and one mineral", without(|text| text.entry.retain(|entry| entry.name == "topaz"))),
    ];
    for (name, library) in &all {
        let (nm, fwhm) = bands();
        let identifier = Identifier::new(library, &nm, &fwhm).unwrap();
        let (mut out, mut scratch) = (Minerals::default(), identifier.scratch());
        // The kernel counts in steps of milliseconds.
        let times: Vec<f64> = (0..8)
            .map(|_| {
                let began = on_cpu_us();
                (0..REPEATS).for_each(|_| identifier.identify(&spectra, &mut scratch, &mut out));
                (on_cpu_us() - began) / (4096.0 * f64::from(REPEATS))
            })
            .collect();
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let (bands, minerals) = (identifier.bands(), library.text.entry.len());
        let (windows, features) = (library.text.window.len(), library.text.feature.len());
        println!("{best:.2} µs per spectrum of {bands} bands: {name}, {windows} windows, {features} features, {minerals} entries");
    }
}
