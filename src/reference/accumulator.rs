//! Sums over the frames of a reference.

use super::{Reference, UsedBands};
use crate::simd::{Simd, WithSimd, widest};
use arrayvec::ArrayVec;
use contract::{Exposure, Frame, Layout};
use std::ops::Range;

/// Frames of whole counts that are added together. The sums are eight times as large as a frame. They are passed over once for all of
/// these frames.
const TOGETHER: usize = 4;
/// Elements whose sums stay in registers during an addition of frames.
const LANES: usize = 16;
/// Number of counts whose sum fits into 32 bits.
const CHUNK: usize = 1024;

/// Adds up the frames of a reference.
#[derive(Debug)]
pub struct Accumulator {
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// Largest value of each element.
    peak: Vec<f32>,
    /// Elements of the used bands in a frame. The others are left out.
    runs: Vec<Range<usize>>,
    /// Frames that wait for addition, and their largest number.
    held: Vec<Frame>,
    most: usize,
    /// Sum of the frames' mean levels, and of their squares, both relative to the first level.
    levels: (f64, f64),
    first_level: f64,
    temperature: (f64, u32),
    frames: u32,
    /// Time of the first frame, ns, and the sum of the frames' times since then, ns.
    times_ns: (i64, i64),
}

impl Accumulator {
    /// An empty accumulator for the `used` bands of frames of `layout`. It holds at most half of the pool's `slots`, and at least one.
    pub fn new(layout: Layout, used: &UsedBands, slots: usize) -> Self {
        let most = TOGETHER.min(slots / 2).max(1);
        // The values are written at once. The system shares zeroed memory until the first write, and then every page costs twice.
        fn filled<T: Copy>(elements: usize, value: T) -> Vec<T> {
            let mut filled = Vec::new();
            filled.resize(elements, value);
            filled
        }
        let elements = layout.pixels * used.len();
        Self {
            sum: filled(elements, 0.0),
            squares: filled(elements, 0.0),
            peak: filled(elements, f32::NEG_INFINITY),
            runs: used.runs().iter().map(|run| run.start * layout.pixels..run.end * layout.pixels).collect(),
            held: Vec::with_capacity(most),
            most,
            levels: (0.0, 0.0),
            first_level: 0.0,
            temperature: (0.0, 0),
            frames: 0,
            times_ns: (0, 0),
        }
    }

    /// Number of frames added so far.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Adds a frame. Its slot returns to the pool when its values are added.
    #[expect(clippy::cast_precision_loss, reason = "sums of counts are far below 2^52")]
    pub fn add(&mut self, frame: Frame) {
        let n = self.sum.len().max(1) as f64;
        let level = if let Some(counts) = frame.slot.as_u16() {
            self.runs.iter().map(|run| widest(Total(&counts[run.clone()]))).sum::<u64>() as f64 / n
        } else if let Some(values) = frame.slot.as_f32() {
            let finite = self.runs.iter().flat_map(|run| &values[run.clone()]).filter(|value| value.is_finite());
            let (sum, n) = finite.fold((0.0, 0.0), |(sum, n), value| (sum + f64::from(*value), n + 1.0));
            sum / f64::max(n, 1.0)
        } else {
            0.0
        };
        if self.frames == 0 {
            self.times_ns.0 = frame.info.time_ns;
            self.first_level = level;
        }
        self.frames += 1;
        self.times_ns.1 = self.times_ns.1.saturating_add(frame.info.time_ns.saturating_sub(self.times_ns.0));
        let difference = level - self.first_level;
        self.levels = (self.levels.0 + difference, self.levels.1 + difference * difference);
        if let Some(temperature_c) = frame.info.temperature_c.filter(|celsius| celsius.is_finite()) {
            self.temperature = (self.temperature.0 + f64::from(temperature_c), self.temperature.1 + 1);
        }
        self.held.push(frame);
        if self.held.len() >= self.most {
            self.sum_up();
        }
    }

    fn sum_up(&mut self) {
        let mut first = 0;
        for run in &self.runs {
            let here = first..first + run.len();
            first = here.end;
            let (sum, squares, peak) = (&mut self.sum[here.clone()], &mut self.squares[here.clone()], &mut self.peak[here]);
            // All frames of a pool have one number format.
            let of_u16: ArrayVec<&[u16], TOGETHER> = self.held.iter().filter_map(|frame| frame.slot.as_u16()?.get(run.clone())).collect();
            let of_f32: ArrayVec<&[f32], TOGETHER> = self.held.iter().filter_map(|frame| frame.slot.as_f32()?.get(run.clone())).collect();
            if of_f32.is_empty() {
                widest(SumUp { frames: &of_u16, sum, squares, peak, number: |value| f32::from(value) });
            } else {
                widest(SumUp { frames: &of_f32, sum, squares, peak, number: |value| value });
            }
        }
        self.held.clear();
    }

