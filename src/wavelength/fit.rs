//! The place of one feature in a spectrum.
//!
//! The spectrum in the window is a continuum, a polynomial, times the shape of the feature. The shape is `1 + h exp(-((nm - c) / w)² / 2)`,
//! or that of the certified spectrum. Continuum and shape are fitted together, so that a sloping continuum does not move the feature.

use super::features::{Feature, FeatureKind};
use crate::least_squares;

/// A feature as found in a spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// True wavelength minus the found one, nm.
    pub difference_nm: f64,
    /// Standard error of the difference, from the residuals of the fit, nm.
    pub error_nm: f64,
    /// Depth of the minimum or height of the maximum, as a share of the continuum.
    pub depth: f64,
    /// Standard error of the depth.
    pub depth_error: f64,
}

/// Why a feature gives no wavelength.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Lost {
    /// The window reaches beyond the bands.
    #[error("its window reaches beyond the bands of the camera")]
    Outside,
    /// The window holds too few bands.
    #[error("{found} bands lie in its window, at least {wanted} are needed; widen window_nm")]
    Coarse {
        /// Number of bands.
        found: usize,
        /// Number of bands needed.
        wanted: usize,
    },
    /// The feature is not deeper than its noise.
    #[error(
        "its depth is {:.2} % ± {:.2} %, at least {STRENGTH} times its ± is needed; scan more lines or light the tile better, or check that it lies where it was looked for",
        100.0 * depth,
        100.0 * error
    )]
    Weak {
        /// Depth as a share of the continuum.
        depth: f64,
        /// Standard error of the depth.
        error: f64,
    },
    /// The feature lies further off than the limit.
    #[error(
        "it was found {difference_nm:+.2} nm off, at most {limit_nm:.1} nm is looked for; check that the file is of this tile, or raise the limit"
    )]
    Beyond {
        /// Found wavelength minus the true one, nm.
        difference_nm: f64,
        /// The limit, nm.
        limit_nm: f64,
    },
    /// No place fits.
    #[error("no minimum or maximum of its kind fits in its window; check kind and window_nm, and that the file is of this tile")]
    NoFit,
}

/// The certified spectrum as the camera sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// The first wavelength, nm.
    pub from_nm: f64,
    /// Distance of wavelengths, nm.
    pub step_nm: f64,
    /// Value of a band centred at each wavelength.
    pub values: Vec<f64>,
}

impl Shape {
    /// The value and its slope per nm at a wavelength; `None` beyond the ends.
    fn at(&self, nm: f64) -> Option<(f64, f64)> {
        let at = (nm - self.from_nm) / self.step_nm;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the place is checked to be positive and small")]
        let below = (1.0..1e9).contains(&at).then_some(at as usize)?;
        // Cubic interpolation, after Catmull and Rom.
        let [a, b, c, d] = *self.values.get(below - 1..below + 3)? else { return None };
        let part = at - at.floor();
        let (q1, q2, q3) = (0.5 * (c - a), a - 2.5 * b + 2.0 * c - 0.5 * d, 0.5 * (d - a) + 1.5 * (b - c));
        Some((b + part * (q1 + part * (q2 + part * q3)), (q1 + part * (2.0 * q2 + part * 3.0 * q3)) / self.step_nm))
    }
}

/// Least depth in standard errors.
const STRENGTH: f64 = 5.0;
/// Number of bands more than parameters that a fit needs.
const SPARE: usize = 2;
/// Number of bands from which the continuum is a parabola, else a line.
const BANDS_OF_PARABOLA: usize = 10;
/// Starting widths (standard deviation) as shares of the window to one side.
const WIDTHS: [f64; 3] = [0.12, 0.25, 0.45];
/// Most steps of a fit.
const STEPS: usize = 60;

/// A shape and its derivatives by its parameters, at a distance from the feature in nm. `None` where the parameters have no meaning.
type Model<'a> = &'a dyn Fn(&[f64], f64) -> Option<(f64, Vec<f64>)>;

/// The bands of a window.
struct Window {
    /// Wavelengths relative to the feature, nm.
    off_nm: Vec<f64>,
    values: Vec<f64>,
    half_nm: f64,
    /// Coefficients of the continuum.
    terms: usize,
}

