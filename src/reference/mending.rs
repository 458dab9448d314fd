//! Bad elements that are interpolated over the spectrum, and those that are not.

use super::referenced::median;
use crate::scan::Quality;

/// Distances of neighbouring bands over which bad elements are interpolated, unless configured: three bad elements side by side. The half
/// is for bands that are not evenly spaced.
const BANDS_APART: f32 = 4.5;
/// Share by which a distance may exceed the limit. Wavelengths are rounded.
const ROUNDED: f64 = 1e-3;

/// The largest distance of two good bands between which bad ones are interpolated, nm: `configured`, or four typical distances of
/// neighbouring bands with some margin.
pub fn mend_limit_nm(wavelengths_nm: &[f64], configured: Option<f64>) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "a distance of bands needs no more than f32")]
    let distances = || wavelengths_nm.windows(2).map(|pair| (pair[1] - pair[0]).abs() as f32).collect();
    configured.unwrap_or_else(|| f64::from(BANDS_APART * median(distances())))
}

/// Whether values may be interpolated between two wavelengths, nm.
pub fn may_interpolate(from_nm: f64, to_nm: f64, limit_nm: f64) -> bool {
    (to_nm - from_nm).abs() <= limit_nm * (1.0 + ROUNDED)
}

/// A bad element. It is interpolated between the nearest good elements before and after it in the spectrum, or it has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Patch {
    pub band: u32,
    /// The bands of the sources.
    pub from: (u32, u32),
    /// Weight of the second source.
    pub weight: f32,
    /// The flag of the pixel. With [`Quality::BAD_PIXEL`] the element is interpolated. With others it has no value.
    pub flag: u8,
}

/// The bad elements of a detector.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mending {
    /// Bad elements by pixel.
    pub patches: Vec<Patch>,
    /// Index of each pixel's first patch, with one end index.
    pub begins: Vec<u32>,
}

impl Mending {
    /// The mending of a detector with the bad elements `bad`, `[band][pixel]`, and bands at `wavelengths_nm`.
    ///
    /// A bad element is interpolated between good ones at most `limit_nm` apart, and never beyond the last good one.
    #[expect(clippy::cast_possible_truncation, reason = "detectors have far fewer than 2^32 elements")]
    pub fn new(bad: &[u8], wavelengths_nm: &[f64], limit_nm: f64) -> Self {
        let pixels = bad.len() / wavelengths_nm.len().max(1);
        let mut all = Self { patches: Vec::new(), begins: vec![0] };
        for pixel in 0..pixels {
            let first = all.patches.len();
            let is_bad = |band: usize| bad[band * pixels + pixel] != 0;
            let (mut before, mut after) = (None, None);
            for band in 0..wavelengths_nm.len() {
                if !is_bad(band) {
                    before = Some(band);
                    continue;
                }
                if after.is_none_or(|after| after < band) {
                    after = (band + 1..wavelengths_nm.len()).find(|other| !is_bad(*other)).or(Some(usize::MAX));
                }
                let between = before.zip(after.filter(|after| *after != usize::MAX));
                all.patches.push(patch(band, between, wavelengths_nm, limit_nm));
            }
            if all.patches.len() - first == wavelengths_nm.len() {
                all.patches[first..].iter_mut().for_each(|patch| patch.flag = Quality::NO_DATA);
            }
            all.begins.push(all.patches.len() as u32);
        }
        all
    }

    /// Number of interpolated elements, and of elements without a value.
    pub fn counts(&self) -> (usize, usize) {
        let mended = self.patches.iter().filter(|patch| patch.flag == Quality::BAD_PIXEL).count();
        (mended, self.patches.len() - mended)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "detectors have far fewer than 2^32 bands")]
fn patch(band: usize, between: Option<(usize, usize)>, nm: &[f64], limit_nm: f64) -> Patch {
    let none = Patch { band: band as u32, from: (band as u32, band as u32), weight: 0.0, flag: Quality::MISSING_BANDS };
    let Some((a, b)) = between else { return none };
    let weight = (nm[band] - nm[a]) / (nm[b] - nm[a]);
    // Where two spectrometers meet, wavelengths may fall, and the neighbours lie on one side.
    if !may_interpolate(nm[a], nm[b], limit_nm) || !(0.0..=1.0).contains(&weight) {
        return none;
    }
    Patch { from: (a as u32, b as u32), weight: weight as f32, flag: Quality::BAD_PIXEL, ..none }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weight and flag of each bad element of one pixel. Bands lie at `nm`, and those of `bad` are bad.
    fn mended(nm: &[f64], bad: &[usize], limit: Option<f64>) -> Vec<(u32, f32, u8)> {
        let flags: Vec<u8> = (0..nm.len()).map(|band| u8::from(bad.contains(&band))).collect();
        let mending = Mending::new(&flags, nm, mend_limit_nm(nm, limit));
        assert_eq!(mending.begins, [0, u32::try_from(bad.len()).unwrap()]);
        mending.patches.iter().map(|patch| (patch.band, patch.weight, patch.flag)).collect()
    }

    #[test]
    fn a_few_bad_bands_are_interpolated_and_more_are_missing() {
        let (mended_flag, missing) = (Quality::BAD_PIXEL, Quality::MISSING_BANDS);
        for step in [1.3, 6.0] {
            let nm: Vec<f64> = (0..40).map(|band| 400.0 + step * f64::from(band)).collect();
            assert_eq!(mended(&nm, &[7], None), [(7, 0.5, mended_flag)]);
            let three = mended(&nm, &[7, 8, 9], None);
            assert!(three.iter().all(|patch| patch.2 == mended_flag) && (three[0].1 - 0.25).abs() < 1e-6, "{three:?}");
            assert!(mended(&nm, &[7, 8, 9, 10], None).iter().all(|patch| patch.2 == missing));
            assert!(mended(&nm, &[7, 8, 9, 10], Some(5.0 * step)).iter().all(|patch| patch.2 == mended_flag));
            assert!(mended(&nm, &[7], Some(1.9 * step)).iter().all(|patch| patch.2 == missing));
        }
    }

    #[test]
    fn nothing_is_extrapolated_and_nothing_is_taken_across_left_out_bands() {
        let mut nm: Vec<f64> = (0..40).map(|band| 400.0 + 2.0 * f64::from(band)).collect();
        assert_eq!(mended(&nm, &[0, 39], None), [(0, 0.0, Quality::MISSING_BANDS), (39, 0.0, Quality::MISSING_BANDS)]);
        nm.drain(10..20);
        assert_eq!(mended(&nm, &[10], None)[0].2, Quality::MISSING_BANDS);
        assert_eq!(mended(&nm, &[9], Some(100.0))[0].2, Quality::BAD_PIXEL);
        // The wavelengths of a second spectrometer begin below the last of the first.
        let two = [650.0, 660.0, 655.0, 665.0, 675.0];
        assert_eq!(mended(&two, &[1], Some(100.0))[0].2, Quality::MISSING_BANDS);
    }

    #[test]
    fn a_pixel_without_a_good_element_has_no_data() {
        assert_eq!(mended(&[400.0, 401.0], &[0, 1], None).iter().map(|patch| patch.2).collect::<Vec<_>>(), [Quality::NO_DATA; 2]);
    }
}
