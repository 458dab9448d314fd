//! The stage that joins the rows of every camera to rows with all bands.

use super::Axes;
use super::row::{Parts, Row, Run, Spectra};
use super::seam::Seams;
use crate::config::Overlap;
use crate::rectify::CameraRow;
use crate::scan::Quality;
use std::collections::VecDeque;
use std::sync::Arc;

/// The bands of the joined spectrum, and the camera of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Bands {
    /// Band centres, nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// Width of each band at half maximum, nm. An unknown width is NaN.
    pub fwhm_nm: Vec<f64>,
    runs: Arc<[Run]>,
    /// Number of bands of each camera.
    cameras: Arc<[usize]>,
    seams: Seams,
}

impl Bands {
    /// The joined bands of cameras with these wavelengths and widths, nm. `overlap` decides where the ranges of two cameras overlap.
    pub fn new(cameras: &[(&[f64], Option<&[f64]>)], overlap: Overlap) -> Self {
        let ranges: Vec<(f64, f64)> = cameras
            .iter()
            .map(|(nm, _)| nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| (lo.min(*w), hi.max(*w))))
            .collect();
        let mut order: Vec<usize> = (0..cameras.len()).collect();
        order.sort_by(|a, b| ranges[*a].0.total_cmp(&ranges[*b].0));
        // Each camera keeps the range [from, to). An overlap is cut in its middle.
        let mut keep = vec![(f64::NEG_INFINITY, f64::INFINITY); cameras.len()];
        if overlap == Overlap::Cut {
            for pair in order.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                if ranges[b].0 <= ranges[a].1 {
                    let middle = f64::midpoint(ranges[b].0, ranges[a].1.min(ranges[b].1));
                    keep[a].1 = keep[a].1.min(middle);
                    keep[b].0 = keep[b].0.max(middle);
                }
            }
        }
        let mut bands: Vec<(f64, f64, usize, usize)> = Vec::new();
        for camera in &order {
            let (nm, fwhm) = cameras[*camera];
            for (band, w) in nm.iter().enumerate().filter(|(_, w)| **w >= keep[*camera].0 && **w < keep[*camera].1) {
                bands.push((*w, fwhm.map_or(f64::NAN, |f| f[band]), *camera, band));
            }
        }
        bands.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut runs: Vec<Run> = Vec::new();
        for (to, (_, _, camera, from)) in bands.iter().copied().enumerate() {
            match runs.last_mut() {
                Some(run) if run.camera == camera && run.from + run.len == from => run.len += 1,
                _ => runs.push(Run { camera, from, to, len: 1 }),
            }
        }
        Self {
            wavelengths_nm: bands.iter().map(|b| b.0).collect(),
            fwhm_nm: bands.iter().map(|b| b.1).collect(),
            runs: runs.into(),
            cameras: cameras.iter().map(|(nm, _)| nm.len()).collect(),
            seams: Seams::new(&order, &cameras.iter().map(|(nm, _)| *nm).collect::<Vec<_>>()),
        }
    }

    /// The camera of each band of the joined spectrum, as an index into the cameras of [`Self::new`].
    pub fn cameras(&self) -> Vec<usize> {
        self.sources().map(|(camera, _)| camera).collect()
    }

    /// The camera of each band of the joined spectrum, and the band's number among those of the camera.
    pub fn sources(&self) -> impl Iterator<Item = (usize, usize)> {
        self.runs.iter().flat_map(|run| (run.from..run.from + run.len).map(|band| (run.camera, band)))
    }

    /// The seams between the cameras.
    pub fn seams(&self) -> &Seams {
        &self.seams
    }
}

/// One camera's rows that wait for the other cameras.
#[derive(Debug, Default)]
struct Camera {
    rows: VecDeque<CameraRow>,
    next: Option<i64>,
    ended: bool,
}

/// The stage that joins rows. Rows of one camera must come in order and without a hole. Cameras may be any distance apart.
pub struct Join {
    bands: Bands,
    width: usize,
    cameras: Vec<Camera>,
    next: Option<i64>,
    /// Time of the row that is given, ns. A row that no camera gave has that of the row before.
    time_ns: i64,
}

impl Join {
    /// A stage for the bands and the grid of a scan.
    pub fn new(bands: Bands, axes: &Axes) -> Self {
        let cameras = bands.cameras.len();
        Self { bands, width: axes.width, cameras: (0..cameras).map(|_| Camera::default()).collect(), next: None, time_ns: 0 }
    }

    /// Number of rows of a camera that wait for the others.
    pub fn waiting(&self, camera: usize) -> usize {
        self.cameras[camera].rows.len()
    }

    /// Takes a row of camera `camera`. The index of each row that is now complete goes to `out`, which calls [`Join::fill`].
    pub fn process(&mut self, camera: usize, row: CameraRow, out: &mut dyn FnMut(&Join, i64)) {
        self.cameras[camera].next = Some(row.index + 1);
        self.cameras[camera].rows.push_back(row);
        self.give(out);
    }

    /// Ends camera `camera`: no further row of it comes. The index of each row that is now complete goes to `out`.
    pub fn camera_ended(&mut self, camera: usize, out: &mut dyn FnMut(&Join, i64)) {
        self.cameras[camera].ended = true;
        self.give(out);
    }

