//! Matching of regions to the containers of the tray map.

use super::layout::{Sizes, TrayPlan};
use super::median;
use super::pose::{Region, Search, Solution};
use crate::config::TrayGeometry;
use crate::scan::Tray;

/// Margin of likelihood above which a name is certain. It exceeds 1, because a region that begins late may be half-empty.
const CERTAIN: f64 = 1.4;
/// Number of the newest named regions that show how the tray lies.
const REMEMBERED: usize = 24;
/// Number of named regions on which poses are tried.
const ANCHORS: usize = 6;
/// Largest number of regions without a name that are matched together.
const TOGETHER: usize = 14;

/// The name of a region.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Number of the container in the tray map.
    pub container: usize,
    /// The place that the region lies on.
    pub place: usize,
    /// First and last edge across of the place under the tray's pose, mm, where its size is known.
    pub x_mm: (f64, f64),
    /// A doubt about the name, in words.
    pub doubt: Option<String>,
}

/// The matcher names a region from all regions in sight and from those that passed before.
#[derive(Debug)]
pub(super) struct Matcher {
    plan: TrayPlan,
    /// First and last edge of the cameras' view across, mm.
    view_mm: (f64, f64),
    /// Position on the tray at which the scan begins, mm.
    start_mm: f64,
    best: Option<Solution>,
}

impl Matcher {
    /// A matcher for a tray. `view_mm` are the left edge and the width of the cameras' view, mm.
    pub fn new(tray: &Tray, geometry: TrayGeometry, view_mm: (f64, f64)) -> Self {
        let plan = TrayPlan::new(tray, geometry, view_mm);
        Self { plan, view_mm: (view_mm.0, view_mm.0 + view_mm.1), start_mm: f64::NEG_INFINITY, best: None }
    }

    /// The facts of the tray that are known before the scan.
    pub fn plan(&self) -> &TrayPlan {
        &self.plan
    }

    /// Sets the position on the tray at which the scan begins, mm.
    pub fn begins_at(&mut self, y_mm: f64) {
        self.start_mm = y_mm;
    }

    /// The layout and the pose that explain the regions best.
    pub fn found(&self) -> Option<&Solution> {
        self.best.as_ref()
    }

    /// Number of containers in a region. It is more than one where the region is too wide for one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tray has few columns")]
    pub fn across(&self, region: &Region, others: &[Region]) -> usize {
        let sizes = self.sizes(others);
        let Some(width) = self.plan.width_mm(&sizes) else { return 1 };
        let (wide, step) = match self.plan.column_pitch_mm() {
            Some(pitch) => ((1.25 * width).max(if sizes.width_mm.is_some() { 0.0 } else { 1.05 * pitch }), pitch),
            None => (1.25 * width, width),
        };
        if region.width_mm() <= wide { 1 } else { ((region.width_mm() / step).round() as usize).max(2) }
    }

    /// The container of `regions[which]`.
    ///
    /// # Errors
    /// The reason, in words, why the region is no container or not certainly one.
    pub fn name(&mut self, tray: &Tray, regions: &[Region], which: usize) -> Result<Named, String> {
        let (regions, which) = self.relevant(regions, which);
        let sizes = self.sizes(&regions);
        let small = self.plan.width_mm(&sizes).is_some_and(|width| regions[which].width_mm() < 0.5 * width);
        if regions[which].ended && small {
            return Err("it is too small for a container".into());
        }
        let anchors: Vec<usize> = (0..regions.len())
            .filter(|i| regions[*i].place.is_none())
            .chain((0..regions.len()).filter(|i| regions[*i].place.is_some()).rev().take(ANCHORS))
            .collect();
        let mut search = None;
        for tilt in Search::tilts() {
            let distances = if self.plan.learns_pitch() { self.distances(&regions, tilt.0, &sizes) } else { Vec::new() };
            for layout in self.plan.layouts(&sizes, &distances) {
                search.get_or_insert_with(|| Search::new(&regions, self.view_mm, layout.places.len())).layout(&layout, tilt, &anchors);
            }
        }
        let Some(search) = search else { return Err("the tray map does not say where its containers lie".into()) };
        let (Some(best), Some(verdict)) = (search.best(), search.verdict(which)) else {
            return Err("no place of the tray map is near it; check segment.tray".into());
        };
        let Some(place) = verdict.place else { return Err("it lies on no container of the tray map".into()) };
        let name = self.plan.name(place);
        let certain = verdict.margin >= CERTAIN;
        if let Some(other) = verdict.possible.or(verdict.other.filter(|_| !certain)) {
            let other = self.plan.name(other);
            return Err(format!(
                "it may be {name} or {other}; segment.tray.first_row_mm, row_pitch_mm and the size of a container tell which"
            ));
        }
        let doubt = (!certain).then(|| "it hardly fits its container".to_owned());
        let at = &best.layout.places[place];
        let x_mm = best.pose.beginning(&best.layout, at).x_mm;
        let Some(container) = at.container else { return Err(format!("the tray map has no sample in {name}")) };
        if container >= tray.containers.len() || regions.iter().any(|region| region.place == Some(place)) {
            return Err(format!("{name} was found before"));
        }
        self.best = Some(best.clone());
        Ok(Named { container, place, x_mm, doubt })
    }

