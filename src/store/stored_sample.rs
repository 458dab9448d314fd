//! A sample's HDF5 file read line by line. The cube may be larger than the memory.

use super::read::{Reading, SampleError};
use super::schema::{self, entry, grid};
use hdf5::Dataset;
use ndarray::{Array2, Array3, Ix3, s};
use std::ops::Range;
use std::path::Path;

/// A sample whose cube is read in parts.
pub struct StoredSample {
    pub(super) reading: Reading,
    cube: Dataset,
    /// 1 where the pixel lies on the sample, `[line][pixel]`.
    pub mask: Array2<u8>,
    /// Quality flags `[line][pixel]`, see [`crate::calibrate::Quality`].
    pub quality: Array2<u8>,
    /// Line centres along the tray, mm.
    pub line_mm: Vec<f64>,
    /// Pixel centres across the tray, mm.
    pub pixel_mm: Vec<f64>,
    /// Band centres, nm.
    pub wavelengths_nm: Vec<f64>,
    /// Band widths at half maximum, nm.
    pub fwhm_nm: Vec<f64>,
    /// Time of each line, ns since 1970-01-01T00:00:00Z.
    pub time_ns: Vec<i64>,
}

/// The path of a dataset of the joined cube's group.
fn data(name: &str) -> String {
    schema::path([entry::REFLECTANCE, name])
}

impl StoredSample {
    /// Opens a sample's file.
    ///
    /// # Errors
    /// The file is no HDF5, is of a newer format, or lacks something. The message says where.
    pub fn open(path: &Path) -> Result<Self, SampleError> {
        let reading = Reading::open(path)?;
        let flags = |name: &str| reading.at(&data(name), reading.dataset(&data(name))?.read_2d());
        Ok(Self {
            cube: reading.dataset(&data(grid::REFLECTANCE))?,
            mask: flags(grid::MASK)?,
            quality: flags(grid::QUALITY)?,
            line_mm: reading.list(&data(grid::LINE))?,
            pixel_mm: reading.list(&data(grid::PIXEL))?,
            wavelengths_nm: reading.list(&data(grid::WAVELENGTH))?,
            fwhm_nm: reading.list(&data(grid::FWHM))?,
            time_ns: reading.list(&data(grid::TIME))?,
            reading,
        })
    }

    /// Reflectance of some lines `[line][pixel][band]`, NaN where there is no value.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&self, lines: Range<usize>) -> Result<Array3<f32>, SampleError> {
        self.reading.at(&data(grid::REFLECTANCE), self.cube.read_slice::<f32, _, Ix3>(s![lines, .., ..]))
    }

    /// Reflectance of all lines `[line][pixel][band]`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn all(&self) -> Result<Array3<f32>, SampleError> {
        self.reading.at(&data(grid::REFLECTANCE), self.cube.read())
    }
}
