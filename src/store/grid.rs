//! A cube with its axes, which grows by lines: the joined cube of a sample, or the cube of one camera.

use super::column::{Column, Layout};
use super::cube::Cube;
use super::error::StoreError;
use super::node::{Annotate, Node};
use super::output::Output;
use super::scale;
use super::uncertainty;
use super::writing::Filters;
use crate::scan::Quality;
use crate::schema::{attribute, class, grid};
use crate::segment::SampleRow;
use crate::sums::Sums;
use crate::uncertainty::PixelVariance;
use std::sync::Arc;

/// Lines of a chunk in datasets with one value per line, or one byte per pixel.
const CHUNK_LINES: usize = 256;
/// `units` of a time.
pub(super) const NANOSECONDS: &str = "nanoseconds since 1970-01-01T00:00:00Z";
/// `units_metadata` of a time. The host's clock counts no leap seconds.
pub(super) const LEAP_SECONDS: &str = "leap_seconds: none";

/// What is known of a grid before its first line.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Centres of the pixels across the tray, mm.
    pub(super) pixels_mm: &'a [f64],
    /// Centres of the bands, nm, rising.
    pub(super) wavelengths_nm: &'a [f64],
    /// Widths of the bands, nm.
    pub(super) fwhm_nm: &'a [f64],
    /// The meaning of `time`, in words.
    pub(super) time: &'a str,
    /// Filters of the cube and its flags.
    pub(super) filters: Filters,
    /// Number of cameras whose weights are kept for each line; 0 where they are not.
    pub(super) cameras: usize,
}

/// A line of a grid.
pub(super) struct GridLine<'a, M> {
    /// Reflectance `[pixel][band]`.
    pub(super) values: Values<'a>,
    /// 1 for each pixel that lies on the sample, else 0.
    pub(super) mask: M,
    /// Flags of each pixel.
    pub(super) quality: &'a [u8],
    /// Place along the tray, mm.
    pub(super) y_mm: f64,
    /// Time of the line, ns since 1970-01-01T00:00:00Z.
    pub(super) time_ns: i64,
}

/// The place of a line's values.
pub(super) enum Values<'a> {
    /// A list `[pixel][band]`.
    Whole(&'a [f32]),
    /// A row that holds them.
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
    squares: Option<Column<f32>>,
}

/// The variance of a grid's values, and the cameras of its bands.
pub(super) struct GridVariance<'a> {
    /// The coefficients `[pixel][band]`.
    pub(super) variance: PixelVariance,
    /// Relative uncertainty that all values have in common, `[band]`, where it is known.
    pub(super) common: Option<Vec<f64>>,
    /// Names of the cameras.
    pub(super) cameras: Vec<&'a str>,
    /// The camera of each band.
    pub(super) of_bands: Vec<u8>,
}

impl Grid {
    /// Creates the group without a line.
    pub(super) fn create(entry: &Node, name: &str, about: About<'_>, output: &Arc<Output>) -> Result<Self, StoreError> {
        let data = entry.node(name, class::DATA)?;
        data.set_text(attribute::SIGNAL, grid::REFLECTANCE)?;
        data.set_texts(attribute::AXES, &grid::AXES)?;
        for (name, axis) in [(grid::LINE, 0_u8), (grid::PIXEL, 1), (grid::WAVELENGTH, 2), (grid::TIME, 0), (grid::FWHM, 2)] {
            data.set(&attribute::indices(name), axis)?;
        }
        data.set_text(attribute::INTERPRETATION, "spectrum")?;

        let (width, bands, filters) = (about.pixels_mm.len(), about.wavelengths_nm.len(), about.filters);
        let cube = Cube::create(&data, grid::REFLECTANCE, (width, bands), filters, output)?;
        cube.field.set_text(attribute::UNITS, "1")?;
        cube.field.called("reflectance")?;
        cube.field.set_text(attribute::INTERPRETATION, "spectrum")?;
        cube.field.set(attribute::FILL_VALUE, f32::NAN)?;
        cube.field.set_text(attribute::COORDINATES, &[grid::TIME, grid::FWHM].join(" "))?;
        cube.field.set_text(attribute::ANCILLARY, &[grid::MASK, grid::QUALITY].join(" "))?;
        let (mask, quality) = flags(&data, width, filters)?;
        let along = Layout { chunk_lines: CHUNK_LINES, filters: Filters::default() };
        let line = Column::create(&data, grid::LINE, &[], along)?;
        line.field.set_text(attribute::UNITS, "mm")?;
        line.field.called("position of the pixel centre along the tray")?;
        let time = Column::create(&data, grid::TIME, &[], along)?;
        time.field.set_text(attribute::UNITS, NANOSECONDS)?;
        time.field.set_text(attribute::CALENDAR, "standard")?;
        time.field.set_text(attribute::UNITS_METADATA, LEAP_SECONDS)?;
        time.field.set_text(attribute::STANDARD_NAME, "time")?;
        time.field.called(about.time)?;
        let pixel = data.list(grid::PIXEL, about.pixels_mm)?.units("mm")?;
        pixel.called("position of the pixel centre across the tray")?;
        let wavelength = data.list(grid::WAVELENGTH, about.wavelengths_nm)?.units("nm")?;
        wavelength.set_text(attribute::STANDARD_NAME, "radiation_wavelength")?;
        let fwhm = data.list(grid::FWHM, about.fwhm_nm)?.units("nm")?;
        fwhm.called("full width of the band at half maximum")?;
        let squares = if about.cameras == 0 { None } else { Some(uncertainty::squares(&data, about.cameras, along)?) };
        Ok(Self { data, cube, mask, quality, line, time, squares })
    }

