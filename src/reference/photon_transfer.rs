//! The noise of a camera, from its references.
//!
//! Photoelectrons arrive at random, and their number has a variance equal to its mean. So the variance of a signal grows in proportion
//! to the signal. The slope is the overall system gain K (EMVA 1288, photon transfer method).

use super::Reference;

/// Variance of rounding to whole counts, counts² (EMVA 1288, quantization noise).
const ROUNDING: f64 = 1.0 / 12.0;
/// Least number of frames that have a variance.
const LEAST_FRAMES: u32 = 2;

/// The noise of a camera by photon transfer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhotonTransfer {
    /// Overall system gain K, counts per photoelectron: variance of the signal over the signal.
    pub gain: f64,
    /// Standard uncertainty of the gain, from the scatter of variances alone.
    pub gain_u: f64,
    /// Change of the light from frame to frame, as a share. Its part of the variance is no noise of photons, and is subtracted.
    pub flicker: f64,
    /// Median temporal noise in the dark, counts.
    pub dark_noise: f64,
}

impl PhotonTransfer {
    /// The noise of a camera by its dark and white reference. `used` says which elements, `[band][pixel]`, count. `None` where the
    /// references show no noise of photons: too few frames, no usable element, or a variance that does not grow with the signal.
    pub fn of(dark: &Reference, white: &Reference, used: impl Fn(usize) -> bool) -> Option<Self> {
        if dark.frames < LEAST_FRAMES || white.frames < LEAST_FRAMES {
            return None;
        }
        let squared = |value: f32| f64::from(value) * f64::from(value);
        let elements = white.mean.iter().zip(&dark.mean).zip(white.sd.iter().zip(&dark.sd)).enumerate();
        let elements = elements.filter(|(at, ((white, dark), (sd, _)))| used(*at) && white > dark && white.is_finite() && sd.is_finite());
        let (mut n, mut signals, mut squares, mut excess) = (0.0, 0.0, 0.0, 0.0);
        // Sums of the squared variances in the dark and in the light. The latter as a polynomial in the squared flicker.
        let (mut black_squares, mut bright_squares) = (0.0, [0.0; 3]);
        for (_, ((white, dark), (white_sd, dark_sd))) in elements {
            let (signal, bright, black) = (f64::from(*white) - f64::from(*dark), squared(*white_sd), squared(*dark_sd));
            n += 1.0;
            signals += signal;
            squares += signal * signal;
            excess += bright - black;
            black_squares += black * black;
            let by_flicker = signal * signal;
            let powers = [bright * bright, -2.0 * bright * by_flicker, by_flicker * by_flicker];
            bright_squares.iter_mut().zip(powers).for_each(|(sum, power)| *sum += power);
        }
        // The frames' levels change with the light, and with an offset that the dark frames show too.
        let common = (squared(white.level_sd) - squared(dark.level_sd)).max(0.0);
        let flicker = common.sqrt() * n / signals;
        let f = flicker * flicker;
        let gain = (excess - f * squares) / signals;
        // Variance of a variance over so many frames.
        let [of_dark, of_white] = [dark, white].map(|reference| 2.0 / f64::from(reference.frames - 1));
        let scatter = of_dark * black_squares + of_white * (bright_squares[0] + f * (bright_squares[1] + f * bright_squares[2]));
        let dark_noise = f64::from(dark.noise_of(used));
        (gain > 0.0 && gain.is_finite()).then(|| Self { gain, gain_u: scatter.max(0.0).sqrt() / signals, flicker, dark_noise })
    }

    /// Whether the gain differs from that of other references by more than `share`, and by more than chance explains.
    pub fn differs(&self, other: &Self, share: f64) -> bool {
        let difference = (self.gain - other.gain).abs();
        difference > share * other.gain && difference > 3.0 * self.gain_u.hypot(other.gain_u)
    }

    /// Signal-to-noise ratio of one element in one line, at the share `level` of the panel's light. The element's panel signal is
    /// `signal` counts and its noise in the dark `dark_sd` counts.
    pub fn snr(&self, level: f64, signal: f64, dark_sd: f64) -> f64 {
        let signal = level * signal;
        signal / (self.gain * signal + variance_in_dark(dark_sd)).sqrt()
    }
}

