//! The stray light of a camera, from a recording with a black strip beside bright things.
//!
//! The share f of a line's mean signal falls on every element. A black strip has little signal of its own, and that is the same in every
//! line. So over the lines of a recording the strip's signal grows by f with the line's mean signal. Only this slope counts. The strip's
//! own reflectance and an error of the dark level are the same in all lines, and a drift of the dark level goes with time: the fit has a
//! constant and a slope in time beside f.

use crate::acquire::{Acquired, Places};
use crate::config::{CorrectionConfig, Loaded};
use crate::data_root::{Capture, ProcessError};
use crate::devices::CameraUnit;
use crate::devices::references::{CalibrationError, calibration};
use crate::measure::{Recorded, WriteError, play, write_cameras, write_correction};
use crate::reference::{Calibration, Referenced, Response, mean};
use contract::Frame;

/// Consecutive parts of the recording. The uncertainty is that of leaving one out.
const PARTS: usize = 10;
/// Least number of lines in a part.
const LEAST_LINES: usize = 3;
/// Least number of good elements on the strip.
const LEAST_ELEMENTS: usize = 20;
/// A negative share beyond this many standard uncertainties is an error of the recording.
const NEGATIVE_SIGMAS: f64 = 4.0;
/// Highest reflectance of a black strip.
const MOST_BLACK: f64 = 0.15;

/// Where the black strip lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strip {
    /// From and to, mm across the tray.
    pub across_mm: (f64, f64),
    /// From and to, mm along the tray. The whole recording where it is infinite.
    pub along_mm: (f64, f64),
}

/// The stray light of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct StrayLight {
    /// The camera's configured name.
    pub camera: String,
    /// Share of the line's mean signal that falls on every element.
    pub share: f64,
    /// Its standard uncertainty.
    pub uncertainty: f64,
    /// The configured share.
    pub configured: f64,
    /// Number of lines.
    pub lines: usize,
    /// Number of elements on the strip.
    pub elements: usize,
    /// Mean signal of the darkest and of the brightest line, counts.
    pub levels: (f64, f64),
    /// Reflectance of the strip, with the stray light on it.
    pub strip: f64,
}

/// The stray light cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum StrayError {
    /// A capture cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The references give no calibration.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The configuration cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A recording of reflectance.
    #[error("{camera}: stray light needs counts, and the recording holds reflectance")]
    Reflectance {
        /// The camera's configured name.
        camera: String,
    },
    /// The camera does not see the strip.
    #[error(
        "{camera} has {found} good elements from {:.1} to {:.1} mm across, at least {LEAST_ELEMENTS} are needed; it sees {:.1} to {:.1} mm; correct --from and --to",
        across_mm.0, across_mm.1, view_mm.0, view_mm.1
    )]
    Elements {
        /// The camera's configured name.
        camera: String,
        /// Number of good elements on the strip.
        found: usize,
        /// The strip, mm across.
        across_mm: (f64, f64),
        /// The view of the camera, mm across.
        view_mm: (f64, f64),
    },
    /// Too few lines.
    #[error(
        "{camera} has {found} lines with the strip, at least {} are needed; scan a longer part of it, or correct --begin and --end",
        PARTS * LEAST_LINES
    )]
    Lines {
        /// The camera's configured name.
        camera: String,
        /// Number of lines.
        found: usize,
    },
    /// The strip is not black.
    #[error(
        "{camera}: the strip has a reflectance of {reflectance:.2}, at most {MOST_BLACK}; lay black velvet or a light trap there, and correct --from, --to, --begin and --end"
    )]
    Bright {
        /// The camera's configured name.
        camera: String,
        /// Reflectance of the strip.
        reflectance: f64,
    },
    /// The recording says nothing of stray light.
    #[error(
        "{camera}: the stray light by this recording is {:.3} ± {:.3} %, which says no more than that it is small; the mean signal of a line goes from {:.0} to {:.0} counts: scan lines with bright things beside the strip, and lines without any",
        100.0 * share, 100.0 * uncertainty, levels.0, levels.1
    )]
    Nothing {
        /// The camera's configured name.
        camera: String,
        /// The share that was found.
        share: f64,
        /// Its standard uncertainty.
        uncertainty: f64,
        /// Mean signal of the darkest and of the brightest line, counts.
        levels: (f64, f64),
    },
    /// The share is none that the configuration accepts.
    #[error(
        "{camera}: the stray light by this recording is {:.2} ± {:.2} %, and the configuration takes 0 to {:.0} %; check that the strip is equally black along its whole length, and that no bright thing reaches into it",
        100.0 * share, 100.0 * uncertainty, 100.0 * CorrectionConfig::MOST_STRAY
    )]
    Beyond {
        /// The camera's configured name.
        camera: String,
        /// The share that was found.
        share: f64,
        /// Its standard uncertainty.
        uncertainty: f64,
    },
}

