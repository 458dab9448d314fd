//! Minerals into a Parquet data set: a part for each sample, `minerals/scan=<scan_id>/part-00000.parquet`.
//!
//! The number of a part is that of its sample in the scan. A part that is written again takes the place of the one before. So each
//! sample has one part or none, however often its publication was cut off.

use super::error::PublishError;
use super::part::{make_folders, remove_parts, sync_folder};
use super::paths::{DataSet, part_name, unfinished_name};
use super::schema::{
    CONTAINER, LINE, MINERALS_VERSION, PIXEL, QUALITY, SAMPLE, SCAN, TIME, TIME_NS, X, Y, key, quality, string, time, whole_us,
};
use crate::minerals::{About, Found};
use arrow_array::builder::StringBuilder;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, Float32Array, Int16Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group.
const GROUP_ROWS: usize = 65_536;

/// A complete part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MineralsPart {
    /// Its path, relative to the data root.
    pub path: String,
    /// Its rows.
    pub rows: u64,
}

/// Writes the minerals of a scan's samples into the data set.
#[derive(Debug)]
pub struct PublishMinerals {
    scan_id: String,
    keys: Vec<String>,
    folder: PathBuf,
    hidden: PathBuf,
    schema: Arc<Schema>,
    properties: WriterProperties,
}

/// Columns of a group's minerals and scores.
fn of_group(group: usize) -> [(String, DataType); 4] {
    [
        (format!("mineral_{group}"), string()),
        (format!("score_{group}"), DataType::Float32),
        (format!("runner_up_{group}"), string()),
        (format!("runner_up_score_{group}"), DataType::Float32),
    ]
}

