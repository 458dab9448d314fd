//! The tray, the panel and their places, and the truth about them for comparisons.

use crate::config::{Contents, WorldConfig};
use crate::grains::Grain;
use crate::minerals::{Ore, fineness, mineral};
use crate::noise;
use crate::ores::{Extent, Materials, OreMap, masses};
use crate::truth::{ContainerTruth, MineralMap, MineralShares, Truth};
use std::collections::HashMap;

/// Reflectance of the empty tray and of the belt.
pub(crate) const BACKGROUND: f64 = 0.03;

/// Cells of the brightness texture per mm.
const CELLS_PER_MM: f64 = 4.0;

/// Index of the empty tray among the materials. The ores of its containers follow from 2 on.
const EMPTY: u16 = 0;
const PANEL: u16 = 1;

/// Row and column, from 0, of a place such as "B2".
pub(crate) fn place(at: &str) -> Option<(usize, usize)> {
    let (letter, number) = (at.chars().next()?, at.get(1..)?);
    let row = letter.is_ascii_uppercase().then(|| letter as usize - 'A' as usize)?;
    number.parse::<usize>().ok().filter(|n| *n > 0).map(|n| (row, n - 1))
}

fn name(row: usize, column: usize) -> String {
    format!("{}{}", (b'A' + (row % 26) as u8) as char, column + 1)
}

/// A camera above the belt: x of the middle of its line, and its distance to the belt, mm.
pub(crate) struct Eye {
    pub middle_mm: f64,
    pub distance_mm: f64,
}

struct Container {
    contents: Contents,
    /// Materials of the half with u <= v and of the other. u and v run from 0 to 1 across and along.
    halves: [u16; 2],
    /// Whether it holds a doped tile, which has no grains.
    tile: bool,
    /// The ore of named minerals in it, which has no halves.
    ore: Option<OreMap>,
}

/// The scene on the belt.
pub(crate) struct Tray {
    config: WorldConfig,
    pitch_across_mm: f64,
    width_mm: f64,
    length_mm: f64,
    tilt: (f64, f64),
    containers: Vec<Option<Container>>,
    ores: Vec<Material>,
}

/// The material in a container.
enum Material {
    Areal(Ore),
    Grain(Grain),
}

impl Material {
    fn reflectance(&self, wavelength_nm: f64) -> f64 {
        match self {
            Self::Areal(ore) => ore.reflectance(wavelength_nm),
            Self::Grain(grain) => grain.reflectance(wavelength_nm),
        }
    }

    fn shares(&self) -> &[(usize, f64)] {
        match self {
            Self::Areal(ore) => &ore.shares,
            Self::Grain(grain) => &grain.shares,
        }
    }
}

impl Tray {
    /// The scene of a configuration that was checked.
    pub fn new(config: &WorldConfig) -> Self {
        let tray = &config.tray;
        let pitch_across_mm = tray.pitch_across_mm.unwrap_or(config.field_mm / tray.columns as f64);
        let (sin, cos) = tray.tilt_deg.to_radians().sin_cos();
        let contents = if tray.contents.is_empty() { usual() } else { tray.contents.clone() };
        let missing: Vec<_> = tray.missing.iter().filter_map(|at| place(at)).collect();
        let mut ores: Vec<Material> = Vec::new();
        let mut known: HashMap<(Contents, usize), u16> = HashMap::new();
        let mut material = |contents: &Contents, half: usize| {
            // Both halves of a container that is not segregated are one material.
            let half = if config.segregation > 0.0 && config.grains.is_none() { half } else { 0 };
            *known.entry((contents.clone(), half)).or_insert_with(|| {
                let grade = config.segregation * if half == 0 { -1.0 } else { 1.0 };
                let first = PANEL + 1 + ores.len() as u16;
                match &config.grains {
                    Some(grains) => {
                        ores.extend(Grain::of(config.seed, contents, fineness(&contents.size), grains).into_iter().map(Material::Grain));
                    }
                    None => ores.push(Material::Areal(Ore::new(config.seed, contents, grade))),
                }
                first
            })
        };
        let tiles: Vec<_> = tray.tiles.iter().filter_map(|at| place(at)).collect();
        let mut containers = Vec::with_capacity(tray.rows * tray.columns);
        for i in 0..tray.rows * tray.columns {
            let contents = &contents[i % contents.len()];
            let at = (i / tray.columns, i % tray.columns);
            let (empty, tile) = (missing.contains(&at), tiles.contains(&at));
            // The tile is the last of the materials.
            let named = tray.ores.iter().any(|ore| ore.holds(at));
            let mut halves = || match (tile, named) {
                (true, _) => [u16::MAX; 2],
                (_, true) => [EMPTY; 2],
                _ => [material(contents, 0), material(contents, 1)],
            };
            containers.push((!empty).then(|| Container { contents: contents.clone(), halves: halves(), tile, ore: None }));
        }
        if containers.iter().flatten().any(|container| container.tile) {
            let last = PANEL + 1 + ores.len() as u16;
            ores.push(Material::Areal(Ore::tile()));
            containers.iter_mut().flatten().filter(|container| container.tile).for_each(|container| container.halves = [last; 2]);
        }
        let width_mm = tray.container_width_mm.unwrap_or(0.78 * pitch_across_mm);
        let first = PANEL + 1 + ores.len() as u16;
        let (extent, mut materials) = (Extent { width_mm, length_mm: tray.container_length_mm }, Materials::default());
        for ore in &tray.ores {
            for (row, column) in ore.at.iter().filter_map(|at| place(at)) {
                let container = containers.get_mut(row * tray.columns + column).and_then(Option::as_mut);
                let Some(container) = container.filter(|_| column < tray.columns) else { continue };
                container.ore = Some(OreMap::new(config.seed, &name(row, column), ore, extent, first, &mut materials));
            }
        }
        ores.extend(materials.all.into_iter().map(Material::Grain));
        Self {
            config: config.clone(),
            pitch_across_mm,
            width_mm,
            length_mm: tray.first_along_mm + tray.rows as f64 * tray.pitch_along_mm + 10.0,
            tilt: (sin, cos),
            containers,
            ores,
        }
    }

