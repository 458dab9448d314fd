//! The truth about a world and its cameras, for comparisons.

use crate::camera::Camera;
use crate::config::{CameraConfig, Contents};
use crate::minerals::mineral;
use crate::render::{Scratch, Sensor};
use crate::tray::Tray;
use serde::Serialize;

/// The real scene on the belt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Seed of the world.
    pub seed: u64,
    /// Wavelengths of every spectrum, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Width of the belt that the tray fills, mm.
    pub field_mm: f64,
    /// Length of the tray, mm.
    pub tray_length_mm: f64,
    /// Rotation of the tray about its centre, degrees, from x towards y.
    pub tilt_deg: f64,
    /// Standard deviation of the brightness from place to place, as a share.
    pub texture: f64,
    /// Reflectance of the empty tray and of the belt.
    pub background_reflectance: f64,
    /// Leading edge of the white panel, mm.
    pub panel_start_mm: f64,
    /// Trailing edge of the white panel, mm.
    pub panel_end_mm: f64,
    /// Reflectance of the white panel between its absorptions.
    pub panel_reflectance: f64,
    /// Reflectance of the white panel.
    pub panel: Vec<f64>,
    /// How much less the panel reflects at the far edge of the belt than at x = 0, as a share.
    pub panel_unevenness: f64,
    /// Height of the panel above the belt, mm.
    pub panel_height_mm: f64,
    /// Height of the tray and its ore above the belt, mm.
    pub tray_height_mm: f64,
    /// The containers, row by row. Places without one are left out.
    pub containers: Vec<ContainerTruth>,
}

/// The real contents of one place of the tray.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerTruth {
    /// Row along the belt, from 0.
    pub row: usize,
    /// Column across the belt, from 0.
    pub column: usize,
    /// Name of the place: row letter, column number.
    pub at: String,
    /// Its contents.
    pub contents: Contents,
    /// Its left edge, mm, after the tray's shift and before its rotation.
    pub x_mm: f64,
    /// Its leading edge, mm, after the tray's shift and before its rotation.
    pub y_mm: f64,
    /// Width across the belt, mm.
    pub width_mm: f64,
    /// Length along the belt, mm.
    pub length_mm: f64,
    /// Its centre, mm across, after the tray's shift and rotation.
    pub centre_x_mm: f64,
    /// Its centre, mm along, after the tray's shift and rotation.
    pub centre_y_mm: f64,
    /// Reflectance of the half at its left and trailing edges.
    pub lower: Vec<f64>,
    /// Reflectance of the half at its right and leading edges.
    pub upper: Vec<f64>,
    /// Minerals of the lower half and their shares.
    pub lower_minerals: Vec<(&'static str, f64)>,
    /// Minerals of the upper half and their shares.
    pub upper_minerals: Vec<(&'static str, f64)>,
    /// Minerals of the whole container. An ore of named minerals has the same in both halves.
    pub minerals: MineralShares,
}

/// Minerals and their shares. Each list adds up to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MineralShares {
    /// Shares of the area seen from above. In an intimate mixture they are those of the grains' cross-sections.
    pub area: Vec<(&'static str, f64)>,
    /// Shares of the mass, by the minerals' densities.
    pub mass: Vec<(&'static str, f64)>,
}

/// Minerals on a grid of the belt over the tray, [row][column]. Rows run along the belt, columns across it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MineralMap {
    /// Edge of a pixel, mm. The first one lies at x = 0 across and y = 0 along.
    pub pixel_mm: f64,
    /// Pixels along the belt.
    pub rows: usize,
    /// Pixels across the belt.
    pub columns: usize,
    /// Names of the minerals. The code of the first one is 1.
    pub minerals: Vec<&'static str>,
    /// Code of the mineral with the largest share of each pixel's area. It is 0 where no ore lies.
    pub code: Vec<u16>,
    /// Share of that mineral in the pixel's area.
    pub share: Vec<f32>,
}

impl MineralMap {
    /// Points of a pixel in a row and in a column.
    const POINTS: usize = 4;

    /// A map over `width_mm` of belt and `length_mm` of tray. `at` gives the minerals at a place, mm.
    pub(crate) fn new<'a>(width_mm: f64, length_mm: f64, pixel_mm: f64, at: impl Fn(f64, f64) -> &'a [(usize, f64)]) -> Self {
        let count = |mm: f64| (mm / pixel_mm).ceil() as usize;
        let (rows, columns) = (count(length_mm), count(width_mm));
        let mut map = Self { pixel_mm, rows, columns, minerals: Vec::new(), code: Vec::new(), share: Vec::new() };
        let mut seen: Vec<(usize, f64)> = Vec::new();
        let mut codes: Vec<usize> = Vec::new();
        for pixel in 0..rows * columns {
            seen.clear();
            for point in 0..Self::POINTS * Self::POINTS {
                let place = |pixel: usize, point: usize| (pixel as f64 + (point as f64 + 0.5) / Self::POINTS as f64) * pixel_mm;
                for &(index, share) in at(place(pixel % columns, point % Self::POINTS), place(pixel / columns, point / Self::POINTS)) {
                    match seen.iter_mut().find(|(known, _)| *known == index) {
                        Some((_, sum)) => *sum += share,
                        None => seen.push((index, share)),
                    }
                }
            }
            let most = seen.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
            let code = most.map_or(0, |&(index, _)| {
                1 + codes.iter().position(|known| *known == index).unwrap_or_else(|| {
                    codes.push(index);
                    codes.len() - 1
                })
            });
            map.code.push(code as u16);
            map.share.push(most.map_or(0.0, |(_, sum)| (sum / (Self::POINTS * Self::POINTS) as f64) as f32));
        }
        map.minerals = codes.into_iter().map(|index| mineral(index).name).collect();
        map
    }
}

