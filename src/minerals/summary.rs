//! The summary of a sample.

use super::found::Found;
use crate::scan::{FeatureSummary, MineralShares, SampleMinerals, Share};
use std::collections::BTreeMap;

/// Shares of the minerals of a sample, and its features.
#[expect(clippy::cast_precision_loss, reason = "pixels of a container")]
pub fn summary(of: &Found) -> SampleMinerals {
    let pixels = of.len();
    let share = |count: usize| Share { share: count as f64 / pixels.max(1) as f64, interval: None };
    let winner = &of.minerals.winner;
    let mut groups = Vec::new();
    for codes in winner {
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        codes.iter().for_each(|code| *counts.entry(*code).or_default() += 1);
        let not_identified = share(counts.remove(&0).unwrap_or(0));
        let minerals = counts.into_iter().map(|(code, count)| (of.about.mineral(code).to_owned(), share(count))).collect();
        groups.push(MineralShares { not_identified, minerals });
    }
    let neither = winner[0].iter().zip(&winner[1]).filter(|codes| *codes == (&0, &0)).count();
    let features = of.about.features.iter().enumerate();
    let wide = of.about.features.len();
    let features = features.filter_map(|(at, feature)| {
        let mut values: Vec<f32> = of.minerals.features.iter().skip(at).step_by(wide.max(1)).copied().filter(|v| !v.is_nan()).collect();
        values.sort_unstable_by(f32::total_cmp);
        let quantile = |q: f64| percentile(&values, q);
        let (median, low, high) = (quantile(0.5)?, quantile(0.16)?, quantile(0.84)?);
        let summary = FeatureSummary { unit: feature.unit.to_string(), pixels: values.len() as u64, median, spread: (high - low) / 2.0 };
        Some((feature.name.clone(), summary))
    });
    SampleMinerals {
        part: of.part,
        deferred: None,
        pixels: pixels as u64,
        not_identified: Some(share(neither)),
        groups,
        features: features.collect(),
    }
}

/// The value below which a share of sorted values lies. `None` where there are no values.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a container")]
fn percentile(sorted: &[f32], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let value = |at: usize| f64::from(sorted[at.min(sorted.len() - 1)]);
    Some(value(low) + part * (value(low + 1) - value(low)))
}
