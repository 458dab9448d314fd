//! The rim of a sample: the pixels near its edge.

use super::blobs::{Blobs, Run};
use crate::scan::Quality;

/// The pixels of a sample in a row: the sample's number, the first pixel and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub number: u16,
    pub from: usize,
    pub to: usize,
}

/// Largest distance of the edge from the centre of an outermost pixel, pixels.
const OUTLINE: f64 = 0.6;

/// The rows around the one that is due. They show which pixels lie near an edge along and across.
#[derive(Debug)]
pub(super) struct Rim {
    /// Largest width of a rim, pixels.
    width: f64,
    /// Spans of each row. The row that is due is in the middle.
    rows: Vec<Vec<Span>>,
}

impl Rim {
    /// Rims of up to `width` pixels. A width of 0 means no rim.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
    pub fn new(width: f64) -> Self {
        let reach = (width.max(OUTLINE) + 0.5) as usize;
        Self { width, rows: vec![Vec::new(); 2 * reach + 1] }
    }

    /// Largest width of a rim, pixels.
    pub fn widest(&self) -> f64 {
        self.width
    }

    /// Number of rows on either side of the one that is due.
    #[expect(clippy::cast_possible_wrap, reason = "a few rows")]
    pub fn rows(&self) -> i64 {
        (self.rows.len() / 2) as i64
    }

    /// Goes on to the next row. `due` are its runs, and `after` those of the rows behind it.
    pub fn next<'a>(&mut self, blobs: &Blobs, due: &'a [Run], after: impl Iterator<Item = &'a [Run]>) {
        let middle = self.rows.len() / 2;
        self.rows.rotate_left(1);
        for row in &mut self.rows[middle..] {
            row.clear();
        }
        for (row, runs) in self.rows[middle..].iter_mut().zip(std::iter::once(due).chain(after)) {
            for run in runs {
                blobs.on(run, |number, from, to| match row.iter_mut().find(|span| span.number == number) {
                    // A dark spot in a container is no edge.
                    Some(span) => (span.from, span.to) = (span.from.min(from), span.to.max(to)),
                    None => row.push(Span { number, from, to }),
                });
            }
        }
    }

    /// Replaces all rows by those that `span` gives, by their distance from the one that is due.
    pub fn around(&mut self, number: u16, span: impl Fn(i64) -> Option<(usize, usize)>) {
        let first = -self.rows();
        for (row, at) in self.rows.iter_mut().zip(first..) {
            row.clear();
            row.extend(span(at).map(|(from, to)| Span { number, from, to }));
        }
    }

    /// Width of the rim of a sample whose box is `across` and `along`, pixels: the largest width, or the one that leaves half of the box.
    ///
    /// The rest of the box is `(across - 2 w) (along - 2 w)`, so half of it remains for `4 w = across + along - hypot(across, along)`. The
    /// rest of an ellipse is the same share of it.
    pub fn width(&self, across: f64, along: f64) -> f64 {
        self.width.min((across + along - across.hypot(along)) / 4.0)
    }

    /// Removes a sample's rim of `width` pixels from the labels of the row that is due, and flags it. Gives the number of pixels removed.
    ///
    /// With `outline`, at least the outermost pixels are flagged.
    pub fn apply(&self, number: u16, width: f64, outline: bool, labels: &mut [u16], quality: &mut [u8]) -> usize {
        let Some(span) = self.span(self.rows.len() / 2, number) else { return 0 };
        let mut removed = 0;
        let outside = |width: f64| {
            let inner = self.inner(number, width);
            (span.from..span.to).filter(move |pixel| {
                inner.is_none_or(|(from, to)| {
                    #[expect(clippy::cast_precision_loss, reason = "pixels across are few")]
                    let centre = *pixel as f64 + 0.5;
                    centre < from || centre > to
                })
            })
        };
        if width > 0.0 {
            for pixel in outside(width) {
                if labels[pixel] == number + 1 {
                    labels[pixel] = 0;
                    removed += 1;
                }
                quality[pixel] |= Quality::EDGE;
            }
        }
        if outline {
            for pixel in outside(width.max(OUTLINE)) {
                quality[pixel] |= Quality::EDGE;
            }
        }
        removed
    }

    fn span(&self, row: usize, number: u16) -> Option<Span> {
        self.rows[row].iter().find(|span| span.number == number).copied()
    }

    /// The stretch of the due row in which centres of pixels lie further than `width` pixels from the edge.
    #[expect(clippy::cast_precision_loss, reason = "pixels across are few")]
    fn inner(&self, number: u16, width: f64) -> Option<(f64, f64)> {
        let middle = self.rows.len() / 2;
        let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
        for row in 0..self.rows.len() {
            // The distance to the nearer side of the row.
            let away = (row.abs_diff(middle) as f64 - 0.5).max(0.0);
            if away >= width {
                continue;
            }
            let span = self.span(row, number)?;
            let part = (width * width - away * away).sqrt();
            (from, to) = (from.max(span.from as f64 + part), to.min(span.to as f64 - part));
        }
        (from < to).then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rim_takes_no_more_than_half_of_a_box() {
        let rim = Rim::new(2.0);
        assert_eq!((rim.width(100.0, 60.0), rim.width(14.0, 14.0)), (2.0, 2.0));
        for (across, along) in [(4.0, 4.0), (5.0, 30.0), (7.0, 1e6), (13.0, 13.5)] {
            let width = rim.width(across, along);
            assert!(width < 2.0 && ((across - 2.0 * width) * (along - 2.0 * width) / (across * along) - 0.5).abs() < 1e-9, "{width}");
        }
    }
}
