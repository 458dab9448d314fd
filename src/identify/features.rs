//! Features of a pixel: position, depth, width, asymmetry and area of an absorption.

use super::fit::{MOST_LANES, select};
use super::library::Library;
use super::prepare::{narrow, number};
use super::pyramid::{MOST_VALUES, Pyramid};
use super::text::{Continuum, FeatureText, Figure};
use crate::simd::Simd;
use std::ops::Range;

/// Least number of values of a window.
const LEAST_VALUES: usize = 5;
/// Values at either end whose mean a straight continuum passes.
const ENDS: usize = 2;
/// Least depth of a minimum with a position, as a multiple of the noise of a value.
const LEAST_SNR: f32 = 3.0;
/// Heights above a chord that are below this share of the chord's begin are rounding.
const ROUNDING: f32 = 1e-6;
/// Largest distance of bands, as a share of the window.
const WIDEST_GAP: f64 = 0.25;
/// Most chords that are tried on the way to the edge of the hull.
const MOST_CHORDS: usize = 12;

/// A feature on the bands of a rig.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Its values in the pyramid. Empty where the bands do not cover it.
    all: Range<usize>,
    /// The values within it at which the minimum may lie.
    minimum: Range<usize>,
    /// Wavelength of its first value, nm.
    begin_nm: f32,
    /// Wavelength of each value above that, nm.
    x: Vec<f32>,
    /// Stretch of the spectrum that each value stands for in an area, nm.
    extent: Vec<f32>,
    hull: bool,
    keep: Vec<Figure>,
    min_depth: f32,
}

impl Measured {
    /// Every feature of a library.
    pub(super) fn all(library: &Library, pyramid: &Pyramid) -> Vec<Self> {
        library.text.feature.iter().map(|feature| Self::new(feature, pyramid)).collect()
    }

    fn new(feature: &FeatureText, pyramid: &Pyramid) -> Self {
        let [from, to] = feature.window_nm;
        let mut all = pyramid.within(pyramid.level(feature.window_nm, &[]), feature.window_nm);
        let nm = &pyramid.nm[all.clone()];
        let limit = WIDEST_GAP * (to - from);
        let ends = [from, nm.first().copied().unwrap_or(f64::NAN), nm.last().copied().unwrap_or(f64::NAN), to];
        let close = ends[1] - ends[0] <= limit && ends[3] - ends[2] <= limit && nm.windows(2).all(|pair| pair[1] - pair[0] <= limit);
        // Bands of two cameras may have one wavelength. No line passes through two values there.
        let apart = nm.windows(2).all(|pair| pair[1] > pair[0]);
        if nm.len() < LEAST_VALUES || nm.len() > MOST_VALUES + 1 || !close || !apart {
            all = 0..0;
        }
        let nm = &pyramid.nm[all.clone()];
        let [least, most] = feature.minimum_nm.unwrap_or(feature.window_nm);
        let first = nm.partition_point(|nm| *nm < least);
        let end = nm.partition_point(|nm| *nm <= most).max(first);
        let begin = nm.first().copied().unwrap_or(0.0);
        let half = |a: usize, b: usize| (nm[b] - nm[a]) * 0.5;
        let extent = |i: usize| half(i.saturating_sub(1), (i + 1).min(nm.len() - 1));
        Self {
            minimum: first..end,
            begin_nm: narrow(begin),
            x: nm.iter().map(|nm| narrow(nm - begin)).collect(),
            extent: (0..nm.len()).map(|i| narrow(extent(i))).collect(),
            hull: feature.continuum == Continuum::Hull,
            keep: feature.keep.clone(),
            min_depth: feature.min_depth,
            all,
        }
    }

    /// Whether the bands cover the feature.
    pub(super) fn covered(&self) -> bool {
        !self.all.is_empty() && !self.minimum.is_empty()
    }

