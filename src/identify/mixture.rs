//! Shares of a sample's area, where pixels at the borders of grains hold several minerals.
//!
//! A pixel counts whole for its winner, although a part of it is another mineral. A mineral with a strong absorption beside one without
//! any wins more pixels than it covers. The mean spectrum of the sample does not know of pixels. It is the mean of the minerals' spectra,
//! weighted by area and brightness. So least squares without negative shares (Lawson and Hanson 1974) find the shares from that mean.
//!
//! A kind is a pair of winners. Its spectrum is the mean over its pure pixels, whose eight neighbours are of the same kind.

use super::prepare::number;
use crate::least_squares;

/// The share of the area of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// The winners of group 1 and of group 2.
    pub codes: [u16; 2],
    /// Its share of the area. All shares add up to 1.
    pub share: f64,
    /// Whether it has pure pixels. Without them, the share is that of its pixels, and some of them may be mixtures of other kinds.
    pub pure: bool,
}

/// Most bands of the spectra that are added up. They tell minerals apart as all bands do, and cost less.
const MOST_BANDS: usize = 64;
/// Least pure pixels of a spectrum.
const LEAST_PURE: u64 = 10;
/// Codes of a pixel that was not judged.
const NONE: [u16; 2] = [u16::MAX; 2];
/// A kind joins the mixture where its spectrum has at least this in common with what is not explained, as a share of the mean's square.
const LEAST_GAIN: f64 = 1e-10;

/// What a sample's spectra add up to: all of them, and the pure ones of each kind. Memory is used again from line to line.
#[derive(Debug, Default)]
pub struct Mixture {
    /// Distance of the bands that are kept.
    step: usize,
    sum: Vec<f64>,
    pixels: u64,
    kinds: Vec<Kind>,
    /// The last three lines.
    rows: [Row; 3],
}

#[derive(Debug)]
struct Kind {
    codes: [u16; 2],
    pixels: u64,
    pure: u64,
    /// Sum over the pure pixels, `[band]`.
    sum: Vec<f64>,
}

#[derive(Debug, Default)]
struct Row {
    /// Number of the line. `None` before the first.
    line: Option<u32>,
    /// Winners `[pixel]`.
    codes: Vec<[u16; 2]>,
    /// Spectra `[pixel][band]`.
    spectra: Vec<f32>,
}

impl Mixture {
    /// Adds a line of `width` pixels: place, winners and spectrum of each judged pixel. Lines come in order.
    pub fn line<'a>(&mut self, line: u32, width: usize, judged: impl Iterator<Item = (usize, [u16; 2], &'a [f32])>) {
        self.rows.rotate_left(1);
        let row = &mut self.rows[2];
        row.line = Some(line);
        row.codes.clear();
        row.codes.resize(width, NONE);
        for (pixel, codes, spectrum) in judged {
            if self.step == 0 {
                self.step = spectrum.len().div_ceil(MOST_BANDS).max(1);
                self.sum.resize(spectrum.len().div_ceil(self.step), 0.0);
            }
            let bands = self.sum.len();
            row.codes[pixel] = codes;
            row.spectra.resize(width * bands, 0.0);
            let kept = &mut row.spectra[pixel * bands..(pixel + 1) * bands];
            kept.iter_mut().zip(spectrum.iter().step_by(self.step)).for_each(|(kept, value)| *kept = *value);
            add(&mut self.sum, kept);
            self.pixels += 1;
            kind(&mut self.kinds, codes, bands).pixels += 1;
        }
        self.middle();
    }

    /// Adds the pure pixels of the middle row, once both of its neighbours are there.
    fn middle(&mut self) {
        let [before, row, after] = &self.rows;
        let follows = |a: &Row, b: &Row| a.line.and_then(|line| line.checked_add(1)) == b.line && b.line.is_some();
        if !follows(before, row) || !follows(row, after) {
            return;
        }
        let bands = self.sum.len();
        for (pixel, codes) in row.codes.windows(3).enumerate() {
            let codes = codes[1];
            let same = |row: &Row| row.codes.get(pixel..pixel + 3).is_some_and(|three| three == [codes; 3]);
            if codes != NONE && [before, row, after].into_iter().all(same) {
                let kind = kind(&mut self.kinds, codes, bands);
                kind.pure += 1;
                add(&mut kind.sum, &row.spectra[(pixel + 1) * bands..(pixel + 2) * bands]);
            }
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let rows = self.rows.iter().map(|row| size_of_val(row.codes.as_slice()) + size_of_val(row.spectra.as_slice()));
        rows.sum::<usize>() + (self.kinds.len() + 1) * size_of_val(self.sum.as_slice())
    }

    /// The share of each kind, in the order of their codes. Empty where no pixel was judged.
    pub fn areas(&self) -> Vec<Area> {
        let of = |count: u64| to_f64(count) / to_f64(self.pixels.max(1));
        let (pure, mixed): (Vec<&Kind>, Vec<&Kind>) = self.kinds.iter().partition(|kind| kind.pure >= LEAST_PURE);
        let mean = |sum: &[f64], n: u64| sum.iter().map(|sum| sum / to_f64(n)).collect::<Vec<f64>>();
        let spectra: Vec<Vec<f64>> = pure.iter().map(|kind| mean(&kind.sum, kind.pure)).collect();
        let mut shares = unmix(&spectra, &mean(&self.sum, self.pixels.max(1)));
        let total: f64 = shares.iter().sum();
        if total <= 0.0 {
            shares = pure.iter().map(|kind| of(kind.pixels)).collect();
        }
        // Kinds without pure pixels keep their count, and the others share the rest.
        let rest: f64 = pure.iter().map(|kind| of(kind.pixels)).sum();
        let total: f64 = shares.iter().sum();
        let told = pure.iter().zip(&shares).map(|(kind, share)| Area { codes: kind.codes, share: rest * share / total, pure: true });
        let counted = mixed.iter().map(|kind| Area { codes: kind.codes, share: of(kind.pixels), pure: false });
        let mut areas: Vec<Area> = told.chain(counted).collect();
        areas.sort_by_key(|area| area.codes);
        areas
    }
}

