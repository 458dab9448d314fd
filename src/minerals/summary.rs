//! The summary of a sample.

use super::found::Found;
use crate::identify::{Judged, Summary, summarize};
use crate::scan::{FeatureSummary, MineralShares, SampleMinerals, Share};

/// Shares of the minerals of a sample, and its features, with their intervals.
pub fn summary(of: &Found) -> SampleMinerals {
    let about = &of.about;
    let places = of.line.iter().zip(&of.pixel).enumerate();
    let judged: Vec<Judged> = places.map(|(entry, (line, pixel))| Judged { entry, line: *line as usize, pixel: *pixel as usize }).collect();
    let seed = &of.sample.container.sample;
    let found = summarize(&of.minerals, &of.mixture.areas(), &judged, &about.minerals, &about.features, seed);
    SampleMinerals {
        part: of.part,
        deferred: None,
        pixels: of.len() as u64,
        not_identified: Some(Share { share: found.not_identified.share, interval: found.not_identified.interval }),
        groups: vec![of_group(&found, 0), of_group(&found, 1)],
        features: found
            .features
            .into_iter()
            .map(|feature| {
                let summary = FeatureSummary {
                    unit: feature.unit.to_owned(),
                    pixels: feature.pixels as u64,
                    median: f64::from(feature.median),
                    spread: f64::from(feature.spread),
                    interval: feature.interval.map(f64::from),
                };
                (feature.name, summary)
            })
            .collect(),
    }
}

/// The shares of a group.
fn of_group(summary: &Summary, group: usize) -> MineralShares {
    let mut shares = MineralShares::default();
    for found in &summary.groups[group] {
        let share = Share { share: found.share, interval: found.interval };
        if found.code == 0 {
            shares.not_identified = share;
        } else {
            shares.minerals.insert(found.mineral.clone(), share);
        }
    }
    shares
}
