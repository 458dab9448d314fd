//! What a sample is made of: shares of its area, and the middle of each feature, with intervals.
//!
//! Shares of the area come from [`Mixture`](super::Mixture), where it is known. Else pixels count whole for their winner.
//! Neighbouring pixels are not independent. Intervals come from a block bootstrap: square blocks of pixels are drawn with replacement. The
//! sample's name seeds it, so that the same sample gives the same interval.

use super::identifier::Feature;
use super::minerals::Minerals;
use super::mixture::{Area, area};
use super::prepare::number;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A sample's minerals and features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The number of valid pixels.
    pub pixels: usize,
    /// Shares of group 1 (electronic) and of group 2 (vibrational), the largest first. "Not identified" is one of them.
    pub groups: [Vec<Share>; 2],
    /// Pixels in which neither group has a mineral.
    #[serde(skip)]
    pub not_identified: Share,
    /// Features that some pixel has.
    pub features: Vec<FeatureSummary>,
}

/// The share of a mineral of the area.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The mineral's code. 0 means "not identified".
    pub code: u16,
    /// The mineral's name.
    pub mineral: String,
    /// Its number of pixels.
    pub pixels: usize,
    /// Its share of the area of the valid pixels.
    pub share: f64,
    /// Interval that covers the true share in 95 of 100 cases.
    pub interval: [f64; 2],
}

/// The middle of a feature over the pixels that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureSummary {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// Its number of pixels.
    pub pixels: usize,
    /// The median.
    pub median: f32,
    /// Half the distance between the quantiles 0.16 and 0.84: the standard deviation of a normal distribution.
    pub spread: f32,
    /// Interval that covers the true median in 95 of 100 cases.
    pub interval: [f32; 2],
}

/// The name of code 0.
pub const NOT_IDENTIFIED: &str = "not identified";

/// Blocks along a side of a square sample.
const BLOCKS: f64 = 4.0;
/// Least side of a block, in pixels.
const LEAST_SIDE: usize = 2;
/// Number of draws.
const DRAWS: usize = 999;
/// Least pixels of a feature in a summary.
const LEAST_PIXELS: usize = 20;
/// The interval leaves out this share of the draws on either side.
const TAIL: f64 = 0.025;

/// Sums up pixels `[line][pixel]` of lines of `width` pixels. `valid` tells which pixels belong to the sample and have a spectrum. Names
/// are those of [`super::Identifier`]. `areas` are the shares of the area, or none. `sample` seeds the bootstrap.
pub fn summarize(
    minerals: &Minerals,
    areas: &[Area],
    (valid, width): (&[bool], usize),
    names: &[String],
    features: &[Feature],
    sample: &str,
) -> Summary {
    let blocks = Blocks::new(valid, width, sample);
    let share = |code: usize, pixels: usize, of: &dyn Fn([u16; 2]) -> bool| {
        let mineral = code.checked_sub(1).map_or(NOT_IDENTIFIED, |at| names[at].as_str()).to_owned();
        let counted = number(pixels) / number(blocks.pixels).max(1.0);
        let [share, pure] = area(areas, of).unwrap_or([counted; 2]);
        let interval = blocks.interval(|at| valid[at], |at| of([0, 1].map(|group: usize| minerals.winner[group][at])));
        let [low, high] = interval.map(|end| (end + (share - counted)).clamp(0.0, 1.0));
        // Pixels of a kind that is nowhere pure may all be mixtures of others.
        let low = if pure > 0.0 || share == 0.0 { low } else { 0.0 };
        Share { code: u16::try_from(code).unwrap_or(0), mineral, pixels, share, interval: [low, high] }
    };
    let group = |group: usize| {
        let winner = &minerals.winner[group];
        let mut counts = vec![0_usize; names.len() + 1];
        let codes = || winner.iter().zip(valid).filter(|(_, valid)| **valid).map(|(code, _)| usize::from(*code));
        codes().filter(|code| *code <= names.len()).for_each(|code| counts[code] += 1);
        let found = counts.iter().enumerate().filter(|(code, n)| *code == 0 || **n > 0);
        let mut shares: Vec<Share> = found.map(|(code, pixels)| share(code, *pixels, &|codes| usize::from(codes[group]) == code)).collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(b.pixels.cmp(&a.pixels)).then(a.code.cmp(&b.code)));
        shares
    };
    let feature = |(at, feature): (usize, &Feature)| {
        let value = |pixel: usize| minerals.features.get(pixel * features.len() + at).copied().unwrap_or(f32::NAN);
        let has = |pixel: usize| valid[pixel] && value(pixel).is_finite();
        let mut values: Vec<f32> = (0..valid.len()).filter(|pixel| has(*pixel)).map(value).collect();
        if values.len() < LEAST_PIXELS {
            return None;
        }
        values.sort_unstable_by(f32::total_cmp);
        let median = quantile(&values, 0.5);
        // The interval of the share below the median, read off the distribution of the values (Woodruff 1952).
        let [low, high] = blocks.interval(has, |pixel| value(pixel) < median);
        Some(FeatureSummary {
            name: feature.name.clone(),
            unit: feature.unit,
            pixels: values.len(),
            median,
            spread: (quantile(&values, 0.84) - quantile(&values, 0.16)) * 0.5,
            interval: [quantile(&values, low.min(0.5)), quantile(&values, high.max(0.5))],
        })
    };
    let neither = |at: usize| minerals.winner.iter().all(|winner| winner[at] == 0);
    let pixels = (0..valid.len()).filter(|at| valid[*at] && neither(*at)).count();
    Summary {
        pixels: blocks.pixels,
        not_identified: share(0, pixels, &|codes| codes == [0, 0]),
        groups: [group(0), group(1)],
        features: features.iter().enumerate().filter_map(feature).collect(),
    }
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f32], share: f64) -> f32 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a value")]
    let at = (share.clamp(0.0, 1.0) * number(last)).round() as usize;
    sorted.get(at.min(last)).copied().unwrap_or(f32::NAN)
}

