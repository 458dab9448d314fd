//! The stage that turns joined rows into sample events.

use super::blobs::{Blobs, Run};
use super::known::Known;
use super::matching::Matcher;
use super::rim::Rim;
use super::{Mask, Passage, Picture, Sample, SampleEvent, SampleRow, median};
use crate::config::{SegmentConfig, SegmentMethod};
use crate::join::{Axes, Row};
use crate::recycler::Recycler;
use crate::scan::Quality;
use crate::scan::{Container, Tray};
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
    /// Doubts about the sample, in words.
    pub(super) doubts: Vec<String>,
    /// Picture of the sample's brightness in each camera, up to `PICTURE_ROWS` rows.
    pictures: Vec<Picture>,
}

/// Largest number of rows of a sample's picture. A longer sample says nothing about registration.
const PICTURE_ROWS: usize = 1024;
/// Approximate number of a camera's bands that make up its brightness.
const PICTURE_BANDS: usize = 12;

/// The findings of the stage once the scan is over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// A doubt about the names of all samples.
    pub doubt: Option<String>,
    /// Places of the tray map in which nothing was found.
    pub missing: Vec<String>,
    /// Warnings to the operator.
    pub warnings: Vec<String>,
    /// Offset of each camera's view of the containers from the first camera's view, mm across and along the tray.
    /// It is the median over the samples. `None` means that no edges were seen.
    pub residuals_mm: Vec<Option<(f64, f64)>>,
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
    /// A few bands of each camera.
    cameras: Vec<Vec<usize>>,
    /// Offsets `[camera][sample]` from the first camera's view, mm across and along the tray.
    residuals: Vec<Vec<(f64, f64)>>,
}

