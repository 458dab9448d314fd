//! Measures the geometry of the cameras: offset along the belt, shift and scale across it. A recorded tray is enough.
//!
//! Each camera's recording is resampled onto the grid by itself. The containers' centres follow from their edges. Centres of two cameras
//! are matched by the displacement that most of them share. The remaining displacement of matched centres is the correction.
//! The first camera's own geometry is the reference, so only differences to it can be measured.

use super::write::{self, WriteError};
use crate::acquire::{Acquire, Acquired, ConstantSpeed};
use crate::calibrate::{Calibrate, Line};
use crate::config::Loaded;
use crate::data_root::{Capture, Opened, ProcessError, judge, reach_mm, take_references, units};
use crate::devices::references::calibration;
use crate::rectify::{CameraRow, FieldOfView, PixelWeights, Rectify};
use crate::reference::LowSignal;
use crate::segment::{Picture, median, regions};
use contract::{Received, Subject};
use std::time::{Duration, Instant};

/// Measured geometry of a camera, against the first one.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// The camera's configured name.
    pub camera: String,
    /// Belt position at which the tray's leading edge lies under it, mm.
    pub offset_mm: f64,
    /// Position of the edge of its view across the tray, mm.
    pub shift_mm: f64,
    /// Width of its view, mm.
    pub field_of_view_mm: f64,
    /// Offset, shift and width of the configuration, mm.
    pub configured: (f64, f64, f64),
    /// Number of containers that both cameras saw.
    pub containers: usize,
    /// Root mean square of the centres' residuals after the correction, mm.
    pub scatter_mm: f64,
}

/// The geometry cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum GeometryError {
    /// A capture cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A camera shows too few containers.
    #[error(
        "{camera} shows {found} containers with clear edges that {reference} shows too, at least {wanted} are needed; scan a full tray, and check segment.min_reflectance"
    )]
    TooFew {
        /// The camera's configured name.
        camera: String,
        /// Name of the first camera.
        reference: String,
        /// Number of matched containers.
        found: usize,
        /// Number of containers needed.
        wanted: usize,
    },
    /// A single camera has no reference.
    #[error("give the captures of at least two cameras: the first one is what the others are measured against")]
    OneCamera,
    /// A camera has no scan at a first speed.
    #[error("{camera} has a recording at a second speed and none at a first; give both of it: --capture and --again")]
    OneScan {
        /// The camera's configured name.
        camera: String,
    },
    /// The speeds of two scans are too much alike.
    #[error(
        "{camera} was scanned at {:.1} and {:.1} mm/s; the speeds must differ by a fifth at least, better by a factor of two", speeds.0, speeds.1
    )]
    Speeds {
        /// The camera's configured name.
        camera: String,
        /// The speeds, mm/s.
        speeds: (f64, f64),
    },
    /// A recording says nothing of the belt.
    #[error("the recording of {camera} has no times and belt positions (lines.csv); scan with an encoder")]
    NoPositions {
        /// The camera's configured name.
        camera: String,
    },
    /// The configuration cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Least number of matched containers.
const MIN_CONTAINERS: usize = 3;
/// Largest distance between two centres of one container, after the common displacement, mm.
const MATCH_MM: f64 = 4.0;
/// Least spread of columns that separates a difference of scale from one of shift, mm.
const SPREAD_MM: f64 = 50.0;
/// Margin around a container in which its edges are searched, pixels.
const EDGE_MARGIN: usize = 6;

/// Measures the geometry of every camera against the first of `captures`.
///
/// # Errors
/// There is one capture only, a capture cannot be used, or a camera shows too few containers.
pub fn measure(loaded: &Loaded, captures: &[Capture]) -> Result<Vec<Geometry>, GeometryError> {
    if captures.len() < 2 {
        return Err(GeometryError::OneCamera);
    }
    let mut all = Vec::new();
    for capture in captures {
        all.push(centres(loaded, capture)?);
    }
    let (reference, seen) = (&captures[0].camera, &all[0]);
    captures.iter().zip(&all).skip(1).map(|(capture, centres)| compare(loaded, &capture.camera, reference, centres, seen)).collect()
}

