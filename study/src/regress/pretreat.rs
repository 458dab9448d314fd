//! Pretreatments of spectra: band masks, standard normal variates or absorbance, and derivatives by Savitzky and Golay.
//!
//! After the first step every other is linear. So a linear model on pretreated spectra is one on all bands.

use super::config::RegressConfig;
use nalgebra::{DMatrix, DVector};

/// Degree of the polynomials of the derivatives.
const DEGREE: usize = 2;
/// Change of the distance between neighbouring bands at which a derivative starts anew.
const UNEVEN: f64 = 1.5;
/// Least spread of a spectrum in standard normal variates, reflectance.
pub(crate) const LEAST_SPREAD: f64 = 1e-6;

/// Least reflectance of an absorbance.
pub(crate) const LEAST_LIGHT: f64 = 1e-3;

/// The first step of a pretreatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Reflectance as it is.
    Reflectance,
    /// Standard normal variates: each spectrum less its mean, over its spread (Barnes, Dhanoa and Lister 1989).
    Variates,
    /// Absorbance, log10(1 / reflectance). Brightness becomes a constant, which derivatives drop.
    Absorbance,
}

/// A pretreatment of spectra.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretreatment {
    /// Name in the results, such as `snv sg1/15 dry`.
    pub name: String,
    /// The first step.
    pub start: Start,
    /// Whether features are divided by their spread over the training samples.
    pub scaled: bool,
    /// Kept bands, increasing.
    pub kept: Vec<usize>,
    /// Derivative `(features, kept bands)`. Without it, the kept bands are the features.
    pub operator: Option<DMatrix<f64>>,
    bands: usize,
}

impl Pretreatment {
    /// Features as they come, with or without scaling.
    pub fn plain(name: &str, features: usize, scaled: bool) -> Self {
        Self { name: name.to_owned(), start: Start::Reflectance, scaled, kept: (0..features).collect(), operator: None, bands: features }
    }

    /// A pretreatment of the kept bands: a first step, and a derivative of an order over a window. `None` where bands are too few.
    pub fn new(mask: &str, kept: &[usize], wavelengths_nm: &[f64], start: Start, derivative: Option<(usize, usize)>) -> Option<Self> {
        let mut parts = Vec::new();
        let mut operator = None;
        match start {
            Start::Reflectance => {}
            Start::Variates => parts.push("snv".to_owned()),
            Start::Absorbance => parts.push("log".to_owned()),
        }
        if let Some((order, window)) = derivative {
            parts.push(format!("sg{order}/{window}"));
            operator = Some(derivatives(kept, wavelengths_nm, order, window)?);
        }
        if !mask.is_empty() {
            parts.push(mask.to_owned());
        }
        let name = if parts.is_empty() { "none".to_owned() } else { parts.join(" ") };
        let enough = kept.len() > DEGREE;
        enough.then(|| Self { name, start, scaled: false, kept: kept.to_vec(), operator, bands: wavelengths_nm.len() })
    }

    /// Every pretreatment that is tried, the simple ones first.
    pub fn all(wavelengths_nm: &[f64], config: &RegressConfig) -> Vec<Self> {
        let whole: Vec<usize> = (0..wavelengths_nm.len()).collect();
        let mut masks = vec![(String::new(), whole.clone())];
        for mask in &config.mask {
            let dropped = |nm: f64| mask.drop_nm.iter().any(|[from, to]| (*from..=*to).contains(&nm));
            let kept: Vec<usize> = whole.iter().copied().filter(|band| !dropped(wavelengths_nm[*band])).collect();
            if kept.len() < whole.len() {
                masks.push((mask.name.clone(), kept));
            }
        }
        let mut steps = vec![(Start::Reflectance, None), (Start::Variates, None), (Start::Absorbance, None)];
        for window in &config.windows {
            steps.push((Start::Reflectance, Some((1, *window))));
            steps.extend([1, 2].map(|order| (Start::Variates, Some((order, *window)))));
            steps.extend([1, 2].map(|order| (Start::Absorbance, Some((order, *window)))));
        }
        let of = |(start, derivative): &(Start, Option<(usize, usize)>)| {
            masks.iter().filter_map(|(name, kept)| Self::new(name, kept, wavelengths_nm, *start, *derivative)).collect::<Vec<_>>()
        };
        steps.iter().flat_map(of).collect()
    }

