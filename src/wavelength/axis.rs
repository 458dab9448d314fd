//! The wavelength axis of a camera, from features over the line: shift, smile, tilt, and error of the dispersion.

use super::features::{Certified, Feature, Features};
use super::fit::{Found, Lost, Shape, find};
use crate::least_squares;
use crate::scan::WavelengthCheck;
use crate::srf::{BandMatrix, BandSet, Unmeasured};

/// The mean spectrum of neighbouring pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Mean place of the pixels, from -1 to 1 between the ends of the line.
    pub place: f64,
    /// Mean square of the places.
    pub square: f64,
    /// Values of the bands.
    pub values: Vec<f64>,
}

/// The bands of the camera in the middle of the line, and its smile as far as it is corrected.
#[derive(Debug, Clone, Copy)]
pub struct CameraBands<'a> {
    /// Centres, rising, nm.
    pub nm: &'a [f64],
    /// Full widths at half maximum, nm, where they are known.
    pub fwhm_nm: Option<&'a [f64]>,
    /// Smile that is corrected already, nm.
    pub smile_nm: f64,
}

/// A number with its standard uncertainty (k = 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The number.
    pub value: f64,
    /// The standard uncertainty.
    pub uncertainty: f64,
}

impl Value {
    /// Whether the number differs from zero by more than `SURE` uncertainties.
    pub fn sure(&self) -> bool {
        self.value.abs() > SURE * self.uncertainty
    }
}

/// Uncertainties beyond which a number is no accident.
pub const SURE: f64 = 3.0;

/// A feature, in all columns.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenFeature {
    /// True wavelength, nm.
    pub nm: f64,
    /// True wavelength minus the found one in the middle of the line, nm. The uncertainty has the feature's own tolerance.
    pub difference_nm: Value,
    /// The same, as the mean over the line, nm. It is better known, and holds a third of the smile.
    pub mean_nm: Value,
    /// Standard uncertainty of the difference without the feature's own tolerance, nm.
    pub scatter_nm: f64,
    /// Depth as a share of the continuum, in the mean of the columns.
    pub depth: f64,
    /// Number of columns that show it.
    pub columns: usize,
    /// Whether it agrees with the others. The result rests on those that do.
    pub agrees: bool,
    /// Smile and tilt over the line, nm, where the columns reach over it.
    across: Option<[Value; 2]>,
}

/// The wavelength axis of a camera against its bands: true wavelength minus the one of the band.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The features that were found.
    pub features: Vec<SeenFeature>,
    /// The others, with their true wavelength in nm.
    pub lost: Vec<(f64, Lost)>,
    /// The shift in the middle of the line, nm.
    pub shift_nm: Value,
    /// The mean shift over the line, nm.
    pub mean_nm: Value,
    /// The smile: wavelength at the ends of the line minus that in its middle, nm. `None` where the columns do not reach over the line.
    pub smile_nm: Option<Value>,
    /// The tilt: wavelength at an end of the line minus that in its middle, as far as both ends differ, nm.
    pub tilt_nm: Option<Value>,
    /// Error of the dispersion, as a share: how much faster wavelengths rise over the bands. `None` with features at one place.
    pub dispersion: Option<Value>,
    /// Mean wavelength of the features, at which the dispersion has no part in the shift, nm.
    pub middle_nm: f64,
}

/// A wavelength axis that cannot be measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AxisError {
    /// The camera sees none of the features' wavelengths.
    #[error("it sees {:.0} to {:.0} nm, and no feature of the file lies within that with its window; give a file with features there", seen.0, seen.1)]
    OutOfRange {
        /// Range of the camera, nm.
        seen: (f64, f64),
    },
    /// Too few features were found.
    #[error("{found} features were found, at least {wanted} are needed (`least` of the features file):{}", list(lost))]
    Few {
        /// Number of features that were found.
        found: usize,
        /// Number of features needed.
        wanted: usize,
        /// The features that were not, with their true wavelength in nm.
        lost: Vec<(f64, Lost)>,
    },
    /// The camera's bands are narrower than the certificate's.
    #[error(
        "the certified spectrum was measured with bands of {laboratory_nm:.1} nm, and those of the camera at {at_nm:.0} nm have {camera_nm:.1} nm; give a spectrum of narrower bands, or the features by `nm` alone"
    )]
    Finer {
        /// The wavelength, nm.
        at_nm: f64,
        /// Width of the laboratory's bands, nm.
        laboratory_nm: f64,
        /// Width of the camera's band, nm.
        camera_nm: f64,
    },
    /// The certified spectrum has gaps.
    #[error("the certified spectrum has too few points around {at_nm:.0} nm; give one with a point every nanometre or two")]
    Gaps {
        /// The wavelength, nm.
        at_nm: f64,
    },
    /// No mean spectrum was given.
    #[error("no pixel of the line shows it; check the place and the light")]
    Nothing,
}

