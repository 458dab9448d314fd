//! The stage that turns sample events into embeddings.

use super::{Encoder, EncoderError};
use crate::context::ScanContext;
use crate::segment::{Sample, SampleEvent, SampleRow};
use crate::sync::lock;
use std::sync::{Arc, Mutex};

/// The place and the time of an embedding's spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedRow {
    /// The sample.
    pub sample: Arc<Sample>,
    /// Line of the sample's cube.
    pub line: u32,
    /// Pixel of the sample's cube.
    pub pixel: u32,
    /// Centre of the pixel across the tray, mm.
    pub x_mm: f32,
    /// Centre of the pixel along the tray, mm.
    pub y_mm: f32,
    /// Time of measurement, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Flags as in [`Quality`](crate::scan::Quality).
    pub quality: u8,
}

/// A batch of embeddings. Dropping it returns its buffers to the stage that made it.
#[derive(Debug)]
pub struct Embedded {
    /// Place and time of each embedding.
    pub rows: Vec<EmbeddedRow>,
    /// Number of dimensions of an embedding.
    pub dimensions: usize,
    /// Embeddings `[row][dimension]`.
    pub embeddings: Vec<f32>,
    /// Number of bands of a spectrum.
    pub bands: usize,
    /// Measured spectra `[row][band]`. The list is empty where spectra are not asked for.
    pub spectra: Vec<f32>,
    /// Novelty `[row]`: distance from the training in units of its limit. The list is empty where the model does not tell it.
    pub novelty: Vec<f32>,
    home: Arc<Spares>,
}

/// Buffers that wait for their next use.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Buffers>>);
type Buffers = (Vec<EmbeddedRow>, [Vec<f32>; 3]);
/// Largest number of buffers that wait. It exceeds the number of batches in the queue behind the stage.
const MOST_SPARES: usize = 600;

impl Embedded {
    /// An empty batch for embeddings of `dimensions` numbers and spectra of `bands` bands.
    pub fn new(dimensions: usize, bands: usize) -> Self {
        Spares::take(&Arc::default(), dimensions, bands)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.rows.clear();
        let mut lists = [&mut self.embeddings, &mut self.spectra, &mut self.novelty].map(std::mem::take);
        lists.iter_mut().for_each(Vec::clear);
        let mut spares = lock(&self.home.0);
        if spares.len() < MOST_SPARES {
            spares.push((std::mem::take(&mut self.rows), lists));
        }
    }
}

impl Spares {
    fn take(home: &Arc<Self>, dimensions: usize, bands: usize) -> Embedded {
        let (rows, [embeddings, spectra, novelty]) = lock(&home.0).pop().unwrap_or_default();
        Embedded { rows, dimensions, embeddings, bands, spectra, novelty, home: Arc::clone(home) }
    }
}

/// The stage that runs every valid spectrum of every sample through the encoder.
///
/// Batches extend across lines and containers. They are cut short only where a sample or the scan ends. So the contents of the
/// batches depend on the recording alone.
#[derive(Debug)]
pub struct Encode {
    encoder: Encoder,
    context: Arc<ScanContext>,
    keep_spectra: bool,
    spares: Arc<Spares>,
    next: Embedded,
}

impl Encode {
    /// A stage for one scan. With `spectra`, batches also hold the measured spectra.
    pub fn new(encoder: Encoder, context: Arc<ScanContext>, spectra: bool) -> Self {
        let spares = Arc::default();
        let next = Spares::take(&spares, encoder.dimensions(), encoder.bands());
        Self { encoder, context, keep_spectra: spectra, spares, next }
    }

    /// The encoder that the stage runs.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Takes the next sample event. Full batches go to `out`.
    ///
    /// # Errors
    /// ONNX Runtime fails, an embedding is not finite, or the function of [`Encoder::calling`] gives a reason.
    pub fn process(&mut self, event: &SampleEvent, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        match event {
            SampleEvent::Open(_) => Ok(()),
            SampleEvent::Row(row) => self.row(row, out),
            SampleEvent::Close { .. } => self.end_of_scan(out),
        }
    }

    /// Ends the scan. The spectra that still wait for a full batch are run, and all batches go to `out`.
    ///
    /// # Errors
    /// The errors of [`Encode::process`].
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        self.flush(out)?;
        self.encoder.drain(out)
    }

    #[expect(clippy::cast_possible_truncation, reason = "coordinates are written as float32, and a row has far fewer than 2^32 pixels")]
    fn row(&mut self, row: &SampleRow, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        let y_mm = self.context.axes.y_mm(row.row.index) as f32;
        for (pixel, &quality) in row.quality().iter().enumerate() {
            if !row.on_sample(pixel) || !self.encoder.context().takes(quality) {
                continue;
            }
            let (slot, place) = (self.next.rows.len(), row.sample.first_pixel + pixel);
            let Some(spectrum) = self.encoder.put(slot, &row.row, place, &row.sample.levels) else { continue };
            if self.keep_spectra {
                self.next.spectra.extend_from_slice(spectrum);
            }
            self.next.rows.push(EmbeddedRow {
                sample: Arc::clone(&row.sample),
                line: row.line,
                pixel: pixel as u32,
                x_mm: self.context.axes.x_mm(row.sample.first_pixel + pixel) as f32,
                y_mm,
                time_ns: row.row.time_ns,
                quality,
            });
            if self.next.rows.len() == self.encoder.batch() {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn FnMut(Embedded)) -> Result<(), EncoderError> {
        if self.next.rows.is_empty() {
            return Ok(());
        }
        let empty = Spares::take(&self.spares, self.encoder.dimensions(), self.encoder.bands());
        self.encoder.run(std::mem::replace(&mut self.next, empty), out)
    }
}
