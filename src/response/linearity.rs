//! The linearity of a detector, from white references of one panel at several exposures.
//!
//! The light of an element is proportional to the exposure. So the true signal of element e at exposure T is a T, with a factor a of its
//! own. The measured signal s fulfils s (1 + c1 x + c2 x² + c3 x³) = a T, where x is the share of the saturation level. The coefficients
//! are common to all elements, and follow by least squares, each point weighted by its photon noise.
//!
//! A higher order always fits better. The order counts that best predicts exposures that were left out of its fit.

use super::exposures::Series;
use crate::config::{CorrectionConfig, LINEARITY, Loaded};
use crate::least_squares;
use crate::measure::{WriteError, write_cameras, write_correction};
use crate::reference::{PhotonTransfer, Reference, median, variance_in_dark};

/// Least number of exposures.
pub const LEAST_EXPOSURES: usize = 4;
/// Least ratio of the longest to the shortest exposure.
pub const LEAST_SPREAD: f64 = 4.0;
/// Largest change of the light over a series, as a share, by exposures that were repeated.
pub const MOST_DRIFT: f64 = 0.02;
/// Exposures that differ by less than this share are one exposure that was repeated.
const SAME_EXPOSURE: f64 = 1e-3;
/// Least share of the saturation level that the brightest elements must reach.
const LEAST_REACH: f64 = 0.3;
/// Least share of elements that must be usable.
const LEAST_USABLE: f64 = 0.01;
/// Least signal of an element over its standard uncertainty, at its longest exposure.
const LEAST_SNR: f64 = 50.0;
/// Least ratio of the longest to the shortest exposure at which an element is not saturated.
const LEAST_OWN_SPREAD: f64 = 2.0;
/// Relative uncertainty of the light at one exposure. Without it, bright elements alone would count.
const LIGHT: f64 = 2e-4;
/// Elements whose residuals exceed the typical one by this many robust standard deviations are left out.
const OUTLIER_SIGMAS: f32 = 6.0;
/// Ranges of the signal, over which residuals are averaged.
const LEVELS: usize = 10;
/// Least number of elements whose mean residual counts.
const LEAST_IN_CELL: f64 = 30.0;
/// A higher order must predict better by this factor, and by this share of the full scale.
const BETTER: (f64, f64) = (1.1, 1e-5);
/// Most elements by which the order is chosen.
const MOST_FOR_ORDER: usize = 20_000;
/// Decimals of a coefficient.
const DECIMALS: f64 = 1e6;

/// The signal of the panel at one exposure.
#[derive(Debug, Clone)]
pub struct Step {
    /// Exposure, µs.
    pub exposure_us: f64,
    /// Time of the first frame, ns since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// Signal above dark, counts, `[band][pixel]`. NaN where the element was saturated or has no value.
    signal: Vec<f32>,
    /// Variance of the signal, counts², `[band][pixel]`.
    variance: Vec<f32>,
}

impl Step {
    /// The signal of a white reference over a dark one of the same exposure. Elements are saturated at `full` counts.
    #[expect(clippy::cast_possible_truncation, reason = "counts need no more than f32")]
    pub fn new(white: &Reference, dark: &Reference, full: f64) -> Self {
        let clear = |at: usize| f64::from(white.peak[at]) < full && f64::from(dark.peak[at]) < full;
        let gain = PhotonTransfer::of(dark, white, clear).map(|noise| noise.gain);
        let [frames, dark_frames] = [white, dark].map(|reference| f64::from(reference.frames));
        let (mut signal, mut variance) = (Vec::with_capacity(white.mean.len()), Vec::with_capacity(white.mean.len()));
        for at in 0..white.mean.len() {
            let level = f64::from(white.mean[at]) - f64::from(dark.mean[at]);
            let black = variance_in_dark(f64::from(dark.sd[at]));
            let bright = gain.map_or_else(|| variance_in_dark(f64::from(white.sd[at])), |gain| gain * level.max(0.0) + black);
            signal.push(if clear(at) { level as f32 } else { f32::NAN });
            variance.push((bright / frames + black / dark_frames) as f32);
        }
        Self { exposure_us: white.exposure.exposure_us, taken_ns: white.taken_ns, signal, variance }
    }
}

