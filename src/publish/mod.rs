//! Embeddings into a Parquet data set that others follow while the belt still moves, and out of it again.
//!
//! One Hive-partitioned data set holds all scans: `embeddings/scan=<scan_id>/part-00000.parquet`. A part appears under its name when
//! it is complete; until then it lies in a hidden folder beside the data set. (Within it, a hidden file would do for pyarrow and
//! DuckDB, but polars refuses a folder that holds anything but `.parquet` files.) Rows stand in the order in which they were
//! encoded, within a part and from part to part.

mod columns;
mod error;
mod inspect;
mod part;
mod published;
mod stage;
mod tail;
#[cfg(test)]
mod tests;
mod write_row;

pub use error::PublishError;
pub use inspect::inspect;
pub use published::{PublishedPart, PublishedRow, published};
pub use stage::{Part, Publish, clear_unfinished, withdraw};
pub use tail::{Tail, TailRow};
pub use write_row::{Format, RowWriter};

use std::path::{Path, PathBuf};

/// The data set under a data root.
pub fn data_set(data_dir: &Path) -> PathBuf {
    data_dir.join("embeddings")
}

/// The folder of a scan in the data set.
pub fn scan_folder(data_dir: &Path, scan_id: &str) -> PathBuf {
    data_set(data_dir).join(format!("{SCAN}{scan_id}"))
}

/// What stands before the scan's id in the name of its folder.
const SCAN: &str = "scan=";

fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

/// The number of a part by its file name.
fn part_number(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}

/// Where parts lie that are not complete.
fn unfinished_folder(data_dir: &Path) -> PathBuf {
    data_dir.join(".embeddings-unfinished")
}

/// The name of a part that is not complete.
fn unfinished_name(scan_id: &str, number: u32) -> String {
    format!("{scan_id}.{}", part_name(number))
}

/// Whether this is the name of a part of the scan that is not complete.
fn is_unfinished(name: &str, scan_id: &str) -> bool {
    name.strip_prefix(scan_id).and_then(|rest| part_number(rest.strip_prefix('.')?)).is_some()
}
