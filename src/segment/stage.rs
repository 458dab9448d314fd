//! The stage that turns joined rows into sample events.

use super::blobs::{Blobs, Run};
use super::known::Known;
use super::matching::Matcher;
use super::passing::{look, some_bands};
use super::rim::Rim;
use super::{Mask, Passage, Picture, Sample, SampleEvent, SampleRow};
use crate::config::{SegmentConfig, SegmentMethod};
use crate::context::takes;
use crate::join::{Axes, Compared, LEAST_PIXELS, Row, Seams, Step};
use crate::recycler::Recycler;
use crate::scan::{Quality, Tray};
use std::collections::VecDeque;
use std::sync::Arc;

/// A row that the stage holds back, and its bright runs.
pub(super) struct HeldRow {
    pub(super) row: Arc<Row>,
    pub(super) runs: Vec<Run>,
}

/// A sample that is open.
pub(super) struct OpenSample {
    pub(super) sample: Arc<Sample>,
    pub(super) blob: Option<usize>,
    /// Last row of the cube, once known.
    pub(super) end: Option<i64>,
    lines: u32,
    clipped: bool,
    /// Number of pixels that its rim took out of the mask.
    pub(super) eroded: usize,
    /// Doubts about the sample, in words.
    pub(super) doubts: Vec<String>,
    /// Pictures of the sample's brightness in each camera, up to `PICTURE_ROWS` rows.
    pictures: Vec<Picture>,
}

/// The findings of the stage once the scan is over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// A doubt about the names of all samples.
    pub doubt: Option<String>,
    /// Places of the tray map in which nothing was found.
    pub missing: Vec<String>,
    /// Warnings to the operator.
    pub warnings: Vec<String>,
    /// Steps between cameras of neighbouring ranges, over the pixels of the masks.
    pub steps: Vec<Step>,
    /// The containers that passed and showed edges.
    pub passages: Vec<Passage>,
    /// Further outlines for a picture: regions without a name (`?`), and places in which nothing was found.
    pub outlines: Vec<Outline>,
}

/// A rectangle in a picture of the tray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Text on the rectangle.
    pub label: String,
    /// First and last grid row.
    pub rows: (i64, i64),
    /// First and last grid pixel.
    pub pixels: (usize, usize),
}

/// The stage that finds samples. It holds back only the rows that it needs to tell a container from a crumb.
pub struct Segment {
    pub(super) config: SegmentConfig,
    pub(super) tray: Tray,
    pub(super) axes: Axes,
    pub(super) matcher: Matcher,
    pub(super) blobs: Blobs,
    pub(super) held: VecDeque<HeldRow>,
    pub(super) open: Vec<OpenSample>,
    /// Number of samples that were opened.
    opened: u16,
    /// The facts of every sample, by its number.
    pub(super) known: Vec<Known>,
    /// Blobs that are large enough for a container and have no name.
    pub(super) unnamed: Vec<usize>,
    rim: Rim,
    bright: Vec<bool>,
    spare: Vec<Vec<Run>>,
    masks: Recycler<Mask>,
    rows: Recycler<Row>,
    /// Whether each container of the tray map was found.
    pub(super) seen: Vec<bool>,
    pub(super) findings: Findings,
    /// Number of rows that are held back.
    hold: i64,
    /// Margin of a cube, rows or pixels.
    pub(super) margin: i64,
    /// Number of rows without a pixel after which a sample is complete.
    pub(super) close: i64,
    /// First row of the scan.
    first_row: Option<i64>,
    /// The bands of each picture of a container.
    pictured: Vec<Vec<usize>>,
    pub(super) seams: Seams,
    compared: Compared,
    /// Whether cameras are levelled.
    level: bool,
}

