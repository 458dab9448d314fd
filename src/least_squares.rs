//! Linear least squares of a few parameters.

/// Parameters and the inverse of the normal matrix.
pub(crate) struct Solved {
    /// The parameters.
    pub(crate) parameters: Vec<f64>,
    /// Inverse of the normal matrix. Times the variance of unit weight, it is the covariance.
    pub(crate) inverse: Vec<Vec<f64>>,
}

/// Least share of the largest diagonal element that a pivot may have.
const LEAST_PIVOT: f64 = 1e-12;

/// Solves `rows * parameters = values` by least squares, with a weight for each row. `damping` enlarges the diagonal of the normal matrix
/// by a share. `None` where the rows do not determine every parameter.
pub(crate) fn fit(rows: &[Vec<f64>], values: &[f64], weights: &[f64], damping: f64) -> Option<Solved> {
    let n = rows.first()?.len();
    let (mut normal, mut right) = (vec![vec![0.0; n]; n], vec![0.0; n]);
    for ((row, value), weight) in rows.iter().zip(values).zip(weights) {
        for (i, (line, right)) in normal.iter_mut().zip(&mut right).enumerate() {
            for (j, sum) in line.iter_mut().enumerate() {
                *sum += weight * row[i] * row[j];
            }
            *right += weight * row[i] * value;
        }
    }
    solve(normal, &right, damping)
}

/// Solves the normal equations with the matrix `normal` and the right side `right`, as [`fit`] does.
pub(crate) fn solve(mut normal: Vec<Vec<f64>>, right: &[f64], damping: f64) -> Option<Solved> {
    let n = right.len();
    for (line, right) in normal.iter_mut().zip(right) {
        line.resize(2 * n, 0.0);
        line.push(*right);
    }
    // Columns of different size are brought to one scale, so that pivots compare.
    let scale: Vec<f64> = (0..n).map(|i| normal[i][i].sqrt()).collect();
    if scale.iter().any(|scale| !(*scale > 0.0 && scale.is_finite())) {
        return None;
    }
    for (i, line) in normal.iter_mut().enumerate() {
        for j in 0..n {
            line[j] /= scale[i] * scale[j];
        }
        line[2 * n] /= scale[i];
        line[i] += damping;
        line[n + i] = 1.0;
    }
    eliminate(&mut normal, n)?;
    let parameters = (0..n).map(|i| normal[i][2 * n] / scale[i]).collect();
    let inverse = (0..n).map(|i| (0..n).map(|j| normal[i][n + j] / (scale[i] * scale[j])).collect()).collect();
    Some(Solved { parameters, inverse })
}

/// Gauss and Jordan's elimination, with pivots by row.
fn eliminate(lines: &mut [Vec<f64>], n: usize) -> Option<()> {
    for at in 0..n {
        let best = (at..n).max_by(|a, b| lines[*a][at].abs().total_cmp(&lines[*b][at].abs()))?;
        lines.swap(at, best);
        let pivot = lines[at][at];
        if pivot.abs() <= LEAST_PIVOT {
            return None;
        }
        lines[at].iter_mut().for_each(|value| *value /= pivot);
        let of_pivot = lines[at].clone();
        for (_, line) in lines.iter_mut().enumerate().filter(|(i, _)| *i != at) {
            let factor = line[at];
            line.iter_mut().zip(&of_pivot).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_with_its_covariance() {
        let rows: Vec<Vec<f64>> = (0..5).map(|i| vec![1.0, f64::from(i)]).collect();
        let values: Vec<f64> = (0..5).map(|i| 3.0 - 0.5 * f64::from(i)).collect();
        let solved = fit(&rows, &values, &[1.0; 5], 0.0).unwrap();
        assert!((solved.parameters[0] - 3.0).abs() < 1e-12 && (solved.parameters[1] + 0.5).abs() < 1e-12);
        // The variance of a slope is 1 / sum((x - mean)²).
        assert!((solved.inverse[1][1] - 0.1).abs() < 1e-12 && (solved.inverse[0][0] - 0.6).abs() < 1e-12, "{:?}", solved.inverse);
        assert!(fit(&vec![vec![1.0, 2.0]; 5], &values, &[1.0; 5], 0.0).is_none(), "one place gives no slope");
    }
}
