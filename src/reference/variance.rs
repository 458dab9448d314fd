//! The variance of reflectance: what the noise of a line and of the references does to it.
//!
//! With S = white - dark of an element, panel reflectance P, gain g = P / S, overall system gain K, and dark noise σ:
//!
//! - A line's own noise differs from element to element and from line to line. Counts X of reflectance R have the variance
//!   σ² + K (X - dark), so R has g² σ² + g K R (EMVA 1288, photon transfer).
//! - The references' noise is frozen into every line of an element. With means over n frames, a dark has the variance σ²/n and the
//!   white (K S + σ²)/n. R = g (X - dark) depends on both: ∂R/∂dark = -g (1 - R/P) and ∂R/∂white = -g R/P. Where the white has a dark
//!   of its own, ∂R/∂dark = -g, and ∂R/∂white_dark = g R/P.
//! - A white of another exposure has its own counts: with q as the scan's exposure over its own, g = P / (q S), and both derivatives by
//!   the white's counts are q times as large. Its dark noise σ is that of its own dark reference.

use super::photon_transfer::variance_in_dark;
use super::{PhotonTransfer, Referenced, median};
use crate::scan::Quality;

/// The variance of reflectance R, as coefficients of the powers of R.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Variance {
    /// Noise of one line. It is independent in every element and line.
    pub random: [f64; 2],
    /// Noise of the references. It is independent in every element, and the same in all lines of an element.
    pub column: [f64; 3],
}

impl Variance {
    /// A variance that is not known.
    const UNKNOWN: Self = Self { random: [f64::NAN; 2], column: [f64::NAN; 3] };

    /// The sum of this variance and of `weight` times another. Both belong to independent values.
    #[must_use]
    pub fn plus(mut self, other: &Self, weight: f64) -> Self {
        self.random.iter_mut().zip(other.random).for_each(|(one, other)| *one += weight * other);
        self.column.iter_mut().zip(other.column).for_each(|(one, other)| *one += weight * other);
        self
    }

    /// The variance of one line at `reflectance`.
    pub fn random(&self, reflectance: f64) -> f64 {
        self.random[0] + self.random[1] * reflectance
    }

    /// The variance that the references leave at `reflectance`.
    pub fn column(&self, reflectance: f64) -> f64 {
        let [constant, linear, square] = self.column;
        constant + reflectance * (linear + reflectance * square)
    }
}

impl Referenced {
    /// The noise of the camera, from the references. `None` where they show no noise of photons.
    pub fn photon_transfer(&self) -> Option<PhotonTransfer> {
        let used = |at: usize| self.bad[at] == 0;
        let mut noise = PhotonTransfer::of(self.dark_of_white(), &self.white, used)?;
        if self.exposure_ratio != 1.0 {
            noise.dark_noise = f64::from(self.dark.noise_of(used));
        }
        Some(noise)
    }

    /// The panel's signal above dark of element `at`, `[band][pixel]`, in counts of the white reference.
    pub fn signal(&self, at: usize) -> f64 {
        f64::from(self.white.mean[at]) - f64::from(self.dark_of_white().mean[at])
    }

    /// The same in counts at the exposure of the scan.
    pub fn signal_in_scan(&self, at: usize) -> f64 {
        self.signal(at) * self.exposure_ratio
    }

    /// Typical noise of a band's elements in the dark, counts. A line has `pixels` pixels.
    #[expect(clippy::cast_possible_truncation, reason = "noise of counts needs no more than f32")]
    pub fn band_noise(&self, band: usize, pixels: usize) -> f32 {
        let typical = median(self.dark.sd[band * pixels..(band + 1) * pixels].to_vec());
        variance_in_dark(f64::from(typical)).sqrt() as f32
    }

    /// The variance of every element, `[pixel][band]`. An interpolated element has the variance of its interpolation. An element
    /// without a value has none: NaN.
    pub fn variances(&self, noise: &PhotonTransfer) -> Vec<Variance> {
        let bands = self.panel.len();
        let pixels = self.gain.len() / bands.max(1);
        let mut all = Vec::with_capacity(self.gain.len());
        let mending = self.mending();
        for pixel in 0..pixels {
            all.extend((0..bands).map(|band| self.variance(noise, band * pixels + pixel, band)));
            let of = &mut all[pixel * bands..];
            for patch in &mending.patches[mending.begins[pixel] as usize..mending.begins[pixel + 1] as usize] {
                let (from, weight) = (patch.from, f64::from(patch.weight));
                let [a, b] = [of[from.0 as usize], of[from.1 as usize]];
                of[patch.band as usize] = if patch.flag == Quality::BAD_PIXEL {
                    Variance::default().plus(&a, (1.0 - weight) * (1.0 - weight)).plus(&b, weight * weight)
                } else {
                    Variance::UNKNOWN
                };
            }
        }
        all
    }

