//! The configuration of a study, one TOML file. Its paths are relative to its folder.

use crate::analysis::{ReportConfig, StepError, StepsConfig};
use crate::autoencoder::{Kind, Training};
use crate::classify::ClassifyConfig;
use crate::kmeans::KmeansConfig;
use crate::linkage::LinkageConfig;
use crate::pairs::vicreg::VicregConfig;
use crate::pairs::{Encoder, EncoderKind, PairsConfig};
use crate::regress::{RegressConfig, RegressError};
use crate::tsne::TsneConfig;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is no valid configuration.
    #[error("{path}: {source}")]
    Parse {
        /// The file's path.
        path: PathBuf,
        /// The place and the fault.
        source: Box<toml::de::Error>,
    },
    /// A value lies outside its range.
    #[error("{path}: {key} must be {needs}")]
    Value {
        /// The file's path.
        path: PathBuf,
        /// The key of the value, with its section.
        key: String,
        /// The values that it can take.
        needs: &'static str,
    },
    /// A value of the steps after the reduction lies outside its range.
    #[error("{path}: {source}")]
    Step {
        /// The file's path.
        path: PathBuf,
        /// The key and the values that it can take.
        source: Box<StepError>,
    },
    /// A value of the regression lies outside its range.
    #[error("{path}: {source}")]
    Regress {
        /// The file's path.
        path: PathBuf,
        /// The key and the values that it can take.
        source: Box<RegressError>,
    },
}

/// The configuration of a study.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Scans of simulated samples.
    #[serde(default)]
    pub campaign: Campaign,
    /// The spectra of the study.
    #[serde(default)]
    pub data: Data,
    /// The representations of these spectra.
    #[serde(default)]
    pub reduce: Reduce,
    /// Settings of the training of autoencoders.
    #[serde(default)]
    pub training: Training,
    /// Settings of the encoders that learn from pairs.
    #[serde(default)]
    pub pairs: PairsConfig,
    /// Settings of the training of those by VICReg.
    #[serde(default)]
    pub vicreg: VicregConfig,
    /// Settings of the maps.
    #[serde(default)]
    pub tsne: TsneConfig,
    /// Settings of the clusters.
    #[serde(default)]
    pub kmeans: KmeansConfig,
    /// Settings of the trees.
    #[serde(default)]
    pub linkage: LinkageConfig,
    /// Settings of the random forests.
    #[serde(default)]
    pub classify: ClassifyConfig,
    /// Settings of the page.
    #[serde(default)]
    pub report: ReportConfig,
    /// Settings of the regression.
    #[serde(default)]
    pub regress: RegressConfig,
}

/// Samples of plants, months and grain sizes. A simulated rig scans them tray by tray.
#[derive(Debug, Clone, PartialEq, Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Campaign {
    /// Configuration of the rig. Its simulated tray gives the number of containers.
    pub rig: PathBuf,
    /// Data root of the scans.
    pub folder: PathBuf,
    /// Seed of the order of the samples, and of the weather.
    pub seed: u64,
    /// Names of the plants.
    pub plants: Vec<String>,
    /// Names of the months.
    pub months: Vec<String>,
    /// Names of the grain sizes.
    pub sizes: Vec<String>,
    /// Spread of the water between the grains from tray to tray, as standard deviation of its natural logarithm.
    pub weather_spread: f64,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            rig: "study-rig.toml".into(),
            folder: "../data/study/campaign".into(),
            seed: 1,
            plants: ["P1", "P2", "P3"].map(String::from).to_vec(),
            months: (1..=12).map(|month| format!("2018-{month:02}")).collect(),
            sizes: ["minus100", "plus100"].map(String::from).to_vec(),
            weather_spread: 0.2,
        }
    }
}

/// The spectra of the study.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Files or folders with spectra. Without it, the study reads the scans of the campaign.
    pub sources: Option<Vec<PathBuf>>,
    /// Sample keys that serve as labels.
    pub labels: Vec<String>,
    /// Size up to which spectra stay in memory, MiB. Larger data sets go into a file.
    pub memory_mib: usize,
}

impl Default for Data {
    fn default() -> Self {
        Self { sources: None, labels: ["size", "plant", "month"].map(String::from).to_vec(), memory_mib: 2048 }
    }
}

/// The representations of the spectra.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reduce {
    /// Folder of models and codes.
    pub folder: PathBuf,
    /// Numbers of principal components, one representation each.
    pub pca: Vec<usize>,
    /// Seeds of the trainings. Every autoencoder has one training for each.
    pub seeds: Vec<u64>,
    /// The autoencoders.
    pub autoencoder: Vec<Autoencoder>,
    /// The encoders that learn from pairs.
    pub encoder: Vec<Encoder>,
}

impl Default for Reduce {
    fn default() -> Self {
        let of = |name: &str, kind, latent| Autoencoder { name: name.to_owned(), kind, latent, spectra: None };
        let from_pairs = |name: &str, kind, latent| Encoder { name: name.to_owned(), kind, latent };
        Self {
            folder: "../data/study/reduced".into(),
            pca: vec![4, 16],
            seeds: vec![1],
            autoencoder: vec![of("dense4", Kind::Dense, 4), of("conv16", Kind::Conv, 16)],
            encoder: vec![from_pairs("pairs4", EncoderKind::Pairs, 4), from_pairs("vicreg4", EncoderKind::Vicreg, 4)],
        }
    }
}

