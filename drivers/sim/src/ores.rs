//! Ores of named minerals, laid out grain by grain.
//!
//! A container becomes a map of cells. Each cell has a material and a brightness. Cameras and the truth read the same map.
//!
//! Grains are the cells of a weighted Voronoi diagram about jittered points. The seed and the place of a container decide where they
//! lie. A mineral gets grains by its share of the volume, which is its share of the area (Delesse 1847). In an intimate mixture
//! K/S adds up by cross-section: the volume over the size of a mineral's grains. The light path stands for that size.

use crate::config::{MineralShare, OreConfig, OreTexture, VeinConfig};
use crate::grains::Grain;
use crate::minerals::{index_of, mineral};
use crate::noise;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Cells of a map per mm.
pub(crate) const CELLS_PER_MM: f64 = 4.0;

/// Light paths of the grains of one mineral, in units of their spread about the mean.
const PATHS: [f64; 3] = [-1.2, 0.0, 1.2];

/// The darkest and the brightest that shading makes a grain.
const SHADES: (f64, f64) = (0.3, 1.4);

/// Distance from the edge of a grain at which the gap beside it is half as dark, mm.
const GAP_MM: f64 = 0.25;

/// The extent of a container, mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub width_mm: f64,
    pub length_mm: f64,
}

/// The ore of one container.
pub(crate) struct OreMap {
    extent: Extent,
    gaps: f64,
    chips: Chips,
    veins: Vec<Vein>,
    /// Shares of the area and of the volume for each material of the ore.
    kinds: BTreeMap<u16, [Vec<(usize, f64)>; 2]>,
    columns: usize,
    /// Material and brightness of each cell, row by row. They are made when something looks at the ore.
    cells: OnceLock<Vec<(u16, f32)>>,
}

/// The materials of all ores, each once.
#[derive(Default)]
pub(crate) struct Materials {
    pub all: Vec<Grain>,
}

impl Materials {
    fn index(&mut self, grain: Grain) -> usize {
        self.all.iter().position(|known| *known == grain).unwrap_or_else(|| {
            self.all.push(grain);
            self.all.len() - 1
        })
    }
}

/// A mineral of an ore: its index, its share of the volume, and its light path in units of the ore's.
fn constituents(ore: &OreConfig) -> Vec<(usize, f64, f64)> {
    let of = |of: &MineralShare| index_of(&of.mineral).map(|index| (index, of.share / mineral(index).density, of.path));
    let all: Vec<_> = ore.minerals.iter().filter_map(of).collect();
    let sum: f64 = all.iter().map(|(_, volume, _)| volume).sum();
    all.into_iter().map(|(index, volume, path)| (index, volume / sum, path)).collect()
}

/// Shares of the mass, from shares of the volume.
pub(crate) fn masses(volumes: &[(usize, f64)]) -> Vec<(usize, f64)> {
    normal(volumes.iter().map(|&(index, share)| (index, share * mineral(index).density)).collect())
}

fn normal(mut shares: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    shares.iter_mut().for_each(|(_, share)| *share /= sum);
    shares
}

/// A grain: its point, its weight in the diagram, and its looks.
struct Chip {
    x_mm: f64,
    y_mm: f64,
    weight_mm2: f64,
    material: u16,
    brightness: f64,
    /// Slope of the brightness across and along, 1/mm.
    slope: (f64, f64),
}

/// Points of the grains on a grid of `grain_mm`, one cell beyond the container on each side.
struct Chips {
    columns: usize,
    pitch_mm: f64,
    all: Vec<Chip>,
}

impl Chips {
    fn new(seed: u64, ore: &OreConfig, extent: Extent, kinds: &[(f64, [u16; PATHS.len()])]) -> Self {
        let pitch_mm = ore.grain_mm;
        let cells = |mm: f64| (mm / pitch_mm).ceil() as usize + 2;
        let (columns, rows) = (cells(extent.width_mm), cells(extent.length_mm));
        let mut rng = noise::rng(seed);
        let mut unit = move || noise::unit(rand::Rng::next_u64(&mut rng));
        let mut all = Vec::with_capacity(columns * rows);
        for i in 0..columns * rows {
            let (column, row) = ((i % columns) as f64 - 1.0, (i / columns) as f64 - 1.0);
            let jitter = |unit: f64| 0.5 + 0.85 * (unit - 0.5);
            let (x_mm, y_mm) = ((column + jitter(unit())) * pitch_mm, (row + jitter(unit())) * pitch_mm);
            let weight_mm2 = (0.3 * pitch_mm).powi(2) * (2.0 * unit() - 1.0);
            let mut at = unit();
            let found = kinds.iter().find(|(share, _)| {
                at -= share;
                at < 0.0
            });
            let paths = found.or(kinds.last()).map_or([0; PATHS.len()], |(_, paths)| *paths);
            let material = paths[((unit() * PATHS.len() as f64) as usize).min(PATHS.len() - 1)];
            // The sum of two uniform deviates scatters like a normal one, without its far ends.
            let scatter = (unit() + unit() - 1.0) * 6.0_f64.sqrt();
            let (turn, tilt) = (std::f64::consts::TAU * unit(), ore.shade_spread * unit() / pitch_mm);
            let brightness = 1.0 + ore.shade_spread * scatter;
            all.push(Chip { x_mm, y_mm, weight_mm2, material, brightness, slope: (tilt * turn.cos(), tilt * turn.sin()) });
        }
        Self { columns, pitch_mm, all }
    }

