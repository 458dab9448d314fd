//! The inner loops: counts `[band][pixel]` to reflectance `[pixel][band]`, pixel by pixel.
//!
//! A line is taken in blocks of [`BLOCK`] pixels. A block's counts are turned from `[band][pixel]` to `[pixel][band]` while they are
//! still counts, which are smaller than reflectance, and stay in the second cache; what is made of them goes to its receiver
//! spectrum by spectrum, each of which stays in the first.

use super::Quality;
use crate::simd::{Simd, WithSimd};

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

/// What takes the spectra of a line.
pub trait Spectra {
    /// Takes the spectrum of pixel `pixel`; the pixels of a line come one after the other. Implementations are `#[inline(always)]`, so
    /// that they are compiled for the vector unit that calls them.
    fn take(&mut self, pixel: usize, spectrum: Spectrum<'_>);
}

/// A detector element as it is stored.
pub(super) trait Element: Copy + Default {
    fn number(self) -> f32;
}

impl Element for u16 {
    #[inline(always)]
    fn number(self) -> f32 {
        f32::from(self)
    }
}

impl Element for f32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
}

/// How the counts of one pixel become reflectance.
pub(super) trait Method {
    /// Turns `counts` of pixel `pixel` into reflectance, `[band]` both; gives the flags. `counts` may be changed.
    fn pixel<T: Element>(&self, pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8;
}

/// A bad element and the good elements of the same pixel, before and after it in the spectrum, that it is interpolated from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Patch {
    pub band: u32,
    /// `u32::MAX` where no element of the pixel works.
    pub from: (u32, u32),
    /// Weight of the second.
    pub weight: f32,
}

/// `(counts - dark) * gain`, with bad elements interpolated.
pub(super) struct ByReferences<'a> {
    /// Counts, `[pixel][band]`; minus infinity for bad elements.
    pub dark: &'a [f32],
    /// 1/counts, `[pixel][band]`.
    pub gain: &'a [f32],
    /// How far the dark level has risen at this line: the share, and the whole rise `[pixel][band]` in counts.
    pub rise: Option<(f32, &'a [f32])>,
    /// Patches of all pixels, and for each pixel where its own begin, with one end.
    pub patches: (&'a [Patch], &'a [u32]),
    /// Counts from which an element is saturated.
    pub saturation: f32,
    /// Signal in counts under which an element is too weak.
    pub weak: f32,
}

impl Method for ByReferences<'_> {
    #[inline(always)]
    fn pixel<T: Element>(&self, pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8 {
        let bands = values.len();
        let (patches, begins) = self.patches;
        let patches = &patches[begins[pixel] as usize..begins[pixel + 1] as usize];
        // A bad element is neither saturated nor, its dark level being what it is, weak.
        patches.iter().for_each(|patch| counts[patch.band as usize] = T::default());
        let here = pixel * bands..(pixel + 1) * bands;
        let (dark, gain) = (&self.dark[here.clone()], &self.gain[here.clone()]);
        let (mut saturated, mut weak) = (0_u32, 0_u32);
        let mut element = |count: T, dark: f32, gain: f32, value: &mut f32| {
            let count = count.number();
            let signal = count - dark;
            *value = signal * gain;
            saturated |= u32::from(count >= self.saturation);
            // The check for overflow would keep the loop from being vectorised.
            weak = weak.wrapping_add(u32::from(signal < self.weak));
        };
        let counts = &counts[..bands];
        match self.rise {
            None => (0..bands).for_each(|i| element(counts[i], dark[i], gain[i], &mut values[i])),
            Some((share, rise)) => {
                let rise = &rise[here];
                (0..bands).for_each(|i| element(counts[i], dark[i] + share * rise[i], gain[i], &mut values[i]));
            }
        }
        let mut flags = if saturated != 0 { Quality::SATURATED } else { 0 };
        if weak as usize * 2 > bands {
            flags |= Quality::LOW_SIGNAL;
        }
        for patch in patches {
            if patch.from.0 == u32::MAX {
                // There is nothing to interpolate from.
                values[patch.band as usize] = f32::NAN;
                flags |= Quality::NO_DATA;
                continue;
            }
            let (a, b) = (values[patch.from.0 as usize], values[patch.from.1 as usize]);
            values[patch.band as usize] = a + (b - a) * patch.weight;
            flags |= Quality::BAD_PIXEL;
        }
        flags
    }
}

/// A recording that is reflectance already.
pub(super) struct ByScale {
    pub scale: f64,
    /// The value that stands for "no data".
    pub ignore: Option<f64>,
}