/// Finds a feature in the spectrum `values` of bands at `nm`, up to `limit_nm` off. A shape takes the place of a Gaussian.
///
/// # Errors
/// The feature lies beyond the bands, is too weak, or is too far off.
pub(super) fn find(feature: &Feature, shape: Option<&Shape>, nm: &[f64], values: &[f64], limit_nm: f64) -> Result<Found, Lost> {
    let window = Window::new(feature, nm, values)?;
    let parameters = window.terms + if shape.is_some() { 2 } else { 3 };
    if window.values.len() < parameters + SPARE {
        return Err(Lost::Coarse { found: window.values.len(), wanted: parameters + SPARE });
    }
    let found = match shape {
        Some(shape) => window.by_shape(feature, shape, limit_nm),
        None => window.by_gaussian(feature.kind),
    };
    let found = found.ok_or(Lost::NoFit)?;
    if found.depth < STRENGTH * found.depth_error {
        return Err(Lost::Weak { depth: found.depth, error: found.depth_error });
    }
    if found.difference_nm.abs() > limit_nm {
        return Err(Lost::Beyond { difference_nm: -found.difference_nm, limit_nm });
    }
    Ok(found)
}

impl Window {
    fn new(feature: &Feature, nm: &[f64], values: &[f64]) -> Result<Self, Lost> {
        let Feature { nm: centre, window_nm: half_nm, .. } = *feature;
        let (Some(first), Some(last)) = (nm.first(), nm.last()) else { return Err(Lost::Outside) };
        if *first > centre - half_nm || *last < centre + half_nm {
            return Err(Lost::Outside);
        }
        let inside = nm.iter().zip(values).filter(|(nm, value)| (**nm - centre).abs() <= half_nm && value.is_finite());
        let (off_nm, values): (Vec<f64>, Vec<f64>) = inside.map(|(nm, value)| (nm - centre, *value)).unzip();
        let terms = if off_nm.len() >= BANDS_OF_PARABOLA { 3 } else { 2 };
        Ok(Self { off_nm, values, half_nm, terms })
    }

    /// The powers of the place in the window, each times `factor`.
    fn powers(&self, off_nm: f64, factor: f64) -> Vec<f64> {
        let x = off_nm / self.half_nm;
        (0..self.terms).scan(factor, |power, _| Some(std::mem::replace(power, *power * x))).collect()
    }

    /// The continuum under a given shape.
    fn continuum(&self, shape: &[f64]) -> Option<Vec<f64>> {
        let rows: Vec<Vec<f64>> = self.off_nm.iter().zip(shape).map(|(off_nm, shape)| self.powers(*off_nm, *shape)).collect();
        Some(least_squares::fit(&rows, &self.values, &vec![1.0; rows.len()], 0.0)?.parameters)
    }

    /// Fits continuum and shape by the method of Levenberg and Marquardt. `model` gives the shape and its derivatives at a distance from
    /// the feature. Gives the parameters of the shape with their covariance, and the sum of squares.
    fn fit(&self, start: &[f64], model: Model<'_>) -> Option<Fitted> {
        let shapes = |of: &[f64]| self.off_nm.iter().map(|off_nm| model(of, *off_nm)).collect::<Option<Vec<_>>>();
        let rate = |of: &[f64]| -> Option<(Vec<f64>, f64)> {
            let shape: Vec<f64> = shapes(of)?.into_iter().map(|(shape, _)| shape).collect();
            let terms = self.continuum(&shape)?;
            let residual = |((off_nm, value), shape): ((&f64, &f64), &f64)| {
                value - self.powers(*off_nm, *shape).iter().zip(&terms).map(|(power, term)| power * term).sum::<f64>()
            };
            let squares = self.off_nm.iter().zip(&self.values).zip(&shape).map(|all| residual(all).powi(2)).sum();
            Some((terms, squares))
        };
        let mut of = start.to_vec();
        let (mut terms, mut squares) = rate(&of)?;
        let mut damping = 1e-3;
        let weights = vec![1.0; self.values.len()];
        let system = |of: &[f64], terms: &[f64]| -> Option<(Vec<Vec<f64>>, Vec<f64>)> {
            let mut rows = Vec::with_capacity(self.values.len());
            let mut residuals = Vec::with_capacity(self.values.len());
            for ((off_nm, value), (shape, slopes)) in self.off_nm.iter().zip(&self.values).zip(shapes(of)?) {
                let continuum: f64 = self.powers(*off_nm, 1.0).iter().zip(terms).map(|(power, term)| power * term).sum();
                let mut row = self.powers(*off_nm, shape);
                row.extend(slopes.iter().map(|slope| continuum * slope));
                rows.push(row);
                residuals.push(value - continuum * shape);
            }
            Some((rows, residuals))
        };
        for _ in 0..STEPS {
            let (rows, residuals) = system(&of, &terms)?;
            let Some(step) = least_squares::fit(&rows, &residuals, &weights, damping) else { break };
            let next: Vec<f64> = of.iter().zip(&step.parameters[self.terms..]).map(|(now, step)| now + step).collect();
            match rate(&next).filter(|(_, found)| *found < squares) {
                Some((better, found)) => {
                    let small = squares - found <= 1e-12 * squares;
                    (of, terms, squares) = (next, better, found);
                    damping = (damping * 0.3_f64).max(1e-12);
                    if small {
                        break;
                    }
                }
                None if damping > 1e8 => break,
                None => damping *= 8.0,
            }
        }
        let (rows, residuals) = system(&of, &terms)?;
        let inverse = least_squares::fit(&rows, &residuals, &weights, 0.0)?.inverse;
        #[expect(clippy::cast_precision_loss, reason = "a window holds few bands")]
        let free = (self.values.len() - self.terms - of.len()) as f64;
        let error = |at: usize| (squares / free * inverse[self.terms + at][self.terms + at]).max(0.0).sqrt();
        let errors = (0..of.len()).map(error).collect();
        Some(Fitted { of, errors, squares })
    }

