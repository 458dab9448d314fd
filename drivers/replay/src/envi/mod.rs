//! ENVI images: a text header beside a file of plain numbers.
//!
//! ENVI's manual describes the format under "ENVI Header Files". Specim's Lumo recorder adds `fps`, `tint` (ms), `binning`,
//! `errors` and others. They are read and written here too. ENVI calls pixels across the line "samples".

mod encoding;
mod error;
mod files;
mod header;
mod image;
mod parse;
mod reading;
mod text;

pub use encoding::{ByteOrder, DataType, Interleave};
pub use error::{HeaderError, Warning};
pub use files::DATA_ENDINGS;
pub(crate) use files::{Name, Neighbours, without_ending, without_hdr};
pub use header::Header;
pub use image::{Image, ImageError};
pub use reading::{Reading, Reflectance};
