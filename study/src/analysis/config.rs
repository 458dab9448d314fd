//! The sections of the configuration that the steps after the reduction read.

use super::error::StepError;
use crate::classify::ClassifyConfig;
use crate::kmeans::KmeansConfig;
use crate::linkage::LinkageConfig;
use crate::tsne::TsneConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The sections of the study's configuration that these steps read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepsConfig {
    /// Maps.
    pub tsne: TsneConfig,
    /// Clusters.
    pub kmeans: KmeansConfig,
    /// Trees.
    pub linkage: LinkageConfig,
    /// Forests.
    pub classify: ClassifyConfig,
    /// The page.
    pub report: ReportConfig,
}

impl StepsConfig {
    /// Checks every section.
    ///
    /// # Errors
    ///
    /// [`StepError`] with the first key that is out of its range.
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
    /// Where the page goes, as `report.html`, and what the steps write by themselves.
    pub folder: PathBuf,
    /// Heading of the page.
    pub title: String,
    /// Spectra shown as rows of the images, drawn evenly over the classes.
    pub image_rows: usize,
    /// Representations from the one expected to tell classes apart best to the one expected to do so worst; the page says whether they do.
    pub expected: Vec<String>,
}

impl Default for ReportConfig {
    fn default() -> Self {
        let expected = ["conv16", "dense4", "pca4"].map(str::to_owned).to_vec();
        Self {
            folder: "../data/study/report".into(),
            title: "Spectra of crushed ore: reduction, grouping and classification".into(),
            image_rows: 600,
            expected,
        }
    }
}