    /// Mean and standard deviation over the frames; `None` without frames.
    #[expect(clippy::cast_possible_truncation, reason = "statistics of counts need no more than f32")]
    pub fn finish(mut self, exposure: Exposure) -> Option<Reference> {
        if self.frames == 0 {
            return None;
        }
        self.sum_up();
        let n = f64::from(self.frames);
        let mean: Vec<f32> = self.sum.iter().map(|sum| (sum / n) as f32).collect();
        let free = (n - 1.0).max(1.0);
        let sd =
            self.sum.iter().zip(&self.squares).map(|(sum, squares)| (((squares - sum * sum / n) / free).max(0.0)).sqrt() as f32).collect();
        let level_sd = ((self.levels.1 - self.levels.0 * self.levels.0 / n) / free).max(0.0).sqrt() as f32;
        let temperature_c = (self.temperature.1 > 0).then(|| self.temperature.0 / f64::from(self.temperature.1));
        let Self { frames, times_ns: (first_ns, since_ns), peak, .. } = self;
        let taken_ns = first_ns.saturating_add(since_ns / i64::from(frames));
        Some(Reference { mean, sd, peak, frames, level_sd, taken_ns, temperature_c, exposure })
    }
}

/// Adds frames to the sums of their values and of the values' squares, and to the largest values. Sums of whole counts are exact.
struct SumUp<'a, T, N> {
    frames: &'a [&'a [T]],
    sum: &'a mut [f64],
    squares: &'a mut [f64],
    peak: &'a mut [f32],
    number: N,
}

impl<T: Copy, N: Fn(T) -> f32> WithSimd for SumUp<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { frames, sum, squares, peak, number } = self;
        let (sums, last_sums) = sum.as_chunks_mut::<LANES>();
        let (squares, last_squares) = squares.as_chunks_mut::<LANES>();
        let (peaks, last_peaks) = peak.as_chunks_mut::<LANES>();
        let first = sums.len() * LANES;
        for (i, ((sums, squares), peaks)) in sums.iter_mut().zip(squares).zip(peaks).enumerate() {
            let (mut sum, mut square, mut peak) = (*sums, *squares, *peaks);
            for frame in frames {
                // A frame has as many elements as there are sums.
                let Some(values) = frame[i * LANES..].first_chunk::<LANES>() else { continue };
                for lane in 0..LANES {
                    let value = number(values[lane]);
                    peak[lane] = if value > peak[lane] { value } else { peak[lane] };
                    let value = f64::from(value);
                    sum[lane] += value;
                    square[lane] += value * value;
                }
            }
            (*sums, *squares, *peaks) = (sum, square, peak);
        }
        for (i, ((sum, squares), peak)) in last_sums.iter_mut().zip(last_squares).zip(last_peaks).enumerate() {
            for frame in frames {
                let value = number(frame[first + i]);
                *peak = if value > *peak { value } else { *peak };
                let value = f64::from(value);
                *sum += value;
                *squares += value * value;
            }
        }
    }
}

/// The sum of a frame's counts.
pub(crate) struct Total<'a>(pub(crate) &'a [u16]);

impl WithSimd for Total<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) -> u64 {
        // A chunk's sum fits into 32 bits.
        self.0.chunks(CHUNK).map(|counts| u64::from(counts.iter().fold(0_u32, |sum, count| sum.wrapping_add(u32::from(*count))))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{FrameInfo, FramePool, PixelFormat};

    #[test]
    fn mean_and_deviation_are_over_the_frames() {
        let layout = Layout { pixels: 2, bands: 1, format: PixelFormat::U16 };
        let pool = FramePool::new(layout, 1);
        let mut sum = Accumulator::new(layout, &UsedBands::all(1), pool.slots());
        for level in [10_u16, 12, 14] {
            let mut slot = pool.try_take().unwrap();
            slot.as_u16_mut().unwrap().copy_from_slice(&[level, 7]);
            sum.add(Frame { info: FrameInfo::default(), slot });
        }
        let reference = sum.finish(Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) }).unwrap();
        assert_eq!((reference.mean, reference.sd, reference.frames), (vec![12.0, 7.0], vec![2.0, 0.0], 3));
        assert_eq!(reference.peak, [14.0, 7.0]);
        assert_eq!(reference.level_sd, 1.0, "levels are 8.5, 9.5 and 10.5");
    }

    #[test]
    fn bands_that_are_left_out_count_nowhere() {
        let layout = Layout { pixels: 2, bands: 4, format: PixelFormat::U16 };
        let pool = FramePool::new(layout, 2);
        let used = UsedBands::new(&[1.0, 2.0, 3.0, 4.0], Some(&[(2.0, 2.0), (4.0, 4.0)]), None);
        let mut sum = Accumulator::new(layout, &used, pool.slots());
        for flicker in [0, 1000] {
            let mut slot = pool.try_take().unwrap();
            slot.as_u16_mut().unwrap().copy_from_slice(&[flicker, 2 * flicker, 1, 2, flicker, 9, 3, 4]);
            sum.add(Frame { info: FrameInfo::default(), slot });
        }
        let reference = sum.finish(Exposure { exposure_us: 1.0, frame_rate_hz: 1.0, binning: (1, 1) }).unwrap();
        assert_eq!((reference.mean, reference.level_sd, reference.peak), (vec![1.0, 2.0, 3.0, 4.0], 0.0, vec![1.0, 2.0, 3.0, 4.0]));
    }
}
