//! ENVI images: a text header beside a file of plain numbers.
//!
//! The format is described in ENVI's manual under "ENVI Header Files". Specim's Lumo recorder adds `fps`, `tint` (ms), `binning`,
//! `errors` and others, which are read and written here too. ENVI calls pixels across the line "samples".

mod encoding;
mod error;
mod header;
mod image;
mod parse;
mod text;

pub use encoding::{ByteOrder, DataType, Interleave};
pub use error::{HeaderError, Warning};
pub use header::Header;
pub use image::{Image, ImageError};
