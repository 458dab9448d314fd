//! What a sample's lines showed, gathered while they were written.

use crate::calibrate::Quality;
use crate::scan::LedgerLine;
use crate::segment::SampleRow;

/// Where a sample's mask lies within its cube, and when it was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Lines so far.
    pub(super) lines: u32,
    /// Pixels on the sample.
    pub(super) pixels: u64,
    /// Pixels on the sample with a valid spectrum.
    pub(super) valid: u64,
    /// First and last line with a pixel of the sample.
    pub(super) line_span: Option<(u32, u32)>,
    /// First and last pixel across on the sample.
    pub(super) pixel_span: Option<(usize, usize)>,
    /// First and last time, ns since 1970-01-01T00:00:00Z.
    pub(super) times_ns: Option<(i64, i64)>,
}

impl Seen {
    /// Counts the sample's next line.
    pub(super) fn add(&mut self, row: &SampleRow) {
        for (pixel, quality) in row.quality().iter().enumerate() {
            if row.on_sample(pixel) {
                self.pixels += 1;
                self.valid += u64::from(Quality::valid(*quality));
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
}

/// What a file holds beside its lines.
#[derive(Debug)]
pub(super) struct Complete {
    /// What is doubtful about the sample.
    pub(super) doubts: Vec<String>,
    /// Lines of each camera that lie on it. They are copies, because the ledger may forget its lines.
    pub(super) lines: Vec<Vec<LedgerLine>>,
}