impl Method for ByScale {
    #[inline(always)]
    fn pixel<T: Element>(&self, _pixel: usize, counts: &mut [T], values: &mut [f32]) -> u8 {
        let ignore = self.ignore.unwrap_or(f64::NAN);
        let mut void = false;
        for (value, count) in values.iter_mut().zip(counts.iter()) {
            let number = f64::from(count.number());
            let none = !number.is_finite() | (number == ignore);
            #[expect(clippy::cast_possible_truncation, reason = "a reflectance needs no more than f32")]
            let reflectance = (number / self.scale) as f32;
            *value = if none { f32::NAN } else { reflectance };
            void |= none;
        }
        if void { Quality::NO_DATA } else { 0 }
    }
}

/// A tile that is turned at once: four times its rows make one line of the first cache.
const ROWS: usize = 16;
const COLUMNS: usize = 32;
const TILE: usize = ROWS * COLUMNS;
/// Pixels of a block: each row of it is some neighbouring lines of memory, which come faster than scattered ones.
pub(super) const BLOCK: usize = 4 * COLUMNS;

/// Everything a line is converted with.
pub(super) struct Convert<'a, T, M, S> {
    /// Counts `[band][pixel]`.
    pub counts: &'a [T],
    pub pixels: usize,
    pub method: M,
    /// Room for the counts of a block, `[pixel][band]`.
    pub block: &'a mut Vec<T>,
    /// Room for a spectrum, as long as there are bands.
    pub values: &'a mut [f32],
    pub out: &'a mut S,
}

impl<T: Element, M: Method, S: Spectra> WithSimd for Convert<'_, T, M, S> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { counts, pixels, method, block, values, out } = self;
        let bands = values.len();
        block.resize(BLOCK * bands, T::default());
        for first in (0..pixels).step_by(BLOCK) {
            let n = BLOCK.min(pixels - first);
            turn_block(counts, pixels, bands, first..first + n, block);
            for (at, counts) in block.chunks_exact_mut(bands).take(n).enumerate() {
                let quality = method.pixel(first + at, counts, values);
                out.take(first + at, Spectrum { values, quality });
            }
        }
    }
}

/// Turns the pixels `range` of a line of counts `[band][pixel]` to `[pixel][band]`.
#[inline(always)]
fn turn_block<T: Element>(counts: &[T], pixels: usize, bands: usize, range: std::ops::Range<usize>, to: &mut [T]) {
    let n = range.len();
    let (whole_rows, whole_columns) = (bands - bands % ROWS, n - n % COLUMNS);
    let mut tiles = ([T::default(); TILE], [T::default(); TILE]);
    for band in (0..whole_rows).step_by(ROWS) {
        for column in (0..whole_columns).step_by(COLUMNS) {
            turn_tile(&counts[band * pixels + range.start + column..], pixels, &mut to[column * bands + band..], bands, &mut tiles);
        }
    }
    // What is left over at two sides.
    for band in 0..bands {
        let first = if band < whole_rows { whole_columns } else { 0 };
        for column in first..n {
            to[column * bands + band] = counts[band * pixels + range.start + column];
        }
    }
}

/// Turns one tile. Element `row * COLUMNS + column` has to go to `column * ROWS + row`: its number, in bits, rotated by the bits of a
/// row number. Interleaving the two halves of a tile rotates by one bit, in a form that vector units have instructions for.
#[inline(always)]
fn turn_tile<T: Element>(from: &[T], pixels: usize, to: &mut [T], bands: usize, (a, b): &mut ([T; TILE], [T; TILE])) {
    for row in 0..ROWS / 2 {
        let (upper, lower) = (&from[row * pixels..][..COLUMNS], &from[(row + ROWS / 2) * pixels..][..COLUMNS]);
        let pairs = &mut a[row * 2 * COLUMNS..][..2 * COLUMNS];
        for i in 0..COLUMNS {
            pairs[2 * i] = upper[i];
            pairs[2 * i + 1] = lower[i];
        }
    }
    interleave(a, b);
    interleave(b, a);
    interleave(a, b);
    for (column, spectrum) in b.chunks_exact(ROWS).enumerate() {
        to[column * bands..][..ROWS].copy_from_slice(spectrum);
    }
}

#[inline(always)]
fn interleave<T: Element>(from: &[T; TILE], to: &mut [T; TILE]) {
    for i in 0..TILE / 2 {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + TILE / 2];
    }
}