    /// Measures the feature in some pixels. `values` are those of the pyramid. `depths` has room for the window. `out` takes the figures of
    /// each pixel.
    ///
    /// The lowest value below the chord of the whole window is sought first. The continuum is the edge of the upper hull above it.
    #[inline(always)]
    pub(super) fn measure<S: Simd>(
        &self,
        s: S,
        values: &[S::f32s],
        depths: &mut [S::f32s],
        min_level: f32,
        mut out: impl FnMut(usize, usize, f32),
    ) {
        if !self.covered() {
            (0..S::F32_LANES).for_each(|lane| (0..self.keep.len()).for_each(|figure| out(lane, figure, f32::NAN)));
            return;
        }
        let values = &values[self.all.clone()];
        let depths = &mut depths[..values.len()];
        let valid = self.valid(s, values, min_level);
        let edge = if self.hull { self.edge(s, values) } else { self.shoulders(s, values) };
        let [deepest, squares, area] = self.depths(s, values, &edge, depths);
        let depths: &[f32] = bytemuck::cast_slice(depths);
        let (top, depth, inside) = self.vertex(s, depths, deepest);
        let mean = s.div_f32s(squares, s.splat_f32s(6.0 * narrow(number(values.len() - 2))));
        let mut noise = lanes::<S>(mean);
        noise.iter_mut().for_each(|noise| *noise = noise.sqrt());
        let noise = vector::<S>(&noise);
        let seen = s.and_m32s(inside, s.greater_than_f32s(valid, s.splat_f32s(0.0)));
        let deep = s.greater_than_or_equal_f32s(depth, s.splat_f32s(self.min_depth));
        let told = s.greater_than_or_equal_f32s(depth, s.mul_f32s(s.splat_f32s(LEAST_SNR), noise));
        let none = s.splat_f32s(f32::NAN);
        let clear = s.and_m32s(seen, s.and_m32s(deep, told));
        let position = select(s, clear, s.add_f32s(s.splat_f32s(self.begin_nm), top), none);
        let [width, asymmetry] = if self.keep.iter().any(|figure| matches!(figure, Figure::Width | Figure::Asymmetry)) {
            self.sides::<S>(depths, [deepest, top, depth, position])
        } else {
            [[f32::NAN; MOST_LANES]; 2]
        };
        let valid = s.greater_than_f32s(valid, s.splat_f32s(0.0));
        for (at, figure) in self.keep.iter().enumerate() {
            let found: [f32; MOST_LANES] = match figure {
                Figure::Depth => lanes::<S>(select(s, valid, depth, none)),
                Figure::Area => lanes::<S>(select(s, valid, area, none)),
                Figure::Position => lanes::<S>(position),
                Figure::Width => width,
                Figure::Asymmetry => asymmetry,
            };
            found.iter().take(S::F32_LANES).enumerate().for_each(|(lane, value)| out(lane, at, *value));
        }
    }

