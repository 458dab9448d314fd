//! A random forest (Breiman 2001) with the defaults of scikit-learn: bootstrap, Gini impurity and trees to full depth. Each node tries the
//! square root of the number of features. The vote is the mean of the trees' class shares.
//!
//! Ranks replace the values. A candidate split then sorts 32-bit keys, which also carry class and weight.

use ndarray::{ArrayView2, s};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// Marks a leaf of one class. `child` is the class.
const PURE: u16 = u16::MAX;
/// Marks a leaf of several classes. Their shares begin at `child`.
const MIXED: u16 = u16::MAX - 1;
/// Rows that one task predicts.
const ROWS: usize = 512;
/// Rows of a node from which counting its ranks is faster than comparing them.
const COUNTED: usize = 400;
/// Largest number of ranks of a feature. With more distinct values, neighbours share a rank.
const RANKS: usize = 1 << 16;
/// Largest number of classes. A class takes eight bits of a key.
pub const MOST_CLASSES: usize = 256;

#[derive(Clone, Copy)]
struct Node {
    feature: u16,
    threshold: f32,
    /// Index of the left child, which the right one follows. A leaf has its class or the start of its shares.
    child: u32,
}

struct Tree {
    nodes: Vec<Node>,
    shares: Vec<f32>,
}

/// A random forest.
pub struct Forest {
    trees: Vec<Tree>,
    classes: usize,
}

/// Training rows by feature, as ranks.
struct Ranked {
    /// Rank of each training row, for each feature.
    rank: Vec<Vec<u16>>,
    /// Smallest and largest value of each rank, for each feature.
    value: Vec<Vec<(f32, f32)>>,
    class: Vec<u8>,
}

fn rank_values(column: &[f32]) -> (Vec<u16>, Vec<(f32, f32)>) {
    let mut order: Vec<u32> = (0..column.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| column[a as usize].total_cmp(&column[b as usize]));
    let distinct = 1 + order.windows(2).filter(|w| column[w[0] as usize] < column[w[1] as usize]).count();
    let per_rank = distinct.div_ceil(RANKS);
    let (mut ranks, mut values) = (vec![0; column.len()], Vec::<(f32, f32)>::new());
    let mut seen = 0;
    for (at, &row) in order.iter().enumerate() {
        let value = column[row as usize];
        if at == 0 || value > column[order[at - 1] as usize] {
            if seen % per_rank == 0 {
                values.push((value, value));
            }
            seen += 1;
        }
        let rank = values.len() - 1;
        values[rank].1 = value;
        ranks[row as usize] = rank as u16;
    }
    (ranks, values)
}

/// The best split of a node so far. Rows up to `rank` go left.
struct Split {
    gain: f64,
    feature: usize,
    rank: u16,
    next: u16,
}

struct Grower<'a> {
    data: &'a Ranked,
    classes: usize,
    tried: usize,
    random: Pcg64Mcg,
    weight: Vec<u8>,
    keys: Vec<u32>,
    spare: Vec<u32>,
    left: Vec<u64>,
    right: Vec<u64>,
    features: Vec<usize>,
}

