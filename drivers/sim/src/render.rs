//! From the scene to counts. Counts = dark + response * reflectance * light * exposure / reference, plus shot and read noise.

use crate::config::CameraConfig;
use crate::noise::{self, Deviates};
use crate::tray::Tray;
use rand::Rng;

/// Points per pixel, across and (while the belt moves) along.
const ACROSS: usize = 4;
const ALONG: usize = 4;
/// Read noise of a noisy element, in units of that of the others.
const NOISY: f64 = 20.0;

/// The detector and optics of one camera.
pub(crate) struct Sensor {
    pixels: usize,
    bands: usize,
    full: f32,
    /// Variance of the read noise.
    read: f32,
    /// Variance of the shot noise per count.
    shot: f32,
    offset_mm: f64,
    /// x of each point across, mm, [`ACROSS`] per pixel.
    x_mm: Vec<f64>,
    /// Reflectance, [band][material].
    spectra: Vec<f32>,
    materials: usize,
    /// Counts in the dark, [band][pixel].
    dark: Vec<f32>,
    /// Counts above dark for a reflectance of one at the reference exposure, [band][pixel].
    response: Vec<f32>,
    /// Elements that always give the same counts: index, counts.
    bad: Vec<(usize, u16)>,
    /// Indices of the elements with much read noise.
    noisy: Vec<usize>,
    deviates: Deviates,
    seed: u64,
}

/// The inputs of a frame besides the scene and the sensor.
pub(crate) struct Shot {
    /// Belt position, mm.
    pub belt_mm: f64,
    /// Motion of the belt from frame to frame, mm.
    pub pitch_mm: f64,
    /// Share of full light times exposure in units of the reference exposure. It is 0 with the shutter closed.
    pub light: f64,
    /// Counts above the dark level at the beginning.
    pub added_dark: f64,
    /// Seed of the noise.
    pub noise: u64,
}

/// Working memory for one stream. A frame allocates nothing.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The first material of each pixel and its weight.
    first: Vec<(u16, f32)>,
    /// Pixel, material and weight of the other materials in a pixel's view.
    more: Vec<(usize, u16, f32)>,
    /// Reflectance of one band.
    row: Vec<f32>,
}

/// Centres of the bands, nm.
pub(crate) fn wavelengths(config: &CameraConfig) -> Vec<f64> {
    contract::evenly_spaced(config.first_nm, config.last_nm, config.bands)
}

/// Counts at full scale.
pub(crate) fn full_scale(config: &CameraConfig) -> u16 {
    ((1_u32 << config.bits) - 1) as u16
}

impl Sensor {
    pub fn new(config: &CameraConfig, name: &str, tray: &Tray, seed: u64, panel: f64) -> Self {
        let seed = noise::hash(seed, &["camera", name]);
        let mut rng = noise::rng(seed);
        let (pixels, bands) = (config.pixels, config.bands);
        let full = f64::from(full_scale(config));
        // Smooth over bands (optics and detector) and pixels (vignetting), with 2 % from element to element.
        let mut response = Vec::with_capacity(bands * pixels);
        for band in 0..bands {
            let spectral = (band as f64 + 0.5) / bands as f64;
            let spectral = (-((spectral - 0.45) / 0.42).powi(2)).exp();
            for pixel in 0..pixels {
                let angle = 1.1 * (2.0 * (pixel as f64 + 0.5) / pixels as f64 - 1.0);
                response.push(spectral * (0.75 + 0.25 * angle.cos()) * (1.0 + 0.02 * noise::normal(&mut rng).clamp(-3.0, 3.0)));
            }
        }
        let brightest = response.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let scale = (0.9 * full - config.dark_level) / (brightest * panel.max(0.05));
        let response = response.into_iter().map(|r| (r * scale) as f32).collect();
        // A camera of this kind showed a fixed pattern of 4.4 counts at a dark level of 274.
        let dark = (0..bands * pixels).map(|_| (config.dark_level * (1.0 + 0.016 * noise::normal(&mut rng))) as f32).collect();
        let mut bad: Vec<(usize, u16)> = Vec::with_capacity(config.dead_elements + config.hot_elements);
        while bad.len() < config.dead_elements + config.hot_elements {
            let element = (rng.next_u64() % (bands * pixels) as u64) as usize;
            if bad.iter().all(|(taken, _)| *taken != element) {
                bad.push((element, if bad.len() < config.dead_elements { 0 } else { full as u16 }));
            }
        }
        let noisy = std::iter::repeat_with(|| (rng.next_u64() % (bands * pixels) as u64) as usize).take(config.noisy_elements).collect();
        let materials = tray.materials();
        let mut spectra = Vec::with_capacity(bands * materials);
        for wavelength in wavelengths(config) {
            spectra.extend((0..materials).map(|material| tray.reflectance(material as u16, wavelength) as f32));
        }
        let points = pixels * ACROSS;
        let x_mm = (0..points).map(|i| (i as f64 + 0.5) * config.field_of_view_mm / points as f64 + config.shift_mm).collect();
        Self {
            pixels,
            bands,
            full: full as f32,
            read: (config.read_noise * config.read_noise) as f32,
            shot: config.shot_noise_per_count as f32,
            offset_mm: config.offset_mm,
            x_mm,
            spectra,
            materials,
            dark,
            response,
            bad,
            noisy,
            deviates: Deviates::new(seed, pixels),
            seed,
        }
    }