    /// Material and brightness at a place of the container, mm.
    fn at(&self, x_mm: f64, y_mm: f64, gaps: f64) -> (u16, f64) {
        let cell = |mm: f64| (mm / self.pitch_mm).floor().max(0.0) as usize;
        let (column, row) = (cell(x_mm), cell(y_mm));
        let (mut nearest, mut next) = ((f64::MAX, 0), f64::MAX);
        for j in row..row + 3 {
            for i in column..(column + 3).min(self.columns) {
                let Some(chip) = self.all.get(j * self.columns + i) else { continue };
                let distance = (x_mm - chip.x_mm).powi(2) + (y_mm - chip.y_mm).powi(2) - chip.weight_mm2;
                if distance < nearest.0 {
                    next = nearest.0;
                    nearest = (distance, j * self.columns + i);
                } else {
                    next = next.min(distance);
                }
            }
        }
        let chip = &self.all[nearest.1];
        let shade = chip.brightness + chip.slope.0 * (x_mm - chip.x_mm) + chip.slope.1 * (y_mm - chip.y_mm);
        // Half the difference of the squares over the distance of the points is about the way to the edge.
        let edge_mm = (next - nearest.0) / (2.0 * self.pitch_mm);
        let gap = gaps / (1.0 + (edge_mm / GAP_MM).powi(2));
        (chip.material, shade.clamp(SHADES.0, SHADES.1) * (1.0 - gap))
    }
}

/// The course of a vein through a container.
struct Vein {
    through_mm: (f64, f64),
    along: (f64, f64),
    half_mm: f64,
    material: u16,
    phases: [f64; 4],
}

impl Vein {
    fn new(seed: u64, vein: &VeinConfig, extent: Extent, material: u16) -> Self {
        let (sin, cos) = vein.angle_deg.to_radians().sin_cos();
        let mut rng = noise::rng(seed);
        Self {
            through_mm: (vein.through.0 * extent.width_mm, vein.through.1 * extent.length_mm),
            along: (cos, sin),
            half_mm: vein.width_mm / 2.0,
            material,
            phases: std::array::from_fn(|_| std::f64::consts::TAU * noise::unit(rand::Rng::next_u64(&mut rng))),
        }
    }

    /// Whether a place lies in it. It winds by a quarter of its width and a millimetre, and its width varies by a quarter.
    fn holds(&self, x_mm: f64, y_mm: f64) -> bool {
        let (dx, dy) = (x_mm - self.through_mm.0, y_mm - self.through_mm.1);
        let (t, off) = (dx * self.along.0 + dy * self.along.1, dy * self.along.0 - dx * self.along.1);
        let wave = |period_mm: f64, phase: usize| (std::f64::consts::TAU * t / period_mm + self.phases[phase]).sin();
        let winding = (0.5 * self.half_mm + 1.0) * (0.7 * wave(37.0, 0) + 0.3 * wave(11.0, 1));
        let half = self.half_mm * (1.0 + 0.25 * (0.7 * wave(23.0, 2) + 0.3 * wave(7.0, 3)));
        (off - winding).abs() < half
    }
}

