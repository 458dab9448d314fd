//! The columns of the data set, and rows gathered into them.

use super::schema::{
    CONTAINER, ELEMENT, EMBEDDING, FORMAT_VERSION, LINE, NOVELTY, PIXEL, QUALITY, SAMPLE, SPECTRUM, TIME, TIME_NS, X, Y, floats, key,
    list_element, quality, string, time, whole_us,
};
use crate::context::{EncoderContext, ScanContext};
use crate::encode::Embedded;
use arrow_array::builder::StringBuilder;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int16Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a row group before compression, about. A part that is being written holds as many in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Bytes of a row beside its spectrum and embedding, about.
const ROW_BYTES: usize = 64;

/// The metadata of every part. They stand in the Parquet footer and in the Arrow schema, because readers look in one or the other.
fn metadata(context: &ScanContext, encoder: &EncoderContext) -> [(String, String); 5] {
    [
        (key::FORMAT_VERSION, FORMAT_VERSION.to_string()),
        (key::SCAN, context.scan_id.clone()),
        (key::ENCODER, encoder.sha256.clone()),
        (key::WAVELENGTHS, format!("{:?}", context.axes.wavelengths_nm)),
        (key::VERSION, crate::VERSION.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

/// The schema of a scan's parts.
pub(super) fn schema(context: &ScanContext, encoder: &EncoderContext, spectra: bool) -> Arc<Schema> {
    let numbers = Numbers { dimensions: encoder.dimensions, novelty: encoder.novelty, bands: spectra.then(|| context.axes.bands()) };
    schema_of(context.tray.keys.iter().map(String::as_str), numbers, metadata(context, encoder))
}

/// The measured and computed numbers of a row.
pub(super) struct Numbers {
    /// Length of an embedding.
    pub dimensions: usize,
    /// Whether each row has its novelty.
    pub novelty: bool,
    /// Length of a spectrum, where spectra are written.
    pub bands: Option<usize>,
}

/// The schema of parts with these sample keys and numbers.
pub(super) fn schema_of<'a>(
    keys: impl IntoIterator<Item = &'a str>,
    numbers: Numbers,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Arc<Schema> {
    let mut columns = vec![(SAMPLE, string()), (CONTAINER, string())];
    columns.extend(keys.into_iter().map(|name| (name, string())));
    columns.extend([(LINE, DataType::Int32), (PIXEL, DataType::Int32), (X, DataType::Float32), (Y, DataType::Float32)]);
    columns.extend([(TIME, time()), (TIME_NS, DataType::Int64), (QUALITY, quality()), (EMBEDDING, floats(numbers.dimensions))]);
    columns.extend(numbers.novelty.then_some((NOVELTY, DataType::Float32)));
    columns.extend(numbers.bands.map(|bands| (SPECTRUM, floats(bands))));
    let fields: Vec<Field> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
    Arc::new(Schema::new(fields).with_metadata(metadata.into_iter().collect::<arrow_schema::Metadata>()))
}

/// How parts are written: compression, sizes, and metadata.
pub(super) fn properties(context: &ScanContext, encoder: &EncoderContext, spectra: bool) -> WriterProperties {
    let bands = if spectra { context.axes.bands() } else { 0 };
    properties_of(encoder.dimensions + bands, metadata(context, encoder))
}

/// How parts of so many numbers in a row, and of this metadata, are written.
pub(super) fn properties_of(numbers: usize, metadata: impl IntoIterator<Item = (String, String)>) -> WriterProperties {
    let group_rows = (ROW_GROUP_BYTES / (ROW_BYTES + 4 * numbers)).max(1024);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(format!("hyclus {}", crate::VERSION))
        .set_max_row_group_row_count(Some(group_rows))
        .set_key_value_metadata(Some(metadata.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect()));
    // Measured numbers hardly repeat, so that a dictionary of them only costs.
    for column in [EMBEDDING, SPECTRUM] {
        let path = ColumnPath::new(vec![column.to_owned(), "list".to_owned(), ELEMENT.to_owned()]);
        properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::PLAIN);
    }
    let novelty = ColumnPath::new(vec![NOVELTY.to_owned()]);
    properties.set_column_dictionary_enabled(novelty, false).build()
}

/// Rows gathered column by column.
pub(super) struct Columns {
    schema: Arc<Schema>,
    key_names: Vec<String>,
    dimensions: usize,
    bands: usize,
    sample: StringBuilder,
    container: StringBuilder,
    keys: Vec<StringBuilder>,
    line: Vec<i32>,
    pixel: Vec<i32>,
    x_mm: Vec<f32>,
    y_mm: Vec<f32>,
    time_ns: Vec<i64>,
    quality: Vec<i16>,
    embeddings: Vec<f32>,
    /// Novelty of each row, where the encoder tells it.
    novelty: Option<Vec<f32>>,
    spectra: Vec<f32>,
}

impl Columns {
    /// Columns without a row.
    pub fn new(context: &ScanContext, schema: Arc<Schema>, encoder: &EncoderContext, spectra: bool) -> Self {
        Self {
            schema,
            key_names: context.tray.keys.clone(),
            dimensions: encoder.dimensions,
            bands: if spectra { context.axes.bands() } else { 0 },
            sample: StringBuilder::new(),
            container: StringBuilder::new(),
            keys: context.tray.keys.iter().map(|_| StringBuilder::new()).collect(),
            line: Vec::new(),
            pixel: Vec::new(),
            x_mm: Vec::new(),
            y_mm: Vec::new(),
            time_ns: Vec::new(),
            quality: Vec::new(),
            embeddings: Vec::new(),
            novelty: encoder.novelty.then(Vec::new),
            spectra: Vec::new(),
        }
    }

    /// Number of rows gathered.
    pub fn len(&self) -> usize {
        self.quality.len()
    }

    /// Length of a spectrum, 0 where none is written.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Length of an embedding.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether each row has its novelty.
    pub fn tells_novelty(&self) -> bool {
        self.novelty.is_some()
    }

    /// Adds some rows of a batch.
    pub fn extend(&mut self, batch: &Embedded, rows: Range<usize>) {
        // The names and keys of a sample are looked up once for all its rows here.
        for rows in batch.rows[rows.clone()].chunk_by(|a, b| Arc::ptr_eq(&a.sample, &b.sample)) {
            let container = &rows[0].sample.container;
            self.sample.append_value_n(&container.sample, rows.len());
            self.container.append_value_n(&container.at, rows.len());
            for (name, column) in self.key_names.iter().zip(&mut self.keys) {
                column.append_value_n(container.keys.get(name).map_or("", String::as_str), rows.len());
            }
            self.line.extend(rows.iter().map(|row| i32::try_from(row.line).unwrap_or(i32::MAX)));
            self.pixel.extend(rows.iter().map(|row| i32::try_from(row.pixel).unwrap_or(i32::MAX)));
            self.x_mm.extend(rows.iter().map(|row| row.x_mm));
            self.y_mm.extend(rows.iter().map(|row| row.y_mm));
            self.time_ns.extend(rows.iter().map(|row| row.time_ns));
            self.quality.extend(rows.iter().map(|row| i16::from(row.quality)));
        }
        self.embeddings.extend_from_slice(&batch.embeddings[rows.start * self.dimensions..rows.end * self.dimensions]);
        if let Some(novelty) = &mut self.novelty {
            novelty.extend_from_slice(&batch.novelty[rows.clone()]);
        }
        self.spectra.extend_from_slice(&batch.spectra[rows.start * self.bands..rows.end * self.bands]);
    }

    /// Writes the gathered rows and begins anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, writer: &mut ArrowWriter<File>) -> Result<(), String> {
        if self.len() == 0 {
            return Ok(());
        }
        let batch = self.take().map_err(|e| e.to_string())?;
        writer.write(&batch).map_err(|e| e.to_string())
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let list = |numbers: &mut Vec<f32>, width: usize| -> Result<ArrayRef, ArrowError> {
            let values = Float32Array::from(renew(numbers));
            let width = i32::try_from(width).unwrap_or(i32::MAX);
            Ok(Arc::new(FixedSizeListArray::try_new(list_element(), width, Arc::new(values), None)?))
        };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.sample.finish()), Arc::new(self.container.finish())];
        columns.extend(self.keys.iter_mut().map(|key| Arc::new(key.finish()) as ArrayRef));
        columns.push(Arc::new(Int32Array::from(renew(&mut self.line))));
        columns.push(Arc::new(Int32Array::from(renew(&mut self.pixel))));
        columns.push(Arc::new(Float32Array::from(renew(&mut self.x_mm))));
        columns.push(Arc::new(Float32Array::from(renew(&mut self.y_mm))));
        let time_us = PrimitiveArray::<TimestampMicrosecondType>::from_iter_values(self.time_ns.iter().map(|ns| whole_us(*ns)));
        columns.push(Arc::new(time_us.with_timezone("UTC")));
        columns.push(Arc::new(Int64Array::from(renew(&mut self.time_ns))));
        columns.push(Arc::new(Int16Array::from(renew(&mut self.quality))));
        columns.push(list(&mut self.embeddings, self.dimensions)?);
        columns.extend(self.novelty.as_mut().map(|novelty| Arc::new(Float32Array::from(renew(novelty))) as ArrayRef));
        if self.bands > 0 {
            columns.push(list(&mut self.spectra, self.bands)?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// The vector, with one of the same capacity in its place.
fn renew<T>(vector: &mut Vec<T>) -> Vec<T> {
    let empty = Vec::with_capacity(vector.len());
    std::mem::replace(vector, empty)
}
