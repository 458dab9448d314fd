//! Measures how evenly the white panel reflects across the belt, from two white references: one of the panel as it lies, and one of the panel
//! turned by half a turn.
//!
//! The lamps' own unevenness is in both. Their ratio at x is e(x) / e(-x), with x from the middle of the view. So the odd part of the
//! panel's evenness e follows, and the light drops out. The even part, and the mean level, stay those of the certificate.

use super::write::{self, WriteError};
use crate::config::{EVENNESS, Loaded, MOST_UNEVEN};
use crate::data_root::{Capture, Opened, ProcessError, take_references, units};
use crate::devices::CameraUnit;
use crate::least_squares;

/// How evenly a panel reflects across the belt.
#[derive(Debug, Clone, PartialEq)]
pub struct Evenness {
    /// c1, c3, c5 of 1 + c1 ξ + c3 ξ³ + c5 ξ⁵, with ξ from -1 to 1 across the view of the first camera.
    pub coefficients: [f64; EVENNESS],
    /// Standard uncertainty (k = 1) of the evenness at an end of the view.
    pub uncertainty: f64,
    /// Largest difference from an even panel within the view, as a share.
    pub largest: f64,
    /// Root mean square of what the curve does not explain, as a share.
    pub residual: f64,
    /// The configured coefficients.
    pub configured: Vec<f64>,
    /// Number of pixels of all cameras that count.
    pub pixels: usize,
}

/// The evenness of the panel cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum EvennessError {
    /// A capture cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A camera has no recording of the turned panel, or none of the panel as it lies.
    #[error(
        "{camera} has one recording; give it with --capture for the panel as it lies, and with --turned for the panel turned by half a turn"
    )]
    OneRecording {
        /// The camera's configured name.
        camera: String,
    },
    /// Too few pixels see the panel in both references.
    #[error("{found} pixels see the panel in both recordings, at least {LEAST_PIXELS} are needed; check the white references")]
    TooFew {
        /// Number of pixels.
        found: usize,
    },
    /// The curve does not explain the ratio of both references.
    #[error(
        "both references differ by {:.2} % rms from any smooth curve across the belt, at most {:.1} %; the panel must lie in the middle of the view both times, and be clean",
        100.0 * residual, 100.0 * MOST_RESIDUAL
    )]
    Rough {
        /// Root mean square, as a share.
        residual: f64,
    },
    /// The panel is too uneven.
    #[error(
        "the panel is uneven by {:.1} %, at most {:.0} %; clean it or replace it, or check that only the panel was turned", 100.0 * largest, 100.0 * MOST_UNEVEN
    )]
    Uneven {
        /// Largest difference, as a share.
        largest: f64,
    },
    /// The configuration cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Least number of pixels.
const LEAST_PIXELS: usize = 32;
/// Most rms of the logarithm of the ratio around the curve. Dirt and edges make more.
const MOST_RESIDUAL: f64 = 0.01;

/// Measures the panel from recordings with white references of it as it lies (`captures`), and turned by half a turn (`turned`).
///
/// # Errors
/// A camera lacks one of both, a recording or its references cannot be used, or the ratio is not that of a smooth panel.
pub fn measure_evenness(loaded: &Loaded, captures: &[Capture], turned: &[Capture]) -> Result<Evenness, EvennessError> {
    let alone = |one: &[Capture], other: &[Capture]| {
        one.iter().find(|capture| other.iter().all(|other| other.camera != capture.camera)).map(|capture| capture.camera.clone())
    };
    if let Some(camera) = alone(captures, turned).or_else(|| alone(turned, captures)) {
        return Err(EvennessError::OneRecording { camera });
    }
    let (lies, turns) = (opened(loaded, captures)?, opened(loaded, turned)?);
    let mut groups = Vec::new();
    for (a, b) in lies.iter().zip(&turns) {
        groups.push(ratios(loaded, a, b));
    }
    let configured = loaded.config.references.as_ref().map(|references| references.panel.evenness.clone()).unwrap_or_default();
    fit(&groups).map(|found| Evenness { configured, ..found })
}

fn opened(loaded: &Loaded, captures: &[Capture]) -> Result<Vec<CameraUnit>, ProcessError> {
    let Opened { mut units, .. } = units(loaded, captures)?;
    take_references(loaded, captures, &mut units)?;
    Ok(units)
}

/// ξ of each pixel, and the logarithm of the light on the panel as it lies over that on the turned one.
fn ratios(loaded: &Loaded, lies: &CameraUnit, turned: &CameraUnit) -> Vec<(f64, f64)> {
    let pixels = lies.about.layout.pixels;
    let signals = |unit: &CameraUnit| -> Vec<f64> {
        let (Some(white), Some(dark)) = (&unit.white, &unit.dark) else { return Vec::new() };
        let own = white.own_dark.as_ref().map_or(&dark.reference, |own| &own.reference);
        white.reference.mean.iter().zip(&own.mean).map(|(white, dark)| f64::from(white - dark)).collect()
    };
    let full = lies.about.saturation.unwrap_or(f64::INFINITY);
    let strip = loaded.config.lamps.strip_mm;
    let peaks = [lies, turned].map(|unit| unit.white.as_ref().map(|white| white.reference.peak.as_slice()).unwrap_or_default());
    let (a, b) = (signals(lies), signals(turned));
    let of = |pixel: usize| {
        let elements = (pixel..a.len().min(b.len())).step_by(pixels);
        let good = elements.filter(|at| a[*at] > 0.0 && b[*at] > 0.0 && peaks.iter().all(|peak| f64::from(peak[*at]) < full));
        let (sum_a, sum_b) = good.fold((0.0, 0.0), |(x, y), at| (x + a[at], y + b[at]));
        let x_mm = lies.config.pixel_mm(pixel, pixels);
        let ratio = (sum_a / sum_b).ln();
        // The strip does not turn with the panel.
        let on_strip = strip.is_some_and(|(from, to)| (from..=to).contains(&x_mm));
        (ratio.is_finite() && !on_strip).then(|| (loaded.config.across(x_mm), ratio))
    };
    (0..pixels).filter_map(of).collect()
}