/// A line: mean signal of all elements, and of those on the strip, counts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LineLevels {
    all: f64,
    strip: f64,
}

/// Measures the stray light of every camera of `captures`.
///
/// # Errors
/// A capture cannot be used, a camera does not see the strip, or the recording says nothing of stray light.
pub fn stray(loaded: &Loaded, captures: &[Capture], strip: &Strip) -> Result<Vec<StrayLight>, StrayError> {
    let recorded = Recorded::open(loaded, captures)?;
    recorded.cameras.into_iter().map(|(mut unit, places)| one(loaded, &mut unit, places, strip)).collect()
}

/// Measures the stray light of a camera.
fn one(loaded: &Loaded, unit: &mut CameraUnit, places: Places, strip: &Strip) -> Result<StrayLight, StrayError> {
    let camera = unit.config.name.clone();
    let Calibration::Referenced(referenced) = calibration(unit)? else { return Err(StrayError::Reflectance { camera }) };
    let elements = Elements::new(unit, &referenced, strip);
    if elements.strip.len() < LEAST_ELEMENTS {
        let (found, shift_mm) = (elements.strip.len(), unit.config.shift_mm);
        let view_mm = (shift_mm, shift_mm + unit.config.field_of_view_mm);
        return Err(StrayError::Elements { camera, found, across_mm: strip.across_mm, view_mm });
    }
    let mut lines = Vec::new();
    play(loaded, unit, places, |item| {
        if let Acquired::Line(stamp, frame) = item
            && (strip.along_mm.0..=strip.along_mm.1).contains(&stamp.y_mm)
        {
            lines.extend(elements.levels(&frame));
        }
    })?;
    if lines.len() < PARTS * LEAST_LINES {
        return Err(StrayError::Lines { camera, found: lines.len() });
    }
    let (mean_strip, n) = lines.iter().fold((0.0, 0.0), |(sum, n), line| (sum + line.strip, n + 1.0));
    let reflectance = mean_strip / n * elements.per_count;
    if reflectance.is_nan() || reflectance > MOST_BLACK {
        return Err(StrayError::Bright { camera, reflectance });
    }
    let levels = lines.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), line| (line.all.min(low), line.all.max(high)));
    let (share, uncertainty) = slope(&lines);
    if share > CorrectionConfig::MOST_STRAY || share < -NEGATIVE_SIGMAS * uncertainty {
        return Err(StrayError::Beyond { camera, share, uncertainty });
    }
    if share.is_nan() || uncertainty.is_nan() || uncertainty >= share {
        return Err(StrayError::Nothing { camera, share, uncertainty, levels });
    }
    let (configured, elements) = (unit.config.correction.stray_light, elements.strip.len());
    Ok(StrayLight { camera, share, uncertainty, configured, lines: lines.len(), elements, levels, strip: reflectance })
}

/// The elements of a camera, and what makes their signal.
struct Elements {
    /// Elements of the used bands in a frame.
    runs: Vec<std::ops::Range<usize>>,
    /// Mean dark level of these, counts.
    dark: f64,
    /// The elements on the strip: place in a frame, and dark level in counts.
    strip: Vec<(usize, f32)>,
    response: Option<Response>,
    /// Typical reflectance of a count on the strip.
    per_count: f64,
}

impl Elements {
    #[expect(clippy::cast_precision_loss, reason = "numbers of pixels and elements")]
    fn new(unit: &CameraUnit, referenced: &Referenced, strip: &Strip) -> Self {
        let (pixels, config) = (unit.about.layout.pixels, &unit.config);
        let on_strip = |pixel: &usize| (strip.across_mm.0..=strip.across_mm.1).contains(&config.pixel_mm(*pixel, pixels));
        let on_strip: Vec<usize> = (0..pixels).filter(on_strip).collect();
        let (mut elements, mut gains) = (Vec::new(), 0.0);
        for band in 0..unit.about.layout.bands {
            for at in on_strip.iter().map(|pixel| band * pixels + pixel).filter(|at| referenced.bad[*at] == 0) {
                elements.push((unit.used.index(band) * pixels + at % pixels, referenced.dark.mean[at]));
                gains += f64::from(referenced.gain[at]);
            }
        }
        let linear = CorrectionConfig { stray_light: 0.0, ..config.correction.clone() };
        Self {
            runs: unit.used.runs().iter().map(|run| run.start * pixels..run.end * pixels).collect(),
            dark: mean(&referenced.dark.mean),
            per_count: gains / elements.len().max(1) as f64,
            strip: elements,
            response: Response::new(&linear, unit.about.saturation),
        }
    }

