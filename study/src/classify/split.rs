//! Splits of spectra into training and test.

use crate::table::{Factor, Place};
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};

/// Training rows and test rows. No row is in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Training rows.
    pub train: Vec<usize>,
    /// Test rows.
    pub test: Vec<usize>,
}

/// Why the spectra cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A class is too small for both sides.
    #[error(
        "class {class:?} of {factor} has {rows} spectra, too few to learn from some and test on others: \
         leave the class out, or give more of its spectra"
    )]
    ClassTooSmall {
        /// The factor's name.
        factor: String,
        /// The class's name.
        class: String,
        /// Number of spectra of the class.
        rows: usize,
    },
    /// A sample has only one block.
    #[error(
        "sample {sample} lies within one block of {block} x {block} pixels, and two are needed to test on one of them: lower classify.block"
    )]
    OneBlock {
        /// Index of the sample.
        sample: u32,
        /// Side of a block, in pixels.
        block: u32,
    },
    /// A class is missing on one side.
    #[error(
        "class {class:?} of {factor} has no spectra left on one side of the split by place: \
         lower classify.margin or classify.block"
    )]
    NothingLeft {
        /// The factor's name.
        factor: String,
        /// The class's name.
        class: String,
    },
}

/// Splits every class in the same share, pixel by pixel at random.
///
/// # Errors
///
/// [`SplitError::ClassTooSmall`] for a class of one spectrum.
pub fn by_pixel(factor: &Factor, share: f64, random: &mut impl Rng) -> Result<Parts, SplitError> {
    let mut parts = Parts { train: Vec::new(), test: Vec::new() };
    for (class, mut rows) in rows_by_class(factor, 0..factor.of.len()).into_iter().enumerate() {
        match rows.len() {
            0 => continue,
            1 => {
                let (factor, class) = (factor.name.clone(), factor.classes[class].clone());
                return Err(SplitError::ClassTooSmall { factor, class, rows: 1 });
            }
            _ => rows.shuffle(random),
        }
        let tested = ((rows.len() as f64 * share).round() as usize).clamp(1, rows.len() - 1);
        parts.train.extend(rows.split_off(tested));
        parts.test.extend(rows);
    }
    Ok(parts.sorted())
}

/// Splits each sample into whole blocks of `block` x `block` pixels. About `share` of each sample's spectra go to the test. Spectra within
/// `margin` pixels of a test block are left out of the training.
///
/// # Errors
///
/// [`SplitError::OneBlock`] for a sample within one block.
pub fn by_place(places: &[Place], share: f64, block: u32, margin: u32, random: &mut impl Rng) -> Result<Parts, SplitError> {
    let side = block.max(1) as i32;
    let of = |p: &Place, by: (i32, i32)| (p.sample, (p.line + by.0).div_euclid(side), (p.pixel + by.1).div_euclid(side));
    let mut samples: BTreeMap<u32, BTreeMap<(i32, i32), usize>> = BTreeMap::new();
    for place in places {
        let (sample, line, pixel) = of(place, (0, 0));
        *samples.entry(sample).or_default().entry((line, pixel)).or_default() += 1;
    }
    let mut tested = BTreeSet::new();
    for (&sample, blocks) in &samples {
        if blocks.len() < 2 {
            return Err(SplitError::OneBlock { sample, block });
        }
        let wanted = blocks.values().sum::<usize>() as f64 * share;
        let mut order: Vec<_> = blocks.iter().collect();
        order.shuffle(random);
        let mut taken = 0.0;
        // One block stays for the training. A further block is taken where it brings the sum nearer to the wanted one.
        for &(&(line, pixel), &count) in &order[1..] {
            if taken == 0.0 || taken + count as f64 / 2.0 <= wanted {
                taken += count as f64;
                tested.insert((sample, line, pixel));
            }
        }
    }
    let m = margin as i32;
    let near: Vec<(i32, i32)> = [-m, 0, m].iter().flat_map(|&l| [-m, 0, m].map(|p| (l, p))).collect();
    let mut parts = Parts { train: Vec::new(), test: Vec::new() };
    for (row, place) in places.iter().enumerate() {
        if tested.contains(&of(place, (0, 0))) {
            parts.test.push(row);
        } else if !near.iter().any(|&by| tested.contains(&of(place, by))) {
            parts.train.push(row);
        }
    }
    Ok(parts)
}

