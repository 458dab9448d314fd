//! The uncertainty of reflectance on the grid.
//!
//! A value on the grid is a weighted mean of values of the detector's elements. Noise of a line is independent in every element and
//! line, so its variance goes with the squares of the weights, across and along. Noise of the references is the same in all lines of
//! an element, so its variance goes with the squares of the weights across alone.

mod figures;

pub use figures::{Figures, LEVELS};

use crate::join::Bands;
use crate::rectify::PixelWeights;
use crate::reference::{Calibration, Variance};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A camera whose lines are resampled onto the grid.
#[derive(Debug)]
pub struct CameraOnGrid {
    calibration: Arc<Calibration>,
    weights: PixelWeights,
    /// Area that one element sees between two lines, in pixels of the grid.
    area: f64,
    /// Counts from which the camera is saturated.
    saturation: Option<f64>,
    elements: OnceLock<Option<Elements>>,
}

/// The noise of a camera's elements.
#[derive(Debug)]
struct Elements {
    figures: Figures,
    /// `[pixel][band]`.
    variances: Vec<Variance>,
    bands: usize,
}

impl CameraOnGrid {
    /// A camera with these weights on a grid. One of its elements sees `area` pixels of the grid between two lines, and is saturated from
    /// `saturation` counts on.
    pub fn new(calibration: Arc<Calibration>, weights: PixelWeights, area: f64, saturation: Option<f64>) -> Self {
        Self { calibration, weights, area, saturation, elements: OnceLock::new() }
    }

    fn elements(&self) -> Option<&Elements> {
        let make = || {
            let Calibration::Referenced(referenced) = &*self.calibration else { return None };
            let noise = referenced.photon_transfer()?;
            let figures = Figures::of(referenced, noise, self.saturation);
            Some(Elements { variances: referenced.variances(&noise), figures, bands: referenced.panel.len() })
        };
        self.elements.get_or_init(make).as_ref()
    }

    /// The figures of the camera; `None` for one without references, or without noise of photons.
    pub fn figures(&self) -> Option<&Figures> {
        self.elements().map(|elements| &elements.figures)
    }
}

/// The weight of each pixel of a camera in a mean, and the variances of the pixel's bands.
type InMean<'a> = Vec<(f64, &'a [Variance])>;

/// The uncertainty of a scan's values.
#[derive(Debug)]
pub struct Uncertainty {
    cameras: Vec<CameraOnGrid>,
    /// The camera of each joined band, and the band's number there.
    sources: Vec<(usize, usize)>,
}

/// The variance of the values of some pixels of the grid, as coefficients of the powers of reflectance, each `[pixel][band]`. A value
/// without references has NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelVariance {
    /// Noise of the lines. [`Row::squares`](crate::join::Row::squares) multiplies it.
    pub random: [Vec<f32>; 2],
    /// Noise of the references.
    pub column: [Vec<f32>; 3],
}

/// Standard uncertainties of a mean spectrum, `[band]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanUncertainty {
    /// By the noise of the lines.
    pub random: Vec<f64>,
    /// By the noise of the references.
    pub column: Vec<f64>,
    /// By what is common to all values; zero where nothing is known of that.
    pub common: Vec<f64>,
    /// Signal-to-noise ratio of one element in one line at the mean.
    pub snr: Vec<f64>,
}

impl MeanUncertainty {
    /// The ranges of neighbouring bands in which one element in one line has at least the signal-to-noise ratio `least`: first and last
    /// centre, nm. The bands lie at `wavelengths_nm`.
    pub fn valid_nm(&self, wavelengths_nm: &[f64], least: f64) -> Vec<[f64; 2]> {
        let mut ranges: Vec<[f64; 2]> = Vec::new();
        let mut goes_on = false;
        for (snr, nm) in self.snr.iter().zip(wavelengths_nm) {
            let valid = *snr >= least;
            match ranges.last_mut().filter(|_| goes_on && valid) {
                Some(range) => range[1] = *nm,
                None if valid => ranges.push([*nm, *nm]),
                None => {}
            }
            goes_on = valid;
        }
        ranges
    }
}

impl Uncertainty {
    /// The uncertainty of values with the joined `bands` of these cameras.
    pub fn new(cameras: Vec<CameraOnGrid>, bands: &Bands) -> Self {
        Self { cameras, sources: bands.sources().collect() }
    }

    /// The cameras.
    pub fn cameras(&self) -> &[CameraOnGrid] {
        &self.cameras
    }

    /// The camera of each joined band, `[band]`.
    pub fn camera_of_bands(&self) -> impl Iterator<Item = usize> {
        self.sources.iter().map(|(camera, _)| *camera)
    }

    /// Relative standard uncertainty of what is common to all values, `[band]`: the panel's certificate. `None` where no camera knows one.
    pub fn common(&self) -> Option<Vec<f64>> {
        let of = |(camera, band): &(usize, usize)| match &*self.cameras[*camera].calibration {
            Calibration::Referenced(referenced) => {
                let known = referenced.panel_uncertainty.as_ref()?;
                Some(f64::from(known[*band]) / f64::from(referenced.panel[*band]))
            }
            Calibration::Scaled { .. } => None,
        };
        let all: Vec<Option<f64>> = self.sources.iter().map(of).collect();
        all.iter().any(Option::is_some).then(|| all.into_iter().map(|one| one.unwrap_or(f64::NAN)).collect())
    }

