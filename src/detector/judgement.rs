//! What a watch on a detector found, and the warnings about it.

use crate::config::PlausibilityLimits;
use crate::scan::{Plausibility, RestlessElement, RestlessElements};
use arrayvec::ArrayVec;

/// Least counted looks at a pixel for a judgement of its elements.
const LEAST_LOOKS: u32 = 24;
/// Pixels on each side with which an element is compared.
const BESIDE: usize = 8;
/// Typical deviation of a calm element, in standard uncertainties: sqrt(3/2) for the neighbours, times sqrt(2/pi) for normal noise.
const CALM: f32 = 0.977;
/// Standard deviation of the magnitude of normal noise, as a share of its mean: sqrt(pi/2 - 1).
const SCATTER: f32 = 0.7555;
/// An element is restless when its mean deviation lies above that of a calm one by so many standard deviations of a mean of its looks. One
/// calm element of 10 000 or fewer does.
const SIGMAS: f32 = 4.5;
/// An element is off when its usual bend differs from that of those beside it by so many standard uncertainties.
const OFF: f32 = 8.0;
/// A moved element bends its neighbours in the spectrum as well, though less. The worst of them is the wrong one by this factor.
const ABOVE_NEIGHBOURS: f32 = 1.25;
/// Bands to each side that take part in the bend of a value.
const REACH: usize = 2;
/// Elements that are named.
const NAMED: usize = 10;

/// The findings of a watch over a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorFindings {
    /// Shares of implausible values.
    pub plausibility: Plausibility,
    /// Share of elements that are interpolated. `None` for reflectance of a recording.
    pub mended: Option<f64>,
    /// The restless elements, and all of them as band and pixel. `None` where the noise is not known.
    pub restless: Option<(RestlessElements, Vec<(u32, u32)>)>,
    /// The warnings about what is beyond its limit.
    pub warnings: Vec<String>,
}

/// Fewest restless elements that are warned of.
const LEAST_RESTLESS: usize = 3;

impl DetectorFindings {
    /// The same findings with warnings about `camera`.
    #[must_use]
    pub(super) fn judged(self, camera: &str, limits: &PlausibilityLimits) -> Self {
        let Plausibility { bright, negative, saturated } = self.plausibility;
        let (restless, count) = self.restless.as_ref().map_or((0.0, 0), |(found, all)| (found.share, all.len()));
        // One or two may be chance, and are a large share of a small detector.
        let restless = if count < LEAST_RESTLESS { 0.0 } else { restless };
        let all = [
            (
                bright,
                limits.max_bright,
                "of its values are above a reflectance of 1.2",
                "max_bright",
                "was the white reference taken at another exposure or with weaker light? take it again, and check the panel's reflectance",
            ),
            (
                negative,
                limits.max_negative,
                "of its values are below a reflectance of -0.02",
                "max_negative",
                "did the dark level move, or does the shutter let light in? take the dark reference again",
            ),
            (
                saturated,
                limits.max_saturated,
                "of its pixels are saturated in some band",
                "max_saturated",
                "shorten camera.exposure_us, and look for mirroring surfaces",
            ),
            (
                self.mended.unwrap_or(0.0),
                limits.max_mended,
                "of its elements are bad and interpolated",
                "max_mended",
                "check the references, or leave bands out with camera.use_nm",
            ),
            (
                restless,
                limits.max_restless,
                "of its elements are restless or have changed since the references",
                "max_restless",
                "cool the camera as its maker says, and take the references again",
            ),
        ];
        let beyond = all.into_iter().filter(|(share, limit, ..)| share > limit);
        let warnings = beyond
            .map(|(share, limit, what, key, remedy)| {
                let (share, limit) = (100.0 * share, 100.0 * limit);
                let many = if key == "max_restless" { format!("{count} ({share:.2} %)") } else { format!("{share:.2} %") };
                format!("{camera}: {many} {what}, at most {limit:.2} % (calibrate.limits.{key}); {remedy}")
            })
            .collect();
        Self { warnings, ..self }
    }
}

/// What was seen of the elements of a detector.
pub(super) struct Seen<'a> {
    pub pixels: usize,
    pub bands: usize,
    /// Bad elements, `[band][pixel]`.
    pub bad: &'a [u8],
    /// Usual bends, `[pixel][band]`.
    pub usual: &'a [f32],
    /// Sums of deviations, `[pixel][band]`.
    pub deviations: &'a [f32],
    /// Looks `[pixel]`, and how many of each were not counted.
    pub looks: &'a [u32],
    pub first: u32,
}

