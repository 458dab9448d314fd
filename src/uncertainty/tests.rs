//! Predicted and seen scatter, through the stages themselves.

use super::*;
use crate::acquire::Stamp;
use crate::calibrate::{Calibrate, Line};
use crate::config::Overlap;
use crate::rectify::{FieldOfView, Rectify};
use crate::reference::{LowSignal, MendBands, Reference, Referenced};
use contract::{Exposure, Frame, FrameInfo, FramePool, Layout, PixelFormat};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

const PIXELS: usize = 24;
const BANDS: usize = 3;
const LAYOUT: Layout = Layout { pixels: PIXELS, bands: BANDS, format: PixelFormat::U16 };
const GAIN: f64 = 0.05;
const DARK_SD: f64 = 3.0;
const PANEL: f64 = 0.9;
const FRAMES: u32 = 20;
const LINES: usize = 30;
/// Panel signal and true reflectance of each band.
const TRUTH: [(f64, f64); BANDS] = [(300.0, 0.04), (1500.0, 0.3), (3000.0, 0.8)];
const TRIALS: u64 = 150;

fn normal(random: &mut Pcg64) -> f64 {
    let [a, b] = [0; 2].map(|_| random.random::<f64>());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn counts(random: &mut Pcg64, signal: f64) -> f64 {
    (100.0 + signal + (GAIN * signal + DARK_SD * DARK_SD).sqrt() * normal(random)).round()
}

fn reference(random: &mut Pcg64, light: f64) -> Reference {
    let (mut mean, mut sd) = (Vec::new(), Vec::new());
    for (signal, _) in TRUTH {
        for _ in 0..PIXELS {
            let frames: Vec<f64> = (0..FRAMES).map(|_| counts(random, light * signal)).collect();
            let average = frames.iter().sum::<f64>() / f64::from(FRAMES);
            mean.push(average as f32);
            sd.push((frames.iter().map(|count| (count - average).powi(2)).sum::<f64>() / f64::from(FRAMES - 1)).sqrt() as f32);
        }
    }
    let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
    Reference { peak: mean.clone(), mean, sd, frames: FRAMES, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
}

/// The share of values within 95 % intervals, for pixels, for means over all rows, and for means of these over the bands, with a grid of
/// `pixel_mm`. The camera has pixels and lines of 1 mm.
fn covered(pixel_mm: f64) -> [f64; 3] {
    let random = &mut Pcg64::seed_from_u64(11);
    let nm = [500.0, 600.0, 700.0];
    let bands = Bands::new(&[(&nm, None)], Overlap::Cut);
    let view = FieldOfView { pixels: PIXELS, field_of_view_mm: PIXELS as f64, shift_mm: 0.0 };
    let width = (PIXELS as f64 / pixel_mm) as usize - 2;
    let weights = PixelWeights::new(view, 1.2 * pixel_mm, pixel_mm, width);
    let pool = FramePool::new(LAYOUT, 1);
    let (mut within, mut all) = ([0.0; 3], [0.0; 3]);
    for _ in 0..TRIALS {
        let (dark, white) = (reference(random, 0.0), reference(random, 1.0));
        let mend = MendBands::new(&nm, None);
        let referenced = Referenced::new(dark, white, vec![PANEL as f32; BANDS], LAYOUT, None, mend).unwrap();
        let calibration = Arc::new(Calibration::Referenced(Box::new(referenced)));
        let camera = CameraOnGrid::new(Arc::clone(&calibration), weights.clone(), 1.0 / (pixel_mm * pixel_mm), None);
        let uncertainty = Uncertainty::new(vec![camera], &bands);
        let variance = uncertainty.of_pixels(0..width, &[]).unwrap();
        let mut calibrate = Calibrate::new(LAYOUT, calibration, None, LowSignal::default());
        let mut rectify = Rectify::new(weights.clone(), BANDS, pixel_mm, 1.0);
        let (mut sums, mut rows) = (vec![0.0; BANDS], 0);
        let mut judge = |what: usize, value: f64, truth: f64, variance: f64| {
            within[what] += f64::from(u8::from((value - truth).abs() <= 1.96 * variance.sqrt()));
            all[what] += 1.0;
        };
        for line in 0..LINES {
            let mut slot = pool.try_take().unwrap();
            for (at, count) in slot.as_u16_mut().unwrap().iter_mut().enumerate() {
                let (signal, reflectance) = TRUTH[at / PIXELS];
                *count = counts(random, signal * reflectance / PANEL) as u16;
            }
            let stamp = Stamp { frame: line as u64, time_ns: 0, position_mm: 0.0, y_mm: 1.03 * line as f64 };
            let line = calibrate.process(Line::new(stamp, Frame { info: FrameInfo::default(), slot }));
            rectify.process(line, &mut |row| {
                rows += 1;
                for pixel in 0..width {
                    for (band, sum) in sums.iter_mut().enumerate() {
                        let (at, value) = (pixel * BANDS + band, f64::from(row.values().at(pixel * BANDS + band)));
                        let of = |list: &[Vec<f32>], power: usize| f64::from(list[power][at]);
                        let lines = of(&variance.random, 0) + of(&variance.random, 1) * value;
                        let columns = (0..3).map(|power| of(&variance.column, power) * value.powi(power as i32)).sum::<f64>();
                        *sum += value;
                        judge(0, value, TRUTH[band].1, lines * f64::from(row.squares()) + columns);
                    }
                }
            });
        }
        let counts = vec![rows; width];
        let mean: Vec<f64> = sums.iter().map(|sum| sum / f64::from(rows) / width as f64).collect();
        let known = uncertainty.of_mean(0, &counts, &mean, &[]).unwrap();
        let variances: Vec<f64> = known.random.iter().zip(&known.column).map(|(random, column)| random.powi(2) + column.powi(2)).collect();
        for (band, mean) in mean.iter().enumerate() {
            judge(1, *mean, TRUTH[band].1, variances[band]);
        }
        // The noise of bands is independent, in lines as in references.
        let n = BANDS as f64;
        let (group, truth) = (mean.iter().sum::<f64>() / n, TRUTH.iter().map(|(_, truth)| truth).sum::<f64>() / n);
        judge(2, group, truth, variances.iter().sum::<f64>() / (n * n));
    }
    std::array::from_fn(|what| within[what] / all[what])
}

#[test]
fn intervals_cover_what_they_promise_on_finer_equal_and_coarser_grids() {
    let mut groups = 0.0;
    for pixel_mm in [0.6, 1.0, 2.3] {
        let [pixel, mean, group] = covered(pixel_mm);
        println!("{pixel_mm} mm: {pixel:.4} of pixels, {mean:.4} of means, {group:.4} of means over the bands");
        groups += group / 3.0;
        assert!((0.93..=0.97).contains(&pixel), "{pixel_mm} mm: {pixel} of pixels");
        // 450 means have a standard error of 1 %.
        assert!((0.92..=0.98).contains(&mean), "{pixel_mm} mm: {mean} of means");
    }
    // As many in all, of which those of a trial on several grids are much alike.
    assert!((0.91..=0.99).contains(&groups), "{groups} of means over the bands");
}

#[test]
fn a_level_scales_the_uncertainty() {
    let random = &mut Pcg64::seed_from_u64(5);
    let nm = [500.0, 600.0, 700.0];
    let bands = Bands::new(&[(&nm, None)], Overlap::Cut);
    let (dark, white) = (reference(random, 0.0), reference(random, 1.0));
    let referenced = Referenced::new(dark, white, vec![PANEL as f32; BANDS], LAYOUT, None, MendBands::new(&nm, None)).unwrap();
    let view = FieldOfView { pixels: PIXELS, field_of_view_mm: PIXELS as f64, shift_mm: 0.0 };
    let calibration = Arc::new(Calibration::Referenced(Box::new(referenced)));
    let camera = CameraOnGrid::new(calibration, PixelWeights::new(view, 0.5, 1.0, PIXELS), 1.0, None);
    let uncertainty = Uncertainty::new(vec![camera], &bands);
    let u = |level: f32, value: f32| {
        let PixelVariance { random, column } = uncertainty.of_pixels(3..4, &[level]).unwrap();
        (random[0][1] + random[1][1] * value + column[0][1] + column[1][1] * value + column[2][1] * value * value).sqrt()
    };
    assert!((u(1.2, 0.36) / u(1.0, 0.3) - 1.2).abs() < 1e-5);
    let mean = |level: f32, value: f64| uncertainty.of_mean(0, &[9; PIXELS], &[value; BANDS], &[level]).unwrap();
    let (levelled, plain) = (mean(1.2, 0.36), mean(1.0, 0.3));
    assert!((levelled.random[1] / plain.random[1] - 1.2).abs() < 1e-5 && (levelled.column[1] / plain.column[1] - 1.2).abs() < 1e-5);
    assert!((levelled.snr[1] / plain.snr[1] - 1.0).abs() < 1e-5);
}

#[test]
fn a_camera_without_references_has_no_uncertainty() {
    let nm = [500.0, 600.0];
    let bands = Bands::new(&[(&nm, None)], Overlap::Cut);
    let view = FieldOfView { pixels: 2, field_of_view_mm: 2.0, shift_mm: 0.0 };
    let weights = PixelWeights::new(view, 0.5, 1.0, 2);
    let calibration = Arc::new(Calibration::Scaled { scale: 1.0, ignore: None });
    let uncertainty = Uncertainty::new(vec![CameraOnGrid::new(calibration, weights, 1.0, None)], &bands);
    assert_eq!((uncertainty.of_pixels(0..2, &[]), uncertainty.of_mean(0, &[1, 1], &[0.5, 0.5], &[])), (None, None));
}

#[test]
fn valid_ranges_are_those_with_signal() {
    let known = MeanUncertainty { random: vec![], column: vec![], common: vec![], snr: vec![1.0, 3.0, 9.0, 2.9, f64::NAN, 4.0] };
    let nm = [400.0, 410.0, 420.0, 430.0, 440.0, 450.0];
    assert_eq!(known.valid_nm(&nm, 3.0), [[410.0, 420.0], [450.0, 450.0]]);
}