    /// The best fit of a Gaussian, from several widths.
    fn by_gaussian(&self, kind: FeatureKind) -> Option<Found> {
        let sign = if kind == FeatureKind::Minimum { -1.0 } else { 1.0 };
        let flat = self.continuum(&vec![1.0; self.values.len()])?;
        let departure = |(off_nm, value): (&f64, &f64)| {
            let continuum: f64 = self.powers(*off_nm, 1.0).iter().zip(&flat).map(|(power, term)| power * term).sum();
            (sign * (value / continuum - 1.0), *off_nm)
        };
        let most = self.off_nm.iter().zip(&self.values).map(departure).max_by(|a, b| a.0.total_cmp(&b.0))?;
        // Height, centre and width. A narrower width than a third of a band's distance is no feature.
        let least_nm = self.off_nm.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min) / 3.0;
        let gaussian = |of: &[f64], off_nm: f64| {
            let (height, centre, width) = (of[0], of[1], of[2].abs());
            if width < least_nm || width > self.half_nm || centre.abs() > self.half_nm || height <= -1.0 {
                return None;
            }
            let z = (off_nm - centre) / width;
            let bell = (-0.5 * z * z).exp();
            Some((1.0 + height * bell, vec![bell, height * bell * z / width, height * bell * z * z / width]))
        };
        let starts = WIDTHS.iter().flat_map(|width| [most.1, 0.0].map(|at| [sign * most.0.clamp(0.01, 0.9), at, width * self.half_nm]));
        let fits = starts.filter_map(|start| self.fit(&start, &gaussian)).filter(|fit| sign * fit.of[0] > 0.0);
        let best = fits.min_by(|a, b| a.squares.total_cmp(&b.squares))?;
        Some(Found { difference_nm: -best.of[1], error_nm: best.errors[1], depth: sign * best.of[0], depth_error: best.errors[0] })
    }

    /// The shift under which the certified shape fits best. Its depth is fitted too: a shape that is not seen has none.
    fn by_shape(&self, feature: &Feature, shape: &Shape, limit_nm: f64) -> Option<Found> {
        let certified = self.off_nm.iter().map(|off_nm| Some(shape.at(feature.nm + off_nm)?.0)).collect::<Option<Vec<f64>>>()?;
        let own = Window { values: certified, off_nm: self.off_nm.clone(), half_nm: self.half_nm, terms: 2 };
        let terms = own.continuum(&vec![1.0; own.values.len()])?;
        let continuum = |off_nm: f64| own.powers(off_nm, 1.0).iter().zip(&terms).map(|(power, term)| power * term).sum::<f64>();
        let departures = || own.values.iter().zip(&own.off_nm).map(|(value, off_nm)| value / continuum(*off_nm) - 1.0);
        let (low, high) = departures().fold((0.0, 0.0), |(low, high): (f64, f64), share| (low.min(share), high.max(share)));
        // The shift, and the depth as a share of the certified one.
        let shifted = |of: &[f64], off_nm: f64| {
            let (value, slope) = shape.at(feature.nm + off_nm + of[0])?;
            let level = continuum(off_nm + of[0]);
            let departure = value / level - 1.0;
            Some((1.0 + of[1] * departure, vec![of[1] * slope / level, departure]))
        };
        let starts = [0.0, -0.5, 0.5].map(|share| [share * limit_nm, 1.0]);
        let fits = starts.iter().filter_map(|start| self.fit(start, &shifted)).filter(|fit| fit.of[1] > 0.0);
        let best = fits.min_by(|a, b| a.squares.total_cmp(&b.squares))?;
        let depth = high - low;
        Some(Found { difference_nm: best.of[0], error_nm: best.errors[0], depth: depth * best.of[1], depth_error: depth * best.errors[1] })
    }
}

