//! Pixels of a camera to pixels of the grid.

use crate::calibrate::{Spectra, Spectrum};

/// How a camera sees the tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldOfView {
    /// Pixels across.
    pub pixels: usize,
    /// Width of the view, mm.
    pub field_of_view_mm: f64,
    /// Where the view's edge lies on the tray, mm: pixel `p` sees `x = (p + 0.5) * field_of_view_mm / pixels + shift_mm`.
    pub shift_mm: f64,
}

impl FieldOfView {
    /// Width of a pixel, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub fn pixel_mm(&self) -> f64 {
        self.field_of_view_mm / self.pixels as f64
    }
}

/// What a camera pixel adds to a grid pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    /// The grid pixel.
    to: u32,
    weight: f32,
    /// Whether no camera pixel before this one adds to it.
    first: bool,
    /// Whether none after this one does.
    last: bool,
}

/// For each camera pixel the grid pixels over it and their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelWeights {
    /// Shares of all camera pixels, and for each camera pixel where its own begin, with one end.
    shares: Vec<Share>,
    begins: Vec<u32>,
    /// Whether the camera sees a grid pixel.
    sees: Vec<bool>,
}

impl PixelWeights {
    /// The weights for a grid of `width` pixels of `pixel_mm` whose pixel 0 has its centre at `x0_mm`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "pixel numbers are small and clamped to the detector"
    )]
    pub fn new(optics: FieldOfView, x0_mm: f64, pixel_mm: f64, width: usize) -> Self {
        let (mut all, mut sees) = (vec![Vec::new(); optics.pixels], vec![false; width]);
        let n = optics.pixels as f64;
        let ratio = pixel_mm / optics.pixel_mm();
        let mut weights: Vec<f32> = Vec::new();
        for (g, sees) in sees.iter_mut().enumerate() {
            weights.clear();
            // Centre of the grid pixel in camera pixels, pixel p reaching from p to p + 1.
            let centre = (x0_mm + g as f64 * pixel_mm - optics.shift_mm) / optics.pixel_mm();
            let mut first = 0;
            if (0.0..=n).contains(&(centre + 1e-9)) {
                if ratio > 1.0 + 1e-6 {
                    let (lo, hi) = ((centre - ratio / 2.0).max(0.0), (centre + ratio / 2.0).min(n));
                    first = (lo + 1e-9) as usize;
                    let last = ((hi - 1e-9).ceil() as usize).clamp(first + 1, optics.pixels);
                    weights.extend((first..last).map(|p| ((hi.min(p as f64 + 1.0) - lo.max(p as f64)) / (hi - lo)) as f32));
                } else {
                    let s = (centre - 0.5).clamp(0.0, n - 1.0);
                    first = s as usize;
                    let part = (s - first as f64) as f32;
                    if part <= 1e-6 {
                        weights.push(1.0);
                    } else if part >= 1.0 - 1e-6 {
                        first += 1;
                        weights.push(1.0);
                    } else {
                        weights.extend([1.0 - part, part]);
                    }
                }
            }
            *sees = !weights.is_empty();
            for (i, weight) in weights.iter().copied().enumerate() {
                all[first + i].push(Share { to: g as u32, weight, first: i == 0, last: i + 1 == weights.len() });
            }
        }
        let begins = std::iter::once(0).chain(all.iter().scan(0, |end, shares: &Vec<Share>| {
            *end += shares.len() as u32;
            Some(*end)
        }));
        Self { begins: begins.collect(), shares: all.concat(), sees }
    }

    /// Pixels of the grid.
    pub fn width(&self) -> usize {
        self.sees.len()
    }

    /// Whether the camera sees grid pixel `pixel`.
    pub fn sees(&self, pixel: usize) -> bool {
        self.sees[pixel]
    }
}

/// A line being laid on the grid; pixels that the camera does not see are left as they are.
pub struct Resampling<'a> {
    pub(super) across: &'a PixelWeights,
    /// Reflectance `[pixel][band]` on the grid.
    pub(super) values: &'a mut [f32],
    /// Mean over the bands of each pixel.
    pub(super) brightness: &'a mut [f32],
    pub(super) quality: &'a mut [u8],
}

impl Spectra for Resampling<'_> {
    #[inline(always)]
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
        let PixelWeights { shares, begins, .. } = self.across;
        let from = spectrum.values();
        let bands = from.len();
        for &Share { to, weight, first, last } in &shares[begins[pixel] as usize..begins[pixel + 1] as usize] {
            let to = to as usize;
            let out = &mut self.values[to * bands..(to + 1) * bands];
            if first && weight == 1.0 {
                out.copy_from_slice(from);
            } else if first {
                (0..bands).for_each(|i| out[i] = from[i] * weight);
            } else {
                (0..bands).for_each(|i| out[i] += from[i] * weight);
            }
            if last {
                self.brightness[to] = mean(out);
            }
            self.quality[to] = spectrum.quality() | if first { 0 } else { self.quality[to] };
        }
    }
}

/// Values that are added up side by side, in vector registers.
const SIDE_BY_SIDE: usize = 32;

/// Mean of the finite values of a spectrum; NaN where there is none.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a spectrum has far fewer than 2^24 bands")]
pub(crate) fn mean(spectrum: &[f32]) -> f32 {
    let mut sums = [0.0; SIDE_BY_SIDE];
    let blocks = spectrum.chunks_exact(SIDE_BY_SIDE);
    sums.iter_mut().zip(blocks.remainder()).for_each(|(sum, value)| *sum += value);
    for block in blocks {
        (0..SIDE_BY_SIDE).for_each(|i| sums[i] += block[i]);
    }
    // One after the other they would wait for each other, longer than all of the above takes.
    let [mut eight, mut two] = [[0.0; 8]; 2];
    (0..8).for_each(|i| eight[i] = (sums[i] + sums[i + 8]) + (sums[i + 16] + sums[i + 24]));
    (0..2).for_each(|i| two[i] = (eight[i] + eight[i + 2]) + (eight[i + 4] + eight[i + 6]));
    let sum = two[0] + two[1];
    if sum.is_finite() {
        return sum / spectrum.len() as f32;
    }
    let (sum, n) = spectrum.iter().filter(|value| value.is_finite()).fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / n
}
