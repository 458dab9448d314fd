//! What is found in all representations: maps, clusters and trees, and the settings of these and of the steps after them.

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
