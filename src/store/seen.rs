//! What a sample's lines showed, gathered while they were written.

use crate::context::EncoderContext;
use crate::scan::{LedgerLine, Quality};
use crate::segment::SampleRow;
use crate::sums;

/// Where a sample's mask lies within its cube, and when it was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Lines so far.
    pub(super) lines: u32,
    /// Pixels on the sample.
    pub(super) pixels: u64,
    /// Pixels on the sample with a spectrum that is valid for the encoder, where there is one.
    pub(super) valid: u64,
    /// Pixels of each column that count for the sample's mean.
    pub(super) columns: Vec<u32>,
    /// First and last line with a pixel of the sample.
    pub(super) line_span: Option<(u32, u32)>,
    /// First and last pixel across on the sample.
    pub(super) pixel_span: Option<(usize, usize)>,
    /// First and last time, ns since 1970-01-01T00:00:00Z.
    pub(super) times_ns: Option<(i64, i64)>,
    /// Room for a spectrum.
    spectrum: Vec<f32>,
}

impl Seen {
    /// Counts the sample's next line, of `bands` bands.
    pub(super) fn add(&mut self, row: &SampleRow, bands: usize, encoder: Option<&EncoderContext>) {
        self.columns.resize(row.sample.width, 0);
        for (pixel, quality) in row.quality().iter().enumerate() {
            if row.on_sample(pixel) {
                self.columns[pixel] += u32::from(sums::counts(row, pixel, *quality));
                self.pixels += 1;
                let taken = encoder.map_or(Quality::valid(*quality), |encoder| encoder.takes(*quality));
                self.valid += u64::from(taken && self.has_all(row, pixel, bands, encoder));
                let (first, last) = self.pixel_span.unwrap_or((pixel, pixel));
                self.pixel_span = Some((first.min(pixel), last.max(pixel)));
                self.line_span = Some((self.line_span.map_or(row.line, |s| s.0), row.line));
            }
        }
        // A row that no camera saw has no time of its own.
        if row.row.time_ns > 0 {
            let (first, last) = self.times_ns.unwrap_or((row.row.time_ns, row.row.time_ns));
            self.times_ns = Some((first.min(row.row.time_ns), last.max(row.row.time_ns)));
        }
        self.lines += 1;
    }

    /// Whether a pixel with a valid quality has every band that the encoder reads.
    fn has_all(&mut self, row: &SampleRow, pixel: usize, bands: usize, encoder: Option<&EncoderContext>) -> bool {
        let Some(encoder) = encoder.filter(|_| row.quality()[pixel] & Quality::MISSING_BANDS != 0) else { return true };
        let pixel = row.sample.first_pixel + pixel;
        self.spectrum.resize(bands, 0.0);
        row.row.write(pixel..pixel + 1, bands, &mut self.spectrum);
        encoder.reads.finite(&self.spectrum)
    }
}

/// What a file holds beside its lines.
#[derive(Debug)]
pub(super) struct Complete {
    /// What is doubtful about the sample.
    pub(super) doubts: Vec<String>,
    /// Lines of each camera that lie on it. They are copies, because the ledger may forget its lines.
    pub(super) lines: Vec<Vec<LedgerLine>>,
}
