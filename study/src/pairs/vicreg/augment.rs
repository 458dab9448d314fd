//! Random changes of reflectance, as the rig and the weather make them.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Centre and standard deviation of the absorption bands of liquid water, nm.
const WATER: [(f64, f64); 2] = [(1450.0, 50.0), (1940.0, 60.0)];

/// `[vicreg.augment]`: strengths of the changes. A change of strength 0 is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Shade: standard deviation of the logarithm of a factor of all bands.
    pub shade: f64,
    /// Water: standard deviation of the depth of its bands at 1450 and 1940 nm, as a share of the reflectance.
    pub water: f64,
    /// Drift of the lamps: standard deviation of a tilt of the logarithm, from the first to the last band.
    pub tilt: f64,
    /// Noise of the sensor: standard deviation in each band, reflectance.
    pub noise: f64,
    /// Share of neighbouring bands that are hidden. They take their mean ln K/S.
    pub mask: f64,
}

impl Augment {
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let strengths = [
            (self.shade, "vicreg.augment.shade"),
            (self.water, "vicreg.augment.water"),
            (self.tilt, "vicreg.augment.tilt"),
            (self.noise, "vicreg.augment.noise"),
        ];
        match strengths.iter().find(|(strength, _)| !(0.0..=1.0).contains(strength)) {
            Some((_, key)) => Err((key, "from 0 to 1")),
            None if !(0.0..0.9).contains(&self.mask) => Err(("vicreg.augment.mask", "0 or more and below 0.9")),
            None => Ok(()),
        }
    }

    fn changes(&self) -> bool {
        [self.shade, self.water, self.tilt, self.noise].iter().any(|strength| *strength > 0.0)
    }

    /// Changes spectra `[row][band]` in place, reflectance.
    pub(super) fn change(&self, spectra: &mut [f32], wavelengths_nm: &[f64], random: &mut impl Rng) {
        if !self.changes() {
            return;
        }
        let (first, last) = (wavelengths_nm.first().copied().unwrap_or(0.0), wavelengths_nm.last().copied().unwrap_or(1.0));
        let span = (last - first).max(f64::MIN_POSITIVE);
        let along: Vec<f32> = wavelengths_nm.iter().map(|nm| ((nm - first) / span - 0.5) as f32).collect();
        let gauss = |nm: f64| WATER.iter().map(|(centre, width)| (-0.5 * ((nm - centre) / width).powi(2)).exp()).sum::<f64>();
        let water: Vec<f32> = wavelengths_nm.iter().map(|nm| gauss(*nm) as f32).collect();
        for spectrum in spectra.chunks_exact_mut(wavelengths_nm.len()) {
            let mut normal = |strength: f64| -> f32 {
                if strength > 0.0 { (strength * Distribution::<f64>::sample(&StandardNormal, random)) as f32 } else { 0.0 }
            };
            let (shade, depth, tilt) = (normal(self.shade), normal(self.water), normal(self.tilt));
            for ((value, along), water) in spectrum.iter_mut().zip(&along).zip(&water) {
                *value = *value * (shade + tilt * along - depth * water).exp() + normal(self.noise);
            }
        }
    }

    /// Hides bands of centred values `[row][band]`.
    pub(super) fn hide(&self, values: &mut [f32], bands: usize, random: &mut impl Rng) {
        let hidden = (self.mask * bands as f64).round() as usize;
        if hidden == 0 {
            return;
        }
        for spectrum in values.chunks_exact_mut(bands) {
            let first = random.random_range(0..=bands - hidden);
            spectrum[first..first + hidden].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    #[test]
    fn each_change_acts_where_it_should() {
        let nm: Vec<f64> = (0..22).map(|i| 400.0 + 100.0 * f64::from(i)).collect();
        let changed = |augment: Augment| {
            let mut spectra = vec![0.4_f32; 22 * 500];
            augment.change(&mut spectra, &nm, &mut Pcg64Mcg::seed_from_u64(1));
            spectra
        };
        let spread = |spectra: &[f32], band: usize| {
            let logs: Vec<f64> = spectra.chunks_exact(22).map(|s| f64::from(s[band] / 0.4).ln()).collect();
            (logs.iter().map(|l| l * l).sum::<f64>() / 500.0).sqrt()
        };
        assert!(changed(Augment::default()).iter().all(|value| *value == 0.4));
        let shade = changed(Augment { shade: 0.1, ..Augment::default() });
        assert!((spread(&shade, 0) - 0.1).abs() < 0.015 && shade.chunks_exact(22).all(|s| s[0] == s[21]));
        let water = changed(Augment { water: 0.1, ..Augment::default() });
        // 1400 nm is one width from the band at 1450 nm, and 700 nm is far from both.
        assert!((spread(&water, 10) - 0.1 * (-0.5_f64).exp()).abs() < 0.01 && spread(&water, 3) < 1e-6);
        let tilt = changed(Augment { tilt: 0.1, ..Augment::default() });
        assert!((spread(&tilt, 0) - 0.05).abs() < 0.01 && tilt.chunks_exact(22).all(|s| (s[0] * s[21] - 0.16).abs() < 1e-5));
        let noise = changed(Augment { noise: 0.01, ..Augment::default() });
        assert!((spread(&noise, 5) - 0.025).abs() < 0.004 && noise.chunks_exact(22).any(|s| s[0] != s[1]));
        let mut values = vec![1.0_f32; 44];
        Augment { mask: 0.25, ..Augment::default() }.hide(&mut values, 22, &mut Pcg64Mcg::seed_from_u64(1));
        assert!(values.chunks_exact(22).all(|s| s.iter().filter(|value| **value == 0.0).count() == 6));
        assert_eq!(Augment { noise: 2.0, ..Augment::default() }.check(), Err(("vicreg.augment.noise", "from 0 to 1")));
    }
}