/// The centres of the containers, (x, y) in mm on the tray, by the configured geometry of a camera.
pub(super) fn centres(loaded: &Loaded, capture: &Capture) -> Result<Vec<(f64, f64)>, ProcessError> {
    let config = &loaded.config;
    let captures = std::slice::from_ref(capture);
    let Opened { mut units, tables, .. } = units(loaded, captures)?;
    let reach_mm = reach_mm(config, None);
    let places = judge(config, &units, &tables, reach_mm).pop().unwrap_or_default();
    take_references(loaded, captures, &mut units)?;
    let unit = &mut units[0];
    let calibration = std::sync::Arc::new(calibration(unit).map_err(crate::pipeline::build::BuildError::from)?);
    let description = unit.about.clone();
    let layout = description.layout;
    let of = unit.config.clone();
    let view = FieldOfView { pixels: layout.pixels, field_of_view_mm: of.field_of_view_mm, shift_mm: of.shift_mm };
    let pixel_mm = config.grid.pixel_mm;
    let (left_mm, right_mm) = config.lamps.beside_strip(of.shift_mm, of.shift_mm + of.field_of_view_mm);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a belt is not wider than 2^32 pixels")]
    let width = (((right_mm - left_mm) / pixel_mm) as usize).max(1);
    let x0_mm = left_mm + pixel_mm / 2.0;
    let rate = unit.exposure.frame_rate_hz;
    let constant = ConstantSpeed { speed_mm_per_s: config.conveyor.speed_mm_per_s, frame_rate_hz: rate };
    let mut acquire = Acquire::new(of.offset_mm, None, None, constant, None);
    acquire.judged(places, reach_mm);
    let mut calibrate = Calibrate::new(layout, calibration, description.saturation, LowSignal::default()).of_bands(&unit.used);
    let mut rectify =
        Rectify::new(PixelWeights::new(view, x0_mm, pixel_mm, width), layout.bands, pixel_mm, config.conveyor.speed_mm_per_s / rate);

    let (mut picture, mut first_row) = (Picture::new(width), None);
    let stride = (layout.bands / 24).max(1);
    let mut keep = |row: CameraRow| {
        first_row.get_or_insert(row.index);
        let values = row.values();
        for pixel in 0..width {
            let some = (0..layout.bands).step_by(stride).map(|band| values.at(pixel * layout.bands + band));
            let (sum, n) = some.filter(|value| value.is_finite()).fold((0.0_f32, 0.0_f32), |(sum, n), value| (sum + value, n + 1.0));
            picture.push(sum / n);
        }
    };
    let mut stream = unit.camera.start(unit.pool.clone(), Subject::Tray)?;
    loop {
        match stream.next(Instant::now() + Duration::from_secs(1))? {
            Received::End => break,
            Received::Nothing => {}
            Received::Frame(frame) => acquire
                .process(frame, &mut |_| {}, &mut |item| match item {
                    Acquired::Line(stamp, frame) => rectify.process(calibrate.process(Line::new(stamp, frame)), &mut keep),
                    Acquired::Gap(gap) => rectify.gap(gap),
                })
                .map_err(crate::pipeline::build::BuildError::from)?,
        }
    }
    rectify.end_of_scan(&mut keep);
    let first_row = first_row.unwrap_or(0);
    let threshold = config.segment.min_reflectance;
    #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
    let found = regions(&picture, threshold, config.segment.bridge_pixels(pixel_mm))
        .into_iter()
        .filter(|extent| extent.area as f64 * pixel_mm * pixel_mm >= config.segment.min_area_mm2)
        .filter_map(|extent| {
            let (rows, pixels) = (with_margin(extent.rows, picture.rows()), with_margin(extent.pixels, width));
            let mut part = Picture::new(pixels.1 - pixels.0);
            for row in rows.0..rows.1 {
                part.values.extend_from_slice(&picture.values[row * width + pixels.0..row * width + pixels.1]);
            }
            let (x, y) = part.centre(threshold)?;
            Some((x0_mm + (pixels.0 as f64 + x) * pixel_mm, (first_row as f64 + rows.0 as f64 + y) * pixel_mm))
        })
        .collect();
    Ok(found)
}

/// A range with a margin on both sides, within `0..end`.
fn with_margin((from, to): (usize, usize), end: usize) -> (usize, usize) {
    (from.saturating_sub(EDGE_MARGIN), (to + EDGE_MARGIN).min(end))
}

/// The geometry of a camera that sees the containers at `centres`, where the reference sees them at `seen` (mm).
fn compare(loaded: &Loaded, camera: &str, reference: &str, centres: &[(f64, f64)], seen: &[(f64, f64)]) -> Result<Geometry, GeometryError> {
    let pairs = matched(centres, seen);
    if pairs.len() < MIN_CONTAINERS.min(seen.len().max(1)) {
        let (camera, reference) = (camera.to_owned(), reference.to_owned());
        return Err(GeometryError::TooFew { camera, reference, found: pairs.len(), wanted: MIN_CONTAINERS });
    }
    let config = loaded.config.camera.iter().find(|c| c.name == camera).ok_or(GeometryError::OneCamera)?;
    // x = (p + 1/2) * field / pixels + shift. A centre that is seen too far right comes from too large a shift.
    let (scale, at_edge) = line_through(&pairs.iter().map(|((x, _), (true_x, _))| (x - config.shift_mm, *true_x)).collect::<Vec<_>>());
    let along = median(&mut pairs.iter().map(|((_, y), (_, true_y))| y - true_y).collect::<Vec<_>>());
    #[expect(clippy::cast_precision_loss, reason = "a tray has few containers")]
    let scatter = (pairs
        .iter()
        .map(|((x, y), (true_x, true_y))| ((x - config.shift_mm) * scale + at_edge - true_x).powi(2) + (y - along - true_y).powi(2))
        .sum::<f64>()
        / pairs.len() as f64)
        .sqrt();
    Ok(Geometry {
        camera: camera.to_owned(),
        // y = position - offset. A centre that is seen too far along comes from too small an offset.
        offset_mm: config.offset_mm + along,
        shift_mm: at_edge,
        field_of_view_mm: config.field_of_view_mm * scale,
        configured: (config.offset_mm, config.shift_mm, config.field_of_view_mm),
        containers: pairs.len(),
        scatter_mm: scatter,
    })
}

