//! Measures the geometry of the cameras: offset along the belt, shift and scale across it, yaw and keystone. A recorded tray is enough.
//!
//! Each camera's recording is resampled onto the grid by itself. The containers' centres follow from their edges. Centres of two cameras
//! are matched by the displacement that most of them share. The remaining displacement of matched centres is the correction.
//! The first camera's own geometry is the reference, so only differences to it can be measured. The keystone of each camera follows from
//! its own picture: how far apart the ends of its range see the containers, left and right.
//!
//! A second scan at another speed tells how late a camera's frames are stamped.
//!
//! A printed target in place of the tray tells scale and yaw of the first camera too. Only where it lay on the belt is not known.

use super::Target;
use super::fit::{Fit, fit};
use super::latency::latency;
use super::view::{Seen, View, view};
use super::write::{self, WriteError};
use crate::config::{CameraConfig, Loaded};
use crate::data_root::{Capture, ProcessError};
use crate::segment::median;

/// A measured figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The value to be configured.
    pub value: f64,
    /// Standard uncertainty of the measurement (k = 1).
    pub uncertainty: f64,
    /// The configured value. It is `value` where the measurement shows no difference.
    pub configured: f64,
}

/// Measured geometry of a camera, against the first one. That one has its configured offset, shift and width.
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
    /// Yaw, degrees. `None` for the first camera, and where the containers lie in one column.
    pub yaw_deg: Option<Figure>,
    /// Keystone, pixels. `None` where the ends of the range show too few containers left and right.
    pub keystone_px: Option<Figure>,
    /// How late its frames are stamped after the middle of the exposure, µs. `None` without a scan at a second speed.
    pub latency_us: Option<Figure>,
    /// How much further the belt moved than its encoder says, as a ratio. Known from a target alone.
    pub belt_scale: Option<f64>,
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
    /// A single camera has no reference, and shows no keystone.
    #[error(
        "give the captures of at least two cameras: the first one is what the others are measured against; a single one shows its keystone alone, which needs three containers with clear edges left and right"
    )]
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
    /// A camera does not show the target.
    #[error(
        "{camera} shows {found} squares of the target, at least {wanted} are needed; give the size that was printed, lay the sheet flat within one degree of square, and check segment.min_reflectance"
    )]
    NoTarget {
        /// The camera's configured name.
        camera: String,
        /// Number of squares found.
        found: usize,
        /// Number of squares needed.
        wanted: usize,
    },
    /// The configuration cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Least number of matched containers.
pub(super) const MIN_CONTAINERS: usize = 3;
/// Largest distance between two centres of one container, after the common displacement, mm.
const MATCH_MM: f64 = 4.0;
/// Least spread of columns that separates a difference of scale from one of shift, mm.
const SPREAD_MM: f64 = 50.0;
/// A figure below this multiple of its standard uncertainty is none.
pub(super) const LEAST_SIGMAS: f64 = 2.0;
/// Standard uncertainty of a column of containers across, grid pixels. Edges of all its rows lie on the same parts of pixels.
const COLUMN_PIXELS: f64 = 0.01;
/// Yaw and keystone below which a correction is not worth its time: degrees and pixels.
const LEAST_YAW_DEG: f64 = 0.005;
const LEAST_KEYSTONE_PX: f64 = 0.02;