impl PublishMinerals {
    /// A writer for one scan with these sample keys.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn new(data_dir: &Path, scan_id: &str, keys: &[String], about: &About) -> Result<Self, PublishError> {
        let (folder, hidden) = (minerals_folder(data_dir, scan_id), unfinished(data_dir));
        make_folders(&folder, &hidden, data_dir)?;
        for above in folder.ancestors().skip(1).take(2) {
            sync_folder(above)?;
        }
        let metadata = [
            (key::FORMAT_VERSION, MINERALS_VERSION.to_string()),
            (key::SCAN, scan_id.to_owned()),
            (key::LIBRARY, about.library.clone()),
            (key::LIBRARY_SHA256, about.sha256.clone()),
            (key::VERSION, crate::VERSION.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value));
        let mut columns = vec![(SAMPLE.to_owned(), string()), (CONTAINER.to_owned(), string())];
        // A key that would hide one of our columns has another name.
        let ours = |name: &String| {
            (1..=2).flat_map(of_group).any(|(column, _)| column == *name) || about.features.iter().any(|feature| feature.name == *name)
        };
        columns.extend(keys.iter().map(|name| (if ours(name) { format!("{name}_") } else { name.clone() }, string())));
        let fixed = [
            (LINE, DataType::Int32),
            (PIXEL, DataType::Int32),
            (X, DataType::Float32),
            (Y, DataType::Float32),
            (TIME, time()),
            (TIME_NS, DataType::Int64),
            (QUALITY, quality()),
        ];
        columns.extend(fixed.map(|(name, kind)| (name.to_owned(), kind)));
        columns.extend((1..=2).flat_map(of_group));
        columns.extend(about.features.iter().map(|feature| (feature.name.clone(), DataType::Float32)));
        let fields: Vec<Field> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
        let schema = Arc::new(Schema::new(fields).with_metadata(metadata.iter().cloned().collect::<arrow_schema::Metadata>()));
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(format!("hyclus {}", crate::VERSION))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect()));
        // Measured numbers hardly repeat, so that a dictionary of them only costs.
        let scores = (1..=2).flat_map(of_group).filter(|(_, kind)| *kind == DataType::Float32).map(|(name, _)| name);
        for column in scores.chain(about.features.iter().map(|feature| feature.name.clone())) {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
        }
        let properties = properties.build();
        Ok(Self { scan_id: scan_id.to_owned(), keys: keys.to_vec(), folder, hidden, schema, properties })
    }

    /// Writes the part of a sample. `None` where the sample has no row.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn write(&self, found: &Found) -> Result<Option<MineralsPart>, PublishError> {
        if found.is_empty() {
            return Ok(None);
        }
        let hidden = self.hidden.join(unfinished_name(&self.scan_id, found.part));
        let path = self.folder.join(part_name(found.part));
        let result = self.write_to(found, &hidden).and_then(|()| {
            std::fs::rename(&hidden, &path).map_err(PublishError::io(&path, "renamed to"))?;
            sync_folder(&self.folder)
        });
        if result.is_err() {
            // A file that remains harms nobody, and is removed at the next start.
            let _ = std::fs::remove_file(&hidden);
        }
        result?;
        let path = format!("{MINERALS}/{SCAN}={}/{}", self.scan_id, part_name(found.part));
        Ok(Some(MineralsPart { path, rows: found.len() as u64 }))
    }

    fn write_to(&self, found: &Found, hidden: &Path) -> Result<(), PublishError> {
        let file = crate::disk::create_over(hidden).map_err(PublishError::io(hidden, "created"))?;
        let failed = || PublishError::parquet(hidden, "written");
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(self.properties.clone())).map_err(failed())?;
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), self.columns(found)).map_err(PublishError::parquet(hidden, "written"))?;
        writer.write(&batch).map_err(failed())?;
        let file = writer.into_inner().map_err(failed())?;
        file.sync_all().map_err(PublishError::io(hidden, "written"))
    }

    #[expect(clippy::cast_possible_truncation, reason = "coordinates are written as float32")]
    fn columns(&self, found: &Found) -> Vec<ArrayRef> {
        let (rows, container) = (found.len(), &found.sample.container);
        let same = |text: &str| -> ArrayRef {
            let mut column = StringBuilder::new();
            column.append_value_n(text, rows);
            Arc::new(column.finish())
        };
        let mut columns = vec![same(&container.sample), same(&container.at)];
        columns.extend(self.keys.iter().map(|key| same(container.keys.get(key).map_or("", String::as_str))));
        let whole = |numbers: &[u32]| -> ArrayRef {
            Arc::new(numbers.iter().map(|number| i32::try_from(*number).unwrap_or(i32::MAX)).collect::<Int32Array>())
        };
        let places = |numbers: &[u32], places: &[f64]| -> ArrayRef {
            Arc::new(Float32Array::from_iter_values(numbers.iter().map(|at| places[*at as usize] as f32)))
        };
        let times = || found.line.iter().map(|line| found.times_ns[*line as usize]);
        columns.extend([whole(&found.line), whole(&found.pixel)]);
        columns.extend([places(&found.pixel, &found.pixels_mm), places(&found.line, &found.lines_mm)]);
        let time_us = PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(times().map(whole_us));
        columns.push(Arc::new(time_us.with_timezone("UTC")));
        columns.push(Arc::new(Int64Array::from_iter_values(times())));
        columns.push(Arc::new(Int16Array::from_iter_values(found.quality.iter().map(|flags| i16::from(*flags)))));
        let mineral = |codes: &[u16]| -> ArrayRef {
            let mut column = StringBuilder::new();
            codes.iter().for_each(|code| column.append_value(found.about.mineral(*code)));
            Arc::new(column.finish())
        };
        let numbers = |numbers: &[f32]| -> ArrayRef { Arc::new(Float32Array::from(numbers.to_vec())) };
        let minerals = &found.minerals;
        for group in 0..2 {
            columns.extend([mineral(&minerals.winner[group]), numbers(&minerals.score[group])]);
            columns.extend([mineral(&minerals.runner_up[group]), numbers(&minerals.runner_up_score[group])]);
        }
        let features = found.about.features.len();
        let mut values: Vec<Vec<f32>> = (0..features).map(|_| Vec::with_capacity(rows)).collect();
        for pixel in minerals.features.chunks_exact(features.max(1)) {
            values.iter_mut().zip(pixel).for_each(|(column, value)| column.push(*value));
        }
        columns.extend(values.into_iter().map(|values| -> ArrayRef { Arc::new(Float32Array::from(values)) }));
        columns
    }
}

/// Name of the data set below a data root.
const MINERALS: &str = "minerals";

/// The data set of minerals under a data root.
pub fn minerals_set(data_dir: &Path) -> PathBuf {
    data_dir.join(MINERALS)
}

/// The folder of a scan in the data set of minerals.
pub fn minerals_folder(data_dir: &Path, scan_id: &str) -> PathBuf {
    minerals_set(data_dir).join(format!("{SCAN}={scan_id}"))
}

/// The part of a scan's sample by its number.
pub fn minerals_part(data_dir: &Path, scan_id: &str, part: u32) -> PathBuf {
    minerals_folder(data_dir, scan_id).join(part_name(part))
}

/// The folder of the parts that are not complete.
pub(super) fn unfinished(data_dir: &Path) -> PathBuf {
    data_dir.join(".minerals-unfinished")
}

/// Takes a scan's embeddings and minerals out of their data sets.
///
/// # Errors
/// A folder cannot be read, or a file cannot be removed.
pub fn withdraw_all(data_dir: &Path, scan_id: &str) -> Result<(), PublishError> {
    for set in DataSet::all(data_dir)? {
        super::withdraw(&set, scan_id)?;
    }
    withdraw_minerals(data_dir, scan_id)
}

/// Takes a scan's minerals out of the data set.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub fn withdraw_minerals(data_dir: &Path, scan_id: &str) -> Result<(), PublishError> {
    let folder = minerals_folder(data_dir, scan_id);
    if !folder.is_dir() {
        return Ok(());
    }
    remove_parts(&folder).map(drop)
}
