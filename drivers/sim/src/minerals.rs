//! Reflectance of minerals as absorption features on a continuum, and of the ores mixed from them.
//!
//! R(λ) = (level + slope * (λ - 1450 nm) / 1050 nm) * Π (1 - depth * exp(-((λ - centre) / width)² / 2)). The figures come from a
//! fit by least squares, from 400 to 2500 nm, to the laboratory records named. The records are those of the USGS Spectral Library
//! 7a (10.3133/ds1035, public domain). A test compares them again. Features below 400 and above 2500 nm stand for the flanks of
//! absorptions beyond the range.

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

/// A mineral by its index in [`MINERALS`]. The doped tile follows them.
pub(crate) fn mineral(index: usize) -> &'static Mineral {
    MINERALS.get(index).unwrap_or(&DOPED_TILE)
}

/// A tile of PTFE doped with oxides of rare earths. Its absorptions are made up. They lie near those of erbium, holmium and dysprosium.
pub const DOPED_TILE: Mineral = Mineral {
    name: "doped tile",
    record: "none",
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

/// The minerals that ores are mixed from.
pub const MINERALS: &[Mineral] = &[
    Mineral {
        name: "quartz",
        record: "quartz__04",
        level: 0.852,
        slope: 0.045,
        features: &[(1935.0, 73.0, 0.011), (2235.0, 100.0, 0.020)],
    },
    Mineral {
        name: "kaolinite",
        record: "kaolinite__05",
        level: 0.957,
        slope: 0.022,
        features: &[
            (200.0, 205.0, 0.349),
            (1375.0, 45.0, 0.098),
            (1404.0, 15.0, 0.163),
            (1812.0, 24.0, 0.023),
            (1928.0, 28.0, 0.026),
            (2171.0, 26.0, 0.223),
            (2207.0, 9.0, 0.224),
            (2316.0, 28.0, 0.046),
            (2377.0, 11.0, 0.041),
            (2850.0, 433.0, 0.701),
        ],
    },
    Mineral {
        name: "muscovite",
        record: "muscovite_sericite__04",
        level: 0.767,
        slope: 0.109,
        features: &[
            (200.0, 206.0, 0.518),
            (855.0, 351.0, 0.074),
            (1415.0, 12.0, 0.135),
            (1936.0, 43.0, 0.058),
            (2209.0, 19.0, 0.206),
            (2247.0, 18.0, 0.091),
            (2351.0, 27.0, 0.103),
            (2445.0, 50.0, 0.120),
            (2850.0, 475.0, 0.331),
        ],
    },
    Mineral {
        name: "calcite",
        record: "calcite__01",
        level: 0.912,
        slope: -0.019,
        features: &[
            (200.0, 214.0, 0.184),
            (1877.0, 31.0, 0.063),
            (1983.0, 37.0, 0.078),
            (2170.0, 46.0, 0.063),
            (2344.0, 16.0, 0.159),
            (2308.0, 47.0, 0.268),
            (2550.0, 80.0, 0.465),
        ],
    },
    Mineral {
        name: "chlorite",
        record: "chlorite__01",
        level: 0.660,
        slope: 0.215,
        features: &[
            (200.0, 185.0, 0.743),
            (698.0, 112.0, 0.118),
            (889.0, 48.0, 0.046),
            (1145.0, 222.0, 0.128),
            (1390.0, 13.0, 0.021),
            (1965.0, 71.0, 0.030),
            (2250.0, 12.0, 0.085),
            (2323.0, 26.0, 0.142),
            (2388.0, 21.0, 0.079),
            (2550.0, 226.0, 0.243),
        ],
    },
    Mineral {
        name: "alunite",
        record: "alunite__02",
        level: 0.855,
        slope: 0.021,
        features: &[
            (200.0, 156.0, 0.624),
            (1272.0, 16.0, 0.015),
            (1342.0, 23.0, 0.012),
            (1437.0, 8.0, 0.128),
            (1495.0, 7.0, 0.124),
            (1480.0, 40.0, 0.102),
            (1710.0, 18.0, 0.008),
            (1757.0, 20.0, 0.139),
            (1780.0, 10.0, 0.030),
            (1920.0, 31.0, 0.045),
            (2012.0, 38.0, 0.080),
            (2085.0, 36.0, 0.116),
            (2172.0, 33.0, 0.372),
            (2223.0, 11.0, 0.125),
            (2325.0, 16.0, 0.193),
            (2410.0, 29.0, 0.123),
            (2486.0, 59.0, 0.402),
            (2727.0, 500.0, 0.266),
        ],
    },
    Mineral {
        name: "gypsum",
        record: "gypsum__01",
        level: 0.951,
        slope: 0.040,
        features: &[
            (379.0, 74.0, 0.028),
            (994.0, 19.0, 0.024),
            (1208.0, 40.0, 0.084),
            (1448.0, 17.0, 0.232),
            (1440.0, 75.0, 0.208),
            (1490.0, 15.0, 0.160),
            (1536.0, 21.0, 0.123),
            (1580.0, 61.0, 0.153),
            (1742.0, 17.0, 0.070),
            (1764.0, 46.0, 0.226),
            (1948.0, 36.0, 0.508),
            (1952.0, 60.0, 0.415),
            (2086.0, 39.0, 0.093),
            (2177.0, 50.0, 0.219),
            (2218.0, 14.0, 0.095),
            (2266.0, 20.0, 0.098),
            (2419.0, 29.0, 0.296),
            (2491.0, 45.0, 0.454),
            (2550.0, 375.0, 0.546),
        ],
    },
    Mineral {
        name: "jarosite",
        record: "jarosite__00",
        level: 0.847,
        slope: 0.091,
        features: &[
            (380.0, 61.0, 0.900),
            (440.0, 11.0, 0.400),
            (480.0, 75.0, 0.573),
            (627.0, 55.0, 0.193),
            (819.0, 63.0, 0.136),
            (930.0, 94.0, 0.307),
            (1120.0, 169.0, 0.218),
            (1467.0, 9.0, 0.064),
            (1513.0, 53.0, 0.074),
            (1852.0, 15.0, 0.098),
            (1950.0, 36.0, 0.057),
            (2080.0, 100.0, 0.060),
            (2218.0, 37.0, 0.131),
            (2265.0, 13.0, 0.177),
            (2290.0, 17.0, 0.091),
            (2401.0, 22.0, 0.081),
            (2460.0, 33.0, 0.121),
            (2526.0, 41.0, 0.227),
            (2621.0, 500.0, 0.259),
        ],
    },
    Mineral {
        name: "hematite",
        record: "hematite__02",
        level: 0.391,
        slope: 0.128,
        features: &[
            (385.0, 54.0, 0.765),
            (475.0, 94.0, 0.851),
            (553.0, 50.0, 0.723),
            (661.0, 47.0, 0.480),
            (856.0, 104.0, 0.559),
            (2750.0, 286.0, 0.037),
            (1925.0, 58.0, 0.010),
        ],
    },
    Mineral {
        name: "goethite",
        record: "goethite__00",
        level: 0.389,
        slope: 0.029,
        features: &[
            (349.0, 121.0, 0.785),
            (411.0, 35.0, 0.291),
            (500.0, 73.0, 0.691),
            (620.0, 58.0, 0.335),
            (680.0, 50.0, 0.342),
            (780.0, 112.0, 0.245),
            (900.0, 138.0, 0.586),
            (1070.0, 115.0, 0.508),
            (1440.0, 100.0, 0.089),
            (1720.0, 112.0, 0.241),
            (1950.0, 100.0, 0.201),
            (2080.0, 154.0, 0.202),
            (2280.0, 97.0, 0.238),
            (2460.0, 111.0, 0.513),
            (2704.0, 254.0, 0.423),
        ],
    },
    Mineral {
        name: "epidote",
        record: "epidote__00",
        level: 0.703,
        slope: 0.180,
        features: &[
            (406.0, 31.0, 0.775),
            (472.0, 26.0, 0.530),
            (596.0, 81.0, 0.255),
            (815.0, 143.0, 0.046),
            (1053.0, 88.0, 0.129),
            (1553.0, 75.0, 0.042),
            (1834.0, 16.0, 0.016),
            (1975.0, 33.0, 0.008),
            (2258.0, 23.0, 0.173),
            (2334.0, 26.0, 0.439),
            (2672.0, 258.0, 0.208),
        ],
    },
];

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
