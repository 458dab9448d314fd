//! The stage: rows of every camera to rows with all bands.

use super::{Axes, Row};
use crate::calibrate::Quality;
use crate::config::Overlap;
use crate::rectify::LaneRow;
use std::collections::VecDeque;

/// A run of neighbouring bands that is copied as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    lane: usize,
    from: usize,
    to: usize,
    len: usize,
}

/// Which bands of which camera make the joined spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct Bands {
    /// Band centres, nm, increasing.
    pub wavelengths_nm: Vec<f64>,
    /// Widths, nm; NaN where not known.
    pub fwhm_nm: Vec<f64>,
    runs: Vec<Run>,
    lanes: Vec<usize>,
}

impl Bands {
    /// Bands of cameras with these wavelengths and widths (nm). Where the ranges of two cameras overlap, `overlap` decides.
    pub fn new(cameras: &[(&[f64], Option<&[f64]>)], overlap: Overlap) -> Self {
        let ranges: Vec<(f64, f64)> = cameras
            .iter()
            .map(|(nm, _)| nm.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), w| (lo.min(*w), hi.max(*w))))
            .collect();
        let mut order: Vec<usize> = (0..cameras.len()).collect();
        order.sort_by(|a, b| ranges[*a].0.total_cmp(&ranges[*b].0));
        // Each camera keeps [from, to): an overlap is cut in its middle.
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
        for lane in &order {
            let (nm, fwhm) = cameras[*lane];
            for (band, w) in nm.iter().enumerate().filter(|(_, w)| **w >= keep[*lane].0 && **w < keep[*lane].1) {
                bands.push((*w, fwhm.map_or(f64::NAN, |f| f[band]), *lane, band));
            }
        }
        bands.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut runs: Vec<Run> = Vec::new();
        for (to, (_, _, lane, from)) in bands.iter().copied().enumerate() {
            match runs.last_mut() {
                Some(run) if run.lane == lane && run.from + run.len == from => run.len += 1,
                _ => runs.push(Run { lane, from, to, len: 1 }),
            }
        }
        Self {
            wavelengths_nm: bands.iter().map(|b| b.0).collect(),
            fwhm_nm: bands.iter().map(|b| b.1).collect(),
            runs,
            lanes: cameras.iter().map(|(nm, _)| nm.len()).collect(),
        }
    }

    /// The camera of each band of the joined spectrum, by its place in what [`Self::new`] was given.
    pub fn cameras(&self) -> Vec<usize> {
        self.runs.iter().flat_map(|run| std::iter::repeat_n(run.lane, run.len)).collect()
    }
}

/// One camera's rows on their way.
#[derive(Debug, Default)]
struct Lane {
    rows: VecDeque<LaneRow>,
    next: Option<i64>,
    ended: bool,
}

/// The stage. Rows of a camera must come in order and without a hole; cameras may be any distance apart.
pub struct Join {
    bands: Bands,
    width: usize,
    lanes: Vec<Lane>,
    spare: Vec<Vec<LaneRow>>,
    next: Option<i64>,
}

impl Join {
    /// A stage for the bands and the grid of a scan.
    pub fn new(bands: Bands, axes: &Axes) -> Self {
        let lanes = bands.lanes.len();
        Self { bands, width: axes.width, lanes: (0..lanes).map(|_| Lane::default()).collect(), spare: vec![Vec::new(); lanes], next: None }
    }

    /// Rows of a camera that wait for the others.
    pub fn waiting(&self, lane: usize) -> usize {
        self.lanes[lane].rows.len()
    }

    /// Buffers of rows that were joined, to be filled again.
    pub fn reclaim(&mut self, lane: usize) -> Option<LaneRow> {
        self.spare[lane].pop()
    }

    /// Takes a row of camera `lane`.
    pub fn process(&mut self, lane: usize, row: LaneRow, out: &mut dyn FnMut(&Join, Parts)) {
        self.lanes[lane].next = Some(row.index + 1);
        self.lanes[lane].rows.push_back(row);
        self.give(out);
    }

    /// Notes that camera `lane` has no further row.
    pub fn lane_ended(&mut self, lane: usize, out: &mut dyn FnMut(&Join, Parts)) {
        self.lanes[lane].ended = true;
        self.give(out);
    }

    fn give(&mut self, out: &mut dyn FnMut(&Join, Parts)) {
        loop {
            // Every camera has a row, has told that its next lies further on, or has ended.
            if self.lanes.iter().any(|lane| lane.rows.is_empty() && !lane.ended) {
                return;
            }
            let Some(index) = self.lanes.iter().filter_map(|lane| lane.rows.front().map(|row| row.index)).min() else { return };
            let from = self.next.map_or(index, |next| next.min(index));
            for row in from..=index {
                out(self, Parts { index: row });
            }
            self.next = Some(index + 1);
            for (lane, spare) in self.lanes.iter_mut().zip(&mut self.spare) {
                if lane.rows.front().is_some_and(|row| row.index <= index) {
                    spare.extend(lane.rows.pop_front());
                }
            }
        }
    }