/// The linearity of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Linearity {
    /// The camera's configured name.
    pub camera: String,
    /// The coefficients for `camera.correction.linearity`; `[0.0]` where the response is straight.
    pub coefficients: Vec<f64>,
    /// The configured coefficients.
    pub configured: Vec<f64>,
    /// Number of exposures.
    pub exposures: usize,
    /// Shortest and longest exposure, µs.
    pub range_us: (f64, f64),
    /// Number of elements that were used, and of all.
    pub elements: (usize, usize),
    /// Largest signal that was used, as a share of the saturation level.
    pub reach: f64,
    /// Residual of a straight line, as shares of the full scale: root mean square, and the largest.
    pub before: (f64, f64),
    /// Residual of the curve, as shares of the full scale: root mean square, and the largest.
    pub after: (f64, f64),
    /// Largest change of the light over the series, as a share. `None` where no exposure was repeated.
    pub drift: Option<f64>,
}

/// A series that gives no linearity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Too few exposures.
    #[error(
        "{camera} has white references at {found} exposures, at least {LEAST_EXPOSURES} are needed; better are 8 to 12, from a tenth to all of the full scale"
    )]
    Few {
        /// The camera's configured name.
        camera: String,
        /// Number of exposures.
        found: usize,
    },
    /// The exposures lie too close together.
    #[error("{camera}: the exposures reach from {:.0} to {:.0} µs; the longest must be at least {LEAST_SPREAD} times the shortest", range_us.0, range_us.1)]
    Spread {
        /// The camera's configured name.
        camera: String,
        /// Shortest and longest exposure, µs.
        range_us: (f64, f64),
    },
    /// No element can be used.
    #[error(
        "{camera}: of {all} elements only {found} have enough light and are not saturated at three exposures at least; {saturated:.0} % of all values are saturated; take shorter exposures, or more light where none are"
    )]
    Elements {
        /// The camera's configured name.
        camera: String,
        /// Number of all elements.
        all: usize,
        /// Number of usable elements.
        found: usize,
        /// Share of saturated values, %.
        saturated: f64,
    },
    /// The signals are all low.
    #[error(
        "{camera}: the brightest elements reach {:.0} % of the full scale, at least {:.0} % are needed; expose longer, up to the full scale",
        100.0 * reach, 100.0 * LEAST_REACH
    )]
    Dim {
        /// The camera's configured name.
        camera: String,
        /// Largest signal, as a share of the saturation level.
        reach: f64,
    },
    /// The light changed.
    #[error(
        "{camera}: the panel's light at {exposure_us:.0} µs changed by {:.2} % over the series, at most {:.0} %; let the lamps warm up, and keep the panel in its place",
        100.0 * drift, 100.0 * MOST_DRIFT
    )]
    Drift {
        /// The camera's configured name.
        camera: String,
        /// The repeated exposure, µs.
        exposure_us: f64,
        /// Largest change, as a share.
        drift: f64,
    },
    /// The curve is none that the configuration accepts.
    #[error(
        "{camera}: the fit gives linearity = {coefficients:?}, and it {problem}; check that nothing but the exposure differed between the references, and camera.device.bits"
    )]
    Beyond {
        /// The camera's configured name.
        camera: String,
        /// The coefficients.
        coefficients: Vec<f64>,
        /// The problem.
        problem: String,
    },
}

/// Sums of squares and products of an element, without its own factor.
type Sums = [[f64; LINEARITY + 1]; LINEARITY + 1];

