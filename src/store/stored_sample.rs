//! A sample's HDF5 file read line by line: the cube may be larger than the memory.

use super::{Reading, SampleError};
use hdf5::Dataset;
use ndarray::{Array2, Array3, Ix3, s};
use std::ops::Range;
use std::path::Path;

/// A sample whose cube is read as it is asked for.
pub struct StoredSample {
    pub(super) reading: Reading,
    pub(super) cube: Dataset,
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
    /// When each line was seen, ns since 1970-01-01T00:00:00Z.
    pub time_ns: Vec<i64>,
}

pub(super) const CUBE: &str = "/entry/reflectance/reflectance";

impl StoredSample {
    /// Opens a sample's file.
    ///
    /// # Errors
    /// Where the file is no HDF5, or lacks something; the message says where.
    pub fn open(path: &Path) -> Result<Self, SampleError> {
        let reading = Reading::open(path)?;
        let data = |name: &str| format!("/entry/reflectance/{name}");
        let flags = |name: &str| reading.at(&data(name), reading.dataset(&data(name))?.read_2d());
        Ok(Self {
            cube: reading.dataset(CUBE)?,
            mask: flags("mask")?,
            quality: flags("quality")?,
            line_mm: reading.list(&data("line"))?,
            pixel_mm: reading.list(&data("pixel"))?,
            wavelengths_nm: reading.list(&data("wavelength"))?,
            fwhm_nm: reading.list(&data("fwhm"))?,
            time_ns: reading.list(&data("time"))?,
            reading,
        })
    }

    /// Reflectance of some lines `[line][pixel][band]`, NaN where there is no value.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&self, lines: Range<usize>) -> Result<Array3<f32>, SampleError> {
        self.reading.at(CUBE, self.cube.read_slice::<f32, _, Ix3>(s![lines, .., ..]))
    }
}
