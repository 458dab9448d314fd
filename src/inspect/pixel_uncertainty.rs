//! The standard uncertainty of a pixel's spectrum, by the coefficients in its file.

use crate::schema::{self, entry, grid};
use crate::store::{Reading, SampleError};

/// The standard uncertainty (k = 1) of each band of a pixel, in reflectance.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelUncertainty {
    /// Of all causes together.
    pub u: Vec<f64>,
    /// The part by noise of the line.
    pub of_line: Vec<f64>,
    /// The part by noise of the references.
    pub of_references: Vec<f64>,
}

/// The uncertainty of the pixel at a line and pixel with these values. `None` where the file holds none.
///
/// # Errors
/// The file cannot be read, or its lists are too short.
pub(super) fn pixel_uncertainty(
    reading: &Reading,
    (line, pixel): (u64, u64),
    values: &[f32],
) -> Result<Option<PixelUncertainty>, SampleError> {
    let at = |name: &str| schema::path([entry::REFLECTANCE, name]);
    let group = reading.object(&schema::path([entry::REFLECTANCE]))?;
    let has = |name: &str| reading.at(&at(""), group.has(name));
    if !has(grid::CAMERA_INDEX)? || !has(grid::LINE_SQUARES)? {
        return Ok(None);
    }
    let bands = values.len();
    let row =
        |name: &str, row: u64| -> Result<Vec<f32>, SampleError> { reading.at(&at(name), reading.dataset(&at(name))?.lines(row..row + 1)) };
    let cameras = reading.list::<u8>(&at(grid::CAMERA_INDEX))?;
    let squares = row(grid::LINE_SQUARES, line)?;
    let table = |name: &&str| {
        let list = row(name, pixel)?;
        if list.len() == bands {
            Ok(list)
        } else {
            Err(reading.odd(&at(name), format!("it has {} bands, and the cube {bands}", list.len())))
        }
    };
    let random = grid::RANDOM_VARIANCE.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    let column = grid::COLUMN_VARIANCE.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    let common = if has(grid::U_COMMON)? { reading.list::<f64>(&at(grid::U_COMMON))? } else { Vec::new() };
    let mut found = PixelUncertainty { u: Vec::new(), of_line: Vec::new(), of_references: Vec::new() };
    for (band, value) in values.iter().enumerate() {
        let value = f64::from(*value);
        let polynomial = |list: &[Vec<f32>]| list.iter().rev().fold(0.0, |sum, list| sum * value + f64::from(list[band]));
        let share = cameras.get(band).and_then(|camera| squares.get(usize::from(*camera))).map_or(f64::NAN, |share| f64::from(*share));
        // A value without a number has no uncertainty either.
        let least = |variance: f64| if variance.is_nan() { variance } else { variance.max(0.0) };
        let (random, column) = (least(polynomial(&random) * share), least(polynomial(&column)));
        let panel = common.get(band).map_or(0.0, |share| share * value);
        found.u.push((random + column + panel * panel).sqrt());
        found.of_line.push(random.sqrt());
        found.of_references.push(column.sqrt());
    }
    Ok(Some(found))
}
