//! The inner loops: counts `[band][pixel]` to reflectance `[pixel][band]`, pixel by pixel.
//!
//! A line is processed in blocks of [`BLOCK`] pixels. A block's counts are transposed from `[band][pixel]` to `[pixel][band]` first.
//! Counts are smaller than reflectance, so the block stays in the second-level cache. The results go to the receiver spectrum by spectrum.
//! Each spectrum stays in the first-level cache.

use crate::reference::{Patch, Response, Smile, Total, finite_mean};
use crate::scan::Quality;
use crate::simd::{Simd, WithSimd, all_finite, widest};
use crate::transpose::{TILE, transpose_block};
use std::ops::Range;

/// The spectrum of one pixel of a line. Only a calibration makes one.
#[derive(Debug, Clone, Copy)]
pub struct Spectrum<'a> {
    pub(super) values: &'a [f32],
    pub(super) quality: u8,
}

impl<'a> Spectrum<'a> {
    /// Reflectance `[band]`.
    #[inline(always)]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Flags, see [`Quality`].
    #[inline(always)]
    pub fn quality(&self) -> u8 {
        self.quality
    }
}

/// A receiver of a line's spectra.
pub trait Spectra {
    /// Takes the spectrum of pixel `pixel`. The pixels of a line arrive in order. Implementations are `#[inline(always)]`, so that they
    /// are compiled for the caller's vector unit.
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>);
}

/// A detector element's stored number.
pub(super) trait Element: Copy + Default {
    /// Whether a number may be infinite or no number.
    const FLOAT: bool;
    fn number(self) -> f32;

    /// Mean of a line's finite numbers, `[band][pixel]`, over some bands.
    fn mean(counts: &[Self], runs: &[Range<usize>], pixels: usize) -> f64;
}

impl Element for u16 {
    const FLOAT: bool = false;

    #[inline(always)]
    fn number(self) -> f32 {
        f32::from(self)
    }

    #[expect(clippy::cast_precision_loss, reason = "sums of counts are far below 2^52")]
    fn mean(counts: &[Self], runs: &[Range<usize>], pixels: usize) -> f64 {
        let (mut sum, mut n) = (0, 0);
        for run in runs {
            sum += widest(Total(&counts[run.start * pixels..run.end * pixels]));
            n += run.len() * pixels;
        }
        sum as f64 / n.max(1) as f64
    }
}

impl Element for f32 {
    const FLOAT: bool = true;

    #[inline(always)]
    fn number(self) -> f32 {
        self
    }

    fn mean(counts: &[Self], runs: &[Range<usize>], pixels: usize) -> f64 {
        finite_mean(runs.iter().flat_map(|run| &counts[run.start * pixels..run.end * pixels]).map(|count| f64::from(*count)))
    }
}

/// A method of conversion from the counts of one pixel to reflectance.
pub(super) trait Method {
    /// Converts the `counts` of pixel `pixel` to reflectance, both `[band]`, and returns the flags. It may overwrite `counts`.
    fn pixel<T: Element>(&self, pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8;
}

/// `(counts - dark) * gain`, with interpolated bad elements.
pub(super) struct ByReferences<'a> {
    /// Dark level in counts, `[pixel][band]`; minus infinity for bad elements.
    pub dark: &'a [f32],
    /// Gain in 1/counts, `[pixel][band]`.
    pub gain: &'a [f32],
    /// Rise of the dark level at this line: the share, and the whole rise `[pixel][band]` in counts.
    pub rise: Option<(f32, &'a [f32])>,
    /// The response of the detector, and the stray light of this line in counts.
    pub response: Option<(Response, f32)>,
    /// Factor of each band's reflectance at this line, `[band]`: the light of the white reference over that of the line.
    pub light: Option<&'a [f32]>,
    /// Patches of all pixels, and the index of each pixel's first patch, with one end index.
    pub patches: (&'a [Patch], &'a [u32]),
    /// Counts from which an element is saturated.
    pub saturation: f32,
    /// Signal in counts below which an element is too weak, and the number of such elements that a pixel may have.
    pub weak: (f32, u32),
}

/// A dark level `[band]` of a pixel.
trait Level {
    fn at(&self, band: usize) -> f32;
}

struct Dark<'a>(&'a [f32]);