    /// The variance of element `at`, `[band][pixel]`, of a band.
    fn variance(&self, noise: &PhotonTransfer, at: usize, band: usize) -> Variance {
        let (gain, panel) = (f64::from(self.gain[at]), f64::from(self.panel[band]));
        let dark = variance_in_dark(f64::from(self.dark.sd[at]));
        // The dark noise under the white reference grows with its exposure.
        let below = match &self.white_dark {
            Some(own) if self.exposure_ratio != 1.0 => variance_in_dark(f64::from(own.sd[at])),
            _ => dark,
        };
        let (of_dark, of_white) =
            (dark / f64::from(self.dark.frames), (noise.gain * self.signal(at) + below) / f64::from(self.white.frames));
        let square = gain * gain;
        let (linear, of_white_dark) = match &self.white_dark {
            None => (-2.0 * square * of_dark / panel, of_dark),
            Some(own) => (0.0, variance_in_dark(f64::from(own.sd[at])) / f64::from(own.frames)),
        };
        let per_white = square * self.exposure_ratio * self.exposure_ratio;
        Variance {
            random: [square * dark, gain * noise.gain],
            column: [square * of_dark, linear, per_white * (of_white_dark + of_white) / (panel * panel)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{MendBands, Reference};
    use contract::{Exposure, Layout, PixelFormat};
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    const GAIN: f64 = 0.02;
    const FRAMES: u32 = 25;

    fn reference(level: f32, sd: f32) -> Reference {
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        let mean = vec![level; 10];
        Reference { peak: mean.clone(), mean, sd: vec![sd; 10], frames: FRAMES, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
    }

    /// Two pixels of five bands, element 2 of pixel 1 bad.
    fn referenced() -> Referenced {
        let layout = Layout { pixels: 2, bands: 5, format: PixelFormat::U16 };
        let bands = MendBands::new(&[400.0, 410.0, 420.0, 430.0, 440.0], None);
        let signal = 2000.0;
        let white = reference(100.0 + signal, (9.0 + GAIN * f64::from(signal)).sqrt() as f32);
        let mut referenced = Referenced::new(reference(100.0, 3.0), white, vec![0.9; 5], layout, None, bands).unwrap();
        referenced.bad[2 * 2 + 1] = 1;
        referenced.gain[2 * 2 + 1] = 0.0;
        referenced
    }

    #[test]
    fn the_variance_is_that_of_the_counts() {
        let referenced = referenced();
        let noise = referenced.photon_transfer().unwrap();
        assert!((noise.gain / GAIN - 1.0).abs() < 1e-6, "{noise:?}");
        let all = referenced.variances(&noise);
        let gain = 0.9 / 2000.0;
        for reflectance in [0.0, 0.05, 0.5, 0.9] {
            let variance = all[0].random(reflectance);
            let expected = gain * gain * (9.0 + GAIN * reflectance / gain);
            assert!((variance / expected - 1.0).abs() < 1e-6, "{reflectance}: {variance} {expected}");
            let share = reflectance / 0.9;
            let frozen = gain * gain * (9.0 * (1.0 - share) * (1.0 - share) + share * share * (9.0 + GAIN * 2000.0)) / f64::from(FRAMES);
            assert!((all[0].column(reflectance) / frozen - 1.0).abs() < 1e-6, "{reflectance}");
        }
    }

    #[test]
    fn a_white_with_its_own_dark_has_the_noise_of_both() {
        let same = referenced();
        let noise = same.photon_transfer().unwrap();
        let mut own = same.clone();
        own.white_dark = Some(reference(100.0, 3.0).into());
        let gain = 0.9 / 2000.0;
        let share: f64 = 0.5 / 0.9;
        let frozen = gain * gain * (9.0 + share * share * (9.0 + 9.0 + GAIN * 2000.0)) / f64::from(FRAMES);
        assert!((own.variances(&noise)[0].column(0.5) / frozen - 1.0).abs() < 1e-6);
        assert_eq!(own.variances(&noise)[0].random, same.variances(&noise)[0].random);
    }

    /// References of 20000 elements with noise: a scan's dark, and a white with its own dark at `1 / ratio` of the scan's exposure.
    fn noisy(ratio: f64, signal: f64, random: &mut Pcg64) -> Referenced {
        let layout = Layout { pixels: 10_000, bands: 2, format: PixelFormat::U16 };
        let mut taken = |exposure_us: f64, level: f64, variance: f64| {
            let (mut mean, mut sd) = (Vec::new(), Vec::new());
            for _ in 0..layout.elements() {
                let counts: Vec<f64> = (0..FRAMES).map(|_| level + variance.sqrt() * normal(random)).collect();
                let average = counts.iter().sum::<f64>() / f64::from(FRAMES);
                mean.push(average as f32);
                let squares = counts.iter().map(|count| (count - average).powi(2)).sum::<f64>();
                sd.push((squares / f64::from(FRAMES - 1)).sqrt() as f32);
            }
            let exposure = Exposure { exposure_us, frame_rate_hz: 1.0, binning: (1, 1) };
            Reference { peak: mean.clone(), mean, sd, frames: FRAMES, level_sd: 0.0, taken_ns: 0, temperature_c: None, exposure }
        };
        let (dark, own) = (taken(1000.0, 100.0, 9.0), taken(1000.0 / ratio, 130.0, 25.0));
        let white = taken(1000.0 / ratio, 130.0 + signal, 25.0 + GAIN * signal);
        let white = crate::reference::WhiteReference { reference: white.into(), dark: Some(own.into()) };
        let bands = MendBands::new(&[400.0, 410.0], None);
        Referenced::new(dark, white, vec![0.9; 2], layout, Some(4095.0), bands).unwrap()
    }

    /// A normal number, by Box and Muller.
    fn normal(random: &mut Pcg64) -> f64 {
        let [a, b] = [0; 2].map(|_| random.random::<f64>());
        (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    #[test]
    fn a_white_of_another_exposure_gives_the_reflectance_and_covers_its_error() {
        let random = &mut Pcg64::seed_from_u64(3);
        for (ratio, signal) in [(0.25, 3000.0), (0.5, 3000.0), (4.0, 700.0)] {
            let referenced = noisy(ratio, signal, random);
            assert_eq!(referenced.exposure_ratio, ratio);
            assert!(referenced.bad.iter().filter(|bad| **bad != 0).count() < 20, "a dark level of another exposure is no jump");
            let noise = referenced.photon_transfer().unwrap();
            assert!((noise.gain / GAIN - 1.0).abs() < 0.02 && (noise.dark_noise / 3.0 - 1.0).abs() < 0.05, "{noise:?}");
            let all = referenced.variances(&noise);
            for reflectance in [0.05, 0.5, 0.9] {
                // What a line of that reflectance has in counts of the scan, and one draw of its noise.
                let light = signal * ratio * reflectance / 0.9;
                let (mut errors, mut predicted, mut within, mut n) = ([0.0; 2], [0.0; 2], 0.0, 0.0);
                for (at, gain) in referenced.gain.iter().enumerate().filter(|(at, _)| referenced.bad[*at] == 0) {
                    let (pixel, band) = (at % 10_000, at / 10_000);
                    let variance = &all[pixel * 2 + band];
                    let frozen = (100.0 + light - f64::from(referenced.dark.mean[at])) * f64::from(*gain) - reflectance;
                    let own = (9.0 + GAIN * light).sqrt() * normal(random) * f64::from(*gain);
                    let both = (variance.column(reflectance) + variance.random(reflectance)).sqrt();
                    errors[0] += frozen * frozen;
                    errors[1] += own * own;
                    predicted[0] += variance.column(reflectance);
                    predicted[1] += variance.random(reflectance);
                    within += f64::from(u8::from((frozen + own).abs() <= 1.96 * both));
                    n += 1.0;
                }
                for (error, predicted) in errors.iter().zip(predicted) {
                    assert!(((error / predicted).sqrt() - 1.0).abs() < 0.03, "{ratio} {reflectance}: {errors:?} {predicted:?}");
                }
                // Where the dark noise counts, its deviation over 25 frames gives Student's distribution: 94 %.
                assert!((0.93..0.96).contains(&(within / n)), "{ratio} {reflectance}: {within} of {n}");
            }
        }
    }

    #[test]
    fn an_interpolated_element_has_the_variance_of_its_sources() {
        let referenced = referenced();
        let all = referenced.variances(&referenced.photon_transfer().unwrap());
        assert!((all[5 + 2].random(0.3) / all[5 + 1].random(0.3) - 0.5).abs() < 1e-6);
        assert!((all[5 + 2].column(0.3) / all[5 + 1].column(0.3) - 0.5).abs() < 1e-6);
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn an_element_without_a_value_has_no_variance() {
        let mut referenced = referenced();
        referenced.bad[1] = 1;
        let all = referenced.variances(&referenced.photon_transfer().unwrap());
        assert!(all[5].random(0.3).is_nan() && all[5].column(0.3).is_nan() && all[0].random(0.3).is_finite());
    }
}