/// Deals whole samples to `folds` folds, and gives the fold of each. The classes of all factors are spread as evenly as possible.
///
/// The first spectrum of a sample decides its classes. Samples are taken in random order.
pub fn by_sample(places: &[Place], factors: &[Factor], samples: usize, folds: usize, random: &mut impl Rng) -> Vec<u32> {
    let classes: Vec<Vec<Option<u16>>> = factors.iter().map(|factor| classes_of_samples(places, factor, samples)).collect();
    let mut order: Vec<usize> = (0..samples).collect();
    order.shuffle(random);
    let most = samples.div_ceil(folds.max(1));
    let mut fold_of = vec![0; samples];
    let mut sizes = vec![0; folds.max(1)];
    let mut held = vec![BTreeMap::new(); sizes.len()];
    for sample in order {
        let of: Vec<(usize, Option<u16>)> = classes.iter().map(|of| of[sample]).enumerate().collect();
        // A factor of many classes has few samples in each, so that one of them weighs more.
        let cost = |fold: &usize| -> (usize, usize) {
            let there = |key: &(usize, Option<u16>)| held[*fold].get(key).copied().unwrap_or(0) * factors[key.0].classes.len();
            (of.iter().map(there).sum(), sizes[*fold])
        };
        let fold = (0..sizes.len()).filter(|fold| sizes[*fold] < most).min_by_key(cost).unwrap_or(0);
        fold_of[sample] = fold as u32;
        sizes[fold] += 1;
        of.into_iter().for_each(|key| *held[fold].entry(key).or_insert(0) += 1);
    }
    fold_of
}

/// The class of each sample, as its first spectrum has it. A sample without spectra has none.
pub fn classes_of_samples(places: &[Place], factor: &Factor, samples: usize) -> Vec<Option<u16>> {
    let mut of = vec![None; samples];
    for (place, class) in places.iter().zip(&factor.of) {
        of[place.sample as usize].get_or_insert(*class);
    }
    of
}

impl Parts {
    fn sorted(mut self) -> Self {
        self.train.sort_unstable();
        self.test.sort_unstable();
        self
    }

    /// Limits the rows of each side. Each class keeps its share.
    #[must_use]
    pub fn limited(self, factor: &Factor, train: usize, test: usize, random: &mut impl Rng) -> Self {
        let mut limit = |rows: Vec<usize>, most: usize| -> Vec<usize> {
            let all = rows.len();
            if all <= most {
                return rows;
            }
            let of_class = rows_by_class(factor, rows.into_iter()).into_iter().flat_map(|mut rows| {
                rows.shuffle(random);
                let kept = (rows.len() as f64 * most as f64 / all as f64).round() as usize;
                rows.truncate(kept.max(1));
                rows
            });
            of_class.collect()
        };
        Self { train: limit(self.train, train), test: limit(self.test, test) }.sorted()
    }

    /// Checks that every class of the factor is on both sides.
    ///
    /// # Errors
    ///
    /// [`SplitError::NothingLeft`] with the first missing class.
    pub fn check(&self, factor: &Factor) -> Result<(), SplitError> {
        let present = |rows: &mut dyn Iterator<Item = usize>| rows.map(|r| factor.of[r]).collect::<BTreeSet<u16>>();
        let (train, test) = (present(&mut self.train.iter().copied()), present(&mut self.test.iter().copied()));
        for class in present(&mut (0..factor.of.len())) {
            if !train.contains(&class) || !test.contains(&class) {
                let class = factor.classes[usize::from(class)].clone();
                return Err(SplitError::NothingLeft { factor: factor.name.clone(), class });
            }
        }
        Ok(())
    }
}

