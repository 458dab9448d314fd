//! The rows of parts as columns in memory, for those who look at many at once.

use super::error::PublishError;
use super::published::PublishedPart;
use super::read::{Source, open};
use super::rows::Batch;
use super::schema::{CONTAINER, EMBEDDING, LINE, PIXEL, SAMPLE, SPECTRUM, X, Y, key};
use arrow_array::types::Int32Type;
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::RowSelection;

/// Rows of embeddings, column by column.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// Sample and container of each index in `sample`.
    pub samples: Vec<(String, String)>,
    /// Index of the sample of each row.
    pub sample: Vec<u32>,
    /// Line of the sample's cube.
    pub line: Vec<i32>,
    /// Pixel of the sample's cube.
    pub pixel: Vec<i32>,
    /// Across the tray, mm.
    pub x_mm: Vec<f32>,
    /// Along the tray, mm.
    pub y_mm: Vec<f32>,
    /// Number of the row in its part.
    pub row: Vec<u32>,
    /// The embeddings, one behind the other.
    pub embedding: Vec<f32>,
    /// Rows that were left out, because their embedding is not finite.
    pub left_out: u64,
    /// The first sample that further rows may belong to.
    of_scan: usize,
}

impl PublishedPart {
    fn width(&self, name: &str) -> Option<usize> {
        match self.schema.field_with_name(name).ok()?.data_type() {
            DataType::FixedSizeList(_, width) => usize::try_from(*width).ok(),
            _ => None,
        }
    }

    /// Length of an embedding. `None` where the part does not state one for all rows.
    pub fn dimensions(&self) -> Option<usize> {
        self.width(EMBEDDING)
    }

    /// Whether it has the spectra as well.
    pub fn has_spectra(&self) -> bool {
        self.width(SPECTRUM).is_some()
    }

    /// SHA-256 of the encoder's model, where the part states it.
    pub fn encoder(&self) -> Option<&str> {
        self.schema.metadata().get(key::ENCODER).map(String::as_str)
    }

    /// Centres of the bands of its spectra, nm. Empty where the part does not state them.
    pub fn wavelengths_nm(&self) -> Vec<f64> {
        let stated = self.schema.metadata().get(key::WAVELENGTHS);
        stated.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
    }

    /// Adds its rows to `to`.
    ///
    /// # Errors
    /// The part cannot be read, or has other columns or a list of another length.
    pub fn points(&self, to: &mut Points) -> Result<(), PublishError> {
        let wanted = [SAMPLE, CONTAINER, LINE, PIXEL, X, Y, EMBEDDING];
        let mut number: u32 = 0;
        for batch in open(&self.path)?.batches(&|name| wanted.contains(&name), None)? {
            let batch = &batch?;
            let columns = Batch { batch, path: &self.path };
            let (sample, container) = (columns.text(SAMPLE)?, columns.text(CONTAINER)?);
            let (line, pixel) = (columns.integers::<Int32Type>(LINE, "int32")?, columns.integers::<Int32Type>(PIXEL, "int32")?);
            let (x, y, embedding) = (columns.floats(X)?, columns.floats(Y)?, columns.lists(EMBEDDING)?);
            for i in 0..batch.num_rows() {
                let values = embedding.value(i);
                let row = number;
                number = number.saturating_add(1);
                if self.dimensions().is_some_and(|width| width != values.len()) {
                    return Err(PublishError::Width { what: "embeddings", expected: self.dimensions().unwrap_or(0), found: values.len() });
                }
                if values.iter().any(|value| !value.is_finite()) {
                    to.left_out += 1;
                    continue;
                }
                let of = to.index(sample.value(i), container.value(i));
                to.sample.push(of);
                to.line.push(line.value(i));
                to.pixel.push(pixel.value(i));
                to.x_mm.push(x.value(i));
                to.y_mm.push(y.value(i));
                to.row.push(row);
                to.embedding.extend_from_slice(values);
            }
        }
        Ok(())
    }

    /// Gives the spectra of some rows, which rise, to `each`.
    ///
    /// # Errors
    /// The part cannot be read, or has no spectra.
    pub fn spectra(&self, rows: &[u32], each: &mut dyn FnMut(&[f32])) -> Result<(), PublishError> {
        let source: Source = open(&self.path)?;
        let total = usize::try_from(source.rows()).unwrap_or(usize::MAX);
        let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1).filter(|range| range.end <= total);
        let selection = RowSelection::from_consecutive_ranges(ranges, total);
        for batch in source.selected(&|name| name == SPECTRUM, selection)? {
            let batch = &batch?;
            let lists = Batch { batch, path: &self.path }.lists(SPECTRUM)?;
            (0..batch.num_rows()).for_each(|row| each(lists.value(row)));
        }
        Ok(())
    }
}

impl Points {
    /// Rows that come now are of another scan. A sample of the same name is another one there.
    pub fn next_scan(&mut self) {
        self.of_scan = self.samples.len();
    }

    /// The index of a sample, which gets one where it has none. Rows of a sample lie together, so that the last ones are looked at first.
    fn index(&mut self, sample: &str, container: &str) -> u32 {
        let same = |(name, place): &(String, String)| name == sample && place == container;
        let of_scan = self.of_scan;
        let last =
            self.sample.last().copied().filter(|last| *last as usize >= of_scan && self.samples.get(*last as usize).is_some_and(same));
        let known = || self.samples[of_scan..].iter().rposition(same).and_then(|at| u32::try_from(of_scan + at).ok());
        last.or_else(known).unwrap_or_else(|| {
            self.samples.push((sample.to_owned(), container.to_owned()));
            u32::try_from(self.samples.len() - 1).unwrap_or(u32::MAX)
        })
    }
}
