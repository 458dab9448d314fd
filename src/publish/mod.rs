//! Embeddings into a Parquet data set that others follow while the belt still moves, and out of it again.
//!
//! A Hive-partitioned data set holds all scans: `embeddings/scan=<scan_id>/part-00000.parquet`. Encoders besides `main` have one each,
//! `embeddings-<name>`. `schema.rs` has the columns. A part
//! appears under its name when it is complete. Until then it lies in a hidden folder beside the data set, because polars refuses a
//! data set that holds anything but `.parquet` files. Rows stand in the order in which they were encoded, within a part and from part
//! to part.

mod columns;
mod error;
mod inspect;
mod minerals;
mod part;
mod paths;
mod points;
mod published;
mod read;
mod rows;
mod schema;
mod stage;
mod tail;
#[cfg(test)]
mod tests;
mod upgrade;
mod write_row;

pub use error::PublishError;
pub use inspect::inspect;
pub use minerals::{MineralsPart, PublishMinerals, minerals_folder, minerals_part, minerals_set, withdraw_all, withdraw_minerals};
pub use paths::DataSet;
pub use points::Points;
pub use published::{PublishedPart, PublishedRow, published};
pub use schema::FORMAT_VERSION;
pub use stage::{Part, Publish, clear_all_unfinished, clear_unfinished, withdraw};
pub use tail::{Tail, TailRow};
pub use upgrade::upgrade;
pub use write_row::{Format, RowWriter};
