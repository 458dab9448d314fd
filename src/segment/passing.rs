//! What the cameras see of a container that passes: where its edges are, and how bright it is in each.

use super::stage::{HeldRow, Segment, footprint_span};
use super::{Picture, Sample, SampleRow};
use crate::context::takes;
use crate::join::Compared;
use crate::scan::Container;

/// A container that passed the cameras.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Centre across the tray in the first camera's view, mm.
    pub x_mm: f64,
    /// Centre along the tray in the first camera's view, mm.
    pub y_mm: f64,
    /// Offset of each camera's view from the first camera's, mm across and along the tray. `None` means that the container shows no edges.
    pub offsets_mm: Vec<Option<(f64, f64)>>,
    /// Place across in the tenth of each camera's bands of longest wavelengths, minus that in the tenth of shortest ones, mm. `None` means
    /// that they show no edges.
    pub keystone_mm: Vec<Option<f64>>,
    /// Centre along the tray by the tray map or the tray's geometry, mm from a fixed but arbitrary place.
    pub known_mm: Option<f64>,
    /// Centre across the tray by the tray map, mm.
    pub known_x_mm: Option<f64>,
}

/// Largest number of rows of a sample's picture. A longer sample says nothing about registration.
const PICTURE_ROWS: usize = 1024;
/// Approximate number of a camera's bands that make up its brightness.
const PICTURE_BANDS: usize = 12;
/// Pictures of each camera: of all its bands, of its shortest wavelengths, and of its longest.
pub(super) const PICTURES: usize = 3;
/// Share of a camera's bands at each end of its range.
const END_SHARE: usize = 10;

impl Segment {
    /// Centre of a sample's container along the tray where the tray is known, mm from a fixed but arbitrary place.
    pub(super) fn known_mm(&self, sample: &Sample) -> Option<f64> {
        let Container { footprint, cell, .. } = &sample.container;
        #[expect(clippy::cast_precision_loss, reason = "a tray has few rows")]
        let by_row = || Some(cell.as_ref()?.0 as f64 * self.config.tray.row_pitch_mm?);
        footprint.map(|f| f.y_mm + f.length_mm / 2.0).or_else(by_row)
    }

    /// Records the offsets between the cameras' views of a sample.
    pub(super) fn compare(&mut self, sample: &Sample, pictures: &[Picture]) {
        let cameras = pictures.len() / PICTURES;
        let (whole, ends) = pictures.split_at(cameras);
        let centres: Vec<Option<(f64, f64)>> = whole.iter().map(|picture| picture.centre(self.config.min_reflectance)).collect();
        let Some(Some(first)) = centres.first() else { return };
        #[expect(clippy::cast_precision_loss, reason = "pixels of a tray")]
        let x_mm = self.axes.x_mm(0) + (sample.first_pixel as f64 + first.0) * self.axes.pixel_mm;
        let keystone = |camera: usize| {
            let apart = whole[camera].apart(&ends[camera], &ends[cameras + camera], self.config.min_reflectance);
            apart.map(|pixels| pixels * self.axes.pixel_mm)
        };
        let offset = |centre: (f64, f64)| ((centre.0 - first.0) * self.axes.pixel_mm, (centre.1 - first.1) * self.axes.pixel_mm);
        self.findings.passages.push(Passage {
            x_mm,
            y_mm: self.axes.y_mm(sample.first_row) + first.1 * self.axes.pixel_mm,
            offsets_mm: centres.iter().map(|centre| centre.map(offset)).collect(),
            keystone_mm: (0..cameras).map(keystone).collect(),
            known_mm: self.known_mm(sample),
            known_x_mm: sample.container.footprint.map(|f| f.x_mm + f.width_mm / 2.0),
        });
    }

    /// Compares the cameras over what is in sight of a new sample, clear of its rim.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few pixels")]
    pub(super) fn in_sight(&self, sample: &Sample, blob: Option<usize>, end: Option<i64>) -> Compared {
        let cube = (sample.first_pixel, sample.first_pixel + sample.width);
        let blob = blob.map(|blob| self.blobs.root(blob));
        let span = |held: &HeldRow| match blob {
            Some(blob) => {
                let own = held.runs.iter().filter(|run| self.blobs.root(run.blob) == blob);
                own.map(|run| (run.from.max(cube.0), run.to.min(cube.1))).reduce(|all, run| (all.0.min(run.0), all.1.max(run.1)))
            }
            None => footprint_span(&self.axes, sample, end, held.row.index),
        };
        let spans: Vec<Option<(usize, usize)>> = self.held.iter().map(span).collect();
        let reach = ((sample.rim_mm / self.axes.pixel_mm).ceil() as usize).max(1);
        let mut compared = Compared::default();
        for (around, held) in spans.windows(2 * reach + 1).zip(self.held.iter().skip(reach)) {
            let inner = around.iter().try_fold((0, usize::MAX), |all, span| span.map(|(from, to)| (all.0.max(from), all.1.min(to))));
            let Some((from, to)) = inner else { continue };
            let clear = (from + reach..to.saturating_sub(reach)).filter(|pixel| takes(held.row.quality[*pixel], false));
            self.seams.compare(&held.row, clear, &mut compared);
        }
        compared
    }
}

/// The bands of each picture: a few of each camera, then of the cameras' first ends, then of their last ends. `cameras` `[band]` is the
/// camera of each band.
pub(super) fn some_bands(cameras: &[usize]) -> Vec<Vec<usize>> {
    let count = cameras.iter().max().map_or(0, |last| last + 1);
    let of = |camera: usize| -> Vec<usize> { (0..cameras.len()).filter(|band| cameras[*band] == camera).collect() };
    let some = |bands: &[usize]| bands.iter().copied().step_by((bands.len() / PICTURE_BANDS).max(1)).collect();
    let end = |bands: &[usize]| bands.len().div_ceil(END_SHARE);
    let whole = (0..count).map(|camera| some(&of(camera)));
    let first = (0..count).map(|camera| some(&of(camera)[..end(&of(camera))]));
    let last = (0..count).map(|camera| some(&of(camera)[of(camera).len() - end(&of(camera))..]));
    whole.chain(first).chain(last).collect()
}

/// Adds a line to each camera's picture of a sample.
pub(super) fn look(pictures: &mut [Picture], cameras: &[Vec<usize>], row: &SampleRow, bands: usize) {
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
