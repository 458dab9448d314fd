//! The settings of the regression.

use super::error::RegressError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `[regress]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegressConfig {
    /// Table of labels, a CSV with a row for each sample. Only the regression needs it.
    pub table: Option<PathBuf>,
    /// Folder of the results.
    pub folder: PathBuf,
    /// Column with the names of the samples.
    pub sample: String,
    /// Column whose samples stay on one side of every split. Without it, each sample is a group.
    pub group: Option<String>,
    /// Columns of the labels, without units. Without it, all columns with numbers.
    pub targets: Option<Vec<String>>,
    /// Representations whose mean codes are tried beside the spectra, by the names of their folders.
    pub codes: Vec<String>,
    /// Share of the samples that intervals should hold.
    pub level: f64,
    /// Share of ordinary samples that should not be refused.
    pub accept: f64,
    /// Number of folds. Fewer groups make fewer folds.
    pub folds: usize,
    /// Seed of the folds and of the bootstrap.
    pub seed: u64,
    /// Most components of partial least squares.
    pub components: usize,
    /// Windows of the derivatives by Savitzky and Golay, bands. Odd.
    pub windows: Vec<usize>,
    /// Band masks. Each is a choice beside all bands.
    pub mask: Vec<MaskConfig>,
}

/// Bands that a choice leaves out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskConfig {
    /// Name in the results.
    pub name: String,
    /// Ranges that are left out, nm.
    pub drop_nm: Vec<[f64; 2]>,
}

impl Default for RegressConfig {
    fn default() -> Self {
        Self {
            table: None,
            folder: "../data/study/regress".into(),
            sample: "sample".into(),
            group: None,
            targets: None,
            codes: Vec::new(),
            level: 0.9,
            accept: 0.99,
            folds: 10,
            seed: 0,
            components: 12,
            windows: vec![7, 15],
            mask: vec![MaskConfig { name: "dry".into(), drop_nm: vec![[1340.0, 1460.0], [1790.0, 1990.0]] }],
        }
    }
}

/// Fewest folds. Three are left out at once, and two must remain.
pub(super) const FEWEST_FOLDS: usize = 5;

impl RegressConfig {
    /// Makes the paths relative to `base`.
    pub(crate) fn rebase(&mut self, base: &Path) {
        self.folder = base.join(&self.folder);
        self.table = self.table.take().map(|table| base.join(table));
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`RegressError::Setting`] with the first key outside its range.
    pub fn check(&self) -> Result<(), RegressError> {
        let refuse = |key, found: String, expected| Err(RegressError::Setting { key, found, expected });
        if !(0.5..=0.99).contains(&self.level) {
            return refuse("level", self.level.to_string(), "0.5 to 0.99");
        }
        if !(0.5..=0.9999).contains(&self.accept) {
            return refuse("accept", self.accept.to_string(), "0.5 to 0.9999");
        }
        if !(FEWEST_FOLDS..=20).contains(&self.folds) {
            return refuse("folds", self.folds.to_string(), "5 to 20");
        }
        if !(1..=100).contains(&self.components) {
            return refuse("components", self.components.to_string(), "1 to 100");
        }
        if let Some(window) = self.windows.iter().find(|window| **window % 2 == 0 || !(5..=99).contains(*window)) {
            return refuse("windows", window.to_string(), "odd numbers from 5 to 99");
        }
        for mask in &self.mask {
            let rising = |range: &&[f64; 2]| !(range[0].is_finite() && range[1].is_finite() && range[0] < range[1]);
            if let Some(range) = mask.drop_nm.iter().find(rising) {
                return refuse("mask.drop_nm", format!("{range:?}"), "pairs of wavelengths in nm, the lower first");
            }
        }
        if self.sample.is_empty() || self.group.as_ref() == Some(&self.sample) {
            return refuse("sample", format!("{:?}", self.sample), "the name of a column other than regress.group");
        }
        Ok(())
    }
}
