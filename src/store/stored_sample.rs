//! A sample's HDF5 file read line by line. The cube may be larger than the memory.

use super::read::{Reading, SampleError};
use crate::hdf::{self, Values};
use crate::schema::{self, entry, grid};
use ndarray::{Array2, Array3};
use std::ops::Range;
use std::path::Path;

/// A sample whose cube is read in parts.
pub struct StoredSample {
    pub(crate) reading: Reading,
    pub(super) cube: Values,
    /// 1 where the pixel lies on the sample, `[line][pixel]`.
    pub mask: Array2<u8>,
    /// Quality flags `[line][pixel]`, see [`crate::scan::Quality`].
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
pub(super) fn data(name: &str) -> String {
    schema::path([entry::REFLECTANCE, name])
}

impl StoredSample {
    /// Opens a sample's file.
    ///
    /// # Errors
    /// The file is no HDF5, is of a newer format, or lacks something. The message says where.
    pub fn open(path: &Path) -> Result<Self, SampleError> {
        let reading = Reading::open(path)?;
        let list = |name: &str| reading.list::<f64>(&data(name));
        let (line_mm, pixel_mm, wavelengths_nm, fwhm_nm) =
            (list(grid::LINE)?, list(grid::PIXEL)?, list(grid::WAVELENGTH)?, list(grid::FWHM)?);
        let time_ns = reading.list(&data(grid::TIME))?;
        let cube = reading.dataset(&data(grid::REFLECTANCE))?;
        let axes = [line_mm.len(), pixel_mm.len(), wavelengths_nm.len()];
        let shape: Vec<u64> = axes.iter().map(|n| *n as u64).collect();
        if cube.shape() != Some(shape.as_slice()) || fwhm_nm.len() != axes[2] || time_ns.len() != axes[0] {
            let lengths = format!("{axes:?} places on its axes, {} widths and {} times", fwhm_nm.len(), time_ns.len());
            return Err(reading.odd(&data(grid::REFLECTANCE), format!("its shape is {:?}, and there are {lengths}", cube.shape())));
        }
        let flags = |name: &str| {
            let flags = Array2::from_shape_vec((axes[0], axes[1]), reading.list(&data(name))?);
            flags.map_err(|_| reading.odd(&data(name), format!("it has not {} lines of {} pixels", axes[0], axes[1])))
        };
        let (mask, quality) = (flags(grid::MASK)?, flags(grid::QUALITY)?);
        Ok(Self { cube, mask, quality, line_mm, pixel_mm, wavelengths_nm, fwhm_nm, time_ns, reading })
    }

    /// Reflectance of some lines `[line][pixel][band]`, NaN where there is no value.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&self, lines: Range<usize>) -> Result<Array3<f32>, SampleError> {
        self.shaped(lines.len(), self.cube.lines(lines.start as u64..lines.end as u64))
    }

    /// Reflectance of all lines `[line][pixel][band]`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn all(&self) -> Result<Array3<f32>, SampleError> {
        self.shaped(self.line_mm.len(), self.cube.all())
    }

    fn shaped(&self, lines: usize, values: hdf::Result<Vec<f32>>) -> Result<Array3<f32>, SampleError> {
        let path = data(grid::REFLECTANCE);
        let values = self.reading.at(&path, values)?;
        let shape = (lines, self.pixel_mm.len(), self.wavelengths_nm.len());
        Array3::from_shape_vec(shape, values).map_err(|e| self.reading.odd(&path, e.to_string()))
    }
}
