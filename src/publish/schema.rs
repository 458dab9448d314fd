//! Every column and every metadata key of the Parquet data set, once: writers and readers share them.
//!
//! Between [`CONTAINER`] and [`LINE`] a part has a column for each sample key of its tray, named by the key. `src/schema.rs` states
//! the policy of format versions.

use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// Format version of the Parquet files that this program writes.
pub const FORMAT_VERSION: u32 = 2;

/// Format version of the Parquet files with minerals that this program writes.
pub const MINERALS_VERSION: u32 = 1;

/// The scan's id, which readers of the data set take from the name of the folder `scan=<scan_id>`.
pub(super) const SCAN: &str = "scan";

// Columns.
pub(super) const SAMPLE: &str = "sample";
pub(super) const CONTAINER: &str = "container";
pub(super) const LINE: &str = "line";
pub(super) const PIXEL: &str = "pixel";
pub(super) const X: &str = "x_mm";
pub(super) const Y: &str = "y_mm";
pub(super) const TIME: &str = "time";
pub(super) const TIME_NS: &str = "time_ns";
pub(super) const QUALITY: &str = "quality";
pub(super) const EMBEDDING: &str = "embedding";
/// Distance from the encoder's training, in units of its limit. Only parts of encoders that tell it have the column.
pub(super) const NOVELTY: &str = "novelty";
pub(super) const SPECTRUM: &str = "spectrum";
/// The name of a list's values, as the Parquet format has it.
pub(super) const ELEMENT: &str = "element";
/// Columns that are no sample keys.
pub(super) const NO_KEYS: [&str; 13] = [SCAN, SAMPLE, CONTAINER, LINE, PIXEL, X, Y, TIME, TIME_NS, QUALITY, EMBEDDING, NOVELTY, SPECTRUM];

/// Keys of the metadata.
pub(super) mod key {
    pub(crate) const FORMAT_VERSION: &str = "hyclus.format_version";
    pub(crate) const SCAN: &str = "hyclus.scan_id";
    pub(crate) const ENCODER: &str = "hyclus.encoder_sha256";
    pub(crate) const WAVELENGTHS: &str = "hyclus.wavelengths_nm";
    pub(crate) const VERSION: &str = "hyclus.version";
    pub(crate) const LIBRARY: &str = "hyclus.library";
    pub(crate) const LIBRARY_SHA256: &str = "hyclus.library_sha256";
    /// The Arrow schema, which the Parquet library adds.
    pub(crate) const ARROW_SCHEMA: &str = "ARROW:schema";
}

/// Type of [`SAMPLE`], [`CONTAINER`] and the sample keys' columns. Sail knows no dictionaries.
pub(super) fn string() -> DataType {
    DataType::Utf8
}

/// Type of [`TIME`]. Spark knows no nanoseconds, and so [`TIME_NS`] has them.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A time of [`TIME_NS`] as [`TIME`] has it.
pub(super) fn whole_us(time_ns: i64) -> i64 {
    time_ns.div_euclid(1000)
}

/// Type of [`QUALITY`]. Delta has signed integers only.
pub(super) fn quality() -> DataType {
    DataType::Int16
}

/// The field of the values of [`EMBEDDING`] and [`SPECTRUM`].
pub(super) fn list_element() -> Arc<Field> {
    Arc::new(Field::new(ELEMENT, DataType::Float32, false))
}

/// Type of [`EMBEDDING`] and [`SPECTRUM`]: lists of `width` numbers.
pub(super) fn floats(width: usize) -> DataType {
    DataType::FixedSizeList(list_element(), i32::try_from(width).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Tray;

    #[test]
    fn no_sample_key_hides_a_column() {
        for name in NO_KEYS {
            let map = |key: &str| {
                let place = serde_json::json!({"at": "A1", "sample": "a", key: "1"});
                serde_json::json!({"tray": "T", "keys": [key], "grid": {"rows": 1, "columns": 1}, "container": [place]})
            };
            assert!(Tray::check(&map(&format!("{name}2"))).is_ok(), "{name}2");
            assert!(Tray::check(&map(name)).is_err(), "{name}");
        }
    }
}
