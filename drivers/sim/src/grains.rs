//! Ore as loose grains that differ from one to the next, as intimate mixtures by the theory of Kubelka and Munk.
//!
//! K/S of an opaque layer is (1 - R)² / 2R (Kubelka and Munk 1931). In an intimate mixture the K/S of the minerals add up by
//! their shares. Absorption goes with the light path within a grain. Scattering goes with the number of surfaces. K/S thus grows
//! with the size of the grains. Coarse ore is darker, and its bands are deeper until they saturate.

use crate::config::{Contents, GrainsConfig};
use crate::minerals::{MINERALS, mineral};
use crate::noise;
use rand_pcg::Pcg64Mcg;

/// The base of all plants' ore: names among [`MINERALS`] and shares.
const BASE: [(&str, f64); 7] = [
    ("quartz", 0.44),
    ("muscovite", 0.24),
    ("kaolinite", 0.11),
    ("chlorite", 0.10),
    ("gypsum", 0.05),
    ("alunite", 0.04),
    ("goethite", 0.02),
];

/// Absorption bands of liquid water (Kou et al. 1993, 10.1364/AO.32.003531). Each has a centre and a width (standard deviation),
/// nm, and a strength relative to the strongest band.
const WATER: [(f64, f64, f64); 4] = [(970.0, 30.0, 0.004), (1195.0, 40.0, 0.01), (1450.0, 55.0, 0.26), (1935.0, 60.0, 1.0)];

/// One kind of grains.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grain {
    /// Index of a mineral and share. The shares add up to 1.
    pub shares: Vec<(usize, f64)>,
    /// Light path in units of that in the laboratory records.
    path: f64,
    /// Light path of each mineral in units of `path`. It is 1 where there is none.
    paths: Vec<f64>,
    /// K/S of its water at 1935 nm.
    water: f64,
    brightness: f64,
}

fn index(name: &str) -> usize {
    MINERALS.iter().position(|mineral| mineral.name == name).unwrap_or(0)
}

impl Grain {
    /// A mixture, its light path in units of that in the laboratory records, and the K/S of its water at 1935 nm.
    pub fn mixed(shares: Vec<(usize, f64)>, paths: Vec<f64>, path: f64, water: f64) -> Self {
        Self { shares, path, paths, water, brightness: 1.0 }
    }

    /// The mean of a container's grains, and then `kinds` grains of it.
    pub fn of(seed: u64, contents: &Contents, fineness: f64, config: &GrainsConfig) -> Vec<Self> {
        let shift = |words: &[&str], spread: f64| {
            let mut rng = noise::rng(noise::hash(seed, words));
            BASE.map(|_| spread * noise::normal(&mut rng))
        };
        let plant = shift(&["plant", &contents.plant], config.plant_spread);
        let month = shift(&["month", &contents.month], config.month_spread);
        let mut rng = noise::rng(noise::hash(seed, &["grains", &contents.plant, &contents.month, &contents.size]));
        let path = config.path_ratio.powf(-0.5 * fineness);
        let mut logs = [0.0; BASE.len()];
        let mean: [f64; BASE.len()] = std::array::from_fn(|i| BASE[i].1.ln() + plant[i] + month[i]);
        let mut all = vec![Self { shares: shares(&mean), path, paths: Vec::new(), water: config.water, brightness: 1.0 }];
        for _ in 0..config.kinds {
            for (log, mean) in logs.iter_mut().zip(mean) {
                *log = mean + config.kind_spread * noise::normal(&mut rng);
            }
            let foreign = noise::unit(rand::Rng::next_u64(&mut rng)) < config.outliers;
            let mut grain = Self {
                shares: shares(&logs),
                path: path * spread(config.path_spread, &mut rng),
                paths: Vec::new(),
                water: config.water * spread(config.water_spread, &mut rng),
                brightness: spread(config.shade_spread, &mut rng).min(1.5),
            };
            if foreign {
                // A chip of any one mineral.
                let mineral = rand::Rng::next_u32(&mut rng) as usize % MINERALS.len();
                grain.shares = vec![(mineral, 1.0)];
            }
            all.push(grain);
        }
        all
    }

    /// Reflectance at a wavelength.
    pub fn reflectance(&self, wavelength_nm: f64) -> f64 {
        let minerals = self.shares.iter().enumerate().map(|(i, &(index, share))| {
            let r = mineral(index).reflectance(wavelength_nm, 1.0).clamp(0.01, 0.99);
            self.paths.get(i).unwrap_or(&1.0) * share * (1.0 - r) * (1.0 - r) / (2.0 * r)
        });
        let wet = WATER.iter().map(|(centre, width, strength)| strength * (-0.5 * ((wavelength_nm - centre) / width).powi(2)).exp());
        let k = self.path * minerals.sum::<f64>() + self.water * wet.sum::<f64>();
        (self.brightness * (1.0 + k - (k * k + 2.0 * k).sqrt())).clamp(0.01, 0.98)
    }
}

fn spread(sd: f64, rng: &mut Pcg64Mcg) -> f64 {
    (sd * noise::normal(rng)).exp()
}

fn shares(logs: &[f64]) -> Vec<(usize, f64)> {
    let sum: f64 = logs.iter().map(|log| log.exp()).sum();
    BASE.iter().zip(logs).map(|((name, _), log)| (index(name), log.exp() / sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(fineness: f64) -> Grain {
        let contents = Contents { plant: "P1".into(), month: "2018-07".into(), size: "M100".into() };
        Grain::of(1, &contents, fineness, &GrainsConfig::default()).remove(0)
    }

    #[test]
    fn coarse_grains_are_darker_and_their_bands_deeper() {
        let (coarse, fine) = (mean(-1.0), mean(1.0));
        let depth = |grain: &Grain| 1.0 - grain.reflectance(2207.0) / grain.reflectance(2120.0);
        assert!(coarse.reflectance(800.0) < 0.95 * fine.reflectance(800.0));
        assert!(depth(&coarse) > 1.1 * depth(&fine), "{} {}", depth(&coarse), depth(&fine));
    }

    #[test]
    fn grains_scatter_about_their_mean_and_come_again_with_the_seed() {
        let contents = Contents { plant: "P1".into(), month: "2018-07".into(), size: "M100".into() };
        let config = GrainsConfig { kinds: 200, outliers: 0.0, ..GrainsConfig::default() };
        let all = Grain::of(1, &contents, 0.0, &config);
        assert_eq!(all, Grain::of(1, &contents, 0.0, &config));
        let quartz = |grain: &Grain| grain.shares[0].1;
        let (low, high) = all[1..].iter().fold((1.0, 0.0_f64), |(low, high), g| (quartz(g).min(low), quartz(g).max(high)));
        assert!(low < quartz(&all[0]) && quartz(&all[0]) < high);
        assert!(all.iter().all(|grain| (grain.shares.iter().map(|s| s.1).sum::<f64>() - 1.0).abs() < 1e-12));
    }
}