impl Segment {
    /// A stage for a tray on the grid `axes`. `cameras` `[band]` is the index of each band's camera. `coarsest_mm` is the coarsest pixel.
    pub fn new(config: &SegmentConfig, tray: Tray, axes: Axes, cameras: &[usize], coarsest_mm: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "lengths of millimetres in rows")]
        let rows = |mm: f64| ((mm / axes.pixel_mm).ceil() as i64).max(1);
        let (margin, close) = (rows(config.margin_mm), rows(config.close_mm));
        #[expect(clippy::cast_precision_loss, reason = "pixel numbers are small")]
        let across_mm = (axes.x0_mm - axes.pixel_mm / 2.0, axes.width as f64 * axes.pixel_mm);
        let rim = Rim::new(config.rim_mm(coarsest_mm) / axes.pixel_mm);
        let hold = match config.method {
            SegmentMethod::Brightness => margin + close + rows(config.lookahead_mm) + rim.rows(),
            SegmentMethod::Footprint => 0,
        };
        Self {
            matcher: Matcher::new(&tray, config.tray.clone(), across_mm),
            pictured: some_bands(cameras),
            config: config.clone(),
            seen: vec![false; tray.containers.len()],
            rows: Recycler::default(),
            tray,
            axes,
            blobs: Blobs::default(),
            held: VecDeque::new(),
            open: Vec::new(),
            opened: 0,
            known: Vec::new(),
            unnamed: Vec::new(),
            rim,
            bright: Vec::new(),
            spare: Vec::new(),
            masks: Recycler::default(),
            findings: Findings::default(),
            hold,
            margin,
            close,
            first_row: None,
            seams: Seams::default(),
            compared: Compared::default(),
            level: false,
        }
    }

    /// Makes the stage compare the cameras where their ranges meet. With `level`, each sample's cameras are levelled, by what is in sight
    /// when it begins. So all of a sample has one factor.
    pub fn comparing(mut self, seams: Seams, level: bool) -> Self {
        (self.seams, self.level) = (seams, level);
        #[expect(clippy::cast_possible_truncation, reason = "lengths of millimetres in rows")]
        let sight = (self.config.lookahead_mm / self.axes.pixel_mm).ceil() as i64;
        if level { self.holding(sight) } else { self }
    }

    /// Makes the stage hold back at least `rows` rows.
    pub fn holding(mut self, rows: i64) -> Self {
        self.hold = self.hold.max(rows);
        self
    }

    /// The oldest row that is held back. No later sample begins before it.
    pub fn oldest_row(&self) -> Option<i64> {
        self.held.front().map(|oldest| oldest.row.index)
    }

    /// Number of rows that are held back.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    /// A row to fill. It is a new one or one without another owner.
    pub fn spare_row(&mut self) -> Arc<Row> {
        self.rows.take_with(Row::release)
    }

    /// Takes a row. Rows come in order. The events of the rows that need not wait longer go to `out`.
    pub fn process(&mut self, row: Arc<Row>, out: &mut dyn FnMut(SampleEvent)) {
        let mut runs = self.spare.pop().unwrap_or_default();
        if self.config.method == SegmentMethod::Brightness {
            self.brighten(&row);
            self.blobs.row(row.index, &self.bright, self.config.bridge_pixels(self.axes.pixel_mm), &mut runs);
        }
        let newest = row.index;
        if self.first_row.is_none() {
            self.first_row = Some(newest);
            self.matcher.begins_at(self.axes.y_mm(newest));
        }
        self.held.push_back(HeldRow { row, runs });
        while self.held.front().is_some_and(|oldest| newest - oldest.row.index >= self.hold) {
            self.give(Some(newest), out);
        }
    }

    /// Ends the scan. Held rows and the ends of all samples go to `out`.
    pub fn end_of_scan(&mut self, out: &mut dyn FnMut(SampleEvent)) -> Findings {
        while !self.held.is_empty() {
            self.give(None, out);
        }
        for open in std::mem::take(&mut self.open) {
            self.close(open, true, out);
        }
        self.conclude();
        let mut findings = std::mem::take(&mut self.findings);
        findings.steps = self.seams.steps(&self.compared, self.level);
        findings
    }

    /// Finds the pixels of a row that are brighter than the tray. In a gap, a pixel keeps its state of the row before.
    fn brighten(&mut self, row: &Row) {
        self.bright.resize(self.axes.width, false);
        for (pixel, bright) in self.bright.iter_mut().enumerate() {
            let brightness = row.brightness(pixel);
            if !brightness.is_nan() {
                *bright = brightness > self.config.min_reflectance;
            } else if row.quality[pixel] & Quality::GAP == 0 {
                *bright = false;
            }
        }
    }

    /// Gives the oldest row. `newest` is the newest row seen, and `None` when the scan is over.
    fn give(&mut self, newest: Option<i64>, out: &mut dyn FnMut(SampleEvent)) {
        let Some(oldest) = self.held.front() else { return };
        let index = oldest.row.index;
        match self.config.method {
            SegmentMethod::Brightness => self.open_blobs(index, newest, out),
            SegmentMethod::Footprint => self.open_footprints(index, out),
        }
        let Some(mut oldest) = self.held.pop_front() else { return };
        let mask = self.label(&mut oldest);
        for open in self.open.iter_mut().filter(|open| open.end.is_none_or(|end| index <= end)) {
            let row =
                SampleRow { sample: Arc::clone(&open.sample), line: open.lines, row: Arc::clone(&oldest.row), mask: Arc::clone(&mask) };
            open.lines += 1;
            look(&mut open.pictures, &self.pictured, &row, self.axes.bands());
            out(SampleEvent::Row(row));
        }
        self.spare.push(oldest.runs);
        self.rows.keep(oldest.row);
        let mut i = 0;
        while i < self.open.len() {
            if self.open[i].end.is_some_and(|end| index >= end) {
                let done = self.open.remove(i);
                self.close(done, false, out);
            } else {
                i += 1;
            }
        }
    }

    /// Opens the containers whose footprint begins with this row.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "places on the grid are small and clamped to it"
    )]
    fn open_footprints(&mut self, index: i64, out: &mut dyn FnMut(SampleEvent)) {
        let pixel_mm = self.axes.pixel_mm;
        // The first row with its centre at or behind a place.
        let row = |mm: f64| (mm / pixel_mm - 1e-6).ceil() as i64;
        let pixel = |mm: f64| ((mm - self.axes.x0_mm) / pixel_mm - 1e-6).ceil().clamp(0.0, self.axes.width as f64) as usize;
        let due: Vec<(usize, (usize, usize), i64)> = self
            .tray
            .containers
            .iter()
            .enumerate()
            .filter_map(|(i, c)| {
                let f = c.footprint?;
                (row(f.y_mm) <= index && index < row(f.y_mm + f.length_mm) && !self.seen[i])
                    .then(|| (i, (pixel(f.x_mm), pixel(f.x_mm + f.width_mm)), row(f.y_mm + f.length_mm) - 1))
            })
            .collect();
        for (i, extent, end) in due {
            if extent.1 > extent.0 {
                self.begin(i, index, extent, None, Some(end), out);
            }
        }
    }

    /// Opens the sample of a container and gives its number. `extent` is the first pixel of the cube and the one after the last.
    pub(super) fn begin(
        &mut self,
        container: usize,
        row: i64,
        extent: (usize, usize),
        blob: Option<usize>,
        end: Option<i64>,
        out: &mut dyn FnMut(SampleEvent),
    ) -> u16 {
        let (rim, mut doubts) = self.rim_of(row, extent, blob, end);
        let mut sample = Sample {
            number: self.opened,
            container: self.tray.containers[container].clone(),
            first_row: row,
            first_pixel: extent.0,
            width: extent.1 - extent.0,
            rim_mm: rim * self.axes.pixel_mm,
            levels: Vec::new(),
        };
        if self.level {
            match self.seams.levels(&self.in_sight(&sample, blob, end), self.config.min_reflectance) {
                Ok(levels) => sample.levels = levels,
                Err(pixels) => doubts.push(format!(
                    "its cameras are not levelled: {pixels} valid pixels clear of its rim were in sight where it began, and {LEAST_PIXELS} are needed, brighter than segment.min_reflectance on average (join.level); raise segment.lookahead_mm"
                )),
            }
        }
        let sample = Arc::new(sample);
        self.opened += 1;
        self.seen[container] = true;
        out(SampleEvent::Open(Arc::clone(&sample)));
        // Footprints show no edges.
        let compared = self.config.method == SegmentMethod::Brightness;
        let pictures = if compared { vec![Picture::new(sample.width); self.pictured.len()] } else { Vec::new() };
        self.open.push(OpenSample { sample, blob, end, lines: 0, clipped: false, eroded: 0, doubts, pictures });
        self.known.push(Known::of(container));
        self.opened - 1
    }

    /// Width of a new sample's rim, pixels. Where the rim would take more than half of what is in sight, it is narrower, and in doubt.
    #[expect(clippy::cast_precision_loss, reason = "pixels of a tray")]
    fn rim_of(&self, row: i64, extent: (usize, usize), blob: Option<usize>, end: Option<i64>) -> (f64, Vec<String>) {
        let (mut across, mut along) = (extent.1 - extent.0, end.map_or(i64::MAX, |end| end - row + 1));
        if let Some(blob) = blob.map(|blob| &self.blobs.all[self.blobs.root(blob)]) {
            (across, along) = (across.min(blob.extent.1 - blob.extent.0), along.min(blob.rows.1 - blob.rows.0 + 1));
        }
        let (rim, wanted) = (self.rim.width(across as f64, along as f64), self.rim.widest());
        let mm = |pixels: f64| pixels * self.axes.pixel_mm;
        let doubt = (rim < wanted).then(|| {
            let (wanted, rim) = (mm(wanted), mm(rim));
            format!("a rim of {wanted:.2} mm would take more than half of it: {rim:.2} mm are left out, and mixed pixels may remain (segment.erode_mm)")
        });
        (rim, doubt.into_iter().collect())
    }

    /// Labels the pixels of a row, except those in shadow, and flags those on a rim.
    fn label(&mut self, held: &mut HeldRow) -> Arc<Mask> {
        let width = self.axes.width;
        let index = held.row.index;
        let mut mask = self.masks.take();
        let Some(labels) = Arc::get_mut(&mut mask).map(|mask| &mut mask.labels) else { return mask };
        labels.clear();
        labels.resize(width, 0);
        let (open, known, rim) = (&mut self.open, &mut self.known, &mut self.rim);
        match self.config.method {
            SegmentMethod::Brightness => {
                rim.next(&self.blobs, &held.runs, self.held.iter().map(|held| held.runs.as_slice()));
                for run in &held.runs {
                    self.blobs.on(run, |number, from, to| {
                        let Some(open) = open.iter_mut().find(|open| open.sample.number == number) else { return };
                        let cube = (open.sample.first_pixel, open.sample.first_pixel + open.sample.width);
                        open.clipped |= from < cube.0 || to > cube.1;
                        let (from, to) = (from.clamp(cube.0, cube.1), to.clamp(cube.0, cube.1));
                        labels[from..to].fill(number + 1);
                        known[usize::from(number)].take_in(index, from, to);
                    });
                }
            }
            SegmentMethod::Footprint => {
                for open in open.iter() {
                    if let Some((from, to)) = footprint_span(&self.axes, &open.sample, open.end, index) {
                        labels[from..to].fill(open.sample.number + 1);
                        known[usize::from(open.sample.number)].take_in(index, from, to);
                    }
                }
            }
        }
        if let Some(row) = Arc::get_mut(&mut held.row) {
            let seen = self.config.method == SegmentMethod::Brightness;
            if seen {
                flag_rim(labels, &mut row.quality);
            }
            for open in open.iter_mut() {
                if !seen {
                    rim.around(open.sample.number, |away| footprint_span(&self.axes, &open.sample, open.end, index + away));
                }
                open.eroded += rim.apply(open.sample.number, open.sample.rim_mm / self.axes.pixel_mm, seen, labels, &mut row.quality);
            }
        }
        if self.config.shadow_reflectance > 0.0 {
            for (pixel, label) in labels.iter_mut().enumerate().filter(|(_, label)| **label != 0) {
                // A pixel without a value is no shadow.
                if held.row.brightness(pixel) <= self.config.shadow_reflectance {
                    *label = 0;
                }
            }
        }
        let on_sample = labels.iter().zip(&held.row.quality).enumerate();
        let clear = on_sample.filter(|(_, (label, flags))| **label != 0 && takes(**flags, false)).map(|(pixel, _)| pixel);
        self.seams.compare(&held.row, clear, &mut self.compared);
        self.masks.keep(Arc::clone(&mask));
        mask
    }

    /// Closes a sample with its doubts. `cut_short` tells that the scan is over.
    fn close(&mut self, mut open: OpenSample, cut_short: bool, out: &mut dyn FnMut(SampleEvent)) {
        self.compare(&open.sample, &open.pictures);
        let ends_inside = match self.config.method {
            SegmentMethod::Brightness => open.end.is_none(),
            SegmentMethod::Footprint => true,
        };
        if cut_short && ends_inside {
            open.doubts.push("the scan ended before the container did".to_owned());
        }
        if open.clipped {
            open.doubts.push("it is wider than it was where it began: its cube does not hold all of it".to_owned());
        }
        let doubts = self.doubts(&open);
        let OpenSample { sample, lines, .. } = open;
        out(SampleEvent::Close { sample, lines, doubts });
    }
}

/// First pixel of a footprint in a row, and the one after the last.
pub(super) fn footprint_span(axes: &Axes, sample: &Sample, end: Option<i64>, row: i64) -> Option<(usize, usize)> {
    let footprint = sample.container.footprint?;
    if row < sample.first_row || end.is_some_and(|end| row > end) {
        return None;
    }
    let mut on = (sample.first_pixel..sample.first_pixel + sample.width)
        .filter(|pixel| !footprint.round || footprint.contains(axes.x_mm(*pixel), axes.y_mm(row)));
    let first = on.next()?;
    Some((first, on.next_back().unwrap_or(first) + 1))
}

/// Flags pixels of a sample with a neighbour across the belt that is not on it.
fn flag_rim(labels: &[u16], quality: &mut [u8]) {
    for (pixel, label) in labels.iter().enumerate().filter(|(_, label)| **label != 0) {
        let left = pixel.checked_sub(1).map_or(0, |p| labels[p]);
        let right = labels.get(pixel + 1).copied().unwrap_or(0);
        if left != *label || right != *label {
            quality[pixel] |= Quality::EDGE;
        }
    }
}
