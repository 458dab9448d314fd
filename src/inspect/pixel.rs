//! The spectrum of one pixel of a sample, with its uncertainty.

use super::pixel_uncertainty::pixel_uncertainty;
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
    let Some(uncertainty) = pixel_uncertainty(&reading, (line, pixel), &values[here.clone()])? else {
        writeln!(out, "the file holds no uncertainty: it is older, or its scan has no references\n")?;
        writeln!(out, "{:>8} {:>11}", "nm", "reflectance")?;
        for (nm, value) in nm.iter().zip(&values[here]) {
            writeln!(out, "{nm:>8.1} {value:>11.5}")?;
        }
        return Ok(());
    };
    writeln!(out, "u: standard uncertainty (k = 1), by noise of the line and of the references, and by the panel's certificate\n")?;
    writeln!(out, "{:>8} {:>11} {:>9} {:>9} {:>10} {:>7}", "nm", "reflectance", "u", "line", "references", "SNR")?;
    for (band, (nm, value)) in nm.iter().zip(&values[here]).enumerate() {
        let (u, of_line, of_references) = (uncertainty.u[band], uncertainty.of_line[band], uncertainty.of_references[band]);
        let snr = f64::from(*value) / u;
        writeln!(out, "{nm:>8.1} {value:>11.5} {u:>9.5} {of_line:>9.5} {of_references:>10.5} {snr:>7.1}")?;
    }
    Ok(())
}
