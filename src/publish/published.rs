//! The rows of a scan that the data set holds.

use super::columns;
use super::error::PublishError;
use super::paths::{names, part_number, scan_folder};
use super::read::{column, open};
use super::schema::{CONTAINER, LINE, PIXEL, SAMPLE, X, Y, key, string};
use crate::context::{EncoderContext, ScanContext};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use std::path::{Path, PathBuf};

/// A complete file of the data set.
#[derive(Debug)]
pub struct PublishedPart {
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    schema: SchemaRef,
}

/// The pixel that a row's embedding belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedRow<'a> {
    /// The sample.
    pub sample: &'a str,
    /// The container it lay in.
    pub container: &'a str,
    /// Line of the sample's cube.
    pub line: i32,
    /// Pixel of the sample's cube.
    pub pixel: i32,
    /// Across the tray, mm.
    pub x_mm: f32,
    /// Along the tray, mm.
    pub y_mm: f32,
}

/// The parts of a scan, in order.
///
/// # Errors
/// The folder or a part cannot be read, or a part is of a newer format.
pub fn published(data_dir: &Path, scan_id: &str) -> Result<Vec<PublishedPart>, PublishError> {
    let folder = scan_folder(data_dir, scan_id);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    for name in names(&folder)?.into_iter().filter(|name| part_number(name).is_some()) {
        let path = folder.join(name);
        let builder = open(&path)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        parts.push(PublishedPart { rows, schema: builder.schema().clone(), path });
    }
    Ok(parts)
}

impl PublishedPart {
    /// Whether it has the columns and the encoder that a part of this scan would be given now.
    pub fn fits(&self, context: &ScanContext, encoder: &EncoderContext, spectra: bool) -> bool {
        let wanted = columns::schema(context, encoder, spectra);
        let all = |schema: &SchemaRef| -> Vec<(String, DataType)> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        let same = |key| self.schema.metadata().get(key) == wanted.metadata().get(key);
        all(&self.schema) == all(&wanted) && same(key::ENCODER) && same(key::WAVELENGTHS)
    }

    /// Gives each row to `each`.
    ///
    /// # Errors
    /// The part cannot be read, or has other columns than this program writes.
    pub fn each(&self, each: &mut dyn FnMut(PublishedRow<'_>)) -> Result<(), PublishError> {
        let builder = open(&self.path)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [SAMPLE, CONTAINER, LINE, PIXEL, X, Y]);
        let reader = builder.with_projection(mask).build().map_err(PublishError::parquet(&self.path, "read"))?;
        for batch in reader {
            let batch = batch.map_err(PublishError::parquet(&self.path, "read"))?;
            let get = |name, kind| column(&batch, name, &kind, &self.path);
            let (sample, container) = (get(SAMPLE, string())?.as_string::<i32>(), get(CONTAINER, string())?);
            let container = container.as_string::<i32>();
            let (line, pixel) = (get(LINE, DataType::Int32)?, get(PIXEL, DataType::Int32)?);
            let (line, pixel) = (line.as_primitive::<Int32Type>(), pixel.as_primitive::<Int32Type>());
            let (x, y) = (get(X, DataType::Float32)?, get(Y, DataType::Float32)?);
            let (x, y) = (x.as_primitive::<Float32Type>(), y.as_primitive::<Float32Type>());
            for i in 0..batch.num_rows() {
                each(PublishedRow {
                    sample: sample.value(i),
                    container: container.value(i),
                    line: line.value(i),
                    pixel: pixel.value(i),
                    x_mm: x.value(i),
                    y_mm: y.value(i),
                });
            }
        }
        Ok(())
    }
}