impl Segment {
    /// A stage for a tray on the grid `axes`. `cameras` `[band]` is the index of each band's camera.
    pub fn new(config: &SegmentConfig, tray: Tray, axes: Axes, cameras: &[usize]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "lengths of millimetres in rows")]
        let rows = |mm: f64| ((mm / axes.pixel_mm).ceil() as i64).max(1);
        let (margin, close) = (rows(config.margin_mm), rows(config.close_mm));
        #[expect(clippy::cast_precision_loss, reason = "pixel numbers are small")]
        let across_mm = (axes.x0_mm - axes.pixel_mm / 2.0, axes.width as f64 * axes.pixel_mm);
        let rim = Rim::new(config.erode_mm / axes.pixel_mm);
        let hold = match config.method {
            SegmentMethod::Brightness => margin + close + rows(config.lookahead_mm) + rim.rows(),
            SegmentMethod::Footprint => 0,
        };
        Self {
            matcher: Matcher::new(&tray, config.tray.clone(), across_mm),
            residuals: vec![Vec::new(); cameras.iter().max().map_or(0, |last| last + 1)],
            cameras: some_bands(cameras),
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
        }
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
        findings.residuals_mm = self
            .residuals
            .iter()
            .map(|all| {
                let axis = |pick: fn(&(f64, f64)) -> f64| median(&mut all.iter().map(pick).collect::<Vec<_>>());
                (!all.is_empty()).then(|| (axis(|r| r.0), axis(|r| r.1)))
            })
            .collect();
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
            look(&mut open.pictures, &self.cameras, &row, self.axes.bands());
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
        let sample = Arc::new(Sample {
            number: self.opened,
            container: self.tray.containers[container].clone(),
            first_row: row,
            first_pixel: extent.0,
            width: extent.1 - extent.0,
        });
        self.opened += 1;
        self.seen[container] = true;
        out(SampleEvent::Open(Arc::clone(&sample)));
        // A single camera can only be compared with a known tray. Footprints show no edges.
        let compared = (self.cameras.len() > 1 || self.known_mm(&sample).is_some()) && self.config.method == SegmentMethod::Brightness;
        let pictures = if compared { vec![Picture::new(sample.width); self.cameras.len()] } else { Vec::new() };
        self.open.push(OpenSample { sample, blob, end, lines: 0, clipped: false, doubts: Vec::new(), pictures });
        self.known.push(Known::of(container));
        self.opened - 1
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
                    if let Some((from, to)) = footprint_span(&self.axes, open, index) {
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
            for open in open.iter() {
                if !seen {
                    rim.around(open.sample.number, |away| footprint_span(&self.axes, open, index + away));
                }
                rim.apply(open.sample.number, seen, labels, &mut row.quality);
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
        self.masks.keep(Arc::clone(&mask));
        mask
    }

    /// Centre of a sample's container along the tray where the tray is known, mm from a fixed but arbitrary place.
    fn known_mm(&self, sample: &Sample) -> Option<f64> {
        let Container { footprint, cell, .. } = &sample.container;
        #[expect(clippy::cast_precision_loss, reason = "a tray has few rows")]
        let by_row = || Some(cell.as_ref()?.0 as f64 * self.config.tray.row_pitch_mm?);
        footprint.map(|f| f.y_mm + f.length_mm / 2.0).or_else(by_row)
    }

    /// Records the offsets between the cameras' views of a sample.
    fn compare(&mut self, sample: &Sample, pictures: &[Picture]) {
        let centres: Vec<Option<(f64, f64)>> = pictures.iter().map(|picture| picture.centre(self.config.min_reflectance)).collect();
        let Some(Some(first)) = centres.first() else { return };
        #[expect(clippy::cast_precision_loss, reason = "pixels of a tray")]
        let x_mm = self.axes.x_mm(0) + (sample.first_pixel as f64 + first.0) * self.axes.pixel_mm;
        self.findings.passages.push(Passage {
            x_mm,
            y_mm: self.axes.y_mm(sample.first_row) + first.1 * self.axes.pixel_mm,
            along_mm: centres.iter().map(|centre| centre.map(|c| (c.1 - first.1) * self.axes.pixel_mm)).collect(),
            known_mm: self.known_mm(sample),
        });
        for (residuals, centre) in self.residuals.iter_mut().zip(&centres) {
            residuals.extend(centre.map(|c| ((c.0 - first.0) * self.axes.pixel_mm, (c.1 - first.1) * self.axes.pixel_mm)));
        }
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
fn footprint_span(axes: &Axes, open: &OpenSample, row: i64) -> Option<(usize, usize)> {
    let footprint = open.sample.container.footprint?;
    if row < open.sample.first_row || open.end.is_some_and(|end| row > end) {
        return None;
    }
    let mut on = (open.sample.first_pixel..open.sample.first_pixel + open.sample.width)
        .filter(|pixel| !footprint.round || footprint.contains(axes.x_mm(*pixel), axes.y_mm(row)));
    let first = on.next()?;
    Some((first, on.next_back().unwrap_or(first) + 1))
}

/// A few evenly spread bands of each camera. `cameras` `[band]` is the camera of each band.
fn some_bands(cameras: &[usize]) -> Vec<Vec<usize>> {
    (0..cameras.iter().max().map_or(0, |last| last + 1))
        .map(|camera| {
            let bands: Vec<usize> = (0..cameras.len()).filter(|band| cameras[*band] == camera).collect();
            bands.iter().copied().step_by((bands.len() / PICTURE_BANDS).max(1)).collect()
        })
        .collect()
}

/// Adds a line to each camera's picture of a sample.
fn look(pictures: &mut [Picture], cameras: &[Vec<usize>], row: &SampleRow, bands: usize) {
    for (picture, camera) in pictures.iter_mut().zip(cameras) {
        if picture.rows() >= PICTURE_ROWS {
            continue;
        }
        for pixel in 0..row.sample.width {
            let values = camera.iter().map(|band| row.row.band(*band, bands).at(row.sample.first_pixel + pixel));
            let (sum, n) = values.filter(|value| value.is_finite()).fold((0.0_f32, 0.0_f32), |(sum, n), value| (sum + value, n + 1.0));
            picture.push(sum / n);
        }
    }
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
