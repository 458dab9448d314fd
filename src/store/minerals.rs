//! The minerals of a sample, in its file.

use super::column::{Column, Layout};
use super::error::StoreError;
use super::node::{Annotate, Field, Node};
use super::read::{Reading, SampleError};
use super::scale;
use super::stored_sample::StoredSample;
use super::writing::Filters;
use crate::identify::{METHOD_VERSION, NOT_JUDGED};
use crate::minerals::Found;
use crate::scan::{MineralShares, SampleMinerals};
use crate::schema::{self, attribute, class, minerals};
use hdf5::H5Type;
use std::path::Path;

/// Bytes of a chunk, about.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes the minerals of a sample below its entry.
pub(super) fn write(entry: &Node, found: &Found, summary: &SampleMinerals, filters: Filters) -> Result<(), StoreError> {
    let about = &*found.about;
    let data = entry.node(schema::entry::MINERALS, class::DATA)?;
    data.set_text(attribute::SIGNAL, &minerals::winner(2))?;
    data.set_texts(attribute::AXES, &minerals::AXES)?;
    data.set_text(minerals::LIBRARY, &about.library)?;
    data.set_text(minerals::LIBRARY_SHA256, &about.sha256)?;
    data.set(minerals::METHOD, METHOD_VERSION)?;
    data.set_text(minerals::VERSION, crate::VERSION)?;
    data.set(minerals::PIXELS, summary.pixels)?;
    if let Some(share) = summary.not_identified {
        data.set(minerals::NOT_IDENTIFIED, share.share)?;
    }
    let maps = Maps { data: &data, found, filters };
    let mut fields: Vec<(String, Vec<&str>)> = Vec::new();
    let codes: Vec<u16> = (0..).take(about.minerals.len() + 1).collect();
    let meanings: Vec<String> = (0..).take(codes.len()).map(|code| about.mineral(code).replace(char::is_whitespace, "_")).collect();
    for group in 0..2 {
        let kind = minerals::GROUPS[group];
        let lists = [
            (minerals::winner(group + 1), &found.minerals.winner[group], format!("mineral of group {} ({kind})", group + 1)),
            (minerals::runner_up(group + 1), &found.minerals.runner_up[group], format!("second best mineral of group {}", group + 1)),
        ];
        for (name, values, long_name) in lists {
            let field = maps.write(&name, 1, values, NOT_JUDGED)?;
            field.called(&long_name)?;
            field.set(attribute::FILL_VALUE, NOT_JUDGED)?;
            field.set_list(attribute::FLAG_VALUES, &codes)?;
            field.set_text(attribute::FLAG_MEANINGS, &meanings.join(" "))?;
            if let Some(shares) = summary.groups.get(group).filter(|_| name == minerals::winner(group + 1)) {
                of_codes(&field, about.minerals.iter().map(String::as_str), shares)?;
            }
            fields.push((name, minerals::AXES.to_vec()));
        }
        let lists = [
            (minerals::score(group + 1), &found.minerals.score[group], "fit times depth of the mineral"),
            (minerals::runner_up_score(group + 1), &found.minerals.runner_up_score[group], "fit times depth of the second best mineral"),
        ];
        for (name, values, long_name) in lists {
            maps.write(&name, 1, values, f32::NAN)?.units("1")?.called(long_name)?;
            fields.push((name, minerals::AXES.to_vec()));
        }
    }
    let line = data.list(minerals::LINE, &found.lines_mm)?.units("mm")?;
    line.called("position of the pixel centre along the tray")?;
    let pixel = data.list(minerals::PIXEL, &found.pixels_mm)?.units("mm")?;
    pixel.called("position of the pixel centre across the tray")?;
    let mut scales = minerals::AXES.to_vec();
    if !about.features.is_empty() {
        of_features(&maps, summary)?;
        scales.push(minerals::FEATURE);
        fields.push((minerals::FEATURES.to_owned(), vec![minerals::LINE, minerals::PIXEL, minerals::FEATURE]));
        fields.extend([minerals::UNIT, minerals::NAME].map(|name| (name.to_owned(), vec![minerals::FEATURE])));
        let summarised = [minerals::MEDIAN, minerals::SPREAD].map(|name| (name.to_owned(), vec![minerals::FEATURE]));
        fields.extend(summarised);
    }
    let fields: Vec<(&str, &[&str])> = fields.iter().map(|(name, axes)| (name.as_str(), axes.as_slice())).collect();
    scale::attach(&data, &scales, &fields)
}

