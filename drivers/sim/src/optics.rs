//! What each element of a camera looks at: its place on the belt and its wavelength. The point spread and the bands' responses.

use crate::config::CameraConfig;

/// Points per pixel across.
pub(crate) const ACROSS: usize = 4;
/// Half the extent of a Gaussian that is reckoned with, in standard deviations.
const REACH: f64 = 3.5;
/// Steps of a keystone shift per point, to which it is rounded: 1/256 of a pixel.
const PHASES: usize = 64;
/// Standard deviation of a Gaussian in units of its full width at half maximum: 1 / sqrt(8 ln 2).
const SIGMA: f64 = 0.424_660_900_144_009_5;

/// True places and wavelengths of a camera's elements. The configured view of a camera and its stated wavelengths are those of
/// the middle, without the errors of its optics.
#[derive(Debug, Clone, PartialEq)]
pub struct Optics {
    pixels: usize,
    bands: usize,
    /// Stated centres of the bands, nm.
    stated_nm: Vec<f64>,
    width_mm: f64,
    shift_mm: f64,
    smile_nm: f64,
    keystone_px: f64,
    yaw_rad: f64,
    wavelength_shift_nm: f64,
    dispersion_error: f64,
    psf_mm: f64,
    distance_mm: f64,
}

impl Optics {
    pub(crate) fn new(config: &CameraConfig) -> Self {
        Self {
            pixels: config.pixels,
            bands: config.bands,
            stated_nm: contract::evenly_spaced(config.first_nm, config.last_nm, config.bands),
            width_mm: config.field_of_view_mm,
            shift_mm: config.shift_mm,
            smile_nm: config.smile_nm,
            keystone_px: config.keystone_px,
            yaw_rad: config.yaw_deg.to_radians(),
            wavelength_shift_nm: config.wavelength_shift_nm,
            dispersion_error: config.dispersion_error,
            psf_mm: config.psf_mm,
            distance_mm: config.distance_mm,
        }
    }

    /// x of the middle of the line, mm.
    pub fn middle_mm(&self) -> f64 {
        self.shift_mm + self.width_mm / 2.0
    }

    /// Distance of the camera to the belt, mm.
    pub fn distance_mm(&self) -> f64 {
        self.distance_mm
    }

    /// Place of a point of the line across, from -1 to 1 between the edges of the view.
    fn across(&self, pixel: f64) -> f64 {
        2.0 * pixel / self.pixels as f64 - 1.0
    }

    /// Place of a band in the range, from -0.5 to 0.5.
    fn of_range(&self, band: usize) -> f64 {
        if self.bands > 1 { band as f64 / (self.bands - 1) as f64 - 0.5 } else { 0.0 }
    }

    /// Keystone of an element, pixels: how far it looks to the right of its pixel.
    fn keystone_of(&self, pixel: usize, band: usize) -> f64 {
        self.keystone_px * self.of_range(band) * self.across(pixel as f64 + 0.5)
    }

    /// True place on the belt of the centre of an element: x across, and y ahead of the middle of the line, mm.
    pub fn place_mm(&self, pixel: usize, band: usize) -> (f64, f64) {
        let at = pixel as f64 + 0.5 + self.keystone_of(pixel, band);
        self.turned(self.shift_mm + at * self.width_mm / self.pixels as f64)
    }

    /// x and y of a point of the line after its rotation by the yaw, mm.
    fn turned(&self, x_mm: f64) -> (f64, f64) {
        if self.yaw_rad == 0.0 {
            return (x_mm, 0.0);
        }
        let (sin, cos) = self.yaw_rad.sin_cos();
        let from_middle = x_mm - self.middle_mm();
        (self.middle_mm() + from_middle * cos, from_middle * sin)
    }

    /// True wavelength of the centre of an element, nm.
    pub fn wavelength_nm(&self, pixel: usize, band: usize) -> f64 {
        self.wavelength_in_middle_nm(band) + self.smile_nm * self.across(pixel as f64 + 0.5).powi(2)
    }

    /// True wavelength of a band in the middle of the line, nm.
    pub(crate) fn wavelength_in_middle_nm(&self, band: usize) -> f64 {
        let stated = self.stated_nm[band];
        let middle = (self.stated_nm[0] + self.stated_nm[self.bands - 1]) / 2.0;
        stated + self.wavelength_shift_nm + self.dispersion_error * (stated - middle)
    }

