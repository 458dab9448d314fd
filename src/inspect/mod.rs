//! Files shown in a terminal, and the facts of a sample that a page shows.

mod pixel;
mod pixel_uncertainty;
mod tree;
mod view;

pub use pixel::pixel;
pub use pixel_uncertainty::PixelUncertainty;
pub use view::{CameraBands, MeanSpectrum, SampleFacts, SampleView};

use crate::hdf::Follow;
use crate::reference::median;
use crate::scan::Quality;
use crate::schema::{self, entry, grid, mean};
use crate::store::{Reading, SampleError};
use crate::terminal::plain;
use std::io::Write;
use std::path::Path;
use tree::Tree;

/// Columns of the mean spectrum.
const COLUMNS: usize = 64;
/// Bytes of a cube that are read at a time.
const BLOCK_BYTES: u64 = 16 << 20;

/// Shows an HDF5 file: first a summary of a sample's file, then the tree of groups and datasets with shapes, types and attributes.
/// A file of a newer format is shown as its tree alone, under a warning. So is one whose summary cannot be made. What lies in other
/// files is read where `follow` is set.
///
/// # Errors
/// The file cannot be read, or `out` cannot be written.
pub fn hdf5(path: &Path, follow: bool, out: &mut dyn Write) -> Result<(), SampleError> {
    let reading = Reading::open_any(path, if follow { Follow::Anywhere } else { Follow::Inside })?;
    if let Err(warning) = reading.check_format() {
        writeln!(out, "warning: {}\n", plain(&warning.to_string()))?;
    } else if reading.file.root().has(schema::ENTRY).unwrap_or(false) && reading.names().is_ok() {
        match summary(&reading, out) {
            Err(error @ SampleError::Hdf5 { .. }) => writeln!(out, "warning: {}", plain(&error.to_string()))?,
            other => other?,
        }
        writeln!(out)?;
    }
    Tree::new(&reading).show(out)
}

fn summary(reading: &Reading, out: &mut dyn Write) -> Result<(), SampleError> {
    let [name, container, tray, scan] = reading.names()?.map(|name| plain(&name).into_owned());
    writeln!(out, "sample       {name}")?;
    writeln!(out, "container    {container} of tray {tray}, scan {scan}")?;
    for (key, value) in reading.keys()? {
        writeln!(out, "{:<12} {}", plain(&key), plain(&value))?;
    }
    for doubt in reading.doubts()? {
        writeln!(out, "doubt        {}", plain(&doubt))?;
    }
    let list = |name: &str| reading.list::<f64>(&schema::path([entry::REFLECTANCE, name]));
    let (lines, pixels, wavelengths) = (list(grid::LINE)?, list(grid::PIXEL)?, list(grid::WAVELENGTH)?);
    writeln!(
        out,
        "cube         {} lines x {} pixels x {} bands, {:.1} x {:.1} mm",
        lines.len(),
        pixels.len(),
        wavelengths.len(),
        extent(&lines, &pixels),
        extent(&pixels, &lines)
    )?;
    if let (Some(first), Some(last)) = (wavelengths.first(), wavelengths.last()) {
        writeln!(out, "wavelengths  {first:.1} to {last:.1} nm")?;
    }
    let (spectrum, on_sample, valid) = mean_spectrum(reading, wavelengths.len())?;
    writeln!(out, "valid        {valid} of {on_sample} pixels on the sample ({:.1} %)", share(valid, on_sample))?;
    let finite = spectrum.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high {
        writeln!(out, "mean         {} {low:.3} to {high:.3}", sparkline(&spectrum, low, high))?;
    }
    // Files of earlier versions have no mean, and a scan without references has no uncertainty.
    let group = schema::path([entry::MEAN]);
    if reading.object(&schema::path([]))?.has(entry::MEAN).unwrap_or(false)
        && reading.at(&group, reading.object(&group)?.has(mean::ERRORS))?
    {
        let known = reading.list::<f32>(&schema::path([entry::MEAN, mean::ERRORS]))?;
        writeln!(out, "known to     ± {:.5} in the median band of the mean (k = 1)", median(known))?;
    }
    Ok(())
}

/// Length of an axis from edge to edge, mm. An axis with a single place has the step of the other, because pixels are square.
#[expect(clippy::cast_precision_loss, reason = "lengths of axes are far below 2^52")]
pub(crate) fn extent(axis: &[f64], other: &[f64]) -> f64 {
    let step = |axis: &[f64]| Some((axis.last()? - axis.first()?) / (axis.len().checked_sub(1).filter(|n| *n > 0)? as f64));
    step(axis).or_else(|| step(other)).unwrap_or(0.0) * axis.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of pixels are far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / (whole.max(1)) as f64
}

/// Mean spectrum of the valid pixels on the sample, the number of all pixels on it, and the number of valid ones. It reads blocks of
/// lines.
fn mean_spectrum(reading: &Reading, bands: usize) -> Result<(Vec<f64>, u64, u64), SampleError> {
    let path = |name: &str| schema::path([entry::REFLECTANCE, name]);
    let (mask, quality) = (reading.list::<u8>(&path(grid::MASK))?, reading.list::<u8>(&path(grid::QUALITY))?);
    let cube = reading.dataset(&path(grid::REFLECTANCE))?;
    let Some(&[lines, pixels, depth]) = cube.shape() else { return Ok((Vec::new(), 0, 0)) };
    let (mut sums, mut counts) = (vec![0.0; bands], vec![0_u64; bands]);
    let (mut on_sample, mut valid) = (0, 0);
    let line_bytes = pixels.saturating_mul(depth).saturating_mul(4).max(1);
    if depth == 0 || pixels == 0 {
        return Ok((Vec::new(), 0, 0));
    }
    let block = (BLOCK_BYTES / line_bytes).max(1);
    let (mut first, mut at) = (0, 0);
    while first < lines {
        let last = first.saturating_add(block).min(lines);
        let values = reading.at(&path(grid::REFLECTANCE), cube.lines::<f32>(first..last))?;
        first = last;
        // The depth fits, because a line of it was read.
        for spectrum in values.chunks_exact(usize::try_from(depth).unwrap_or(usize::MAX)) {
            let (mask, quality) = (mask.get(at), quality.get(at));
            at += 1;
            if mask != Some(&1) {
                continue;
            }
            on_sample += 1;
            if !quality.is_some_and(|q| Quality::valid(*q)) {
                continue;
            }
            valid += 1;
            for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(spectrum).filter(|(_, v)| v.is_finite()) {
                *sum += f64::from(*value);
                *count += 1;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of pixels are far below 2^52")]
    let mean = sums.into_iter().zip(counts).map(|(sum, count)| sum / count as f64).collect();
    Ok((mean, on_sample, valid))
}

/// Values as a line of blocks, with a blank where there is no value.
fn sparkline(values: &[f64], low: f64, high: f64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = COLUMNS.min(values.len());
    let column = |c: usize| {
        let part = &values[c * values.len() / columns..(c + 1) * values.len() / columns];
        let (sum, count) = part.iter().filter(|v| v.is_finite()).fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
        let level = 7.0 * (sum / count - low) / (high - low).max(f64::MIN_POSITIVE);
        // Rounded and clamped to 0 to 7, it is an index.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 7")]
        if level.is_finite() { BLOCKS[level.round().clamp(0.0, 7.0) as usize] } else { ' ' }
    };
    (0..columns).map(column).collect()
}
