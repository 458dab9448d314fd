//! From light on a detector to counts. Counts = dark + response * reflectance * light * exposure / reference, with stray light and the
//! bend of the response, plus shot, read and telegraph noise.

use crate::config::{CameraConfig, Telegraph};
use crate::noise::{self, Deviates};
use rand::Rng;
use rand_pcg::Pcg64Mcg;

/// Read noise of a noisy element, in units of that of the others.
const NOISY: f64 = 20.0;

/// The detector of one camera.
pub(crate) struct Detector {
    pub pixels: usize,
    pub bands: usize,
    full: f32,
    /// Variance of the read noise.
    read: f32,
    /// Variance of the shot noise per count.
    shot: f32,
    /// Counts in the dark, [band][pixel].
    dark: Vec<f32>,
    /// Counts above dark for a reflectance of one at the reference exposure, [band][pixel].
    response: Vec<f32>,
    bend: Option<Bend>,
    stray: Option<Stray>,
    /// Elements that always give the same counts: index, counts.
    bad: Vec<(usize, u16)>,
    /// Indices of the elements with much read noise.
    noisy: Vec<usize>,
    /// Indices of the elements with telegraph noise.
    telegraph: Vec<usize>,
    deviates: Deviates,
    seed: u64,
}

/// A response that is not a straight line: s + 4 n s (1 - s / full), with s and full above dark, and n a share of full.
#[derive(Clone, Copy)]
struct Bend {
    /// 4 n.
    four: f32,
    full: f32,
}

/// Shares of means of the signal that every element gets.
#[derive(Clone, Copy)]
struct Stray {
    all: f32,
    bands: f32,
    pixels: f32,
}

/// Counts at full scale.
pub(crate) fn full_scale(config: &CameraConfig) -> u16 {
    ((1_u32 << config.bits) - 1) as u16
}

impl Detector {
    pub fn new(config: &CameraConfig, seed: u64, panel: f64) -> Self {
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
        let bend = Bend { four: 4.0 * config.nonlinearity as f32, full: (full - config.dark_level) as f32 };
        let stray =
            Stray { all: config.stray_light as f32, bands: config.stray_light_bands as f32, pixels: config.stray_light_pixels as f32 };
        Self {
            pixels,
            bands,
            full: full as f32,
            read: (config.read_noise * config.read_noise) as f32,
            shot: config.shot_noise_per_count as f32,
            dark,
            response,
            bend: (bend.four != 0.0).then_some(bend),
            stray: (stray.all != 0.0 || stray.bands != 0.0 || stray.pixels != 0.0).then_some(stray),
            bad,
            noisy,
            telegraph: telegraph(config.telegraph.as_ref(), bands * pixels, seed),
            deviates: Deviates::new(seed, pixels),
            seed,
        }
    }

    /// Indices of the elements with telegraph noise, ascending.
    pub fn telegraph(&self) -> &[usize] {
        &self.telegraph
    }

    /// Whether a signal depends on the rest of its frame.
    pub fn has_stray_light(&self) -> bool {
        self.stray.is_some()
    }

    /// Turns the reflectance of a band into its signal, counts above dark.
    pub fn signal(&self, band: usize, light: f32, row: &mut [f32]) {
        let response = &self.response[band * self.pixels..(band + 1) * self.pixels];
        for (value, response) in row.iter_mut().zip(response) {
            *value = response * *value * light;
        }
    }

    /// Adds stray light to the signal of a frame, [band][pixel]. `sums` is memory of one value for each pixel.
    pub fn add_stray_light(&self, frame: &mut [f32], sums: &mut [f32]) {
        let Some(stray) = self.stray else { return };
        sums.fill(0.0);
        for row in frame.chunks_exact(self.pixels) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        let mean = sums.iter().sum::<f32>() / frame.len() as f32;
        let by_bands = stray.bands / self.bands as f32;
        for row in frame.chunks_exact_mut(self.pixels) {
            let of_band = stray.all * mean + stray.pixels * row.iter().sum::<f32>() / self.pixels as f32;
            row.iter_mut().zip(sums.iter()).for_each(|(value, sum)| *value += of_band + by_bands * sum);
        }
    }

