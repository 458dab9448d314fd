//! Reflectance of minerals as absorption features on a continuum, and of the ores mixed from them.
//!
//! R(λ) = (level + slope * (λ - 1450 nm) / 1050 nm) * Π (1 - depth * exp(-((λ - centre) / width)² / 2)). The figures come from a
//! fit by least squares, from 400 to 2500 nm, to the laboratory records named. The records are those of the USGS Spectral Library
//! 7a (10.3133/ds1035, public domain). A test compares them again. Features below 400 and above 2500 nm stand for the flanks of
//! absorptions beyond the range.
//!
//! [`MINERALS`] are those of the plants' ores. [`ORES`] are the others that a configuration may name. `minerals/fit.py` fits them.

mod ores;
mod plants;

pub use ores::ORES;
pub use plants::MINERALS;

use crate::config::Contents;
use crate::noise;
use rand::Rng;

/// One mineral.
#[derive(Debug, Clone, Copy)]
pub struct Mineral {
    /// The mineral's name.
    pub name: &'static str,
    /// The laboratory record of the fit.
    pub record: &'static str,
    /// Density, g/cm³, by the Handbook of Mineralogy.
    pub density: f64,
    /// Continuum at 1450 nm.
    pub level: f64,
    /// Rise of the continuum over 1050 nm.
    pub slope: f64,
    /// Centre nm, width nm (standard deviation) and depth of each absorption.
    pub features: &'static [(f64, f64, f64)],
}

impl Mineral {
    /// Reflectance at a wavelength, with the depth of every feature times `contrast`.
    pub fn reflectance(&self, wavelength_nm: f64, contrast: f64) -> f64 {
        let mut value = self.level + self.slope * (wavelength_nm - 1450.0) / 1050.0;
        for (centre, width, depth) in self.features {
            let z = (wavelength_nm - centre) / width;
            value *= 1.0 - (depth * contrast).min(0.95) * (-0.5 * z * z).exp();
        }
        value
    }
}

/// An ore: shares of minerals, and the contrast that its grain size gives them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ore {
    /// Index for [`mineral`] and share. The shares add up to 1.
    pub shares: Vec<(usize, f64)>,
    pub brightness: f64,
    pub contrast: f64,
}

/// Fineness of a grain size label, from -1 (coarse, about M100) to 1 (fine, about M200). A number in the label is read as a mesh.
/// Grains through a sieve ("minus100") are fine. Grains on a sieve ("plus100") are coarse.
pub(crate) fn fineness(size: &str) -> f64 {
    match size {
        _ if size.starts_with("minus") => return 1.0,
        _ if size.starts_with("plus") => return -1.0,
        _ => {}
    }
    let digits: String = size.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    match digits.parse::<f64>() {
        Ok(mesh) if mesh > 0.0 => ((mesh / 141.4).log2() * 2.0).clamp(-1.5, 1.5),
        _ => noise::unit(noise::hash(0, &[size])) * 2.0 - 1.0,
    }
}

impl Ore {
    /// The ore of a plant and month: three or four minerals, the same in every container that holds it. `grade` (-1 to 1) shifts
    /// the shares. The two halves of a segregated container are the grades -s and s.
    pub fn new(seed: u64, contents: &Contents, grade: f64) -> Self {
        let mut rng = noise::rng(noise::hash(seed, &["ore", &contents.plant, &contents.month]));
        let count = 3 + (rng.next_u32() % 2) as usize;
        let mut order: Vec<usize> = (0..MINERALS.len()).collect();
        for i in 0..count {
            let other = i + rng.next_u32() as usize % (order.len() - i);
            order.swap(i, other);
        }
        let mut shares: Vec<(usize, f64)> = order[..count].iter().map(|&m| (m, 0.25 + noise::unit(rng.next_u64()))).collect();
        for (i, (_, share)) in shares.iter_mut().enumerate() {
            *share *= 1.0 + 0.8 * grade * if i % 2 == 0 { 1.0 } else { -1.0 };
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
        let fine = fineness(&contents.size);
        Self { shares, brightness: 0.85 * (1.0 + 0.1 * fine), contrast: 1.0 - 0.2 * fine }
    }

    /// A doped tile in place of ore.
    pub fn tile() -> Self {
        Self { shares: vec![(MINERALS.len(), 1.0)], brightness: 1.0, contrast: 1.0 }
    }

    /// Reflectance of an areal mixture at a wavelength.
    pub fn reflectance(&self, wavelength_nm: f64) -> f64 {
        let mixed: f64 = self.shares.iter().map(|&(m, share)| share * mineral(m).reflectance(wavelength_nm, self.contrast)).sum();
        (self.brightness * mixed).clamp(0.02, 0.95)
    }
}

/// Those that are no minerals. They follow [`MINERALS`], and [`ORES`] follow them.
const FOREIGN: [&Mineral; 2] = [&DOPED_TILE, &POLYETHYLENE];

/// A mineral by its index.
pub(crate) fn mineral(index: usize) -> &'static Mineral {
    let foreign = || FOREIGN.get(index - MINERALS.len()).copied();
    let ores = || ORES.get(index - MINERALS.len() - FOREIGN.len());
    MINERALS.get(index).or_else(foreign).or_else(ores).unwrap_or(&DOPED_TILE)
}

