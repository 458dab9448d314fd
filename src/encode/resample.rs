//! Resampling of spectra to the wavelengths of a model.

/// Linear interpolation from one set of wavelengths to another. Its weights are computed once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resampler {
    /// The measured band at or below each wanted band, and the weight of the band above.
    taps: Vec<(usize, f32)>,
}

impl Resampler {
    /// The interpolation from `measured` (nm, increasing) to `wanted` (nm).
    ///
    /// `None` means that a wanted wavelength lies outside the measured range.
    #[expect(clippy::cast_possible_truncation, reason = "weights lie between 0 and 1")]
    pub fn new(measured: &[f64], wanted: &[f64]) -> Option<Self> {
        let (first, last) = (*measured.first()?, *measured.last()?);
        let taps = wanted.iter().map(|&nm| {
            if !(first..=last).contains(&nm) {
                return None;
            }
            // No band lies above the last one, so the last one belongs to the interval before it.
            let i = measured.partition_point(|&m| m <= nm).saturating_sub(1).min(measured.len().saturating_sub(2));
            let above = measured.get(i + 1).copied().unwrap_or(first);
            let weight = if above > measured[i] { (nm - measured[i]) / (above - measured[i]) } else { 0.0 };
            Some((i, weight as f32))
        });
        Some(Self { taps: taps.collect::<Option<_>>()? })
    }

    /// Resamples a spectrum `[measured band]` into `out` `[wanted band]`.
    pub fn apply(&self, spectrum: &[f32], out: &mut [f32]) {
        for (value, &(i, weight)) in out.iter_mut().zip(&self.taps) {
            let above = spectrum[(i + 1).min(spectrum.len() - 1)];
            *value = spectrum[i] + weight * (above - spectrum[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_stays_one() {
        let measured = [400.0, 402.0, 405.0, 409.0];
        let wanted = [400.0, 401.0, 402.0, 404.0, 408.9, 409.0];
        let spectrum: Vec<f32> = measured.iter().map(|&nm| (nm * 0.5) as f32).collect();
        let mut out = [0.0; 6];
        Resampler::new(&measured, &wanted).unwrap().apply(&spectrum, &mut out);
        for (value, nm) in out.iter().zip(wanted) {
            assert!((f64::from(*value) - nm * 0.5).abs() < 1e-4, "{value} at {nm} nm");
        }
        assert_eq!((out[0], out[5]), (200.0, 204.5));
    }

    #[test]
    fn nothing_is_guessed_outside_the_range() {
        assert!(Resampler::new(&[400.0, 410.0], &[399.9]).is_none());
        assert!(Resampler::new(&[400.0, 410.0], &[410.1]).is_none());
        assert!(Resampler::new(&[], &[400.0]).is_none());
        let mut out = [0.0];
        Resampler::new(&[400.0], &[400.0]).unwrap().apply(&[0.25], &mut out);
        assert_eq!(out, [0.25]);
    }
}