fn rows_by_class(factor: &Factor, rows: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut by_class = vec![Vec::new(); factor.classes.len()];
    rows.for_each(|r| by_class[usize::from(factor.of[r])].push(r));
    by_class
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    fn places(samples: u32, side: i32) -> Vec<Place> {
        let square = move |sample| (0..side * side).map(move |i| Place { sample, line: i / side, pixel: i % side });
        (0..samples).flat_map(square).collect()
    }

    fn factor(of: Vec<u16>) -> Factor {
        Factor { name: "plant".into(), classes: vec!["P1".into(), "P2".into()], of }
    }

    #[test]
    fn blocks_stay_whole_and_apart() {
        let places = places(3, 64);
        let parts = by_place(&places, 0.25, 8, 2, &mut Pcg64Mcg::seed_from_u64(2)).unwrap();
        assert!((parts.test.len() as f64 / places.len() as f64 - 0.25).abs() < 0.02);
        for &t in &parts.test {
            for &l in &parts.train {
                let (t, l) = (places[t], places[l]);
                let apart = (t.line - l.line).abs().max((t.pixel - l.pixel).abs());
                assert!(t.sample != l.sample || apart > 2, "{t:?} is {apart} pixels from {l:?}");
            }
        }
        assert!(parts.train.len() > places.len() / 3);
    }

    #[test]
    fn samples_stay_whole_and_classes_spread() {
        let places = places(72, 3);
        let of = |classes: u16, by: u32| Factor {
            name: "any".into(),
            classes: (0..classes).map(|class| class.to_string()).collect(),
            of: places.iter().map(|place| (place.sample / by % u32::from(classes)) as u16).collect(),
        };
        let factors = [of(2, 1), of(3, 2), of(12, 6)];
        for seed in 0..5 {
            let folds = by_sample(&places, &factors, 72, 6, &mut Pcg64Mcg::seed_from_u64(seed));
            assert_eq!(folds, by_sample(&places, &factors, 72, 6, &mut Pcg64Mcg::seed_from_u64(seed)));
            for fold in 0..6 {
                let held: Vec<usize> = (0..72).filter(|sample| folds[*sample] == fold).collect();
                assert_eq!(held.len(), 12);
                for factor in &factors {
                    let classes = classes_of_samples(&places, factor, 72);
                    let count = |class| held.iter().filter(|sample| classes[**sample] == Some(class)).count();
                    let even = 12 / factor.classes.len();
                    assert!((0..factor.classes.len() as u16).all(|class| count(class).abs_diff(even) <= 2));
                }
            }
        }
    }

    #[test]
    fn pixels_are_split_class_by_class() {
        let of: Vec<u16> = (0..1000).map(|i| u16::from(i % 10 == 0)).collect();
        let parts = by_pixel(&factor(of.clone()), 0.25, &mut Pcg64Mcg::seed_from_u64(2)).unwrap();
        assert_eq!((parts.train.len(), parts.test.len()), (750, 250));
        assert_eq!(parts.test.iter().filter(|&&r| of[r] == 1).count(), 25);
        let few = parts.limited(&factor(of.clone()), 100, 50, &mut Pcg64Mcg::seed_from_u64(2));
        assert_eq!((few.train.len(), few.test.len()), (100, 50));
        assert_eq!(few.test.iter().filter(|&&r| of[r] == 1).count(), 5);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let mut random = Pcg64Mcg::seed_from_u64(2);
        let one = by_pixel(&factor(vec![0, 0, 0, 1]), 0.25, &mut random).unwrap_err();
        assert!(one.to_string().contains("class \"P2\" of plant has 1 spectra"), "{one}");
        assert_eq!(by_place(&places(1, 8), 0.25, 8, 0, &mut random), Err(SplitError::OneBlock { sample: 0, block: 8 }));
        let all_margin = by_place(&places(1, 16), 0.25, 8, 8, &mut random).unwrap();
        assert!(all_margin.train.is_empty());
        assert!(matches!(all_margin.check(&factor(vec![0; 256])), Err(SplitError::NothingLeft { .. })));
    }
}
