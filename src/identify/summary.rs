//! What a sample is made of: shares of its area, and the middle of each feature, with intervals.
//!
//! Shares of the area come from [`Mixture`](super::Mixture), where it is known. Else pixels count whole for their winner.
//! Neighbouring pixels are not independent. Intervals come from a block bootstrap: square blocks of pixels are drawn with replacement. The
//! sample's name seeds it, so that the same sample gives the same interval.

use super::bootstrap::Blocks;
use super::identifier::Feature;
use super::minerals::Minerals;
use super::mixture::{Area, area};
use super::prepare::number;
use serde::Serialize;

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

/// Least pixels of a feature in a summary.
const LEAST_PIXELS: usize = 20;
/// Features that are read side by side: those of a line of the cache.
const SIDE_BY_SIDE: usize = 16;

/// A pixel that belongs to the sample and has a spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Its number in the [`Minerals`].
    pub entry: usize,
    /// Its line.
    pub line: usize,
    /// Its place in the line.
    pub pixel: usize,
}

impl Judged {
    /// The pixels with `true` in a mask `[line][pixel]` of lines of `width` pixels.
    pub fn of_mask(mask: &[bool], width: usize) -> Vec<Self> {
        let lines = mask.chunks(width.max(1)).enumerate();
        let all = lines.flat_map(|(line, mask)| mask.iter().enumerate().map(move |(pixel, judged)| (line, pixel, *judged)));
        let judged = all.enumerate().filter(|(_, (.., judged))| *judged);
        judged.map(|(entry, (line, pixel, _))| Self { entry, line, pixel }).collect()
    }
}

/// Sums up pixels, which come in the order of their lines. Names are those of [`super::Identifier`]. `areas` are the shares of the area, or
/// none. `sample` seeds the bootstrap.
pub fn summarize(minerals: &Minerals, areas: &[Area], judged: &[Judged], names: &[String], features: &[Feature], sample: &str) -> Summary {
    let blocks = Blocks::new(judged, sample);
    let all = blocks.counts(|_| true);
    let all_drawn = blocks.drawn(&all);
    let share = |code: usize, hits: &[u32], of: &dyn Fn([u16; 2]) -> bool| {
        let mineral = code.checked_sub(1).map_or(NOT_IDENTIFIED, |at| names[at].as_str()).to_owned();
        let pixels = hits.iter().map(|hits| *hits as usize).sum();
        let counted = number(pixels) / number(judged.len()).max(1.0);
        let [share, pure] = area(areas, of).unwrap_or([counted; 2]);
        let interval = blocks.interval(hits, (&all, &all_drawn));
        let [low, high] = interval.map(|end| (end + (share - counted)).clamp(0.0, 1.0));
        // Pixels of a kind that is nowhere pure may all be mixtures of others.
        let low = if pure > 0.0 || share == 0.0 { low } else { 0.0 };
        Share { code: u16::try_from(code).unwrap_or(0), mineral, pixels, share, interval: [low, high] }
    };
    let group = |group: usize| {
        let n = blocks.count();
        // Pixels of each code in each block, `[code][block]`.
        let mut counts = vec![0_u32; (names.len() + 1) * n];
        for (pixel, block) in judged.iter().zip(blocks.of_pixel()) {
            let code = usize::from(minerals.winner[group][pixel.entry]);
            if code <= names.len() {
                counts[code * n + block] += 1;
            }
        }
        let found = counts.chunks_exact(n.max(1)).enumerate().filter(|(code, hits)| *code == 0 || hits.iter().any(|n| *n > 0));
        let mut shares: Vec<Share> = found.map(|(code, hits)| share(code, hits, &|codes| usize::from(codes[group]) == code)).collect();
        if n == 0 {
            shares.push(share(0, &[], &|codes| codes[group] == 0));
        }
        shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(b.pixels.cmp(&a.pixels)).then(a.code.cmp(&b.code)));
        shares
    };
    let mut found = Vec::new();
    let mut columns = vec![Vec::new(); SIDE_BY_SIDE.min(features.len())];
    for (first, some) in features.chunks(SIDE_BY_SIDE).enumerate() {
        let from = first * SIDE_BY_SIDE;
        columns.iter_mut().for_each(Vec::clear);
        for pixel in judged {
            let begin = pixel.entry * features.len() + from;
            let values = minerals.features.get(begin..begin + some.len()).unwrap_or_default();
            columns.iter_mut().zip(values).for_each(|(column, value)| column.push(*value));
        }
        found.extend(some.iter().zip(&columns).filter_map(|(feature, values)| of_feature(feature, values, &blocks)));
    }
    let neither = |at: usize| minerals.winner.iter().all(|winner| winner[judged[at].entry] == 0);
    Summary {
        pixels: judged.len(),
        not_identified: share(0, &blocks.counts(neither), &|codes| codes == [0, 0]),
        groups: [group(0), group(1)],
        features: found,
    }
}

