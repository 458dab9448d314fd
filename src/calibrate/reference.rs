//! References and what is made of them.

use contract::Exposure;

/// A dark or white reference: statistics over its frames, `[band][pixel]` in counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Mean counts, `[band][pixel]`.
    pub mean: Vec<f32>,
    /// Standard deviation over the frames, counts, `[band][pixel]`.
    pub sd: Vec<f32>,
    /// Frames averaged.
    pub frames: u32,
    /// When the first of them was exposed, ns since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// Settings of the camera.
    pub exposure: Exposure,
}

/// A calibration from a dark and a white reference:
/// `reflectance = (counts - dark) * panel / (white - dark)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// The dark reference.
    pub dark: Reference,
    /// The white reference.
    pub white: Reference,
    /// Reflectance of the panel at each band.
    pub panel: Vec<f32>,
    /// `panel / (white - dark)`, 1/counts, `[band][pixel]`; zero for bad elements.
    pub gain: Vec<f32>,
    /// Dead and hot elements, `[band][pixel]`: 1 where bad.
    pub bad: Vec<u8>,
}

/// How a camera's numbers become reflectance.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// By references.
    Referenced(Box<Referenced>),
    /// The recording is reflectance already, `scale` standing for one.
    Scaled {
        /// What stands for a reflectance of one.
        scale: f64,
        /// The value that stands for "no data".
        ignore: Option<f64>,
    },
}
