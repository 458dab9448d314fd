//! What a Parquet file claims, checked before the Parquet library believes it.
//!
//! The library reserves memory for sizes that a footer or the head of a page states. A size beyond the file, or beyond any use, is
//! refused here. What remains are faults of the library. They become errors in [`caught`].

mod thrift;

use arrow_schema::DataType;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::sync::Once;
use thrift::{Compact, kind};

/// Longest footer, bytes.
const FOOTER_BYTES: usize = 16 << 20;
/// Deepest nesting of columns.
const NESTED: usize = 32;
/// Longest head of a page, bytes. Statistics of texts stand in it.
const HEAD_BYTES: usize = 64 << 10;
/// Most bytes of any page.
const PAGE_BYTES: u64 = 256 << 20;
/// Bytes that a page may have whatever its compressed size.
const SMALL_PAGE_BYTES: u64 = 16 << 20;
/// Most times that a larger page is larger than it is compressed.
const RATIO: u64 = 1024;
/// Most values of lists for a byte of their pages.
const VALUES_PER_BYTE: u64 = 1024;
/// Most values of a column of lists in a row group.
const LIST_VALUES: u64 = 1 << 29;
/// Widest list of a fixed size, and widest value of a fixed size.
const WIDTH: i32 = 1 << 16;
/// Most rows that are read together.
const BATCH_ROWS: u64 = 1024;
/// Bytes of a column of a batch, about.
const BATCH_BYTES: u64 = 32 << 20;

thread_local! {
    /// Whether a panic of this thread is expected and said otherwise.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Calls the Parquet library. It panics on some files that are damaged, and that becomes an error.
///
/// # Errors
/// The call fails or panics.
pub(crate) fn caught<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let was = QUIET.replace(true);
    let result = std::panic::catch_unwind(AssertUnwindSafe(call));
    QUIET.set(was);
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it is damaged ({})", said.unwrap_or("the Parquet library gave up")))
        }
    }
}

/// The footer of a file, of which every announced length was checked.
///
/// # Errors
/// The file is no Parquet, or its footer is damaged or of no use.
pub(crate) fn footer(file: &File, bytes: u64) -> Result<Vec<u8>, String> {
    let mut end = [0; 8];
    if bytes < 12 {
        return Err(format!("it has {bytes} bytes, and no Parquet file is so short; it was cut off, or is no Parquet file"));
    }
    file.read_exact_at(&mut end, bytes - 8).map_err(|e| e.to_string())?;
    if end[4..] == *b"PARE" {
        return Err("it is encrypted, which hyclus does not read".to_owned());
    }
    if end[4..] != *b"PAR1" {
        return Err("it does not end as a Parquet file ends; it was cut off, or is no Parquet file".to_owned());
    }
    let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    if length as u64 > bytes - 8 || length > FOOTER_BYTES {
        return Err(format!("its footer should have {length} bytes, of {bytes} in the file and {FOOTER_BYTES} at most"));
    }
    let mut footer = vec![0; length];
    file.read_exact_at(&mut footer, bytes - 8 - length as u64).map_err(|e| e.to_string())?;
    check_footer(&footer).map_err(|why| format!("its footer is damaged: {why}"))?;
    Ok(footer)
}

fn check_footer(footer: &[u8]) -> Result<(), String> {
    Compact::new(footer).structure(&mut |text, field, found| {
        // The schema: a tree, parents first.
        if (field, found) != (2, kind::LIST) {
            return Ok(false);
        }
        let (element, size) = text.list()?;
        if element != kind::STRUCT {
            return Err("its schema is none".to_owned());
        }
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..size {
            let mut children = 0;
            text.structure(&mut |text, field, found| {
                let counts = (field, found) == (5, kind::I32);
                if counts {
                    children = text.number()?;
                }
                Ok(counts)
            })?;
            if children < 0 || children > size as i64 {
                return Err(format!("a column has {children} columns below it"));
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(children);
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > NESTED {
                return Err(format!("its columns are nested deeper than {NESTED}"));
            }
        }
        Ok(true)
    })
}

/// Lists and values of a fixed size, which are filled up where one is missing.
///
/// # Errors
/// One is wider than any use.
pub(crate) fn check_type(name: &str, kind: &DataType) -> Result<u64, String> {
    match kind {
        DataType::FixedSizeList(_, width) | DataType::FixedSizeBinary(width) if !(0..=WIDTH).contains(width) => {
            Err(format!("column {name}: a list of {width} values, of {WIDTH} at most"))
        }
        DataType::FixedSizeList(item, width) => {
            let width = u64::from(width.unsigned_abs()) * check_type(name, item.data_type())?;
            if width > u64::from(WIDTH.unsigned_abs()) * 16 {
                Err(format!("column {name}: lists in lists are too wide"))
            } else {
                Ok(width)
            }
        }
        DataType::FixedSizeBinary(width) => Ok(u64::from(width.unsigned_abs())),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            check_type(name, item.data_type())
        }
        DataType::Map(item, _) => check_type(name, item.data_type()),
        DataType::Struct(fields) => {
            let widths = fields.iter().map(|field| check_type(name, field.data_type()));
            widths.sum::<Result<u64, String>>().map(|width| width.max(1))
        }
        _ => Ok(16),
    }
}