/// Variance of an element in the dark, counts². A standard deviation below that of rounding says no more than that.
pub(crate) fn variance_in_dark(dark_sd: f64) -> f64 {
    (dark_sd * dark_sd).max(ROUNDING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::Exposure;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    const ELEMENTS: usize = 40_000;

    /// A normal number, by Box and Muller.
    fn normal(random: &mut Pcg64) -> f64 {
        let [a, b] = [0; 2].map(|_| random.random::<f64>());
        (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// A reference over `frames` frames of a signal that rises over the elements up to `most` counts. The light of a frame is `light`.
    fn reference(frames: usize, most: f64, gain: f64, light: impl Fn(usize) -> f64) -> Reference {
        let random = &mut Pcg64::seed_from_u64(7 + frames as u64);
        let (mut mean, mut sd) = (Vec::new(), Vec::new());
        let mut levels = vec![0.0; frames];
        for at in 0..ELEMENTS {
            let counts: Vec<f64> = levels
                .iter_mut()
                .enumerate()
                .map(|(frame, level)| {
                    let signal = light(frame) * most * at as f64 / ELEMENTS as f64;
                    let count = (100.0 + signal + (gain * signal + 9.0).sqrt() * normal(random)).round();
                    *level += count / ELEMENTS as f64;
                    count
                })
                .collect();
            let average = counts.iter().sum::<f64>() / frames as f64;
            mean.push(average as f32);
            sd.push((counts.iter().map(|count| (count - average).powi(2)).sum::<f64>() / (frames - 1) as f64).sqrt() as f32);
        }
        let level = levels.iter().sum::<f64>() / frames as f64;
        let level_sd = (levels.iter().map(|one| (one - level).powi(2)).sum::<f64>() / (frames - 1) as f64).sqrt() as f32;
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        Reference { peak: mean.clone(), mean, sd, frames: frames as u32, level_sd, taken_ns: 0, temperature_c: None, exposure }
    }

    #[test]
    fn the_gain_is_found_whatever_the_light_does() {
        let dark = reference(20, 0.0, 0.0, |_| 1.0);
        for amplitude in [0.0, 0.02] {
            let white = reference(30, 3000.0, 0.021, |frame| 1.0 + amplitude * (2.1 * frame as f64).sin());
            let found = PhotonTransfer::of(&dark, &white, |_| true).unwrap();
            assert!((found.gain / 0.021 - 1.0).abs() < 0.02, "{amplitude}: {found:?}");
            assert!((found.dark_noise / 3.0 - 1.0).abs() < 0.05 && found.gain_u < 0.01 * found.gain, "{found:?}");
            assert!((found.flicker - amplitude / 2.0_f64.sqrt()).abs() < 0.002, "{amplitude}: {found:?}");
        }
    }

    #[test]
    fn a_gain_that_moved_is_told_from_chance() {
        let dark = reference(20, 0.0, 0.0, |_| 1.0);
        let gain = |gain: f64| PhotonTransfer::of(&dark, &reference(30, 3000.0, gain, |_| 1.0), |_| true).unwrap();
        let last = gain(0.021);
        assert!(gain(0.021 * 1.07).differs(&last, 0.05) && !gain(0.021 * 1.03).differs(&last, 0.05));
        let loose = PhotonTransfer { gain_u: 0.05 * last.gain, ..last };
        assert!(!PhotonTransfer { gain: 1.1 * last.gain, ..loose }.differs(&loose, 0.05));
    }

    #[test]
    fn without_noise_of_photons_there_is_no_gain() {
        let dark = reference(20, 0.0, 0.0, |_| 1.0);
        assert_eq!(PhotonTransfer::of(&dark, &Reference { frames: 1, ..dark.clone() }, |_| true), None);
        let still = Reference { sd: vec![0.0; ELEMENTS], ..reference(20, 3000.0, 0.021, |_| 1.0) };
        assert_eq!(PhotonTransfer::of(&dark, &still, |_| true), None);
        assert_eq!(PhotonTransfer::of(&dark, &dark, |_| false), None);
    }
}