/// One autoencoder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autoencoder {
    /// Name of its representation.
    pub name: String,
    /// The kind of network.
    pub kind: Kind,
    /// Length of a code.
    pub latent: usize,
    /// Number of spectra for training and validation. It replaces `training.spectra`.
    #[serde(default)]
    pub spectra: Option<usize>,
}

impl Config {
    /// Reads and checks a configuration. Its paths become relative to the working directory.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a file that cannot be read or parsed, and for a value outside its range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.campaign.rig = base.join(&config.campaign.rig);
        config.campaign.folder = base.join(&config.campaign.folder);
        config.reduce.folder = base.join(&config.reduce.folder);
        config.report.folder = base.join(&config.report.folder);
        config.regress.rebase(base);
        config.data.sources = config.data.sources.map(|list| list.into_iter().map(|source| base.join(source)).collect());
        config.check().map_err(|(key, needs)| ConfigError::Value { path: path.to_owned(), key: key.to_owned(), needs })?;
        config.steps().check().map_err(|source| ConfigError::Step { path: path.to_owned(), source: Box::new(source) })?;
        config.regress.check().map_err(|source| ConfigError::Regress { path: path.to_owned(), source: Box::new(source) })?;
        Ok(config)
    }

    /// The sections of the steps after the reduction.
    pub fn steps(&self) -> StepsConfig {
        let Self { tsne, kmeans, linkage, classify, report, .. } = self.clone();
        StepsConfig { tsne, kmeans, linkage, classify, report }
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let need = |holds: bool, key, needs| if holds { Ok(()) } else { Err((key, needs)) };
        let name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let campaign = &self.campaign;
        need(!campaign.plants.is_empty() && !campaign.months.is_empty() && !campaign.sizes.is_empty(), "campaign", "at least one sample")?;
        need((0.0..=2.0).contains(&campaign.weather_spread), "campaign.weather_spread", "from 0 to 2")?;
        need(self.data.memory_mib > 0, "data.memory_mib", "1 or more")?;
        need(!self.reduce.seeds.is_empty(), "reduce.seeds", "at least one seed")?;
        need(self.reduce.pca.iter().all(|components| *components > 0), "reduce.pca", "numbers above 0")?;
        let networks = &self.reduce.autoencoder;
        need(networks.iter().all(|n| n.latent > 0), "reduce.autoencoder.latent", "1 or more")?;
        need(networks.iter().all(|n| name(&n.name)), "reduce.autoencoder.name", "letters, digits, `_` and `-`")?;
        let encoders = &self.reduce.encoder;
        need(encoders.iter().all(|e| e.latent > 0), "reduce.encoder.latent", "1 or more")?;
        need(encoders.iter().all(|e| name(&e.name)), "reduce.encoder.name", "letters, digits, `_` and `-`")?;
        let mut names: Vec<String> = self.reduce.pca.iter().map(|components| format!("pca{components}")).collect();
        names.extend(networks.iter().map(|n| &n.name).chain(encoders.iter().map(|e| &e.name)).cloned());
        let unique = names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
        need(unique, "reduce: the name of each representation", "another for each")?;
        need((0.0..=1.0).contains(&self.pairs.ridge), "pairs.ridge", "from 0 to 1")?;
        self.vicreg.check()?;
        let training = &self.training;
        need(training.epochs > 0, "training.epochs", "1 or more")?;
        need(training.batch > 0, "training.batch", "1 or more")?;
        need(training.validation > 0.0 && training.validation < 0.9, "training.validation", "above 0 and below 0.9")?;
        need(training.rate > 0.0 && training.rate.is_finite(), "training.rate", "above 0")?;
        need((0.0..1.0).contains(&training.rho), "training.rho", "0 or more and below 1")?;
        need(training.rate_threshold >= 0.0, "training.rate_threshold", "0 or more")?;
        need(training.min_rate > 0.0, "training.min_rate", "above 0")?;
        need(training.rate_factor > 0.0 && training.rate_factor < 1.0, "training.rate_factor", "above 0 and below 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_what_is_taken_without_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/study.toml");
        let config = Config::read(&path).unwrap();
        let usual = StepsConfig::default();
        let folder = config.report.folder.clone();
        assert!(folder.ends_with("data/study/report"), "{}", folder.display());
        let report = ReportConfig { folder: usual.report.folder.clone(), ..config.report.clone() };
        assert_eq!(StepsConfig { report, ..config.steps() }, usual);
        let regress = RegressConfig { folder: RegressConfig::default().folder, ..config.regress.clone() };
        assert_eq!(regress, RegressConfig::default());
        let names: Vec<&str> =
            config.reduce.autoencoder.iter().map(|n| &n.name[..]).chain(config.reduce.encoder.iter().map(|e| &e.name[..])).collect();
        assert_eq!((config.pairs, config.vicreg), (PairsConfig::default(), VicregConfig::default()));
        assert!(config.report.expected.iter().all(|name| names.contains(&name.as_str()) || name == "pca4"));
    }

    #[test]
    fn a_step_out_of_range_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        std::fs::write(&path, "[classify]\nmargin = 20\n").unwrap();
        let said = Config::read(&path).unwrap_err().to_string();
        assert!(said.ends_with("study.toml: classify.margin is 20, and must be at most classify.block"), "{said}");
    }
}
