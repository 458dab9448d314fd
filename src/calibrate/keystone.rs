//! Keystone: the bands of a pixel look at different places across the belt.
//!
//! ξ runs from -1 to 1 across the line, β from -0.5 to 0.5 over the bands of the camera. A band of a pixel looks k β ξ pixels to the right
//! of the pixel, where k is the keystone. The middle band looks at the pixel itself. Each band is resampled to the pixel's place.

use super::{Spectra, Spectrum};
use crate::reference::UsedBands;
use crate::scan::Quality;
use contract::Layout;

/// Neighbouring pixels that a value comes from.
const NEIGHBOURS: usize = 3;

/// The correction of a camera's keystone, and the spectra of the neighbouring pixels of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystone {
    pixels: usize,
    /// Place at which each band has the value for a pixel at the right end of the line, minus that of the pixel, pixels.
    at_end_px: Vec<f32>,
    /// Spectra of the latest pixels, `[pixel % 3][band]`, and their flags.
    held: Vec<f32>,
    flags: [u8; NEIGHBOURS],
    /// The corrected spectrum, `[band]`.
    corrected: Vec<f32>,
}

impl Keystone {
    /// The correction for a line of `layout`, whose bands are the `used` ones of a camera with `bands` bands.
    ///
    /// At the right end of the line, the camera's last band looks `keystone_px` pixels further to the right than its first. `None` without a
    /// keystone.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "shares of pixels and numbers of bands")]
    pub fn new(keystone_px: f64, layout: Layout, used: &UsedBands, bands: usize) -> Option<Self> {
        if keystone_px == 0.0 || bands < 2 || layout.pixels < 2 {
            return None;
        }
        let at_end = |band: usize| {
            let looks = keystone_px * of_range(used.index(band), bands);
            // The place at which a band looks changes by 1 + 2 k β / pixels from pixel to pixel.
            (-looks / (1.0 + 2.0 * looks / layout.pixels as f64)) as f32
        };
        Some(Self {
            pixels: layout.pixels,
            at_end_px: (0..layout.bands).map(at_end).collect(),
            held: vec![0.0; NEIGHBOURS * layout.bands],
            flags: [0; NEIGHBOURS],
            corrected: vec![0.0; layout.bands],
        })
    }

    /// Corrects the spectra of one line on their way to `out`.
    pub(super) fn before<'a, S: Spectra>(&'a mut self, out: &'a mut S) -> Before<'a, S> {
        Before { keystone: self, out }
    }
}

/// β of a band: its place in the range of a camera with `bands` bands, -0.5 to 0.5.
#[expect(clippy::cast_precision_loss, reason = "numbers of bands")]
pub fn of_range(band: usize, bands: usize) -> f64 {
    if bands > 1 { band as f64 / (bands - 1) as f64 - 0.5 } else { 0.0 }
}

/// A receiver of spectra that corrects the keystone. It gives a pixel once it has the one behind it.
pub(super) struct Before<'a, S> {
    keystone: &'a mut Keystone,
    out: &'a mut S,
}