    /// Adds the next line.
    pub(super) fn push(&mut self, line: GridLine<'_, impl Iterator<Item = u8>>) -> Result<(), StoreError> {
        match line.values {
            Values::Whole(values) => self.cube.push(values)?,
            Values::Row(row) => {
                if let Some(squares) = &mut self.squares {
                    let cameras = squares.per_line();
                    squares.push((0..cameras).map(|camera| row.row.squares(camera)))?;
                }
                self.cube.push_row(row)?;
            }
        }
        self.mask.push(line.mask)?;
        self.quality.push(line.quality.iter().copied())?;
        self.line.push([line.y_mm])?;
        self.time.push([line.time_ns])
    }

    /// Writes the lines that wait and the `variance`, and names the axes. Gives the sums over the valid pixels of the sample.
    pub(super) fn finish(mut self, variance: Option<GridVariance<'_>>) -> Result<Sums, StoreError> {
        let sums = self.cube.finish()?;
        self.mask.flush()?;
        self.quality.flush()?;
        self.line.flush()?;
        self.time.flush()?;
        let mut fields: Vec<(&str, &[&str])> = vec![
            (grid::REFLECTANCE, &grid::AXES),
            (grid::MASK, &[grid::LINE, grid::PIXEL]),
            (grid::QUALITY, &[grid::LINE, grid::PIXEL]),
            (grid::TIME, &[grid::LINE]),
            (grid::FWHM, &[grid::WAVELENGTH]),
        ];
        let mut axes = grid::AXES.to_vec();
        if let Some(squares) = &mut self.squares {
            squares.flush()?;
            axes.push(grid::CAMERA);
            fields.push((grid::LINE_SQUARES, &[grid::LINE, grid::CAMERA]));
        }
        if let Some(variance) = &variance {
            fields.extend(uncertainty::of_grid(&self.data, &self.cube.field, variance)?);
        }
        scale::attach(&self.data, &axes, &fields)?;
        Ok(sums)
    }
}

/// The two datasets with a byte per pixel.
fn flags(data: &Node, width: usize, filters: Filters) -> Result<(Column<u8>, Column<u8>), StoreError> {
    let layout = Layout { chunk_lines: CHUNK_LINES, filters };
    let mask = Column::create(data, grid::MASK, &[width], layout)?;
    mask.field.called("whether the pixel lies on the sample")?;
    mask.field.set_list(attribute::FLAG_VALUES, &[0_u8, 1])?;
    mask.field.set_text(attribute::FLAG_MEANINGS, "outside sample")?;
    let quality = Column::create(data, grid::QUALITY, &[width], layout)?;
    quality.field.called("what is known of the pixel's measurement")?;
    quality.field.set_list(attribute::FLAG_MASKS, &Quality::NAMES.map(|(bit, _)| bit))?;
    quality.field.set_text(attribute::FLAG_MEANINGS, &Quality::NAMES.map(|(_, name)| name).join(" "))?;
    Ok((mask, quality))
}