    /// Lays out the ores whose minerals are named, so that no frame waits for it.
    pub fn lay_out(&self) {
        for ore in self.containers.iter().flatten().filter_map(|container| container.ore.as_ref()) {
            ore.cells();
        }
    }

    /// Number of materials.
    pub fn materials(&self) -> usize {
        2 + self.ores.len()
    }

    /// Reflectance of a material at a wavelength.
    pub fn reflectance(&self, material: u16, wavelength_nm: f64) -> f64 {
        match material {
            EMPTY => BACKGROUND,
            PANEL => self.config.panel.reflectance_at(wavelength_nm),
            ore => self.ores[usize::from(ore) - 2].reflectance(wavelength_nm),
        }
    }

    fn centre(&self) -> (f64, f64) {
        (self.config.field_mm / 2.0, self.length_mm / 2.0)
    }

    /// Height of the surface above the belt, mm. The strip lies on the belt.
    fn height_mm(&self, x_mm: f64, y_mm: f64) -> f64 {
        let panel = &self.config.panel;
        match panel.lies_at(y_mm) {
            _ if self.on_strip(x_mm) => 0.0,
            true => panel.height_mm,
            false => self.config.tray.height_mm,
        }
    }

    fn on_strip(&self, x_mm: f64) -> bool {
        self.config.strip_mm.is_some_and(|(from, to)| (from..to).contains(&x_mm))
    }

    /// The material on a ray that would meet the belt at a place, and its brightness. A higher surface is met nearer to the middle,
    /// and has more light, as the inverse square of the lamps' distance.
    pub fn seen(&self, x_mm: f64, y_mm: f64, eye: &Eye) -> (u16, f32) {
        let height_mm = self.height_mm(x_mm, y_mm);
        if height_mm == 0.0 {
            return self.material(x_mm, y_mm);
        }
        let met_mm = eye.middle_mm + (x_mm - eye.middle_mm) * (1.0 - height_mm / eye.distance_mm);
        let (material, brightness) = self.scene(met_mm, y_mm);
        (material, brightness * self.light_at(height_mm) as f32)
    }

    /// Light at a height above the belt, as a share of that on the belt.
    pub fn light_at(&self, height_mm: f64) -> f64 {
        let distance_mm = self.config.lamp_distance_mm;
        (distance_mm / (distance_mm - height_mm)).powi(2)
    }

    /// Reflectance of the panel at a place across the belt, without dirt and shade, as a share of `panel.reflectance`.
    fn evenness_at(&self, x_mm: f64) -> f64 {
        let across = (x_mm / self.config.field_mm).clamp(0.0, 1.0);
        let across = if self.config.panel.turned { 1.0 - across } else { across };
        1.0 - self.config.panel.unevenness * (0.5 - 0.5 * (std::f64::consts::PI * across).cos())
    }

    /// True reflectance of the panel at a place across the belt, without dirt and shade.
    pub fn panel_at(&self, x_mm: f64) -> f64 {
        self.config.panel.reflectance * self.evenness_at(x_mm)
    }