/// A series, prepared for fits.
struct Points<'a> {
    steps: &'a [Step],
    /// Exposure times light of each step.
    light: Vec<f64>,
    /// Number of the exposure of each step.
    exposure: Vec<usize>,
    full: f64,
}

/// Fits the linearity of a camera to a series.
///
/// # Errors
/// [`FitError`] where the exposures are too few or too close, the light changed, or the curve is beyond the limits.
pub fn fit(series: &Series) -> Result<Linearity, FitError> {
    let (camera, full) = (|| series.camera.clone(), series.full);
    let steps = &series.steps;
    let (exposure, distinct) = numbered(steps.iter().map(|step| step.exposure_us));
    let range_us = (distinct.first().copied().unwrap_or_default(), distinct.last().copied().unwrap_or_default());
    check_range(&series.camera, steps.iter().map(|step| step.exposure_us))?;
    let all = steps[0].signal.len();
    let (light, drift) = light(steps, &exposure);
    let mut points = Points { steps, light: Vec::new(), exposure, full };
    points.light = steps.iter().zip(&light).map(|(step, light)| step.exposure_us / range_us.1 * light).collect();
    let mut elements: Vec<usize> = (0..all).filter(|at| points.usable(*at)).collect();
    let enough = |elements: &[usize]| !elements.is_empty() && share(elements.len(), all) >= LEAST_USABLE;
    if !enough(&elements) {
        let values = steps.iter().flat_map(|step| &step.signal);
        let saturated = 100.0 * share(values.filter(|signal| signal.is_nan()).count(), all * steps.len());
        return Err(FitError::Elements { camera: camera(), all, found: elements.len(), saturated });
    }
    if let Some((exposure_us, drift)) = drift.filter(|(_, drift)| *drift > MOST_DRIFT) {
        return Err(FitError::Drift { camera: camera(), exposure_us, drift });
    }
    let reach = points.reach(&elements);
    if reach < LEAST_REACH {
        return Err(FitError::Dim { camera: camera(), reach });
    }
    let most = LINEARITY.min(distinct.len() - 2);
    for _ in 0..2 {
        let curve = points.curve(&elements, most, None);
        points.drop_outliers(&mut elements, &curve);
    }
    // The order needs no more than some elements of every part of the detector.
    let some: Vec<usize> = elements.iter().copied().step_by(elements.len().div_ceil(MOST_FOR_ORDER).max(1)).collect();
    let order = points.order(&some, most, distinct.len());
    let rounded = |c: &f64| (c * DECIMALS).round() / DECIMALS;
    let mut coefficients: Vec<f64> = points.curve(&elements, order, None).iter().take(order).map(rounded).collect();
    if coefficients.is_empty() {
        coefficients.push(0.0);
    }
    let correction = CorrectionConfig { linearity: coefficients.clone(), ..CorrectionConfig::default() };
    if let Some(problem) = correction.linearity_fault() {
        return Err(FitError::Beyond { camera: camera(), coefficients, problem });
    }
    let mut curve = [0.0; LINEARITY];
    curve.iter_mut().zip(&coefficients).for_each(|(to, from)| *to = *from);
    Ok(Linearity {
        camera: camera(),
        coefficients,
        configured: series.configured.linearity.clone(),
        exposures: distinct.len(),
        range_us,
        elements: (elements.len(), all),
        reach,
        before: points.residual(&elements, &[0.0; LINEARITY], None),
        after: points.residual(&elements, &curve, None),
        drift: drift.map(|(_, drift)| drift),
    })
}

/// Checks that exposures, µs, are enough and far enough apart.
///
/// # Errors
/// [`FitError::Few`] and [`FitError::Spread`].
pub(super) fn check_range(camera: &str, exposures_us: impl Iterator<Item = f64> + Clone) -> Result<(), FitError> {
    let (_, distinct) = numbered(exposures_us);
    let range_us = (distinct.first().copied().unwrap_or_default(), distinct.last().copied().unwrap_or_default());
    if distinct.len() < LEAST_EXPOSURES {
        return Err(FitError::Few { camera: camera.to_owned(), found: distinct.len() });
    }
    if range_us.1 / range_us.0 < LEAST_SPREAD * (1.0 - SAME_EXPOSURE) {
        return Err(FitError::Spread { camera: camera.to_owned(), range_us });
    }
    Ok(())
}

