//! Regression of numbers of samples, such as assays, on their mean spectra and mean codes.
//!
//! Folds hold whole groups of samples. The choice of pretreatment and model happens inside the folds. Every value has an interval by
//! CV+, and a distance from the training spectra.

mod baseline;
mod config;
pub mod conformal;
pub mod domain;
mod error;
pub mod fit;
mod folds;
mod head;
pub mod labels;
mod measures;
pub mod nested;
pub mod pretreat;
mod run;
#[cfg(test)]
mod tests;
mod write;

pub use baseline::{Baseline, BaselineKind};
pub use config::{MaskConfig, RegressConfig};
pub use error::RegressError;
pub use folds::{Folds, folds};
pub use head::{Head, HeadModel, Judged, View};
pub use labels::{Labels, Target};
pub use measures::{Interval, Measures};
pub use run::{Held, Outcome, Samples, Table, check, head, held_out, regress};
pub use write::{figure, learn, run, write};
