//! A sample on the own grid of a camera: `/entry/<camera>_native`.

use super::error::StoreError;
use super::grid::{About, Grid, GridLine, Values};
use super::node::Node;
use super::output::Output;
use super::writing::Filters;
use crate::join::Axes;
use crate::native_lines::{NativeLine, NativeLines};
use crate::schema;
use crate::segment::{Sample, SampleRow};
use std::ops::Range;
use std::sync::Arc;

/// The lines and pixels of a camera that overlap a sample's cube.
#[derive(Debug)]
pub(super) struct Native {
    lines: Arc<NativeLines>,
    sample: u16,
    /// The group, created with the first line. A camera that saw nothing of the sample has none.
    grid: Option<Grid>,
    filters: Filters,
    output: Arc<Output>,
    pixels: Range<usize>,
    /// For each of the pixels, the pixel of the cube that its centre lies in.
    cube_pixels: Vec<Option<usize>>,
    /// Upper edge of the cube, mm along the tray, and lower edge so far.
    top_mm: f64,
    bottom_mm: f64,
    /// Number of the camera's line that comes next.
    next: u64,
    line: NativeLine,
}

impl Native {
    /// The lines of a sample whose cube lies on the grid `axes`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie within the cube")]
    pub(super) fn new(lines: Arc<NativeLines>, sample: &Sample, axes: &Axes, filters: Filters, output: &Arc<Output>) -> Self {
        let half = axes.pixel_mm / 2.0;
        let left_mm = axes.x_mm(sample.first_pixel) - half;
        let pixels = lines.pixels_between(left_mm, axes.x_mm(sample.first_pixel + sample.width - 1) + half);
        let cube_pixel = |pixel| {
            let at = ((lines.x_mm(pixel) - left_mm) / axes.pixel_mm).floor();
            (at >= 0.0).then_some(at as usize).filter(|at| *at < sample.width)
        };
        let top_mm = axes.y_mm(sample.first_row) - half;
        Self {
            cube_pixels: pixels.clone().map(cube_pixel).collect(),
            lines,
            sample: sample.number,
            grid: None,
            filters,
            output: Arc::clone(output),
            pixels,
            top_mm,
            bottom_mm: top_mm,
            next: 0,
            line: NativeLine::default(),
        }
    }

    /// Takes the camera's lines with centres above the lower edge of the sample's next row. Gives the bytes that were added.
    pub(super) fn push(&mut self, entry: &Node, row: &SampleRow, axes: &Axes) -> Result<usize, StoreError> {
        self.bottom_mm = axes.y_mm(row.sample.first_row + i64::from(row.line)) + axes.pixel_mm / 2.0;
        self.take(entry, self.bottom_mm, Some(row))
    }

    /// Takes the lines that reach into the cube from below its lower edge, and completes the group.
    pub(super) fn finish(mut self, entry: &Node) -> Result<(), StoreError> {
        // A line that only touches the edge does not overlap.
        let last_mm = self.bottom_mm + self.lines.line_mm() / 2.0 - 1e-6;
        self.take(entry, last_mm, None)?;
        self.lines.release(self.sample);
        self.grid.take().map_or(Ok(()), |grid| grid.finish(None).map(drop))
    }

    /// Takes lines with centres up to `to_mm`. The centres lie in `row` of the cube, or above the cube.
    fn take(&mut self, entry: &Node, to_mm: f64, row: Option<&SampleRow>) -> Result<usize, StoreError> {
        if self.pixels.is_empty() {
            return Ok(0);
        }
        let mut bytes = 0;
        while let Some(next) = self.lines.next(self.next, (self.top_mm + 1e-6, to_mm), &self.pixels, &mut self.line)? {
            self.next = next;
            let grid = match &mut self.grid {
                Some(grid) => grid,
                none => {
                    let pixels_mm: Vec<f64> = self.pixels.clone().map(|pixel| self.lines.x_mm(pixel)).collect();
                    let (wavelengths_nm, fwhm_nm) = self.lines.bands();
                    let (time, filters) = ("when the camera saw the line", self.filters);
                    let about = About { pixels_mm: &pixels_mm, wavelengths_nm, fwhm_nm, time, filters, cameras: 0 };
                    none.insert(Grid::create(entry, &schema::entry::native(self.lines.name()), about, &self.output)?)
                }
            };
            let row = row.filter(|_| self.line.y_mm >= self.top_mm);
            let mask = self.cube_pixels.iter().map(|pixel| u8::from(pixel.zip(row).is_some_and(|(pixel, row)| row.on_sample(pixel))));
            let NativeLine { values, quality, y_mm, time_ns, .. } = &self.line;
            grid.push(GridLine { values: Values::Whole(values), mask, quality, y_mm: *y_mm, time_ns: *time_ns })?;
            bytes += size_of_val(values.as_slice());
        }
        self.lines.advance(self.sample, to_mm);
        Ok(bytes)
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.lines.release(self.sample);
    }
}