    /// The regions that bear on `which`, and its index among them.
    fn relevant(&self, regions: &[Region], which: usize) -> (Vec<Region>, usize) {
        let named = regions.iter().filter(|region| region.place.is_some());
        let skip = named.clone().count().saturating_sub(REMEMBERED);
        let sizes = self.sizes(regions);
        let crumb = |region: &Region| {
            region.ended && self.plan.width_mm(&sizes).is_some_and(|width| region.width_mm() < 0.5 * width) && region.place.is_none()
        };
        let mut kept: Vec<Region> = named.skip(skip).copied().collect();
        let mut others: Vec<usize> = (0..regions.len()).filter(|i| regions[*i].place.is_none()).collect();
        // The nearest regions come first.
        others.retain(|i| *i == which || !crumb(&regions[*i]));
        others.sort_by(|a, b| {
            let away = |i: usize| (regions[i].y_mm - regions[which].y_mm).abs();
            (*a != which).cmp(&(*b != which)).then(away(*a).total_cmp(&away(*b)))
        });
        others.truncate(TOGETHER);
        let at = kept.len();
        kept.extend(others.into_iter().map(|i| regions[i]));
        (kept, at)
    }

    fn sizes(&self, regions: &[Region]) -> Sizes {
        let pitch = self.plan.column_pitch_mm().unwrap_or(f64::INFINITY);
        let mut widths: Vec<f64> =
            regions.iter().filter(|r| r.place.is_some()).map(Region::width_mm).filter(|w| *w <= 1.02 * pitch).collect();
        let longest = |ended: bool| regions.iter().filter(|r| r.ended == ended).map(|r| r.length_mm).max_by(f64::total_cmp);
        let length_mm = match (longest(true), longest(false)) {
            (Some(ended), Some(open)) if open > ended => Some((open, false)),
            (Some(ended), _) => Some((ended, true)),
            (None, open) => open.map(|open| (open, false)),
        };
        let width_mm = (!widths.is_empty()).then(|| median(&mut widths));
        Sizes { width_mm, length_mm, start_mm: self.start_mm }
    }

    /// The distances along the tray between regions under a tilt with this sine, mm.
    fn distances(&self, regions: &[Region], sin: f64, sizes: &Sizes) -> Vec<f64> {
        // Before a container has passed, a wrong tilt must not look like rows.
        let skew = 2.0 * (self.view_mm.1 - self.view_mm.0) * Search::most_tilt();
        let least = sizes.length_mm.map_or(skew, |(length, ended)| if ended { length } else { length.max(skew) });
        let mut found: Vec<f64> = Vec::new();
        for (i, a) in regions.iter().enumerate() {
            for b in &regions[i + 1..] {
                let distance = ((b.y_mm - a.y_mm) - (b.middle_mm() - a.middle_mm()) * sin).abs();
                if distance > least && !found.iter().any(|other| (other - distance).abs() < 1.0) {
                    found.push(distance);
                }
            }
        }
        found
    }
}
