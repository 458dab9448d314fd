//! The decisions when regions become samples, and where samples end.

use super::blobs::{Fate, NOBODY, Part};
use super::pose::Region;
use super::stage::Segment;
use super::{SampleEvent, median};

/// A region that goes on for this length behind a container's end touches the next container, mm.
const BEYOND_MM: f64 = 8.0;
/// Largest relative difference of containers' lengths from which the length of another follows.
const ALIKE: f64 = 0.12;

impl Segment {
    /// Decides on the blobs whose cubes begin with this row, and on the ends of cubes.
    pub(super) fn open_blobs(&mut self, index: i64, newest: Option<i64>, out: &mut dyn FnMut(SampleEvent)) {
        self.part_along(index);
        let least = self.config.min_area_mm2 / (self.axes.pixel_mm * self.axes.pixel_mm);
        let mut due: Vec<usize> = (0..self.blobs.all.len())
            .filter(|i| self.blobs.all[*i].fate == Fate::Pending && self.blobs.all[*i].rows.0 - self.margin <= index)
            .collect();
        due.sort_by_key(|i| (self.blobs.all[*i].rows.0, self.blobs.all[*i].extent.0));
        for i in due {
            let blob = &self.blobs.all[i];
            let ended = newest.is_none_or(|newest| newest - blob.rows.1 > self.close);
            #[expect(clippy::cast_precision_loss, reason = "areas are small")]
            let large = blob.area as f64 >= least;
            if large {
                self.open_blob(i, index, newest, out);
            } else if ended || blob.rows.0 <= index {
                // A blob may grow until it ends or its first row is due.
                self.blobs.all[i].fate = Fate::Ignored;
            }
        }
        let mut done = false;
        for open in self.open.iter_mut().filter(|open| open.end.is_none()) {
            let Some(blob) = open.blob.map(|blob| &self.blobs.all[self.blobs.root(blob)]) else { continue };
            if newest.is_none_or(|newest| newest - blob.rows.1 > self.close) {
                open.end = Some(blob.rows.1 + self.margin);
                done = true;
            }
        }
        if done {
            self.look_again(newest);
        }
    }

    /// Names a blob, or each container of a blob that consists of several.
    fn open_blob(&mut self, blob: usize, index: i64, newest: Option<i64>, out: &mut dyn FnMut(SampleEvent)) {
        let own = self.region(blob, newest);
        let mut regions: Vec<Region> = self.named_regions(newest);
        let parts = self.matcher.across(&own, &regions);
        let first = regions.len();
        regions.extend(side_by_side(&own, parts));
        let others = (0..self.blobs.all.len()).filter(|i| *i != blob && matches!(self.blobs.all[*i].fate, Fate::Pending | Fate::Unnamed));
        // A region that has just come into sight says little yet.
        let others: Vec<Region> = others.filter(|i| self.blobs.all[*i].area > 1).map(|i| self.region(i, newest)).collect();
        for other in others {
            let parts = self.matcher.across(&other, &regions[..first]);
            regions.extend(side_by_side(&other, parts));
        }
        let mut found: Vec<Part> = Vec::new();
        let mut refused: Vec<String> = Vec::new();
        for part in 0..parts {
            let region = regions[first + part];
            // The last part reaches to the end of the blob.
            let to = if part + 1 == parts { usize::MAX } else { self.pixel(region.x_mm.1) };
            match self.matcher.name(&self.tray, &regions, first + part) {
                Ok(named) if !self.seen[named.container] => {
                    regions[first + part].place = Some(named.place);
                    let extent = self.pixels((region.x_mm.0.min(named.x_mm.0), region.x_mm.1.max(named.x_mm.1)));
                    let number = self.begin(named.container, index, extent, Some(blob), None, out);
                    self.known[usize::from(number)].region = Some(regions[first + part]);
                    if let Some(open) = self.open.last_mut() {
                        open.doubts.extend(named.doubt);
                        if self.blobs.all[blob].follows {
                            open.doubts.push("it touches what lies before it along the belt: where it begins is guessed".into());
                        }
                    }
                    found.push(Part { number, to });
                }
                refused_or_found_before => {
                    let at = |container: usize| self.tray.containers[container].at.as_str();
                    refused
                        .push(refused_or_found_before.map_or_else(|why| why, |named| format!("{} was found before", at(named.container))));
                    found.push(Part { number: NOBODY, to });
                }
            }
        }
        if let Some(why) = refused.first() {
            self.findings
                .warnings
                .push(format!("something bright at x {:.0} to {:.0} mm, y {:.0} mm has no name: {why}", own.x_mm.0, own.x_mm.1, own.y_mm));
        }
        if parts > 1 {
            let at = |part: &Part| {
                self.known.get(usize::from(part.number)).map_or("?", |known| self.tray.containers[known.container].at.as_str())
            };
            let places: Vec<&str> = found.iter().map(at).collect();
            let doubt = format!("{} touch: where one ends and the other begins is guessed", places.join(" and "));
            for open in self.open.iter_mut().filter(|open| found.iter().any(|part| part.number == open.sample.number)) {
                open.doubts.push(doubt.clone());
            }
        }
        self.blobs.all[blob].fate = match found.as_slice() {
            [only] if only.number != NOBODY => Fate::Sample(only.number),
            parts if parts.iter().all(|part| part.number == NOBODY) => {
                self.unnamed.push(blob);
                Fate::Unnamed
            }
            _ => {
                self.blobs.parts.push(found);
                Fate::Parts(self.blobs.parts.len() - 1)
            }
        };
    }