/// Blocks of pixels, and how often each draw takes each of them.
struct Blocks {
    /// The block of each pixel.
    of_pixel: Vec<usize>,
    /// The number of blocks with a valid pixel.
    count: usize,
    /// How often each block is taken, `[draw][block]`.
    taken: Vec<u16>,
    /// The number of valid pixels.
    pixels: usize,
}

impl Blocks {
    fn new(valid: &[bool], width: usize, sample: &str) -> Self {
        let pixels = valid.iter().filter(|valid| **valid).count();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a number of pixels")]
        let side = ((number(pixels).sqrt() / BLOCKS).round() as usize).max(LEAST_SIDE);
        // Blocks begin at the first valid pixel, wherever the sample lies on the tray.
        let first = |of: &dyn Fn(usize) -> usize| (0..valid.len()).filter(|at| valid[*at]).map(of).min().unwrap_or(0);
        let width = width.max(1);
        let (left, top) = (first(&|at| at % width), first(&|at| at / width));
        let across = width.div_ceil(side) + 1;
        let cell = |at: usize| (at / width).saturating_sub(top) / side * across + (at % width).saturating_sub(left) / side;
        let mut numbers = vec![usize::MAX; (valid.len().div_ceil(width).div_ceil(side) + 1) * across];
        let mut count = 0;
        for at in (0..valid.len()).filter(|at| valid[*at]) {
            let number = &mut numbers[cell(at)];
            if *number == usize::MAX {
                *number = count;
                count += 1;
            }
        }
        let of_pixel = (0..valid.len()).map(|at| numbers[cell(at)]).collect();
        let mut random = Random::new(sample);
        let mut taken = vec![0_u16; DRAWS * count];
        for draw in taken.chunks_exact_mut(count.max(1)) {
            for _ in 0..count {
                let block = random.below(count);
                draw[block] = draw[block].saturating_add(1);
            }
        }
        Self { of_pixel, count, taken, pixels }
    }

    /// The interval of the share of pixels with `hit` among those with `has`.
    fn interval(&self, has: impl Fn(usize) -> bool, hit: impl Fn(usize) -> bool) -> [f64; 2] {
        let mut sums = vec![[0.0_f64; 2]; self.count];
        for (at, block) in self.of_pixel.iter().enumerate().filter(|(at, block)| **block < self.count && has(*at)) {
            sums[*block][0] += f64::from(u8::from(hit(at)));
            sums[*block][1] += 1.0;
        }
        let share = |taken: &dyn Fn(usize) -> f64| {
            let [hits, all] = sums.iter().enumerate().fold([0.0, 0.0], |[hits, all], (block, [hit, one])| {
                let taken = taken(block);
                [hits + taken * hit, all + taken * one]
            });
            if all > 0.0 { hits / all } else { f64::NAN }
        };
        let whole = share(&|_| 1.0);
        let draws = self.taken.chunks_exact(self.count.max(1)).map(|draw| share(&|block| f64::from(draw[block])));
        let mut draws: Vec<f64> = draws.filter(|share| share.is_finite()).collect();
        if draws.is_empty() {
            return [0.0, 1.0];
        }
        draws.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a draw")]
            let at = (share * number(draws.len() - 1)).round() as usize;
            draws[at.min(draws.len() - 1)]
        };
        let wider = self.wider();
        [TAIL, 1.0 - TAIL].map(|share| (whole + (at(share) - whole) * wider).clamp(0.0, 1.0))
    }

    /// Factor of an interval's width. Few blocks show less than their scatter, and Student's distribution is wider than the normal one.
    fn wider(&self) -> f64 {
        let blocks = number(self.count).max(2.0);
        // Student's quantile 0.975 over the normal one, to 1 % from five degrees of freedom on.
        let student = 1.0 + 1.21 / (blocks - 1.0) + 1.5 / ((blocks - 1.0) * (blocks - 1.0));
        (blocks / (blocks - 1.0)).sqrt() * student * NEIGHBOURS
    }
}

