//! Sums over the valid pixels of a sample, for its mean spectrum.

use crate::scan::Quality;
use crate::segment::SampleRow;
use crate::simd::{Simd, WithSimd, widest};

/// Sums of reflectance over pixels, `[band]`, and their number. A value that is not finite does not count.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sums {
    sum: Vec<f64>,
    counts: Vec<f64>,
}

impl Sums {
    /// Begins again, with `bands` bands.
    pub(crate) fn begin(&mut self, bands: usize) {
        for list in [&mut self.sum, &mut self.counts] {
            list.clear();
            list.resize(bands, 0.0);
        }
    }

    /// Adds the pixels of a row that lie on its sample and are valid. `spectra` holds the row's values, `[pixel][band]`.
    pub(crate) fn add(&mut self, row: &SampleRow, spectra: &[f32]) {
        widest(Add { sums: self, row, spectra });
    }

    /// Adds other sums.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.sum.is_empty() {
            self.begin(other.sum.len());
        }
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, other)| *sum += other);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
    }

    /// The mean, `[band]`. It is NaN in a band without a value.
    pub(crate) fn mean(&self) -> Vec<f64> {
        self.sum.iter().zip(&self.counts).map(|(sum, count)| sum / count).collect()
    }
}

/// Whether a pixel of a row counts for the sample's mean.
pub(crate) fn counts(row: &SampleRow, pixel: usize, quality: u8) -> bool {
    row.on_sample(pixel) && Quality::valid(quality)
}

struct Add<'a> {
    sums: &'a mut Sums,
    row: &'a SampleRow,
    spectra: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { sums: Sums { sum, counts: number }, row, spectra } = self;
        let bands = sum.len();
        let (sum, number) = (&mut sum[..bands], &mut number[..bands]);
        for ((pixel, quality), spectrum) in row.quality().iter().enumerate().zip(spectra.chunks_exact(bands.max(1))) {
            if counts(row, pixel, *quality) {
                let spectrum = &spectrum[..bands];
                for band in 0..bands {
                    let (value, one) = if spectrum[band].is_finite() { (spectrum[band], 1.0) } else { (0.0, 0.0) };
                    sum[band] += f64::from(value);
                    number[band] += one;
                }
            }
        }
    }
}
