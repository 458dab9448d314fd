//! A block bootstrap: intervals of shares of pixels that are not independent.

use super::prepare::number;
use super::summary::Judged;
use sha2::{Digest, Sha256};

/// Blocks along a side of a square sample.
const BLOCKS: f64 = 4.0;
/// Least side of a block, in pixels.
const LEAST_SIDE: usize = 2;
/// Number of draws.
const DRAWS: usize = 999;
/// The interval leaves out this share of the draws on either side.
const TAIL: f64 = 0.025;
/// Neighbouring blocks resemble each other a little. Found on maps of grains of up to a third of a block.
const NEIGHBOURS: f64 = 1.085;

/// Blocks of pixels, and how often each draw takes each of them.
pub(super) struct Blocks {
    /// The block of each judged pixel.
    of_pixel: Vec<u32>,
    /// The number of blocks with a judged pixel.
    count: usize,
    /// How often each block is taken, `[block][draw]`.
    taken: Vec<f32>,
}

impl Blocks {
    pub(super) fn new(judged: &[Judged], sample: &str) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of pixels")]
        let side = ((number(judged.len()).sqrt() / BLOCKS).round() as usize).max(LEAST_SIDE);
        // Blocks begin at the first judged pixel, wherever the sample lies on the tray.
        let least = |of: fn(&Judged) -> usize| judged.iter().map(of).min().unwrap_or(0);
        let most = |of: fn(&Judged) -> usize| judged.iter().map(of).max().unwrap_or(0);
        let (left, top) = (least(|at| at.pixel), least(|at| at.line));
        let (across, along) = ((most(|at| at.pixel) - left) / side + 1, (most(|at| at.line) - top) / side + 1);
        let mut numbers = vec![u32::MAX; across * along];
        let mut count = 0;
        let mut number_of = |at: &Judged| {
            let number = &mut numbers[(at.line - top) / side * across + (at.pixel - left) / side];
            if *number == u32::MAX {
                *number = count;
                count += 1;
            }
            *number
        };
        let of_pixel = judged.iter().map(&mut number_of).collect();
        let count = count as usize;
        let mut random = Random::new(sample);
        let mut taken = vec![0.0; DRAWS * count];
        for draw in 0..if count > 0 { DRAWS } else { 0 } {
            (0..count).for_each(|_| taken[random.below(count) * DRAWS + draw] += 1.0);
        }
        Self { of_pixel, count, taken }
    }

    /// The number of blocks.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The block of each judged pixel.
    pub(super) fn of_pixel(&self) -> impl Iterator<Item = usize> {
        self.of_pixel.iter().map(|block| *block as usize)
    }

    /// The number of judged pixels of each block that `which` picks by their number.
    pub(super) fn counts(&self, which: impl Fn(usize) -> bool) -> Vec<u32> {
        let mut counts = vec![0; self.count];
        self.of_pixel().enumerate().for_each(|(at, block)| counts[block] += u32::from(which(at)));
        counts
    }

    /// The sum over the blocks that a draw takes, of each draw. Counts are whole numbers, so no sum is rounded.
    pub(super) fn drawn(&self, counts: &[u32]) -> Vec<f64> {
        let mut sums = vec![0.0; DRAWS];
        for (taken, count) in self.taken.chunks_exact(DRAWS).zip(counts) {
            let count = f64::from(*count);
            sums.iter_mut().zip(taken).for_each(|(sum, taken)| *sum += f64::from(*taken) * count);
        }
        sums
    }

    /// The interval of the share of `hits` among all, both counted by block. `drawn` is all that is drawn.
    pub(super) fn interval(&self, hits: &[u32], (all, drawn): (&[u32], &[f64])) -> [f64; 2] {
        let sum = |counts: &[u32]| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
        let whole = sum(hits) / sum(all);
        let shares = self.drawn(hits).into_iter().zip(drawn).filter(|(_, all)| **all > 0.0);
        let mut draws: Vec<f64> = shares.map(|(hits, all)| hits / *all).collect();
        let Some(last) = draws.len().checked_sub(1) else { return [0.0, 1.0] };
        let wider = self.wider();
        [TAIL, 1.0 - TAIL].map(|tail| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a draw")]
            let at = ((tail * number(last)).round() as usize).min(last);
            let (_, end, _) = draws.select_nth_unstable_by(at, f64::total_cmp);
            (whole + (*end - whole) * wider).clamp(0.0, 1.0)
        })
    }

    /// Factor of an interval's width. Few blocks show less than their scatter, and Student's distribution is wider than the normal one.
    fn wider(&self) -> f64 {
        let blocks = number(self.count).max(2.0);
        // Student's quantile 0.975 over the normal one, to 1 % from five degrees of freedom on.
        let student = 1.0 + 1.21 / (blocks - 1.0) + 1.5 / ((blocks - 1.0) * (blocks - 1.0));
        (blocks / (blocks - 1.0)).sqrt() * student * NEIGHBOURS
    }
}

/// Random numbers by Knuth's generator MMIX.
struct Random(u64);

impl Random {
    fn new(seed: &str) -> Self {
        let bytes = Sha256::digest(seed.as_bytes());
        Self(bytes.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let scaled = (u128::from(self.0 >> 16) * end as u128) >> 48;
        usize::try_from(scaled).unwrap_or(0)
    }
}