    /// The material at a place, and its brightness there. x across the belt and y along the tray are nominal, mm.
    pub fn material(&self, x_mm: f64, y_mm: f64) -> (u16, f32) {
        if self.on_strip(x_mm) { (PANEL, 1.0) } else { self.scene(x_mm, y_mm) }
    }

    /// The material at a place beside the strip, and its brightness.
    fn scene(&self, x_mm: f64, y_mm: f64) -> (u16, f32) {
        let panel = &self.config.panel;
        if panel.lies_at(y_mm) {
            let within = |(from, to): (f64, f64), mm: f64| (from..to).contains(&mm);
            let dirt = panel.dirt.as_ref().filter(|dirt| within(dirt.x_mm, x_mm) && dirt.y_mm.is_none_or(|y| within(y, y_mm)));
            let shade = panel.shade.as_ref().filter(|shade| x_mm >= shade.from_x_mm);
            let left = (1.0 - dirt.map_or(0.0, |dirt| dirt.share)) * (1.0 - shade.map_or(0.0, |shade| shade.share));
            return (PANEL, (left * self.evenness_at(x_mm)) as f32);
        }
        let tray = &self.config.tray;
        let (cx, cy) = self.centre();
        let (dx, dy) = (x_mm - tray.shift_across_mm - cx, y_mm - tray.shift_along_mm - cy);
        let (sin, cos) = self.tilt;
        let (x, y) = (cx + dx * cos + dy * sin, cy - dx * sin + dy * cos);
        let texture = if self.config.texture > 0.0 {
            let (i, j) = ((x * CELLS_PER_MM).floor() as i64, (y * CELLS_PER_MM).floor() as i64);
            1.0 + self.config.texture as f32 * noise::at_place(self.config.seed, i, j)
        } else {
            1.0
        };
        let (material, brightness) = self.within(x, y);
        (material, brightness * texture)
    }

    /// The material at a place of the tray itself, and its brightness.
    fn within(&self, x: f64, y: f64) -> (u16, f32) {
        let tray = &self.config.tray;
        let (column, row) = ((x / self.pitch_across_mm).floor(), ((y - tray.first_along_mm) / tray.pitch_along_mm).floor());
        if column < 0.0 || row < 0.0 || column >= tray.columns as f64 || row >= tray.rows as f64 {
            return (EMPTY, 1.0);
        }
        let u = (x - column * self.pitch_across_mm - (self.pitch_across_mm - self.width_mm) / 2.0) / self.width_mm;
        let v = (y - tray.first_along_mm - row * tray.pitch_along_mm) / tray.container_length_mm;
        if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            return (EMPTY, 1.0);
        }
        match &self.containers[row as usize * tray.columns + column as usize] {
            Some(Container { ore: Some(ore), .. }) => ore.at(u * self.width_mm, v * tray.container_length_mm),
            Some(container) => {
                let first = container.halves[usize::from(u > v)];
                // The first material is the mean of the grains. Each cell of the tray holds one of the kinds after it.
                let grains = self.config.grains.as_ref().filter(|_| !container.tile);
                (first + grains.map_or(0, |grains| 1 + grains.kind_at(self.config.seed, x, y)), 1.0)
            }
            None => (EMPTY, 1.0),
        }
    }

    /// Minerals at a place of the belt and their shares. Nothing but a container's ore has any.
    pub fn minerals_at(&self, x_mm: f64, y_mm: f64) -> &[(usize, f64)] {
        match self.material(x_mm, y_mm).0 {
            EMPTY | PANEL => &[],
            ore => self.ores[usize::from(ore) - 2].shares(),
        }
    }

    /// The minerals on a grid of the belt over the tray.
    pub fn mineral_map(&self, pixel_mm: f64) -> MineralMap {
        MineralMap::new(self.config.field_mm, self.length_mm, pixel_mm, |x_mm, y_mm| self.minerals_at(x_mm, y_mm))
    }

    /// The real scene, with spectra at `wavelengths_nm`.
    pub fn truth(&self, wavelengths_nm: &[f64]) -> Truth {
        let tray = &self.config.tray;
        let (cx, cy) = self.centre();
        let (sin, cos) = self.tilt;
        let spectrum = |material: u16| wavelengths_nm.iter().map(|wl| self.reflectance(material, *wl)).collect::<Vec<_>>();
        let named = |shares: &[(usize, f64)]| shares.iter().map(|&(m, share)| (mineral(m).name, share)).collect::<Vec<_>>();
        let containers = self.containers.iter().enumerate().filter_map(|(i, container)| {
            let container = container.as_ref()?;
            let (row, column) = (i / tray.columns, i % tray.columns);
            let x = column as f64 * self.pitch_across_mm + (self.pitch_across_mm - self.width_mm) / 2.0;
            let y = tray.first_along_mm + row as f64 * tray.pitch_along_mm;
            let (dx, dy) = (x + self.width_mm / 2.0 - cx, y + tray.container_length_mm / 2.0 - cy);
            let half = |half: usize| {
                let material = container.halves[half];
                (spectrum(material), self.ores[usize::from(material) - 2].shares().to_vec())
            };
            let ((lower, in_lower), (upper, in_upper)) = match &container.ore {
                None => (half(0), half(1)),
                Some(ore) => {
                    let whole = (ore.mean(wavelengths_nm, |material, nm| self.reflectance(material, nm)), ore.area());
                    (whole.clone(), whole)
                }
            };
            let area = half_each(&in_lower, &in_upper);
            let mass = container.ore.as_ref().map_or_else(|| masses(&area), OreMap::mass);
            Some(ContainerTruth {
                row,
                column,
                at: name(row, column),
                contents: container.contents.clone(),
                x_mm: x + tray.shift_across_mm,
                y_mm: y + tray.shift_along_mm,
                width_mm: self.width_mm,
                length_mm: tray.container_length_mm,
                centre_x_mm: cx + tray.shift_across_mm + dx * cos - dy * sin,
                centre_y_mm: cy + tray.shift_along_mm + dx * sin + dy * cos,
                lower,
                upper,
                lower_minerals: named(&in_lower),
                upper_minerals: named(&in_upper),
                minerals: MineralShares { area: named(&area), mass: named(&mass) },
            })
        });
        Truth {
            seed: self.config.seed,
            wavelengths_nm: wavelengths_nm.to_vec(),
            field_mm: self.config.field_mm,
            tray_length_mm: self.length_mm,
            tilt_deg: tray.tilt_deg,
            texture: self.config.texture,
            background_reflectance: BACKGROUND,
            panel_start_mm: self.config.panel.start_mm,
            panel_end_mm: self.config.panel.end_mm,
            panel_reflectance: self.config.panel.reflectance,
            panel: spectrum(PANEL),
            panel_unevenness: self.config.panel.unevenness,
            panel_height_mm: self.config.panel.height_mm,
            tray_height_mm: tray.height_mm,
            containers: containers.collect(),
        }
    }
}

