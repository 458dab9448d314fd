//! How references of one camera differ from each other, band by band.

use super::bad_elements;
use super::referenced::{Reference, median};
use contract::Layout;

/// A change in the band in which it is largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandChange {
    /// Centre of the band, nm.
    pub nm: f64,
    /// The change beyond its noise, as a share.
    pub share: f64,
}

/// Reflectance of the target for which a change of the dark level is judged. Dark minerals have some percent.
pub const DARK_TARGET: f32 = 0.05;
/// A change within this many standard errors is noise. With a thousand bands, one in fifteen pairs of references exceeds it.
const NOISE_SIGMAS: f64 = 4.0;
/// Standard error of a median of n normal values, from their median absolute deviation: 1.4826 gives the standard deviation, and
/// sqrt(pi / 2) its error, both divided by sqrt(n).
const MEDIAN_ERROR: f64 = 1.4826 * 1.2533;

/// The light of the panel, as a camera saw it.
#[derive(Clone, Copy)]
pub struct PanelLight<'a> {
    /// The white reference and its own dark one.
    pub white: (&'a Reference, &'a Reference),
    /// Shape of a frame.
    pub layout: Layout,
    /// Level of saturation, counts.
    pub saturation: Option<f64>,
    /// Centres of the bands, nm.
    pub wavelengths_nm: &'a [f64],
}

impl PanelLight<'_> {
    /// What a rise of the dark level from `then` to `now` does to the reflectance of a target of 5 %, measured with `then`: how much too high
    /// it reads in the worst band, as a share. Each band counts by the median over its good elements of
    /// `(now - then) * panel / (white - white_dark) / 0.05`. The panel's reflectance is `panel`, `[band]`.
    pub fn dark_change(&self, now: &Reference, then: &Reference, panel: &[f32]) -> BandChange {
        let signal = self.signal();
        self.worst(now, |at, band| (now.mean[at] - then.mean[at]) * panel[band] / signal[at] / DARK_TARGET)
    }

    /// The change of the light since the white reference `then`, with its own dark one: in the worst band, as a share of the signal. Each
    /// band counts by the median over its good elements.
    pub fn change(&self, then: (&Reference, &Reference)) -> BandChange {
        let signal = self.signal();
        self.worst(self.white.1, |at, _| signal[at] / (then.0.mean[at] - then.1.mean[at]) - 1.0)
    }

    /// The bad elements, `[band][pixel]`: 0 for a good one.
    pub fn bad(&self) -> Vec<u8> {
        bad_elements::find(self.white.1, self.white, &vec![1.0; self.layout.bands], self.layout, self.saturation)
    }

    /// White above dark, counts, `[band][pixel]`.
    pub fn signal(&self) -> Vec<f32> {
        self.white.0.mean.iter().zip(&self.white.1.mean).map(|(white, dark)| white - dark).collect()
    }

    /// The worst band by the values of its elements, which are given by element and band.
    fn worst(&self, dark: &Reference, value: impl Fn(usize, usize) -> f32) -> BandChange {
        let pixels = self.layout.pixels;
        let bad = bad_elements::find(dark, self.white, &vec![1.0; self.layout.bands], self.layout, self.saturation);
        let of_band = |band: usize| {
            let good = (band * pixels..(band + 1) * pixels).filter(|at| bad[*at] == 0);
            beyond_noise(good.map(|at| value(at, band)).filter(|value| value.is_finite()).collect())
        };
        let all = self.wavelengths_nm.iter().enumerate().map(|(band, nm)| BandChange { nm: *nm, share: of_band(band) });
        all.max_by(|a, b| a.share.abs().total_cmp(&b.share.abs())).unwrap_or(BandChange { nm: 0.0, share: 0.0 })
    }
}

/// The median of some values, as far as it lies beyond its noise.
#[expect(clippy::cast_precision_loss, reason = "numbers of pixels")]
fn beyond_noise(values: Vec<f32>) -> f64 {
    let (n, middle) = (values.len().max(1) as f64, median(values.clone()));
    let scatter = f64::from(median(values.iter().map(|value| (value - middle).abs()).collect()));
    let middle = f64::from(middle);
    (middle.abs() - NOISE_SIGMAS * MEDIAN_ERROR * scatter / n.sqrt()).max(0.0).copysign(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Exposure, PixelFormat};

    const LAYOUT: Layout = Layout { pixels: 200, bands: 4, format: PixelFormat::U16 };
    const NM: [f64; 4] = [400.0, 500.0, 600.0, 700.0];
    /// Signal of the panel in each band, counts. The last band sees nothing.
    const SIGNAL: [f32; 4] = [200.0, 2000.0, 3000.0, 0.0];

    /// A reference with some scatter from element to element, up to a count to either side.
    fn reference(seed: u64, level: impl Fn(usize) -> f32) -> Reference {
        let scatter = |at: usize| {
            // SplitMix64.
            let mut z = (at as u64 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let mean: Vec<f32> = (0..LAYOUT.elements()).map(|at| level(at / LAYOUT.pixels) + scatter(at)).collect();
        let exposure = Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) };
        let sd = vec![3.0; LAYOUT.elements()];
        Reference { peak: mean.clone(), mean, sd, frames: 50, level_sd: 0.1, taken_ns: 0, temperature_c: None, exposure }
    }

    fn light<'a>(white: &'a Reference, dark: &'a Reference) -> PanelLight<'a> {
        PanelLight { white: (white, dark), layout: LAYOUT, saturation: Some(4095.0), wavelengths_nm: &NM }
    }

    #[test]
    fn a_rise_of_the_dark_level_counts_where_the_light_is_weak() {
        let (dark, white) = (reference(1, |_| 100.0), reference(2, |band| 100.0 + SIGNAL[band]));
        let panel = [0.5, 1.0, 1.0, 1.0];
        let rise = |counts: f32| light(&white, &dark).dark_change(&reference(3, |_| 100.0 + counts), &dark, &panel);
        // 5 counts of 200, at half the reflectance, are a quarter of 5 %.
        for counts in [5.0, -5.0] {
            let found = rise(counts);
            // Without the part that could be noise.
            let of_rise = found.share / f64::from(counts);
            assert!(found.nm == 400.0 && (0.04..0.051).contains(&of_rise), "{found:?}");
        }
        assert_eq!(rise(0.0).share, 0.0, "noise is no change");
    }

    #[test]
    fn a_change_of_the_light_is_seen_in_a_part_of_the_spectrum() {
        let (dark, then) = (reference(1, |_| 100.0), reference(2, |band| 100.0 + SIGNAL[band]));
        let now = |share: f32| reference(3, |band| 100.0 + SIGNAL[band] * if band == 1 { 1.0 + share } else { 1.0 });
        for share in [-0.03_f32, 0.03] {
            let now = now(share);
            let found = light(&now, &dark).change((&then, &dark));
            assert!(found.nm == 500.0 && (found.share - f64::from(share)).abs() < 0.001, "{found:?}");
        }
        let (same, other_dark) = (now(0.0), reference(4, |_| 160.0));
        assert_eq!(light(&same, &dark).change((&then, &dark)).share, 0.0);
        // Each white reference has a dark one of its own.
        let raised = reference(5, |band| 160.0 + SIGNAL[band]);
        assert_eq!(light(&raised, &other_dark).change((&then, &dark)).share, 0.0);
    }
}
