//! Resampling of spectra to the wavelengths of a model.

use crate::reference::{may_interpolate, mend_limit_nm};

/// Linear interpolation from one set of wavelengths to another. Its weights are computed once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resampler {
    /// The measured bands at or below and above each wanted band, and the weight of the second. A band of weight 0 is not read.
    taps: Vec<(usize, usize, f32)>,
}

/// A wanted wavelength that cannot be interpolated, nm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unmeasured {
    /// It lies outside the measured range, or there is no measured band.
    Outside,
    /// The measured bands around it are too far apart.
    Between { wanted_nm: f64, bands_nm: (f64, f64), limit_nm: f64 },
}

/// Number of distances of bands on either side of a gap that tell how far apart bands are.
const NEAR: usize = 5;
/// Bands are neighbours up to this multiple of their typical distance.
const NEIGHBOURS: f64 = 1.5;

impl Resampler {
    /// The interpolation from `measured` (nm, increasing) to `wanted` (nm). `max_mend_nm` is that of `[calibrate]`.
    ///
    /// # Errors
    /// A wanted wavelength lies outside the measured range, or where bands are left out over more than the limit.
    #[expect(clippy::cast_possible_truncation, reason = "weights lie between 0 and 1")]
    pub fn new(measured: &[f64], wanted: &[f64], max_mend_nm: Option<f64>) -> Result<Self, Unmeasured> {
        let (Some(first), Some(last)) = (measured.first(), measured.last()) else { return Err(Unmeasured::Outside) };
        let taps = wanted.iter().map(|&nm| {
            if !(*first..=*last).contains(&nm) {
                return Err(Unmeasured::Outside);
            }
            let i = measured.partition_point(|&m| m <= nm).saturating_sub(1);
            // A wavelength of a band needs no other band. No band lies above the last one.
            let Some(&above) = measured.get(i + 1).filter(|above| **above > measured[i] && nm > measured[i]) else {
                return Ok((i, i, 0.0));
            };
            let limit_nm = gap_limit_nm(measured, i, max_mend_nm);
            if !may_interpolate(measured[i], above, limit_nm) {
                return Err(Unmeasured::Between { wanted_nm: nm, bands_nm: (measured[i], above), limit_nm });
            }
            Ok((i, i + 1, ((nm - measured[i]) / (above - measured[i])) as f32))
        });
        Ok(Self { taps: taps.collect::<Result<_, _>>()? })
    }

    /// The measured bands that are read, in rising order.
    pub fn reads(&self) -> Vec<usize> {
        let mut bands: Vec<usize> = self.taps.iter().flat_map(|&(below, above, _)| [below, above]).collect();
        bands.sort_unstable();
        bands.dedup();
        bands
    }

    /// Resamples a spectrum `[measured band]` into `out` `[wanted band]`.
    pub fn apply(&self, spectrum: &[f32], out: &mut [f32]) {
        for (value, &(below, above, weight)) in out.iter_mut().zip(&self.taps) {
            *value = spectrum[below] + weight * (spectrum[above] - spectrum[below]);
        }
    }
}

/// The largest distance of band `i` from the next one over which values are interpolated, nm.
fn gap_limit_nm(measured: &[f64], i: usize, max_mend_nm: Option<f64>) -> f64 {
    let distance = |at: usize| measured[at + 1] - measured[at];
    let near = (i.saturating_sub(NEAR)..(i + NEAR + 1).min(measured.len() - 1)).filter(|at| *at != i);
    let mut near: Vec<f64> = near.map(distance).collect();
    if near.is_empty() {
        // Two bands alone do not tell what is left out between them.
        return f64::INFINITY;
    }
    near.sort_unstable_by(f64::total_cmp);
    let typical = near[near.len() / 2];
    mend_limit_nm(&[0.0, typical], max_mend_nm).max(NEIGHBOURS * typical)
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
        Resampler::new(&measured, &wanted, None).unwrap().apply(&spectrum, &mut out);
        for (value, nm) in out.iter().zip(wanted) {
            assert!((f64::from(*value) - nm * 0.5).abs() < 1e-4, "{value} at {nm} nm");
        }
        assert_eq!((out[0], out[5]), (200.0, 204.5));
    }

    #[test]
    fn nothing_is_guessed_outside_the_range() {
        assert_eq!(Resampler::new(&[400.0, 410.0], &[399.9], None), Err(Unmeasured::Outside));
        assert_eq!(Resampler::new(&[400.0, 410.0], &[410.1], None), Err(Unmeasured::Outside));
        assert_eq!(Resampler::new(&[], &[400.0], None), Err(Unmeasured::Outside));
        let mut out = [0.0];
        Resampler::new(&[400.0], &[400.0], None).unwrap().apply(&[0.25], &mut out);
        assert_eq!(out, [0.25]);
    }

    #[test]
    fn nothing_is_guessed_where_bands_are_left_out() {
        let measured: Vec<f64> = (0..40).filter(|band| !(10..20).contains(band)).map(|band| 400.0 + 2.0 * f64::from(band)).collect();
        let at = |nm: f64, limit| Resampler::new(&measured, &[nm], limit);
        assert!(at(418.0, None).is_ok() && at(440.0, None).is_ok() && at(417.0, Some(0.0)).is_ok(), "on bands, and between neighbours");
        assert_eq!(at(425.0, None), Err(Unmeasured::Between { wanted_nm: 425.0, bands_nm: (418.0, 440.0), limit_nm: 9.0 }));
        assert!(at(425.0, Some(22.0)).is_ok() && at(425.0, Some(21.0)).is_err());
        // A band with weight 0 is not read.
        assert_eq!(Resampler::new(&measured, &[402.0, 405.0], None).unwrap().reads(), [1, 2, 3]);
        let mut out = [0.0];
        at(418.0, None).unwrap().apply(&[[0.5; 10].as_slice(), &[f32::NAN; 20]].concat(), &mut out);
        assert_eq!(out, [0.5]);
    }
}