    /// The place above the first value and the depth of the vertex of the parabola through the deepest value and both neighbours, and
    /// whether there are neighbours. The vertex lies between them. Without them, it is the deepest value itself.
    #[inline(always)]
    fn vertex<S: Simd>(&self, s: S, depths: &[f32], deepest: S::f32s) -> (S::f32s, S::f32s, S::m32s) {
        let last = self.x.len() - 1;
        let (mut at, mut places, mut three) = ([[0.0; MOST_LANES]; 2], [[0.0; MOST_LANES]; 3], [[0.0; MOST_LANES]; 3]);
        for (lane, deepest) in lanes::<S>(deepest).into_iter().enumerate().take(S::F32_LANES) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a value")]
            let deepest = deepest as usize;
            let middle = deepest.clamp(1, last - 1);
            for (side, value) in (middle - 1..=middle + 1).enumerate() {
                places[side][lane] = self.x[value];
                three[side][lane] = depths[value * S::F32_LANES + lane];
            }
            [at[0][lane], at[1][lane]] = [self.x[deepest], depths[deepest * S::F32_LANES + lane]];
        }
        let (x, own) = (vector::<S>(&at[0]), vector::<S>(&at[1]));
        let (x0, x1, x2) = (vector::<S>(&places[0]), vector::<S>(&places[1]), vector::<S>(&places[2]));
        let (left, here, right) = (vector::<S>(&three[0]), vector::<S>(&three[1]), vector::<S>(&three[2]));
        let (before, after) = (s.sub_f32s(x1, x0), s.sub_f32s(x2, x1));
        let (rise, fall) = (s.div_f32s(s.sub_f32s(here, left), before), s.div_f32s(s.sub_f32s(right, here), after));
        let bend = s.div_f32s(s.sub_f32s(fall, rise), s.add_f32s(before, after));
        // The slope of the parabola at the value itself.
        let slope = s.add_f32s(rise, s.mul_f32s(bend, before));
        let shift = s.div_f32s(s.mul_f32s(s.splat_f32s(-0.5), slope), bend);
        let least = s.sub_f32s(s.splat_f32s(0.0), before);
        let shift = select(s, s.less_than_f32s(shift, least), least, shift);
        let shift = select(s, s.greater_than_f32s(shift, after), after, shift);
        let depth = s.add_f32s(here, s.mul_f32s(s.add_f32s(slope, s.mul_f32s(bend, shift)), shift));
        let inside =
            s.and_m32s(s.greater_than_f32s(deepest, s.splat_f32s(0.0)), s.less_than_f32s(deepest, s.splat_f32s(narrow(number(last)))));
        // NaN compares as false.
        let bends = s.and_m32s(inside, s.less_than_f32s(bend, s.splat_f32s(0.0)));
        (select(s, bends, s.add_f32s(x1, shift), x), select(s, bends, depth, own), inside)
    }

    /// Width at half the depth, nm, and asymmetry. NaN where the depth does not fall to the half, or where there is no position.
    #[inline(always)]
    fn sides<S: Simd>(&self, depths: &[f32], [deepest, top, depth, position]: [S::f32s; 4]) -> [[f32; MOST_LANES]; 2] {
        let (deepest, top) = (lanes::<S>(deepest), lanes::<S>(top));
        let (depth, position) = (lanes::<S>(depth), lanes::<S>(position));
        let mut sides = [[f32::NAN; MOST_LANES]; 2];
        for lane in (0..S::F32_LANES).filter(|lane| !position[*lane].is_nan()) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is the number of a value")]
            let deepest = deepest[lane] as usize;
            let pixel = Pixel { feature: self, depths, lanes: S::F32_LANES, lane };
            if let Some((left, right)) = pixel.halves(deepest, top[lane], depth[lane] * 0.5) {
                (sides[0][lane], sides[1][lane]) = (left + right, (right - left) / (right + left));
            }
        }
        sides
    }

    /// 1 where all values are positive and finite and an end is bright enough, else 0.
    #[inline(always)]
    fn valid<S: Simd>(&self, s: S, values: &[S::f32s], min_level: f32) -> S::f32s {
        let (zero, infinite) = (s.splat_f32s(0.0), s.splat_f32s(f32::INFINITY));
        let first = s.greater_than_f32s(values[0], s.splat_f32s(min_level));
        let last = s.greater_than_f32s(values[values.len() - 1], s.splat_f32s(min_level));
        let mut good = s.or_m32s(first, last);
        for value in values {
            // NaN compares as false.
            good = s.and_m32s(good, s.and_m32s(s.greater_than_f32s(*value, zero), s.less_than_f32s(*value, infinite)));
        }
        select(s, good, s.splat_f32s(1.0), zero)
    }

    /// The straight line through the means of both ends.
    #[inline(always)]
    fn shoulders<S: Simd>(&self, s: S, values: &[S::f32s]) -> Chord<S> {
        let n = values.len();
        let mean = |a, b| s.mul_f32s(s.add_f32s(a, b), s.splat_f32s(0.5));
        let place = |a: f32, b: f32| s.splat_f32s((a + b) * 0.5);
        let begin = [place(self.x[0], self.x[1]), mean(values[0], values[1])];
        let end = [place(self.x[n - ENDS], self.x[n - 1]), mean(values[n - ENDS], values[n - 1])];
        Chord { begin, end, from: s.splat_f32s(-1.0), to: s.splat_f32s(narrow(number(n))) }
    }

    /// The edge of the upper hull above the lowest value.
    #[inline(always)]
    fn edge<S: Simd>(&self, s: S, values: &[S::f32s]) -> Chord<S> {
        let n = values.len();
        let (zero, one, last) = (s.splat_f32s(0.0), s.splat_f32s(1.0), s.splat_f32s(narrow(number(n - 1))));
        let mut edge = Chord { begin: [zero, values[0]], end: [s.splat_f32s(self.x[n - 1]), values[n - 1]], from: zero, to: last };
        // Height and number of the lowest place, and of the lowest that lies below both neighbours.
        let none = [s.splat_f32s(f32::INFINITY), zero];
        let (mut low, mut dip, mut before) = (none, none, [s.splat_f32s(f32::NEG_INFINITY); 2]);
        // Values that some pixel's chord spans. A pixel without a higher place has its edge already.
        let mut spanned = 1..n - 1;
        for chord in 0..MOST_CHORDS {
            let slope = edge.slope(s);
            // Height, number, wavelength and value of the highest place.
            let mut high = [s.mul_f32s(s.splat_f32s(ROUNDING), edge.begin[1]), s.splat_f32s(-1.0), zero, zero];
            let mut at = s.splat_f32s(narrow(number(spanned.start)));
            for (i, (x, value)) in spanned.clone().zip(self.x[spanned.clone()].iter().zip(&values[spanned.clone()])) {
                let x = s.splat_f32s(*x);
                let height = s.sub_f32s(*value, edge.at(s, slope, x));
                if chord == 0 {
                    if self.minimum.contains(&i) {
                        low = lower(s, low, height, at, s.less_than_f32s(height, low[0]));
                    }
                    if self.minimum.contains(&(i - 1)) {
                        let lowest = s.and_m32s(s.less_than_f32s(before[1], before[0]), s.less_than_or_equal_f32s(before[1], height));
                        let dips = s.and_m32s(lowest, s.less_than_f32s(before[1], dip[0]));
                        dip = lower(s, dip, before[1], s.sub_f32s(at, one), dips);
                    }
                    before = [before[1], height];
                }
                let inside = s.and_m32s(s.greater_than_f32s(at, edge.from), s.less_than_f32s(at, edge.to));
                let higher = s.and_m32s(inside, s.greater_than_f32s(height, high[0]));
                for (high, here) in high.iter_mut().zip([height, at, x, *value]) {
                    *high = select(s, higher, here, *high);
                }
                at = s.add_f32s(at, one);
            }
            if chord == 0 {
                low = lower(s, low, dip[0], dip[1], s.less_than_f32s(dip[0], none[0]));
            }
            let [_, at, x, value] = high;
            if s.first_true_m32s(s.greater_than_or_equal_f32s(at, zero)) >= S::F32_LANES {
                break;
            }
            let found = s.greater_than_or_equal_f32s(at, zero);
            let begins = s.and_m32s(found, s.less_than_or_equal_f32s(at, low[1]));
            let ends = s.and_m32s(found, s.greater_than_f32s(at, low[1]));
            edge.begin = [select(s, begins, x, edge.begin[0]), select(s, begins, value, edge.begin[1])];
            edge.from = select(s, begins, at, edge.from);
            edge.end = [select(s, ends, x, edge.end[0]), select(s, ends, value, edge.end[1])];
            edge.to = select(s, ends, at, edge.to);
            let from = s.reduce_min_f32s(select(s, found, edge.from, last));
            let to = s.reduce_max_f32s(select(s, found, edge.to, zero));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are numbers of values")]
            let within = from as usize + 1..to as usize;
            spanned = within;
        }
        edge
    }

    /// Fills the depths below a chord, which are 0 beside it. Gives the number of the deepest value, the sum of squared second differences
    /// and the area.
    #[inline(always)]
    fn depths<S: Simd>(&self, s: S, values: &[S::f32s], edge: &Chord<S>, depths: &mut [S::f32s]) -> [S::f32s; 3] {
        let (zero, one, slope) = (s.splat_f32s(0.0), s.splat_f32s(1.0), edge.slope(s));
        let mut most = [s.splat_f32s(-1.0), s.splat_f32s(narrow(number(self.minimum.start)))];
        let mut area = zero;
        for (i, value) in values.iter().enumerate() {
            let (x, at) = (s.splat_f32s(self.x[i]), s.splat_f32s(narrow(number(i))));
            let depth = s.sub_f32s(one, s.div_f32s(*value, edge.at(s, slope, x)));
            let inside = s.and_m32s(s.greater_than_f32s(at, edge.from), s.less_than_f32s(at, edge.to));
            let depth = select(s, inside, depth, zero);
            depths[i] = depth;
            area = s.add_f32s(area, s.mul_f32s(depth, s.splat_f32s(self.extent[i])));
            if self.minimum.contains(&i) {
                let deeper = s.greater_than_f32s(depth, most[0]);
                most = [select(s, deeper, depth, most[0]), select(s, deeper, at, most[1])];
            }
        }
        let mut squares = zero;
        for three in depths.windows(3) {
            let bend = s.sub_f32s(s.sub_f32s(three[0], three[1]), s.sub_f32s(three[1], three[2]));
            squares = s.add_f32s(squares, s.mul_f32s(bend, bend));
        }
        [most[1], squares, area]
    }
}

