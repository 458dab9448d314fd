//! The pose of a tray: the shift and the tilt under which most regions lie on containers. Each match has a certainty.

use super::layout::{Layout, Place};

/// Largest tilt that is tried, and the step of tilts, degrees.
const TILTS: (f64, f64) = (3.5, 0.5);
/// Score of a region on no container. A score of 0 is a perfect fit.
const EXTRA: f64 = -3.5;
/// Play of containers in their places, mm.
const PLAY_MM: f64 = 4.0;
/// Largest cost of a container that lies outside of its place but mostly on it.
const DISPLACED: f64 = 1.5;
/// Largest share of a container's size that may lie outside of its place.
const MOST_DISPLACED: f64 = 0.3;
/// Share of a container that may be empty without a cost, because regions are seen to a pixel.
const NOTHING: f64 = 0.05;
/// Difference in score from something possible at which something else is impossible.
const IMPOSSIBLE: f64 = 1.0;

/// A bright region on the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Region {
    /// First and last edge across, mm.
    pub x_mm: (f64, f64),
    /// First edge along, mm.
    pub y_mm: f64,
    /// Length that was seen so far, mm.
    pub length_mm: f64,
    /// Whether the region has ended.
    pub ended: bool,
    /// The place that the region was matched to.
    pub place: Option<usize>,
}

impl Region {
    pub fn width_mm(&self) -> f64 {
        self.x_mm.1 - self.x_mm.0
    }

    pub fn middle_mm(&self) -> f64 {
        f64::midpoint(self.x_mm.0, self.x_mm.1)
    }
}

/// Shift and tilt of a tray.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Shift across and along, mm.
    pub shift_mm: (f64, f64),
    /// Sine and cosine of the tilt.
    pub tilt: (f64, f64),
}

/// The beginning of a place under a pose: first and last edge across, and first edge along, mm. Further down, the tilt shifts them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Beginning {
    pub x_mm: (f64, f64),
    pub y_mm: f64,
}

impl Pose {
    /// The beginning of a place of a layout.
    pub fn beginning(&self, layout: &Layout, place: &Place) -> Beginning {
        let (sin, cos) = self.tilt;
        let half = place.width_mm / 2.0;
        // A round container begins at its first point.
        let (dx, dy) = (place.x_mm + half - layout.centre.0, place.y_mm - layout.centre.1);
        let (x, y) = (layout.centre.0 + self.shift_mm.0 + dx * cos - dy * sin, layout.centre.1 + self.shift_mm.1 + dx * sin + dy * cos);
        let lead = if place.round { 0.0 } else { half * sin.abs() };
        Beginning { x_mm: (x - half * cos, x + half * cos), y_mm: y - lead }
    }
}

/// A layout, a pose and their score over all regions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    pub score: f64,
    pub pose: Pose,
    pub layout: Layout,
}

/// The verdict of all poses together on one region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    /// The most likely place. `None` means that the region lies on no container.
    pub place: Option<usize>,
    /// Difference in score to the second most likely place or to none.
    pub margin: f64,
    /// The second most likely place.
    pub other: Option<usize>,
    /// Another possible place, if containers may be half-empty and the tray may lie anywhere within its limits.
    pub possible: Option<usize>,
}

/// A search over layouts and poses.
pub(super) struct Search<'a> {
    pub regions: &'a [Region],
    /// First and last edge of the cameras' view across, mm.
    pub view_mm: (f64, f64),
    /// Best score `[region][place]`. The last place stands for none.
    scores: Vec<Vec<f64>>,
    /// The same without a cost for half-empty containers and a tray that lies far off.
    possible: Vec<Vec<f64>>,
    best: Option<Solution>,
    taken: Vec<Option<(usize, f64)>>,
    chosen: Vec<Option<usize>>,
}

impl<'a> Search<'a> {
    pub fn new(regions: &'a [Region], view_mm: (f64, f64), places: usize) -> Self {
        Self {
            regions,
            view_mm,
            scores: vec![vec![f64::NEG_INFINITY; places + 1]; regions.len()],
            possible: vec![vec![f64::NEG_INFINITY; places + 1]; regions.len()],
            best: None,
            taken: vec![None; places],
            chosen: vec![None; regions.len()],
        }
    }

    /// Sine of the largest tilt that is tried.
    pub fn most_tilt() -> f64 {
        TILTS.0.to_radians().sin()
    }