fn list(lost: &[(f64, Lost)]) -> String {
    lost.iter().map(|(nm, lost)| format!("\n  {nm:.1} nm: {lost}")).collect()
}

/// Least number of columns for a smile, and least reach of their places to either side of the middle.
const COLUMNS_OF_SMILE: usize = 5;
const REACH_OF_SMILE: f64 = 0.5;
/// A feature that differs from the others by more than this many uncertainties does not agree, and by at least this much, nm.
const DISAGREES: f64 = 4.0;
const LEAST_DISAGREEMENT_NM: f64 = 0.1;
/// Distances of features below this give no dispersion, as a share of the camera's range.
const SPREAD_OF_DISPERSION: f64 = 0.15;

impl Axis {
    /// Measures the axis of a camera by `features` in the mean spectra `columns` of its line, up to `limit_nm` off.
    ///
    /// # Errors
    /// The camera's range holds no feature, too few features are found, or the certified spectrum is too coarse.
    pub fn measure(columns: &[Column], bands: CameraBands<'_>, features: &Features, limit_nm: f64) -> Result<Self, AxisError> {
        let (Some(first), Some(last)) = (bands.nm.first(), bands.nm.last()) else { return Err(AxisError::Nothing) };
        if columns.is_empty() {
            return Err(AxisError::Nothing);
        }
        let (mut seen, mut lost) = (Vec::new(), Vec::new());
        for feature in &features.all {
            let shape = features.spectrum.as_ref().filter(|_| covers(bands.nm, feature));
            let shape = shape.map(|certified| through_bands(certified, bands, feature, limit_nm)).transpose()?;
            match of_feature(columns, bands, feature, shape.as_ref(), limit_nm) {
                Ok(found) => seen.push(found),
                Err(reason) => lost.push((feature.nm, reason)),
            }
        }
        if lost.len() == features.all.len() && lost.iter().all(|(_, lost)| *lost == Lost::Outside) {
            return Err(AxisError::OutOfRange { seen: (*first, *last) });
        }
        if seen.len() < features.least {
            return Err(AxisError::Few { found: seen.len(), wanted: features.least, lost });
        }
        agree(&mut seen);
        let agreeing = || seen.iter().filter(|feature| feature.agrees);
        let differences: Vec<Value> = agreeing().map(|feature| feature.difference_nm).collect();
        let means: Vec<Value> = agreeing().map(|feature| feature.mean_nm).collect();
        let Some((shift_nm, mean_nm)) = mean(&differences).zip(mean(&means)) else { return Err(AxisError::Nothing) };
        let of_line = |at: usize| mean(&agreeing().filter_map(|feature| Some(feature.across?[at])).collect::<Vec<_>>());
        let weight = |feature: &SeenFeature| feature.difference_nm.uncertainty.max(LEAST_NM).powi(-2);
        let sum: f64 = agreeing().map(weight).sum();
        let middle_nm = agreeing().map(|feature| weight(feature) * feature.nm).sum::<f64>() / sum;
        let dispersion = dispersion(&agreeing().collect::<Vec<_>>(), middle_nm, last - first);
        let (smile_nm, tilt_nm) = (of_line(0), of_line(1));
        Ok(Self { shift_nm, mean_nm, smile_nm, tilt_nm, dispersion, middle_nm, features: seen, lost })
    }

