//! Samples in the file formats of others.
//!
//! Cubes are read in blocks of lines and never held whole. An export writes to a hidden folder of the target. Its files get their
//! names when all of them are complete, and no file that is there already is replaced.

pub mod csv;
mod cube;
pub mod envi;
mod error;
pub mod hidsag;
pub mod results;
mod scan;
mod staging;

pub use error::ExportError;
pub use scan::Scan;
pub use staging::Exported;