    /// Cuts a blob where one container touches the next along the belt.
    fn part_along(&mut self, index: i64) {
        let mut ended: Vec<f64> =
            self.known.iter().filter(|known| known.closed).filter_map(|known| known.region).map(|region| region.length_mm).collect();
        ended.extend(self.open.iter().filter(|open| open.end.is_some()).filter_map(|open| self.length_mm(open.blob?)));
        let usual = median(&mut ended);
        // Half-empty containers may be alike, too, so the length must fill the pitch.
        let alike =
            ended.len() > 1 && ended.iter().all(|length| (length - usual).abs() < ALIKE * usual) && self.matcher.plan().fills_pitch(usual);
        let slant = self.matcher.found().map_or(0.0, |found| found.pose.tilt.0.abs());
        let mut cuts: Vec<(usize, i64)> = Vec::new();
        for open in self.open.iter().filter(|open| open.end.is_none()) {
            let Some(blob) = open.blob.map(|blob| self.blobs.root(blob)) else { continue };
            let known = &self.known[usize::from(open.sample.number)];
            let Some(region) = known.region else { continue };
            let Some(length) = self.matcher.plan().length_mm(known.container).or_else(|| alike.then_some(usual)) else { continue };
            let length = length + if self.matcher.plan().length_mm(known.container).is_some() { slant * region.width_mm() } else { 0.0 };
            let row = |mm: f64| {
                #[expect(clippy::cast_possible_truncation, reason = "places on the grid")]
                let row = ((region.y_mm + mm) / self.axes.pixel_mm + 0.5).round() as i64;
                row
            };
            let seam = row(length);
            if seam > index && seam - self.margin - 1 <= index && self.goes_on(blob, row(length + BEYOND_MM)) {
                cuts.push((blob, seam));
            }
        }
        cuts.dedup_by_key(|cut| cut.0);
        for (blob, seam) in cuts {
            for open in self.open.iter_mut().filter(|open| open.blob.is_some_and(|own| self.blobs.root(own) == blob)) {
                open.doubts.push("it touches what follows it along the belt: where it ends is guessed".into());
            }
            self.blobs.cut(blob, seam, self.held.iter_mut().map(|held| (held.row.index, &mut held.runs)));
        }
    }

    /// Whether a blob still has about its full width at `row`. The last corner of a tilted container has not.
    fn goes_on(&self, blob: usize, row: i64) -> bool {
        let Some(held) = self.held.iter().find(|held| held.row.index == row) else { return false };
        let own = held.runs.iter().filter(|run| self.blobs.root(run.blob) == blob);
        let extent = self.blobs.all[blob].extent;
        own.map(|run| run.to - run.from).sum::<usize>() * 3 > (extent.1 - extent.0) * 2
    }

    /// Length of a blob, mm.
    fn length_mm(&self, blob: usize) -> Option<f64> {
        let blob = &self.blobs.all[self.blobs.root(blob)];
        #[expect(clippy::cast_precision_loss, reason = "lengths of containers")]
        let rows = (blob.rows.1 - blob.rows.0 + 1) as f64;
        Some(rows * self.axes.pixel_mm)
    }

    fn region(&self, blob: usize, newest: Option<i64>) -> Region {
        let (half, own) = (self.axes.pixel_mm / 2.0, &self.blobs.all[blob]);
        Region {
            x_mm: (self.axes.x_mm(own.extent.0) - half, self.axes.x_mm(own.extent.1) - half),
            y_mm: self.axes.y_mm(own.rows.0) - half,
            length_mm: self.length_mm(blob).unwrap_or(0.0),
            ended: newest.is_none_or(|newest| newest - own.rows.1 > self.close),
            place: None,
        }
    }

    /// The regions that have a name, to the extent seen by now.
    fn named_regions(&mut self, newest: Option<i64>) -> Vec<Region> {
        self.look_again(newest);
        self.known.iter().filter_map(|known| known.region).collect()
    }

    /// Updates the regions of the open samples to the extent seen by now.
    pub(super) fn look_again(&mut self, newest: Option<i64>) {
        for open in &self.open {
            let Some(blob) = open.blob.map(|blob| self.blobs.root(blob)) else { continue };
            let seen = self.region(blob, newest);
            let several = self.blobs.samples(blob).len() > 1;
            if let Some(region) = &mut self.known[usize::from(open.sample.number)].region {
                (region.length_mm, region.ended) = (seen.length_mm, seen.ended);
                if !several {
                    region.x_mm = seen.x_mm;
                }
            }
        }
    }

    /// The pixel whose first edge is nearest to a place across, mm.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels across, clamped at 0")]
    fn pixel(&self, x_mm: f64) -> usize {
        ((x_mm - self.axes.x0_mm) / self.axes.pixel_mm + 0.5).round().max(0.0) as usize
    }

    /// First pixel of a cube, and the one after the last. The cube reaches between two places across, mm, and a margin beyond.
    fn pixels(&self, x_mm: (f64, f64)) -> (usize, usize) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a margin of a few pixels")]
        let margin = self.margin as usize;
        (self.pixel(x_mm.0).saturating_sub(margin), (self.pixel(x_mm.1) + margin).min(self.axes.width))
    }
}

/// A region divided evenly into `parts` regions beside each other.
fn side_by_side(region: &Region, parts: usize) -> impl Iterator<Item = Region> {
    #[expect(clippy::cast_precision_loss, reason = "a few parts")]
    let (region, width) = (*region, region.width_mm() / parts as f64);
    (0..parts).map(move |part| {
        #[expect(clippy::cast_precision_loss, reason = "a few parts")]
        let from = region.x_mm.0 + part as f64 * width;
        Region { x_mm: (from, from + width), ..region }
    })
}