/// Measures the geometry of every camera against the first of `captures`, or that of all cameras against a `target` that they saw. The captures
/// of `again` show the same tray at another speed, and tell the latency of their cameras.
///
/// # Errors
/// There is one capture only and it shows no keystone, a capture cannot be used, a camera shows too few containers, or the speeds are alike.
pub fn measure(loaded: &Loaded, captures: &[Capture], again: &[Capture], target: Option<&Target>) -> Result<Vec<Geometry>, GeometryError> {
    if let Some(capture) = again.iter().find(|capture| captures.iter().all(|first| first.camera != capture.camera)) {
        return Err(GeometryError::OneScan { camera: capture.camera.clone() });
    }
    let (mut all, pixel_mm) = (Vec::new(), loaded.config.grid.pixel_mm);
    for capture in captures {
        let config = loaded.config.camera.iter().find(|camera| camera.name == capture.camera);
        all.push((view(loaded, capture)?, config.ok_or(GeometryError::OneCamera)?));
    }
    let Some((first, of_first)) = all.first() else { return Err(GeometryError::OneCamera) };
    if let Some(target) = target {
        let seen: Vec<_> = all.iter().map(|(view, config)| (config.name.as_str(), view.centres())).collect();
        let (squares, belt) = target.laid(&seen)?;
        let of = |((view, config), belt): (&(View, &CameraConfig), f64)| {
            Ok(Geometry { belt_scale: Some(1.0 / belt), ..compare(config, view, &of_first.name, &squares, pixel_mm)? })
        };
        let measured: Result<_, GeometryError> = all.iter().zip(belt).map(of).collect();
        return timed(loaded, measured?, &all, again);
    }
    let alone = Geometry {
        camera: of_first.name.clone(),
        offset_mm: of_first.offset_mm,
        shift_mm: of_first.shift_mm,
        field_of_view_mm: of_first.field_of_view_mm,
        configured: (of_first.offset_mm, of_first.shift_mm, of_first.field_of_view_mm),
        yaw_deg: None,
        keystone_px: keystone(first, of_first, pixel_mm),
        latency_us: None,
        belt_scale: None,
        containers: first.seen.len(),
        scatter_mm: 0.0,
    };
    if captures.len() < 2 && alone.keystone_px.is_none() && again.is_empty() {
        return Err(GeometryError::OneCamera);
    }
    let others = all[1..].iter().map(|(view, config)| compare(config, view, &of_first.name, &first.centres(), pixel_mm));
    timed(loaded, std::iter::once(Ok(alone)).chain(others).collect::<Result<_, _>>()?, &all, again)
}

/// Adds the latency of the cameras of `again` to their geometry. What late stamps moved them along is no part of their offsets.
fn timed(
    loaded: &Loaded,
    mut measured: Vec<Geometry>,
    all: &[(View, &CameraConfig)],
    again: &[Capture],
) -> Result<Vec<Geometry>, GeometryError> {
    let mut late_mm = vec![0.0; measured.len()];
    for (((geometry, (first, config)), late_mm), capture) in measured
        .iter_mut()
        .zip(all)
        .zip(&mut late_mm)
        .filter_map(|found| again.iter().find(|capture| capture.camera == found.0.0.camera).map(|capture| (found, capture)))
    {
        let found = latency(config, first, &view(loaded, capture)?, loaded.config.grid.pixel_mm)?;
        *late_mm = (found.value - found.configured) * 1e-6 * first.speed_mm_per_s.unwrap_or(0.0);
        geometry.latency_us = Some(found);
    }
    // Without a target, offsets are those against the first camera, whose own stays.
    let of_first = late_mm.first().copied().unwrap_or(0.0);
    for (geometry, late_mm) in measured.iter_mut().zip(&late_mm) {
        geometry.offset_mm -= late_mm - of_first;
    }
    Ok(measured)
}

/// The geometry of the camera of `config` whose `view` is that of containers at `places`, mm, as the camera `reference` saw them.
fn compare(config: &CameraConfig, view: &View, reference: &str, places: &[(f64, f64)], pixel_mm: f64) -> Result<Geometry, GeometryError> {
    let pairs = matched(&view.centres(), places);
    if pairs.len() < MIN_CONTAINERS.min(places.len().max(1)) {
        let (camera, reference) = (config.name.clone(), reference.to_owned());
        return Err(GeometryError::TooFew { camera, reference, found: pairs.len(), wanted: MIN_CONTAINERS });
    }
    // x = (p + 1/2) * field / pixels + shift. A centre that is seen too far right comes from too large a shift.
    let (scale, at_edge) = line_through(&pairs.iter().map(|((x, _), (true_x, _))| (x - config.shift_mm, *true_x)).collect::<Vec<_>>());
    let middle_mm = config.shift_mm + config.field_of_view_mm / 2.0;
    // A turned camera sees a container further along on one side, and less far on the other.
    let turn = turn(&pairs.iter().map(|((x, y), (_, true_y))| (x - middle_mm, true_y - y)).collect::<Vec<_>>(), config);
    let slope = turn.map_or(0.0, |yaw| yaw.value.to_radians().tan() - yaw.configured.to_radians().tan());
    let apart = |((x, y), (_, true_y)): &Pair| y + slope * (x - middle_mm) - true_y;
    let along = median(&mut pairs.iter().map(apart).collect::<Vec<_>>());
    #[expect(clippy::cast_precision_loss, reason = "a tray has few containers")]
    let scatter = (pairs
        .iter()
        .map(|pair| ((pair.0.0 - config.shift_mm) * scale + at_edge - pair.1.0).powi(2) + (apart(pair) - along).powi(2))
        .sum::<f64>()
        / pairs.len() as f64)
        .sqrt();
    Ok(Geometry {
        camera: config.name.clone(),
        // y = position - offset. A centre that is seen too far along comes from too small an offset.
        offset_mm: config.offset_mm + along,
        shift_mm: at_edge,
        field_of_view_mm: config.field_of_view_mm * scale,
        configured: (config.offset_mm, config.shift_mm, config.field_of_view_mm),
        yaw_deg: turn,
        keystone_px: keystone(view, config, pixel_mm),
        latency_us: None,
        belt_scale: None,
        containers: pairs.len(),
        scatter_mm: scatter,
    })
}

