//! A cube with its axes, growing by lines: the joined one of a sample, and that of each camera where configured.

use super::column::{Column, Layout};
use super::cube::Cube;
use super::node::{Annotate, Node};
use super::output::Output;
use super::{Filters, StoreError, scale};
use crate::calibrate::Quality;
use crate::segment::SampleRow;
use std::sync::Arc;

/// Lines of a chunk of what has one value, or one byte per pixel, for each line.
const CHUNK_LINES: usize = 256;
/// `units` of a time.
pub(super) const NANOSECONDS: &str = "nanoseconds since 1970-01-01T00:00:00Z";

/// What is known of a grid before its first line.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Centres of the pixels across the tray, mm.
    pub(super) pixels_mm: &'a [f64],
    /// Centres of the bands, nm, rising.
    pub(super) wavelengths_nm: &'a [f64],
    /// Widths of the bands, nm.
    pub(super) fwhm_nm: &'a [f64],
    /// What `time` is, in words.
    pub(super) time: &'a str,
    /// Filters.
    pub(super) filters: Filters,
}

/// A line of a grid.
pub(super) struct GridLine<'a, M> {
    /// Reflectance `[pixel][band]`.
    pub(super) values: Values<'a>,
    /// For each pixel whether it lies on the sample.
    pub(super) mask: M,
    /// Flags of each pixel.
    pub(super) quality: &'a [u8],
    /// Place along the tray, mm.
    pub(super) y_mm: f64,
    /// When it was seen, ns since 1970-01-01T00:00:00Z.
    pub(super) time_ns: i64,
}

/// Where the values of a line are.
pub(super) enum Values<'a> {
    /// Here.
    Whole(&'a [f32]),
    /// In a row.
    Row(&'a SampleRow),
}

/// A group of class `NXdata` with the signal `reflectance` `[line][pixel][wavelength]`.
#[derive(Debug)]
pub(super) struct Grid {
    data: Node,
    cube: Cube,
    mask: Column<u8>,
    quality: Column<u8>,
    line: Column<f64>,
    time: Column<i64>,
}

impl Grid {
    /// Creates the group, with no line yet.
    pub(super) fn create(entry: &Node, name: &str, about: About<'_>, output: &Arc<Output>) -> Result<Self, StoreError> {
        let data = entry.node(name, "NXdata")?;
        data.set_text("signal", "reflectance")?;
        data.set_texts("axes", &["line", "pixel", "wavelength"])?;
        for (name, axis) in [("line", 0_u8), ("pixel", 1), ("wavelength", 2), ("time", 0), ("fwhm", 2)] {
            data.set(&format!("{name}_indices"), axis)?;
        }
        data.set_text("interpretation", "spectrum")?;

        let (width, bands, filters) = (about.pixels_mm.len(), about.wavelengths_nm.len(), about.filters);
        let cube = Cube::create(&data, "reflectance", (width, bands), filters, output)?;
        cube.field.set_text("units", "1")?;
        cube.field.set_text("long_name", "reflectance")?;
        cube.field.set_text("interpretation", "spectrum")?;
        cube.field.set("_FillValue", f32::NAN)?;
        cube.field.set_text("coordinates", "time fwhm")?;
        cube.field.set_text("ancillary_variables", "mask quality")?;
        let (mask, quality) = flags(&data, width, filters)?;
        let along = Layout { chunk_lines: CHUNK_LINES, filters: Filters::default() };
        let line = Column::create(&data, "line", &[], along)?;
        line.field.set_text("units", "mm")?;
        line.field.set_text("long_name", "position of the pixel centre along the tray")?;
        let time = Column::create(&data, "time", &[], along)?;
        time.field.set_text("units", NANOSECONDS)?;
        time.field.set_text("calendar", "standard")?;
        time.field.set_text("standard_name", "time")?;
        time.field.set_text("long_name", about.time)?;
        data.list("pixel", about.pixels_mm)?.units("mm")?.set_text("long_name", "position of the pixel centre across the tray")?;
        let wavelength = data.list("wavelength", about.wavelengths_nm)?.units("nm")?;
        wavelength.set_text("standard_name", "radiation_wavelength")?;
        data.list("fwhm", about.fwhm_nm)?.units("nm")?.set_text("long_name", "full width of the band at half maximum")?;
        Ok(Self { data, cube, mask, quality, line, time })
    }

    /// Adds the next line.
    pub(super) fn push(&mut self, line: GridLine<'_, impl Iterator<Item = u8>>) -> Result<(), StoreError> {
        match line.values {
            Values::Whole(values) => self.cube.push(values)?,
            Values::Row(row) => self.cube.push_row(row)?,
        }
        self.mask.push(line.mask)?;
        self.quality.push(line.quality.iter().copied())?;
        self.line.push([line.y_mm])?;
        self.time.push([line.time_ns])
    }

    /// Writes what waits, and names the axes.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.cube.finish()?;
        self.mask.flush()?;
        self.quality.flush()?;
        self.line.flush()?;
        self.time.flush()?;
        scale::attach(
            &self.data,
            &["line", "pixel", "wavelength"],
            &[
                ("reflectance", &["line", "pixel", "wavelength"]),
                ("mask", &["line", "pixel"]),
                ("quality", &["line", "pixel"]),
                ("time", &["line"]),
                ("fwhm", &["wavelength"]),
            ],
        )
    }
}

/// The two datasets with a byte per pixel.
fn flags(data: &Node, width: usize, filters: Filters) -> Result<(Column<u8>, Column<u8>), StoreError> {
    let layout = Layout { chunk_lines: CHUNK_LINES, filters };
    let mask = Column::create(data, "mask", &[width], layout)?;
    mask.field.set_text("long_name", "whether the pixel lies on the sample")?;
    mask.field.set_list("flag_values", &[0_u8, 1])?;
    mask.field.set_text("flag_meanings", "outside sample")?;
    let quality = Column::create(data, "quality", &[width], layout)?;
    quality.field.set_text("long_name", "what is known of the pixel's measurement")?;
    quality.field.set_list("flag_masks", &Quality::NAMES.map(|(bit, _)| bit))?;
    quality.field.set_text("flag_meanings", &Quality::NAMES.map(|(_, name)| name).join(" "))?;
    Ok((mask, quality))
}