    /// What a constant shift leaves at the ends of the bands `nm` by the error of the dispersion, nm: at the end where it is larger.
    pub fn left_by_dispersion_nm(&self, nm: &[f64]) -> Option<Value> {
        let dispersion = self.dispersion?;
        let farthest = nm.iter().map(|nm| nm - self.middle_nm).max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        Some(Value { value: dispersion.value * farthest, uncertainty: dispersion.uncertainty * farthest.abs() })
    }

    /// Root mean square of the differences in the middle and at the ends of the line that a shift and a smile leave, nm.
    pub fn left_nm(&self, shift_nm: f64, smile_nm: f64) -> f64 {
        let squares = self.features.iter().filter(|feature| feature.agrees).flat_map(|feature| {
            let middle = feature.difference_nm.value - shift_nm;
            let ends = feature.across.map(|[smile, tilt]| [1.0, -1.0].map(|side| middle + smile.value - smile_nm + side * tilt.value));
            std::iter::once(middle).chain(ends.into_iter().flatten()).map(|left| left * left)
        });
        let (sum, n) = squares.fold((0.0, 0.0), |(sum, n), square| (sum + square, n + 1.0));
        (sum / f64::max(n, 1.0)).sqrt()
    }

    /// The figures of a check: with the mean shift over the line, which noise moves least.
    pub fn check(&self) -> WavelengthCheck {
        WavelengthCheck {
            shift_nm: self.mean_nm.value,
            shift_uncertainty_nm: self.mean_nm.uncertainty,
            smile_nm: self.smile_nm.map(|smile| smile.value),
            smile_uncertainty_nm: self.smile_nm.map(|smile| smile.uncertainty),
            features_nm: self.features.iter().filter(|feature| feature.agrees).map(|feature| feature.nm).collect(),
        }
    }
}

/// Least uncertainty that counts, nm: a noiseless fit has none.
const LEAST_NM: f64 = 1e-4;

fn covers(nm: &[f64], feature: &Feature) -> bool {
    nm.first().is_some_and(|first| *first <= feature.nm - feature.window_nm)
        && nm.last().is_some_and(|last| *last >= feature.nm + feature.window_nm)
}

/// The certified spectrum around a feature, as bands of the camera's widths see it.
fn through_bands(certified: &Certified, bands: CameraBands<'_>, feature: &Feature, limit_nm: f64) -> Result<Shape, AxisError> {
    let spacing = |at: usize| bands.nm.get(at + 1).map_or(f64::NAN, |next| next - bands.nm[at]);
    let near = bands.nm.partition_point(|nm| *nm < feature.nm).min(bands.nm.len().saturating_sub(2));
    let width = bands
        .fwhm_nm
        .and_then(|fwhm| fwhm.get(near))
        .copied()
        .filter(|fwhm| fwhm.is_finite() && *fwhm > 0.0)
        .unwrap_or_else(|| spacing(near));
    let step_nm = width / STEPS_OF_WIDTH;
    let margin_nm = feature.window_nm + 1.5 * limit_nm + 3.0 * step_nm;
    // The certificate reaches over the window. Beyond its ends, its value stays.
    let ends = (certified.nm.first().copied().unwrap_or(0.0), certified.nm.last().copied().unwrap_or(0.0));
    let from_nm = feature.nm - margin_nm;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a window is a few hundred nanometres wide")]
    let count = (2.0 * margin_nm / step_nm).ceil() as usize + 1;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand steps")]
    let centres: Vec<f64> = (0..count).map(|i| (from_nm + step_nm * i as f64).clamp(ends.0, ends.1)).collect();
    let measured = BandSet { centres_nm: &certified.nm, fwhm_nm: certified.fwhm_nm.as_deref() };
    let widths = vec![width; count];
    let matrix =
        BandMatrix::new(measured, BandSet { centres_nm: &centres, fwhm_nm: Some(&widths) }, None).map_err(|error| match error {
            Unmeasured::Finer { wanted_nm, fwhm_nm, measured_nm } => {
                AxisError::Finer { at_nm: wanted_nm, laboratory_nm: measured_nm, camera_nm: fwhm_nm }
            }
            Unmeasured::Between { .. } | Unmeasured::Outside => AxisError::Gaps { at_nm: feature.nm },
        })?;
    let mut values = vec![0.0; count];
    matrix.apply(&certified.values, &mut values);
    Ok(Shape { from_nm, step_nm, values: values.into_iter().map(f64::from).collect() })
}