impl Level for Dark<'_> {
    #[inline(always)]
    fn at(&self, band: usize) -> f32 {
        self.0[band]
    }
}

struct Risen<'a> {
    dark: &'a [f32],
    share: f32,
    rise: &'a [f32],
}

impl Level for Risen<'_> {
    #[inline(always)]
    fn at(&self, band: usize) -> f32 {
        self.dark[band] + self.share * self.rise[band]
    }
}

/// The true signal of a measured one, both in counts.
trait Curve {
    fn signal(&self, measured: f32) -> f32;
}

struct Straight;

impl Curve for Straight {
    #[inline(always)]
    fn signal(&self, measured: f32) -> f32 {
        measured
    }
}

struct Bent {
    response: Response,
    stray: f32,
}

impl Curve for Bent {
    #[inline(always)]
    fn signal(&self, measured: f32) -> f32 {
        self.response.straight(measured) - self.stray
    }
}

impl ByReferences<'_> {
    /// Returns whether an element is saturated (not zero), and the number of weak elements. The loop owns its sums. The compiler would
    /// keep captured sums in memory, and process one element at a time.
    #[inline(always)]
    fn convert<T: Element>(&self, counts: &[T], (dark, curve): (&impl Level, &impl Curve), gain: &[f32], values: &mut [f32]) -> (u32, u32) {
        let (saturation, least) = (self.saturation, self.weak.0);
        let (mut saturated, mut weak) = (0_u32, 0_u32);
        for band in 0..values.len() {
            let count = counts[band].number();
            let signal = curve.signal(count - dark.at(band));
            values[band] = signal * gain[band];
            saturated |= u32::from((count >= saturation) & (!T::FLOAT | (count < f32::INFINITY)));
            // An overflow check would prevent vectorisation.
            weak = weak.wrapping_add(u32::from((signal < least) & (!T::FLOAT | (count > f32::NEG_INFINITY))));
        }
        (saturated, weak)
    }
}

impl Method for ByReferences<'_> {
    #[inline(always)]
    fn pixel<T: Element>(&self, pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8 {
        let bands = values.len();
        let (patches, begins) = self.patches;
        let patches = &patches[begins[pixel] as usize..begins[pixel + 1] as usize];
        // A bad element counts neither as saturated nor, with its dark level, as weak.
        patches.iter().for_each(|patch| counts[patch.band as usize] = T::default());
        let here = pixel * bands..(pixel + 1) * bands;
        let (dark, gain) = (&self.dark[here.clone()], &self.gain[here.clone()]);
        let counts = &counts[..bands];
        let rise = self.rise.map(|(share, rise)| Risen { dark, share, rise: &rise[here] });
        let bent = self.response.map(|(response, stray)| Bent { response, stray });
        let (saturated, weak) = match (rise, bent) {
            (None, None) => self.convert(counts, (&Dark(dark), &Straight), gain, values),
            (None, Some(bent)) => self.convert(counts, (&Dark(dark), &bent), gain, values),
            (Some(risen), None) => self.convert(counts, (&risen, &Straight), gain, values),
            (Some(risen), Some(bent)) => self.convert(counts, (&risen, &bent), gain, values),
        };
        let mut flags = if saturated != 0 { Quality::SATURATED } else { 0 };
        if weak > self.weak.1 {
            flags |= Quality::LOW_SIGNAL;
        }
        for patch in patches {
            let (a, b) = (values[patch.from.0 as usize], values[patch.from.1 as usize]);
            let interpolated = patch.flag == Quality::BAD_PIXEL;
            values[patch.band as usize] = if interpolated { a + (b - a) * patch.weight } else { f32::NAN };
            flags |= patch.flag;
        }
        if let Some(light) = self.light {
            values.iter_mut().zip(light).for_each(|(value, factor)| *value *= factor);
        }
        if T::FLOAT && !all_finite(values) {
            flags = lacking(values, flags);
        }
        flags
    }
}

/// Clears the values that are not finite, and returns the flags.
#[cold]
fn lacking(values: &mut [f32], flags: u8) -> u8 {
    let mut finite = 0;
    for value in values.iter_mut() {
        if value.is_finite() {
            finite += 1;
        } else {
            *value = f32::NAN;
        }
    }
    if finite == 0 { flags & !Quality::MISSING_BANDS | Quality::NO_DATA } else { flags | Quality::MISSING_BANDS }
}