    /// Standard deviation of the point spread, mm.
    pub(crate) fn psf_sigma_mm(&self) -> f64 {
        self.psf_mm * SIGMA
    }

    /// Whether the elements of a pixel look at different places, or beyond their pixel.
    fn spreads(&self) -> bool {
        self.keystone_px != 0.0 || self.psf_mm != 0.0
    }

    /// Share of the way from the smile's middle to its edge, 0 to 1, for a point of the line.
    fn smile_at(&self, pixel: f64) -> f64 {
        self.across(pixel).powi(2)
    }
}

/// The points of a line at which the scene is looked at, and how they make up pixels.
pub(crate) struct Sampling {
    /// x and y of each point, mm. y counts from the middle of the line.
    pub points: Vec<(f64, f64)>,
    /// Points per cell. A cell is a pixel, or a point where elements of a pixel look at different places.
    pub per_cell: usize,
    /// Smile of each cell as a share of that at the edge.
    pub smile: Vec<f32>,
    /// How cells make up pixels, where they are not pixels themselves.
    pub spread: Option<Spread>,
}

impl Sampling {
    pub fn new(optics: &Optics) -> Self {
        let spread = optics.spreads().then(|| Spread::new(optics));
        let margin = spread.as_ref().map_or(0, |spread| spread.margin);
        let points = optics.pixels * ACROSS;
        let at = |i: usize| (i as f64 + 0.5 - margin as f64) * optics.width_mm / points as f64 + optics.shift_mm;
        let per_cell = if spread.is_some() { 1 } else { ACROSS };
        let cells = (points + 2 * margin) / per_cell;
        let centre = |cell: usize| ((cell as f64 + 0.5) * per_cell as f64 - margin as f64) / ACROSS as f64;
        Self {
            points: (0..points + 2 * margin).map(|i| optics.turned(at(i))).collect(),
            per_cell,
            smile: (0..cells).map(|cell| optics.smile_at(centre(cell)).min(1.0) as f32).collect(),
            spread,
        }
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.smile.len()
    }
}

/// The point spread across and the keystone: what each cell adds to an element.
pub(crate) struct Spread {
    /// Cells beyond each edge of the line.
    margin: usize,
    /// Cells of a kernel.
    taps: usize,
    /// Weights of cells, for each phase of a shift by parts of a cell: [phase][tap].
    kernels: Vec<f32>,
    /// First cell and phase of each element, [band][pixel].
    at: Vec<(u32, u8)>,
    pixels: usize,
}

impl Spread {
    fn new(optics: &Optics) -> Self {
        let cell_mm = optics.width_mm / (optics.pixels * ACROSS) as f64;
        let sigma = optics.psf_sigma_mm() / cell_mm;
        let reach = (REACH * sigma).ceil() as usize;
        let shift = (optics.keystone_px.abs() / 2.0 * ACROSS as f64).ceil() as usize;
        let margin = reach + shift + 1;
        // A pixel is as wide as ACROSS cells. One that is shifted by a part of a cell sees parts of one more.
        let taps = ACROSS + 1 + 2 * reach;
        let spread: Vec<f64> = (0..=2 * reach).map(|i| gauss(i as f64 - reach as f64, sigma)).collect();
        let sum: f64 = spread.iter().sum();
        let mut kernels = Vec::with_capacity(PHASES * taps);
        for phase in 0..PHASES {
            let part = phase as f64 / PHASES as f64;
            let mut kernel = vec![0.0; taps];
            for (i, weight) in spread.iter().enumerate() {
                for cell in 0..=ACROSS {
                    let seen = if cell == 0 {
                        1.0 - part
                    } else if cell == ACROSS {
                        part
                    } else {
                        1.0
                    };
                    kernel[i + cell] += weight / sum * seen / ACROSS as f64;
                }
            }
            kernels.extend(kernel.into_iter().map(|weight| weight as f32));
        }
        let mut at = Vec::with_capacity(optics.bands * optics.pixels);
        for band in 0..optics.bands {
            for pixel in 0..optics.pixels {
                let cell = pixel as f64 + optics.keystone_of(pixel, band);
                let steps = ((cell * ACROSS as f64 + (margin - reach) as f64) * PHASES as f64).round() as usize;
                at.push(((steps / PHASES) as u32, (steps % PHASES) as u8));
            }
        }
        Self { margin, taps, kernels, at, pixels: optics.pixels }
    }