/// Steps of a certified shape over the width of a band.
const STEPS_OF_WIDTH: f64 = 8.0;

/// One feature in all columns.
fn of_feature(
    columns: &[Column],
    bands: CameraBands<'_>,
    feature: &Feature,
    shape: Option<&Shape>,
    limit_nm: f64,
) -> Result<SeenFeature, Lost> {
    let mut found: Vec<(&Column, Found)> = Vec::new();
    let mut reasons = Vec::new();
    for column in columns {
        let nm: Vec<f64> = bands.nm.iter().map(|nm| nm + bands.smile_nm * column.square).collect();
        match find(feature, shape, &nm, &column.values, limit_nm) {
            Ok(seen) => found.push((column, seen)),
            Err(reason) => reasons.push(reason),
        }
    }
    // A feature that half of the line does not show is not there.
    if let Some(reason) = reasons.first().filter(|_| 2 * found.len() <= columns.len()) {
        return Err(reasons.iter().find(|reason| matches!(reason, Lost::Weak { .. } | Lost::Beyond { .. })).unwrap_or(reason).to_owned());
    }
    let reaches = |side: f64| found.iter().any(|(column, _)| side * column.place >= REACH_OF_SMILE);
    let whole = found.len() >= COLUMNS_OF_SMILE && reaches(1.0) && reaches(-1.0);
    let fitted = robust(&found, whole).or_else(|| robust(&found, false)).ok_or(Lost::NoFit)?;
    #[expect(clippy::cast_precision_loss, reason = "a line has few columns")]
    let depth = found.iter().map(|(_, seen)| seen.depth).sum::<f64>() / found.len() as f64;
    // The mean spectrum has less noise than any column.
    let line = mean_column(columns);
    let nm: Vec<f64> = bands.nm.iter().map(|nm| nm + bands.smile_nm * line.square).collect();
    let of_line = find(feature, shape, &nm, &line.values, limit_nm)?;
    let mean_nm = Value { value: of_line.difference_nm, uncertainty: of_line.error_nm.hypot(feature.tolerance_nm) };
    let scatter_nm = fitted[0].uncertainty;
    let difference_nm = Value { value: fitted[0].value, uncertainty: scatter_nm.hypot(feature.tolerance_nm) };
    let across = fitted.get(1).zip(fitted.get(2)).map(|(smile, tilt)| [*smile, *tilt]);
    Ok(SeenFeature { nm: feature.nm, difference_nm, mean_nm, scatter_nm, depth, columns: found.len(), agrees: true, across })
}

/// The mean of all columns.
fn mean_column(columns: &[Column]) -> Column {
    #[expect(clippy::cast_precision_loss, reason = "a line has few columns")]
    let n = columns.len() as f64;
    let mean = |of: &dyn Fn(&Column) -> f64| columns.iter().map(of).sum::<f64>() / n;
    let bands = columns.first().map_or(0, |column| column.values.len());
    let values = (0..bands).map(|band| mean(&|column| column.values[band])).collect();
    Column { place: mean(&|column| column.place), square: mean(&|column| column.square), values }
}

/// The differences of a feature over the line: in the middle, and with `whole` the smile and the tilt. Columns that lie far off count less
/// (Huber's weights).
fn robust(found: &[(&Column, Found)], whole: bool) -> Option<Vec<Value>> {
    let row = |column: &Column| if whole { vec![1.0, column.square, column.place] } else { vec![1.0] };
    let rows: Vec<Vec<f64>> = found.iter().map(|(column, _)| row(column)).collect();
    let values: Vec<f64> = found.iter().map(|(_, seen)| seen.difference_nm).collect();
    let errors: Vec<f64> = found.iter().map(|(_, seen)| seen.error_nm.max(LEAST_NM)).collect();
    let mut weights: Vec<f64> = errors.iter().map(|error| error.powi(-2)).collect();
    let mut solved = least_squares::fit(&rows, &values, &weights, 0.0)?;
    let mut scale = 1.0;
    for _ in 0..ROUNDS {
        let residual =
            |parameters: &[f64], at: usize| (values[at] - rows[at].iter().zip(parameters).map(|(x, p)| x * p).sum::<f64>()) / errors[at];
        let mut sizes: Vec<f64> = (0..values.len()).map(|at| residual(&solved.parameters, at).abs()).collect();
        sizes.sort_by(f64::total_cmp);
        // The errors of the columns are those of their fits. Where they scatter more, their scatter counts.
        scale = (MAD_SIGMAS * sizes[sizes.len() / 2]).max(1.0);
        for at in 0..values.len() {
            let off = residual(&solved.parameters, at).abs() / scale;
            weights[at] = errors[at].powi(-2) * (HUBER / off.max(HUBER));
        }
        solved = least_squares::fit(&rows, &values, &weights, 0.0)?;
    }
    let value = |at: usize| Value { value: solved.parameters[at], uncertainty: scale * solved.inverse[at][at].max(0.0).sqrt() };
    Some((0..solved.parameters.len()).map(value).collect())
}

