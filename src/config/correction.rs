//! Corrections of a camera's optics and detector.

use super::CameraConfig;
use crate::scan::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most coefficients of a detector's linearity.
pub const LINEARITY: usize = 3;

/// `[camera.correction]`: how far a camera is from an ideal one, as it was measured. The calibration corrects it. All are zero when absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorrectionConfig {
    /// True wavelength of a band in the middle of the line, minus the one that the camera or its recording states, nm.
    pub wavelength_shift_nm: f64,
    /// Smile: wavelength of a band at both ends of the line, minus that in its middle, nm. It grows with the square of the distance from
    /// the middle. Spectra are resampled to the wavelengths in the middle.
    pub smile_nm: f64,
    /// Linearity: coefficients c1, c2, c3. The true signal above dark is s (1 + c1 x + c2 x² + c3 x³), where s is the measured one and x
    /// its share of the saturation level. `[0.0]` says that it was measured and is straight. Where it is given, a white reference of
    /// another exposure than the scan is scaled.
    pub linearity: Vec<f64>,
    /// Stray light: the share of the line's mean signal that falls on every element.
    pub stray_light: f64,
    /// Keystone: how many pixels the last band looks further to the right than the first, at the right end of the line. At the left end it
    /// looks as far to the left. The middle band stays. Bands are resampled to the places of the middle band.
    pub keystone_px: f64,
    /// Yaw: the angle by which the camera's line is turned about its middle, from across towards along the belt, degrees. A pixel at x sees
    /// (x - middle) tan(yaw) further along.
    pub yaw_deg: f64,
}

impl CorrectionConfig {
    /// Largest share of stray light.
    pub const MOST_STRAY: f64 = 0.1;

    /// The wavelengths `stated_nm` with the shift.
    pub fn shifted_nm(&self, stated_nm: &[f64]) -> Vec<f64> {
        stated_nm.iter().map(|nm| nm + self.wavelength_shift_nm).collect()
    }

    /// The coefficients of the linearity. Those that are absent are zero.
    #[expect(clippy::cast_possible_truncation, reason = "a coefficient needs no more than f32")]
    pub fn linearity(&self) -> [f32; LINEARITY] {
        let mut coefficients = [0.0; LINEARITY];
        coefficients.iter_mut().zip(&self.linearity).for_each(|(to, from)| *to = *from as f32);
        coefficients
    }

    /// Whether the response of a detector that is saturated at this level is known. `linearity = [0.0]` is that of a straight one.
    pub fn knows_linearity(&self, saturation: Option<f64>) -> bool {
        !self.linearity.is_empty() && (saturation.is_some() || self.linearity.iter().all(|c| *c == 0.0))
    }

    /// Why the linearity is none that the calibration takes.
    pub fn linearity_fault(&self) -> Option<String> {
        let rises = (1..=100).all(|step| {
            let (from, to) = (f64::from(step - 1) / 100.0, f64::from(step) / 100.0);
            self.straight(to) > self.straight(from)
        });
        let good = self.linearity.len() <= LINEARITY && rises && (self.straight(1.0) - 1.0).abs() <= MOST_BEND;
        let must =
            || format!("must be at most {LINEARITY} coefficients of a curve that rises, and changes a full signal by at most {MOST_BEND}");
        (!good).then(must)
    }

    /// The true signal of a measured one, both as shares of the saturation level.
    fn straight(&self, measured: f64) -> f64 {
        measured * self.linearity.iter().rev().fold(0.0, |sum, c| (sum + c) * measured) + measured
    }
}

impl CameraConfig {
    /// Largest distance along the belt between the middle of the line and a place that the camera sees, by its yaw, mm.
    pub fn yaw_reach_mm(&self) -> f64 {
        self.field_of_view_mm / 2.0 * self.correction.yaw_deg.to_radians().tan().abs()
    }

    /// The faults of `correction`, with the key of each below the camera.
    pub(super) fn correction_faults(&self, i: usize) -> Vec<Fault> {
        let CorrectionConfig { wavelength_shift_nm, smile_nm, linearity: _, stray_light, keystone_px, yaw_deg } = &self.correction;
        let mut faults = Vec::new();
        let mut must = |holds: bool, key: &str, problem: String| {
            if !holds {
                faults.push(Fault::new(format!("camera[{i}].correction.{key}"), problem));
            }
        };
        for (key, value) in [("wavelength_shift_nm", wavelength_shift_nm), ("smile_nm", smile_nm)] {
            must(value.abs() <= MOST_NM, key, format!("must be within {MOST_NM} nm; beyond that the camera needs its maker"));
        }
        let most = CorrectionConfig::MOST_STRAY;
        must((0.0..=most).contains(stray_light), "stray_light", format!("must be from 0 to {most}"));
        if let Some(problem) = self.correction.linearity_fault() {
            must(false, "linearity", problem);
        }
        must(
            keystone_px.abs() <= MOST_KEYSTONE_PX,
            "keystone_px",
            format!("must be within {MOST_KEYSTONE_PX} pixels; beyond that the camera needs its maker"),
        );
        must(
            yaw_deg.abs() <= MOST_YAW_DEG,
            "yaw_deg",
            format!("must be within {MOST_YAW_DEG} degrees; beyond that turn the camera in its mount"),
        );
        faults
    }
}

/// Largest shift of a wavelength, nm.
pub(super) const MOST_NM: f64 = 20.0;
/// Largest keystone, pixels. A value comes from three neighbouring pixels.
const MOST_KEYSTONE_PX: f64 = 2.0;
/// Largest yaw, degrees. Rows are put together from the lines of its span.
const MOST_YAW_DEG: f64 = 2.0;
/// Largest change of a full signal by the linearity, as a share.
const MOST_BEND: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_is_a_polynomial() {
        let correction = CorrectionConfig { linearity: vec![0.1, -0.2, 0.05], ..CorrectionConfig::default() };
        let x: f64 = 0.7;
        assert!((correction.straight(x) - x * (1.0 + 0.1 * x - 0.2 * x * x + 0.05 * x * x * x)).abs() < 1e-12);
        assert_eq!(CorrectionConfig::default().straight(x), x);
        assert_eq!(correction.shifted_nm(&[400.0]), [400.0]);
    }
}