impl Grower<'_> {
    fn grow(mut self) -> Tree {
        let n = self.data.class.len();
        for _ in 0..n {
            let drawn = &mut self.weight[self.random.random_range(0..n)];
            *drawn = drawn.saturating_add(1);
        }
        let mut rows: Vec<u32> = (0..n as u32).filter(|&r| self.weight[r as usize] > 0).collect();
        let mut tree = Tree { nodes: vec![Node { feature: PURE, threshold: 0.0, child: 0 }], shares: Vec::new() };
        let mut open = vec![(0, 0..rows.len())];
        while let Some((at, range)) = open.pop() {
            let here = &mut rows[range.clone()];
            let mut total = vec![0_u64; self.classes];
            here.iter().for_each(|&r| total[usize::from(self.data.class[r as usize])] += u64::from(self.weight[r as usize]));
            let split = if total.iter().filter(|&&t| t > 0).count() > 1 { self.best(here, &total) } else { None };
            let Some(split) = split else {
                tree.nodes[at] = leaf(&total, &mut tree.shares);
                continue;
            };
            let rank = &self.data.rank[split.feature];
            let middle = range.start + partition(here, |r| rank[r as usize] <= split.rank);
            let child = tree.nodes.len();
            let values = &self.data.value[split.feature];
            let (low, high) = (values[usize::from(split.rank)].1, values[usize::from(split.next)].0);
            let half = low / 2.0 + high / 2.0;
            let threshold = if half < high { half } else { low };
            tree.nodes[at] = Node { feature: split.feature as u16, threshold, child: child as u32 };
            tree.nodes.extend([Node { feature: PURE, threshold: 0.0, child: 0 }; 2]);
            open.push((child + 1, middle..range.end));
            open.push((child, range.start..middle));
        }
        tree
    }

    /// The split of largest Gini gain among `tried` features that are not constant here.
    fn best(&mut self, rows: &[u32], total: &[u64]) -> Option<Split> {
        let all: u64 = total.iter().sum();
        let squares: u64 = total.iter().map(|t| t * t).sum();
        self.features.shuffle(&mut self.random);
        let mut best: Option<Split> = None;
        let mut left_to_try = self.tried;
        for &feature in &self.features {
            let rank = &self.data.rank[feature];
            self.keys.clear();
            self.keys.extend(rows.iter().map(|&r| {
                let r = r as usize;
                u32::from(rank[r]) << 16 | u32::from(self.data.class[r]) << 8 | u32::from(self.weight[r])
            }));
            let first = self.keys[0] >> 16;
            if self.keys.iter().all(|k| k >> 16 == first) {
                continue;
            }
            sort_by_rank(&mut self.keys, &mut self.spare);
            self.left.fill(0);
            self.right.copy_from_slice(total);
            let (mut below, mut left_squares, mut right_squares) = (0, 0, squares);
            for pair in self.keys.windows(2) {
                let (class, weight) = ((pair[0] >> 8 & 0xff) as usize, u64::from(pair[0] & 0xff));
                // The sums of squares follow each row from the right to the left.
                left_squares += weight * (2 * self.left[class] + weight);
                right_squares -= weight * (2 * self.right[class] - weight);
                self.left[class] += weight;
                self.right[class] -= weight;
                below += weight;
                let (rank, next) = ((pair[0] >> 16) as u16, (pair[1] >> 16) as u16);
                if rank < next {
                    let gain = left_squares as f64 / below as f64 + right_squares as f64 / (all - below) as f64;
                    if best.as_ref().is_none_or(|b| gain > b.gain) {
                        best = Some(Split { gain, feature, rank, next });
                    }
                }
            }
            left_to_try -= 1;
            if left_to_try == 0 {
                break;
            }
        }
        best
    }
}

/// Sorts keys by their ranks. Keys of one rank may come in any order.
fn sort_by_rank(keys: &mut Vec<u32>, spare: &mut Vec<u32>) {
    if keys.len() < COUNTED {
        return keys.sort_unstable();
    }
    // Both bytes of the rank are counted in one pass. Each then places the keys, the lower byte first.
    let mut starts = [[0_u32; 256]; 2];
    for key in &*keys {
        starts[0][(key >> 16 & 0xff) as usize] += 1;
        starts[1][(key >> 24) as usize] += 1;
    }
    for starts in &mut starts {
        let mut sum = 0;
        for start in starts {
            sum += std::mem::replace(start, sum);
        }
    }
    spare.resize(keys.len(), 0);
    for (starts, shift) in starts.iter_mut().zip([16, 24]) {
        for key in &*keys {
            let place = &mut starts[(key >> shift & 0xff) as usize];
            spare[*place as usize] = *key;
            *place += 1;
        }
        std::mem::swap(keys, spare);
    }
}

fn leaf(total: &[u64], shares: &mut Vec<f32>) -> Node {
    let sum: u64 = total.iter().sum();
    match total.iter().position(|&t| t == sum) {
        Some(class) => Node { feature: PURE, threshold: 0.0, child: class as u32 },
        None => {
            let child = shares.len() as u32;
            shares.extend(total.iter().map(|&t| (t as f64 / sum as f64) as f32));
            Node { feature: MIXED, threshold: 0.0, child }
        }
    }
}

/// Moves the rows that `first` accepts to the front, and returns their number.
fn partition(rows: &mut [u32], first: impl Fn(u32) -> bool) -> usize {
    let mut end = 0;
    for at in 0..rows.len() {
        if first(rows[at]) {
            rows.swap(at, end);
            end += 1;
        }
    }
    end
}

