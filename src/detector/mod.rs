//! The watch on a detector during a scan: whether its values are plausible, and whether its elements are calm.
//!
//! A watch looks at a part of the pixels of each line, and at other pixels of the next. Its cost per line is bounded.

mod judgement;
#[cfg(test)]
mod tests;

use crate::calibrate::{Line, Reflectance, Spectra, Spectrum};
use crate::config::PlausibilityLimits;
use crate::reference::Calibration;
use crate::scan::{Plausibility, Quality};
use crate::simd::{Simd, WithSimd, widest};
use crate::transpose::transpose;
use contract::Layout;
pub use judgement::DetectorFindings;
use judgement::{Seen, restless};
use std::sync::Arc;

/// Values that are looked at in a line: those of 64 pixels of 448 bands.
const LOOKED: usize = 64 * 448;
/// Reflectance above which no diffuse surface under a right calibration lies.
const BRIGHT: f32 = 1.2;
/// Reflectance below which no noise of a fair signal leads.
const NEGATIVE: f32 = -0.02;
/// First looks at an element, in which its usual bend is found. They are not judged.
const FIRST_LOOKS: u32 = 8;
/// Largest deviation that counts, in standard uncertainties. One wild look does not decide.
const MOST: f32 = 50.0;
/// Steps towards the usual bend in a first look and in a later one, in standard uncertainties.
const STEPS: (f32, f32) = (4.0, 0.25);
/// Least variance of reflectance. The gain of a bad element is zero.
const LEAST_VARIANCE: f32 = 1e-20;

/// The noise and the looks of the elements of a camera that gives counts.
#[derive(Debug)]
struct Elements {
    /// Gain, 1/counts, `[pixel][band]`; zero for bad elements.
    gain: Vec<f32>,
    /// Variance in the dark, counts², `[band]`.
    dark: Vec<f32>,
    /// Overall system gain, counts² per count.
    system_gain: f32,
    /// Usual bend of an element's values against its neighbours in the spectrum, in standard uncertainties, `[pixel][band]`.
    usual: Vec<f32>,
    /// Sum of the absolute deviations from the usual bend, in the same unit, `[pixel][band]`.
    deviations: Vec<f32>,
    /// Looks at each pixel, `[pixel]`.
    looks: Vec<u32>,
}

/// Watches the reflectance of one camera over a scan.
#[derive(Debug)]
pub struct DetectorWatch {
    camera: String,
    layout: Layout,
    calibration: Arc<Calibration>,
    limits: PlausibilityLimits,
    /// Distance of the pixels that are looked at in a line.
    stride: usize,
    /// First pixel of the next line.
    phase: usize,
    elements: Option<Elements>,
    /// Values looked at, those above [`BRIGHT`], and those below [`NEGATIVE`].
    values: u64,
    bright: u64,
    negative: u64,
    /// Pixels looked at, and saturated ones.
    pixels: u64,
    saturated: u64,
}

impl DetectorWatch {
    /// A watch on `camera` with the used bands of `layout`. Elements are watched where their share has a limit, and where the references show
    /// their noise.
    #[expect(clippy::cast_possible_truncation, reason = "a variance of counts needs no more than f32")]
    pub fn new(camera: &str, layout: Layout, calibration: Arc<Calibration>, limits: PlausibilityLimits) -> Self {
        let elements = match &*calibration {
            Calibration::Referenced(_) if limits.max_restless.is_none() => None,
            Calibration::Referenced(referenced) => referenced.photon_transfer().map(|noise| {
                let mut gain = vec![0.0; referenced.gain.len()];
                transpose(&referenced.gain, layout.pixels, &mut gain);
                let dark = (0..layout.bands).map(|band| referenced.band_noise(band, layout.pixels)).map(|sd| sd * sd).collect();
                let table = || vec![0.0; layout.elements()];
                let system_gain = noise.gain as f32;
                Elements { gain, dark, system_gain, usual: table(), deviations: table(), looks: vec![0; layout.pixels] }
            }),
            Calibration::Scaled { .. } => None,
        };
        let stride = layout.elements().div_ceil(LOOKED).clamp(1, layout.pixels.max(1));
        let camera = camera.to_owned();
        let (values, pixels) = (0, 0);
        Self { camera, layout, calibration, limits, stride, phase: 0, elements, values, bright: 0, negative: 0, pixels, saturated: 0 }
    }

    /// Looks at the spectra of one line on their way to `out`.
    pub fn beside<'a, S: Spectra>(&'a mut self, out: &'a mut S) -> Beside<'a, S> {
        let next = self.begin_line();
        Beside { watch: self, next, out }
    }

    /// Looks at a whole line.
    pub fn line(&mut self, line: &Line<Reflectance>) {
        let bands = self.layout.bands;
        for pixel in (self.begin_line()..self.layout.pixels).step_by(self.stride) {
            self.look(pixel, &line.values()[pixel * bands..(pixel + 1) * bands], line.quality()[pixel]);
        }
    }

    fn begin_line(&mut self) -> usize {
        let first = self.phase;
        self.phase = (self.phase + 1) % self.stride;
        first
    }