/// Adds the share of each code, in their order.
fn of_codes<'a>(field: &Field, names: impl Iterator<Item = &'a str>, shares: &MineralShares) -> Result<(), StoreError> {
    let none = crate::scan::Share::default();
    let of = std::iter::once(shares.not_identified).chain(names.map(|name| shares.minerals.get(name).copied().unwrap_or(none)));
    let of: Vec<_> = of.collect();
    let list = |value: &dyn Fn(&crate::scan::Share) -> f64| of.iter().map(value).collect::<Vec<f64>>();
    field.set_list(minerals::SHARE, &list(&|share| share.share))?;
    field.set_list(minerals::SHARE_LOW, &list(&|share| share.interval[0]))?;
    field.set_list(minerals::SHARE_HIGH, &list(&|share| share.interval[1]))
}

/// Writes the features, their names and units, and their summary.
fn of_features(maps: &Maps<'_>, summary: &SampleMinerals) -> Result<(), StoreError> {
    let (data, features) = (maps.data, &maps.found.about.features);
    let values = &maps.found.minerals.features;
    let field = maps.write(minerals::FEATURES, features.len(), values, f32::NAN)?;
    field.called("features of the spectra; unit has their units")?;
    let numbers: Vec<u32> = (0..).take(features.len()).collect();
    data.list(minerals::FEATURE, &numbers)?.called("number of the feature")?;
    let texts = |text: &dyn Fn(usize) -> String| (0..features.len()).map(|at| super::node::text(&text(at))).collect::<Vec<_>>();
    data.list(minerals::NAME, &texts(&|at| features[at].name.clone()))?.called("name of the feature")?;
    data.list(minerals::UNIT, &texts(&|at| features[at].unit.to_string()))?.called("unit of the feature")?;
    let list = |value: &dyn Fn(&crate::scan::FeatureSummary) -> f64| {
        features.iter().map(|feature| summary.features.get(&feature.name).map_or(f64::NAN, value)).collect::<Vec<f64>>()
    };
    let median = data.list(minerals::MEDIAN, &list(&|feature| feature.median))?;
    median.called("median of the feature over the judged pixels that have it")?;
    let spread = data.list(minerals::SPREAD, &list(&|feature| feature.spread))?;
    spread.called("half of the distance between the 16th and the 84th percentile of the feature")
}

/// Writes values of the judged pixels as maps of the whole cube.
struct Maps<'a> {
    data: &'a Node,
    found: &'a Found,
    filters: Filters,
}

impl Maps<'_> {
    /// Writes `[line][pixel]` with `width` values a pixel. Pixels that were not judged have the value `none`.
    fn write<T: H5Type + Copy>(&self, name: &str, width: usize, values: &[T], none: T) -> Result<Field, StoreError> {
        let pixels = self.found.pixels_mm.len();
        let of_line = pixels * width;
        let chunk_lines = (CHUNK_BYTES / (of_line * size_of::<T>()).max(1)).clamp(1, 256);
        let tail = if name == minerals::FEATURES { vec![pixels, width] } else { vec![pixels] };
        let mut column = Column::create(self.data, name, &tail, Layout { chunk_lines, filters: self.filters })?;
        let mut line_values = vec![none; of_line];
        let mut at = 0;
        for line in (0..).take(self.found.lines_mm.len()) {
            line_values.fill(none);
            while self.found.line.get(at) == Some(&line) {
                let to = self.found.pixel[at] as usize * width;
                line_values[to..to + width].copy_from_slice(&values[at * width..(at + 1) * width]);
                at += 1;
            }
            column.push(line_values.iter().copied())?;
        }
        column.flush()?;
        Ok(column.field)
    }
}