    /// The kept bands of spectra `(samples, bands)` after the first step. Left out bands are 0.
    pub fn started(&self, spectra: &DMatrix<f64>) -> DMatrix<f64> {
        let mut started = DMatrix::zeros(spectra.nrows(), spectra.ncols());
        for row in 0..spectra.nrows() {
            let values = self.kept.iter().map(|band| spectra[(row, *band)]);
            let (mean, spread) = if self.start == Start::Variates { mean_and_spread(values) } else { (0.0, 1.0) };
            for band in &self.kept {
                let value = spectra[(row, *band)];
                started[(row, *band)] = match self.start {
                    Start::Absorbance => -value.max(LEAST_LIGHT).log10(),
                    _ => (value - mean) / spread,
                };
            }
        }
        started
    }

    /// The features `(samples, features)` of spectra `(samples, bands)`.
    pub fn features(&self, spectra: &DMatrix<f64>) -> DMatrix<f64> {
        let kept = self.started(spectra).select_columns(&self.kept);
        match &self.operator {
            Some(operator) => kept * operator.transpose(),
            None => kept,
        }
    }

    /// Weights `(bands, features)` that turn spectra after the first step into features.
    pub fn feature_weights(&self) -> DMatrix<f64> {
        let kept = self.kept.len();
        let operator = self.operator.clone().unwrap_or_else(|| DMatrix::identity(kept, kept));
        let mut all = DMatrix::zeros(self.bands, operator.nrows());
        for (column, band) in self.kept.iter().enumerate() {
            all.set_row(*band, &operator.column(column).transpose());
        }
        all
    }

    /// Weights of all bands that give what these weights of the features give.
    pub fn on_bands(&self, weights: &DVector<f64>) -> DVector<f64> {
        let kept = self.operator.as_ref().map_or_else(|| weights.clone(), |operator| operator.tr_mul(weights));
        let mut all = DVector::zeros(self.bands);
        self.kept.iter().zip(kept.iter()).for_each(|(band, weight)| all[*band] = *weight);
        all
    }
}

fn mean_and_spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let spread = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    (mean, spread.max(LEAST_SPREAD))
}

/// Weights of a window for the derivative of an order at a place, in steps from its middle (Savitzky and Golay 1964). The distance of
/// the samples is 1. Without an answer, the window is no longer than the polynomial's degree.
pub fn savitzky_golay(window: usize, degree: usize, order: usize, place: f64) -> Option<Vec<f64>> {
    if window <= degree || order > degree {
        return None;
    }
    // Places from -1 to 1 keep the equations well conditioned.
    let half = (window - 1) as f64 / 2.0;
    let powers = DMatrix::from_fn(window, degree + 1, |i, power| ((i as f64 - half) / half).powi(power as i32));
    let solution = (powers.transpose() * &powers).try_inverse()? * powers.transpose();
    let at = place / half;
    let derived = |power: usize| -> f64 {
        let factor: f64 = (power + 1 - order..=power).map(|k| k as f64).product();
        factor * at.powi((power - order) as i32) / half.powi(order as i32)
    };
    let weight = |i: usize| (order..=degree).map(|power| derived(power) * solution[(power, i)]).sum();
    Some((0..window).map(weight).collect())
}

/// The derivative of an order over the kept bands, per nm to that order, `(features, kept)`. It stays within runs of evenly spaced
/// bands. The first and last bands of a run are taken on the polynomial of its first and last window.
pub fn derivatives(kept: &[usize], wavelengths_nm: &[f64], order: usize, window: usize) -> Option<DMatrix<f64>> {
    let mut rows: Vec<(usize, Vec<f64>)> = Vec::new();
    for run in runs(kept, wavelengths_nm) {
        let length = run.len();
        let window = window.min(if length % 2 == 0 { length.saturating_sub(1) } else { length });
        if window <= DEGREE {
            continue;
        }
        let step_nm = (wavelengths_nm[kept[run.end - 1]] - wavelengths_nm[kept[run.start]]) / (length - 1) as f64;
        let half = window / 2;
        for i in 0..length {
            let from = i.saturating_sub(half).min(length - window);
            let place = i as f64 - (from + half) as f64;
            let mut weights = savitzky_golay(window, DEGREE, order, place)?;
            weights.iter_mut().for_each(|weight| *weight /= step_nm.powi(order as i32));
            rows.push((run.start + from, weights));
        }
    }
    let mut operator = DMatrix::zeros(rows.len(), kept.len());
    for (row, (from, weights)) in rows.iter().enumerate() {
        weights.iter().enumerate().for_each(|(i, weight)| operator[(row, from + i)] = *weight);
    }
    (!rows.is_empty()).then_some(operator)
}

