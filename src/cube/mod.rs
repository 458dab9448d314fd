//! Cubes of reflectance in files of several programs, and what minerals they show.
//!
//! A cube is a sample's file of ours, an ENVI image, or an image of a data set in the layout of HIDSAG. Its bands are brought into the
//! order of rising wavelengths.

mod envi;
mod error;
mod found;
mod hidsag;
mod rig;
mod text;
mod write;

pub use error::CubeError;
pub use found::{Found, identify};
pub use rig::{RigBands, rig_bands};
pub use text::{write_coverage, write_found};

use crate::scan::Quality;
use crate::store::StoredSample;
use std::path::Path;

/// A cube of reflectance.
pub struct Cube {
    /// The name of the sample or of the file.
    pub name: String,
    /// Band centres, rising, nm.
    pub wavelengths_nm: Vec<f32>,
    /// Band widths at half maximum, nm. An unknown one is NaN.
    pub fwhm_nm: Vec<f32>,
    /// The number of lines.
    pub lines: usize,
    /// The number of pixels of a line.
    pub pixels: usize,
    /// Doubts about the file.
    pub warnings: Vec<String>,
    source: Source,
}

enum Source {
    Sample(Box<StoredSample>),
    Envi(envi::Envi),
    Hidsag(hidsag::Hidsag),
}

impl Cube {
    /// Opens a sample's file, an ENVI image by its header or its data, or an `.h5` file in the layout of HIDSAG.
    ///
    /// # Errors
    /// The file cannot be read, is of no known kind, or its bands have no wavelengths.
    pub fn open(path: &Path) -> Result<Self, CubeError> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "h5" | "hdf5" | "nxs" if hidsag::is_one(path) => hidsag::open(path),
            "h5" | "hdf5" | "nxs" => Self::of_sample(path),
            _ => envi::open(path),
        }
    }

    fn of_sample(path: &Path) -> Result<Self, CubeError> {
        let sample = StoredSample::open(path)?;
        let [name, ..] = sample.reading.names()?;
        let narrow = |all: &[f64]| all.iter().map(|value| nearest(*value)).collect::<Vec<f32>>();
        Ok(Self {
            name,
            wavelengths_nm: narrow(&sample.wavelengths_nm),
            fwhm_nm: narrow(&sample.fwhm_nm),
            lines: sample.line_mm.len(),
            pixels: sample.pixel_mm.len(),
            warnings: Vec::new(),
            source: Source::Sample(Box::new(sample)),
        })
    }

    /// Reads a line `[pixel][band]`, and which of its pixels belong to the sample and have a valid spectrum.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_line(&mut self, line: usize, spectra: &mut Vec<f32>, valid: &mut Vec<bool>) -> Result<(), CubeError> {
        spectra.clear();
        valid.clear();
        match &mut self.source {
            Source::Sample(sample) => {
                *spectra = sample.lines(line..line + 1)?.into_raw_vec_and_offset().0;
                let flags = sample.mask.row(line).into_iter().zip(sample.quality.row(line));
                valid.extend(flags.map(|(mask, quality)| *mask > 0 && Quality::valid(*quality)));
            }
            Source::Envi(image) => image.read_line(line, spectra)?,
            Source::Hidsag(images) => images.read_line(line, spectra)?,
        }
        if valid.is_empty() {
            // Programs write 0 or "no data" beside a sample.
            let bands = self.wavelengths_nm.len();
            valid.extend(spectra.chunks_exact(bands).map(|spectrum| spectrum.iter().any(|value| value.is_finite() && *value != 0.0)));
        }
        Ok(())
    }
}

/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "a wavelength needs no more than f32")]
fn nearest(value: f64) -> f32 {
    value as f32
}

/// The order of bands by rising wavelength.
fn rising(wavelengths_nm: &[f64], used: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wavelengths_nm.len()).filter(|band| used(*band)).collect();
    order.sort_by(|a, b| wavelengths_nm[*a].total_cmp(&wavelengths_nm[*b]));
    order
}
