//! How late a camera's frames are stamped, from two scans of one tray at two speeds.
//!
//! A frame that is stamped late by `t` gets the place that the belt reached meanwhile: `speed * t` too far along. Two speeds tell `t` from the
//! place of the tray, which stays on the belt between the scans.

use super::geometry::{Figure, GeometryError, LEAST_SIGMAS, matched};
use super::view::View;
use crate::config::CameraConfig;
use crate::segment::median;

/// Least ratio of the two speeds.
const LEAST_RATIO: f64 = 1.2;
/// Standard uncertainty of the place of a row of containers along, grid pixels. Edges of all its columns lie on the same parts of lines.
const ROW_PIXELS: f64 = 0.02;
/// Latency below which a correction is not worth its key, µs.
const LEAST_US: f64 = 10.0;

/// How late the frames of the camera of `config` are stamped after the middle of the exposure, µs: what is configured, and what the places of
/// the containers in `first` and `again` still show. Grid pixels are `pixel_mm`.
pub(super) fn latency(config: &CameraConfig, first: &View, again: &View, pixel_mm: f64) -> Result<Figure, GeometryError> {
    let camera = || config.name.clone();
    let (Some(before), Some(after)) = (first.speed_mm_per_s, again.speed_mm_per_s) else {
        return Err(GeometryError::NoPositions { camera: camera() });
    };
    if !(before > 0.0 && after > 0.0 && before.max(after) >= LEAST_RATIO * before.min(after)) {
        return Err(GeometryError::Speeds { camera: camera(), speeds: (before, after) });
    }
    let pairs = matched(&again.centres(), &first.centres());
    if pairs.len() < super::geometry::MIN_CONTAINERS {
        let (camera, wanted) = (camera(), super::geometry::MIN_CONTAINERS);
        return Err(GeometryError::TooFew { reference: format!("{camera} at the first speed"), camera, found: pairs.len(), wanted });
    }
    let mut along: Vec<f64> = pairs.iter().map(|((_, again), (_, first))| again - first).collect();
    let middle = median(&mut along);
    #[expect(clippy::cast_precision_loss, reason = "a tray has few containers")]
    let n = along.len() as f64;
    let scatter = (along.iter().map(|mm| (mm - middle).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    let us = |mm: f64| 1e6 * mm / (after - before);
    let (found, uncertainty) = (us(middle), us(scatter.hypot(ROW_PIXELS * pixel_mm * std::f64::consts::SQRT_2)).abs());
    let configured = config.latency_us;
    let differs = found.abs() > (LEAST_SIGMAS * uncertainty).max(LEAST_US);
    Ok(Figure { value: if differs { configured + found } else { configured }, uncertainty, configured })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::view::Seen;

    /// What a camera sees whose stamps are 500 µs late.
    fn seen(speed_mm_per_s: Option<f64>, containers: u32) -> View {
        let of = |i: u32| {
            let y = 50.0 + 75.0 * f64::from(i / 3) + speed_mm_per_s.unwrap_or(0.0) * 500e-6 + 0.002 * f64::from(i % 2);
            Seen { centre: (50.0 + 100.0 * f64::from(i % 3), y), keystone_mm: None }
        };
        View { seen: (0..containers).map(of).collect(), speed_mm_per_s, ..View::default() }
    }

    fn camera() -> CameraConfig {
        toml::from_str(
            "name = \"vnir\"\nfield_of_view_mm = 300.0\nexposure_us = 2000.0\nframe_rate_hz = 20.0\nlatency_us = 100.0\n\
             device = { kind = \"simulated\" }",
        )
        .unwrap()
    }

    #[test]
    fn two_speeds_tell_how_late_stamps_are_and_one_does_not() {
        let of = |before, after, containers| latency(&camera(), &seen(before, 12), &seen(after, containers), 0.6);
        let found = of(Some(40.0), Some(120.0), 12).unwrap();
        assert!((found.value - 600.0).abs() < 1.0 && found.configured == 100.0, "{found:?}");
        assert!(found.uncertainty > 100.0 && found.uncertainty < 300.0, "{found:?}");
        assert_eq!(of(Some(40.0), Some(50.0), 12).unwrap().value, 100.0, "nothing is seen of it");
        assert!(matches!(of(Some(40.0), Some(47.0), 12), Err(GeometryError::Speeds { .. })));
        assert!(matches!(of(Some(40.0), None, 12), Err(GeometryError::NoPositions { .. })));
        assert!(matches!(of(Some(40.0), Some(120.0), 2), Err(GeometryError::TooFew { found: 2, .. })));
    }
}