/// The number of each exposure, and the exposures in ascending order without repeats, µs.
fn numbered(exposures_us: impl Iterator<Item = f64> + Clone) -> (Vec<usize>, Vec<f64>) {
    let mut sorted: Vec<f64> = exposures_us.clone().collect();
    sorted.sort_by(f64::total_cmp);
    let mut distinct: Vec<f64> = Vec::new();
    for exposure_us in sorted {
        if distinct.last().is_none_or(|last| exposure_us / last - 1.0 > SAME_EXPOSURE) {
            distinct.push(exposure_us);
        }
    }
    let of = |exposure_us: f64| distinct.partition_point(|first| *first <= exposure_us).saturating_sub(1);
    (exposures_us.map(of).collect(), distinct)
}

/// The light of each step, as a share of that of the first one. With the exposure that was repeated most, µs, and the largest change.
/// Between its repeats the light is interpolated in time, and without repeats it is constant.
#[expect(clippy::cast_precision_loss, reason = "differences of times in a series")]
fn light(steps: &[Step], exposure: &[usize]) -> (Vec<f64>, Option<(f64, f64)>) {
    let steady = || (vec![1.0; steps.len()], None);
    let count = |number: &usize| exposure.iter().filter(|other| *other == number).count();
    let Some(repeated) = exposure.iter().copied().max_by_key(|number| (count(number), *number)) else { return steady() };
    let mut members: Vec<usize> = (0..steps.len()).filter(|i| exposure[*i] == repeated).collect();
    if members.len() < 2 {
        return steady();
    }
    members.sort_by_key(|i| steps[*i].taken_ns);
    let mut sums = vec![0.0; members.len()];
    for at in 0..steps[0].signal.len() {
        if members.iter().all(|i| steps[*i].signal[at].is_finite()) {
            sums.iter_mut().zip(&members).for_each(|(sum, i)| *sum += f64::from(steps[*i].signal[at]));
        }
    }
    if sums[0] <= 0.0 {
        return steady();
    }
    let repeats: Vec<(i64, f64)> = members.iter().zip(&sums).map(|(i, sum)| (steps[*i].taken_ns, sum / sums[0])).collect();
    let at = |time_ns: i64| {
        let after = repeats.partition_point(|(time, _)| *time <= time_ns);
        let (Some(before), Some(after)) = (after.checked_sub(1).map(|i| repeats[i]), repeats.get(after)) else {
            return if after == 0 { repeats[0].1 } else { repeats[repeats.len() - 1].1 };
        };
        let way = time_ns.saturating_sub(before.0) as f64 / after.0.saturating_sub(before.0) as f64;
        before.1 + way * (after.1 - before.1)
    };
    let (low, high) = repeats.iter().fold((1.0, 1.0), |(low, high), (_, level)| (f64::min(low, *level), f64::max(high, *level)));
    (steps.iter().map(|step| at(step.taken_ns)).collect(), Some((steps[members[0]].exposure_us, high - low)))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of elements")]
fn share(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}

impl Points<'_> {
    /// Signal, weight and light of an element at every step at which it has a signal.
    fn of(&self, at: usize) -> impl Iterator<Item = (usize, f64, f64, f64)> + '_ {
        self.steps.iter().zip(&self.light).enumerate().filter_map(move |(i, (step, light))| {
            let (signal, variance) = (f64::from(step.signal[at]), f64::from(step.variance[at]));
            let weight = 1.0 / (variance + (LIGHT * signal).powi(2));
            (signal.is_finite() && weight.is_finite()).then_some((i, signal, weight, *light))
        })
    }

    /// Whether an element has enough light, and enough exposures at which it is not saturated.
    fn usable(&self, at: usize) -> bool {
        let (mut first, mut last, mut best, mut seen) = (f64::INFINITY, 0.0_f64, 0.0_f64, 0_u64);
        for (i, signal, weight, _) in self.of(at) {
            first = first.min(self.steps[i].exposure_us);
            last = last.max(self.steps[i].exposure_us);
            best = best.max(signal * signal * weight);
            seen |= 1 << self.exposure[i].min(63);
        }
        // The uncertainty of the light bounds the ratio.
        let least = 1.0 / (LEAST_SNR.powi(-2) + LIGHT * LIGHT);
        seen.count_ones() >= 3 && last >= LEAST_OWN_SPREAD * first && best >= least
    }

    /// The signal that one element in a thousand exceeds, as a share of the saturation level.
    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
    fn reach(&self, elements: &[usize]) -> f64 {
        let most = |at: &usize| (self.of(*at).map(|(_, signal, ..)| signal).fold(0.0, f64::max) / self.full) as f32;
        let mut all: Vec<f32> = elements.iter().map(most).collect();
        let place = all.len() - 1 - all.len() / 1000;
        f64::from(*all.select_nth_unstable_by(place, f32::total_cmp).1)
    }

    /// The coefficients of the curve of an order, without the exposure `without`.
    fn curve(&self, elements: &[usize], order: usize, without: Option<usize>) -> [f64; LINEARITY] {
        let mut total: Sums = Default::default();
        for at in elements {
            let (mut products, mut with_light, mut lights) = (Sums::default(), [0.0; LINEARITY + 1], 0.0);
            for (_, signal, weight, light) in self.of(*at).filter(|(i, ..)| without != Some(self.exposure[*i])) {
                let x = signal / self.full;
                let powers = [x, x * x, x * x * x, x * x * x * x];
                for (row, a) in powers.iter().enumerate() {
                    with_light[row] += weight * light * a;
                    for (column, b) in powers.iter().enumerate().skip(row) {
                        products[row][column] += weight * a * b;
                    }
                }
                lights += weight * light * light;
            }
            if lights > 0.0 {
                for row in 0..=LINEARITY {
                    for column in row..=LINEARITY {
                        total[row][column] += products[row][column] - with_light[row] * with_light[column] / lights;
                    }
                }
            }
        }
        solved(&total, order)
    }

    /// The order whose curve best predicts exposures that it was not fitted to. The shortest and the longest one stay: beyond the others
    /// no curve holds.
    fn order(&self, elements: &[usize], most: usize, distinct: usize) -> usize {
        let score = |order: usize| {
            let squares = (1..distinct - 1).map(|left_out| {
                let curve = self.curve(elements, order, Some(left_out));
                self.residual(elements, &curve, Some(left_out)).0.powi(2)
            });
            squares.sum::<f64>().sqrt() / share(distinct - 2, 1).sqrt()
        };
        let scores: Vec<f64> = (0..=most).map(score).collect();
        let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
        scores.iter().position(|score| *score <= BETTER.0 * best + BETTER.1).unwrap_or(0)
    }

    /// Residual of a curve, as shares of the full scale: root mean square and largest, over means of elements with a like signal at one
    /// exposure. With `only`, that exposure alone counts, and the others give the factors of the elements.
    fn residual(&self, elements: &[usize], curve: &[f64; LINEARITY], only: Option<usize>) -> (f64, f64) {
        let mut cells = vec![[(0.0, 0.0); LEVELS]; self.steps.len()];
        for at in elements {
            let factor = self.factor(*at, curve, only);
            for (i, signal, _, light) in self.of(*at).filter(|(i, ..)| only.is_none_or(|only| only == self.exposure[*i])) {
                let residual = straight(curve, signal, self.full) - factor * light;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few levels")]
                let level = ((signal / self.full).clamp(0.0, 0.999) * 10.0) as usize;
                let cell = &mut cells[i][level];
                *cell = (cell.0 + residual / self.full, cell.1 + 1.0);
            }
        }
        let means = cells.iter().flatten().filter(|(_, n)| *n >= LEAST_IN_CELL).map(|(sum, n)| sum / n);
        let (n, squares, most) = means
            .filter(|mean| mean.is_finite())
            .fold((0.0, 0.0, 0.0), |(n, squares, most), mean| (n + 1.0, squares + mean * mean, f64::max(most, mean.abs())));
        ((squares / f64::max(n, 1.0)).sqrt(), most)
    }

    /// The factor of an element: its straightened signal over the light, by all exposures but `without`.
    fn factor(&self, at: usize, curve: &[f64; LINEARITY], without: Option<usize>) -> f64 {
        let points = self.of(at).filter(|(i, ..)| without != Some(self.exposure[*i]));
        let (above, below) = points.fold((0.0, 0.0), |(above, below), (_, signal, weight, light)| {
            (above + weight * light * straight(curve, signal, self.full), below + weight * light * light)
        });
        above / below
    }

    /// Leaves out elements that deviate from the curve far more than others: restless ones, and such with a response of their own.
    #[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than f32")]
    fn drop_outliers(&self, elements: &mut Vec<usize>, curve: &[f64; LINEARITY]) {
        let deviation = |at: &usize| {
            let factor = self.factor(*at, curve, None);
            let squares = self.of(*at).map(|(_, signal, weight, light)| {
                let residual = straight(curve, signal, self.full) - factor * light;
                (weight * residual * residual, 1.0)
            });
            let (sum, n) = squares.fold((0.0, 0.0), |(sum, n), (square, one)| (sum + square, n + one));
            (sum / n) as f32
        };
        let all: Vec<f32> = elements.iter().map(deviation).collect();
        let typical = median(all.clone());
        let scatter = 1.4826 * median(all.iter().map(|one| (one - typical).abs()).collect());
        let mut kept = all.iter().map(|one| *one <= typical + OUTLIER_SIGMAS * scatter);
        elements.retain(|_| kept.next().unwrap_or(false));
    }
}

