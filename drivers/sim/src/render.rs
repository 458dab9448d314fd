//! From the scene to counts: what each pixel of a camera sees, band by band.

use crate::config::CameraConfig;
use crate::detector::Detector;
use crate::noise;
use crate::optics::{Along, Optics, Sampling, Spectra};
use crate::tray::{Eye, Tray};

/// The detector and optics of one camera.
pub(crate) struct Sensor {
    pub optics: Optics,
    pub detector: Detector,
    offset_mm: f64,
    sampling: Sampling,
    spectra: Spectra,
}

/// The inputs of a frame besides the scene and the sensor.
pub(crate) struct Shot<'a> {
    /// Belt position, mm.
    pub belt_mm: f64,
    /// Motion of the belt during the exposure, mm.
    pub smear_mm: f64,
    /// Share of full light times exposure in units of the reference exposure. It is 0 with the shutter closed.
    pub light: f64,
    /// Counts above the dark level at the beginning.
    pub added_dark: f64,
    /// Additional counts of each element with telegraph noise.
    pub telegraph: &'a [f64],
    /// Seed of the noise.
    pub noise: u64,
}

/// Working memory for one stream. A frame allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    along: Along,
    /// The first material of each cell and its weight.
    first: Vec<(u16, f32)>,
    /// Cell, material and weight of the other materials in a cell's view.
    more: Vec<(usize, u16, f32)>,
    /// Reflectance of one band in each cell, where cells are not pixels.
    cells: Vec<f32>,
    /// Reflectance, then signal of one band.
    row: Vec<f32>,
    /// Signal of the frame, [band][pixel], and a value for each pixel, where there is stray light.
    frame: Vec<f32>,
    sums: Vec<f32>,
}

/// Centres of the bands, nm.
pub(crate) fn wavelengths(config: &CameraConfig) -> Vec<f64> {
    contract::evenly_spaced(config.first_nm, config.last_nm, config.bands)
}

impl Sensor {
    pub fn new(config: &CameraConfig, name: &str, tray: &Tray, seed: u64, panel: f64) -> Self {
        tray.lay_out();
        let optics = Optics::new(config);
        let sampling = Sampling::new(&optics);
        let spectra = Spectra::new(config, &optics, &sampling.smile, tray.materials(), |material, nm| tray.reflectance(material, nm));
        Self {
            detector: Detector::new(config, noise::hash(seed, &["camera", name]), panel),
            offset_mm: config.offset_mm,
            optics,
            sampling,
            spectra,
        }
    }

    /// Memory for [`Sensor::render`].
    pub fn scratch(&self) -> Scratch {
        let (pixels, cells) = (self.detector.pixels, self.sampling.cells());
        let (frame, sums) = if self.detector.has_stray_light() { (pixels * self.detector.bands, pixels) } else { (0, 0) };
        Scratch {
            along: Along::with_room(),
            first: vec![(0, 0.0); cells],
            more: Vec::with_capacity(self.sampling.points.len() * 4),
            cells: if self.sampling.spread.is_some() { vec![0.0; cells] } else { Vec::new() },
            row: vec![0.0; pixels],
            frame: vec![0.0; frame],
            sums: vec![0.0; sums],
        }
    }

    /// The view of each cell, averaged over its width, over `smear_mm` of belt, and over the point spread along.
    fn look(&self, tray: &Tray, belt_mm: f64, smear_mm: f64, scratch: &mut Scratch) {
        let eye = Eye { middle_mm: self.optics.middle_mm(), distance_mm: self.optics.distance_mm() };
        let per_point = 1.0 / self.sampling.per_cell as f32;
        scratch.along.look_over(smear_mm, self.optics.psf_sigma_mm());
        scratch.more.clear();
        for (cell, points) in self.sampling.points.chunks_exact(self.sampling.per_cell).enumerate() {
            let begin = scratch.more.len();
            let mut first: Option<(u16, f32)> = None;
            for (step_mm, weight) in scratch.along.of(cell) {
                let y_mm = belt_mm - self.offset_mm + step_mm;
                for (x_mm, ahead_mm) in points {
                    let (material, brightness) = tray.seen(*x_mm, y_mm + ahead_mm, &eye);
                    let share = weight * per_point * brightness;
                    match &mut first {
                        None => first = Some((material, share)),
                        Some((seen, sum)) if *seen == material => *sum += share,
                        Some(_) => match scratch.more[begin..].iter_mut().find(|(_, seen, _)| *seen == material) {
                            Some((.., sum)) => *sum += share,
                            None => scratch.more.push((cell, material, share)),
                        },
                    }
                }
            }
            scratch.first[cell] = first.unwrap_or((0, 0.0));
        }
    }

    /// Reflectance of one band, after a look.
    fn reflectance(&self, band: usize, scratch: &mut Scratch) {
        let Scratch { first, more, cells, row, .. } = scratch;
        match &self.sampling.spread {
            None => self.spectra.cells(band, first, more, row),
            Some(spread) => {
                self.spectra.cells(band, first, more, cells);
                spread.pixels(band, cells, row);
            }
        }
    }

    /// Reflectance of a line that stands still, [band][pixel].
    pub fn line(&self, tray: &Tray, belt_mm: f64, scratch: &mut Scratch, out: &mut [f32]) {
        self.look(tray, belt_mm, 0.0, scratch);
        for (band, row) in out.chunks_exact_mut(self.detector.pixels).enumerate().take(self.detector.bands) {
            self.reflectance(band, scratch);
            row.copy_from_slice(&scratch.row);
        }
    }

    /// Fills one frame, [band][pixel].
    pub fn render(&self, tray: &Tray, shot: &Shot, scratch: &mut Scratch, out: &mut [u16]) {
        let (detector, light, added) = (&self.detector, shot.light as f32, shot.added_dark as f32);
        let lit = light != 0.0;
        if lit {
            self.look(tray, shot.belt_mm, shot.smear_mm, scratch);
        }
        let strays = lit && detector.has_stray_light();
        if strays {
            for band in 0..detector.bands {
                self.reflectance(band, scratch);
                detector.signal(band, light, &mut scratch.row);
                scratch.frame[band * detector.pixels..(band + 1) * detector.pixels].copy_from_slice(&scratch.row);
            }
            detector.add_stray_light(&mut scratch.frame, &mut scratch.sums);
        }
        let mut rng = detector.noise(shot.noise);
        for band in 0..detector.bands {
            let here = band * detector.pixels..(band + 1) * detector.pixels;
            if strays {
                scratch.row.copy_from_slice(&scratch.frame[here.clone()]);
            } else if lit {
                self.reflectance(band, scratch);
                detector.signal(band, light, &mut scratch.row);
            } else {
                scratch.row.fill(0.0);
            }
            detector.read(band, &mut scratch.row, added, &mut rng, &mut out[here]);
        }
        detector.single_elements(shot.telegraph, &mut rng, out);
    }
}
