//! The spectrum of one pixel of a sample, with its uncertainty.

use crate::hdf::Follow;
use crate::scan::Quality;
use crate::schema::{self, entry, grid};
use crate::store::{Reading, SampleError};
use std::io::Write;
use std::path::Path;

/// Shows the spectrum of a pixel (line and pixel of the cube): reflectance, its standard uncertainty (k = 1), the parts of that by the
/// noise of the line and of the references, and the signal-to-noise ratio.
///
/// # Errors
/// The file cannot be read or has no such pixel, or `out` cannot be written.
pub fn pixel(path: &Path, (line, pixel): (u64, u64), out: &mut dyn Write) -> Result<(), SampleError> {
    let reading = Reading::open_any(path, Follow::Inside)?;
    reading.check_format()?;
    let at = |name: &str| schema::path([entry::REFLECTANCE, name]);
    let cube = reading.dataset(&at(grid::REFLECTANCE))?;
    let nm = reading.list::<f64>(&at(grid::WAVELENGTH))?;
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (lines, pixels) = match cube.shape() {
        Some(&[lines, pixels, bands]) if size(bands) == nm.len() => (lines, pixels),
        shape => return Err(reading.odd(&at(grid::REFLECTANCE), format!("its shape is {shape:?}, and it has {} wavelengths", nm.len()))),
    };
    if line >= lines || pixel >= pixels {
        let problem = format!("it has {lines} lines of {pixels} pixels, and no pixel {line},{pixel}; both count from 0");
        return Err(reading.odd(&at(grid::REFLECTANCE), problem));
    }
    let values = reading.at(&at(grid::REFLECTANCE), cube.lines::<f32>(line..line + 1))?;
    let bands = nm.len();
    let here = size(pixel) * bands..(size(pixel) + 1) * bands;
    let number = size(line) * size(pixels) + size(pixel);
    let of = |name: &str| reading.list::<u8>(&at(name)).map(|list| list.get(number).copied().unwrap_or_default());
    let (mask, quality) = (of(grid::MASK)?, of(grid::QUALITY)?);
    let flags: Vec<&str> = Quality::NAMES.iter().filter(|(bit, _)| quality & bit != 0).map(|(_, name)| *name).collect();
    let flags = if flags.is_empty() { "good".to_owned() } else { flags.join(", ") };
    let place = if mask == 1 { "on the sample" } else { "outside the sample" };
    writeln!(out, "line {line}, pixel {pixel}: {place}, {flags}")?;
    let group = reading.object(&schema::path([entry::REFLECTANCE]))?;
    if !reading.at(&at(""), group.has(grid::CAMERA_INDEX))? {
        writeln!(out, "the file holds no uncertainty: it is older, or its scan has no references\n")?;
        writeln!(out, "{:>8} {:>11}", "nm", "reflectance")?;
        for (nm, value) in nm.iter().zip(&values[here]) {
            writeln!(out, "{nm:>8.1} {value:>11.5}")?;
        }
        return Ok(());
    }
    let cameras = reading.list::<u8>(&at(grid::CAMERA_INDEX))?;
    let squares = reading.list::<f32>(&at(grid::LINE_SQUARES))?;
    let numbers = squares.len() / size(lines);
    let squares = squares.get(size(line) * numbers..(size(line) + 1) * numbers).unwrap_or_default();
    let table = |name: &&str| -> Result<Vec<f32>, SampleError> {
        let list = reading.list::<f32>(&at(name))?;
        let list = list.get(here.clone()).map(<[f32]>::to_vec);
        list.ok_or_else(|| reading.odd(&at(name), format!("it has not {pixels} pixels of {bands} bands")))
    };
    let common = if reading.at(&at(""), group.has(grid::U_COMMON))? { reading.list::<f64>(&at(grid::U_COMMON))? } else { Vec::new() };
    let random = grid::RANDOM_VARIANCE.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    let column = grid::COLUMN_VARIANCE.iter().map(table).collect::<Result<Vec<_>, _>>()?;
    writeln!(out, "u: standard uncertainty (k = 1), by noise of the line and of the references, and by the panel's certificate\n")?;
    writeln!(out, "{:>8} {:>11} {:>9} {:>9} {:>10} {:>7}", "nm", "reflectance", "u", "line", "references", "SNR")?;
    for (band, (nm, value)) in nm.iter().zip(&values[here.clone()]).enumerate() {
        let value = f64::from(*value);
        let polynomial = |list: &[Vec<f32>]| list.iter().rev().fold(0.0, |sum, list| sum * value + f64::from(list[band]));
        let of_lines = cameras.get(band).and_then(|camera| squares.get(usize::from(*camera))).map_or(f64::NAN, |share| f64::from(*share));
        let (random, column) = ((polynomial(&random) * of_lines).max(0.0), polynomial(&column).max(0.0));
        let panel = common.get(band).map_or(0.0, |share| share * value);
        let u = (random + column + panel * panel).sqrt();
        writeln!(out, "{nm:>8.1} {value:>11.5} {u:>9.5} {:>9.5} {:>10.5} {:>7.1}", random.sqrt(), column.sqrt(), value / u)?;
    }
    Ok(())
}