/// The index of a mineral. Where [`MINERALS`] and [`ORES`] both have one of the name, that of [`ORES`] counts.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    (0..MINERALS.len() + FOREIGN.len() + ORES.len()).rev().find(|index| mineral(*index).name == name)
}

/// Every name that a configured ore may use, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = MINERALS.iter().chain(FOREIGN).chain(ORES).map(|mineral| mineral.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A tile of PTFE doped with oxides of rare earths. Its absorptions are made up. They lie near those of erbium, holmium and dysprosium.
pub const DOPED_TILE: Mineral = Mineral {
    name: "doped tile",
    record: "none",
    density: 2.16,
    level: 0.82,
    slope: -0.02,
    features: &[
        (487.0, 4.5, 0.30),
        (522.0, 4.5, 0.40),
        (653.5, 5.0, 0.35),
        (802.0, 6.0, 0.30),
        (890.0, 6.5, 0.30),
        (1257.0, 10.0, 0.35),
        (1534.0, 9.0, 0.45),
        (1680.0, 10.0, 0.40),
        (1933.0, 11.0, 0.45),
        (2215.0, 11.0, 0.35),
    ],
};

/// Granules of polyethylene, coloured by a blue pigment. Their absorptions are made up. They lie near those of CH, and the
/// pigment's near those of copper phthalocyanine.
pub const POLYETHYLENE: Mineral = Mineral {
    name: "polyethylene",
    record: "none",
    density: 0.95,
    level: 0.74,
    slope: -0.10,
    features: &[
        (330.0, 70.0, 0.85),
        (565.0, 38.0, 0.45),
        (622.0, 30.0, 0.80),
        (695.0, 28.0, 0.84),
        (1192.0, 14.0, 0.12),
        (1213.0, 10.0, 0.16),
        (1393.0, 12.0, 0.14),
        (1415.0, 12.0, 0.16),
        (1537.0, 16.0, 0.05),
        (1728.0, 9.0, 0.42),
        (1763.0, 10.0, 0.34),
        (1820.0, 25.0, 0.12),
        (2020.0, 28.0, 0.07),
        (2308.0, 9.0, 0.55),
        (2350.0, 10.0, 0.48),
        (2455.0, 40.0, 0.40),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(plant: usize, month: usize, size: &str) -> Contents {
        Contents { plant: format!("P{plant}"), month: format!("2018-{month:02}"), size: size.into() }
    }

    fn mean(ore: &Ore) -> f64 {
        (0..211).map(|i| ore.reflectance(400.0 + 10.0 * f64::from(i))).sum::<f64>() / 211.0
    }

    #[test]
    fn ores_are_brighter_than_the_tray_and_darker_than_the_panel() {
        for seed in 0..10 {
            for plant in 0..10 {
                for (month, size) in [(1, "M100"), (2, "M140"), (3, "M200"), (4, "coarse")] {
                    for grade in [-1.0, 0.0, 1.0] {
                        let level = mean(&Ore::new(seed, &contents(plant, month, size), grade));
                        assert!((0.08..0.85).contains(&level), "seed {seed} plant {plant} month {month} {size}: {level}");
                    }
                }
            }
        }
    }

    #[test]
    fn fine_ore_is_brighter_and_shallower_than_coarse() {
        let (coarse, fine) = (Ore::new(1, &contents(1, 7, "M100"), 0.0), Ore::new(1, &contents(1, 7, "M200"), 0.0));
        assert_eq!(coarse.shares, fine.shares, "the same plant and month are the same mixture");
        assert!(mean(&fine) > 1.1 * mean(&coarse));
        assert!(fine.contrast < coarse.contrast);
        assert_ne!(coarse.shares, Ore::new(1, &contents(2, 7, "M100"), 0.0).shares, "another plant is another mixture");
        assert_ne!(coarse.shares, Ore::new(1, &contents(1, 7, "M100"), 0.5).shares, "a grade is another mixture");
    }
}
