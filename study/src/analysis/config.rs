//! The settings of the steps after the reduction.

use super::error::StepError;
use crate::classify::ClassifyConfig;
use crate::kmeans::KmeansConfig;
use crate::linkage::LinkageConfig;
use crate::tsne::TsneConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The sections of the study's configuration for the steps after the reduction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepsConfig {
    /// Settings of the maps.
    pub tsne: TsneConfig,
    /// Settings of the clusters.
    pub kmeans: KmeansConfig,
    /// Settings of the trees.
    pub linkage: LinkageConfig,
    /// Settings of the random forests.
    pub classify: ClassifyConfig,
    /// Settings of the page.
    pub report: ReportConfig,
}

impl StepsConfig {
    /// Checks every section.
    ///
    /// # Errors
    ///
    /// [`StepError`] with the first key outside its range.
    pub fn check(&self) -> Result<(), StepError> {
        self.tsne.check()?;
        self.kmeans.check()?;
        self.linkage.check()?;
        Ok(self.classify.check()?)
    }
}

/// `[report]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
    /// Folder of the page `report.html`, and of the files of single steps.
    pub folder: PathBuf,
    /// Heading of the page.
    pub title: String,
    /// Number of spectra in the images, drawn evenly over the classes.
    pub image_rows: usize,
    /// Representations by their expected accuracy, the best first. The page compares the results with this order.
    pub expected: Vec<String>,
}

impl Default for ReportConfig {
    fn default() -> Self {
        let expected = ["vicreg4", "pairs4", "dense4", "pca4"].map(str::to_owned).to_vec();
        Self {
            folder: "../data/study/report".into(),
            title: "Spectra of crushed ore: reduction, grouping and classification".into(),
            image_rows: 600,
            expected,
        }
    }
}
