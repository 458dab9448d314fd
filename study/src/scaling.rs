//! Reflectance scaled to 0 to 1, band by band.

use serde::{Deserialize, Serialize};

/// Min-max scaling: lowest value and range of every band over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Lowest reflectance of each band. It becomes 0.
    pub lowest: Vec<f32>,
    /// One over the range of each band. The highest reflectance becomes 1.
    pub factor: Vec<f32>,
}

impl Scaling {
    /// The scaling of bands with these extremes. A constant band becomes 0.
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

    /// Range of every band, reflectance. A constant band has 0.
    pub fn ranges(&self) -> Vec<f32> {
        self.factor.iter().map(|factor| if *factor > 0.0 { 1.0 / factor } else { 0.0 }).collect()
    }

    /// Turns scaled spectra `[row][band]` back into reflectance, in place.
    pub fn unscale(&self, values: &mut [f32]) {
        let ranges = self.ranges();
        for spectrum in values.chunks_exact_mut(self.lowest.len()) {
            for (value, (low, range)) in spectrum.iter_mut().zip(self.lowest.iter().zip(&ranges)) {
                *value = *value * range + low;
            }
        }
    }
}
