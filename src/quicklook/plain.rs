//! A picture of a cube, one image pixel per pixel of the cube.

use super::canvas::Canvas;
use super::thumbnail::Thumbnail;
use super::{GAP, QuicklookError, STRETCH, offset, shown, tone, write};
use std::path::Path;

/// The picture of one cube, gathered line by line.
///
/// It has as many image pixels as the cube. Red, green and blue are those of the tray's quicklook. It holds eight bytes per pixel.
#[derive(Debug)]
pub(crate) struct Plain {
    thumbnail: Thumbnail,
    shown: Option<[usize; 3]>,
}

impl Plain {
    /// A picture that is `width` pixels across. `wavelengths_nm` are the centres of the cube's bands, nm, increasing.
    pub(crate) fn new(width: usize, wavelengths_nm: &[f64]) -> Self {
        Self { thumbnail: Thumbnail::up_to(usize::MAX, width), shown: shown(wavelengths_nm) }
    }

    /// Adds the next line. `value` gives the reflectance of a pixel and a band.
    pub(crate) fn line(&mut self, value: impl Fn(usize, usize) -> f32) {
        let (row, shown) = (i64::try_from(self.thumbnail.rows).unwrap_or(i64::MAX), self.shown);
        self.thumbnail.push(row, |pixel| shown.map_or([f32::NAN; 3], |bands| bands.map(|band| value(pixel, band))));
    }

    /// Writes the picture as PNG. `pixel_mm` is the edge of a pixel, mm.
    ///
    /// # Errors
    /// [`QuicklookError::NoRows`] where no line came. [`QuicklookError::Io`] where the file cannot be created or written.
    /// [`QuicklookError::Encoding`] where the PNG encoder refuses.
    pub(crate) fn write(&self, pixel_mm: f64, path: &Path) -> Result<(), QuicklookError> {
        let Thumbnail { width, rows, .. } = self.thumbnail;
        if rows == 0 || width == 0 {
            return Err(QuicklookError::NoRows { path: path.into() });
        }
        let mut canvas = Canvas::new(width, rows);
        let white = self.thumbnail.percentile(STRETCH);
        for row in 0..rows {
            for pixel in 0..width {
                let colour = self.thumbnail.value(row, pixel).map_or(GAP, |v| v.map(|v| tone(f64::from(v.min(white)) / f64::from(white))));
                canvas.fill((offset(pixel), offset(row)), (1, 1), colour);
            }
        }
        write(&canvas, pixel_mm, path)
    }
}