/// The values of some pixels, and zeros behind them.
#[inline(always)]
fn lanes<S: Simd>(of: S::f32s) -> [f32; MOST_LANES] {
    let mut lanes = [0.0; MOST_LANES];
    lanes[..S::F32_LANES].copy_from_slice(bytemuck::cast_slice(&[of]));
    lanes
}

/// The register that holds the first of these values.
#[inline(always)]
fn vector<S: Simd>(lanes: &[f32; MOST_LANES]) -> S::f32s {
    bytemuck::cast_slice(&lanes[..S::F32_LANES])[0]
}

/// Takes a height and its number where `mask` says so.
#[inline(always)]
fn lower<S: Simd>(s: S, low: [S::f32s; 2], height: S::f32s, at: S::f32s, mask: S::m32s) -> [S::f32s; 2] {
    [select(s, mask, height, low[0]), select(s, mask, at, low[1])]
}

/// A straight line between two places, of some pixels.
struct Chord<S: Simd> {
    /// Wavelength and value of its begin.
    begin: [S::f32s; 2],
    /// Wavelength and value of its end.
    end: [S::f32s; 2],
    /// Numbers of the values before and behind those that it spans.
    from: S::f32s,
    to: S::f32s,
}

impl<S: Simd> Chord<S> {
    #[inline(always)]
    fn slope(&self, s: S) -> S::f32s {
        s.div_f32s(s.sub_f32s(self.end[1], self.begin[1]), s.sub_f32s(self.end[0], self.begin[0]))
    }

