//! The pixels that are kept while a scan runs.

/// Rows of the tray that are kept at most.
pub(super) const MOST_ROWS: usize = 4096;

/// A pixel without a value.
const GAP: u16 = u16::MAX;
/// Reflectance is kept in steps of 1 / 10 000.
const STEPS: f32 = 1e4;

/// Three bands of the grid and the outlines of the samples, of a size that does not depend on the length of the scan.
#[derive(Debug)]
pub(super) struct Kept {
    /// Grid rows, and grid pixels, from one that is kept to the next.
    pub(super) step: usize,
    /// Pixels across.
    pub(super) width: usize,
    /// Rows.
    pub(super) rows: usize,
    /// Number of the first grid row.
    first: Option<i64>,
    /// More rows than this are not kept: then every other row and pixel is dropped.
    most_rows: usize,
    /// `[row][pixel][band]`
    values: Vec<[u16; 3]>,
    /// `[row][pixel]`: 0, else the number + 1 of the sample whose outline runs here.
    outline: Vec<u16>,
}

impl Kept {
    /// Room for what is kept of a scan, however long it is.
    pub(super) fn new(width: usize) -> Self {
        let mut kept = Self::up_to(MOST_ROWS, width);
        // Written to, so that memory is found now, and not as the scan grows.
        kept.values.resize(MOST_ROWS * width, [GAP; 3]);
        kept.outline.resize(MOST_ROWS * width, GAP);
        kept.values.clear();
        kept.outline.clear();
        kept
    }

    pub(super) fn up_to(most_rows: usize, width: usize) -> Self {
        Self { step: 1, width, rows: 0, first: None, most_rows, values: Vec::new(), outline: Vec::new() }
    }

    /// Adds a grid row; `value` gives the three reflectances of a grid pixel.
    pub(super) fn push(&mut self, index: i64, value: impl Fn(usize) -> [f32; 3]) {
        let first = *self.first.get_or_insert(index);
        let Some(at) = index.checked_sub(first).and_then(|at| usize::try_from(at).ok()) else { return };
        while at / self.step >= self.most_rows {
            self.halve();
        }
        let row = at / self.step;
        if at % self.step != 0 || row < self.rows {
            return;
        }
        // Rows come without holes; should one be missing, it is seen as a gap.
        self.values.resize(row * self.width, [GAP; 3]);
        self.values.extend((0..self.width).map(|pixel| pack(value(pixel * self.step))));
        self.rows = row + 1;
        self.outline.resize(self.rows * self.width, 0);
    }

    /// Notes that the outline of sample `number` runs through a pixel of the grid.
    pub(super) fn mark(&mut self, index: i64, pixel: usize, number: u16) {
        let Some((row, pixel)) = self.place(index, pixel) else { return };
        if let Some(outline) = self.outline.get_mut(row * self.width + pixel) {
            *outline = number.saturating_add(1);
        }
    }

    /// Row and pixel that hold a pixel of the grid.
    pub(super) fn place(&self, index: i64, pixel: usize) -> Option<(usize, usize)> {
        let row = usize::try_from(index.checked_sub(self.first?)?).ok()? / self.step;
        let pixel = pixel / self.step;
        (row < self.rows && pixel < self.width).then_some((row, pixel))
    }

    /// First and last row and pixel that hold a part of the grid, cut off where nothing is kept; none where all of it is.
    pub(super) fn window(&self, rows: (i64, i64), pixels: (usize, usize)) -> Option<((usize, usize), (usize, usize))> {
        let first = self.first?;
        let row = |row: i64| usize::try_from(row.saturating_sub(first).max(0)).map_or(usize::MAX, |row| row / self.step);
        let (from, to) = (row(rows.0), row(rows.1).min(self.rows.checked_sub(1)?));
        let (left, right) = (pixels.0 / self.step, (pixels.1 / self.step).min(self.width.checked_sub(1)?));
        (rows.1 >= first && from <= to && left <= right).then_some(((from, to), (left, right)))
    }

    /// The three values of a pixel; none where there is a gap.
    pub(super) fn value(&self, row: usize, pixel: usize) -> Option<[u16; 3]> {
        let value = self.values[row * self.width + pixel];
        (value[0] != GAP).then_some(value)
    }

    /// The sample whose outline runs through a pixel.
    pub(super) fn outline(&self, row: usize, pixel: usize) -> Option<u16> {
        self.outline[row * self.width + pixel].checked_sub(1)
    }

    /// The value below which `part` of all values lie, at least 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of pixels are far below 2^52, and part is not negative"
    )]
    pub(super) fn percentile(&self, part: f64) -> u16 {
        let mut counts = vec![0_usize; usize::from(GAP)];
        for value in self.values.iter().filter(|value| value[0] != GAP).flatten() {
            counts[usize::from(*value)] += 1;
        }
        let most = (counts.iter().sum::<usize>() as f64 * part) as usize;
        let mut below = 0;
        let found = counts.iter().position(|count| {
            below += count;
            below > most
        });
        found.and_then(|value| u16::try_from(value).ok()).unwrap_or(1).max(1)
    }

    /// Drops every other row and pixel; an outline stays where it ran through one of the four.
    fn halve(&mut self) {
        let (width, rows) = (self.width.div_ceil(2), self.rows.div_ceil(2));
        for row in 0..rows {
            for pixel in 0..width {
                let from = 2 * row * self.width + 2 * pixel;
                let (right, below) = (2 * pixel + 1 < self.width, 2 * row + 1 < self.rows);
                let corners =
                    [(0, true), (1, right), (self.width, below), (self.width + 1, right && below)].map(|(to, there)| (from + to, there));
                // What is written lies before everything that is still to be read.
                let to = row * width + pixel;
                self.values[to] = self.values[from];
                self.outline[to] = corners.into_iter().filter(|c| c.1).map(|c| self.outline[c.0]).max().unwrap_or(0);
            }
        }
        self.values.truncate(rows * width);
        self.outline.truncate(rows * width);
        (self.width, self.rows, self.step) = (width, rows, self.step * 2);
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<[u16; 3]>() + self.outline.capacity() * size_of::<u16>()
    }
}

/// Three reflectances in steps; a gap where one of them is not known.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range")]
fn pack(value: [f32; 3]) -> [u16; 3] {
    if value.iter().any(|v| v.is_nan()) { [GAP; 3] } else { value.map(|v| (v * STEPS).clamp(0.0, f32::from(GAP - 1)) as u16) }
}
