//! The columns of a batch, in the types that this program works with.
//!
//! Other programs rewrite parts. Integers, times, texts and lists then have other widths, and a column of another kind is refused.

use super::error::PublishError;
use super::schema::{CONTAINER, EMBEDDING, LINE, NO_KEYS, NOVELTY, PIXEL, QUALITY, SAMPLE, TIME, TIME_NS, X, Y};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, Float32Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use std::ops::Range;
use std::path::Path;

/// A batch of one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub batch: &'a RecordBatch,
    pub path: &'a Path,
}

/// The columns of a whole row.
#[derive(Debug)]
pub(super) struct Rows {
    pub sample: StringArray,
    pub container: StringArray,
    /// The sample keys, in the order of the part.
    pub keys: Vec<(String, StringArray)>,
    pub line: PrimitiveArray<Int32Type>,
    pub pixel: PrimitiveArray<Int32Type>,
    pub x_mm: Float32Array,
    pub y_mm: Float32Array,
    pub time_ns: PrimitiveArray<Int64Type>,
    pub quality: Vec<u8>,
    /// Figures beside them, such as novelty, or the features of minerals.
    pub figures: Vec<(String, Float32Array)>,
    pub embedding: Lists,
}

/// Lists of numbers.
#[derive(Debug)]
pub(super) struct Lists {
    values: Float32Array,
    ends: Vec<usize>,
    begin: usize,
}

impl Lists {
    /// The numbers of a row.
    pub fn value(&self, row: usize) -> &[f32] {
        let from = if row == 0 { self.begin } else { self.ends[row - 1] };
        &self.values.values()[from..self.ends[row]]
    }
}

/// Types that stand for text.
fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Types of one value that has a text of its own.
fn is_plain(kind: &DataType) -> bool {
    match kind {
        DataType::Boolean | DataType::Date32 | DataType::Date64 => true,
        DataType::Dictionary(_, value) => is_plain(value),
        kind => is_text(kind) || kind.is_integer() || kind.is_floating(),
    }
}

