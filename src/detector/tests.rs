//! A detector with photon noise looks at grains, and some of its elements toggle.

use super::*;
use crate::acquire::Stamp;
use crate::calibrate::Calibrate;
use crate::reference::{LowSignal, MendBands, Reference, Referenced};
use contract::{Exposure, Frame, FrameInfo, FramePool, PixelFormat};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const PIXELS: usize = 512;
const BANDS: usize = 96;
const LAYOUT: Layout = Layout { pixels: PIXELS, bands: BANDS, format: PixelFormat::U16 };
const GAIN: f64 = 0.0213;
const DARK_SD: f64 = 3.0;
/// Lines per second at which every second pixel of a line is looked at.
const RATE_HZ: f64 = 200.0;
/// The limits, without a warning of elements.
fn limits() -> PlausibilityLimits {
    PlausibilityLimits { max_restless: 1.0, ..PlausibilityLimits::default() }
}

/// 2 % of the full scale of 12 bits, counts.
const TELEGRAPH: f64 = 0.02 * 4095.0;

/// A receiver of nothing.
struct Nothing;

impl Spectra for Nothing {
    #[inline(always)]
    fn take(&mut self, _: usize, _: Spectrum<'_>) {}
}

fn normal(random: &mut Pcg64) -> f64 {
    let [a, b] = [0; 2].map(|_| random.random::<f64>());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// The panel's signal of a band, counts: little at both ends.
fn signal(band: usize) -> f64 {
    150.0 + 2600.0 * (std::f64::consts::PI * band as f64 / BANDS as f64).sin()
}

/// Reflectance of a mineral, with an absorption feature of its own that is five bands wide.
fn mineral(number: usize, band: usize) -> f64 {
    let at = 15.0 + 22.0 * number as f64;
    let feature = 0.3 * (-0.5 * ((band as f64 - at) / 2.0).powi(2)).exp();
    (0.15 + 0.15 * number as f64) * (1.0 - feature)
}

fn reference(level: impl Fn(usize) -> f64, sd: impl Fn(usize) -> f64) -> Reference {
    let table = |of: &dyn Fn(usize) -> f64| (0..PIXELS * BANDS).map(|at| of(at / PIXELS) as f32).collect::<Vec<f32>>();
    let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
    let (mean, sd) = (table(&level), table(&sd));
    Reference { peak: mean.clone(), mean, sd, frames: 50, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
}

/// A calibration whose white reference has `white` times the panel's signal.
fn calibration(white: f64) -> Arc<Calibration> {
    let dark = reference(|_| 100.0, |_| DARK_SD);
    let level = |band: usize| white * signal(band);
    let white = reference(|band| 100.0 + level(band), |band| (DARK_SD * DARK_SD + GAIN * level(band)).sqrt());
    let nm: Vec<f64> = (0..BANDS).map(|band| 400.0 + 6.0 * band as f64).collect();
    let referenced = Referenced::new(dark, white, vec![0.95; BANDS], LAYOUT, Some(4095.0), MendBands::new(&nm, None)).unwrap();
    Arc::new(Calibration::Referenced(Box::new(referenced)))
}

/// The findings over `lines` lines of grains. Counts of an element have `more(line, band, pixel)` added.
fn found(calibration: Arc<Calibration>, lines: usize, grains: bool, mut more: impl FnMut(usize, usize, usize) -> f64) -> DetectorFindings {
    let random = &mut Pcg64::seed_from_u64(11);
    let mut watch = DetectorWatch::new("vnir", LAYOUT, RATE_HZ, Arc::clone(&calibration), limits());
    let mut calibrate = Calibrate::new(LAYOUT, calibration, Some(4095.0), LowSignal::default());
    let pool = FramePool::new(LAYOUT, 1);
    let mut minerals = vec![0; PIXELS];
    for line in 0..lines {
        for pixel in 0..PIXELS {
            // Grains of some lines and pixels. The left half of the tray holds other minerals than the right one.
            if random.random_range(0..3) == 0 {
                let kinds = if pixel < PIXELS / 2 { 0..2 } else { 1..4 };
                minerals[pixel] = if pixel > 0 && pixel != PIXELS / 2 && random.random_range(0..2) == 0 {
                    minerals[pixel - 1]
                } else {
                    random.random_range(kinds)
                };
            }
        }
        let mut slot = pool.try_take().unwrap();
        for (at, count) in slot.as_u16_mut().unwrap().iter_mut().enumerate() {
            let (band, pixel) = (at / PIXELS, at % PIXELS);
            let reflectance = if grains { mineral(minerals[pixel], band) } else { 0.6 };
            let light = signal(band) * reflectance / 0.95;
            let value = 100.0 + light + more(line, band, pixel) + (DARK_SD * DARK_SD + GAIN * light).sqrt() * normal(random);
            *count = value.round().clamp(0.0, 4095.0) as u16;
        }
        let stamp = Stamp { frame: line as u64, time_ns: 0, position_mm: 0.0, y_mm: 0.0 };
        calibrate.spectra(Line::new(stamp, Frame { info: FrameInfo::default(), slot }), &mut watch.beside(&mut Nothing));
    }
    watch.end_of_scan().unwrap()
}

/// Whether an element is one of those that toggle: one of 800.
fn toggles(band: usize, pixel: usize) -> bool {
    (band * PIXELS + pixel) % 797 == 300
}

/// Scans `lines` lines of grains with elements that toggle by `step(band)` counts. Most toggle, and hardly any other element, must be found.
fn most_are_found(lines: usize, step: impl Fn(usize) -> f64) {
    let mut random = Pcg64::seed_from_u64(5);
    let mut states = vec![false; PIXELS * BANDS];
    let telegraph = |_: usize, band: usize, pixel: usize| {
        if !toggles(band, pixel) {
            return 0.0;
        }
        let state = &mut states[band * PIXELS + pixel];
        *state ^= random.random_range(0..12) == 0;
        if *state { step(band) } else { 0.0 }
    };
    let (record, all) = found(calibration(1.0), lines, true, telegraph).restless.unwrap();
    let true_ones = all.iter().filter(|(band, pixel)| toggles(*band as usize, *pixel as usize)).count();
    let wanted = (0..PIXELS * BANDS).filter(|at| toggles(at / PIXELS, at % PIXELS)).count();
    let wrong = all.len() - true_ones;
    assert!(true_ones as f64 >= 0.95 * wanted as f64, "{true_ones} of {wanted}, {wrong} wrong");
    assert!((wrong as f64) < 1e-4 * (PIXELS * BANDS) as f64, "{wrong} wrong: {:?}", record.worst);
    assert_eq!(record.worst.len(), 10);
    assert!((record.share - all.len() as f64 / (PIXELS * BANDS) as f64).abs() < 1e-12);
    let worst = &record.worst[0];
    assert!(toggles(worst.band as usize, worst.pixel as usize) && worst.over_limit > 1.0, "{worst:?}");
    assert_eq!(worst.wavelength_nm, 400.0 + 6.0 * f64::from(worst.band));
}

#[test]
fn elements_that_toggle_are_found_among_grains_and_hardly_any_other_is() {
    most_are_found(160, |_| TELEGRAPH);
}

#[test]
fn a_longer_scan_finds_elements_that_toggle_by_five_times_their_noise() {
    most_are_found(500, |band| 5.0 * (DARK_SD * DARK_SD + GAIN * 0.3 * signal(band)).sqrt());
}

#[test]
fn a_slower_camera_shows_more_of_each_line() {
    let fx10 = Layout { pixels: 1024, bands: 448, format: PixelFormat::U16 };
    assert_eq!([330.0, 100.0, 14.0, 1.0, 0.0, f64::NAN].map(|rate| stride(fx10, rate)), [24, 8, 1, 1, 1, 1]);
    assert_eq!(stride(fx10, 1e9), 1024);
}

#[test]
fn an_element_that_has_moved_since_the_references_is_found_and_a_feature_of_a_mineral_is_not() {
    let moved = |by: f64| move |_: usize, band: usize, pixel: usize| if (band, pixel) == (40, 100) { by } else { 0.0 };
    let most = 1e-4 * (PIXELS * BANDS) as f64;
    let (_, all) = found(calibration(1.0), 160, true, moved(TELEGRAPH)).restless.unwrap();
    assert!(all.contains(&(40, 100)) && (all.len() - 1) as f64 <= most, "{all:?}");
    let (_, all) = found(calibration(1.0), 160, true, moved(5.0)).restless.unwrap();
    assert!(!all.contains(&(40, 100)) && all.len() as f64 <= most, "the noise is as large: {all:?}");
    // Too few looks tell nothing.
    let (record, _) = found(calibration(1.0), 60, true, moved(TELEGRAPH)).restless.unwrap();
    assert_eq!((record.share, record.worst.len()), (0.0, 0));
}

#[test]
fn a_white_reference_at_another_exposure_is_warned_of_and_a_right_one_is_not() {
    let right = found(calibration(1.0), 40, false, |_, _, _| 0.0);
    assert_eq!(right.warnings, [""; 0], "{:?}", right.plausibility);
    let half = found(calibration(0.45), 40, false, |_, _, _| 0.0);
    assert!(half.plausibility.bright > 0.9, "{:?}", half.plausibility);
    assert!(
        half.warnings[0].contains("above a reflectance of 1.2, at most 1.00 % (calibrate.limits.max_bright); was the white"),
        "{half:?}"
    );
}

#[test]
fn negative_and_saturated_values_are_warned_of_beyond_their_shares() {
    let with = |share: usize, counts: f64| {
        move |line: usize, band: usize, pixel: usize| if (pixel / 2 + 37 * (line / 2)) % 100 < share && band == 20 { counts } else { 0.0 }
    };
    let low = |share: usize| {
        found(calibration(1.0), 40, false, move |line, band, pixel| if band < share { -with(100, 4000.0)(line, 20, pixel) } else { 0.0 })
    };
    // One band of 96 is less than 2 %, two are more.
    assert_eq!((low(1).warnings.len(), low(2).warnings.len()), (0, 1));
    assert!(low(2).warnings[0].contains("calibrate.limits.max_negative"), "{:?}", low(2).warnings);
    assert!((low(2).plausibility.negative - 2.0 / 96.0).abs() < 0.002);
    // Each line is looked at in every second pixel.
    let full = |share: usize| found(calibration(1.0), 200, false, with(share, 4000.0));
    assert_eq!((full(5).warnings.len(), full(6).warnings.len()), (0, 1), "{:?}", full(6).plausibility);
    assert!(full(6).warnings[0].contains("calibrate.limits.max_saturated"), "{:?}", full(6).warnings);
}

#[test]
fn a_look_at_a_whole_line_sees_the_same() {
    let calibration = calibration(1.0);
    let watch = || DetectorWatch::new("vnir", LAYOUT, RATE_HZ, Arc::clone(&calibration), limits());
    let (mut beside, mut whole) = (watch(), watch());
    let mut calibrate = Calibrate::new(LAYOUT, Arc::clone(&calibration), Some(4095.0), LowSignal::default());
    let pool = FramePool::new(LAYOUT, 1);
    let line = |level: u16| {
        let mut slot = pool.try_take().unwrap();
        slot.as_u16_mut().unwrap().iter_mut().enumerate().for_each(|(at, count)| *count = level + (at % 7) as u16);
        Line::new(Stamp { frame: 0, time_ns: 0, position_mm: 0.0, y_mm: 0.0 }, Frame { info: FrameInfo::default(), slot })
    };
    for level in [40, 700, 4090, 900] {
        calibrate.spectra(line(level), &mut beside.beside(&mut Nothing));
        whole.line(calibrate.process(line(level)));
    }
    assert_eq!(beside.end_of_scan(), whole.end_of_scan());
    assert!(beside.end_of_scan().unwrap().plausibility.saturated > 0.1);
    let of_both = [&beside, &whole].map(|watch| watch.elements.as_ref().unwrap().usual.clone());
    assert!(of_both[0] == of_both[1] && of_both[0].iter().any(|usual| *usual != 0.0));
}