    #[inline(always)]
    fn at(&self, s: S, slope: S::f32s, x: S::f32s) -> S::f32s {
        s.add_f32s(self.begin[1], s.mul_f32s(slope, s.sub_f32s(x, self.begin[0])))
    }
}

/// One of some pixels.
struct Pixel<'a> {
    feature: &'a Measured,
    /// Depths `[value][lane]`.
    depths: &'a [f32],
    lanes: usize,
    lane: usize,
}

impl Pixel<'_> {
    #[inline(always)]
    fn depth(&self, value: usize) -> f32 {
        self.depths[value * self.lanes + self.lane]
    }

    /// Distances from `top` to where the depth falls to `half` on the left and on the right, nm. `None` where it does not.
    #[inline(always)]
    fn halves(&self, deepest: usize, top: f32, half: f32) -> Option<(f32, f32)> {
        let (mut before, mut after) = (deepest, deepest);
        while self.depth(before) >= half {
            before = before.checked_sub(1)?;
        }
        while self.depth(after) >= half {
            after += 1;
            if after == self.feature.x.len() {
                return None;
            }
        }
        Some((top - self.crossing(before + 1, before, half), self.crossing(after - 1, after, half) - top))
    }

    /// The wavelength at which the depth is `half`, between a value of that depth or more and a neighbour of less.
    #[inline(always)]
    fn crossing(&self, above: usize, below: usize, half: f32) -> f32 {
        let x = &self.feature.x;
        let (high, low) = (self.depth(above), self.depth(below));
        x[above] + (x[below] - x[above]) * (high - half) / (high - low)
    }
}
