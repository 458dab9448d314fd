//! What every step of the study works on: numbers in rows, and the classes of those rows.

use crate::codes::Codes;

/// One representation of the spectra, such as principal components, or the codes of an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Representation {
    /// Short name, such as `pca4` or `conv16`.
    pub name: String,
    /// One row per spectrum, one column per feature.
    pub codes: Codes,
}

/// A label of every spectrum, such as the plant, with its classes in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// The sample key it comes from, such as `plant`.
    pub name: String,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// For each spectrum the index of its class in `classes`.
    pub of: Vec<u16>,
}

/// Where a spectrum was measured, to keep neighbours together when data are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the sample.
    pub sample: u32,
    /// Line in the sample's cube.
    pub line: i32,
    /// Pixel in the sample's cube.
    pub pixel: i32,
}