/// The conversion of recordings that are reflectance already.
pub(super) struct ByScale {
    pub scale: f64,
    /// The value that means "no data".
    pub ignore: Option<f64>,
}

impl Method for ByScale {
    #[inline(always)]
    fn pixel<T: Element>(&self, _pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8 {
        let ignore = self.ignore.unwrap_or(f64::NAN);
        let mut missing = 0_u32;
        for (value, count) in values.iter_mut().zip(counts.iter()) {
            let number = f64::from(count.number());
            #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
            let reflectance = (number / self.scale) as f32;
            let none = !reflectance.is_finite() | (number == ignore);
            *value = if none { f32::NAN } else { reflectance };
            missing = missing.wrapping_add(u32::from(none));
        }
        match missing as usize {
            0 => 0,
            all if all == values.len() => Quality::NO_DATA,
            _ => Quality::MISSING_BANDS,
        }
    }
}

/// Pixels of a block. Each row of it is half a kilobyte of contiguous memory, which loads faster than scattered cache lines.
pub(super) const BLOCK: usize = 8 * TILE;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// The conversion of one line.
pub(super) struct Convert<'a, T, M, S> {
    /// Counts `[band][pixel]`.
    pub counts: &'a [T],
    pub pixels: usize,
    /// The bands that are converted.
    pub runs: &'a [Range<usize>],
    pub method: M,
    /// Buffer for the counts of a block, `[pixel][band]`.
    pub block: &'a mut Vec<T>,
    /// Buffer for a spectrum, `[band]`.
    pub values: &'a mut [f32],
    /// The smile of the camera, and a buffer for a spectrum without it, `[band]`.
    pub smile: Option<(&'a Smile, &'a mut [f32])>,
    pub out: &'a mut S,
}

