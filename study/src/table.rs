//! Tables that every step of the study shares: codes in rows, and the classes of these rows.

use crate::codes::Codes;

/// One representation of the spectra, such as principal components or the codes of an autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Representation {
    /// Short name, such as `pca4` or `conv16`.
    pub name: String,
    /// The codes, `(spectra, features)`.
    pub codes: Codes,
}

/// A label of every spectrum, such as the plant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// The sample key of the label, such as `plant`.
    pub name: String,
    /// Names of the classes, in the order of their display.
    pub classes: Vec<String>,
    /// The class of each spectrum, as an index in `classes`.
    pub of: Vec<u16>,
}

/// The place of a spectrum in its sample. The split by place keeps neighbours together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the sample.
    pub sample: u32,
    /// Line in the sample's cube.
    pub line: i32,
    /// Pixel in the sample's cube.
    pub pixel: i32,
}
