//! Bands averaged in pairs, and these again. A wide window reads few values, of less noise.

use std::ops::Range;

/// Most values of a window. Windows of more bands read averages.
pub(super) const MOST_VALUES: usize = 60;
/// Most levels.
const MOST_LEVELS: usize = 6;

/// Levels of averages over a spectrum. Level 0 has the bands themselves. A level has half the values of the one before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pyramid {
    /// The values of each level, within the values of all.
    pub levels: Vec<Range<usize>>,
    /// Centres of all values, nm.
    pub nm: Vec<f64>,
}

impl Pyramid {
    /// The levels over bands with these centres, nm.
    pub(super) fn new(centres_nm: &[f64]) -> Self {
        let mut levels: Vec<Range<usize>> = std::iter::once(0..centres_nm.len()).collect();
        let mut nm = centres_nm.to_vec();
        while let Some(last) = levels.last().cloned().filter(|last| last.len() >= 2 && levels.len() < MOST_LEVELS) {
            let begin = nm.len();
            nm.extend_from_within(last.start..last.start + last.len() / 2);
            for pair in 0..last.len() / 2 {
                nm[begin + pair] = f64::midpoint(nm[last.start + 2 * pair], nm[last.start + 2 * pair + 1]);
            }
            levels.push(begin..nm.len());
        }
        Self { levels, nm }
    }

    /// Fills the levels above 0 of `values`, which begin with a spectrum `[band]`. `mean` is the mean of two values.
    #[inline(always)]
    pub(super) fn fill<T: Copy>(&self, values: &mut [T], mean: impl Fn(T, T) -> T) {
        for pair in self.levels.windows(2) {
            let (below, level) = values.split_at_mut(pair[1].start);
            let below = &below[pair[0].clone()];
            for (value, two) in level[..pair[1].len()].iter_mut().zip(below.chunks_exact(2)) {
                *value = mean(two[0], two[1]);
            }
        }
    }

    /// The values of a level with centres from `from_nm` to `to_nm`.
    pub(super) fn within(&self, level: usize, [from_nm, to_nm]: [f64; 2]) -> Range<usize> {
        let range = self.levels.get(level).cloned().unwrap_or_default();
        let nm = &self.nm[range.clone()];
        let first = nm.partition_point(|nm| *nm < from_nm);
        let end = nm.partition_point(|nm| *nm <= to_nm).max(first);
        range.start + first..range.start + end
    }

    /// The finest level with at most [`MOST_VALUES`] values from `from_nm` to `to_nm`, and with one of them in each of `shoulders`.
    pub(super) fn level(&self, range_nm: [f64; 2], shoulders: &[[f64; 2]]) -> usize {
        let fits = |level: &usize| self.within(*level, range_nm).len() <= MOST_VALUES;
        let wanted = (0..self.levels.len()).find(fits).unwrap_or(self.levels.len() - 1);
        let whole = |level: &usize| shoulders.iter().all(|shoulder| !self.within(*level, *shoulder).is_empty());
        (0..=wanted).rev().find(whole).unwrap_or(0)
    }

    /// The stretch of the spectrum that each value of `range` stands for, nm, as a multiple of the mean one.
    pub(super) fn weights(&self, range: Range<usize>) -> Vec<f64> {
        let nm = &self.nm[range];
        let at = |i: usize| nm[(i + 1).min(nm.len() - 1)] - nm[i.saturating_sub(1)];
        let extent = |i: usize| if i == 0 || i + 1 == nm.len() { 2.0 * at(i) } else { at(i) };
        let all: Vec<f64> = (0..nm.len()).map(extent).collect();
        let mean = all.iter().sum::<f64>() / f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
        if mean > 0.0 { all.iter().map(|one| one / mean).collect() } else { vec![1.0; nm.len()] }
    }
}