/// Checks the pages of the columns that `wanted` names by their number. Gives the rows that may be read together, if values of a row
/// have `width` bytes otherwise.
///
/// # Errors
/// A page is announced that the file cannot hold, or that no use needs.
pub(crate) fn pages(
    file: &File,
    bytes: u64,
    metadata: &ParquetMetaData,
    wanted: &dyn Fn(usize) -> bool,
    width: u64,
) -> Result<usize, String> {
    let mut left = bytes;
    let mut widest = width.max(1);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return Err(format!("row group {number} has {} rows", group.num_rows()));
        }
        for (column, chunk) in group.columns().iter().enumerate() {
            let name = chunk.column_path().string();
            let said = |why: String| format!("column {name}, row group {number}: {why}");
            let compressed = u64::try_from(chunk.compressed_size()).ok().filter(|size| *size <= left);
            // Pages that belong to several columns would multiply what a small file holds.
            left -= compressed.ok_or_else(|| said("its pages are longer than the file".to_owned()))?;
            if wanted(column) {
                widest = widest.max(chunk_pages(file, bytes, chunk).map_err(said)?);
            }
        }
    }
    Ok(usize::try_from((BATCH_BYTES / widest).clamp(1, BATCH_ROWS)).unwrap_or(1))
}

/// The head of a page.
#[derive(Debug, Default)]
struct Head {
    kind: i64,
    uncompressed: i64,
    compressed: i64,
    values: i64,
    encoding: i64,
    /// Bytes of the levels before the values, which version 2 does not compress.
    levels: [i64; 2],
    plain: bool,
}

const DICTIONARY_PAGE: i64 = 2;
/// Encodings that state the number of values again: DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const COUNTED_AGAIN: [i64; 2] = [6, 7];

