//! Pixels of a camera to pixels of the grid.

use crate::calibrate::Quality;

/// How a camera sees the tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optics {
    /// Pixels across.
    pub pixels: usize,
    /// Width of the view, mm.
    pub field_of_view_mm: f64,
    /// Where the view's edge lies on the tray, mm: pixel `p` sees `x = (p + 0.5) * field_of_view_mm / pixels + shift_mm`.
    pub shift_mm: f64,
}

impl Optics {
    /// Width of a pixel, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub fn pixel_mm(&self) -> f64 {
        self.field_of_view_mm / self.pixels as f64
    }
}

/// For each grid pixel the camera pixels under it and their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Across {
    /// First camera pixel and range in `weights`, per grid pixel; an empty range outside the view.
    spans: Vec<(u32, std::ops::Range<u32>)>,
    weights: Vec<f32>,
}

impl Across {
    /// The weights for a grid of `width` pixels of `pixel_mm` whose pixel 0 has its centre at `x0_mm`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "pixel numbers are small and clamped to the detector"
    )]
    pub fn new(optics: Optics, x0_mm: f64, pixel_mm: f64, width: usize) -> Self {
        let (mut spans, mut weights) = (Vec::with_capacity(width), Vec::new());
        let n = optics.pixels as f64;
        let ratio = pixel_mm / optics.pixel_mm();
        for g in 0..width {
            let begin = weights.len() as u32;
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
            spans.push((first as u32, begin..weights.len() as u32));
        }
        Self { spans, weights }
    }

    /// Pixels of the grid.
    pub fn width(&self) -> usize {
        self.spans.len()
    }

    /// Whether the camera sees grid pixel `pixel`.
    pub fn sees(&self, pixel: usize) -> bool {
        !self.spans[pixel].1.is_empty()
    }

    /// Lays a line `[pixel][band]` on the grid.
    pub(super) fn lay(&self, values: &[f32], flags: &[u8], bands: usize, out: &mut Vec<f32>, quality: &mut Vec<u8>) {
        out.resize(self.width() * bands, 0.0);
        quality.resize(self.width(), 0);
        for ((span, out), quality) in self.spans.iter().zip(out.chunks_exact_mut(bands)).zip(quality.iter_mut()) {
            let first = span.0 as usize;
            let weights = &self.weights[span.1.start as usize..span.1.end as usize];
            let spectrum = |p: usize| &values[p * bands..(p + 1) * bands];
            match weights {
                [] => {
                    out.fill(f32::NAN);
                    *quality = Quality::OUT_OF_VIEW;
                    continue;
                }
                [_] => out.copy_from_slice(spectrum(first)),
                [a, b] => {
                    for ((out, x), y) in out.iter_mut().zip(spectrum(first)).zip(spectrum(first + 1)) {
                        *out = x * a + y * b;
                    }
                }
                [a, rest @ ..] => {
                    for (out, x) in out.iter_mut().zip(spectrum(first)) {
                        *out = x * a;
                    }
                    for (p, weight) in rest.iter().enumerate() {
                        for (out, x) in out.iter_mut().zip(spectrum(first + 1 + p)) {
                            *out += x * weight;
                        }
                    }
                }
            }
            *quality = flags[first..first + weights.len()].iter().fold(0, |all, flags| all | flags);
        }
    }
}