/// The odd polynomial through the logarithms of ratios at ξ, one group for each camera. Each camera has a change of the light of its own.
#[expect(clippy::cast_precision_loss, reason = "numbers of pixels are small")]
fn fit(groups: &[Vec<(f64, f64)>]) -> Result<Evenness, EvennessError> {
    let pixels: usize = groups.iter().map(Vec::len).sum();
    if pixels < LEAST_PIXELS {
        return Err(EvennessError::TooFew { found: pixels });
    }
    // Constants drop out where a camera's own means are taken off.
    let powers = |xi: f64| [xi, xi.powi(3), xi.powi(5)];
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for group in groups.iter().filter(|group| !group.is_empty()) {
        let n = group.len() as f64;
        let mean = group.iter().fold([0.0; EVENNESS + 1], |mut mean, (xi, ratio)| {
            powers(*xi).iter().chain([ratio]).zip(&mut mean).for_each(|(value, mean)| *mean += value / n);
            mean
        });
        for (xi, ratio) in group {
            rows.push(powers(*xi).iter().zip(&mean).map(|(power, mean)| power - mean).collect());
            values.push((ratio - mean[EVENNESS]) / 2.0);
        }
    }
    let solved = least_squares::fit(&rows, &values, &vec![1.0; rows.len()], 0.0).ok_or(EvennessError::TooFew { found: pixels })?;
    let coefficients: [f64; EVENNESS] = std::array::from_fn(|i| solved.parameters[i]);
    let of = |row: &[f64]| row.iter().zip(&coefficients).map(|(value, c)| value * c).sum::<f64>();
    let rest: f64 = rows.iter().zip(&values).map(|(row, value)| (value - of(row)).powi(2)).sum();
    let residual = (rest / (pixels - EVENNESS) as f64).sqrt();
    if residual > MOST_RESIDUAL {
        return Err(EvennessError::Rough { residual });
    }
    let largest = (0..=100).map(|i| of(&powers(f64::from(i) / 100.0)).abs()).fold(0.0, f64::max);
    if largest > MOST_UNEVEN {
        return Err(EvennessError::Uneven { largest });
    }
    // At the end all powers are 1, so the variance is the sum of the covariances.
    let uncertainty = residual * solved.inverse.iter().flatten().sum::<f64>().max(0.0).sqrt();
    Ok(Evenness { coefficients, uncertainty, largest, residual, configured: Vec::new(), pixels })
}

/// Writes the evenness into the configuration file, and keeps its comments and order.
///
/// # Errors
/// The configuration has no table `references.panel`, or its file cannot be written.
pub fn write_evenness(loaded: &Loaded, measured: &Evenness) -> Result<(), EvennessError> {
    let rounded = measured.coefficients.iter().map(|c| (c * 1e6).round() / 1e6).collect::<toml_edit::Array>();
    Ok(write::panel(loaded, "evenness", rounded)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ratios of a panel of which `e` is the evenness, with some noise and another light for the turned one.
    fn of(e: impl Fn(f64) -> f64, noise: f64) -> Vec<Vec<(f64, f64)>> {
        let one = |pixels: u32, light: f64| {
            let at = move |i: u32| 2.0 * (f64::from(i) + 0.5) / f64::from(pixels) - 1.0;
            (0..pixels).map(|i| (at(i), (light * e(at(i)) / e(-at(i))).ln() + noise * (f64::from(i) * 7.1).sin())).collect()
        };
        vec![one(200, 1.02), one(150, 0.97)]
    }

    #[test]
    fn a_slope_across_the_panel_is_found_whatever_the_light() {
        let found = fit(&of(|xi| 1.0 - 0.015 * (xi * std::f64::consts::FRAC_PI_2).sin(), 0.001)).unwrap();
        let [a, b, c] = found.coefficients;
        for i in -10..=10 {
            let xi = f64::from(i) / 10.0;
            let (is, should) = (a * xi + b * xi.powi(3) + c * xi.powi(5), -0.015 * (xi * std::f64::consts::FRAC_PI_2).sin());
            assert!((is - should).abs() < 3e-4, "{xi}: {is} {should}");
        }
        assert!((found.largest - 0.015).abs() < 3e-4 && found.uncertainty < 5e-4 && found.residual < 1e-3, "{found:?}");
    }

    #[test]
    fn what_is_no_smooth_panel_is_refused() {
        assert!(matches!(fit(&of(|_| 1.0, 0.03)), Err(EvennessError::Rough { .. })));
        assert!(matches!(fit(&of(|xi| 1.0 + 0.12 * xi, 0.0)), Err(EvennessError::Uneven { .. })));
        assert!(fit(&of(|xi| 1.0 + 0.09 * xi, 0.0)).is_ok() && fit(&of(|_| 1.0, 0.018)).is_ok());
        assert!(matches!(fit(&[vec![(0.1, 0.0); 20]]), Err(EvennessError::TooFew { found: 20 })));
    }
}
