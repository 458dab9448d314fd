//! The thumbnail of the tray that is gathered while a scan runs.

/// Largest number of rows of the tray's thumbnail.
pub(super) const MOST_ROWS: usize = 4096;

/// A pixel without a value.
const GAP: u16 = u16::MAX;
/// Steps of reflectance per unit: values are held in steps of 1 / 10 000.
const STEPS: f32 = 1e4;

/// Three bands of the grid and the outlines of the samples.
///
/// A limit on the rows bounds its size, however long the scan is.
#[derive(Debug)]
pub(super) struct Thumbnail {
    /// Number of grid rows, and of grid pixels, per row and pixel of the thumbnail.
    pub(super) step: usize,
    /// Number of pixels across.
    pub(super) width: usize,
    /// Number of rows so far.
    pub(super) rows: usize,
    /// Number of the first grid row.
    first: Option<i64>,
    /// Largest number of rows. Every other row and pixel is dropped when it is exceeded.
    most_rows: usize,
    /// `[row][pixel][band]`
    values: Vec<[u16; 3]>,
    /// `[row][pixel]`: 0, else the number + 1 of the sample whose outline runs here.
    outline: Vec<u16>,
}

impl Thumbnail {
    /// A thumbnail of a scan of any length, for a grid of `width` pixels.
    pub(super) fn new(width: usize) -> Self {
        let mut thumbnail = Self::up_to(MOST_ROWS, width);
        // The memory is written to, so that the system provides it now and not while the scan grows.
        thumbnail.values.resize(MOST_ROWS * width, [GAP; 3]);
        thumbnail.outline.resize(MOST_ROWS * width, GAP);
        thumbnail.values.clear();
        thumbnail.outline.clear();
        thumbnail
    }

    /// A thumbnail of at most `most_rows` rows, for a grid of `width` pixels.
    pub(super) fn up_to(most_rows: usize, width: usize) -> Self {
        Self { step: 1, width, rows: 0, first: None, most_rows, values: Vec::new(), outline: Vec::new() }
    }

    /// Adds grid row `index`. `value` gives the three reflectances of a grid pixel.
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
        // Rows come without holes. A row that is missing nevertheless shows as a gap.
        self.values.resize(row * self.width, [GAP; 3]);
        self.values.extend((0..self.width).map(|pixel| pack(value(pixel * self.step))));
        self.rows = row + 1;
        self.outline.resize(self.rows * self.width, 0);
    }

    /// Marks a grid pixel as outline of sample `number`.
    pub(super) fn mark(&mut self, index: i64, pixel: usize, number: u16) {
        let Some((row, pixel)) = self.place(index, pixel) else { return };
        if let Some(outline) = self.outline.get_mut(row * self.width + pixel) {
            *outline = number.saturating_add(1);
        }
    }

    /// Row and pixel of the thumbnail that hold a grid pixel.
    pub(super) fn place(&self, index: i64, pixel: usize) -> Option<(usize, usize)> {
        let row = usize::try_from(index.checked_sub(self.first?)?).ok()? / self.step;
        let pixel = pixel / self.step;
        (row < self.rows && pixel < self.width).then_some((row, pixel))
    }

    /// First and last row, and first and last pixel, that hold a rectangle of the grid.
    ///
    /// The rectangle is cut off at the thumbnail's edges. `None` means that nothing of it is left.
    pub(super) fn window(&self, rows: (i64, i64), pixels: (usize, usize)) -> Option<((usize, usize), (usize, usize))> {
        let first = self.first?;
        let row = |row: i64| usize::try_from(row.saturating_sub(first).max(0)).map_or(usize::MAX, |row| row / self.step);
        let (from, to) = (row(rows.0), row(rows.1).min(self.rows.checked_sub(1)?));
        let (left, right) = (pixels.0 / self.step, (pixels.1 / self.step).min(self.width.checked_sub(1)?));
        (rows.1 >= first && from <= to && left <= right).then_some(((from, to), (left, right)))
    }

    /// The three values of a pixel. `None` means a gap.
    pub(super) fn value(&self, row: usize, pixel: usize) -> Option<[u16; 3]> {
        let value = self.values[row * self.width + pixel];
        (value[0] != GAP).then_some(value)
    }

    /// Number of the sample whose outline runs through a pixel.
    pub(super) fn outline(&self, row: usize, pixel: usize) -> Option<u16> {
        self.outline[row * self.width + pixel].checked_sub(1)
    }

    /// The value below which the share `part` of all values lies. It is at least 1.
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

    /// Drops every other row and pixel. An outline stays where it ran through one of the four pixels.
    fn halve(&mut self) {
        let (width, rows) = (self.width.div_ceil(2), self.rows.div_ceil(2));
        for row in 0..rows {
            for pixel in 0..width {
                let from = 2 * row * self.width + 2 * pixel;
                let (right, below) = (2 * pixel + 1 < self.width, 2 * row + 1 < self.rows);
                let corners =
                    [(0, true), (1, right), (self.width, below), (self.width + 1, right && below)].map(|(to, there)| (from + to, there));
                // A write goes to a place before everything that is still to be read.
                let to = row * width + pixel;
                self.values[to] = self.values[from];
                self.outline[to] = corners.into_iter().filter(|c| c.1).map(|c| self.outline[c.0]).max().unwrap_or(0);
            }
        }
        self.values.truncate(rows * width);
        self.outline.truncate(rows * width);
        (self.width, self.rows, self.step) = (width, rows, self.step * 2);
    }

    /// Size in memory, bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<[u16; 3]>() + self.outline.capacity() * size_of::<u16>()
    }
}

/// Three reflectances in steps. They are a gap where one of them is NaN.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range")]
fn pack(value: [f32; 3]) -> [u16; 3] {
    if value.iter().any(|v| v.is_nan()) { [GAP; 3] } else { value.map(|v| (v * STEPS).clamp(0.0, f32::from(GAP - 1)) as u16) }
}
