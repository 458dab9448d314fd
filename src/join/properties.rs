//! Properties that hold for all counts and references: of calibration alone, and through rectification and join.

use super::{Axes, Bands, Join, Row};
use crate::acquire::{Gap, Stamp};
use crate::calibrate::{Calibrate, Line};
use crate::config::Overlap;
use crate::rectify::{CameraRow, FieldOfView, PixelWeights, Rectify};
use crate::reference::{Calibration, LowSignal, MendBands, Reference, Referenced};
use crate::scan::Quality;
use contract::{Exposure, Frame, FrameInfo, FramePool, Layout, PixelFormat};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

const PIXELS: usize = 6;
const BANDS: usize = 5;
const ELEMENTS: usize = PIXELS * BANDS;
const LAYOUT: Layout = Layout { pixels: PIXELS, bands: BANDS, format: PixelFormat::U16 };
const SATURATION: u16 = 4095;

/// References of a detector: dark counts and responses `[band][pixel]`, and the panel's spectrum `[band]`.
#[derive(Debug, Clone)]
struct Detector {
    dark: Vec<u16>,
    response: Vec<u16>,
    panel: Vec<f32>,
}

/// The bands of the detector. Bad elements are interpolated between good ones up to three bands apart.
fn mend() -> MendBands {
    let nm: Vec<f64> = (0..BANDS).map(|band| 400.0 + 50.0 * band as f64).collect();
    MendBands::new(&nm, Some(150.0))
}

impl Detector {
    fn white(&self) -> Vec<u16> {
        self.dark.iter().zip(&self.response).map(|(dark, response)| (dark + response).min(SATURATION)).collect()
    }

    fn referenced(&self) -> Referenced {
        let reference = |mean: &[u16]| Reference {
            mean: mean.iter().map(|counts| f32::from(*counts)).collect(),
            sd: vec![1.0; ELEMENTS],
            peak: mean.iter().map(|counts| f32::from(*counts)).collect(),
            frames: 10,
            level_sd: 0.0,
            temperature_c: None,
            taken_ns: 0,
            exposure: Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) },
        };
        Referenced::new(reference(&self.dark), reference(&self.white()), self.panel.clone(), LAYOUT, Some(SATURATION.into()), mend())
            .unwrap()
    }

    fn stage(&self) -> Calibrate {
        Calibrate::new(
            LAYOUT,
            Arc::new(Calibration::Referenced(Box::new(self.referenced()))),
            Some(SATURATION.into()),
            LowSignal::default(),
        )
    }

    /// Whether a pixel has a value: at least one of its elements is good.
    fn sees(&self, pixel: usize) -> bool {
        let bad = self.referenced().bad;
        (0..BANDS).any(|band| bad[band * PIXELS + pixel] == 0)
    }
}

/// Detectors with one element in ten dead and one in ten hot.
fn detector() -> impl Strategy<Value = Detector> {
    let dark = prop_oneof![8 => 80_u16..120, 1 => 2000_u16..4095];
    let response = prop_oneof![8 => 1000_u16..3500, 1 => 0_u16..50];
    (vec(dark, ELEMENTS), vec(response, ELEMENTS), vec(0.05_f32..1.1, BANDS)).prop_map(|(dark, response, panel)| Detector {
        dark,
        response,
        panel,
    })
}

/// Counts of a line. Most are in range, and some are saturated.
fn counts() -> impl Strategy<Value = Vec<u16>> {
    vec(prop_oneof![12 => 0_u16..SATURATION, 1 => Just(SATURATION), 1 => SATURATION..=u16::MAX], ELEMENTS)
}

fn line(counts: &[u16], y_mm: f64) -> Line<Frame> {
    let pool = FramePool::new(LAYOUT, 1);
    let mut slot = pool.try_take().unwrap();
    slot.as_u16_mut().unwrap().copy_from_slice(counts);
    Line::new(Stamp { frame: 0, time_ns: 1, position_mm: y_mm, y_mm }, Frame { info: FrameInfo::default(), slot })
}

/// Whether a good element of the pixel is at or above the level of saturation.
fn saturated(counts: &[u16], bad: &[u8], pixel: usize) -> bool {
    (0..BANDS).map(|band| band * PIXELS + pixel).any(|at| bad[at] == 0 && counts[at] >= SATURATION)
}