/// A figure by its measured change.
fn figure(configured: f64, Fit { slope, uncertainty, .. }: Fit, least: f64) -> Figure {
    let differs = slope.abs() > (LEAST_SIGMAS * uncertainty).max(least);
    Figure { value: if differs { configured + slope } else { configured }, uncertainty, configured }
}

/// The yaw of a camera by places across from its middle, and by how much it sees them too near along, both in mm.
fn turn(points: &[(f64, f64)], config: &CameraConfig) -> Option<Figure> {
    let configured = config.correction.yaw_deg;
    let fit = fit(points, SPREAD_MM)?;
    let degrees = |slope: f64| slope.atan().to_degrees();
    let change = degrees(configured.to_radians().tan() + fit.slope) - configured;
    Some(figure(configured, Fit { slope: change, uncertainty: degrees(fit.uncertainty), ..fit }, LEAST_YAW_DEG))
}

/// The keystone of a camera. It sees a place further left in bands that look further right.
fn keystone(view: &View, config: &CameraConfig, grid_mm: f64) -> Option<Figure> {
    #[expect(clippy::cast_precision_loss, reason = "pixels of a line")]
    let pixel_mm = config.field_of_view_mm / view.pixels as f64;
    let middle_mm = config.shift_mm + config.field_of_view_mm / 2.0;
    let per_px = -view.range * pixel_mm;
    let point = |seen: &Seen| Some(((seen.centre.0 - middle_mm) / (config.field_of_view_mm / 2.0), seen.keystone_mm? / per_px));
    let points: Vec<(f64, f64)> = view.seen.iter().filter_map(point).collect();
    let fit = fit(&points, SPREAD_MM / (config.field_of_view_mm / 2.0)).filter(|fit| fit.slope.is_finite())?;
    // Two columns apart by `spread` tell the slope to this.
    let columns = COLUMN_PIXELS * grid_mm / per_px * std::f64::consts::SQRT_2 / fit.spread;
    let fit = Fit { uncertainty: fit.uncertainty.hypot(columns), ..fit };
    (points.len() >= MIN_CONTAINERS).then(|| figure(config.correction.keystone_px, fit, LEAST_KEYSTONE_PX))
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
    match fit(points, SPREAD_MM) {
        Some(Fit { slope, offset, .. }) => (slope, offset),
        None => (1.0, median(&mut points.iter().map(|p| p.1 - p.0).collect::<Vec<_>>())),
    }
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
        if let Some(latency) = geometry.latency_us.filter(|latency| latency.value != latency.configured) {
            camera["latency_us"] = toml_edit::value(latency.value.round());
        }
        let figures = [("yaw_deg", geometry.yaw_deg), ("keystone_px", geometry.keystone_px)];
        for (key, figure) in figures.into_iter().filter_map(|(key, figure)| Some((key, figure?))) {
            if figure.value != figure.configured {
                write::correction(camera, key, (figure.value * 1000.0).round() / 1000.0)?;
            }
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
