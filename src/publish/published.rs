//! The rows of a scan that the data set holds.

use super::columns;
use super::error::PublishError;
use super::paths::{DataSet, names, part_number};
use super::read::open;
use super::rows::Batch;
use super::schema::{CONTAINER, FORMAT_VERSION, LINE, NOVELTY, PIXEL, SAMPLE, X, Y, key};
use super::upgrade::upgraded;
use crate::context::{EncoderContext, ScanContext};
use arrow_array::types::Int32Type;
use arrow_schema::{DataType, SchemaRef};
use std::path::PathBuf;

/// A complete file of the data set.
#[derive(Debug)]
pub struct PublishedPart {
    /// The file.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    pub(super) schema: SchemaRef,
    version: u64,
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
    /// Distance from the encoder's training in units of its limit, where the part has it.
    pub novelty: Option<f32>,
}

/// The parts of a scan in a data set, in order.
///
/// # Errors
/// The folder or a part cannot be read, or a part is of a newer format.
pub fn published(set: &DataSet, scan_id: &str) -> Result<Vec<PublishedPart>, PublishError> {
    let folder = set.scan_folder(scan_id);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    for name in names(&folder)?.into_iter().filter(|name| part_number(name).is_some()) {
        let path = folder.join(name);
        let part = open(&path)?;
        parts.push(PublishedPart { rows: part.rows(), version: part.format_version()?, schema: part.schema().clone(), path });
    }
    Ok(parts)
}

impl PublishedPart {
    /// Whether it is of an older format than this program writes. [`super::upgrade`] writes it again.
    pub fn older(&self) -> bool {
        self.version < u64::from(FORMAT_VERSION)
    }

    /// Whether it has the columns and the encoder that a part of this scan would be given now. A part of an older format is judged by
    /// what it becomes in this one.
    pub fn fits(&self, context: &ScanContext, encoder: &EncoderContext, spectra: bool) -> bool {
        let wanted = columns::schema(context, encoder, spectra);
        let all = |schema: &SchemaRef| -> Vec<(String, DataType)> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        let same = |key| self.schema.metadata().get(key) == wanted.metadata().get(key);
        let found = if self.older() { upgraded(&self.schema) } else { Some(SchemaRef::clone(&self.schema)) };
        found.is_some_and(|found| all(&found) == all(&wanted)) && same(key::ENCODER) && same(key::WAVELENGTHS)
    }

    /// Whether its rows have their novelty. A text of this name is a sample key of an older tray.
    pub fn tells_novelty(&self) -> bool {
        self.schema.field_with_name(NOVELTY).is_ok_and(|field| field.data_type().is_floating())
    }

    /// Gives each row to `each`.
    ///
    /// # Errors
    /// The part cannot be read, or has other columns than this program writes.
    pub fn each(&self, each: &mut dyn FnMut(PublishedRow<'_>)) -> Result<(), PublishError> {
        let wanted = [SAMPLE, CONTAINER, LINE, PIXEL, X, Y, NOVELTY];
        let tells = self.tells_novelty();
        for batch in open(&self.path)?.batches(&|name| wanted.contains(&name), None)? {
            let batch = &batch?;
            let columns = Batch { batch, path: &self.path };
            let (sample, container) = (columns.text(SAMPLE)?, columns.text(CONTAINER)?);
            let (line, pixel) = (columns.integers::<Int32Type>(LINE, "int32")?, columns.integers::<Int32Type>(PIXEL, "int32")?);
            let (x, y) = (columns.floats(X)?, columns.floats(Y)?);
            let novelty = if tells { Some(columns.floats(NOVELTY)?) } else { None };
            for i in 0..batch.num_rows() {
                each(PublishedRow {
                    sample: sample.value(i),
                    container: container.value(i),
                    line: line.value(i),
                    pixel: pixel.value(i),
                    x_mm: x.value(i),
                    y_mm: y.value(i),
                    novelty: novelty.as_ref().map(|novelty| novelty.value(i)),
                });
            }
        }
        Ok(())
    }
}