/// A centre as the camera sees it, and as the reference does, mm.
type Pair = ((f64, f64), (f64, f64));

/// Pairs of centres that coincide after one common displacement. Most centres share it, and it is refined once.
pub(super) fn matched(centres: &[(f64, f64)], seen: &[(f64, f64)]) -> Vec<Pair> {
    let nearest = |(x, y): (f64, f64)| {
        let distance = |other: &&(f64, f64)| (other.0 - x).hypot(other.1 - y);
        seen.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).filter(|best| distance(best) <= MATCH_MM).copied()
    };
    let under = |(dx, dy): (f64, f64)| -> Vec<Pair> {
        centres.iter().filter_map(|(x, y)| nearest((x - dx, y - dy)).map(|other| ((*x, *y), other))).collect()
    };
    let candidates = centres.iter().flat_map(|(x, y)| seen.iter().map(move |(u, v)| (x - u, y - v)));
    // A regular tray has several displacements that match equally many centres. The smallest one across the belt is right, because all
    // cameras look at one tray.
    let best = candidates.max_by(|a, b| under(*a).len().cmp(&under(*b).len()).then(b.0.abs().total_cmp(&a.0.abs())));
    let Some(best) = best else { return Vec::new() };
    let pairs = under(best);
    let axis = |pick: fn(&Pair) -> f64| median(&mut pairs.iter().map(pick).collect::<Vec<_>>());
    under((axis(|p| p.0.0 - p.1.0), axis(|p| p.0.1 - p.1.1)))
}

/// Slope and offset of the line through points. The slope is 1 where they do not spread.
fn line_through(points: &[(f64, f64)]) -> (f64, f64) {
    let (lo, hi) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p.0), hi.max(p.0)));
    if hi - lo < SPREAD_MM {
        return (1.0, median(&mut points.iter().map(|p| p.1 - p.0).collect::<Vec<_>>()));
    }
    #[expect(clippy::cast_precision_loss, reason = "a tray has few containers")]
    let n = points.len() as f64;
    let mean = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
    let (covariance, variance) =
        points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + (p.0 - mean.0) * (p.1 - mean.1), sum.1 + (p.0 - mean.0).powi(2)));
    let slope = covariance / variance;
    (slope, mean.1 - slope * mean.0)
}

/// Writes measured geometry into the configuration file, and keeps its comments and order.
///
/// # Errors
/// The configuration has no `[[camera]]` tables, or its file cannot be written.
pub fn write_back(loaded: &Loaded, measured: &[Geometry]) -> Result<(), GeometryError> {
    let written = write::cameras(loaded, |name, camera| {
        let Some(geometry) = measured.iter().find(|geometry| geometry.camera == name) else { return Ok(()) };
        let values = [("offset_mm", geometry.offset_mm), ("shift_mm", geometry.shift_mm), ("field_of_view_mm", geometry.field_of_view_mm)];
        for (key, value) in values {
            camera[key] = toml_edit::value((value * 1000.0).round() / 1000.0);
        }
        Ok(())
    });
    Ok(written?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displaced_centres_are_matched_though_one_camera_missed_some() {
        let seen: Vec<(f64, f64)> = (0..12).map(|i| (50.0 + 100.0 * f64::from(i % 3), 50.0 + 75.0 * f64::from(i / 3))).collect();
        let moved: Vec<(f64, f64)> = seen.iter().skip(2).map(|(x, y)| (x + 2.0, y + 58.0)).collect();
        let pairs = matched(&moved, &seen);
        assert_eq!(pairs.len(), 10);
        assert!(pairs.iter().all(|(a, b)| (a.0 - b.0 - 2.0).abs() < 1e-9 && (a.1 - b.1 - 58.0).abs() < 1e-9));
    }

    #[test]
    fn scale_and_shift_are_told_apart() {
        let points: Vec<(f64, f64)> = [20.0, 150.0, 280.0].iter().map(|x| (*x, 1.004 * x - 0.7)).collect();
        let (slope, offset) = line_through(&points);
        assert!((slope - 1.004).abs() < 1e-9 && (offset + 0.7).abs() < 1e-9);
    }
}
