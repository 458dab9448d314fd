//! One spectrum per pixel from several cameras.

mod seam;
mod stage;

pub use seam::Step;
pub use stage::{Bands, Join, Parts};

/// The axes of the millimetre grid, fixed for a scan.
///
/// Row `k` has its centre at `y = k * pixel_mm` along the tray, pixel `p` at `x = x0_mm + p * pixel_mm` across it.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes {
    /// Edge of a grid pixel, mm, along and across.
    pub pixel_mm: f64,
    /// Centre of pixel 0 across the tray, mm.
    pub x0_mm: f64,
    /// Pixels across.
    pub width: usize,
    /// Band centres, nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// Width of each band at half maximum, nm; NaN where not known.
    pub fwhm_nm: Vec<f64>,
}

impl Axes {
    /// Bands of a spectrum.
    pub fn bands(&self) -> usize {
        self.wavelengths_nm.len()
    }

    /// Centre of grid row `row` along the tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "row numbers are far below 2^52")]
    pub fn y_mm(&self, row: i64) -> f64 {
        row as f64 * self.pixel_mm
    }

    /// Centre of pixel `pixel` across the tray, mm.
    #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^52")]
    pub fn x_mm(&self, pixel: usize) -> f64 {
        self.x0_mm + pixel as f64 * self.pixel_mm
    }
}

/// One row of the millimetre grid with the bands of all cameras.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Number of the row: its centre lies at `y = index * pixel_mm`.
    pub index: i64,
    /// When the first camera saw it, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Reflectance `[pixel][band]`, NaN where there is no value.
    pub spectra: Vec<f32>,
    /// Flags of each pixel, see [`crate::calibrate::Quality`].
    pub quality: Vec<u8>,
}

impl Row {
    /// The spectrum of a pixel.
    pub fn spectrum(&self, pixel: usize, bands: usize) -> &[f32] {
        &self.spectra[pixel * bands..(pixel + 1) * bands]
    }
}
