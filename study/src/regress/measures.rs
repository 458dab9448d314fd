//! Measures of predictions, with intervals by bootstrap over groups.

use super::folds::members;
use crate::bootstrap::{DRAWS, middle};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A measure with its interval of 95 %, by percentiles of the bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The measure of all samples.
    pub value: f64,
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Measures of the values of held-out samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measures {
    /// Root of the mean squared error, in the label's unit.
    pub rmse: Interval,
    /// 1 minus the squared error over that of the mean of all labels.
    pub r2: Interval,
    /// Share of the labels in their intervals.
    pub coverage: Interval,
    /// Root of the mean squared error of the baseline.
    pub baseline_rmse: Interval,
    /// Error over that of the baseline.
    pub ratio: Interval,
    /// Mean width of the intervals, in the label's unit.
    pub width: f64,
}

/// One held-out sample: its label, the value and interval given, and the baseline's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Given {
    pub label: f64,
    pub value: f64,
    pub lower: f64,
    pub upper: f64,
    pub baseline: f64,
}

/// Measures of held-out samples. The bootstrap draws whole groups.
pub(super) fn of(given: &[Given], groups: &[String], seed: u64) -> Measures {
    let members = members(groups);
    let whole = figures(&mut given.iter());
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let drawn: Vec<[f64; 5]> = (0..DRAWS)
        .map(|_| {
            let drawn: Vec<usize> = (0..members.len()).flat_map(|_| members[random.random_range(0..members.len())].clone()).collect();
            figures(&mut drawn.iter().map(|i| &given[*i]))
        })
        .collect();
    let interval = |i: usize| {
        let (low, high) = middle(drawn.iter().map(|figures| figures[i]));
        Interval { value: whole[i], low, high }
    };
    let width = given.iter().map(|g| g.upper - g.lower).sum::<f64>() / given.len().max(1) as f64;
    Measures { rmse: interval(0), r2: interval(1), coverage: interval(2), baseline_rmse: interval(3), ratio: interval(4), width }
}

/// Error, R², coverage, error of the baseline, and the ratio of both errors.
fn figures(given: &mut dyn Iterator<Item = &Given>) -> [f64; 5] {
    let (mut count, mut sum, mut squares, mut error, mut baseline, mut covered) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let mut shift = None;
    for g in given {
        // Labels less the first one, against rounding.
        let label = g.label - *shift.get_or_insert(g.label);
        count += 1.0;
        sum += label;
        squares += label * label;
        error += (g.value - g.label).powi(2);
        baseline += (g.baseline - g.label).powi(2);
        covered += f64::from(u8::from((g.lower..=g.upper).contains(&g.label)));
    }
    let total = squares - sum * sum / count;
    [(error / count).sqrt(), 1.0 - error / total, covered / count, (baseline / count).sqrt(), (error / baseline).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_definitions() {
        let of_label =
            |i: usize| Given { label: i as f64, value: i as f64 + 1.0, lower: i as f64 - 0.5, upper: i as f64 + 3.0, baseline: 4.5 };
        let mut given: Vec<Given> = (0..10).map(of_label).collect();
        given[0].lower = 0.5;
        let groups: Vec<String> = (0..10).map(|i| (i / 2).to_string()).collect();
        let measures = of(&given, &groups, 1);
        assert_eq!((measures.rmse.value, measures.coverage.value, measures.rmse.low, measures.rmse.high), (1.0, 0.9, 1.0, 1.0));
        assert!((measures.r2.value - (1.0 - 10.0 / 82.5)).abs() < 1e-12 && (measures.baseline_rmse.value - 8.25_f64.sqrt()).abs() < 1e-12);
        assert!((measures.ratio.value - 1.0 / 8.25_f64.sqrt()).abs() < 1e-12);
        // Two of ten samples share the group of the missed one, which is drawn 0 to 3 times in 95 % of the draws.
        assert!(measures.coverage.low <= 0.8 && measures.coverage.high == 1.0, "{:?}", measures.coverage);
        assert_eq!(of(&given, &groups, 1), measures, "a seed gives the same");
    }
}