proptest! {
    #[test]
    fn the_dark_gives_zero(detector in detector()) {
        let mut stage = detector.stage();
        let dark = stage.process(line(&detector.dark, 0.0));
        // Bad elements are interpolated from good ones, which are all zero, or have no value.
        let bad = detector.referenced().bad;
        let is_bad = |i: usize| bad[i % BANDS * PIXELS + i / BANDS] != 0;
        prop_assert!(dark.values().iter().enumerate().all(|(i, r)| *r == 0.0 || (r.is_nan() && is_bad(i))));
    }

    #[test]
    fn the_panel_gives_its_own_spectrum(detector in detector()) {
        let bad = detector.referenced().bad;
        let mut stage = detector.stage();
        let panel = stage.process(line(&detector.white(), 0.0));
        for pixel in 0..PIXELS {
            for band in (0..BANDS).filter(|band| bad[band * PIXELS + pixel] == 0) {
                let (found, wanted) = (panel.values()[pixel * BANDS + band], detector.panel[band]);
                prop_assert!((found - wanted).abs() <= 1e-6 * wanted.max(1.0), "{found} for {wanted} at {pixel}, {band}");
            }
        }
    }

    #[test]
    fn more_counts_never_give_less(detector in detector(), counts in counts(), more in vec(0_u16..2000, ELEMENTS)) {
        let mut stage = detector.stage();
        let first = stage.process(line(&counts, 0.0)).values().to_vec();
        let brighter: Vec<u16> = counts.iter().zip(&more).map(|(c, more)| c.saturating_add(*more)).collect();
        let second = stage.process(line(&brighter, 0.0));
        let falls = first.iter().zip(second.values()).filter(|(a, b)| *b < *a).count();
        prop_assert_eq!(falls, 0);
        // A good element shows every further count.
        let bad = detector.referenced().bad;
        for (at, ((c, b), bad)) in counts.iter().zip(&brighter).zip(&bad).enumerate().filter(|(_, (_, bad))| **bad == 0) {
            let place = at % PIXELS * BANDS + at / PIXELS;
            prop_assert_eq!(c < b, first[place] < second.values()[place], "element {}, bad {}", at, bad);
        }
    }

    #[test]
    fn a_line_has_no_value_without_a_reason_and_no_valid_saturated_one(detector in detector(), counts in counts()) {
        let bad = detector.referenced().bad;
        let mut stage = detector.stage();
        let out = stage.process(line(&counts, 0.0));
        for (pixel, (values, flags)) in out.values().chunks(BANDS).zip(out.quality()).enumerate() {
            let whole = values.iter().all(|r| r.is_finite());
            prop_assert!(whole || *flags != 0, "pixel {pixel} lacks a value and does not say why");
            prop_assert_eq!(saturated(&counts, &bad, pixel), flags & Quality::SATURATED != 0, "pixel {}", pixel);
            prop_assert!(!saturated(&counts, &bad, pixel) || !Quality::valid(*flags));
            let is_bad = |band: usize| bad[band * PIXELS + pixel] != 0;
            let mended = (0..BANDS).any(|band| is_bad(band) && values[band].is_finite());
            let missing = (0..BANDS).any(|band| is_bad(band) && values[band].is_nan());
            let sees = detector.sees(pixel);
            prop_assert!((0..BANDS).all(|band| is_bad(band) || values[band].is_finite()), "pixel {pixel}");
            prop_assert_eq!(mended, flags & Quality::BAD_PIXEL != 0, "pixel {}", pixel);
            prop_assert_eq!(missing && sees, flags & Quality::MISSING_BANDS != 0, "pixel {}", pixel);
            prop_assert_eq!(!sees, flags & Quality::NO_DATA != 0, "pixel {}", pixel);
        }
    }

    #[test]
    fn a_scaled_recording_has_no_value_without_a_reason(values in vec(prop_oneof![3 => 1_u16..10_000, 1 => Just(0)], ELEMENTS)) {
        let calibration = Arc::new(Calibration::Scaled { scale: 10_000.0, ignore: Some(0.0) });
        let mut stage = Calibrate::new(LAYOUT, calibration, None, LowSignal::default());
        let out = stage.process(line(&values, 0.0));
        for (pixel, (spectrum, flags)) in out.values().chunks(BANDS).zip(out.quality()).enumerate() {
            let whole = spectrum.iter().all(|r| r.is_finite());
            prop_assert_eq!(whole, (0..BANDS).all(|band| values[band * PIXELS + pixel] != 0));
            let none = spectrum.iter().all(|r| r.is_nan());
            let expected = if none { Quality::NO_DATA } else if whole { 0 } else { Quality::MISSING_BANDS };
            prop_assert_eq!(expected, *flags);
        }
    }
}

/// A camera of a pair.
#[derive(Debug, Clone)]
struct Camera {
    detector: Detector,
    /// Counts of each line. A lost line is `None`.
    lines: Vec<Option<Vec<u16>>>,
    shift_mm: f64,
}

fn camera() -> impl Strategy<Value = Camera> {
    let line = prop_oneof![4 => counts().prop_map(Some), 1 => Just(None)];
    (detector(), vec(line, 1..14), 0.0..3.0_f64).prop_map(|(detector, lines, shift_mm)| Camera { detector, lines, shift_mm })
}

/// Distance of lines and width of camera pixels, mm.
const LINE_MM: f64 = 1.0;

