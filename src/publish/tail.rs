//! Following the data set.

use super::error::PublishError;
use super::paths::{data_set, names, part_name, part_number, scan_of};
use super::read::{self, column, column_of};
use super::schema::{CONTAINER, EMBEDDING, LINE, PIXEL, QUALITY, SAMPLE, TIME, X, Y, sample_key, string, time};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Int32Type, TimestampNanosecondType, UInt8Type};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// One row of the data set.
#[derive(Debug, Clone, PartialEq)]
pub struct TailRow {
    /// The scan.
    pub scan: String,
    /// The sample.
    pub sample: String,
    /// The container it lay in.
    pub container: String,
    /// The sample keys, in the tray's order.
    pub keys: Vec<(String, String)>,
    /// Line of the sample's cube.
    pub line: i32,
    /// Pixel of the sample's cube.
    pub pixel: i32,
    /// Across the tray, mm.
    pub x_mm: f32,
    /// Along the tray, mm.
    pub y_mm: f32,
    /// Time of the line, ns since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// Flags, see [`crate::calibrate::Quality`].
    pub quality: u8,
    /// The embedding.
    pub embedding: Vec<f32>,
}

/// Reads the rows of a data set in order, and then those that are added.
pub struct Tail {
    data_set: PathBuf,
    scan: Option<String>,
    /// Per scan, the number after that of the last part that was taken.
    next: BTreeMap<String, u32>,
    waiting: VecDeque<(String, PathBuf)>,
    open: Option<OpenFile>,
}

struct OpenFile {
    scan: String,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<(RecordBatch, usize)>,
}

impl Tail {
    /// A reader of the data set under `data_dir`, of one scan or of all.
    pub fn new(data_dir: &Path, scan: Option<&str>) -> Self {
        let (next, waiting) = (BTreeMap::new(), VecDeque::new());
        Self { data_set: data_set(data_dir), scan: scan.map(str::to_owned), next, waiting, open: None }
    }

    /// The next row, or `None` where there is none at present. A later call gives the rows that come meanwhile.
    ///
    /// # Errors
    /// A part cannot be read, is of a newer format, or has other columns. The next call goes on with the part after it.
    pub fn poll(&mut self) -> Result<Option<TailRow>, PublishError> {
        loop {
            if let Some(file) = &mut self.open {
                match file.next() {
                    Ok(Some(row)) => return Ok(Some(row)),
                    Ok(None) => self.open = None,
                    Err(e) => {
                        self.open = None;
                        return Err(e);
                    }
                }
            }
            if self.waiting.is_empty() {
                self.look()?;
            }
            match self.waiting.pop_front() {
                Some((scan, path)) => self.open = Some(OpenFile::open(scan, path)?),
                None => return Ok(None),
            }
        }
    }

    /// Looks for parts that were not taken yet, scan by scan, each in order.
    fn look(&mut self) -> Result<(), PublishError> {
        if !self.data_set.is_dir() {
            return Ok(());
        }
        for name in names(&self.data_set)? {
            let folder = self.data_set.join(&name);
            let Some(scan) = scan_of(&name).filter(|_| folder.is_dir()) else { continue };
            if self.scan.as_deref().is_some_and(|wanted| wanted != scan) {
                continue;
            }
            let next = self.next.entry(scan.to_owned()).or_default();
            let mut parts: Vec<u32> =
                names(&folder)?.iter().filter_map(|name| part_number(name)).filter(|number| *number >= *next).collect();
            parts.sort_unstable();
            for number in parts {
                *next = number + 1;
                self.waiting.push_back((scan.to_owned(), folder.join(part_name(number))));
            }
        }
        Ok(())
    }
}

impl OpenFile {
    fn open(scan: String, path: PathBuf) -> Result<Self, PublishError> {
        let reader = read::open(&path)?.build().map_err(PublishError::parquet(&path, "read"))?;
        Ok(Self { scan, path, reader, batch: None })
    }

    fn next(&mut self) -> Result<Option<TailRow>, PublishError> {
        loop {
            if let Some((batch, i)) = &mut self.batch
                && *i < batch.num_rows()
            {
                *i += 1;
                return row(&self.scan, batch, *i - 1, &self.path).map(Some);
            }
            match self.reader.next() {
                Some(batch) => self.batch = Some((batch.map_err(PublishError::parquet(&self.path, "read"))?, 0)),
                None => return Ok(None),
            }
        }
    }
}

fn row(scan: &str, batch: &RecordBatch, i: usize, path: &Path) -> Result<TailRow, PublishError> {
    let text = |name| -> Result<String, PublishError> {
        let column = column(batch, name, &string(), path)?;
        Ok(column.as_string::<i32>().value(i).to_owned())
    };
    let list = column_of(
        batch,
        EMBEDDING,
        "fixed_size_list<float32>",
        path,
        |kind| matches!(kind, DataType::FixedSizeList(item, _) if *item.data_type() == DataType::Float32),
    )?;
    let embedding = list.as_fixed_size_list().value(i).as_primitive::<Float32Type>().values().to_vec();
    Ok(TailRow {
        scan: scan.to_owned(),
        sample: text(SAMPLE)?,
        container: text(CONTAINER)?,
        keys: keys(batch, i),
        line: number::<Int32Type>(batch, LINE, &DataType::Int32, i, path)?,
        pixel: number::<Int32Type>(batch, PIXEL, &DataType::Int32, i, path)?,
        x_mm: number::<Float32Type>(batch, X, &DataType::Float32, i, path)?,
        y_mm: number::<Float32Type>(batch, Y, &DataType::Float32, i, path)?,
        time_ns: number::<TimestampNanosecondType>(batch, TIME, &time(), i, path)?,
        quality: number::<UInt8Type>(batch, QUALITY, &DataType::UInt8, i, path)?,
        embedding,
    })
}

/// The sample keys: the columns that are dictionaries of strings.
fn keys(batch: &RecordBatch, i: usize) -> Vec<(String, String)> {
    let schema = batch.schema();
    let dictionaries = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| *field.data_type() == sample_key());
    dictionaries
        .map(|(field, column)| {
            let dictionary = column.as_dictionary::<Int32Type>();
            let value = dictionary.key(i).map(|key| dictionary.values().as_string::<i32>().value(key).to_owned());
            (field.name().clone(), value.unwrap_or_default())
        })
        .collect()
}

fn number<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &'static str,
    kind: &DataType,
    i: usize,
    path: &Path,
) -> Result<T::Native, PublishError> {
    Ok(column(batch, name, kind, path)?.as_primitive::<T>().value(i))
}