/// The middle of a feature, of which each judged pixel has a value or NaN. `None` where too few have one.
fn of_feature(feature: &Feature, values: &[f32], blocks: &Blocks) -> Option<FeatureSummary> {
    let mut sorted = Sorted::new(values);
    let pixels = sorted.keys.len();
    if pixels < LEAST_PIXELS {
        return None;
    }
    let median = sorted.quantile(0.5);
    // The interval of the share below the median, read off the distribution of the values (Woodruff 1952).
    let (below, has) = (blocks.counts(|at| values[at] < median), blocks.counts(|at| values[at].is_finite()));
    let [low, high] = blocks.interval(&below, (&has, &blocks.drawn(&has)));
    Some(FeatureSummary {
        name: feature.name.clone(),
        unit: feature.unit,
        pixels,
        median,
        spread: (sorted.quantile(0.84) - sorted.quantile(0.16)) * 0.5,
        interval: [sorted.quantile(low.min(0.5)), sorted.quantile(high.max(0.5))],
    })
}

/// Finite values, sorted as far as it was needed.
struct Sorted {
    /// Their bits, which rise as [`f32::total_cmp`] has it.
    keys: Vec<i32>,
    /// The places that hold what they will hold in the end. All before are at most that, and all behind at least.
    placed: Vec<usize>,
}

impl Sorted {
    fn new(values: &[f32]) -> Self {
        Self {
            keys: values.iter().filter(|value| value.is_finite()).map(|value| Self::key(value.to_bits().cast_signed())).collect(),
            placed: Vec::new(),
        }
    }

    /// Its own inverse.
    fn key(bits: i32) -> i32 {
        bits ^ (bits >> 31 & i32::MAX)
    }

    /// The value below which a share of the values lies.
    fn quantile(&mut self, share: f64) -> f32 {
        let last = self.keys.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a value")]
        let at = ((share.clamp(0.0, 1.0) * number(last)).round() as usize).min(last);
        if !self.placed.contains(&at) && at < self.keys.len() {
            let from = self.placed.iter().filter(|placed| **placed < at).max().map_or(0, |placed| placed + 1);
            let to = self.placed.iter().filter(|placed| **placed > at).min().copied().unwrap_or(self.keys.len());
            self.keys[from..to].select_nth_unstable(at - from);
            self.placed.push(at);
        }
        self.keys.get(at).map_or(f32::NAN, |key| f32::from_bits(Self::key(*key).cast_unsigned()))
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
        summarize(&minerals, &[], &Judged::of_mask(&vec![true; map.len()], side), &["a".into()], &[feature], &format!("sample {seed}"))
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
        let summary = summarize(&minerals, &[], &Judged::of_mask(&[true, true, true, false], 2), &names, &[], "s");
        let found: Vec<(&str, usize)> = summary.groups[0].iter().map(|share| (share.mineral.as_str(), share.pixels)).collect();
        assert_eq!((summary.pixels, found), (3, vec![("a", 2), (NOT_IDENTIFIED, 1)]));
        assert_eq!(summary.groups[1][0].interval, [1.0, 1.0]);
        let again = summarize(&minerals, &[], &Judged::of_mask(&[true, true, true, false], 2), &names, &[], "s");
        assert_eq!(summary, again);
        let none = summarize(&Minerals::default(), &[], &[], &names, &[], "s");
        assert_eq!((none.pixels, none.groups[0][0].share), (0, 0.0));
    }
}
