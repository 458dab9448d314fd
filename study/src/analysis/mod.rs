//! Maps, clusters and trees of all representations, and the settings of every step after the reduction.

mod check;
mod clusters;
mod config;
mod error;
mod maps;
mod trees;

pub use check::check_data;
pub use clusters::{Elbow, FactorAgreement, elbows};
pub use config::{ReportConfig, StepsConfig};
pub use error::StepError;
pub use maps::{Map, maps};
pub use trees::{Trees, trees};
