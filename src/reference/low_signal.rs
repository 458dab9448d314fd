//! When the signal of a pixel is low.

use super::Referenced;

/// When the signal of a pixel is low.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowSignal {
    /// Least signal-to-noise ratio of a band.
    pub snr: f64,
    /// Share of a camera's bands that may have less.
    pub bands: f64,
}

impl Default for LowSignal {
    fn default() -> Self {
        Self { snr: 3.0, bands: 0.05 }
    }
}

impl LowSignal {
    /// The signal above dark with that signal-to-noise ratio, counts.
    ///
    /// The noise of signal S has the variance σ² + K S (EMVA 1288). So S / sqrt(σ² + K S) = snr is solved for S. A camera without a known
    /// system gain K has the noise in the dark alone.
    #[expect(clippy::cast_possible_truncation, reason = "a signal of counts needs no more than f32")]
    pub(crate) fn signal(&self, referenced: &Referenced) -> f32 {
        let gain = referenced.photon_transfer().map_or(0.0, |noise| noise.gain);
        let photons = self.snr * gain;
        (0.5 * self.snr * (photons + photons.hypot(2.0 * f64::from(referenced.dark.noise())))) as f32
    }

    /// Number of bands of `bands` that may have less.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of some bands")]
    pub(crate) fn most_bands(&self, bands: usize) -> u32 {
        (self.bands * bands as f64).floor() as u32
    }
}