/// The mean of the shares in two halves of one size.
fn half_each(lower: &[(usize, f64)], upper: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = lower.iter().map(|&(index, share)| (index, share / 2.0)).collect();
    for &(index, share) in upper {
        match all.iter_mut().find(|(known, _)| *known == index) {
            Some((_, sum)) => *sum += share / 2.0,
            None => all.push((index, share / 2.0)),
        }
    }
    all
}

/// The usual contents of a tray: three sizes of two months of three plants.
fn usual() -> Vec<Contents> {
    let mut all = Vec::new();
    for plant in ["P1", "P2", "P3"] {
        for month in ["2018-06", "2018-07"] {
            for size in ["M100", "M140", "M200"] {
                all.push(Contents { plant: plant.into(), month: month.into(), size: size.into() });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_lie_where_the_truth_says_also_when_laid_askew() {
        let mut config = WorldConfig { segregation: 0.6, ..WorldConfig::default() };
        config.tray.missing = vec!["B2".into()];
        config.tray.tilt_deg = 3.0;
        config.tray.shift_along_mm = 4.0;
        config.tray.shift_across_mm = -2.0;
        let tray = Tray::new(&config);
        let truth = tray.truth(&[500.0, 2200.0]);
        assert_eq!(truth.containers.len(), 11);
        assert!(truth.containers.iter().all(|c| c.at != "B2"));
        for container in &truth.containers {
            for (along, half) in [(5.0, &container.lower), (-5.0, &container.upper)] {
                let (material, _) = tray.material(container.centre_x_mm, container.centre_y_mm + along);
                assert_eq!(tray.reflectance(material, 2200.0), half[1], "{} {along}", container.at);
            }
        }
        assert_eq!(tray.material(150.0, -40.0), (PANEL, 1.0));
        assert_eq!(tray.material(150.0, -100.0).0, EMPTY);
        assert_eq!(tray.material(150.0, truth.tray_length_mm + 20.0).0, EMPTY);
    }

    #[test]
    fn places_have_names() {
        assert_eq!(place("B2"), Some((1, 1)));
        assert_eq!(name(1, 1), "B2");
        assert_eq!((place("b2"), place("B0"), place("B"), place("")), (None, None, None, None));
    }
}