    /// Writes the joined row into `row`, keeping its buffers.
    pub fn write(&self, parts: Parts, row: &mut Row) {
        let bands = self.bands.wavelengths_nm.len();
        row.index = parts.index;
        row.time_ns = 0;
        row.spectra.resize(self.width * bands, f32::NAN);
        row.quality.clear();
        row.quality.resize(self.width, 0);
        for (i, lane) in self.lanes.iter().enumerate() {
            let part = lane.rows.front().filter(|part| part.index == parts.index);
            if let Some(part) = part
                && (row.time_ns == 0 || part.time_ns < row.time_ns)
            {
                row.time_ns = part.time_ns;
            }
            for run in self.bands.runs.iter().filter(|run| run.lane == i) {
                let source = self.bands.lanes[i];
                for pixel in 0..self.width {
                    let to = &mut row.spectra[pixel * bands + run.to..pixel * bands + run.to + run.len];
                    match part {
                        Some(part) => to.copy_from_slice(&part.values[pixel * source + run.from..pixel * source + run.from + run.len]),
                        None => to.fill(f32::NAN),
                    }
                }
            }
            match part {
                Some(part) => row.quality.iter_mut().zip(&part.quality).for_each(|(q, p)| *q |= p),
                None => row.quality.iter_mut().for_each(|q| *q |= Quality::OUT_OF_VIEW),
            }
        }
    }
}

/// A row that can be written now, see [`Join::write`].
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    index: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane_row(index: i64, values: &[f32]) -> LaneRow {
        LaneRow { index, time_ns: 1000 + index, values: values.to_vec(), quality: vec![0; 1] }
    }

    fn join(cameras: &[(&[f64], Option<&[f64]>)], overlap: Overlap) -> Join {
        let bands = Bands::new(cameras, overlap);
        let axes =
            Axes { pixel_mm: 1.0, x0_mm: 0.0, width: 1, wavelengths_nm: bands.wavelengths_nm.clone(), fwhm_nm: bands.fwhm_nm.clone() };
        Join::new(bands, &axes)
    }

    fn collect(seen: &mut Vec<String>) -> impl FnMut(&Join, Parts) + use<'_> {
        |join, parts| {
            let mut row = Row::default();
            join.write(parts, &mut row);
            seen.push(format!("{:?}", (row.index, row.spectra, row.quality[0])));
        }
    }

    #[test]
    fn bands_increase_and_an_overlap_is_cut_in_its_middle() {
        let (a, b): (&[f64], &[f64]) = (&[400.0, 900.0, 1000.0], &[1000.0, 1500.0]);
        let cut = Bands::new(&[(b, None), (a, None)], Overlap::Cut);
        assert_eq!(cut.wavelengths_nm, [400.0, 900.0, 1000.0, 1500.0]);
        assert_eq!(cut.runs, [Run { lane: 1, from: 0, to: 0, len: 2 }, Run { lane: 0, from: 0, to: 2, len: 2 }]);
        assert_eq!(Bands::new(&[(a, None), (b, None)], Overlap::Keep).wavelengths_nm, [400.0, 900.0, 1000.0, 1000.0, 1500.0]);
        let unsorted = Bands::new(&[(&[3.0, 1.0, 2.0], None)], Overlap::Cut);
        assert_eq!(unsorted.wavelengths_nm, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn three_cameras_wait_for_each_other_and_what_one_did_not_see_is_nan() {
        let mut join = join(&[(&[1.0], None), (&[2.0], None), (&[3.0], None)], Overlap::Cut);
        let mut seen = Vec::new();
        join.process(0, lane_row(0, &[10.0]), &mut collect(&mut seen));
        join.process(0, lane_row(1, &[11.0]), &mut collect(&mut seen));
        join.process(1, lane_row(1, &[21.0]), &mut collect(&mut seen));
        assert_eq!(join.waiting(0), 2);
        let mut out = collect(&mut seen);
        join.process(2, lane_row(0, &[30.0]), &mut out);
        join.process(2, lane_row(1, &[31.0]), &mut out);
        join.lane_ended(0, &mut out);
        join.lane_ended(1, &mut out);
        join.process(2, lane_row(2, &[32.0]), &mut out);
        join.lane_ended(2, &mut out);
        drop(out);
        assert_eq!(seen, ["(0, [10.0, NaN, 30.0], 16)", "(1, [11.0, 21.0, 31.0], 0)", "(2, [NaN, NaN, 32.0], 16)"]);
    }
}