impl Seen<'_> {
    /// Looks at a pixel that count.
    fn counted(&self, pixel: usize) -> u32 {
        self.looks[pixel].saturating_sub(self.first)
    }

    /// Whether an element is judged. The bend of one near a bad element holds the error of the interpolation.
    fn is_judged(&self, pixel: usize, band: usize) -> bool {
        let mut near = band.saturating_sub(REACH)..(band + REACH + 1).min(self.bands);
        self.counted(pixel) >= LEAST_LOOKS && near.all(|band| self.bad[band * self.pixels + pixel] == 0)
    }

    /// Mean deviation of an element, in standard uncertainties; 0 where it is not judged.
    #[expect(clippy::cast_precision_loss, reason = "a few looks")]
    fn unrest(&self, pixel: usize, band: usize) -> f32 {
        if self.is_judged(pixel, band) { self.deviations[pixel * self.bands + band] / self.counted(pixel) as f32 } else { 0.0 }
    }

    /// Largest deviation of a calm element of a pixel, as a multiple of the typical one.
    #[expect(clippy::cast_precision_loss, reason = "a few looks")]
    fn limit(&self, pixel: usize) -> f32 {
        1.0 + SIGMAS * SCATTER / (self.counted(pixel).max(1) as f32).sqrt()
    }

    fn usual(&self, pixel: usize, band: usize) -> f32 {
        self.usual[pixel * self.bands + band]
    }

    /// Medians of `value` over the judged elements of a band to the left and to the right of a pixel. A side without three of them takes
    /// the other's. `None` without any.
    fn beside(&self, pixel: usize, band: usize, value: impl Fn(usize) -> f32) -> Option<[f32; 2]> {
        let median = |from: usize, to: usize| {
            let judged = (from..to).filter(|other| self.is_judged(*other, band));
            let mut all: ArrayVec<f32, BESIDE> = judged.map(&value).collect();
            all.sort_unstable_by(f32::total_cmp);
            (all.len() > 2).then(|| all[all.len() / 2])
        };
        let left = median(pixel.saturating_sub(BESIDE), pixel);
        let right = median(pixel + 1, (pixel + 1 + BESIDE).min(self.pixels));
        Some([left.or(right)?, right.or(left)?])
    }

    /// By how much the usual bend of an element differs from those beside it. Two samples may meet at the pixel, so the nearer side counts.
    fn off_by(&self, pixel: usize, band: usize) -> f32 {
        let Some([left, right]) = self.beside(pixel, band, |other| self.usual(other, band)) else { return 0.0 };
        let [left, right] = [left, right].map(|beside| self.usual(pixel, band) - beside);
        if left * right > 0.0 { left.abs().min(right.abs()) } else { 0.0 }
    }

    /// The largest of `value` in the bands beside `band`. Bad ones are interpolated from this one.
    fn in_spectrum(&self, pixel: usize, band: usize, value: impl Fn(usize) -> f32) -> f32 {
        let beside = [band.checked_sub(1), Some(band + 1).filter(|next| *next < self.bands)];
        beside.into_iter().flatten().filter(|other| self.is_judged(pixel, *other)).map(value).fold(0.0, f32::max)
    }

    /// How restless an element is, over its limit; `None` for a calm one. The scene moves the elements beside it as much.
    fn judge(&self, pixel: usize, band: usize) -> Option<f32> {
        let (unrest, limit) = (self.unrest(pixel, band), self.limit(pixel));
        if unrest > CALM * limit {
            let [left, right] = self.beside(pixel, band, |other| self.unrest(other, band))?;
            let scene = (left.max(right) / CALM).max(1.0);
            // What the scene adds differs from pixel to pixel by as much as it adds.
            let over = unrest / (CALM * (scene * limit + (scene - 1.0)));
            if over > 1.0 && unrest > self.in_spectrum(pixel, band, |other| self.unrest(pixel, other)) {
                return Some(over);
            }
        }
        if self.usual(pixel, band).abs() > OFF / 2.0 {
            let off = self.off_by(pixel, band);
            if off > OFF && off > ABOVE_NEIGHBOURS * self.in_spectrum(pixel, band, |other| self.off_by(pixel, other)) {
                return Some(off / OFF);
            }
        }
        None
    }
}

/// The restless elements of a detector with bands at `wavelengths_nm`.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "detectors have far fewer than 2^32 elements")]
pub(super) fn restless(seen: &Seen<'_>, wavelengths_nm: &[f64]) -> (RestlessElements, Vec<(u32, u32)>) {
    let mut found = Vec::new();
    for band in 0..seen.bands {
        let judged = (0..seen.pixels).filter(|pixel| seen.is_judged(*pixel, band));
        found.extend(judged.filter_map(|pixel| Some((seen.judge(pixel, band)?, band as u32, pixel as u32))));
    }
    let all: Vec<(u32, u32)> = found.iter().map(|(_, band, pixel)| (*band, *pixel)).collect();
    // Equal ones keep their order, so that a scan gives the same record again.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let worst = found.iter().take(NAMED).map(|(over, band, pixel)| RestlessElement {
        band: *band,
        pixel: *pixel,
        wavelength_nm: wavelengths_nm[*band as usize],
        over_limit: f64::from(*over),
    });
    let share = all.len() as f64 / (seen.pixels * seen.bands).max(1) as f64;
    (RestlessElements { share, worst: worst.collect() }, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(mended: Option<f64>, restless: Option<(f64, usize)>, limits: &PlausibilityLimits) -> Vec<String> {
        let restless = restless.map(|(share, count)| (RestlessElements { share, worst: Vec::new() }, vec![(0, 0); count]));
        let findings = DetectorFindings { plausibility: Plausibility::default(), mended, restless, warnings: Vec::new() };
        findings.judged("swir", limits).warnings
    }

    #[test]
    fn mended_and_restless_elements_are_warned_of_beyond_their_limits() {
        let limits = PlausibilityLimits { max_restless: 0.001, ..PlausibilityLimits::default() };
        assert_eq!(warnings(Some(0.05), Some((0.001, 3)), &limits), [""; 0]);
        assert_eq!(warnings(None, Some((0.0014, 2)), &limits), [""; 0]);
        let mended = warnings(Some(0.0501), None, &limits);
        assert!(mended.len() == 1 && mended[0].starts_with("swir: 5.01 % of its elements are bad and interpolated"), "{mended:?}");
        let restless = warnings(None, Some((0.0014, 3)), &limits);
        assert!(restless.len() == 1 && restless[0].starts_with("swir: 3 (0.14 %) of its elements are restless"), "{restless:?}");
        assert!(restless[0].contains("at most 0.10 % (calibrate.limits.max_restless)"), "{restless:?}");
    }
}
