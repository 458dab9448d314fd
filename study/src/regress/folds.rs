//! Folds of whole groups.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;

/// The fold of each sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// Fold of each sample, from 0.
    pub of: Vec<usize>,
    /// Number of folds.
    pub count: usize,
    /// Number of groups.
    pub groups: usize,
}

/// The samples of each group.
pub(super) fn members(groups: &[String]) -> Vec<Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(i, group)| members.entry(group).or_default().push(i));
    members.into_values().collect()
}

/// Deals the groups to at most `most` folds of about the same size. No group lies in two folds.
pub fn folds(groups: &[String], most: usize, seed: u64) -> Folds {
    let mut dealt = members(groups);
    dealt.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    // Large groups first, each to the smallest fold. Groups of one size keep their random order.
    dealt.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let count = most.min(dealt.len());
    let (mut of, mut sizes) = (vec![0; groups.len()], vec![0_usize; count]);
    for group in &dealt {
        let fold = (0..count).min_by_key(|fold| sizes[*fold]).unwrap_or_default();
        group.iter().for_each(|sample| of[*sample] = fold);
        sizes[fold] += group.len();
    }
    Folds { of, count, groups: dealt.len() }
}

impl Folds {
    /// Samples outside the given folds, in their order.
    pub fn outside(&self, left_out: &[usize]) -> Vec<usize> {
        (0..self.of.len()).filter(|sample| !left_out.contains(&self.of[*sample])).collect()
    }

    /// Samples of a fold, in their order.
    pub fn inside(&self, fold: usize) -> Vec<usize> {
        (0..self.of.len()).filter(|sample| self.of[*sample] == fold).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_together_and_folds_are_even() {
        let groups: Vec<String> = (0..60).map(|i| format!("G{}", (i * i) % 23)).collect();
        for seed in 0..20 {
            let folds = folds(&groups, 6, seed);
            for (i, group) in groups.iter().enumerate() {
                assert!(groups.iter().zip(&folds.of).all(|(other, fold)| other != group || *fold == folds.of[i]));
            }
            let sizes: Vec<usize> = (0..folds.count).map(|fold| folds.inside(fold).len()).collect();
            assert!(sizes.iter().all(|size| (8..=13).contains(size)), "{sizes:?}");
            assert_eq!(folds.outside(&[0, 2]).len(), 60 - sizes[0] - sizes[2]);
        }
        let own: Vec<String> = (0..7).map(|i| i.to_string()).collect();
        assert_eq!(folds(&own, 10, 0).count, 7);
    }
}
