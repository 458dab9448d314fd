//! Transposition of a detector's tables and lines, `[band][pixel]` or `[pixel][band]`.

use std::ops::Range;

/// Columns that are transposed at once. The writes touch as many cache lines side by side.
const STRIP: usize = 32;

/// Writes `from`, `[row][column]` with `columns` columns, to `to` as `[column][row]`. Both have the same length.
pub(crate) fn transpose<T: Copy>(from: &[T], columns: usize, to: &mut [T]) {
    let rows = from.len() / columns.max(1);
    for first in (0..columns).step_by(STRIP) {
        for (row, values) in from.chunks_exact(columns).enumerate() {
            for (column, value) in values.iter().enumerate().skip(first).take(STRIP) {
                to[column * rows + row] = *value;
            }
        }
    }
}

/// Side of a tile that is transposed at once. A row of its counts is a cache line, and so is a column.
pub(crate) const TILE: usize = 32;
const ELEMENTS: usize = TILE * TILE;

/// A tile aligned to a cache line, so that no access spans two.
#[repr(align(64))]
struct Tile<T>([T; ELEMENTS]);

/// Transposes the pixels `range` of a line of counts from `[band][pixel]` to `[pixel][band]`. Pixels of `to` are `stride` numbers apart.
#[inline(always)]
pub(crate) fn transpose_block<T: Copy + Default>(
    counts: &[T],
    pixels: usize,
    bands: usize,
    range: Range<usize>,
    (to, stride): (&mut [T], usize),
) {
    let n = range.len();
    if bands < TILE || n < TILE {
        for band in 0..bands {
            for column in 0..n {
                to[column * stride + band] = counts[band * pixels + range.start + column];
            }
        }
        return;
    }
    let mut tiles = (Tile([T::default(); ELEMENTS]), Tile([T::default(); ELEMENTS]));
    // The last tile ends with the block. It may repeat a part of the tile before it.
    for band in (0..bands).step_by(TILE).map(|band| band.min(bands - TILE)) {
        for column in (0..n).step_by(TILE).map(|column| column.min(n - TILE)) {
            transpose_tile(&counts[band * pixels + range.start + column..], pixels, &mut to[column * stride + band..], stride, &mut tiles);
        }
    }
}

/// Transposes one tile. Element `row * TILE + column` goes to `column * TILE + row`. In bits, its index is rotated by the bits of a
/// row number. Interleaving the two halves of a tile rotates by one bit. Vector units have instructions for it.
#[inline(always)]
fn transpose_tile<T: Copy + Default>(from: &[T], pixels: usize, to: &mut [T], stride: usize, (Tile(a), Tile(b)): &mut (Tile<T>, Tile<T>)) {
    for row in 0..TILE / 2 {
        let (upper, lower) = (&from[row * pixels..][..TILE], &from[(row + TILE / 2) * pixels..][..TILE]);
        let pairs = &mut a[row * 2 * TILE..][..2 * TILE];
        for i in 0..TILE {
            pairs[2 * i] = upper[i];
            pairs[2 * i + 1] = lower[i];
        }
    }
    interleave(a, b);
    interleave(b, a);
    interleave(a, b);
    interleave(b, a);
    for (column, spectrum) in a.chunks_exact(TILE).enumerate() {
        to[column * stride..][..TILE].copy_from_slice(spectrum);
    }
}

#[inline(always)]
fn interleave<T: Copy + Default>(from: &[T; ELEMENTS], to: &mut [T; ELEMENTS]) {
    for i in 0..ELEMENTS / 2 {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + ELEMENTS / 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for (rows, columns) in [(1, 1), (3, 5), (40, 33), (7, 64), (0, 4), (0, 0)] {
            let from: Vec<usize> = (0..rows * columns).collect();
            let mut to = vec![usize::MAX; from.len()];
            transpose(&from, columns, &mut to);
            for row in 0..rows {
                assert!((0..columns).all(|column| to[column * rows + row] == from[row * columns + column]), "{rows} x {columns}");
            }
        }
    }
}
