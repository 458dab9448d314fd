//! Parts of an older format, written again in this one.

use super::columns::{Numbers, properties_of, schema_of};
use super::error::PublishError;
use super::part::sync_folder;
use super::paths::{DataSet, unfinished_name};
use super::published::PublishedPart;
use super::read::{self, Source};
use super::rows::Batch;
use super::schema::{
    CONTAINER, EMBEDDING, FORMAT_VERSION, LINE, PIXEL, QUALITY, SAMPLE, SPECTRUM, TIME, TIME_NS, X, Y, key, list_element, whole_us,
};
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int16Array, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The schema that a part of an older format gets.
pub(super) fn upgraded(found: &Schema) -> Option<SchemaRef> {
    let width = |name| match found.field_with_name(name).ok()?.data_type() {
        DataType::FixedSizeList(_, width) => usize::try_from(*width).ok(),
        _ => None,
    };
    let text = |kind: &DataType| matches!(kind, DataType::Dictionary(_, value) if **value == DataType::Utf8);
    let keys = found.fields().iter().filter(|field| text(field.data_type())).map(|field| field.name().as_str());
    let mut metadata: Vec<(String, String)> = found.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    metadata.retain(|(name, _)| name != key::FORMAT_VERSION);
    metadata.push((key::FORMAT_VERSION.to_owned(), FORMAT_VERSION.to_string()));
    // Parts of an older format came before novelty.
    Some(schema_of(keys, Numbers { dimensions: width(EMBEDDING)?, novelty: false, bands: width(SPECTRUM) }, metadata))
}

/// Writes a part of an older format again in this one, under the same name. A part of this format stays as it is.
///
/// # Errors
/// The part cannot be read, it is no part of ours, or the new one cannot be written. The old one then remains.
pub fn upgrade(set: &DataSet, scan_id: &str, part: &PublishedPart) -> Result<(), PublishError> {
    if !part.older() {
        return Ok(());
    }
    let source = read::open(&part.path)?;
    let name = part.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = set.unfinished();
    std::fs::create_dir_all(&folder).map_err(PublishError::io(&folder, "created"))?;
    let hidden = folder.join(match super::paths::part_number(&name) {
        Some(number) => unfinished_name(scan_id, number),
        None => name,
    });
    let _ = std::fs::remove_file(&hidden);
    write(source, &part.path, &hidden)?;
    std::fs::rename(&hidden, &part.path).map_err(PublishError::io(&part.path, "renamed to"))?;
    part.path.parent().map_or(Ok(()), sync_folder)
}

fn write(source: Source, path: &Path, hidden: &Path) -> Result<(), PublishError> {
    let schema = upgraded(source.schema()).ok_or_else(|| PublishError::Foreign {
        path: path.to_owned(),
        column: EMBEDDING,
        expected: "fixed_size_list<float32>".to_owned(),
        found: "another type".to_owned(),
    })?;
    let mut metadata: Vec<(String, String)> =
        source.entries().filter_map(|entry| Some((entry.key.clone(), entry.value.clone()?))).collect();
    metadata.retain(|(name, _)| name != key::ARROW_SCHEMA && name != key::FORMAT_VERSION);
    metadata.insert(0, (key::FORMAT_VERSION.to_owned(), FORMAT_VERSION.to_string()));
    let numbers = [EMBEDDING, SPECTRUM].map(|name| width_of(&schema, name)).iter().sum();
    let file = File::options().write(true).create_new(true).open(hidden).map_err(PublishError::io(hidden, "created"))?;
    let failed = || PublishError::parquet(hidden, "written");
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties_of(numbers, metadata))).map_err(failed())?;
    for batch in source.batches(&|_| true, None)? {
        let batch = upgraded_batch(&batch?, &schema, path)?;
        writer.write(&batch).map_err(failed())?;
    }
    let file = writer.into_inner().map_err(failed())?;
    file.sync_all().map_err(PublishError::io(hidden, "written"))
}

fn width_of(schema: &Schema, name: &str) -> usize {
    match schema.field_with_name(name).map(arrow_schema::Field::data_type) {
        Ok(DataType::FixedSizeList(_, width)) => usize::try_from(*width).unwrap_or(0),
        _ => 0,
    }
}

fn upgraded_batch(batch: &RecordBatch, schema: &SchemaRef, path: &Path) -> Result<RecordBatch, PublishError> {
    let columns = Batch { batch, path };
    let rows = columns.rows()?;
    let list = |name: &'static str| -> Result<ArrayRef, PublishError> {
        let lists = columns.lists(name)?;
        let values: Float32Array = (0..batch.num_rows()).flat_map(|row| lists.value(row)).copied().collect::<Vec<f32>>().into();
        let width = i32::try_from(width_of(schema, name)).unwrap_or(i32::MAX);
        let list = FixedSizeListArray::try_new(list_element(), width, Arc::new(values), None);
        Ok(Arc::new(list.map_err(PublishError::parquet(path, "read"))?))
    };
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let key = |name: &str| rows.keys.iter().find(|(key, _)| key == name).map(|(_, texts)| Arc::new(texts.clone()) as ArrayRef);
        arrays.push(match field.name().as_str() {
            SAMPLE => Arc::new(rows.sample.clone()),
            CONTAINER => Arc::new(rows.container.clone()),
            LINE => Arc::new(rows.line.clone()),
            PIXEL => Arc::new(rows.pixel.clone()),
            X => Arc::new(rows.x_mm.clone()),
            Y => Arc::new(rows.y_mm.clone()),
            TIME => {
                let us = rows.time_ns.values().iter().map(|ns| whole_us(*ns));
                Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(us).with_timezone("UTC"))
            }
            TIME_NS => Arc::new(rows.time_ns.clone()),
            QUALITY => Arc::new(rows.quality.iter().map(|flags| i16::from(*flags)).collect::<Vec<_>>().into_iter().collect::<Int16Array>()),
            EMBEDDING => list(EMBEDDING)?,
            SPECTRUM => list(SPECTRUM)?,
            name => key(name).ok_or_else(|| PublishError::parquet(path, "read")(format!("it has no column {name}")))?,
        });
    }
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(PublishError::parquet(path, "read"))
}