/// Rounds of a robust fit.
const ROUNDS: usize = 5;
/// Huber's bound, in standard errors.
const HUBER: f64 = 1.5;
/// Standard deviation of a normal distribution by its median absolute deviation.
const MAD_SIGMAS: f64 = 1.4826;

/// Marks features that do not agree with the median of all. Two features cannot tell which of them is wrong.
fn agree(seen: &mut [SeenFeature]) {
    if seen.len() < 3 {
        return;
    }
    let mut all: Vec<f64> = seen.iter().map(|feature| feature.difference_nm.value).collect();
    all.sort_by(f64::total_cmp);
    let median = f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]);
    let mut off: Vec<f64> = all.iter().map(|value| (value - median).abs()).collect();
    off.sort_by(f64::total_cmp);
    let scatter = MAD_SIGMAS * off[off.len() / 2];
    for feature in seen {
        let most = (DISAGREES * feature.difference_nm.uncertainty.max(scatter)).max(LEAST_DISAGREEMENT_NM);
        feature.agrees = (feature.difference_nm.value - median).abs() <= most;
    }
}

/// The weighted mean, with an uncertainty that counts the scatter where it is larger (Birge).
fn mean(values: &[Value]) -> Option<Value> {
    let weight = |value: &Value| value.uncertainty.max(LEAST_NM).powi(-2);
    let sum: f64 = values.iter().map(weight).sum();
    if values.is_empty() || !(sum > 0.0 && sum.is_finite()) {
        return None;
    }
    let mean = values.iter().map(|value| weight(value) * value.value).sum::<f64>() / sum;
    let squares: f64 = values.iter().map(|value| weight(value) * (value.value - mean).powi(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a file has few features")]
    let scale = if values.len() > 1 { (squares / (values.len() - 1) as f64).max(1.0).sqrt() } else { 1.0 };
    Some(Value { value: mean, uncertainty: scale / sum.sqrt() })
}

/// The slope of the differences over the wavelength.
fn dispersion(features: &[&SeenFeature], middle_nm: f64, range_nm: f64) -> Option<Value> {
    let (low, high) =
        features.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), feature| (low.min(feature.nm), high.max(feature.nm)));
    if high - low < SPREAD_OF_DISPERSION * range_nm {
        return None;
    }
    let rows: Vec<Vec<f64>> = features.iter().map(|feature| vec![1.0, feature.nm - middle_nm]).collect();
    let values: Vec<f64> = features.iter().map(|feature| feature.difference_nm.value).collect();
    let weights: Vec<f64> = features.iter().map(|feature| feature.difference_nm.uncertainty.max(LEAST_NM).powi(-2)).collect();
    let solved = least_squares::fit(&rows, &values, &weights, 0.0)?;
    let residuals = rows
        .iter()
        .zip(&values)
        .zip(&weights)
        .map(|((row, value), weight)| weight * (value - row[0] * solved.parameters[0] - row[1] * solved.parameters[1]).powi(2));
    let squares: f64 = residuals.sum();
    #[expect(clippy::cast_precision_loss, reason = "a file has few features")]
    let scale = if values.len() > 2 { (squares / (values.len() - 2) as f64).max(1.0).sqrt() } else { 1.0 };
    Some(Value { value: solved.parameters[1], uncertainty: scale * solved.inverse[1][1].max(0.0).sqrt() })
}
