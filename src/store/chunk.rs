//! A chunk of a cube that is not written yet. The thread that writes it to the file makes it from rows.

use crate::disk::{Buffer, Buffers};
use crate::segment::SampleRow;
use crate::sums::Sums;
use std::sync::Arc;

/// Most rows that a chunk holds before they are written out. Each row holds a whole line of every camera.
const HELD: usize = 2;

/// Lines `[line][pixel][wavelength]` of float32. The first of them are written out, the last ones are still rows.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Most lines, pixels, bands.
    shape: [usize; 3],
    /// Lines that are written out.
    written: usize,
    /// The lines that are written out.
    made: Option<Buffer>,
    /// The rows of the lines behind them.
    held: [Option<SampleRow>; HELD],
    /// Sums over the valid pixels of the sample in the rows.
    sums: Sums,
    buffers: Arc<Buffers>,
}

impl Chunk {
    /// An empty chunk for `lines` lines of a number of pixels and of bands. `sums` are used again.
    pub(super) fn new(lines: usize, (width, bands): (usize, usize), mut sums: Sums, buffers: &Arc<Buffers>) -> Self {
        sums.begin(bands);
        Self { shape: [lines, width, bands], written: 0, made: None, held: Default::default(), sums, buffers: Arc::clone(buffers) }
    }

    /// Lines so far.
    pub(super) fn lines(&self) -> usize {
        self.written + self.held.iter().flatten().count()
    }

    /// Whether no further line fits.
    pub(super) fn full(&self) -> bool {
        self.lines() == self.shape[0]
    }

    /// Adds a line, `[pixel][wavelength]`.
    pub(super) fn push(&mut self, values: &[f32]) {
        self.write_held();
        self.line(|to, _| to.copy_from_slice(values));
    }

    /// Adds the line of a row, and holds the row.
    pub(super) fn push_row(&mut self, row: &SampleRow) {
        if self.held.iter().all(Option::is_some) {
            self.write_held();
        }
        if let Some(place) = self.held.iter_mut().find(|place| place.is_none()) {
            *place = Some(row.clone());
        }
    }

    /// Its bytes with all lines written out, and the sums over its rows. It uses `spare` where that has the right size. Lines that did
    /// not come are NaN, so that the same lines always give the same bytes.
    pub(super) fn make(mut self, spare: Option<Buffer>) -> (Buffer, Sums) {
        let size = self.size();
        if self.made.is_none() {
            self.made = spare.filter(|spare| spare.len() == size);
        }
        self.write_held();
        let mut made = self.made.take().unwrap_or_else(|| self.buffers.take(size));
        let line = size / self.shape[0].max(1);
        bytemuck::cast_slice_mut(&mut made[self.written * line..]).fill(f32::NAN);
        (made, self.sums)
    }

    fn size(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }

    fn write_held(&mut self) {
        for row in std::mem::take(&mut self.held).into_iter().flatten() {
            let bands = self.shape[2];
            self.line(|to, sums| {
                row.write(bands, to);
                sums.add(&row, to);
            });
        }
    }

    fn line(&mut self, write: impl FnOnce(&mut [f32], &mut Sums)) {
        let (size, line) = (self.size(), self.shape[1] * self.shape[2] * size_of::<f32>());
        let made = self.made.get_or_insert_with(|| self.buffers.take(size));
        let from = self.written * line;
        write(bytemuck::cast_slice_mut(&mut made[from..from + line]), &mut self.sums);
        self.written += 1;
    }
}