/// The kind of these winners, which is new where no pixel had them.
fn kind(kinds: &mut Vec<Kind>, codes: [u16; 2], bands: usize) -> &mut Kind {
    let at = kinds.iter().position(|kind| kind.codes == codes).unwrap_or_else(|| {
        kinds.push(Kind { codes, pixels: 0, pure: 0, sum: vec![0.0; bands] });
        kinds.len() - 1
    });
    &mut kinds[at]
}

fn add(sum: &mut [f64], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
}

#[expect(clippy::cast_precision_loss, reason = "counts of pixels are small")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Factors of some spectra, none negative, with which they add up to the mean as closely as they can.
///
/// Bands without a value in one of the spectra are left out. Algorithm NNLS of Lawson and Hanson 1974, chapter 23.
fn unmix(spectra: &[Vec<f64>], mean: &[f64]) -> Vec<f64> {
    let n = spectra.len();
    let finite = |band: &usize| mean[*band].is_finite() && spectra.iter().all(|spectrum| spectrum[*band].is_finite());
    let bands: Vec<usize> = (0..mean.len()).filter(finite).collect();
    let dot = |a: &[f64], b: &[f64]| bands.iter().map(|band| a[*band] * b[*band]).sum::<f64>();
    let products: Vec<Vec<f64>> = spectra.iter().map(|a| spectra.iter().map(|b| dot(a, b)).collect()).collect();
    let wanted: Vec<f64> = spectra.iter().map(|spectrum| dot(spectrum, mean)).collect();
    let least = LEAST_GAIN * dot(mean, mean);
    let mut used: Vec<usize> = Vec::new();
    let mut factors = vec![0.0; n];
    // Each kind joins once or a few times. The limit is for rounding.
    for _ in 0..3 * n {
        let gain = |at: usize| wanted[at] - products[at].iter().zip(&factors).map(|(product, factor)| product * factor).sum::<f64>();
        let next = (0..n).filter(|at| !used.contains(at)).map(|at| (at, gain(at))).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((next, _)) = next.filter(|(_, gain)| *gain > least) else { break };
        used.push(next);
        while let Some(found) = solve(&products, &wanted, &used) {
            let negative = used.iter().zip(&found).filter(|(_, found)| **found <= 0.0);
            let way = negative.map(|(at, found)| factors[*at] / (factors[*at] - found)).fold(1.0, f64::min);
            for (at, found) in used.iter().zip(&found) {
                factors[*at] += way * (found - factors[*at]);
            }
            if found.iter().all(|found| *found > 0.0) {
                break;
            }
            used.retain(|at| factors[*at] > f64::EPSILON);
            (0..n).filter(|at| !used.contains(at)).for_each(|at| factors[at] = 0.0);
        }
    }
    factors
}