/// Neighbouring blocks resemble each other a little. Found on maps of grains of up to a third of a block.
const NEIGHBOURS: f64 = 1.085;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::tests;

    /// A map of `side` by `side` values, normal with deviation 1. Each is a weighted mean over `reach` neighbours on every side.
    fn correlated(side: usize, reach: usize, seed: u64) -> Vec<f32> {
        let mut random = tests::Random(seed);
        let whole = side + 2 * reach;
        let white: Vec<f32> = (0..whole * whole).map(|_| random.normal()).collect();
        let span = 2 * reach + 1;
        let mean = |line: usize, pixel: usize| {
            let sum: f32 = (0..span).map(|i| white[(line + i) * whole + pixel..][..span].iter().sum::<f32>()).sum();
            sum / span as f32
        };
        (0..side * side).map(|at| mean(at / side, at % side)).collect()
    }

    fn of_map(map: &[f32], side: usize, level: f32, seed: u64) -> Summary {
        let code: Vec<u16> = map.iter().map(|value| u16::from(*value > level)).collect();
        let zeros = vec![0; map.len()];
        let minerals = Minerals { winner: [code, zeros], features: map.to_vec(), ..Minerals::default() };
        let feature = Feature { name: "x".into(), unit: "1", long_name: "x: x".into() };
        summarize(&minerals, &[], (&vec![true; map.len()], side), &["a".into()], &[feature], &format!("sample {seed}"))
    }

    #[test]
    fn intervals_cover_what_they_say() {
        let mut all = Vec::new();
        for (reach, level, share) in [(0, 0.0, 0.5), (1, 0.0, 0.5), (1, 1.0, 0.158_655), (2, 0.0, 0.5)] {
            let (mut shares, mut medians) = (0, 0);
            let runs = 200;
            for seed in 0..runs {
                let summary = of_map(&correlated(60, reach, 1000 * reach as u64 + seed), 60, level, seed);
                let of_a = summary.groups[0].iter().find(|share| share.code == 1).unwrap();
                shares += u32::from((of_a.interval[0]..=of_a.interval[1]).contains(&share));
                medians += u32::from((summary.features[0].interval[0]..=summary.features[0].interval[1]).contains(&0.0));
            }
            println!("reach {reach}, share {share}: {shares} and {medians} of {runs}");
            for covered in [shares, medians] {
                all.push(f64::from(covered) / runs as f64);
            }
        }
        assert!(all.iter().all(|covered| (0.93..=0.97).contains(covered)), "{all:?}");
    }

    #[test]
    fn a_summary_counts_valid_pixels_only() {
        let minerals = Minerals { winner: [vec![1, 1, 0, 2], vec![0; 4]], features: vec![1.0, 2.0, f32::NAN, 9.0], ..Minerals::default() };
        let names = ["a", "b"].map(str::to_owned);
        let summary = summarize(&minerals, &[], (&[true, true, true, false], 2), &names, &[], "s");
        let found: Vec<(&str, usize)> = summary.groups[0].iter().map(|share| (share.mineral.as_str(), share.pixels)).collect();
        assert_eq!((summary.pixels, found), (3, vec![("a", 2), (NOT_IDENTIFIED, 1)]));
        assert_eq!(summary.groups[1][0].interval, [1.0, 1.0]);
        let again = summarize(&minerals, &[], (&[true, true, true, false], 2), &names, &[], "s");
        assert_eq!(summary, again);
        let none = summarize(&Minerals::default(), &[], (&[], 0), &names, &[], "s");
        assert_eq!((none.pixels, none.groups[0][0].share), (0, 0.0));
    }
}