impl OreMap {
    /// The map of the ore in the container at `at`. `first` is the material that stands for the first of `materials`.
    pub fn new(seed: u64, at: &str, ore: &OreConfig, extent: Extent, first: u16, materials: &mut Materials) -> Self {
        let mut kinds = BTreeMap::new();
        let mut kind = |of: &[(usize, f64, f64)]| -> [u16; PATHS.len()] {
            let volumes = normal(of.iter().map(|&(index, volume, _)| (index, volume)).collect());
            let sections = normal(of.iter().map(|&(index, volume, path)| (index, volume / path)).collect());
            let paths: Vec<f64> = of.iter().map(|(.., path)| *path).collect();
            std::array::from_fn(|i| {
                let path = ore.path * (ore.path_spread * PATHS[i]).exp();
                let material = first + materials.index(Grain::mixed(sections.clone(), paths.clone(), path, ore.water)) as u16;
                kinds.insert(material, [sections.clone(), volumes.clone()]);
                material
            })
        };
        let all = constituents(ore);
        let of_grains: Vec<(f64, [u16; PATHS.len()])> = match ore.texture {
            OreTexture::Intimate => vec![(1.0, kind(&all))],
            OreTexture::Grains => all.iter().map(|of| (of.1, kind(&[*of]))).collect(),
        };
        let mut vein = |(i, vein): (usize, &VeinConfig)| {
            let material = kind(&[(index_of(&vein.mineral)?, 1.0, 1.0)])[1];
            Some(Vein::new(noise::hash(seed, &["vein", at, &i.to_string()]), vein, extent, material))
        };
        let veins = ore.veins.iter().enumerate().filter_map(&mut vein).collect();
        let chips = Chips::new(noise::hash(seed, &["ore", at]), ore, extent, &of_grains);
        let columns = count(extent.width_mm);
        Self { extent, gaps: ore.gaps, chips, veins, kinds, columns, cells: OnceLock::new() }
    }

    /// All cells, made at the first call.
    pub fn cells(&self) -> &[(u16, f32)] {
        self.cells.get_or_init(|| {
            let rows = count(self.extent.length_mm);
            let mut cells = Vec::with_capacity(self.columns * rows);
            for i in 0..self.columns * rows {
                let centre = |cell: usize| (cell as f64 + 0.5) / CELLS_PER_MM;
                let (x_mm, y_mm) = (centre(i % self.columns), centre(i / self.columns));
                let (material, brightness) = self.chips.at(x_mm, y_mm, self.gaps);
                // A vein goes through the rock, and is as dark between its grains.
                let vein = self.veins.iter().rev().find(|vein| vein.holds(x_mm, y_mm));
                cells.push((vein.map_or(material, |vein| vein.material), brightness as f32));
            }
            cells
        })
    }

    /// Material and brightness at a place of the container, mm from its corner.
    pub fn at(&self, x_mm: f64, y_mm: f64) -> (u16, f32) {
        let cells = self.cells();
        let (column, row) = ((x_mm * CELLS_PER_MM) as usize, (y_mm * CELLS_PER_MM) as usize);
        let cell = row * self.columns + column.min(self.columns - 1);
        cells[cell.min(cells.len() - 1)]
    }

    /// Share of each mineral in the area seen from above, largest first.
    pub fn area(&self) -> Vec<(usize, f64)> {
        largest_first(self.shares(0))
    }

    /// Share of each mineral in the mass, largest first.
    pub fn mass(&self) -> Vec<(usize, f64)> {
        largest_first(masses(&self.shares(1)))
    }

    /// Mean reflectance of the container at each of these wavelengths, given that of a material at a wavelength.
    pub fn mean(&self, wavelengths_nm: &[f64], reflectance: impl Fn(u16, f64) -> f64) -> Vec<f64> {
        let (light, cells) = (self.sums(f64::from), self.cells().len() as f64);
        let at = |nm: &f64| light.iter().map(|(material, light)| light * reflectance(*material, *nm)).sum::<f64>() / cells;
        wavelengths_nm.iter().map(at).collect()
    }

    /// Sum over the cells of each material, by the brightness of a cell.
    fn sums(&self, of: impl Fn(f32) -> f64) -> BTreeMap<u16, f64> {
        let mut sums: BTreeMap<u16, f64> = self.kinds.keys().map(|material| (*material, 0.0)).collect();
        // A grain is a run of cells in each row.
        for run in self.cells().chunk_by(|a, b| a.0 == b.0) {
            *sums.entry(run[0].0).or_default() += run.iter().map(|(_, brightness)| of(*brightness)).sum::<f64>();
        }
        sums
    }

    /// Shares of the minerals in the area (0) or in the volume (1).
    fn shares(&self, which: usize) -> Vec<(usize, f64)> {
        let mut sums = BTreeMap::<usize, f64>::new();
        for (material, count) in self.sums(|_| 1.0) {
            for (index, share) in self.kinds.get(&material).map_or(&[][..], |of| &of[which]) {
                *sums.entry(*index).or_default() += count * share;
            }
        }
        normal(sums.into_iter().filter(|(_, sum)| *sum > 0.0).collect())
    }
}

/// Cells that cover a length.
fn count(mm: f64) -> usize {
    (mm * CELLS_PER_MM).ceil() as usize
}

fn largest_first(mut shares: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}