/// The factors of the spectra `used`. `None` without a spectrum, or where two are the same.
fn solve(products: &[Vec<f64>], wanted: &[f64], used: &[usize]) -> Option<Vec<f64>> {
    let normal = used.iter().map(|at| used.iter().map(|other| products[*at][*other]).collect()).collect();
    let right: Vec<f64> = used.iter().map(|at| wanted[*at]).collect();
    let found = least_squares::solve(normal, &right, 0.0)?.parameters;
    (!found.is_empty()).then_some(found)
}

/// The share of the area of the kinds that `of` picks, and the part of it that is of pure kinds. `None` without areas.
pub(super) fn area(areas: &[Area], of: &dyn Fn([u16; 2]) -> bool) -> Option<[f64; 2]> {
    let add = |[all, pure]: [f64; 2], area: &Area| [all + area.share, pure + number(usize::from(area.pure)) * area.share];
    (!areas.is_empty()).then(|| areas.iter().filter(|area| of(area.codes)).fold([0.0; 2], add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::tests::Random;
    use crate::identify::{Judged, Minerals, summarize};

    /// Bands of the spectra.
    const BANDS: usize = 40;
    /// Shares of the area for which grains are drawn: a rock without an absorption, and two minerals.
    const SHARES: [f64; 3] = [0.4, 0.4, 0.2];

    /// Spectra of the rock, and of the minerals with one absorption each.
    fn pure(kind: usize, band: usize) -> f64 {
        let line = |at: f64| (-((band as f64 - at) / 3.0).powi(2)).exp();
        match kind {
            0 => 0.6 + 0.0016 * band as f64,
            1 => 0.5 * (1.0 - 0.5 * line(15.0)),
            _ => 0.4 * (1.0 - 0.4 * line(30.0)),
        }
    }

    /// Grains some four pixels wide, drawn three times as fine. Gives the shares of the kinds in each pixel.
    fn grains(side: usize, seed: u64) -> Vec<[f64; 3]> {
        const FINE: usize = 3;
        const PITCH: usize = 4;
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut unit = || f64::from(random.uniform());
        // A point in each cell of a grid, one cell beyond the map on each side.
        let cells = side / PITCH + 2;
        let points: Vec<(f64, f64, usize)> = (0..cells * cells)
            .map(|at| {
                let place = |cell: usize, unit: f64| (cell as f64 - 1.0 + unit) * PITCH as f64;
                let (x, y, which) = (place(at % cells, unit()), place(at / cells, unit()), unit());
                (x, y, usize::from(which > SHARES[0]) + usize::from(which > SHARES[0] + SHARES[1]))
            })
            .collect();
        let mut shares = vec![[0.0; 3]; side * side];
        for at in 0..(side * side * FINE * FINE) {
            let (i, j) = (at % (FINE * side), at / (FINE * side));
            let (x, y) = ((i as f64 + 0.5) / FINE as f64, (j as f64 + 0.5) / FINE as f64);
            let (column, row) = (i / FINE / PITCH, j / FINE / PITCH);
            let near = (row..row + 3).flat_map(|row| (column..column + 3).map(move |column| row * cells + column));
            let apart = |point: &usize| (points[*point].0 - x).powi(2) + (points[*point].1 - y).powi(2);
            let nearest = near.min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap();
            shares[j / FINE * side + i / FINE][points[nearest].2] += 1.0 / (FINE * FINE) as f64;
        }
        shares
    }

    /// Winners and areas of a map. A fifth of a mineral is seen, and wins.
    fn identified(map: &[[f64; 3]], side: usize) -> (Vec<u16>, Vec<Area>) {
        let winner = |shares: &[f64; 3]| if shares[1].max(shares[2]) < 0.2 { 0 } else { 1 + u16::from(shares[2] > shares[1]) };
        let winners: Vec<u16> = map.iter().map(winner).collect();
        let value = |shares: &[f64; 3], band: usize| (0..3).map(|kind| shares[kind] * pure(kind, band)).sum::<f64>() as f32;
        let mut mixture = Mixture::default();
        for (line, row) in (0..).zip(map.chunks_exact(side)) {
            let spectra: Vec<f32> = row.iter().flat_map(|shares| (0..BANDS).map(move |band| value(shares, band))).collect();
            let of = |(pixel, spectrum)| (pixel, [0, winners[line as usize * side + pixel]], spectrum);
            mixture.line(line, side, spectra.chunks_exact(BANDS).enumerate().map(of));
        }
        (winners, mixture.areas())
    }

    #[test]
    fn mixed_pixels_do_not_bias_the_shares() {
        let map = grains(40, 5);
        let mean = |of: &dyn Fn(usize) -> f64| (0..map.len()).map(of).sum::<f64>() / map.len() as f64;
        let (winners, areas) = identified(&map, 40);
        assert_eq!(areas.len(), 3);
        for (kind, area) in areas.iter().enumerate() {
            let (truth, counted) = (mean(&|at| map[at][kind]), mean(&|at| number(usize::from(usize::from(winners[at]) == kind))));
            println!("{area:?}: {truth:.3}, counted {counted:.3}");
            assert!(area.pure && (area.share - truth).abs() < 0.01, "{area:?}: {truth}");
            assert!(kind > 0 || (counted - truth).abs() > 0.05, "the pixels alone would tell something else");
        }
        assert!((areas.iter().map(|area| area.share).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn intervals_of_mixed_pixels_cover_what_they_say() {
        let (side, runs) = (60, 100);
        let names = ["a", "b"].map(str::to_owned);
        let mut inside = [0; 3];
        for seed in 0..runs {
            let (winners, areas) = identified(&grains(side, seed), side);
            let minerals = Minerals { winner: [vec![0; side * side], winners], ..Minerals::default() };
            let summary =
                summarize(&minerals, &areas, &Judged::of_mask(&vec![true; side * side], side), &names, &[], &format!("sample {seed}"));
            for found in &summary.groups[1] {
                let kind = usize::from(found.code);
                inside[kind] += u32::from((found.interval[0]..=found.interval[1]).contains(&SHARES[kind]));
            }
        }
        println!("{inside:?} of {runs}");
        let all = f64::from(inside.iter().sum::<u32>()) / (3.0 * runs as f64);
        assert!((0.93..=0.97).contains(&all), "{inside:?}");
    }

    #[test]
    fn a_kind_without_pure_pixels_keeps_its_count() {
        let mut mixture = Mixture::default();
        let spectra: Vec<Vec<f32>> = (0..3).map(|kind| (0..BANDS).map(|band| pure(kind, band) as f32).collect()).collect();
        for line in 0..20 {
            // Kind 2 is a dot in every fifth pixel of every fifth line.
            let kind = |pixel: usize| if line % 5 == 2 && pixel % 5 == 2 && pixel < 10 { 2 } else { usize::from(pixel >= 10) };
            mixture.line(line, 20, (0..20).map(|pixel| (pixel, [0, kind(pixel) as u16], spectra[kind(pixel)].as_slice())));
        }
        let areas = mixture.areas();
        assert_eq!(areas.iter().map(|area| area.pure).collect::<Vec<_>>(), [true, true, false]);
        assert!((areas[2].share - 8.0 / 400.0).abs() < 1e-12, "{areas:?}");
        assert_eq!(area(&areas, &|codes| codes[1] == 2).unwrap()[1], 0.0);
        assert!(Mixture::default().areas().is_empty() && area(&[], &|_| true).is_none());
    }

    #[test]
    fn factors_are_not_negative() {
        let spectra: Vec<Vec<f64>> = (0..3).map(|kind| (0..BANDS).map(|band| pure(kind, band)).collect()).collect();
        let mix = |of: [f64; 3]| (0..BANDS).map(|band| (0..3).map(|kind| of[kind] * spectra[kind][band]).sum()).collect::<Vec<f64>>();
        for of in [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.7, 0.0, 0.3]] {
            let found = unmix(&spectra, &mix(of));
            assert!(found.iter().zip(&of).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} for {of:?}");
        }
        let found = unmix(&spectra, &mix([0.9, -0.2, 0.3]));
        assert!(found[1] == 0.0 && found.iter().all(|factor| *factor >= 0.0), "{found:?}");
        assert_eq!(unmix(&[], &[1.0]), [0.0; 0]);
    }
}
