//! Weights of a camera's pixels in the pixels of the grid.

use crate::calibrate::{Spectra, Spectrum};

/// The strip across the tray that a camera sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldOfView {
    /// Pixels across.
    pub pixels: usize,
    /// Width of the field of view on the tray, mm.
    pub field_of_view_mm: f64,
    /// Position of the view's edge on the tray, mm. Pixel `p` sees `x = (p + 0.5) * field_of_view_mm / pixels + shift_mm`.
    pub shift_mm: f64,
}

impl FieldOfView {
    /// Width of a camera pixel on the tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub fn pixel_mm(&self) -> f64 {
        self.field_of_view_mm / self.pixels as f64
    }
}

/// The share of a camera pixel in a grid pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    /// The grid pixel.
    to: u32,
    weight: f32,
    /// Whether this camera pixel is the first that adds to the grid pixel.
    first: bool,
    /// Whether this camera pixel is the last that adds to it.
    last: bool,
}

/// The weight of each camera pixel in the grid pixels that it covers.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelWeights {
    /// Shares of all camera pixels, in the order of the camera pixels.
    shares: Vec<Share>,
    /// Index of each camera pixel's first share, and the number of shares at the end.
    begins: Vec<u32>,
    /// Whether the camera sees each grid pixel.
    sees: Vec<bool>,
}

impl PixelWeights {
    /// The weights for a grid of `width` pixels of `pixel_mm` mm. The centre of grid pixel 0 lies at `x0_mm`.
    ///
    /// Each grid pixel is the area-weighted mean of smaller camera pixels. Larger camera pixels are interpolated linearly.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "pixel numbers are small and clamped to the detector"
    )]
    pub fn new(view: FieldOfView, x0_mm: f64, pixel_mm: f64, width: usize) -> Self {
        let (mut all, mut sees) = (vec![Vec::new(); view.pixels], vec![false; width]);
        let n = view.pixels as f64;
        let ratio = pixel_mm / view.pixel_mm();
        let mut weights: Vec<f32> = Vec::new();
        for (g, sees) in sees.iter_mut().enumerate() {
            weights.clear();
            // The centre of the grid pixel in units of camera pixels. Camera pixel p reaches from p to p + 1.
            let centre = (x0_mm + g as f64 * pixel_mm - view.shift_mm) / view.pixel_mm();
            let mut first = 0;
            if (0.0..=n).contains(&(centre + 1e-9)) {
                if ratio > 1.0 + 1e-6 {
                    let (lo, hi) = ((centre - ratio / 2.0).max(0.0), (centre + ratio / 2.0).min(n));
                    first = (lo + 1e-9) as usize;
                    let last = ((hi - 1e-9).ceil() as usize).clamp(first + 1, view.pixels);
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

    /// Number of grid pixels across.
    pub fn width(&self) -> usize {
        self.sees.len()
    }

    /// Camera pixel, grid pixel, and the weight of the one in the other, in the order of the camera pixels.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let of = |(camera, range): (usize, &[u32])| (camera, &self.shares[range[0] as usize..range[1] as usize]);
        self.begins
            .windows(2)
            .enumerate()
            .map(of)
            .flat_map(|(camera, shares)| shares.iter().map(move |share| (camera, share.to as usize, share.weight)))
    }

    /// Whether the camera sees grid pixel `pixel`.
    pub fn sees(&self, pixel: usize) -> bool {
        self.sees[pixel]
    }
}

/// A line that is being resampled onto the grid. Grid pixels outside the field of view keep their values.
pub struct Resampling<'a> {
    pub(super) weights: &'a PixelWeights,
    /// Reflectance `[pixel][band]` on the grid.
    pub(super) values: &'a mut [f32],
    /// Mean over the bands `[pixel]`.
    pub(super) brightness: &'a mut [f32],
    /// Flags `[pixel]`.
    pub(super) quality: &'a mut [u8],
}

impl Spectra for Resampling<'_> {
    #[inline(always)]
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
        let PixelWeights { shares, begins, .. } = self.weights;
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

/// Number of partial sums. They are kept side by side in vector registers.
const SIDE_BY_SIDE: usize = 32;

/// Mean of the finite values of a spectrum. The mean is NaN where no value is finite.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a spectrum has far fewer than 2^24 bands")]
pub(crate) fn mean(spectrum: &[f32]) -> f32 {
    let mut sums = [0.0; SIDE_BY_SIDE];
    let blocks = spectrum.chunks_exact(SIDE_BY_SIDE);
    sums.iter_mut().zip(blocks.remainder()).for_each(|(sum, value)| *sum += value);
    for block in blocks {
        (0..SIDE_BY_SIDE).for_each(|i| sums[i] += block[i]);
    }
    // A tree of sums: a chain of 32 dependent additions takes longer than all of the above.
    let [mut eight, mut two] = [[0.0; 8]; 2];
    (0..8).for_each(|i| eight[i] = (sums[i] + sums[i + 8]) + (sums[i + 16] + sums[i + 24]));
    (0..2).for_each(|i| two[i] = (eight[i] + eight[i + 2]) + (eight[i + 4] + eight[i + 6]));
    let sum = two[0] + two[1];
    if sum.is_finite() {
        return sum / spectrum.len() as f32;
    }
    let (mut sums, mut finite) = ([0.0_f32; SIDE_BY_SIDE], [0.0_f32; SIDE_BY_SIDE]);
    for block in spectrum.chunks(SIDE_BY_SIDE) {
        for (i, value) in block.iter().enumerate() {
            let (value, one) = if value.is_finite() { (*value, 1.0) } else { (0.0, 0.0) };
            sums[i] += value;
            finite[i] += one;
        }
    }
    sums.iter().sum::<f32>() / finite.iter().sum::<f32>()
}