    /// Makes the pixels of a band from its cells.
    pub fn pixels(&self, band: usize, cells: &[f32], pixels: &mut [f32]) {
        let at = &self.at[band * self.pixels..(band + 1) * self.pixels];
        for (pixel, (first, phase)) in pixels.iter_mut().zip(at) {
            let kernel = &self.kernels[usize::from(*phase) * self.taps..][..self.taps];
            *pixel = kernel.iter().zip(&cells[*first as usize..]).map(|(weight, cell)| weight * cell).sum();
        }
    }
}

/// A Gaussian, 1 at 0. One without width is 1 there and 0 elsewhere.
fn gauss(at: f64, sigma: f64) -> f64 {
    if sigma == 0.0 { f64::from(u8::from(at == 0.0)) } else { (-0.5 * (at / sigma).powi(2)).exp() }
}

/// Offsets along the belt, mm, and weights, at which a line is looked at.
#[derive(Default)]
pub(crate) struct Along {
    /// The steps of one cell after those of another. Cells take them in turn.
    steps: Vec<(f64, f32)>,
    per_cell: usize,
}

impl Along {
    /// Steps over the way of the belt during an exposure.
    const SMEAR: usize = 4;
    /// Most steps over the point spread, to each side.
    const MOST: usize = 32;

    /// Memory for any smear and point spread.
    pub fn with_room() -> Self {
        Self { steps: Vec::with_capacity(ACROSS * (2 * Self::MOST + 1)), per_cell: 1 }
    }

    /// Looks over `smear_mm` of belt, through a point spread with this standard deviation, mm.
    pub fn look_over(&mut self, smear_mm: f64, sigma_mm: f64) {
        self.steps.clear();
        let count = if smear_mm == 0.0 { 1 } else { Self::SMEAR };
        let smear = |step: usize| ((step as f64 + 0.5) / count as f64 - 0.5) * smear_mm;
        if sigma_mm == 0.0 {
            self.per_cell = count;
            self.steps.extend((0..count).map(|step| (smear(step), 1.0 / count as f32)));
            return;
        }
        let reach = REACH * sigma_mm + smear_mm.abs() / 2.0;
        let half = ((reach / (0.5 * sigma_mm)).ceil() as usize).min(Self::MOST);
        self.per_cell = 2 * half + 1;
        // The cells of a pixel look between the steps of each other, so that the edges of the scene stay smooth.
        for cell in 0..ACROSS {
            let begin = self.steps.len();
            let shift = (cell as f64 + 0.5) / ACROSS as f64 - 0.5;
            for i in 0..=2 * half {
                let at = (i as f64 + shift - half as f64) / half as f64 * reach;
                let weight: f64 = (0..count).map(|step| gauss(at - smear(step), sigma_mm)).sum();
                self.steps.push((at, weight as f32));
            }
            let sum: f32 = self.steps[begin..].iter().map(|(_, weight)| weight).sum();
            self.steps[begin..].iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
    }

    /// The steps of a cell.
    pub fn of(&self, cell: usize) -> &[(f64, f32)] {
        let begin = cell * self.per_cell % self.steps.len();
        &self.steps[begin..begin + self.per_cell]
    }
}

/// Reflectance of every material in every band, through the bands' responses, along the smile.
pub(crate) struct Spectra {
    /// [band][knot][material].
    table: Vec<f32>,
    materials: usize,
    /// Knots of the smile from the middle to the edge; 1 without one.
    knots: usize,
    /// The knot before each cell, and the share of the next one.
    at: Vec<(u32, f32)>,
}

/// Largest distance of the knots of a smile, nm. A mineral's narrowest feature is 8 nm wide, and its error then below 0.0001.
const KNOT_NM: f64 = 0.25;

impl Spectra {
    /// `reflectance` is that of a material at a wavelength in nm.
    pub fn new(config: &CameraConfig, optics: &Optics, smile: &[f32], materials: usize, reflectance: impl Fn(u16, f64) -> f64) -> Self {
        let knots = if config.smile_nm == 0.0 { 1 } else { (config.smile_nm.abs() / KNOT_NM).ceil() as usize + 1 };
        let mut centres = Vec::with_capacity(config.bands * knots);
        for band in 0..config.bands {
            let middle = optics.wavelength_in_middle_nm(band);
            centres.extend((0..knots).map(|knot| middle + config.smile_nm * knot as f64 / (knots.max(2) - 1) as f64));
        }
        let mut table = vec![0.0; centres.len() * materials];
        for material in 0..materials {
            let fill = table.iter_mut().skip(material).step_by(materials).zip(&centres);
            match config.fwhm_nm {
                None => fill.for_each(|(value, centre)| *value = reflectance(material as u16, *centre) as f32),
                Some(fwhm_nm) => {
                    let fine = Fine::new(&centres, fwhm_nm, |nm| reflectance(material as u16, nm));
                    fill.for_each(|(value, centre)| *value = fine.through(*centre) as f32);
                }
            }
        }
        let last = (knots.max(2) - 2) as f32;
        let place = |share: &f32| {
            let at = share * (knots - 1) as f32;
            let knot = at.floor().min(last);
            (knot as u32, at - knot)
        };
        Self { table, materials, knots, at: smile.iter().map(place).collect() }
    }

