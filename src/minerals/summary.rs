//! The summary of a sample.

use super::found::Found;
use crate::identify::{Minerals, Summary, summarize};
use crate::scan::{FeatureSummary, MineralShares, SampleMinerals, Share};

/// Shares of the minerals of a sample, and its features, with their intervals.
pub fn summary(of: &Found) -> SampleMinerals {
    let width = of.pixels_mm.len();
    let about = &of.about;
    let dense = Dense { of, width, pixels: of.lines_mm.len() * width };
    let seed = &of.sample.container.sample;
    let features = about.features.len();
    let minerals = Minerals {
        winner: [0, 1].map(|group| dense.map(&of.minerals.winner[group], 1, 0)),
        features: dense.map(&of.minerals.features, features, f32::NAN),
        ..Minerals::default()
    };
    let valid = dense.map(&vec![true; of.len()], 1, false);
    let found = summarize(&minerals, &of.mixture.areas(), (&valid, width), &about.minerals, &about.features, seed);
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

/// The whole cube of a sample of which the judged pixels are known.
struct Dense<'a> {
    of: &'a Found,
    width: usize,
    pixels: usize,
}

impl Dense<'_> {
    /// Values `[line][pixel][...]`, of `each` values a pixel. Pixels that were not judged have the value `none`.
    fn map<T: Copy>(&self, values: &[T], each: usize, none: T) -> Vec<T> {
        let mut map = vec![none; self.pixels * each];
        for (at, (line, pixel)) in self.of.line.iter().zip(&self.of.pixel).enumerate() {
            let to = (*line as usize * self.width + *pixel as usize) * each;
            map[to..to + each].copy_from_slice(&values[at * each..(at + 1) * each]);
        }
        map
    }
}
