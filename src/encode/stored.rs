//! Encoding of stored spectra whose embeddings were not computed during the scan.

use super::{Embedded, EmbeddedRow, Encoder, EncoderError};
use crate::join::Row;
use crate::segment::Sample;
use std::sync::Arc;

/// A line of a stored sample.
#[derive(Debug, Clone, Copy)]
pub struct StoredLine<'a> {
    /// The sample.
    pub sample: &'a Arc<Sample>,
    /// Line of the sample's cube.
    pub line: u32,
    /// Centre of the line along the tray, mm.
    pub y_mm: f64,
    /// Centre of each pixel across the tray, mm.
    pub pixels_mm: &'a [f64],
    /// Spectra `[pixel][band]`, flags `[pixel]` and time of the line. Pixels are those of the cube.
    pub row: &'a Row,
}

/// The encoder of stored samples' pixels.
///
/// The same spectra give the same embeddings as in [`super::Encode`]. Batches are filled in the order of the samples.
#[derive(Debug)]
pub struct EncodeStored {
    encoder: Encoder,
    keep_spectra: bool,
    next: Embedded,
}

impl EncodeStored {
    /// An encoder of stored samples. With `spectra`, batches also hold the measured spectra.
    pub fn new(encoder: Encoder, spectra: bool) -> Self {
        let next = Embedded::new(encoder.dimensions(), encoder.bands());
        Self { encoder, keep_spectra: spectra, next }
    }

    /// Takes the pixels of a line that `wanted` picks and whose bands that the encoder reads have finite values. Gives their number. Full
    /// batches go to `out`.
    ///
    /// # Errors
    /// ONNX Runtime fails, an embedding is not finite, or the function of [`Encoder::calling`] gives a reason.
    #[expect(clippy::cast_possible_truncation, reason = "coordinates are written as float32, and a line has far fewer than 2^32 pixels")]
    pub fn process(
        &mut self,
        line: &StoredLine<'_>,
        wanted: impl Fn(usize) -> bool,
        out: &mut dyn FnMut(Embedded),
    ) -> Result<u64, EncoderError> {
        let mut taken = 0;
        let &StoredLine { sample, line: number, y_mm, pixels_mm, row } = line;
        for (pixel, x_mm) in pixels_mm.iter().enumerate().filter(|(pixel, _)| wanted(*pixel)) {
            let Some(spectrum) = self.encoder.put(self.next.rows.len(), row, pixel, &[]) else { continue };
            if self.keep_spectra {
                self.next.spectra.extend_from_slice(spectrum);
            }
            self.next.rows.push(EmbeddedRow {
                sample: Arc::clone(sample),
                line: number,
                pixel: pixel as u32,
                x_mm: *x_mm as f32,
                y_mm: y_mm as f32,
                time_ns: row.time_ns,
                quality: row.quality[pixel],
            });
            taken += 1;
            if self.next.rows.len() == self.encoder.batch() {
                self.run(out)?;
            }
        }
        Ok(taken)
    }

    /// Ends the input. The spectra that still wait for a full batch are run, and all batches go to `out`.
    ///
    /// # Errors
    /// The errors of [`EncodeStored::process`].
    pub fn end(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        if !self.next.rows.is_empty() {
            self.run(out)?;
        }
        self.encoder.drain(out)
    }

    fn run(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        let empty = Embedded::new(self.encoder.dimensions(), self.encoder.bands());
        self.encoder.run(std::mem::replace(&mut self.next, empty), out)
    }
}
