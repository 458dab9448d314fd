//! A straight line through points, with its uncertainty.

/// A straight line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    pub slope: f64,
    /// Value at 0.
    pub offset: f64,
    /// Standard uncertainty of the slope, from the scatter of the points; infinite for two points.
    pub uncertainty: f64,
    /// Distance of the outermost points in the first coordinate.
    pub spread: f64,
}

/// The line through points by least squares. `None` where they spread over less than `least` of the first coordinate.
#[expect(clippy::cast_precision_loss, reason = "a tray has few containers")]
pub(super) fn fit(points: &[(f64, f64)], least: f64) -> Option<Fit> {
    let (lo, hi) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), p| (lo.min(p.0), hi.max(p.0)));
    // Without a point the spread is no number that could be compared.
    if points.len() < 2 || hi - lo < least {
        return None;
    }
    let n = points.len() as f64;
    let mean = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
    let (covariance, variance) =
        points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + (p.0 - mean.0) * (p.1 - mean.1), sum.1 + (p.0 - mean.0).powi(2)));
    let slope = covariance / variance;
    let offset = mean.1 - slope * mean.0;
    let scatter: f64 = points.iter().map(|p| (p.1 - offset - slope * p.0).powi(2)).sum();
    let uncertainty = if points.len() > 2 { (scatter / (n - 2.0) / variance).sqrt() } else { f64::INFINITY };
    Some(Fit { slope, offset, uncertainty, spread: hi - lo })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uncertainty_covers_the_truth() {
        // Knuth's generator, MMIX.
        let mut state = 7_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut within = 0;
        for _ in 0..1000 {
            let points: Vec<(f64, f64)> = (0..12).map(|i| (f64::from(i % 3) * 100.0, 0.005 * f64::from(i % 3) * 100.0 + noise())).collect();
            let fit = fit(&points, 50.0).unwrap();
            within += u32::from((fit.slope - 0.005).abs() < 2.0 * fit.uncertainty);
        }
        assert!((900..980).contains(&within), "{within} of 1000 within two standard uncertainties");
    }

    #[test]
    fn points_side_by_side_give_no_line() {
        assert_eq!(fit(&[(1.0, 2.0), (1.5, 3.0)], 1.0), None);
        assert_eq!(fit(&[], 1.0), None);
        assert_eq!(fit(&[(0.0, 2.0), (2.0, 3.0)], 1.0), Some(Fit { slope: 0.5, offset: 2.0, uncertainty: f64::INFINITY, spread: 2.0 }));
    }
}