/// Runs of the kept bands without a gap and with even distances, as ranges of `kept`.
fn runs(kept: &[usize], wavelengths_nm: &[f64]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut last_step: Option<f64> = None;
    for i in 1..kept.len() {
        let step = wavelengths_nm[kept[i]] - wavelengths_nm[kept[i - 1]];
        let even = last_step.is_none_or(|last| step < last * UNEVEN && last < step * UNEVEN);
        if kept[i] == kept[i - 1] + 1 && even {
            last_step = Some(step);
        } else {
            runs.push(start..i);
            start = i;
            last_step = None;
        }
    }
    runs.push(start..kept.len());
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_paper() {
        let near = |a: Vec<f64>, b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        // Tables I and III of Savitzky and Golay 1964.
        assert!(near(savitzky_golay(5, 2, 0, 0.0).unwrap(), &[-3.0, 12.0, 17.0, 12.0, -3.0].map(|w| w / 35.0)));
        assert!(near(savitzky_golay(5, 2, 1, 0.0).unwrap(), &[-0.2, -0.1, 0.0, 0.1, 0.2]));
        assert!(savitzky_golay(3, 4, 1, 0.0).is_none());
    }

    #[test]
    fn derivatives_do_not_cross_gaps_and_joints() {
        // 10 bands 2 nm apart, 10 bands 5 nm apart, one band in their middle left out.
        let nm: Vec<f64> = (0..20).map(|i| if i < 10 { 400.0 + 2.0 * f64::from(i) } else { 420.0 + 5.0 * f64::from(i - 10) }).collect();
        let kept: Vec<usize> = (0..20).filter(|band| *band != 15).collect();
        let found: Vec<_> = runs(&kept, &nm).into_iter().map(|run| kept[run.start]..=kept[run.end - 1]).collect();
        assert_eq!(found[0], 0..=10);
        assert_eq!(*found.last().unwrap(), 16..=19);
        // The derivative of a parabola is a line, at the edges too.
        let values = DMatrix::from_fn(1, 20, |_, i| 0.3 + 1e-3 * nm[i] + 1e-5 * nm[i] * nm[i]);
        let even: Vec<usize> = (0..10).collect();
        let slopes = Pretreatment::new("", &even, &nm, Start::Reflectance, Some((1, 5))).unwrap().features(&values);
        assert!(slopes.iter().zip(&nm).all(|(slope, nm)| (slope - 1e-3 - 2e-5 * nm).abs() < 1e-12));
        let bends = Pretreatment::new("", &even, &nm, Start::Reflectance, Some((2, 7))).unwrap().features(&values);
        assert!(bends.iter().all(|bend| (bend - 2e-5).abs() < 1e-12));
    }

    #[test]
    fn weights_on_bands_give_the_same() {
        let nm: Vec<f64> = (0..40).map(|i| 1000.0 + 10.0 * f64::from(i)).collect();
        let config = RegressConfig { windows: vec![7], ..RegressConfig::default() };
        let all = Pretreatment::all(&nm, &config);
        assert_eq!(all.len(), 16);
        assert_eq!(all.iter().map(|p| p.name.as_str()).take(4).collect::<Vec<_>>(), ["none", "dry", "snv", "snv dry"]);
        let spectra = DMatrix::from_fn(3, 40, |row, band| 0.3 + 0.1 * ((row * 7 + band) as f64).sin());
        for pretreatment in &all {
            let features = pretreatment.features(&spectra);
            let weights = DVector::from_fn(features.ncols(), |i, _| (i as f64).cos());
            let direct = &features * &weights;
            let folded = pretreatment.started(&spectra) * pretreatment.on_bands(&weights);
            assert!((direct - folded).amax() < 1e-9, "{}", pretreatment.name);
        }
    }
}