/// The parameters of a shape, with their errors and the sum of squares of the residuals.
struct Fitted {
    of: Vec<f64>,
    errors: Vec<f64>,
    squares: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(nm: f64, kind: FeatureKind, window_nm: f64) -> Feature {
        Feature { nm, kind, window_nm, tolerance_nm: 0.0, source: String::new() }
    }

    /// A Gaussian on a sloping and bent continuum, `shift` nm below its true wavelength, with a ripple for noise.
    fn spectrum(nm: f64, shift: f64, height: f64, noise: f64) -> f64 {
        let z = (nm - (2130.0 - shift)) / 12.0;
        let x = (nm - 2130.0) / 60.0;
        let ripple = noise * ((nm * 7.13).sin() + (nm * 3.77).cos());
        1500.0 * (1.0 - 0.3 * x - 0.1 * x * x) * (1.0 + height * (-0.5 * z * z).exp()) * (1.0 + ripple)
    }

    #[test]
    fn a_shift_is_found_on_a_sloping_continuum() {
        let nm: Vec<f64> = (0..200).map(|band| 1000.0 + 7.5 * f64::from(band)).collect();
        for (kind, height) in [(FeatureKind::Minimum, -0.08), (FeatureKind::Maximum, 0.08)] {
            for shift in [-4.0, -1.0, 0.0, 0.7, 3.3] {
                let values: Vec<f64> = nm.iter().map(|nm| spectrum(*nm, shift, height, 0.0002)).collect();
                let found = find(&feature(2130.0, kind, 60.0), None, &nm, &values, 5.0).unwrap();
                assert!((found.difference_nm - shift).abs() < 0.1, "{shift}: {found:?}");
                assert!(found.error_nm > 0.005 && found.error_nm < 0.15 && (found.depth - 0.08).abs() < 0.01, "{found:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_found_is_told() {
        let nm: Vec<f64> = (0..200).map(|band| 1000.0 + 7.5 * f64::from(band)).collect();
        let seen = |shift, height, noise| nm.iter().map(|nm| spectrum(*nm, shift, height, noise)).collect::<Vec<_>>();
        let look = |at: f64, window, values: &[f64]| find(&feature(at, FeatureKind::Minimum, window), None, &nm, values, 5.0);
        assert_eq!(look(2480.0, 60.0, &seen(0.0, -0.1, 0.0)), Err(Lost::Outside));
        assert_eq!(look(2130.0, 20.0, &seen(0.0, -0.1, 0.0)), Err(Lost::Coarse { found: 6, wanted: 7 }));
        assert!(matches!(look(2130.0, 60.0, &seen(6.0, -0.1, 0.0001)), Err(Lost::Beyond { difference_nm, .. }) if difference_nm < -5.5));
        for height in [-0.002, 0.0] {
            let lost = look(2130.0, 60.0, &seen(0.0, height, 0.003)).unwrap_err();
            assert!(matches!(lost, Lost::Weak { .. } | Lost::NoFit), "{lost}");
        }
    }

    #[test]
    fn a_certified_shape_is_found_though_it_has_two_minima() {
        let doublet = |nm: f64| {
            let bell = |at: f64, width: f64| (-0.5 * ((nm - at) / width).powi(2)).exp();
            0.9 - 0.3 * bell(1530.0, 6.0) - 0.2 * bell(1546.0, 9.0)
        };
        let shape = Shape { from_nm: 1400.0, step_nm: 0.5, values: (0..500).map(|i| doublet(1400.0 + 0.5 * f64::from(i))).collect() };
        let nm: Vec<f64> = (0..40).map(|band| 1400.0 + 6.0 * f64::from(band)).collect();
        for shift in [-2.0, 0.4, 3.0] {
            let values: Vec<f64> = nm.iter().map(|nm| 0.8 * doublet(nm + shift) * (1.0 + 1e-4 * (nm - 1500.0))).collect();
            let found = find(&feature(1535.0, FeatureKind::Minimum, 40.0), Some(&shape), &nm, &values, 5.0).unwrap();
            assert!((found.difference_nm - shift).abs() < 0.02 && found.depth > 0.2, "{shift}: {found:?}");
        }
        let flat: Vec<f64> = nm.iter().map(|nm| 0.8 + 0.003 * (nm * 1.7).sin()).collect();
        assert!(find(&feature(1535.0, FeatureKind::Minimum, 40.0), Some(&shape), &nm, &flat, 5.0).is_err());
    }
}