impl Forest {
    /// Grows `trees` trees on finite `values` `(rows, features)`. `class` has the class of each row, below `classes`. The number of threads
    /// does not change the result.
    ///
    /// # Panics
    ///
    /// Panics for more than [`MOST_CLASSES`] classes or 65 533 features.
    pub fn grow(values: ArrayView2<f32>, class: &[u16], classes: usize, trees: usize, seed: u64) -> Self {
        assert!(classes <= MOST_CLASSES && values.ncols() < usize::from(MIXED), "keys hold 256 classes and 65 534 features");
        let features = values.ncols();
        let columns: Vec<_> = (0..features).into_par_iter().map(|f| rank_values(&values.column(f).to_vec())).collect();
        let (rank, value) = columns.into_iter().unzip();
        let data = Ranked { rank, value, class: class.iter().map(|&c| c as u8).collect() };
        let tried = ((features as f64).sqrt() as usize).max(1);
        let trees = (0..trees as u64)
            .into_par_iter()
            .map(|tree| {
                let grower = Grower {
                    data: &data,
                    classes,
                    tried,
                    random: Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(tree)),
                    weight: vec![0; class.len()],
                    keys: Vec::with_capacity(class.len()),
                    spare: Vec::new(),
                    left: vec![0; classes],
                    right: vec![0; classes],
                    features: (0..features).collect(),
                };
                grower.grow()
            })
            .collect();
        Self { trees, classes }
    }

    /// The class of each row of `values` `(rows, features)`. It has the largest mean share over the trees. The first of equal classes wins.
    pub fn predict(&self, values: ArrayView2<f32>) -> Vec<u16> {
        let mut predicted = vec![0; values.nrows()];
        predicted.par_chunks_mut(ROWS).enumerate().for_each(|(i, out)| {
            let rows = values.slice(s![i * ROWS..i * ROWS + out.len(), ..]);
            let table: Vec<f32> = rows.iter().copied().collect();
            let mut votes = vec![0.0_f32; out.len() * self.classes];
            for tree in &self.trees {
                for (row, votes) in table.chunks_exact(values.ncols()).zip(votes.chunks_exact_mut(self.classes)) {
                    tree.vote(row, votes);
                }
            }
            for (out, votes) in out.iter_mut().zip(votes.chunks_exact(self.classes)) {
                let first_largest = votes.iter().enumerate().fold(0, |best, (c, v)| if *v > votes[best] { c } else { best });
                *out = first_largest as u16;
            }
        });
        predicted
    }
}

impl Tree {
    fn vote(&self, row: &[f32], votes: &mut [f32]) {
        let mut node = self.nodes[0];
        loop {
            match node.feature {
                PURE => return votes[node.child as usize] += 1.0,
                MIXED => {
                    let shares = &self.shares[node.child as usize..][..votes.len()];
                    return votes.iter_mut().zip(shares).for_each(|(v, s)| *v += s);
                }
                feature => {
                    let right = row[usize::from(feature)] > node.threshold;
                    node = self.nodes[node.child as usize + usize::from(right)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn table(n: usize) -> (Array2<f32>, Vec<u16>) {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let values = Array2::from_shape_fn((n, 4), |_| random.random::<f32>());
        let class = values.rows().into_iter().map(|r| u16::from(r[0] + r[1] > 1.0) + 2 * u16::from(r[2] > 0.7)).collect();
        (values, class)
    }

    #[test]
    fn learns_and_does_not_depend_on_threads() {
        let (values, class) = table(3000);
        let (train, test) = (values.slice(s![..2000, ..]), values.slice(s![2000.., ..]));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Forest::grow(train, &class[..2000], 4, 30, 1).predict(test))
        };
        let said = on(1);
        let right = said.iter().zip(&class[2000..]).filter(|(a, b)| a == b).count();
        assert!(right > 930, "{right} of 1000");
        assert_eq!(said, on(3));
    }

    #[test]
    fn counted_keys_come_in_the_order_of_their_ranks() {
        let mut random = Pcg64Mcg::seed_from_u64(8);
        let mut spare = Vec::new();
        for count in [1, 3, COUNTED - 1, COUNTED, 5000] {
            for most in [3_u32, 300, 65_536] {
                let mut keys: Vec<u32> = (0..count).map(|_| random.random_range(0..most) << 16 | random.random_range(0..0xffff)).collect();
                let mut expected = keys.clone();
                expected.sort_unstable();
                sort_by_rank(&mut keys, &mut spare);
                assert!(keys.is_sorted_by_key(|key| key >> 16));
                keys.sort_unstable();
                assert_eq!(keys, expected);
            }
        }
    }

    #[test]
    fn rows_that_are_equal_share_their_leaf() {
        let values = Array2::<f32>::ones((10, 3));
        let class = [0, 1, 1, 1, 0, 1, 1, 1, 1, 1];
        let forest = Forest::grow(values.view(), &class, 2, 20, 0);
        assert_eq!(forest.predict(values.view()), [1; 10]);
    }

    #[test]
    fn more_values_than_ranks_keep_their_order() {
        let column: Vec<f32> = (0..150_000).map(|i| ((i * 7919) % 150_000) as f32).collect();
        let (rank, value) = rank_values(&column);
        assert!(value.len() <= RANKS && value.windows(2).all(|w| w[0].1 < w[1].0));
        assert!(column.iter().zip(&rank).all(|(v, &r)| (value[usize::from(r)].0..=value[usize::from(r)].1).contains(v)));
    }
}