    /// The noise of a frame.
    pub fn noise(&self, frame: u64) -> Pcg64Mcg {
        noise::rng(noise::mix(self.seed ^ noise::mix(frame)))
    }

    /// Reads a band of the signal out. It bends the signal.
    pub fn read(&self, band: usize, signal: &mut [f32], added_dark: f32, rng: &mut Pcg64Mcg, out: &mut [u16]) {
        if let Some(Bend { four, full }) = self.bend {
            for value in signal.iter_mut().filter(|value| **value < full) {
                *value += four * *value * (1.0 - *value / full);
            }
        }
        let (read, per_count, full) = (self.read, self.shot, self.full);
        let elements = out.iter_mut().zip(signal).zip(&self.dark[band * self.pixels..(band + 1) * self.pixels]);
        for (((count, signal), dark), deviate) in elements.zip(self.deviates.row(rng.next_u64())) {
            let value = dark + added_dark + *signal + deviate * (read + per_count * *signal).max(0.0).sqrt();
            *count = (value + 0.5).clamp(0.0, full) as i32 as u16;
        }
    }

    /// Adds what single elements have of their own. `high` says of each element with telegraph noise how many counts it has more.
    pub fn single_elements(&self, high: &[f64], rng: &mut Pcg64Mcg, out: &mut [u16]) {
        let add = |count: &mut u16, more: f64| *count = (f64::from(*count) + more).clamp(0.0, f64::from(self.full)) as u16;
        for element in &self.noisy {
            add(&mut out[*element], NOISY * f64::from(self.read.sqrt()) * noise::normal(rng));
        }
        for (element, counts) in self.telegraph.iter().zip(high) {
            add(&mut out[*element], counts.round());
        }
        for (element, count) in &self.bad {
            out[*element] = *count;
        }
    }
}

/// A choice of elements of a detector, ascending.
fn telegraph(config: Option<&Telegraph>, elements: usize, seed: u64) -> Vec<usize> {
    let Some(config) = config else { return Vec::new() };
    let chosen = |element: &usize| noise::unit(noise::mix(seed ^ noise::mix(!(*element as u64)))) < config.share;
    (0..elements).filter(chosen).collect()
}

/// The states of the elements with telegraph noise in one stream. Each jumps at random times that no other element knows.
pub(crate) struct TelegraphStates {
    pub config: Telegraph,
    rng: Pcg64Mcg,
    /// The next jump of each element, ns, and whether it is up.
    elements: Vec<(i64, bool)>,
    /// Additional counts of each element.
    pub counts: Vec<f64>,
}

impl TelegraphStates {
    /// The states of `elements` elements from `start_ns` on.
    pub fn new(config: Telegraph, elements: usize, start_ns: i64, seed: u64) -> Self {
        let mut states = Self { config, rng: noise::rng(seed), elements: Vec::with_capacity(elements), counts: vec![0.0; elements] };
        for _ in 0..elements {
            let up = states.rng.next_u64() & 1 == 1;
            let next_ns = start_ns.saturating_add(states.wait_ns());
            states.elements.push((next_ns, up));
        }
        states
    }

    /// The time from one jump to the next, ns: exponentially distributed.
    fn wait_ns(&mut self) -> i64 {
        (-(1.0 - noise::unit(self.rng.next_u64())).ln() / self.config.hz * 1e9) as i64
    }

    /// Goes on to `time_ns`. Before the noise has begun, it adds nothing.
    pub fn go_to(&mut self, time_ns: i64, begun: bool) {
        for i in 0..self.elements.len() {
            let (mut next_ns, mut up) = self.elements[i];
            while next_ns <= time_ns {
                next_ns = next_ns.saturating_add(self.wait_ns().max(1));
                up = !up;
            }
            self.elements[i] = (next_ns, up);
            self.counts[i] = if up && begun { self.config.counts } else { 0.0 };
        }
    }
}
