//! Files shown in a terminal.

use crate::calibrate::Quality;
use crate::store::schema::{self, attribute, entry, grid};
use crate::store::{Reading, SampleError};
use hdf5::types::{FixedAscii, TypeDescriptor, VarLenArray, VarLenAscii, VarLenUnicode};
use hdf5::{Attribute, Container, Dataset, Group, IndexType, IterationOrder, Location, ObjectReference1, ReferencedObject};
use std::io::Write;
use std::path::Path;

/// Attributes of dimension scales. The names of the axes are shown instead.
const SCALE_ATTRIBUTES: [&str; 4] = [attribute::SCALE_CLASS, attribute::SCALE_NAME, attribute::DIMENSION_LIST, attribute::REFERENCE_LIST];
/// Most values of a list that are shown.
const SHOWN: usize = 4;
/// Most characters of a string that are shown.
const TEXT: usize = 60;
/// Columns of the mean spectrum.
const COLUMNS: usize = 64;
/// Bytes of a cube that are read at a time.
const BLOCK_BYTES: usize = 16 << 20;

/// Shows an HDF5 file: first a summary of a sample's file, then the tree of groups and datasets with shapes, types and attributes.
/// A file of a newer format is shown as its tree alone, under a warning.
///
/// # Errors
/// The file cannot be read, or `out` cannot be written.
pub fn hdf5(path: &Path, out: &mut dyn Write) -> Result<(), SampleError> {
    let reading = Reading::open_any(path)?;
    if let Err(warning) = reading.check_format() {
        writeln!(out, "warning: {warning}\n")?;
    } else if reading.file.link_exists(schema::ENTRY) && reading.names().is_ok() {
        summary(&reading, out)?;
        writeln!(out)?;
    }
    let root = reading.at("/", reading.file.group("/"))?;
    writeln!(out, "/{}", attributes(&root))?;
    tree(&reading, &root, "", out)
}

