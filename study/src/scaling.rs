//! Reflectance scaled to 0 to 1, band by band.

use serde::{Deserialize, Serialize};

/// Lowest and highest value of every band over a data set (min-max scaling).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Lowest reflectance of each band; it becomes 0.
    pub lowest: Vec<f32>,
    /// One over the range of each band; the highest reflectance becomes 1.
    pub factor: Vec<f32>,
}

impl Scaling {
    /// The scaling of bands with these extremes. A band that is the same in all spectra becomes 0.
    pub fn new(lowest: &[f32], highest: &[f32]) -> Self {
        let factor = lowest.iter().zip(highest).map(|(low, high)| if high > low { 1.0 / (high - low) } else { 0.0 }).collect();
        Self { lowest: lowest.to_vec(), factor }
    }

    /// Scales spectra `[row][band]` in place.
    pub fn scale(&self, values: &mut [f32]) {
        for spectrum in values.chunks_exact_mut(self.lowest.len()) {
            for (value, (low, factor)) in spectrum.iter_mut().zip(self.lowest.iter().zip(&self.factor)) {
                *value = (*value - low) * factor;
            }
        }
    }

    /// Range of every band; 0 where it is the same in all spectra.
    pub fn ranges(&self) -> Vec<f32> {
        self.factor.iter().map(|factor| if *factor > 0.0 { 1.0 / factor } else { 0.0 }).collect()
    }

    /// The inverse of [`Scaling::scale`].
    pub fn unscale(&self, values: &mut [f32]) {
        let ranges = self.ranges();
        for spectrum in values.chunks_exact_mut(self.lowest.len()) {
            for (value, (low, range)) in spectrum.iter_mut().zip(self.lowest.iter().zip(&ranges)) {
                *value = *value * range + low;
            }
        }
    }
}