    /// Sine and cosine of each tilt that is tried.
    pub fn tilts() -> impl Iterator<Item = (f64, f64)> {
        let steps = (TILTS.0 / TILTS.1).round();
        std::iter::successors(Some(-steps), |n| Some(n + 1.0))
            .take_while(move |n| *n <= steps)
            .map(|n| (n * TILTS.1).to_radians().sin_cos())
    }

    /// Tries a layout at a tilt. Each pose puts one of the regions `anchors` on one of the places.
    pub fn layout(&mut self, layout: &Layout, tilt: (f64, f64), anchors: &[usize]) {
        for anchor in anchors {
            let region = self.regions[*anchor];
            for (i, place) in layout.places.iter().enumerate() {
                if region.place.is_some_and(|fixed| fixed != i) {
                    continue;
                }
                let from = Pose { shift_mm: (0.0, 0.0), tilt }.beginning(layout, place);
                // The goods of a container that is not full may lie against either side and begin late.
                let (left, right) = (region.x_mm.0 - from.x_mm.0, region.x_mm.1 - from.x_mm.1);
                let slanted = region.length_mm * tilt.0 / 2.0;
                let late: &[f64] = if region.place.is_some() { &[0.0] } else { &[0.0, 0.25, 0.5] };
                for dx in [f64::midpoint(left, right) + slanted, left + slanted.max(0.0) * 2.0, right + slanted.min(0.0) * 2.0] {
                    for share in late.iter().take_while(|share| **share == 0.0 || place.length_mm < 1e6) {
                        let dy = region.y_mm - from.y_mm - share * place.length_mm;
                        if dx.abs() <= layout.across_mm && (layout.along_mm.0..=layout.along_mm.1).contains(&dy) {
                            self.pose(layout, Pose { shift_mm: (dx, dy), tilt });
                        }
                    }
                }
            }
        }
    }

    /// Scores a pose.
    fn pose(&mut self, layout: &Layout, pose: Pose) {
        self.taken.fill(None);
        let mut score = -0.25 * (pose.shift_mm.0 / layout.across_mm).powi(2) - 0.1 * (pose.tilt.0 / Self::most_tilt()).powi(2);
        let (from, to) = layout.along_mm;
        if from.is_finite() && to.is_finite() {
            score -= 0.25 * ((pose.shift_mm.1 - f64::midpoint(from, to)) / (to - from) * 2.0).powi(2);
        }
        let mut possible = 0.0;
        // A region that has a place keeps it.
        for (i, region) in self.regions.iter().enumerate() {
            self.chosen[i] = region.place;
            if let Some(place) = region.place {
                self.taken[place] = Some((i, f64::INFINITY));
                let fit = fit(region, &pose, layout, &layout.places[place], self.view_mm);
                score += fit.likely.max(EXTRA);
                possible += fit.possible.max(EXTRA);
            }
        }
        for i in 0..self.regions.len() {
            if self.regions[i].place.is_none() {
                self.assign(i, layout, &pose);
            }
        }
        for (i, region) in self.regions.iter().enumerate().filter(|(_, region)| region.place.is_none()) {
            let fit = self.chosen[i].map(|place| fit(region, &pose, layout, &layout.places[place], self.view_mm));
            score += fit.map_or(EXTRA, |fit| fit.likely);
            possible += fit.map_or(EXTRA, |fit| fit.possible);
        }
        let none = layout.places.len();
        for (all, score) in [(&mut self.scores, score), (&mut self.possible, possible)] {
            for (scores, chosen) in all.iter_mut().zip(&self.chosen) {
                let best = &mut scores[chosen.unwrap_or(none)];
                *best = best.max(score);
            }
        }
        if self.best.as_ref().is_none_or(|best| best.score < score) {
            self.best = Some(Solution { score, pose, layout: layout.clone() });
        }
    }

    /// Finds the place of a region. A region that fits the same place worse moves to another.
    fn assign(&mut self, mut region: usize, layout: &Layout, pose: &Pose) {
        for _ in 0..self.regions.len() {
            let (mut best, mut found) = (EXTRA, None);
            for (i, place) in layout.places.iter().enumerate() {
                let fit = fit(&self.regions[region], pose, layout, place, self.view_mm).likely;
                if fit > best && self.taken[i].is_none_or(|(_, other)| other < fit) {
                    (best, found) = (fit, Some(i));
                }
            }
            self.chosen[region] = found;
            let Some(place) = found else { return };
            match self.taken[place].replace((region, best)) {
                Some((other, _)) => region = other,
                None => return,
            }
        }
    }