fn summary(reading: &Reading, out: &mut dyn Write) -> Result<(), SampleError> {
    let [name, container, tray, scan] = reading.names()?;
    writeln!(out, "sample       {name}")?;
    writeln!(out, "container    {container} of tray {tray}, scan {scan}")?;
    for (key, value) in reading.keys()? {
        writeln!(out, "{key:<12} {value}")?;
    }
    for doubt in reading.doubts()? {
        writeln!(out, "doubt        {doubt}")?;
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
    let (mean, on_sample, valid) = mean_spectrum(reading, wavelengths.len())?;
    writeln!(out, "valid        {valid} of {on_sample} pixels on the sample ({:.1} %)", share(valid, on_sample))?;
    let finite = mean.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high {
        writeln!(out, "mean         {} {low:.3} to {high:.3}", sparkline(&mean, low, high))?;
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
    let shape = cube.shape();
    let &[lines, pixels, _] = shape.as_slice() else { return Ok((Vec::new(), 0, 0)) };
    let (mut sums, mut counts) = (vec![0.0; bands], vec![0_u64; bands]);
    let (mut on_sample, mut valid) = (0, 0);
    let block = (BLOCK_BYTES / (4 * pixels * bands).max(1)).max(1);
    for first in (0..lines).step_by(block) {
        let last = (first + block).min(lines);
        let values = cube.read_slice::<f32, _, ndarray::Ix3>(ndarray::s![first..last, .., ..]);
        let values = reading.at(&path(grid::REFLECTANCE), values)?;
        for (pixel, spectrum) in values.rows().into_iter().enumerate() {
            let at = first * pixels + pixel;
            if mask.get(at) != Some(&1) {
                continue;
            }
            on_sample += 1;
            if !quality.get(at).is_some_and(|q| Quality::valid(*q)) {
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

fn tree(reading: &Reading, group: &Group, indent: &str, out: &mut dyn Write) -> Result<(), SampleError> {
    // In the order in which they were written, where the file keeps it.
    let by = |index| group.member_names_by(index, IterationOrder::Increasing);
    let names = reading.at(&group.name(), by(IndexType::CreationOrder).or_else(|_| by(IndexType::Name)))?;
    for (i, name) in names.iter().enumerate() {
        let last = i + 1 == names.len();
        let (branch, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        if let Ok(dataset) = group.dataset(name) {
            writeln!(out, "{indent}{branch}{name}  {}{}", described(&dataset), attributes(&dataset))?;
        } else if let Ok(below) = group.group(name) {
            writeln!(out, "{indent}{branch}{name}/{}", attributes(&below))?;
            tree(reading, &below, &format!("{indent}{deeper}"), out)?;
        } else {
            writeln!(out, "{indent}{branch}{name}  (leads nowhere)")?;
        }
    }
    Ok(())
}

/// Shape, axes, type and filters of a dataset, and its value where it has just one.
fn described(dataset: &Dataset) -> String {
    let axes = axes(dataset);
    let extents = dataset.shape().into_iter().enumerate().map(|(i, n)| axes.get(i).map_or_else(|| n.to_string(), |a| format!("{a}={n}")));
    let extents = extents.collect::<Vec<_>>().join(", ");
    let kind = dataset.dtype().and_then(|t| t.to_descriptor()).map_or_else(|_| "?".into(), |t| t.to_string());
    let filters: Vec<String> = dataset.filters().iter().map(|f| format!("{f:?}")).collect();
    let filters = if filters.is_empty() { String::new() } else { format!(" [{}]", filters.join(", ")) };
    let value = if dataset.is_scalar() { format!(" = {}", values(dataset)) } else { String::new() };
    format!("({extents}) {kind}{filters}{value}")
}

/// Names of a dataset's axes, where dimension scales are attached.
fn axes(dataset: &Dataset) -> Vec<String> {
    let lists = dataset.attr(attribute::DIMENSION_LIST).and_then(|a| a.read_raw::<VarLenArray<ObjectReference1>>());
    let name = |list: &VarLenArray<ObjectReference1>| match list.first().map(|r| dataset.dereference(r)) {
        Some(Ok(ReferencedObject::Dataset(scale))) => scale.name().rsplit('/').next().unwrap_or_default().to_owned(),
        _ => "?".to_owned(),
    };
    lists.map_or_else(|_| Vec::new(), |lists| lists.iter().map(name).collect())
}

fn attributes(location: &Location) -> String {
    let names = location.attr_names().unwrap_or_default();
    let shown = names.iter().filter(|name| !SCALE_ATTRIBUTES.contains(&name.as_str()));
    let shown = shown.map(|name| format!("  @{name}={}", location.attr(name).map_or_else(|_| "?".into(), |a: Attribute| values(&a))));
    shown.collect()
}

/// The first values of an attribute or a small dataset.
fn values(container: &Container) -> String {
    let Ok(kind) = container.dtype().and_then(|t| t.to_descriptor()) else { return "?".into() };
    let texts = match &kind {
        TypeDescriptor::Integer(_) => container.read_raw::<i64>().map(|v| v.iter().map(ToString::to_string).collect()),
        TypeDescriptor::Unsigned(_) => container.read_raw::<u64>().map(|v| v.iter().map(ToString::to_string).collect()),
        TypeDescriptor::Float(_) => container.read_raw::<f64>().map(|v| v.iter().map(ToString::to_string).collect()),
        TypeDescriptor::VarLenUnicode => container.read_raw::<VarLenUnicode>().map(|v| v.iter().map(|s| quoted(s)).collect()),
        TypeDescriptor::VarLenAscii => container.read_raw::<VarLenAscii>().map(|v| v.iter().map(|s| quoted(s)).collect()),
        TypeDescriptor::FixedAscii(n) if *n <= 1024 => {
            container.read_raw::<FixedAscii<1024>>().map(|v| v.iter().map(|s| quoted(s)).collect())
        }
        _ => return kind.to_string(),
    };
    let texts: Vec<String> = texts.unwrap_or_else(|_| vec!["?".into()]);
    let more = if texts.len() > SHOWN { ", ..." } else { "" };
    let shown = texts[..texts.len().min(SHOWN)].join(", ");
    if container.is_scalar() { shown } else { format!("[{shown}{more}]") }
}

fn quoted(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(TEXT).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    format!("\"{short}{more}\"")
}
