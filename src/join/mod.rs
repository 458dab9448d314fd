//! Joining of the cameras' rows: one spectrum per grid pixel.

#[cfg(test)]
mod properties;
mod row;
mod seam;
mod stage;

pub use row::{Band, Parts, Row, Spectra};
pub use seam::{Compared, LEAST_PIXELS, Seams, Step};
pub use stage::{Bands, Join};

/// The axes of the millimetre grid. They are fixed for a scan.
///
/// The centre of row `k` lies at `y = k * pixel_mm` along the tray. That of pixel `p` lies at `x = x0_mm + p * pixel_mm` across it.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes {
    /// Edge of a grid pixel along and across, mm.
    pub pixel_mm: f64,
    /// Centre of pixel 0 across the tray, mm.
    pub x0_mm: f64,
    /// Number of pixels across.
    pub width: usize,
    /// Band centres, nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// Width of each band at half maximum, nm. An unknown width is NaN.
    pub fwhm_nm: Vec<f64>,
}

impl Axes {
    /// The bands of spectra whose places do not matter, on a grid of `pixel_mm`.
    pub fn of_bands(pixel_mm: f64, wavelengths_nm: Vec<f64>, fwhm_nm: Vec<f64>) -> Self {
        Self { pixel_mm, x0_mm: 0.0, width: 0, wavelengths_nm, fwhm_nm }
    }

    /// Number of bands of a spectrum.
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
