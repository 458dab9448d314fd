//! The figures of a camera, under the names of EMVA 1288 and IEEE 4001.

use crate::reference::{PhotonTransfer, Referenced, mean, median};

/// The levels of reflectance at which the signal-to-noise ratio is given; `None` is the white panel.
pub const LEVELS: [(&str, Option<f64>); 3] = [("panel", None), ("10", Some(0.10)), ("5", Some(0.05))];

/// The figures of a camera as it took its references.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The noise: overall system gain, temporal dark noise.
    pub noise: PhotonTransfer,
    /// Signal-to-noise ratio of one element in one line at each of [`LEVELS`], `[level][band]`: the median over the pixels, NaN in a
    /// band without a good element.
    pub snr: [Vec<f64>; 3],
    /// Dark signal nonuniformity (EMVA 1288, DSNU): standard deviation of the dark level over the good elements, counts.
    pub dsnu: f64,
    /// Saturation capacity (EMVA 1288), photoelectrons, where the camera's saturation is known.
    pub saturation_capacity: Option<f64>,
}

impl Figures {
    /// The figures of a camera with this noise. It is saturated from `saturation` counts on.
    pub(super) fn of(referenced: &Referenced, noise: PhotonTransfer, saturation: Option<f64>) -> Self {
        let pixels = referenced.gain.len() / referenced.panel.len().max(1);
        let good = |at: &usize| referenced.bad[*at] == 0;
        let snr = LEVELS.map(|(_, level)| {
            let bands = referenced.panel.iter().enumerate().map(|(band, panel)| {
                let level = level.map_or(1.0, |level| level / f64::from(*panel));
                let elements = (band * pixels..(band + 1) * pixels).filter(good);
                #[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than f32")]
                let ratios: Vec<f32> =
                    elements.map(|at| noise.snr(level, referenced.signal_in_scan(at), f64::from(referenced.dark.sd[at])) as f32).collect();
                if ratios.is_empty() { f64::NAN } else { f64::from(median(ratios)) }
            });
            bands.collect()
        });
        let dark: Vec<f32> = (0..referenced.gain.len()).filter(good).map(|at| referenced.dark.mean[at]).collect();
        let level = mean(&dark);
        let squares: Vec<f32> = dark.iter().map(|dark| (dark - level as f32).powi(2)).collect();
        Self { snr, dsnu: mean(&squares).sqrt(), saturation_capacity: saturation.map(|full| (full - level) / noise.gain), noise }
    }

    /// Where the saturation is known: saturation capacity in photoelectrons, dynamic range (the capacity over the temporal dark noise),
    /// and the largest signal-to-noise ratio (the root of the capacity), as EMVA 1288 has them.
    pub fn saturated(&self) -> Option<(f64, f64, f64)> {
        self.saturation_capacity.map(|capacity| (capacity, capacity * self.noise.gain / self.noise.dark_noise, capacity.sqrt()))
    }
}