impl Batch<'_> {
    fn foreign<T>(&self, column: &'static str, expected: &str, found: String) -> Result<T, PublishError> {
        Err(PublishError::Foreign { path: self.path.to_owned(), column, expected: expected.to_owned(), found })
    }

    fn wrong(&self, column: &str, reason: String) -> PublishError {
        PublishError::Parquet { path: self.path.to_owned(), column: Some(column.to_owned()), doing: "read", reason }
    }

    fn find(&self, name: &'static str, expected: &str, fits: impl FnOnce(&DataType) -> bool) -> Result<&ArrayRef, PublishError> {
        match self.batch.column_by_name(name) {
            Some(array) if fits(array.data_type()) => Ok(array),
            Some(array) => self.foreign(name, expected, array.data_type().to_string()),
            None => self.foreign(name, expected, "no such column".to_owned()),
        }
    }

    fn cast(&self, name: &str, array: &dyn Array, kind: &DataType) -> Result<ArrayRef, PublishError> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, kind, &options).map_err(|e| self.wrong(name, e.to_string()))
    }

    /// The column, of which every row has a value.
    fn whole(&self, name: &str, array: ArrayRef) -> Result<ArrayRef, PublishError> {
        match (0..array.len()).find(|row| array.is_null(*row)).filter(|_| array.null_count() > 0) {
            Some(row) => Err(self.wrong(name, format!("row {row} of a batch has no value, and every row needs one"))),
            None => Ok(array),
        }
    }

    /// A column of texts.
    ///
    /// # Errors
    /// There is none, or it is no text.
    pub fn text(&self, name: &'static str) -> Result<StringArray, PublishError> {
        let array = self.find(name, "string", is_text)?;
        let array = self.whole(name, self.cast(name, array, &DataType::Utf8)?)?;
        Ok(array.as_string::<i32>().clone())
    }

    fn primitive<T: ArrowPrimitiveType>(&self, name: &str, array: &ArrayRef) -> Result<PrimitiveArray<T>, PublishError> {
        let array = self.whole(name, self.cast(name, array, &T::DATA_TYPE)?)?;
        Ok(array.as_primitive::<T>().clone())
    }

    /// A column of integers.
    ///
    /// # Errors
    /// There is none, it is of another type, or a value does not fit.
    pub fn integers<T: ArrowPrimitiveType>(&self, name: &'static str, expected: &str) -> Result<PrimitiveArray<T>, PublishError> {
        let array = self.find(name, expected, DataType::is_integer)?;
        self.primitive(name, array)
    }

    /// A column of numbers with a fraction.
    ///
    /// # Errors
    /// There is none, or it is of another type.
    pub fn floats(&self, name: &'static str) -> Result<Float32Array, PublishError> {
        let array = self.find(name, "float32", DataType::is_floating)?;
        self.primitive(name, array)
    }

    /// Times in ns, of the column that has the most digits.
    fn times(&self) -> Result<PrimitiveArray<Int64Type>, PublishError> {
        // A sample key of the first format may have this name.
        if self.batch.column_by_name(TIME_NS).is_some_and(|array| array.data_type().is_integer()) {
            return self.integers(TIME_NS, "int64");
        }
        let array = self.find(TIME, "timestamp(us, UTC)", |kind| matches!(kind, DataType::Timestamp(..)))?;
        let ns = DataType::Timestamp(TimeUnit::Nanosecond, None);
        // A time of another zone is the same moment. One without a zone is UTC.
        let array = self.whole(TIME, self.cast(TIME, array, &ns)?)?;
        Ok(array.as_primitive::<TimestampNanosecondType>().reinterpret_cast())
    }

    fn quality(&self) -> Result<Vec<u8>, PublishError> {
        let flags = self.integers::<Int32Type>(QUALITY, "int16")?;
        let flag = |value: &i32| u8::try_from(*value).map_err(|_| self.wrong(QUALITY, format!("{value} is no set of flags from 0 to 255")));
        flags.values().iter().map(flag).collect()
    }

    /// A column of lists of numbers.
    ///
    /// # Errors
    /// There is none, it is of another type, or a list or a number is missing.
    pub fn lists(&self, name: &'static str) -> Result<Lists, PublishError> {
        let array = self.find(name, "fixed_size_list<float32>", |kind| match kind {
            DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item) => item.data_type().is_floating(),
            _ => false,
        })?;
        let array = self.whole(name, array.clone())?;
        let at = |offset: i64| usize::try_from(offset).unwrap_or(usize::MAX);
        let (values, begin, ends): (&ArrayRef, usize, Vec<usize>) = match array.data_type() {
            DataType::FixedSizeList(_, width) => {
                let (list, width) = (array.as_fixed_size_list(), usize::try_from(*width).unwrap_or(0));
                (list.values(), 0, (1..=list.len()).map(|row| row * width).collect())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let offsets = list.value_offsets();
                (list.values(), at(offsets[0]), offsets[1..].iter().map(|offset| at(*offset)).collect())
            }
            _ => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                (list.values(), at(offsets[0].into()), offsets[1..].iter().map(|offset| at(i64::from(*offset))).collect())
            }
        };
        let values = self.cast(name, values, &DataType::Float32)?;
        let used: Range<usize> = begin..ends.last().copied().unwrap_or(begin);
        if values.null_count() > 0 && used.clone().any(|at| values.is_null(at)) {
            return Err(self.wrong(name, "a number is missing in a list".to_owned()));
        }
        Ok(Lists { values: values.as_primitive::<Float32Type>().clone(), begin, ends })
    }

    /// The sample keys: the columns of one value that are no others. A value that is missing is an empty text.
    fn keys(&self, kinds: fn(&DataType) -> bool) -> Result<Vec<(String, StringArray)>, PublishError> {
        let schema = self.batch.schema();
        let columns = schema.fields().iter().zip(self.batch.columns());
        let keys = columns.filter(|(field, _)| !NO_KEYS.contains(&field.name().as_str()) && kinds(field.data_type()));
        keys.map(|(field, array)| {
            let texts = self.cast(field.name(), array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            let texts = if texts.null_count() > 0 { texts.iter().map(|v| Some(v.unwrap_or_default())).collect() } else { texts.clone() };
            Ok((field.name().clone(), texts))
        })
        .collect()
    }

    /// All columns.
    ///
    /// # Errors
    /// One is missing or of another type, or a value is missing or does not fit.
    pub fn rows(&self) -> Result<Rows, PublishError> {
        let common = self.common(is_plain)?;
        let novelty = self.batch.column_by_name(NOVELTY).filter(|array| array.data_type().is_floating());
        let figures = novelty.map(|array| Ok::<_, PublishError>((NOVELTY.to_owned(), self.primitive(NOVELTY, array)?)));
        Ok(Rows { figures: figures.into_iter().collect::<Result<_, _>>()?, embedding: self.lists(EMBEDDING)?, ..common })
    }

    /// All columns of the data set of minerals. Texts beside the known ones are keys, and numbers are figures.
    ///
    /// # Errors
    /// One is missing or of another type, or a value is missing or does not fit.
    pub fn minerals(&self) -> Result<Rows, PublishError> {
        let schema = self.batch.schema();
        let columns = schema.fields().iter().zip(self.batch.columns());
        let figures = columns.filter(|(field, _)| !NO_KEYS.contains(&field.name().as_str()) && field.data_type().is_floating());
        let figures = figures.map(|(field, array)| Ok::<_, PublishError>((field.name().clone(), self.primitive(field.name(), array)?)));
        let common = self.common(is_text)?;
        Ok(Rows { figures: figures.collect::<Result<_, _>>()?, ..common })
    }

    /// The columns that both data sets have. Keys are the other columns of these `kinds`.
    fn common(&self, kinds: fn(&DataType) -> bool) -> Result<Rows, PublishError> {
        Ok(Rows {
            sample: self.text(SAMPLE)?,
            container: self.text(CONTAINER)?,
            keys: self.keys(kinds)?,
            line: self.integers(LINE, "int32")?,
            pixel: self.integers(PIXEL, "int32")?,
            x_mm: self.floats(X)?,
            y_mm: self.floats(Y)?,
            time_ns: self.times()?,
            quality: self.quality()?,
            figures: Vec::new(),
            embedding: Lists { values: Float32Array::from(Vec::<f32>::new()), begin: 0, ends: vec![0; self.batch.num_rows()] },
        })
    }
}
