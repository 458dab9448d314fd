//! Absorption over scattering after Kubelka and Munk (1931, Zeitschrift für technische Physik 12, 593).

use super::vectors;

/// Lowest reflectance of the transform. Lower values count as this one.
pub const LOWEST: f32 = 0.01;
/// Highest reflectance of the transform. Higher values count as this one.
pub const HIGHEST: f32 = 0.99;

/// Turns reflectance into ln K/S in place, with `K/S = (1 - R)² / (2 R)`. R is clamped to [`LOWEST`] and [`HIGHEST`].
///
/// K is the absorption and S the scattering. A longer path of light adds a constant to ln K/S.
pub fn log_absorption(values: &mut [f32]) {
    vectors::log_absorption(values, (LOWEST, HIGHEST));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The reflectance of a ratio K/S.
    pub(crate) fn reflectance(log_ratio: f64) -> f32 {
        let ratio = log_ratio.exp();
        (1.0 + ratio - (ratio * ratio + 2.0 * ratio).sqrt()) as f32
    }

    #[test]
    fn the_transform_is_the_inverse_of_the_theory_and_clamps() {
        let mut values: Vec<f32> = [-3.0, -0.5, 0.0, 1.5].map(reflectance).into();
        values.extend([-0.2, 1.3, 0.5]);
        log_absorption(&mut values);
        let limits = [LOWEST, HIGHEST].map(|r| ((1.0 - f64::from(r)).powi(2) / (2.0 * f64::from(r))).ln());
        let expected = [-3.0, -0.5, 0.0, 1.5, limits[0], limits[1], 0.25_f64.ln()];
        for (found, expected) in values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-5, "{found} {expected}");
        }
    }
}