    /// The variance of the values of `pixels`, whose cameras are levelled by the factors `levels` (1 where absent). `None` where no camera
    /// has references.
    #[expect(clippy::cast_possible_truncation, reason = "a variance needs no more than f32")]
    pub fn of_pixels(&self, pixels: Range<usize>, levels: &[f32]) -> Option<PixelVariance> {
        let bands = self.sources.len();
        let mut all = vec![None; pixels.len() * self.cameras.len()];
        let mut sums: Vec<Variance> = Vec::new();
        let mut known = false;
        for (number, camera) in self.cameras.iter().enumerate() {
            let Some(elements) = camera.elements() else { continue };
            known = true;
            for (from, to, weight) in camera.weights.iter().filter(|(_, to, _)| pixels.contains(to)) {
                let place: &mut Option<usize> = &mut all[(to - pixels.start) * self.cameras.len() + number];
                let begin = *place.get_or_insert_with(|| {
                    sums.resize(sums.len() + elements.bands, Variance::default());
                    sums.len() - elements.bands
                });
                let weight = f64::from(weight) * f64::from(weight);
                let variances = &elements.variances[from * elements.bands..][..elements.bands];
                sums[begin..].iter_mut().zip(variances).for_each(|(sum, variance)| *sum = sum.plus(variance, weight));
            }
        }
        if !known {
            return None;
        }
        let mut result = PixelVariance {
            random: [0; 2].map(|_| Vec::with_capacity(pixels.len() * bands)),
            column: [0; 3].map(|_| Vec::with_capacity(pixels.len() * bands)),
        };
        for pixel in 0..pixels.len() {
            for (camera, band) in &self.sources {
                let sum = all[pixel * self.cameras.len() + camera].map(|begin| sums[begin + band]);
                let (random, column) = sum.map_or(([f64::NAN; 2], [f64::NAN; 3]), |sum| (sum.random, sum.column));
                // The variance is that of the levelled value, and a polynomial in it.
                let level = f64::from(levels.get(*camera).copied().unwrap_or(1.0));
                let (random, column) =
                    ([random[0] * level * level, random[1] * level], [column[0] * level * level, column[1] * level, column[2]]);
                result.random.iter_mut().zip(random).for_each(|(list, value)| list.push(value as f32));
                result.column.iter_mut().zip(column).for_each(|(list, value)| list.push(value as f32));
            }
        }
        Some(result)
    }

    /// The uncertainty of the mean spectrum `mean`, `[band]`, over pixels of the grid. `counts` gives the number of its pixels in each
    /// column of the grid, from `first_pixel` on. Cameras are levelled by the factors `levels` (1 where absent). `None` where no camera has
    /// references.
    ///
    /// Each element has the same total weight over the lines that it saw: the area of the grid that it sees. So the mean of N pixels has
    /// area / N of the variance of one element in one line.
    pub fn of_mean(&self, first_pixel: usize, counts: &[u32], mean: &[f64], levels: &[f32]) -> Option<MeanUncertainty> {
        let n: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        let cameras: Vec<Option<InMean<'_>>> = self.cameras.iter().map(|camera| camera.in_mean(first_pixel, counts, n)).collect();
        if n == 0.0 || cameras.iter().all(Option::is_none) {
            return None;
        }
        let common = self.common().unwrap_or_default().into_iter().zip(mean).map(|(share, mean)| share * mean.abs());
        let common: Vec<f64> = common.chain(std::iter::repeat(0.0)).take(self.sources.len()).collect();
        let mut result = MeanUncertainty { random: Vec::new(), column: Vec::new(), common, snr: Vec::new() };
        for ((camera, band), mean) in self.sources.iter().zip(mean) {
            let (mut random, mut column) = (0.0, 0.0);
            let level = f64::from(levels.get(*camera).copied().unwrap_or(1.0));
            for (weight, variances) in cameras[*camera].as_deref().unwrap_or_default() {
                random += weight * variances[*band].random(mean / level);
                column += weight * weight * variances[*band].column(mean / level);
            }
            let known = cameras[*camera].is_some();
            let root = |variance: f64| if known { level * variance.max(0.0).sqrt() } else { f64::NAN };
            result.snr.push(mean / root(random));
            result.random.push(root(random * self.cameras[*camera].area / n));
            result.column.push(root(column));
        }
        Some(result)
    }
}

impl CameraOnGrid {
    /// The weight of each pixel of the camera in the mean over the grid's columns `counts`, and the variances of its bands. `None` without
    /// references.
    fn in_mean(&self, first_pixel: usize, counts: &[u32], n: f64) -> Option<InMean<'_>> {
        let elements = self.elements()?;
        let mut weights: InMean<'_> = Vec::new();
        let mut last = None;
        for (from, to, weight) in self.weights.iter() {
            let Some(count) = to.checked_sub(first_pixel).and_then(|column| counts.get(column)).filter(|count| **count > 0) else {
                continue;
            };
            if last != Some(from) {
                weights.push((0.0, &elements.variances[from * elements.bands..][..elements.bands]));
                last = Some(from);
            }
            if let Some(pixel) = weights.last_mut() {
                pixel.0 += f64::from(weight) * f64::from(*count) / n;
            }
        }
        Some(weights)
    }
}

#[cfg(test)]
mod tests;
