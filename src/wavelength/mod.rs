//! The wavelength axis of a camera, checked by features of known wavelength.
//!
//! A doped tile, a film or the white panel itself absorbs at known wavelengths. A file lists them ([`Features`]). Each is fitted in the mean
//! spectra of some columns of pixels. True minus found wavelength, over the line and the spectrum, gives shift, smile, tilt and the error of
//! the dispersion ([`Axis`]). Every figure has its standard uncertainty.

mod axis;
mod features;
mod fit;
mod history;
#[cfg(test)]
mod tests;
mod white;

pub use axis::{Axis, AxisError, CameraBands, Column, SURE, SeenFeature, Value};
pub use features::{Certified, Feature, FeatureKind, Features, FeaturesError};
pub use fit::{Found, Lost};
pub use history::{HistoryLine, Origin, append_history, history_path, read_history};
pub use white::columns;