/// The true signal of a measured one, counts.
fn straight(curve: &[f64; LINEARITY], signal: f64, full: f64) -> f64 {
    let x = signal / full;
    signal * (1.0 + x * (curve[0] + x * (curve[1] + x * curve[2])))
}

/// The first `order` coefficients from the normal equations. The first row and column are those of the signal itself.
fn solved(sums: &Sums, order: usize) -> [f64; LINEARITY] {
    let of = |row: usize, column: usize| sums[(row + 1).min(column + 1)][(row + 1).max(column + 1)];
    let normal = (0..order).map(|row| (0..order).map(|column| of(row, column)).collect()).collect();
    let right: Vec<f64> = (0..order).map(|row| -sums[0][row + 1]).collect();
    let mut curve = [0.0; LINEARITY];
    match least_squares::solve(normal, &right, 0.0) {
        Some(solved) => curve.iter_mut().zip(solved.parameters).for_each(|(to, from)| *to = from),
        // Signals that do not determine the curve give none.
        None => curve[..order].fill(f64::NAN),
    }
    curve
}

/// Writes the linearity of cameras into the configuration file, and keeps its comments and order.
///
/// # Errors
/// The configuration has no `[[camera]]` tables, or its file cannot be written.
pub fn write_back(loaded: &Loaded, measured: &[Linearity]) -> Result<(), WriteError> {
    write_cameras(loaded, |name, camera| {
        let found = measured.iter().find(|linearity| linearity.camera == name);
        found
            .map_or(Ok(()), |found| write_correction(camera, "linearity", found.coefficients.iter().copied().collect::<toml_edit::Array>()))
    })
}