impl<T: Element, M: Method, S: Spectra> WithSimd for Convert<'_, T, M, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { counts, pixels, runs, method, block, values, mut smile, out } = self;
        let bands = values.len();
        block.resize(BLOCK * bands + CACHE_LINE / size_of::<T>(), T::default());
        // No column of a tile then spans two cache lines, where the number of bands allows it.
        let aligned = block.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE / size_of::<T>());
        let block = &mut block[aligned..aligned + BLOCK * bands];
        for first in (0..pixels).step_by(BLOCK) {
            let n = BLOCK.min(pixels - first);
            let mut to = 0;
            for run in runs {
                let counts = &counts[run.start * pixels..run.end * pixels];
                transpose_block(counts, pixels, run.len(), first..first + n, (&mut block[to..], bands));
                to += run.len();
            }
            for (at, counts) in block.chunks_exact_mut(bands).take(n).enumerate() {
                let quality = method.pixel(first + at, counts, values);
                let values = match &mut smile {
                    None => &*values,
                    Some((smile, straight)) => {
                        smile.straighten(first + at, values, straight);
                        &**straight
                    }
                };
                out.take(first + at, Spectrum { values, quality });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::UsedBands;
    use proptest::prelude::*;

    /// Collects `[pixel][band]`.
    #[derive(Debug, Default)]
    struct Whole(Vec<f32>, Vec<u8>);

    impl Spectra for Whole {
        #[inline(always)]
        fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>) {
            assert_eq!(pixel, self.1.len(), "pixels come one after the other");
            self.0.extend_from_slice(spectrum.values());
            self.1.push(spectrum.quality());
        }
    }

    /// Tables `[pixel][band]` of a detector, and counts `[band][pixel]`.
    struct Case {
        pixels: usize,
        bands: usize,
        counts: Vec<u16>,
        dark: Vec<f32>,
        gain: Vec<f32>,
        rise: Vec<f32>,
        patches: Vec<Patch>,
        begins: Vec<u32>,
    }

    impl Case {
        fn random(pixels: usize, bands: usize, seed: u64) -> Self {
            // Knuth's generator, MMIX.
            let mut state = seed;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let n = pixels * bands;
            let mut case = Self {
                pixels,
                bands,
                counts: (0..n).map(|_| below(4096) as u16).collect(),
                dark: (0..n).map(|_| 80.0 + 0.01 * below(32_000) as f32).collect(),
                gain: (0..n).map(|_| 1e-4 + 1e-6 * below(10_000) as f32).collect(),
                rise: (0..n).map(|_| below(4000) as f32 * 0.01 - 20.0).collect(),
                patches: Vec::new(),
                begins: vec![0],
            };
            for pixel in 0..pixels {
                if bands > 2 && below(5) == 0 {
                    let band = 1 + below(bands as u64 - 2) as u32;
                    case.patches.push(Patch { band, from: (band - 1, band + 1), weight: 0.5, flag: Quality::BAD_PIXEL });
                    case.dark[pixel * bands + band as usize] = f32::NEG_INFINITY;
                    case.counts[band as usize * pixels + pixel] = 4095;
                }
                case.begins.push(case.patches.len() as u32);
            }
            case
        }

        fn method(&self, drift: bool) -> ByReferences<'_> {
            ByReferences {
                dark: &self.dark,
                gain: &self.gain,
                rise: drift.then_some((0.3, self.rise.as_slice())),
                response: None,
                light: None,
                patches: (&self.patches, &self.begins),
                saturation: 4094.0,
                weak: (60.0, self.bands as u32 / 20),
            }
        }

        /// The formulas, for one pixel and one band at a time.
        fn plain(&self, drift: bool) -> Whole {
            let mut whole = Whole(vec![0.0; self.counts.len()], vec![0; self.pixels]);
            for pixel in 0..self.pixels {
                let patches = &self.patches[self.begins[pixel] as usize..self.begins[pixel + 1] as usize];
                let mut weak = 0;
                for band in 0..self.bands {
                    let at = pixel * self.bands + band;
                    if patches.iter().all(|patch| patch.band as usize != band) {
                        let count = f32::from(self.counts[band * self.pixels + pixel]);
                        let signal = count - (self.dark[at] + if drift { 0.3 * self.rise[at] } else { 0.0 });
                        whole.0[at] = signal * self.gain[at];
                        whole.1[pixel] |= if count >= 4094.0 { Quality::SATURATED } else { 0 };
                        weak += usize::from(signal < 60.0);
                    }
                }
                for patch in patches {
                    let at = pixel * self.bands + patch.band as usize;
                    whole.0[at] = whole.0[at - 1] + (whole.0[at + 1] - whole.0[at - 1]) * 0.5;
                    whole.1[pixel] |= Quality::BAD_PIXEL;
                }
                whole.1[pixel] |= if weak > self.bands / 20 { Quality::LOW_SIGNAL } else { 0 };
            }
            whole
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn every_vector_unit_gives_what_the_formulas_say(
            pixels in 1..300_usize,
            bands in 1..100_usize,
            seed in any::<u64>(),
            drift in any::<bool>(),
        ) {
            let case = Case::random(pixels, bands, seed);
            let floats: Vec<f32> = case.counts.iter().map(|count| f32::from(*count)).collect();
            let plain = case.plain(drift);
            let mut seen: [Whole; 4] = Default::default();
            let (mut values, used) = (vec![0.0; bands], UsedBands::all(bands));
            let (mut of_counts, mut of_floats) = (Vec::new(), Vec::new());
            for (i, out) in seen.iter_mut().enumerate() {
                let (method, values) = (case.method(drift), values.as_mut_slice());
                if i < 2 {
                    let loops = Convert { counts: &case.counts, pixels, runs: used.runs(), method, block: &mut of_counts, values, smile: None, out };
                    if i == 0 { widest(loops) } else { pulp::Arch::Scalar.dispatch(loops) }
                } else {
                    let loops = Convert { counts: &floats, pixels, runs: used.runs(), method, block: &mut of_floats, values, smile: None, out };
                    if i == 2 { widest(loops) } else { pulp::Arch::Scalar.dispatch(loops) }
                }
            }
            for seen in &seen {
                prop_assert_eq!(&seen.1, &plain.1);
                // Both round once per operation in the same order, so they are equal to the last bit.
                prop_assert!(seen.0.iter().zip(&plain.0).all(|(seen, plain)| seen.to_bits() == plain.to_bits()));
            }
        }
    }
}
