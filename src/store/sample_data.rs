//! A sample's HDF5 file read whole.

use super::read::SampleError;
use super::stored_sample::StoredSample;
use ndarray::{Array2, Array3};
use std::collections::BTreeMap;
use std::path::Path;

/// A sample as its file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleData {
    /// Name of the sample.
    pub name: String,
    /// The container it lay in.
    pub container: String,
    /// The tray.
    pub tray: String,
    /// The scan.
    pub scan: String,
    /// The sample keys of the tray map.
    pub keys: BTreeMap<String, String>,
    /// The numbers of the tray map.
    pub vars: BTreeMap<String, f64>,
    /// What is doubtful about it.
    pub doubts: Vec<String>,
    /// Reflectance `[line][pixel][band]`, NaN where there is no value.
    pub reflectance: Array3<f32>,
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
    /// When each line was seen, ns since 1970-01-01T00:00:00Z.
    pub time_ns: Vec<i64>,
}

/// Reads a sample's file whole. The cube must fit into memory.
///
/// # Errors
/// The file is no HDF5, is of a newer format, or lacks something. The message says where.
pub fn read_sample(path: &Path) -> Result<SampleData, SampleError> {
    let stored = StoredSample::open(path)?;
    let reflectance = stored.all()?;
    let StoredSample { reading, mask, quality, line_mm, pixel_mm, wavelengths_nm, fwhm_nm, time_ns, .. } = stored;
    let [name, container, tray, scan] = reading.names()?;
    Ok(SampleData {
        name,
        container,
        tray,
        scan,
        keys: reading.keys()?,
        vars: reading.vars()?,
        doubts: reading.doubts()?,
        reflectance,
        mask,
        quality,
        line_mm,
        pixel_mm,
        wavelengths_nm,
        fwhm_nm,
        time_ns,
    })
}
