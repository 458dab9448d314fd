//! Agreement of a grouping with labels. The names of the groups do not matter.

use serde::Serialize;
use std::collections::BTreeMap;

/// Two measures of the agreement of two groupings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Adjusted Rand index (Hubert and Arabie 1985): 1 for equal groupings, about 0 by chance.
    pub adjusted_rand: f64,
    /// Mutual information over the mean of both entropies, 0 to 1.
    pub normalised_mutual_information: f64,
}

/// Compares two groupings of the same rows.
///
/// # Panics
///
/// Panics where the groupings differ in length.
pub fn agreement(labels: &[u16], groups: &[u16]) -> Agreement {
    assert_eq!(labels.len(), groups.len(), "both name a group for every row");
    let (mut cells, mut rows, mut columns) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (&l, &g) in labels.iter().zip(groups) {
        *cells.entry((l, g)).or_insert(0_u64) += 1;
        *rows.entry(l).or_insert(0_u64) += 1;
        *columns.entry(g).or_insert(0_u64) += 1;
    }
    Agreement {
        adjusted_rand: adjusted_rand(&cells, &rows, &columns),
        normalised_mutual_information: normalised_information(&cells, &rows, &columns, labels.len() as f64),
    }
}

type Counts<K> = BTreeMap<K, u64>;

fn adjusted_rand(cells: &Counts<(u16, u16)>, rows: &Counts<u16>, columns: &Counts<u16>) -> f64 {
    let pairs = |n: u64| (n * n.saturating_sub(1) / 2) as f64;
    let together: f64 = cells.values().map(|&n| pairs(n)).sum();
    let (in_rows, in_columns): (f64, f64) = (rows.values().map(|&n| pairs(n)).sum(), columns.values().map(|&n| pairs(n)).sum());
    let all = pairs(rows.values().sum());
    let expected = if all > 0.0 { in_rows * in_columns / all } else { 0.0 };
    let most = (in_rows + in_columns) / 2.0;
    // Both groupings have one group, or only groups of one row, and so are equal.
    if most == expected { 1.0 } else { (together - expected) / (most - expected) }
}

fn normalised_information(cells: &Counts<(u16, u16)>, rows: &Counts<u16>, columns: &Counts<u16>, n: f64) -> f64 {
    let entropy = |counts: &Counts<u16>| counts.values().map(|&c| c as f64 / n).map(|p| -p * p.ln()).sum::<f64>();
    let mean = (entropy(rows) + entropy(columns)) / 2.0;
    if mean <= 0.0 {
        return 1.0;
    }
    let information: f64 = cells.iter().map(|((l, g), &c)| c as f64 / n * (c as f64 * n / (rows[l] as f64 * columns[g] as f64)).ln()).sum();
    (information / mean).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_do_not_matter() {
        let same = agreement(&[0, 0, 1, 1, 2], &[5, 5, 0, 0, 1]);
        assert_eq!((same.adjusted_rand, same.normalised_mutual_information), (1.0, 1.0));
    }

    #[test]
    fn one_group_says_nothing() {
        let none = agreement(&[0, 0, 1, 1], &[3, 3, 3, 3]);
        assert_eq!((none.adjusted_rand, none.normalised_mutual_information), (0.0, 0.0));
    }
}
