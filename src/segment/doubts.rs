//! Doubts about samples, and warnings about a tray.

use super::known::Known;
use super::median;
use super::stage::{OpenSample, Outline, Segment};

/// Share of a container's area, or of the other samples' area, below which a sample is half-empty.
const HALF_EMPTY: f64 = 0.72;
/// Share of that area above which a sample is more than one container.
const TOO_LARGE: f64 = 1.4;

impl Segment {
    /// The doubts about a sample that is complete, in words.
    pub(super) fn doubts(&mut self, open: &OpenSample) -> Vec<String> {
        let number = open.sample.number;
        let mut doubts = open.doubts.clone();
        for (a, b) in self.blobs.touching.iter().filter(|pair| pair.0 == number || pair.1 == number) {
            let other = &self.known[usize::from(if *a == number { *b } else { *a })];
            doubts.push(format!("it touches what lies in {}: where one ends and the other begins is guessed", self.at(other)));
        }
        let own = &self.known[usize::from(number)];
        let expected = self.matcher.plan().area_mm2(own.container).map(|mm2| mm2 / (self.axes.pixel_mm * self.axes.pixel_mm));
        let (usual, of) = self.usual_area(number).map_or((None, 0), |(area, of)| (Some(area), of));
        #[expect(clippy::cast_precision_loss, reason = "areas are small")]
        let share = expected.or(usual).map(|area| own.area as f64 / area);
        let cut = own.extent.is_some_and(|(from, to, _)| from == 0 || to == self.axes.width);
        if let Some(share) = share.filter(|share| *share < HALF_EMPTY && open.blob.is_some()) {
            let why = if cut { "it is not full, or reaches out of the view" } else { "it is not full" };
            doubts.push(format!("only {:.0} % of its container show something: {why}", share * 100.0));
        }
        if let Some(share) = share.filter(|share| *share > TOO_LARGE && open.blob.is_some() && (expected.is_some() || of > 1)) {
            doubts.push(format!("it shows {:.0} % of what a container does: what lies beside or behind it may touch it", share * 100.0));
        }
        if open.eroded * 2 > self.known[usize::from(number)].area {
            let rim_mm = open.sample.rim_mm;
            doubts.push(format!("its rim of {rim_mm:.2} mm is more than half of it, and is left out of its mask (segment.erode_mm)"));
        }
        let own = &mut self.known[usize::from(number)];
        (own.closed, own.doubtful) = (true, !doubts.is_empty());
        doubts
    }

    /// Median area of the other samples so far, pixels, and their number.
    #[expect(clippy::cast_precision_loss, reason = "areas are small")]
    fn usual_area(&self, number: u16) -> Option<(f64, usize)> {
        let own = self.known[usize::from(number)].area;
        let open = |other: u16| self.open.iter().find(|open| open.sample.number == other).and_then(|open| open.blob);
        let mut others: Vec<f64> = (0_u16..)
            .zip(&self.known)
            .filter(|(other, known)| *other != number && known.region.is_some())
            .filter_map(|(other, known)| match open(other) {
                // A sample that still grows only counts once it is larger.
                Some(blob) => {
                    Some(self.blobs.all[self.blobs.root(blob)].area).filter(|area| *area > own && self.blobs.samples(blob).len() == 1)
                }
                None => Some(known.area),
            })
            .map(|area| area as f64)
            .collect();
        (!others.is_empty()).then(|| (median(&mut others), others.len()))
    }

    fn at(&self, known: &Known) -> String {
        self.tray.containers[known.container].at.clone()
    }

    /// Adds the findings that only the end of the scan shows.
    pub(super) fn conclude(&mut self) {
        self.findings.missing =
            self.tray.containers.iter().zip(&self.seen).filter(|(_, seen)| !**seen).map(|(c, _)| c.at.clone()).collect();
        #[expect(clippy::cast_precision_loss, reason = "areas are small")]
        let area = |known: &Known| known.area as f64;
        let usual = median(&mut self.known.iter().filter(|known| known.region.is_some()).map(area).collect::<Vec<_>>());
        for known in self.known.iter().filter(|known| known.region.is_some() && !known.doubtful) {
            if self.matcher.plan().area_mm2(known.container).is_none() && area(known) < HALF_EMPTY * usual {
                let share = area(known) / usual * 100.0;
                self.findings.warnings.push(format!("{} is not full: it has {share:.0} % of the area that others have", self.at(known)));
            }
        }
        for blob in std::mem::take(&mut self.unnamed) {
            let blob = &self.blobs.all[self.blobs.root(blob)];
            self.findings.outlines.push(Outline { label: "?".into(), rows: blob.rows, pixels: (blob.extent.0, blob.extent.1 - 1) });
        }
        self.rows_in_doubt();
        self.outline_missing();
    }

    /// Warns where rows were counted from the first one seen, and fewer rows were seen than the tray map has.
    fn rows_in_doubt(&mut self) {
        if !self.matcher.plan().counts_rows() || self.known.is_empty() {
            return;
        }
        let row = |container: usize| self.tray.containers[container].cell.map_or(0, |cell| cell.0);
        let seen = self.known.iter().map(|known| row(known.container)).max().unwrap_or(0);
        let last = (0..self.tray.containers.len()).map(row).max().unwrap_or(0);
        // Without room for a row ahead of it, the first row seen was row A.
        let room = self.matcher.found().and_then(|found| {
            let first = found.pose.shift_mm.1;
            found.layout.pitch_mm.map(|pitch| first - pitch >= found.layout.along_mm.0)
        });
        if seen < last && room != Some(false) {
            let names: Vec<String> = self.known.iter().map(|known| self.at(known)).collect();
            self.findings.doubt = Some("its row was counted from the first one seen, which may not be row A".into());
            self.findings.warnings.push(format!(
                "fewer rows were seen than the tray map has, and the first one was taken for row A: if row A was empty, {} are misnamed; \
                 give segment.tray.first_row_mm and row_pitch_mm, and process the recording again",
                names.join(", ")
            ));
        }
    }

    /// Outlines the places in which nothing was found, where their positions are known.
    fn outline_missing(&mut self) {
        let Some(found) = self.matcher.found() else { return };
        for place in &found.layout.places {
            let Some(container) = place.container.filter(|container| !self.seen[*container]) else { continue };
            let begin = found.pose.beginning(&found.layout, place);
            let row = |mm: f64| {
                #[expect(clippy::cast_possible_truncation, reason = "a cast that saturates is right here")]
                let row = (mm / self.axes.pixel_mm).round() as i64;
                row
            };
            let pixel = |mm: f64| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast that saturates is right here")]
                let pixel = ((mm - self.axes.x0_mm) / self.axes.pixel_mm).round() as usize;
                pixel.min(self.axes.width.saturating_sub(1))
            };
            let rows = (row(begin.y_mm), row(begin.y_mm + place.length_mm));
            if rows.1 - rows.0 < 1 << 20 && begin.y_mm < 1e6 {
                let pixels = (pixel(begin.x_mm.0), pixel(begin.x_mm.1));
                self.findings.outlines.push(Outline { label: format!("{}?", self.tray.containers[container].at), rows, pixels });
            }
        }
    }
}
