//! The daemon's Parquet data set.

use super::error::DataError;
use super::gathered::{Gathered, Rows};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{Array, Int32Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use std::fs::File;
use std::path::Path;

/// Rows that are read together.
const BATCH: usize = 2048;
/// Columns that are no labels.
const NO_LABELS: [&str; 10] = ["line", "pixel", "x_mm", "y_mm", "time", "time_ns", "quality", "embedding", "novelty", "spectrum"];

/// Reads one part of the data set.
pub(super) fn read(path: &Path, labels: &[String], gathered: &mut Gathered) -> Result<(), DataError> {
    let format = |reason: String| DataError::Format { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|source| DataError::Open { path: path.to_owned(), source })?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| format(e.to_string()))?;
    let schema = builder.schema().clone();
    let field = schema.field_with_name("spectrum").map_err(|_| DataError::NoSpectra { path: path.to_owned() })?;
    let DataType::FixedSizeList(_, bands) = field.data_type() else {
        return Err(format(format!("`spectrum` should be lists of a fixed size, is {}", field.data_type())));
    };
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    for label in labels {
        if !names.contains(label) || NO_LABELS.contains(&label.as_str()) {
            let found = names.iter().filter(|name| !NO_LABELS.contains(&name.as_str())).cloned().collect();
            return Err(DataError::NoLabel { path: path.to_owned(), label: label.clone(), found });
        }
    }
    let kept = builder.metadata().file_metadata().key_value_metadata();
    let text = kept.and_then(|list| list.iter().find(|pair| pair.key == "hyclus.wavelengths_nm")).and_then(|pair| pair.value.as_ref());
    let text = text.ok_or_else(|| format("it has no hyclus.wavelengths_nm in its metadata".to_owned()))?;
    let wavelengths_nm: Vec<f64> = serde_json::from_str(text).map_err(|e| format(format!("hyclus.wavelengths_nm: {e}")))?;
    if usize::try_from(*bands) != Ok(wavelengths_nm.len()) {
        return Err(format(format!("it has {bands} bands and {} wavelengths", wavelengths_nm.len())));
    }
    gathered.begin(path, &wavelengths_nm)?;
    let columns: Vec<&str> = ["sample", "line", "pixel", "spectrum"].into_iter().chain(labels.iter().map(String::as_str)).collect();
    let mask = ::parquet::arrow::ProjectionMask::columns(builder.parquet_schema(), columns);
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|e| format(e.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|e| format(e.to_string()))?;
        let sample = text_column(&batch, "sample").map_err(format)?;
        let classes = labels.iter().map(|label| text_column(&batch, label)).collect::<Result<Vec<_>, _>>().map_err(format)?;
        let (line, pixel) = (whole_column(&batch, "line").map_err(format)?, whole_column(&batch, "pixel").map_err(format)?);
        let spectra = column(&batch, "spectrum").map_err(format)?.as_fixed_size_list();
        let values = spectra.values().as_primitive_opt::<Float32Type>().ok_or_else(|| format("`spectrum` is not float32".to_owned()))?;
        let from = spectra.value_offset_at(0);
        let values = &values.values()[from..from + batch.num_rows() * wavelengths_nm.len()];
        let head = |row: usize| {
            let labels = classes.iter().map(|column| column.value(row)).collect();
            (sample.value(row), labels, line.value(row), pixel.value(row))
        };
        gathered.push(path, &Rows { heads: (0..batch.num_rows()).map(head).collect(), spectra: values })?;
    }
    Ok(())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, String> {
    batch.column_by_name(name).map(|column| column.as_ref()).ok_or_else(|| format!("it has no column `{name}`"))
}

/// A column as text. Numbers become text.
fn text_column(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let text = cast(column(batch, name)?, &DataType::Utf8).map_err(|e| format!("`{name}`: {e}"))?;
    if text.null_count() > 0 {
        return Err(format!("`{name}` is empty in {} rows", text.null_count()));
    }
    Ok(text.as_string::<i32>().clone())
}

fn whole_column(batch: &RecordBatch, name: &str) -> Result<Int32Array, String> {
    let numbers = cast(column(batch, name)?, &DataType::Int32).map_err(|e| format!("`{name}`: {e}"))?;
    Ok(numbers.as_primitive::<Int32Type>().clone())
}