impl Head {
    /// The head at the beginning of some bytes, and its length.
    fn read(bytes: &[u8]) -> Result<(Self, usize), String> {
        let mut head = Self::default();
        let mut text = Compact::new(bytes);
        text.structure(&mut |text, field, found| {
            match (field, found) {
                (1, kind::I32) => head.kind = text.number()?,
                (2, kind::I32) => head.uncompressed = text.number()?,
                (3, kind::I32) => head.compressed = text.number()?,
                (5 | 7 | 8, kind::STRUCT) => {
                    let second = field == 8;
                    text.structure(&mut |text, field, found| {
                        match (field, found) {
                            (1, kind::I32) => head.values = text.number()?,
                            (2, kind::I32) if !second => head.encoding = text.number()?,
                            (4, kind::I32) if second => head.encoding = text.number()?,
                            (5 | 6, kind::I32) if second => head.levels[usize::from(field == 6)] = text.number()?,
                            (7, kind::FALSE) if second => head.plain = true,
                            _ => return Ok(false),
                        }
                        Ok(true)
                    })?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((head, text.read()))
    }
}

/// Checks the pages of a column in a row group. Gives the bytes that a value of it may have.
fn chunk_pages(file: &File, bytes: u64, chunk: &ColumnChunkMetaData) -> Result<u64, String> {
    let size = |value: i64| u64::try_from(value).map_err(|_| format!("a size or place is {value}"));
    let descriptor = chunk.column_descr();
    let nested = descriptor.max_rep_level() > 0;
    let mut at = size(chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset()))?;
    let end = at.checked_add(size(chunk.compressed_size())?).filter(|end| *end <= bytes);
    let end = end.ok_or("its pages lie beyond the end of the file")?;
    if let Compression::LZO = chunk.compression() {
        return Err("it is compressed by LZO; hyclus reads snappy, gzip, lz4, zstd and brotli".to_owned());
    }
    let mut widest = 1;
    if chunk.column_type() == Type::FIXED_LEN_BYTE_ARRAY {
        let width = descriptor.type_length();
        widest = u64::try_from(width).ok().filter(|_| width <= WIDTH).ok_or_else(|| format!("its values have {width} bytes"))?;
    }
    let (total, mut values, mut room) = (size(chunk.num_values())?, 0_u64, 0_u64);
    let mut buffer = vec![0; HEAD_BYTES.min(usize::try_from(end - at).unwrap_or(HEAD_BYTES))];
    while at < end && values < total {
        let head = &mut buffer[..HEAD_BYTES.min(usize::try_from(end - at).unwrap_or(HEAD_BYTES))];
        file.read_exact_at(head, at).map_err(|e| e.to_string())?;
        let (page, length) = Head::read(head).map_err(|why| format!("the page at byte {at} is damaged: {why}"))?;
        at += length as u64;
        let (compressed, uncompressed, count) = (size(page.compressed)?, size(page.uncompressed)?, size(page.values)?);
        if compressed > end - at {
            return Err(format!("a page of {compressed} bytes is announced at byte {at}, and {} are left", end - at));
        }
        let most = PAGE_BYTES.min(SMALL_PAGE_BYTES.max(compressed.saturating_mul(RATIO)));
        if uncompressed > most {
            return Err(format!("the page at byte {at} should have {uncompressed} bytes from {compressed}, of {most} at most"));
        }
        let levels = size(page.levels[0])?.saturating_add(size(page.levels[1])?);
        if levels > compressed.min(uncompressed) {
            return Err(format!("the page at byte {at} should have {levels} bytes of levels"));
        }
        if page.kind == DICTIONARY_PAGE {
            if count > uncompressed {
                return Err(format!("a dictionary of {count} values is announced in {uncompressed} bytes"));
            }
            if matches!(chunk.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) {
                widest = widest.max(uncompressed);
            }
        } else {
            if COUNTED_AGAIN.contains(&page.encoding) {
                return Err("its texts are encoded by their differences, which hyclus does not read; write it with the default encodings"
                    .to_owned());
            }
            values = values.saturating_add(count);
        }
        room = room.saturating_add(uncompressed);
        // What a list holds is in memory at once.
        if nested && values > LIST_VALUES.min(room.saturating_mul(VALUES_PER_BYTE)) {
            return Err(format!("{values} values of lists are announced in {room} bytes"));
        }
        if !page.plain {
            expands(file, at + levels, compressed - levels, uncompressed - levels, chunk.compression())?;
        }
        at += compressed;
    }
    Ok(widest)
}

/// Refuses what becomes longer than announced by the codecs that the library does not stop.
fn expands(file: &File, at: u64, compressed: u64, uncompressed: u64, codec: Compression) -> Result<(), String> {
    if !matches!(codec, Compression::GZIP(_) | Compression::BROTLI(_)) || compressed == 0 {
        return Ok(());
    }
    let mut page = vec![0; usize::try_from(compressed).map_err(|e| e.to_string())?];
    file.read_exact_at(&mut page, at).map_err(|e| e.to_string())?;
    let length = |from: &mut dyn Read| std::io::copy(&mut from.take(uncompressed + 1), &mut std::io::sink());
    let length = match codec {
        Compression::GZIP(_) => length(&mut flate2::read::MultiGzDecoder::new(&page[..])),
        // A window larger than the format's own 16 MiB.
        _ if page[0] & 0x7f == 0x11 => return Err("its brotli has a large window, which hyclus does not read".to_owned()),
        _ => length(&mut brotli_decompressor::Decompressor::new(&page[..], 4096)),
    };
    match length.map_err(|e| format!("the page at byte {at} is damaged: {e}"))? {
        length if length > uncompressed => Err(format!("the page at byte {at} becomes longer than the {uncompressed} bytes announced")),
        _ => Ok(()),
    }
}