    /// The best layout and pose.
    pub fn best(&self) -> Option<&Solution> {
        self.best.as_ref()
    }

    /// The verdict of all poses together on a region.
    pub fn verdict(&self, region: usize) -> Option<Verdict> {
        let scores = &self.scores[region];
        let none = scores.len() - 1;
        let mut order: Vec<usize> = (0..scores.len()).filter(|i| scores[*i].is_finite()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let place = |i: usize| (i != none).then_some(i);
        let first = *order.first()?;
        // A region may always lie on no container.
        let alone = self.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.score + EXTRA);
        let (second, score) = order.get(1).map_or((none, alone), |second| (*second, scores[*second].max(alone)));
        let possible = &self.possible[region];
        let rival = (0..none).filter(|i| *i != first).max_by(|a, b| possible[*a].total_cmp(&possible[*b]));
        let rival = rival.filter(|rival| possible[*rival] > possible[first] - IMPOSSIBLE);
        Some(Verdict { place: place(first), margin: scores[first] - score, other: place(second), possible: rival })
    }
}

/// The score of a region on a place. A perfect fit scores 0. `EXTRA` or less is no fit.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Score if containers are mostly full.
    likely: f64,
    /// Score if half of a container may be empty.
    possible: f64,
}

fn fit(region: &Region, pose: &Pose, layout: &Layout, place: &Place, view_mm: (f64, f64)) -> Fit {
    let at = pose.beginning(layout, place);
    let (late, early) = ((region.y_mm - at.y_mm).max(0.0), (at.y_mm - region.y_mm).max(0.0));
    if early > place.length_mm || late >= place.length_mm || region.x_mm.1 < at.x_mm.0 || region.x_mm.0 > at.x_mm.1 {
        return Fit { likely: 2.0 * EXTRA, possible: 2.0 * EXTRA };
    }
    let slant = region.length_mm * pose.tilt.0;
    // The part outside of the view is not seen.
    let (left, right) = ((at.x_mm.0 - slant.max(0.0)).max(view_mm.0), (at.x_mm.1 - slant.min(0.0)).min(view_mm.1));
    let settled = region.length_mm > place.width_mm * (pose.tilt.0.abs() + 0.01);
    let outside = (left - region.x_mm.0).max(region.x_mm.1 - right).max(0.0);
    let end = at.y_mm + place.length_mm + place.width_mm * pose.tilt.0.abs();
    // A region that begins late ends with its container.
    let over = if late > PLAY_MM { (region.y_mm + region.length_mm - end - PLAY_MM).max(0.0) } else { 0.0 };
    let mut score = 0.0;
    for (outside, size) in [(outside, place.width_mm), (early.max(over), place.length_mm)] {
        let cost = 0.5 * (outside / PLAY_MM).powi(2);
        let large = !settled || region.width_mm() >= 0.5 * place.width_mm;
        score -= if large && outside <= MOST_DISPLACED * size { cost.min(DISPLACED) } else { cost };
    }
    let mut empty = [0.0; 2];
    if settled && !place.round {
        empty[0] = ((region.x_mm.0 - left).max(0.0) + (right - region.x_mm.1).max(0.0)) / (right - left);
    } else if place.round {
        score -= 0.5 * ((region.middle_mm() - f64::midpoint(left, right)) / PLAY_MM).powi(2).min(2.0 * DISPLACED);
    }
    if place.length_mm < 1e6 {
        empty[1] = late / place.length_mm;
    }
    let cost = |emptiness: fn(f64) -> f64| empty.iter().map(|share| emptiness(*share)).sum::<f64>();
    Fit { likely: score - cost(unlikely), possible: score - cost(impossible) }
}

/// Cost of an empty share of a container.
fn unlikely(share: f64) -> f64 {
    ((share - NOTHING).max(0.0) / 0.15).min(1.0) + 2.0 * (share - 0.5).max(0.0)
}

/// Cost of an empty share beyond half of a container.
fn impossible(share: f64) -> f64 {
    20.0 * (share - 0.5 - NOTHING).max(0.0)
}