    /// The levels of a line.
    fn levels(&self, frame: &Frame) -> Option<LineLevels> {
        let slot = &frame.slot;
        match (slot.as_u16(), slot.as_f32()) {
            (Some(counts), _) => Some(self.of(|at| f32::from(counts[at]))),
            (_, Some(counts)) => Some(self.of(|at| counts[at])),
            _ => None,
        }
    }

    fn of(&self, count: impl Fn(usize) -> f32) -> LineLevels {
        let average = |values: &mut dyn Iterator<Item = f32>| {
            let finite = values.filter(|value| value.is_finite());
            let (sum, n) = finite.fold((0.0, 0.0), |(sum, n), value| (sum + f64::from(value), n + 1.0));
            sum / f64::max(n, 1.0)
        };
        let straight = |signal: f32| self.response.map_or(signal, |response| response.straight(signal));
        LineLevels {
            all: average(&mut self.runs.iter().flat_map(Clone::clone).map(&count)) - self.dark,
            strip: average(&mut self.strip.iter().map(|(at, dark)| straight(count(*at) - dark))),
        }
    }
}

/// The slope of the strip's signal over the line's mean signal, beside a constant and a slope in time. With its standard uncertainty by
/// leaving out one part of the lines after the other.
#[expect(clippy::cast_precision_loss, reason = "numbers of lines")]
fn slope(lines: &[LineLevels]) -> (f64, f64) {
    let n = lines.len();
    let middle = lines.iter().map(|line| line.all).sum::<f64>() / n as f64;
    let of = |without: Option<usize>| {
        // Sums of products of: one, time, mean signal, strip's signal.
        let mut sums = [[0.0; 4]; 4];
        for (i, line) in lines.iter().enumerate().filter(|(i, _)| without != Some(i * PARTS / n)) {
            let row = [1.0, i as f64 / n as f64 - 0.5, line.all - middle, line.strip];
            for (sums, a) in sums.iter_mut().zip(row) {
                sums.iter_mut().zip(row).for_each(|(sum, b)| *sum += a * b);
            }
        }
        // Constant and time are taken out of both signals.
        for pivot in 0..2 {
            for row in pivot + 1..4 {
                let factor = sums[row][pivot] / sums[pivot][pivot];
                let above = sums[pivot];
                sums[row].iter_mut().zip(above).for_each(|(value, above)| *value -= factor * above);
            }
        }
        sums[2][3] / sums[2][2]
    };
    let each: Vec<f64> = (0..PARTS).map(|part| of(Some(part))).collect();
    let typical = each.iter().sum::<f64>() / PARTS as f64;
    let squares: f64 = each.iter().map(|one| (one - typical).powi(2)).sum();
    (of(None), (squares * (PARTS as f64 - 1.0) / PARTS as f64).sqrt())
}

/// Writes the stray light of cameras into the configuration.
///
/// # Errors
/// The configuration has no `[[camera]]` tables, or its file cannot be written.
pub fn write_back(loaded: &Loaded, measured: &[StrayLight]) -> Result<(), WriteError> {
    write_cameras(loaded, |name, camera| {
        let found = measured.iter().find(|stray| stray.camera == name);
        found.map_or(Ok(()), |found| write_correction(camera, "stray_light", (found.share * 1e6).round() / 1e6))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of which every second ten are bright. The strip gets `share` of the mean, a constant, a drift, and some noise.
    fn lines(share: f64, noise: f64) -> Vec<LineLevels> {
        let level = |i: u32| if (i / 10).is_multiple_of(2) { 300.0 } else { 1500.0 };
        let scatter = |i: u32| f64::from((i * 7919) % 101) / 50.0 - 1.0;
        let strip = |i: u32| share * level(i) + 20.0 + 0.01 * f64::from(i) + noise * scatter(i);
        (0..200).map(|i| LineLevels { all: level(i), strip: strip(i) }).collect()
    }

    #[test]
    fn the_slope_is_found_beside_a_constant_and_a_drift() {
        let (share, uncertainty) = slope(&lines(0.005, 0.0));
        assert!((share - 0.005).abs() < 1e-9 && uncertainty < 1e-9, "{share} {uncertainty}");
        let (share, uncertainty) = slope(&lines(0.005, 2.0));
        assert!((share - 0.005).abs() < 3.0 * uncertainty && uncertainty < 0.0005, "{share} {uncertainty}");
    }

    #[test]
    fn lines_that_are_alike_give_a_large_uncertainty() {
        let mut alike = lines(0.005, 2.0);
        alike.iter_mut().for_each(|line| line.all = 1000.0 + 0.1 * (line.strip * 7.0).sin());
        let (share, uncertainty) = slope(&alike);
        assert!(uncertainty > 0.5 * share.abs() && uncertainty > 0.1, "{share} {uncertainty}");
    }
}