    fn look(&mut self, pixel: usize, values: &[f32], quality: u8) {
        self.values += values.len() as u64;
        self.pixels += 1;
        self.saturated += u64::from(quality & Quality::SATURATED != 0);
        let [bright, negative] = widest(Extremes(values));
        self.bright += u64::from(bright);
        self.negative += u64::from(negative);
        // A clipped value bends the spectrum.
        let Some(elements) = self.elements.as_mut().filter(|_| quality & Quality::SATURATED == 0 && values.len() > 2) else { return };
        let here = pixel * values.len()..(pixel + 1) * values.len();
        let Elements { gain, dark, system_gain, usual, deviations, looks } = elements;
        let look = looks[pixel];
        looks[pixel] = look.saturating_add(1);
        let step = if look == 0 {
            MOST
        } else if look < FIRST_LOOKS {
            STEPS.0
        } else {
            STEPS.1
        };
        let counts = if look < FIRST_LOOKS { 0.0 } else { 1.0 };
        widest(Bends {
            values,
            gain: &gain[here.clone()],
            dark,
            system_gain: *system_gain,
            usual: &mut usual[here.clone()],
            deviations: &mut deviations[here],
            step,
            counts,
        });
    }

    /// The findings of the scan; `None` where no line was looked at.
    #[expect(clippy::cast_precision_loss, reason = "numbers of values")]
    pub fn end_of_scan(&self) -> Option<DetectorFindings> {
        if self.values == 0 {
            return None;
        }
        let of_values = |n: u64| n as f64 / self.values as f64;
        let saturated = self.saturated as f64 / self.pixels as f64;
        let plausibility = Plausibility { bright: of_values(self.bright), negative: of_values(self.negative), saturated };
        let (restless, mended) = match (&*self.calibration, &self.elements) {
            (Calibration::Referenced(referenced), Some(elements)) => {
                let Elements { usual, deviations, looks, .. } = elements;
                let Layout { pixels, bands, .. } = self.layout;
                let seen = Seen { pixels, bands, bad: &referenced.bad, usual, deviations, looks, first: FIRST_LOOKS };
                (Some(restless(&seen, &referenced.bands.wavelengths_nm)), Some(referenced.bad_elements().mended))
            }
            (Calibration::Referenced(referenced), None) => (None, Some(referenced.bad_elements().mended)),
            (Calibration::Scaled { .. }, _) => (None, None),
        };
        let found = DetectorFindings { plausibility, mended, restless, warnings: Vec::new() };
        Some(found.judged(&self.camera, &self.limits))
    }
}

/// A receiver of a line's spectra that looks at some of them.
pub struct Beside<'a, S> {
    watch: &'a mut DetectorWatch,
    next: usize,
    out: &'a mut S,
}

impl<S: Spectra> Spectra for Beside<'_, S> {
    #[inline(always)]
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
        if pixel == self.next {
            self.next += self.watch.stride;
            self.watch.look(pixel, spectrum.values(), spectrum.quality());
        }
        self.out.take(pixel, spectrum);
    }
}

/// Numbers of values above [`BRIGHT`] and below [`NEGATIVE`].
struct Extremes<'a>(&'a [f32]);

impl WithSimd for Extremes<'_> {
    type Output = [u32; 2];

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) -> [u32; 2] {
        let (mut bright, mut negative) = (0_u32, 0_u32);
        for value in self.0 {
            bright = bright.wrapping_add(u32::from(*value > BRIGHT));
            negative = negative.wrapping_add(u32::from(*value < NEGATIVE));
        }
        [bright, negative]
    }
}

/// A look at all elements of a pixel.
///
/// The bend of a value is its distance from the mean of its neighbours in the spectrum, over the standard uncertainty of the value. That of
/// reflectance R is g² σ² + g K R, with gain g, dark noise σ and system gain K (EMVA 1288). Absorption features bend a spectrum too, so an
/// element's own usual bend is taken away. It follows the looks in small steps, and so is near their median.
struct Bends<'a> {
    values: &'a [f32],
    gain: &'a [f32],
    dark: &'a [f32],
    system_gain: f32,
    usual: &'a mut [f32],
    deviations: &'a mut [f32],
    step: f32,
    /// 1 where the deviation counts, else 0.
    counts: f32,
}

impl WithSimd for Bends<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { values, gain, dark, system_gain, usual, deviations, step, counts } = self;
        let n = values.len();
        let (gain, dark, usual, deviations) = (&gain[..n], &dark[..n], &mut usual[..n], &mut deviations[..n]);
        let mut one = |band: usize, bend: f32| {
            let variance = gain[band] * (gain[band] * dark[band] + system_gain * values[band].max(0.0));
            let deviation = bend / variance.max(LEAST_VARIANCE).sqrt() - usual[band];
            // A missing value has no bend.
            let deviation = if deviation.is_nan() { 0.0 } else { deviation.clamp(-MOST, MOST) };
            usual[band] += deviation.clamp(-step, step);
            deviations[band] += counts * deviation.abs();
        };
        for band in 1..n - 1 {
            one(band, values[band] - 0.5 * (values[band - 1] + values[band + 1]));
        }
        // The ends have neighbours on one side. Half of the second difference has the noise of the others.
        one(0, 0.5 * (values[0] - 2.0 * values[1] + values[2]));
        one(n - 1, 0.5 * (values[n - 1] - 2.0 * values[n - 2] + values[n - 3]));
    }
}