    fn give(&mut self, out: &mut dyn FnMut(&Join, i64)) {
        loop {
            // A row is complete once every camera has a row waiting or has ended.
            if self.cameras.iter().any(|camera| camera.rows.is_empty() && !camera.ended) {
                return;
            }
            let Some(index) = self.cameras.iter().filter_map(|camera| camera.rows.front().map(|row| row.index)).min() else { return };
            let from = self.next.map_or(index, |next| next.min(index));
            let of_row = |camera: &Camera| camera.rows.front().filter(|row| row.index == index).map(|row| row.time_ns);
            let first_ns = self.cameras.iter().filter_map(of_row).min();
            if self.next.is_none() {
                self.time_ns = first_ns.unwrap_or(0);
            }
            for row in from..=index {
                if row == index {
                    self.time_ns = first_ns.unwrap_or(self.time_ns);
                }
                out(self, row);
            }
            self.next = Some(index + 1);
            for camera in &mut self.cameras {
                if camera.rows.front().is_some_and(|row| row.index <= index) {
                    camera.rows.pop_front();
                }
            }
        }
    }

    /// Makes `row` the joined row `index`, which is the row that was given last.
    pub fn fill(&self, index: i64, row: &mut Row) {
        row.index = index;
        row.time_ns = self.time_ns;
        row.quality.clear();
        row.quality.resize(self.width, 0);
        let parts = match &mut row.spectra {
            Spectra::Parts(parts) => parts,
            none @ Spectra::Whole(_) => {
                let (runs, cameras) = (Arc::clone(&self.bands.runs), Arc::clone(&self.bands.cameras));
                *none = Spectra::Parts(Parts { width: self.width, runs, cameras, rows: Vec::new() });
                let Spectra::Parts(parts) = none else { return };
                parts
            }
        };
        parts.rows.clear();
        for camera in &self.cameras {
            let part = camera.rows.front().filter(|part| part.index == index);
            for (pixel, quality) in row.quality.iter_mut().enumerate() {
                *quality |= part.map_or(Quality::OUT_OF_VIEW, |part| part.quality(pixel));
            }
            parts.rows.push(part.cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera_row(index: i64, values: &[f32]) -> CameraRow {
        CameraRow::new(index, 1000 + index, values.to_vec(), vec![0; 1])
    }

    fn join(cameras: &[(&[f64], Option<&[f64]>)], overlap: Overlap) -> Join {
        let bands = Bands::new(cameras, overlap);
        let axes =
            Axes { pixel_mm: 1.0, x0_mm: 0.0, width: 1, wavelengths_nm: bands.wavelengths_nm.clone(), fwhm_nm: bands.fwhm_nm.clone() };
        Join::new(bands, &axes)
    }

    fn collect(seen: &mut Vec<String>) -> impl FnMut(&Join, i64) + use<'_> {
        |join, index| {
            let mut row = Row::default();
            join.fill(index, &mut row);
            seen.push(format!("{:?}", (row.index, row.to_vec(0..1, join.bands.wavelengths_nm.len()), row.quality[0])));
        }
    }

    #[test]
    fn bands_increase_and_an_overlap_is_cut_in_its_middle() {
        let (a, b): (&[f64], &[f64]) = (&[400.0, 900.0, 1000.0], &[1000.0, 1500.0]);
        let cut = Bands::new(&[(b, None), (a, None)], Overlap::Cut);
        assert_eq!(cut.wavelengths_nm, [400.0, 900.0, 1000.0, 1500.0]);
        assert_eq!(*cut.runs, [Run { camera: 1, from: 0, to: 0, len: 2 }, Run { camera: 0, from: 0, to: 2, len: 2 }]);
        assert_eq!(Bands::new(&[(a, None), (b, None)], Overlap::Keep).wavelengths_nm, [400.0, 900.0, 1000.0, 1000.0, 1500.0]);
        let unsorted = Bands::new(&[(&[3.0, 1.0, 2.0], None)], Overlap::Cut);
        assert_eq!(unsorted.wavelengths_nm, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn three_cameras_wait_for_each_other_and_what_one_did_not_see_is_nan() {
        let mut join = join(&[(&[1.0], None), (&[2.0], None), (&[3.0], None)], Overlap::Cut);
        let mut seen = Vec::new();
        join.process(0, camera_row(0, &[10.0]), &mut collect(&mut seen));
        join.process(0, camera_row(1, &[11.0]), &mut collect(&mut seen));
        join.process(1, camera_row(1, &[21.0]), &mut collect(&mut seen));
        assert_eq!(join.waiting(0), 2);
        let mut out = collect(&mut seen);
        join.process(2, camera_row(0, &[30.0]), &mut out);
        join.process(2, camera_row(1, &[31.0]), &mut out);
        join.camera_ended(0, &mut out);
        join.camera_ended(1, &mut out);
        join.process(2, camera_row(2, &[32.0]), &mut out);
        join.camera_ended(2, &mut out);
        drop(out);
        assert_eq!(seen, ["(0, [10.0, NaN, 30.0], 16)", "(1, [11.0, 21.0, 31.0], 0)", "(2, [NaN, NaN, 32.0], 16)"]);
    }
}