impl<S: Spectra> Spectra for Before<'_, S> {
    #[inline(always)]
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
        let Keystone { pixels, at_end_px, held, flags, corrected } = &mut *self.keystone;
        let (pixels, bands) = (*pixels, spectrum.values().len());
        let slot = pixel % NEIGHBOURS;
        held[slot * bands..][..bands].copy_from_slice(spectrum.values());
        flags[slot] = spectrum.quality();
        let (at_end_px, corrected) = (&at_end_px[..bands], &mut corrected[..bands]);
        for pixel in pixel.saturating_sub(1)..pixel + usize::from(pixel + 1 == pixels) {
            let of = |pixel: usize| (&held[pixel % NEIGHBOURS * bands..][..bands], flags[pixel % NEIGHBOURS]);
            let (here, own) = of(pixel);
            #[expect(clippy::cast_precision_loss, reason = "pixel numbers are far below 2^24")]
            let across = (2 * pixel + 1) as f32 / pixels as f32 - 1.0;
            let mut beside = 0;
            if pixel == 0 || pixel + 1 == pixels {
                // The line ends: the value comes from a straight line through two pixels.
                let (other, sign) = if pixel == 0 { (of(1), 1.0) } else { (of(pixel - 1), -1.0) };
                let across = across * sign;
                for band in 0..bands {
                    let moved = here[band] + across * at_end_px[band] * (other.0[band] - here[band]);
                    corrected[band] = if moved.is_finite() { moved } else { here[band] };
                }
                beside |= other.1;
            } else if across == 0.0 {
                corrected.copy_from_slice(here);
            } else {
                let (before, after) = (of(pixel - 1), of(pixel + 1));
                for band in 0..bands {
                    let (left, value, right) = (before.0[band], here[band], after.0[band]);
                    let by = across * at_end_px[band];
                    let moved = value + 0.5 * by * ((right - left) + by * ((right - value) - (value - left)));
                    corrected[band] = if moved.is_finite() { moved } else { value };
                }
                beside |= before.1 | after.1;
            }
            // Where a neighbour has no value, the pixel keeps its own.
            let quality = own | (beside & !(Quality::NO_DATA | Quality::MISSING_BANDS));
            self.out.take(pixel, Spectrum { values: corrected, quality });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: usize = 100;
    const BANDS: usize = 21;

    #[derive(Default)]
    struct Whole(Vec<f32>, Vec<u8>);

    impl Spectra for Whole {
        fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
            assert_eq!(pixel, self.1.len(), "pixels come one after the other");
            self.0.extend_from_slice(spectrum.values());
            self.1.push(spectrum.quality());
        }
    }

    /// A line `[pixel][band]` of the scene `value`, by place in pixels, that a camera with this keystone sees.
    fn seen(keystone_px: f64, value: impl Fn(f64) -> f64) -> Vec<f32> {
        let at = |pixel: usize, band: usize| {
            let across = (2.0 * pixel as f64 + 1.0) / PIXELS as f64 - 1.0;
            pixel as f64 + keystone_px * of_range(band, BANDS) * across
        };
        (0..PIXELS * BANDS).map(|i| value(at(i / BANDS, i % BANDS)) as f32).collect()
    }

    fn corrected(keystone_px: f64, values: &[f32], quality: &[u8]) -> Whole {
        let layout = Layout { pixels: PIXELS, bands: BANDS, format: contract::PixelFormat::U16 };
        let mut keystone = Keystone::new(keystone_px, layout, &UsedBands::all(BANDS), BANDS).unwrap();
        let mut out = Whole::default();
        // A second line is as the first.
        for _ in 0..2 {
            out = Whole::default();
            let mut before = keystone.before(&mut out);
            for (pixel, (values, quality)) in values.chunks(BANDS).zip(quality).enumerate() {
                before.take(pixel, Spectrum { values, quality: *quality });
            }
        }
        out
    }

    fn worst(values: &[f32], truth: &[f32], range: std::ops::Range<usize>) -> f32 {
        let both = values.iter().zip(truth).enumerate().filter(|(i, _)| range.contains(&(i / BANDS)));
        both.map(|(_, (a, b))| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn all_bands_see_one_place() {
        let wave = |at: f64| 0.5 + 0.3 * (at / 3.0).sin();
        let (truth, clear) = (seen(0.0, wave), vec![0; PIXELS]);
        for keystone_px in [0.5, -0.5, 1.5] {
            let before = seen(keystone_px, wave);
            let after = corrected(keystone_px, &before, &clear).0;
            let off = (worst(&before, &truth, 0..PIXELS), worst(&after, &truth, 1..PIXELS - 1), worst(&after, &truth, 0..PIXELS));
            let most = keystone_px.abs() as f32;
            assert!(off.0 > 0.045 * most && off.1 < 0.004 * most && off.2 < 0.03 * most, "{keystone_px}: {off:?}");
        }
        // A plane stays a plane up to both ends.
        let slope = |at: f64| 0.1 + 0.007 * at;
        let after = corrected(0.8, &seen(0.8, slope), &clear).0;
        assert!(worst(&after, &seen(0.0, slope), 0..PIXELS) < 2e-5);
    }

    #[test]
    fn no_keystone_is_no_correction() {
        let layout = Layout { pixels: PIXELS, bands: BANDS, format: contract::PixelFormat::U16 };
        assert_eq!(Keystone::new(0.0, layout, &UsedBands::all(BANDS), BANDS), None);
        assert_eq!(Keystone::new(0.5, Layout { bands: 1, ..layout }, &UsedBands::all(1), 1), None);
    }

    #[test]
    fn bands_that_are_left_out_keep_the_middle_of_the_camera() {
        let nm: Vec<f64> = (0..BANDS).map(|band| 400.0 + 10.0 * band as f64).collect();
        let layout = |bands: usize| Layout { pixels: PIXELS, bands, format: contract::PixelFormat::U16 };
        let used = UsedBands::new(&nm, Some(&[(500.0, 600.0)]), None);
        let (all, some) = (
            Keystone::new(0.5, layout(BANDS), &UsedBands::all(BANDS), BANDS).unwrap(),
            Keystone::new(0.5, layout(used.len()), &used, BANDS).unwrap(),
        );
        assert_eq!(some.at_end_px, all.at_end_px[10..]);
        assert!(some.at_end_px[0] == 0.0 && (some.at_end_px[10] + 0.25 / 1.005).abs() < 1e-6);
    }

    #[test]
    fn flags_of_neighbours_join_and_a_missing_value_stays_alone() {
        let mut values = seen(0.0, |at| 0.1 + 0.001 * at);
        let mut quality = vec![0; PIXELS];
        quality[10] = Quality::SATURATED;
        quality[30] = Quality::MISSING_BANDS;
        values[30 * BANDS] = f32::NAN;
        quality[99] = Quality::LOW_SIGNAL;
        let after = corrected(0.5, &values, &quality);
        let flagged: Vec<(usize, u8)> = after.1.iter().copied().enumerate().filter(|(_, flags)| *flags != 0).collect();
        let (full, low) = (Quality::SATURATED, Quality::LOW_SIGNAL);
        assert_eq!(flagged, [(9, full), (10, full), (11, full), (30, Quality::MISSING_BANDS), (98, low), (99, low)]);
        assert!(after.0.iter().enumerate().all(|(i, value)| value.is_nan() == (i == 30 * BANDS)));
        assert_eq!((after.0[29 * BANDS], after.0[31 * BANDS]), (values[29 * BANDS], values[31 * BANDS]));
    }
}
