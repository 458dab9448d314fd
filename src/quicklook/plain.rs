//! A picture of a cube, pixel for pixel.

use super::canvas::Canvas;
use super::kept::Kept;
use super::{GAP, QuicklookError, STRETCH, offset, shown, tone, write};
use std::path::Path;

/// The picture of one cube, gathered line by line: as many image pixels as the cube has, red, green and blue as in the quicklook of
/// the tray. It holds eight bytes for each pixel.
#[derive(Debug)]
pub(crate) struct Plain {
    kept: Kept,
    shown: Option<[usize; 3]>,
}

impl Plain {
    /// A picture `width` pixels across of bands with these centres, nm, increasing.
    pub(crate) fn new(width: usize, wavelengths_nm: &[f64]) -> Self {
        Self { kept: Kept::up_to(usize::MAX, width), shown: shown(wavelengths_nm) }
    }

    /// Adds the next line; `value` gives the reflectance of a pixel and a band.
    pub(crate) fn line(&mut self, value: impl Fn(usize, usize) -> f32) {
        let (row, shown) = (i64::try_from(self.kept.rows).unwrap_or(i64::MAX), self.shown);
        self.kept.push(row, |pixel| shown.map_or([f32::NAN; 3], |bands| bands.map(|band| value(pixel, band))));
    }

    /// Writes it as PNG; `pixel_mm` is the edge of a pixel.
    pub(crate) fn write(&self, pixel_mm: f64, path: &Path) -> Result<(), QuicklookError> {
        let Kept { width, rows, .. } = self.kept;
        if rows == 0 || width == 0 {
            return Err(QuicklookError::NoRows { path: path.into() });
        }
        let mut canvas = Canvas::new(width, rows);
        let white = self.kept.percentile(STRETCH);
        for row in 0..rows {
            for pixel in 0..width {
                let colour = self.kept.value(row, pixel).map_or(GAP, |v| v.map(|v| tone(f64::from(v.min(white)) / f64::from(white))));
                canvas.fill((offset(pixel), offset(row)), (1, 1), colour);
            }
        }
        write(&canvas, pixel_mm, path)
    }
}