/// The real optics and detector of a camera.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CameraTruth {
    /// Stated centres of the bands, nm.
    pub stated_nm: Vec<f64>,
    /// True centres in the first pixel, the middle of the line, and the last pixel, nm.
    pub true_nm: [Vec<f64>; 3],
    /// Place on the belt of each pixel in the first band: x across, and y ahead of the middle of the line, mm.
    pub first_band_mm: Vec<(f64, f64)>,
    /// The same in the last band.
    pub last_band_mm: Vec<(f64, f64)>,
    /// Point spread on the belt, full width at half maximum, mm.
    pub psf_mm: f64,
    /// Width of the bands, full width at half maximum, nm; 0 for bands that see their centre alone.
    pub fwhm_nm: f64,
    /// Bend of the response halfway to full scale, as a share of full scale.
    pub nonlinearity: f64,
    /// Stray light: shares of the mean of all, of the bands and of the pixels.
    pub stray_light: [f64; 3],
    /// Delay of a stamp behind the middle of the exposure, µs.
    pub latency_us: f64,
    /// Elements with telegraph noise: pixel and band.
    pub telegraph: Vec<(usize, usize)>,
    /// Height of their jumps, counts.
    pub telegraph_counts: f64,
}

impl Camera {
    /// The real optics and detector of this camera.
    pub fn truth(&self) -> CameraTruth {
        let (config, optics) = (self.config(), self.optics());
        let (last_pixel, last_band) = (config.pixels - 1, config.bands - 1);
        let bands = |wavelength: &dyn Fn(usize) -> f64| (0..config.bands).map(wavelength).collect::<Vec<_>>();
        let pixels = |band: usize| (0..config.pixels).map(|pixel| optics.place_mm(pixel, band)).collect::<Vec<_>>();
        CameraTruth {
            stated_nm: contract::evenly_spaced(config.first_nm, config.last_nm, config.bands),
            true_nm: [
                bands(&|band| optics.wavelength_nm(0, band)),
                bands(&|band| optics.wavelength_in_middle_nm(band)),
                bands(&|band| optics.wavelength_nm(last_pixel, band)),
            ],
            first_band_mm: pixels(0),
            last_band_mm: pixels(last_band),
            psf_mm: config.psf_mm,
            fwhm_nm: config.fwhm_nm.unwrap_or(0.0),
            nonlinearity: config.nonlinearity,
            stray_light: [config.stray_light, config.stray_light_bands, config.stray_light_pixels],
            latency_us: config.latency_us,
            telegraph: self.telegraph_elements().iter().map(|element| (element % config.pixels, element / config.pixels)).collect(),
            telegraph_counts: config.telegraph.as_ref().map_or(0.0, |telegraph| telegraph.counts),
        }
    }

    /// An ideal camera in the place of this one: the same pixels and stated bands, without errors of its optics, over a flat scene.
    pub fn ideal(&self) -> IdealCamera {
        let config = self.config();
        let effects = CameraConfig::default();
        let config = CameraConfig {
            psf_mm: effects.psf_mm,
            smile_nm: effects.smile_nm,
            keystone_px: effects.keystone_px,
            yaw_deg: effects.yaw_deg,
            wavelength_shift_nm: effects.wavelength_shift_nm,
            dispersion_error: effects.dispersion_error,
            ..config.clone()
        };
        let mut world = self.world().config.clone();
        (world.tray.height_mm, world.panel.height_mm, world.panel.unevenness) = (0.0, 0.0, 0.0);
        let tray = Tray::new(&world);
        let sensor = Sensor::new(&config, "ideal", &tray, world.seed, world.panel.reflectance);
        IdealCamera { scratch: sensor.scratch(), sensor, tray }
    }
}

/// A camera without errors of its optics, detector or light.
pub struct IdealCamera {
    sensor: Sensor,
    tray: Tray,
    scratch: Scratch,
}

impl IdealCamera {
    /// Reflectance that it sees of the belt at `belt_mm`, as `[band][pixel]`, without smear. Fills whole bands of `reflectance`.
    pub fn line(&mut self, belt_mm: f64, reflectance: &mut [f32]) {
        self.sensor.line(&self.tray, belt_mm, &mut self.scratch, reflectance);
    }
}