    /// Reflectance of a band in each cell: of its first material, and of the others as (cell, material, weight).
    pub fn cells(&self, band: usize, first: &[(u16, f32)], more: &[(usize, u16, f32)], cells: &mut [f32]) {
        let band = &self.table[band * self.knots * self.materials..(band + 1) * self.knots * self.materials];
        if self.knots == 1 {
            for (value, (material, weight)) in cells.iter_mut().zip(first) {
                *value = band[usize::from(*material)] * weight;
            }
            for (cell, material, weight) in more {
                cells[*cell] += band[usize::from(*material)] * weight;
            }
            return;
        }
        let seen = |(knot, share): (u32, f32), material: u16| {
            let here = knot as usize * self.materials + usize::from(material);
            band[here] + share * (band[here + self.materials] - band[here])
        };
        for ((value, (material, weight)), at) in cells.iter_mut().zip(first).zip(&self.at) {
            *value = seen(*at, *material) * weight;
        }
        for (cell, material, weight) in more {
            cells[*cell] += seen(self.at[*cell], *material) * weight;
        }
    }
}

/// A finely sampled spectrum.
struct Fine {
    from_nm: f64,
    step_nm: f64,
    sigma_nm: f64,
    values: Vec<f64>,
}

impl Fine {
    fn new(centres: &[f64], fwhm_nm: f64, reflectance: impl Fn(f64) -> f64) -> Self {
        let sigma_nm = fwhm_nm * SIGMA;
        let step_nm = (sigma_nm / 3.0).min(0.5);
        let (low, high) = centres.iter().fold((f64::MAX, f64::MIN), |(low, high), nm| (low.min(*nm), high.max(*nm)));
        let from_nm = low - REACH * sigma_nm - step_nm;
        let count = ((high - low + 2.0 * REACH * sigma_nm) / step_nm).ceil() as usize + 3;
        Self { from_nm, step_nm, sigma_nm, values: (0..count).map(|i| reflectance(from_nm + i as f64 * step_nm)).collect() }
    }

    /// The mean of the spectrum under a Gaussian response.
    fn through(&self, centre_nm: f64) -> f64 {
        let at = |nm: f64| ((nm - self.from_nm) / self.step_nm).max(0.0);
        let first = at(centre_nm - REACH * self.sigma_nm).ceil() as usize;
        let last = (at(centre_nm + REACH * self.sigma_nm).floor() as usize).min(self.values.len() - 1);
        let (mut sum, mut weights) = (0.0, 0.0);
        for i in first..=last {
            let weight = gauss(self.from_nm + i as f64 * self.step_nm - centre_nm, self.sigma_nm);
            sum += weight * self.values[i];
            weights += weight;
        }
        sum / weights
    }
}
