//! Parts of a sample's cube, without the rest of it.

use super::read::SampleError;
use super::stored_sample::{StoredSample, data};
use crate::schema::grid;
use ndarray::Array3;

impl StoredSample {
    /// Some bands of every `stride`th line and pixel `[band][line][pixel]`, NaN where there is no value.
    ///
    /// # Errors
    /// The file cannot be read, or has no such band.
    pub fn bands(&self, bands: &[usize], stride: usize) -> Result<Array3<f32>, SampleError> {
        let every = |count: usize| (0..count as u64).step_by(stride.max(1)).collect::<Vec<u64>>();
        let (lines, pixels) = (every(self.line_mm.len()), every(self.pixel_mm.len()));
        let mut rising: Vec<u64> = bands.iter().map(|band| *band as u64).collect();
        rising.sort_unstable();
        rising.dedup();
        let path = data(grid::REFLECTANCE);
        let values: Vec<f32> = self.reading.at(&path, self.cube.crossings([&lines, &pixels, &rising]))?;
        let place = |band: usize| rising.binary_search(&(band as u64)).unwrap_or_default();
        let places: Vec<usize> = bands.iter().map(|band| place(*band)).collect();
        let at = |(k, line, pixel): (usize, usize, usize)| values[(line * pixels.len() + pixel) * rising.len() + places[k]];
        Ok(Array3::from_shape_fn((bands.len(), lines.len(), pixels.len()), at))
    }

    /// Spectra of some pixels of a line, one behind the other. The pixels rise.
    ///
    /// # Errors
    /// The file cannot be read, or has no such pixel.
    pub fn spectra(&self, line: usize, pixels: &[usize]) -> Result<Vec<f32>, SampleError> {
        let pixels: Vec<u64> = pixels.iter().map(|pixel| *pixel as u64).collect();
        let bands: Vec<u64> = (0..self.wavelengths_nm.len() as u64).collect();
        self.reading.at(&data(grid::REFLECTANCE), self.cube.crossings([&[line as u64], &pixels, &bands]))
    }
}