impl Camera {
    /// The camera's rows on a grid of `width` pixels of `pixel_mm` mm.
    fn rows(&self, pixel_mm: f64, width: usize) -> Vec<CameraRow> {
        let view = FieldOfView { pixels: PIXELS, field_of_view_mm: PIXELS as f64, shift_mm: self.shift_mm };
        let mut rectify = Rectify::new(PixelWeights::new(view, pixel_mm / 2.0, pixel_mm, width), BANDS, pixel_mm, LINE_MM);
        let (mut stage, mut rows) = (self.detector.stage(), Vec::new());
        for (number, counts) in self.lines.iter().enumerate() {
            let mut give = |row: CameraRow| rows.push(row);
            match counts {
                Some(counts) => rectify.process(stage.process(line(counts, number as f64 * LINE_MM)), &mut give),
                None => rectify.gap(Gap { first: number as u64, count: 1 }),
            }
        }
        rectify.end_of_scan(&mut |row| rows.push(row));
        rows
    }

    /// Whether a saturated element lies within both a row and a pixel of the grid, by their edges. There it must count.
    fn saturates(&self, y_mm: f64, x_mm: f64, pixel_mm: f64) -> bool {
        let bad = self.detector.referenced().bad;
        // Linear interpolation gives all weight at the element's centre. Averages count every overlap of areas.
        let reach = if pixel_mm >= 1.25 { (pixel_mm + LINE_MM) / 2.0 } else { 0.0 } + 1e-9;
        let across = if pixel_mm > 1.0 + 1e-6 { (pixel_mm + 1.0) / 2.0 - 1e-6 } else { 1e-9 };
        self.lines.iter().enumerate().any(|(number, counts)| {
            let away = (number as f64 * LINE_MM - y_mm).abs();
            let near = if pixel_mm >= 1.25 { away < reach - 1e-6 } else { away < reach };
            near && counts.as_ref().is_some_and(|counts| {
                (0..PIXELS).any(|pixel| {
                    let x = self.shift_mm + pixel as f64 + 0.5;
                    (x - x_mm).abs() < across && saturated(counts, &bad, pixel)
                })
            })
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_joined_row_has_no_value_without_a_reason_and_no_valid_saturated_one(
        cameras in vec(camera(), 2),
        pixel_mm in prop_oneof![Just(0.5), Just(1.0), Just(2.0), 0.4..3.0_f64],
        first_swir in any::<bool>(),
    ) {
        let width = ((PIXELS as f64 + 3.0) / pixel_mm) as usize;
        let nm: [Vec<f64>; 2] = [0.0, 1000.0].map(|from| (0..BANDS).map(|band| from + 400.0 + 50.0 * band as f64).collect());
        let bands = Bands::new(&[(&nm[0], None), (&nm[1], None)], Overlap::Cut);
        let axes = Axes {
            pixel_mm,
            x0_mm: pixel_mm / 2.0,
            width,
            wavelengths_nm: bands.wavelengths_nm.clone(),
            fwhm_nm: bands.fwhm_nm.clone(),
        };
        let mut join = Join::new(bands, &axes);
        let mut rows: Vec<Row> = Vec::new();
        let mut out = |join: &Join, index| {
            let mut row = Row::default();
            join.fill(index, &mut row);
            rows.push(row);
        };
        // One camera may be a whole scan ahead of the other.
        for camera in if first_swir { [1, 0] } else { [0, 1] } {
            cameras[camera].rows(pixel_mm, width).into_iter().for_each(|row| join.process(camera, row, &mut out));
            join.camera_ended(camera, &mut out);
        }
        prop_assert!(rows.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "a hole between rows");
        for row in &rows {
            for pixel in 0..width {
                let (flags, (y_mm, x_mm)) = (row.quality[pixel], (axes.y_mm(row.index), axes.x_mm(pixel)));
                let whole = row.to_vec(pixel..pixel + 1, axes.bands()).iter().all(|r| r.is_finite());
                let reason = Quality::INVALID | Quality::MISSING_BANDS;
                prop_assert!(whole || flags & reason != 0, "no value and no reason at row {}, pixel {}", row.index, pixel);
                let lost = flags & (Quality::GAP | Quality::OUT_OF_VIEW | Quality::NO_DATA | Quality::MISSING_BANDS) != 0;
                prop_assert!(whole != lost, "flags {flags:#b} at row {}, pixel {pixel}, and the values do not agree", row.index);
                for (number, camera) in cameras.iter().enumerate() {
                    let seen = row.band(number * BANDS, axes.bands()).at(pixel).is_finite();
                    if seen && camera.saturates(y_mm, x_mm, pixel_mm) {
                        prop_assert!(!Quality::valid(flags), "camera {number} is saturated at row {}, pixel {pixel}, and it is valid", row.index);
                    }
                }
            }
        }
    }
}
