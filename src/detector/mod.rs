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

/// Values that are looked at in a second: those of 44 pixels of 448 bands in each of 330 lines. A slower camera shows more of each line.
const LOOKED_PER_S: f64 = 330.0 * 44.0 * 448.0;
/// Reflectance above which no diffuse surface under a right calibration lies.
const BRIGHT: f32 = 1.2;
/// Reflectance below which no noise of a fair signal leads.
const NEGATIVE: f32 = -0.02;
/// Largest deviation that counts, in standard uncertainties. One wild look does not decide.
const MOST: f32 = 50.0;
/// Largest steps towards the usual bend in the first looks, in standard uncertainties. These looks are not judged.
const FIRST_STEPS: [f32; 8] = [MOST, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125, LATER_STEP];
/// Largest step in later looks. A larger one follows the jumps of telegraph noise, and hides them.
const LATER_STEP: f32 = 0.1;
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
    /// A watch on `camera` with the used bands of `layout` and `rate_hz` lines per second. Elements are watched where the references show
    /// their noise.
    #[expect(clippy::cast_possible_truncation, reason = "a variance of counts needs no more than f32")]
    pub fn new(camera: &str, layout: Layout, rate_hz: f64, calibration: Arc<Calibration>, limits: PlausibilityLimits) -> Self {
        let elements = match &*calibration {
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
        let stride = stride(layout, rate_hz);
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
        let Some(elements) = self.elements.as_mut().filter(|_| quality & Quality::SATURATED == 0 && values.len() > 4) else { return };
        let here = pixel * values.len()..(pixel + 1) * values.len();
        let Elements { gain, dark, system_gain, usual, deviations, looks } = elements;
        let look = looks[pixel];
        looks[pixel] = look.saturating_add(1);
        let (step, counts) = FIRST_STEPS.get(look as usize).map_or((LATER_STEP, 1.0), |step| (*step, 0.0));
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
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "numbers of values, and of a few looks")]
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
                let seen = Seen { pixels, bands, bad: &referenced.bad, usual, deviations, looks, first: FIRST_STEPS.len() as u32 };
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

/// Distance of the pixels that are looked at in a line, at `rate_hz` lines per second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "limited to the pixels of a line")]
fn stride(layout: Layout, rate_hz: f64) -> usize {
    let least = layout.elements() as f64 * rate_hz / LOOKED_PER_S;
    // A rate that is not known reads as 0 or NaN. It counts as slow.
    (least.ceil().max(1.0) as usize).clamp(1, layout.pixels.max(1))
}

/// A look at all elements of a pixel.
///
/// The bend of a value is its distance from the cubic through its four neighbours in the spectrum, over the standard uncertainty of the value.
/// That of reflectance R is g² σ² + g K R, with gain g, dark noise σ and system gain K (EMVA 1288). Sharp absorption features bend a spectrum
/// too, so an element's own usual bend is taken away. It follows the looks in small steps, and so is near their median.
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

/// Weights of the neighbours beside a value and of the next ones in a bend. The cubic through the four has 4/6 and -1/6. The whole is scaled
/// so that its noise is that of the distance from the mean of two neighbours: sqrt(3/2) times that of one value.
const BEND: [f32; 3] = [0.878_310_1, 0.585_540_07, 0.146_385_02];

impl WithSimd for Bends<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { values, gain, dark, system_gain, usual, deviations, step, counts } = self;
        let n = values.len();
        let (gain, dark, usual, deviations) = (&gain[..n], &dark[..n], &mut usual[..n], &mut deviations[..n]);
        let one = |bend: f32, value: f32, gain: f32, dark: f32, usual: &mut f32, deviations: &mut f32| {
            let variance = gain * (gain * dark + system_gain * value.max(0.0));
            let deviation = bend / variance.max(LEAST_VARIANCE).sqrt() - *usual;
            // A missing value has no bend.
            let deviation = if deviation.is_nan() { 0.0 } else { deviation.clamp(-MOST, MOST) };
            *usual += deviation.clamp(-step, step);
            *deviations += counts * deviation.abs();
        };
        // Both ends have fewer neighbours. Half of the second difference has the noise of the others.
        let second = |a: usize, b: usize, c: usize| 0.5 * (values[a] - 2.0 * values[b] + values[c]);
        for (band, bend) in
            [(0, second(0, 1, 2)), (1, second(0, 1, 2)), (n - 2, second(n - 3, n - 2, n - 1)), (n - 1, second(n - 3, n - 2, n - 1))]
        {
            one(bend, values[band], gain[band], dark[band], &mut usual[band], &mut deviations[band]);
        }
        // Slices of one length need no checks of bounds.
        let inner = n - 4;
        let [a, b, v, c, d] = [0, 1, 2, 3, 4].map(|from| &values[from..from + inner]);
        let (gain, dark) = (&gain[2..2 + inner], &dark[2..2 + inner]);
        let (usual, deviations) = (&mut usual[2..2 + inner], &mut deviations[2..2 + inner]);
        for i in 0..inner {
            let bend = BEND[0] * v[i] - BEND[1] * (b[i] + c[i]) + BEND[2] * (a[i] + d[i]);
            one(bend, v[i], gain[i], dark[i], &mut usual[i], &mut deviations[i]);
        }
    }
}