    /// Memory for [`Sensor::render`].
    pub fn scratch(&self) -> Scratch {
        let more = Vec::with_capacity(self.x_mm.len() * ALONG);
        Scratch { first: vec![(0, 0.0); self.pixels], more, row: vec![0.0; self.pixels] }
    }

    /// The view of each pixel, averaged over its width and over `pitch_mm` of belt.
    fn look(&self, tray: &Tray, belt_mm: f64, pitch_mm: f64, scratch: &mut Scratch) {
        let along = if pitch_mm == 0.0 { 1 } else { ALONG };
        let weight = 1.0 / (ACROSS * along) as f32;
        scratch.more.clear();
        for (pixel, points) in self.x_mm.chunks_exact(ACROSS).enumerate() {
            let begin = scratch.more.len();
            let mut first: Option<(u16, f32)> = None;
            for step in 0..along {
                let y_mm = belt_mm - self.offset_mm + ((step as f64 + 0.5) / along as f64 - 0.5) * pitch_mm;
                for &x_mm in points {
                    let (material, brightness) = tray.material(x_mm, y_mm);
                    let share = weight * brightness;
                    match &mut first {
                        None => first = Some((material, share)),
                        Some((seen, sum)) if *seen == material => *sum += share,
                        Some(_) => match scratch.more[begin..].iter_mut().find(|(_, seen, _)| *seen == material) {
                            Some((.., sum)) => *sum += share,
                            None => scratch.more.push((pixel, material, share)),
                        },
                    }
                }
            }
            scratch.first[pixel] = first.unwrap_or((0, 0.0));
        }
    }

    /// Fills one frame, [band][pixel].
    pub fn render(&self, tray: &Tray, shot: &Shot, scratch: &mut Scratch, out: &mut [u16]) {
        let light = shot.light as f32;
        if light != 0.0 {
            self.look(tray, shot.belt_mm, shot.pitch_mm, scratch);
        }
        let mut rng = noise::rng(noise::mix(self.seed ^ noise::mix(shot.noise)));
        let (read, per_count, full) = (self.read, self.shot, self.full);
        let added = shot.added_dark as f32;
        for band in 0..self.bands {
            let from = band * self.pixels;
            if light != 0.0 {
                let spectrum = &self.spectra[band * self.materials..(band + 1) * self.materials];
                for (value, (material, weight)) in scratch.row.iter_mut().zip(&scratch.first) {
                    *value = spectrum[usize::from(*material)] * weight;
                }
                for (pixel, material, weight) in &scratch.more {
                    scratch.row[*pixel] += spectrum[usize::from(*material)] * weight;
                }
            } else {
                scratch.row.fill(0.0);
            }
            let here = from..from + self.pixels;
            let elements = out[here.clone()].iter_mut().zip(&scratch.row).zip(self.dark[here.clone()].iter().zip(&self.response[here]));
            for (((count, reflectance), (dark, response)), deviate) in elements.zip(self.deviates.row(rng.next_u64())) {
                let signal = response * reflectance * light;
                let value = dark + added + signal + deviate * (read + per_count * signal).max(0.0).sqrt();
                *count = (value + 0.5).clamp(0.0, full) as i32 as u16;
            }
        }
        for element in &self.noisy {
            let more = NOISY * f64::from(read.sqrt()) * noise::normal(&mut rng);
            out[*element] = (f64::from(out[*element]) + more).clamp(0.0, f64::from(full)) as u16;
        }
        for (element, count) in &self.bad {
            out[*element] = *count;
        }
    }
}
