//! A Parquet file, shown in a terminal.

use super::error::PublishError;
use super::read::open_any;
use super::schema::key;
use crate::parquet_guard::caught;
use arrow_array::{ArrayRef, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// Most rows that are shown.
const ROWS: usize = 5;
/// Most characters of a value that are shown.
const WIDTH: usize = 72;

/// Shows a Parquet file: its size, columns, metadata and first rows. A file of a newer format is shown under a warning.
///
/// # Errors
/// The file cannot be read or is no Parquet; the output refuses.
pub fn inspect(path: &Path, out: &mut dyn Write) -> Result<(), PublishError> {
    let source = open_any(path)?;
    if let Err(warning) = source.check_format() {
        writeln!(out, "warning: {warning}\n")?;
    }
    let (bytes, metadata, schema) = (source.bytes(), source.footer().clone(), source.schema().clone());
    let facts = metadata.file_metadata();
    let groups = metadata.num_row_groups();
    writeln!(out, "Parquet, {} rows in {groups} row group{}, {bytes} bytes", facts.num_rows(), if groups == 1 { "" } else { "s" })?;
    if let Some(by) = facts.created_by() {
        writeln!(out, "written by {by}")?;
    }
    writeln!(out, "\ncolumns")?;
    let widest = schema.fields().iter().map(|field| field.name().len()).max().unwrap_or(0).min(WIDTH);
    for field in schema.fields() {
        writeln!(
            out,
            "  {:<widest$}  {}{}",
            field.name(),
            kind(field.data_type()),
            if field.is_nullable() { ", may be null" } else { "" }
        )?;
    }
    writeln!(out, "\nmetadata")?;
    for entry in facts.key_value_metadata().into_iter().flatten().filter(|entry| entry.key != key::ARROW_SCHEMA) {
        writeln!(out, "  {}  {}", entry.key, shorten(entry.value.as_deref().unwrap_or("")))?;
    }
    let options = FormatOptions::default();
    let mut number = 0;
    for batch in source.batches(&|_| true, Some(ROWS))? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            writeln!(out, "\nrow {number}")?;
            number += 1;
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                let failed =
                    |reason| PublishError::Parquet { path: path.to_owned(), column: Some(field.name().clone()), doing: "read", reason };
                let value = caught(|| {
                    let column = with_offset(column)?;
                    let mut text = Short::default();
                    // A value that is cut short is no fault.
                    let _ = write!(text, "{}", ArrayFormatter::try_new(column.as_ref(), &options)?.value(row));
                    Ok::<_, ArrowError>(text.0)
                });
                writeln!(out, "  {:<widest$}  {}", field.name(), shorten(&value.map_err(failed)?))?;
            }
        }
    }
    Ok(())
}

/// Times in UTC with their zone as an offset. Arrow knows zones by name only with a database of them.
fn with_offset(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Timestamp(unit, Some(zone)) if &**zone == "UTC" => {
            let kind = DataType::Timestamp(*unit, Some("+00:00".into()));
            Ok(make_array(column.to_data().into_builder().data_type(kind).build()?))
        }
        _ => Ok(column.clone()),
    }
}

/// The name of a type, as the description of the format has it.
fn kind(kind: &DataType) -> String {
    match kind {
        DataType::FixedSizeList(item, width) => format!("fixed_size_list<{}>[{width}]", self::kind(item.data_type())),
        DataType::Dictionary(key, value) => format!("dictionary<{}, {}>", self::kind(key), self::kind(value)),
        DataType::Utf8 => "string".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// The beginning of a text. A list of many numbers is not written out.
#[derive(Default)]
struct Short(String);

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend(text.chars().take(WIDTH + 1));
        if self.0.len() > 4 * WIDTH { Err(std::fmt::Error) } else { Ok(()) }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
