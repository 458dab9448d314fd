//! Transposition of a detector's tables, `[band][pixel]` or `[pixel][band]`.

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