/// The minerals of a stored sample, as maps.
#[derive(Debug, Clone)]
pub struct StoredMinerals {
    /// Names of the codes from 1.
    pub names: Vec<String>,
    /// Centres of the lines along the tray, mm.
    pub lines_mm: Vec<f64>,
    /// Centres of the pixels across the tray, mm.
    pub pixels_mm: Vec<f64>,
    /// Codes of group 1 and of group 2, `[line][pixel]`. 65535 is a pixel that was not judged.
    pub winner: [Vec<u16>; 2],
}

/// Names of the codes from 1, of the minerals of a sample's file. `None` where it has none.
///
/// # Errors
/// The file cannot be read, or lacks something.
pub fn mineral_names(path: &Path) -> Result<Option<Vec<String>>, SampleError> {
    with_minerals(path)?.as_ref().map(names).transpose()
}

/// The file of a sample that has minerals.
fn with_minerals(path: &Path) -> Result<Option<Reading>, SampleError> {
    let reading = Reading::open(path)?;
    let has = reading.at("/", reading.object(&schema::path([]))?.has(schema::entry::MINERALS))?;
    Ok(has.then_some(reading))
}

/// Where a dataset of the minerals stands.
fn at(name: &str) -> String {
    schema::path([schema::entry::MINERALS, name])
}

fn names(reading: &Reading) -> Result<Vec<String>, SampleError> {
    let meanings = reading.object(&at(&minerals::winner(1)))?.named(attribute::FLAG_MEANINGS);
    let meanings = reading.at(&at(""), meanings.and_then(|found| found.map_or_else(|| Ok(Vec::new()), |values| values.texts())))?;
    Ok(meanings.iter().flat_map(|text| text.split(' ')).skip(1).map(|name| name.replace('_', " ")).collect())
}

/// Reads the minerals of a sample's file. `None` where it has none.
///
/// # Errors
/// The file cannot be read, or lacks something.
pub fn read_minerals(path: &Path) -> Result<Option<StoredMinerals>, SampleError> {
    let Some(reading) = with_minerals(path)? else { return Ok(None) };
    let codes = |group: usize| -> Result<Vec<u16>, SampleError> {
        let codes: Vec<u32> = reading.list(&at(&minerals::winner(group)))?;
        Ok(codes.into_iter().map(|code| u16::try_from(code).unwrap_or(NOT_JUDGED)).collect())
    };
    let names = names(&reading)?;
    let (lines_mm, pixels_mm) = (reading.list(&at(minerals::LINE))?, reading.list(&at(minerals::PIXEL))?);
    Ok(Some(StoredMinerals { names, lines_mm, pixels_mm, winner: [codes(1)?, codes(2)?] }))
}

/// SHA-256 of the library, and version of the method, of the minerals of a stored sample. `None` where it has none.
///
/// # Errors
/// The file cannot be read.
pub fn minerals_library(stored: &StoredSample) -> Result<Option<(String, u32)>, SampleError> {
    let reading = &stored.reading;
    let (parent, path) = (schema::path([]), schema::path([schema::entry::MINERALS]));
    if !reading.at(&parent, reading.object(&parent)?.has(schema::entry::MINERALS))? {
        return Ok(None);
    }
    let group = reading.object(&path)?;
    let sha256 = group.named(minerals::LIBRARY_SHA256).and_then(|found| found.map_or_else(|| Ok(Vec::new()), |v| v.texts()));
    let method = group.named(minerals::METHOD).and_then(|found| found.map(|values| values.number()).transpose());
    Ok(reading.at(&path, sha256)?.into_iter().next().zip(reading.at(&path, method)?))
}

/// Writes the minerals of a sample into its complete file `path`. Minerals that it holds already are replaced.
///
/// # Errors
/// The file cannot be opened or written.
pub fn add_minerals(path: &Path, found: &Found, summary: &SampleMinerals, deflate: Option<u8>) -> Result<(), StoreError> {
    let (file, entry) = Node::reopen(path)?;
    let place = entry.place().clone();
    if entry.group.link_exists(schema::entry::MINERALS) {
        entry.group.unlink(schema::entry::MINERALS).map_err(|error| place.error(error))?;
    }
    write(&entry, found, summary, Filters { deflate })?;
    drop(entry);
    file.close().map_err(|error| place.error(error))?;
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| StoreError::Io { file: path.to_owned(), doing: "made durable", source })
}
