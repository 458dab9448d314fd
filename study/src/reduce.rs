//! From a data set to its representations: training, encoding, decoding and export of the configured models.

use crate::autoencoder::{Epoch, Progress, Trained, Training, TrainingError, train};
use crate::campaign::{self, CampaignError};
use crate::codes::{Codes, CodesError, CodesFile, CodesWriter};
use crate::config::{Autoencoder, Config};
use crate::data::{DataError, Dataset, Reading};
use crate::known::Known;
use crate::material::MaterialError;
use crate::model_file::{self, ModelFileError};
use crate::onnx::{self, ExportError};
use crate::pairs::vicreg::{self, Vicreg};
use crate::pairs::{Encoder, EncoderKind, Moments, Pairs, PairsError};
use crate::pca::{Pca, PcaError};
use crate::table::{Factor, Place, Representation};
use candle_core::Device;
use ndarray::Array2;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Spectra that are encoded together.
const BATCH: usize = 1 << 14;
/// Reference spectra in the metadata of an exported model. The loader of a model tests it with them.
const REFERENCES: usize = 4;
/// Spectra that limits of an exported model are taken from, at most. One in a thousand exceeds a limit.
const KNOWN: usize = 1 << 14;
/// Principal components whose residual an exported model gives. Few of them leave so much over that nothing new shows.
const SPAN: usize = 32;
/// Spectra whose residuals are computed together.
const RESIDUALS: usize = 1024;

/// Why a study fails.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The spectra cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The campaign cannot be used.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// The codes do not fit the data.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The principal components cannot be computed.
    #[error(transparent)]
    Pca(#[from] PcaError),
    /// An encoder cannot be learned from pairs, or used.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// An autoencoder cannot be trained or used.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A model's file cannot be read or written, or holds none.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// A model cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The codes cannot be read.
    #[error(transparent)]
    Codes(#[from] CodesError),
}

/// The name of a representation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name in the configuration, such as `dense4`.
    pub name: String,
    /// Seed of the training. Principal components and linear directions have none.
    pub seed: Option<u64>,
}

impl Name {
    /// Name of the folder and of the model, such as `dense4-s1`.
    pub fn folder(&self) -> String {
        self.seed.map_or_else(|| self.name.clone(), |seed| format!("{}-s{seed}", self.name))
    }
}

/// A data set with its models.
pub struct Study {
    /// The data set.
    pub data: Dataset,
    config: Config,
    /// The principal components of all spectra, and their residuals, once an export has needed them.
    span: OnceLock<Option<Span>>,
}

/// Principal components, and the residuals `[row]` that they leave over.
type Span = (Pca, Vec<f32>);

/// A model of either kind.
enum Model {
    Pca(Pca),
    Network(Trained),
    Pairs(Pairs),
    Vicreg(Box<Vicreg>),
}

impl Study {
    /// Reads the spectra that the configuration names.
    ///
    /// # Errors
    ///
    /// [`StudyError::Data`] for spectra that cannot be read. [`StudyError::Campaign`] for a campaign that is not finished.
    pub fn open(config: &Config) -> Result<Self, StudyError> {
        let sources = match &config.data.sources {
            Some(sources) => sources.clone(),
            None => campaign::embeddings(&config.campaign.folder)?,
        };
        let scratch = config.reduce.folder.clone();
        let reading = Reading { sources, labels: config.data.labels.clone(), memory_mib: config.data.memory_mib, scratch };
        Ok(Self { data: Dataset::read(&reading)?, config: config.clone(), span: OnceLock::new() })
    }

    /// The configuration of the study.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of all representations. Principal components come first, then every autoencoder with each of its seeds, then encoders from
    /// pairs. Those by VICReg have the first seed only.
    pub fn representations(&self) -> Vec<Name> {
        let pca = self.config.reduce.pca.iter().map(|n| Name { name: format!("pca{n}"), seed: None });
        let networks = self.config.reduce.autoencoder.iter();
        let networks = networks.flat_map(|n| self.config.reduce.seeds.iter().map(|seed| Name { name: n.name.clone(), seed: Some(*seed) }));
        let encoders = self.config.reduce.encoder.iter().map(|encoder| self.name_of(encoder));
        pca.chain(networks).chain(encoders).collect()
    }

    /// Name of the representation of an encoder from pairs.
    pub fn name_of(&self, encoder: &Encoder) -> Name {
        let seed = self.config.reduce.seeds.first().copied().filter(|_| encoder.kind == EncoderKind::Vicreg);
        Name { name: encoder.name.clone(), seed }
    }

    /// Folder of a model. It holds `model.json`, the weights, `curve.csv`, `encoder.onnx`, `decoder.onnx` and `codes.safetensors`.
    pub fn folder(&self, name: &Name) -> PathBuf {
        self.config.reduce.folder.join(name.folder())
    }

    /// Computes and writes the principal components.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for spectra that cannot be read, too many components, and files that cannot be written.
    pub fn fit_pca(&self) -> Result<(), StudyError> {
        let Some(most) = self.config.reduce.pca.iter().max() else { return Ok(()) };
        let pca = Pca::fit(&self.data.spectra, *most)?;
        for components in &self.config.reduce.pca {
            write_model(&self.folder(&Name { name: format!("pca{components}"), seed: None }), &pca.first(*components))?;
        }
        Ok(())
    }

    /// Scatter of ln K/S over all spectra. `group_of` has the group of each sample, below `groups`.
    ///
    /// # Errors
    ///
    /// [`StudyError::Pairs`] for spectra that cannot be read.
    pub fn moments(&self, group_of: &[u32], groups: usize) -> Result<Moments, StudyError> {
        let seed = self.config.reduce.seeds.first().copied().unwrap_or_default();
        Ok(Moments::of(&self.data.spectra, &self.data.places, (group_of, groups), self.config.pairs.partner, seed)?)
    }

    /// Learns an encoder from pairs and writes it, or continues its training. A finished training by VICReg stays as it is. `watch` gets
    /// finished and all batches. The result is `false` where it stopped the training.
    ///
    /// # Errors
    ///
    /// [`StudyError::Pairs`] for spectra that cannot be learned from. [`StudyError`] for files that cannot be read or written.
    pub fn learn(&self, encoder: &Encoder, moments: &Moments, watch: impl FnMut(usize, usize) -> bool) -> Result<bool, StudyError> {
        let name = self.name_of(encoder);
        let folder = self.folder(&name);
        match encoder.kind {
            EncoderKind::Pairs => {
                write_model(&folder, &Pairs::fit(moments, |_| true, encoder.latent, self.config.pairs.ridge)?)?;
                Ok(true)
            }
            EncoderKind::Vicreg => {
                let rows: Vec<u32> = (0..self.data.spectra.len() as u32).collect();
                let trained = self.train_pairs(encoder, (moments, |_| true), &rows, &folder, watch)?;
                Ok(trained.is_some())
            }
        }
    }

    /// Trains an encoder by VICReg on `rows`, which are those of the groups that `takes` accepts.
    pub(crate) fn train_pairs(
        &self,
        encoder: &Encoder,
        groups: (&Moments, impl Fn(usize) -> bool),
        rows: &[u32],
        folder: &Path,
        watch: impl FnMut(usize, usize) -> bool,
    ) -> Result<Option<Vicreg>, StudyError> {
        let Config { pairs, vicreg: config, reduce, .. } = &self.config;
        let source = vicreg::Source { spectra: &self.data.spectra, places: &self.data.places, rows, partner: pairs.partner };
        let seed = reduce.seeds.first().copied().unwrap_or_default();
        Ok(vicreg::train(source, groups, encoder.latent, config, seed, folder, watch)?)
    }

    /// Trains an autoencoder with a seed, or continues its training. A finished training stays as it is. The result is `false` where `watch`
    /// stopped it.
    ///
    /// # Errors
    ///
    /// [`StudyError::Training`], as [`train`] gives it.
    pub fn train(&self, network: &Autoencoder, seed: u64, watch: impl FnMut(Progress<'_>) -> bool) -> Result<bool, StudyError> {
        let folder = self.folder(&Name { name: network.name.clone(), seed: Some(seed) });
        let spectra = &self.data.spectra;
        let shape = (network.kind, network.latent);
        let training = &self.config.training;
        let training = Training { spectra: network.spectra.or(training.spectra), ..training.clone() };
        Ok(train(spectra, shape, &spectra.scaling(), &training, seed, &folder, watch)?.is_some())
    }

    fn model(&self, name: &Name) -> Result<Model, StudyError> {
        let folder = self.folder(name);
        if let Some(encoder) = self.config.reduce.encoder.iter().find(|encoder| encoder.name == name.name) {
            let (model, wavelengths_nm) = match encoder.kind {
                EncoderKind::Vicreg => {
                    let model = Vicreg::open(&folder)?;
                    let nm = model.wavelengths_nm.clone();
                    (Model::Vicreg(Box::new(model)), nm)
                }
                EncoderKind::Pairs => {
                    let model: Pairs = read_model(&folder)?;
                    let nm = model.wavelengths_nm.clone();
                    (Model::Pairs(model), nm)
                }
            };
            self.data.spectra.expect_wavelengths(&wavelengths_nm)?;
            return Ok(model);
        }
        if name.seed.is_some() {
            let trained = Trained::open(&folder, &Device::Cpu)?;
            self.data.spectra.expect_wavelengths(&trained.wavelengths_nm)?;
            return Ok(Model::Network(trained));
        }
        let pca: Pca = read_model(&folder)?;
        self.data.spectra.expect_wavelengths(&pca.wavelengths_nm)?;
        Ok(Model::Pca(pca))
    }

    /// The loss of a finished autoencoder, epoch by epoch. Other models have none.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for a model that cannot be read, or that belongs to other wavelengths.
    pub fn curve(&self, name: &Name) -> Result<Option<Vec<Epoch>>, StudyError> {
        Ok(match self.model(name)? {
            Model::Pca(_) | Model::Pairs(_) | Model::Vicreg(_) => None,
            Model::Network(trained) => Some(trained.curve),
        })
    }

    /// Whether the codes of a model exist and are newer than the model.
    pub fn encoded(&self, name: &Name) -> bool {
        let changed = |path: PathBuf| std::fs::metadata(path).and_then(|data| data.modified());
        match (changed(self.codes_path(name)), changed(self.folder(name).join("model.json"))) {
            (Ok(codes), Ok(model)) => codes >= model,
            _ => false,
        }
    }

    /// Computes the codes of all spectra, batch by batch, and writes them beside the model.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for a model that cannot be used, spectra that cannot be read, and a file that cannot be written.
    pub fn encode(&self, name: &Name) -> Result<(), StudyError> {
        let rows: Vec<u32> = (0..self.data.spectra.len() as u32).collect();
        let (model, path) = (self.model(name)?, self.codes_path(name));
        let latent = match &model {
            Model::Pca(pca) => pca.components.len(),
            Model::Network(trained) => trained.network.architecture.latent,
            Model::Pairs(pairs) => pairs.directions.len(),
            Model::Vicreg(model) => model.latent,
        };
        let mut writer = CodesWriter::create(&path, (rows.len(), latent)).map_err(file(&path))?;
        for rows in rows.chunks(BATCH) {
            writer.push(&self.codes_by(&model, rows)?).map_err(file(&path))?;
        }
        writer.finish().map_err(file(&path))
    }

    fn codes_by(&self, model: &Model, rows: &[u32]) -> Result<Array2<f32>, StudyError> {
        Ok(match model {
            Model::Pca(pca) => pca.encode(&self.data.spectra, rows)?,
            Model::Network(trained) => trained.encode(&self.data.spectra, rows)?,
            Model::Pairs(pairs) => pairs.encode(&self.data.spectra, rows)?,
            Model::Vicreg(model) => model.encode(&self.data.spectra, rows)?,
        })
    }

    /// What a model knows of the spectra of the study, by those of evenly spaced rows.
    fn known(&self, model: &Model) -> Result<Option<Known>, StudyError> {
        let rows = self.data.evenly(KNOWN);
        // It is the same for every model.
        let span = match self.span.get() {
            Some(span) => span,
            None => {
                let span = self.span_of(&rows)?;
                self.span.get_or_init(|| span)
            }
        };
        let codes = self.codes_by(model, &rows)?;
        let latent = codes.ncols();
        Ok(Known::of(&codes.into_raw_vec_and_offset().0, latent, span.clone()))
    }

    fn span_of(&self, rows: &[u32]) -> Result<Option<Span>, StudyError> {
        let spectra = &self.data.spectra;
        let chosen = |numbers: &[u32]| spectra.rows(&numbers.iter().map(|number| rows[*number as usize]).collect::<Vec<_>>());
        let components = SPAN.min(spectra.bands() / 2).min(rows.len().saturating_sub(1));
        if components == 0 {
            return Ok(None);
        }
        let span = Pca::of(spectra.wavelengths_nm(), rows.len(), components, &chosen)?;
        let mut residuals = Vec::with_capacity(rows.len());
        for some in rows.chunks(RESIDUALS) {
            residuals.extend(span.residuals(&spectra.rows(some)?));
        }
        Ok(Some((span, residuals)))
    }

    fn codes_path(&self, name: &Name) -> PathBuf {
        self.folder(name).join("codes.safetensors")
    }

    /// The codes of all spectra, as [`Study::encode`] wrote them. They stay in their file.
    ///
    /// # Errors
    ///
    /// [`StudyError::Codes`] for codes that cannot be read, or that belong to another number of spectra.
    pub fn representation(&self, name: &Name) -> Result<Representation, StudyError> {
        let codes = CodesFile::open(&self.codes_path(name))?;
        let (found, expected) = (codes.spectra(), self.data.spectra.len());
        if found != expected {
            return Err(CodesError { path: self.codes_path(name), reason: format!("{found} codes for {expected} spectra") }.into());
        }
        Ok(Representation { name: name.name.clone(), codes: Codes::File(codes) })
    }

    /// Codes of some rows, `(rows, features)`, as [`Study::encode`] wrote them.
    ///
    /// # Errors
    ///
    /// [`StudyError::Codes`], as [`Study::representation`] gives it.
    pub fn codes(&self, name: &Name, rows: &[u32]) -> Result<Array2<f32>, StudyError> {
        let rows: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        Ok(self.representation(name)?.codes.select(&rows)?)
    }

    /// Spectra decoded from the codes of some rows, `(rows, bands)`, reflectance. Encoders from pairs give `None`, as they decode nothing.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for codes that cannot be read, and for a model that cannot be used.
    pub fn decode(&self, name: &Name, rows: &[u32]) -> Result<Option<Array2<f32>>, StudyError> {
        let codes = || -> Result<Vec<f32>, StudyError> { Ok(self.codes(name, rows)?.into_raw_vec_and_offset().0) };
        let spectra = match self.model(name)? {
            Model::Pca(pca) => pca.decode(&codes()?),
            Model::Network(trained) => trained.decode(&codes()?)?,
            Model::Pairs(_) | Model::Vicreg(_) => return Ok(None),
        };
        Ok(Some(matrix(spectra, rows.len(), self.data.spectra.bands())))
    }

    /// Writes a model's encoder, and its decoder if it has one, as ONNX. The encoder carries what it knows of the spectra.
    ///
    /// # Errors
    ///
    /// [`StudyError`] for a model that cannot be used, spectra that cannot be read, and files that cannot be written.
    pub fn export(&self, name: &Name) -> Result<(), StudyError> {
        let reference = self.data.spectra.rows(&self.data.evenly(REFERENCES))?;
        let folder = self.folder(name);
        let (encoder, decoder) = (folder.join("encoder.onnx"), folder.join("decoder.onnx"));
        let (model, title, files) = (self.model(name)?, name.folder(), [encoder.as_path(), &decoder]);
        let known = self.known(&model)?;
        let known = known.as_ref();
        match model {
            Model::Pca(pca) => onnx::export_pca(&pca, &title, &reference, known, files)?,
            Model::Network(trained) => onnx::export_network(&trained, &title, &reference, known, files)?,
            Model::Pairs(pairs) => onnx::export_pairs(&pairs, &title, &reference, known, &encoder)?,
            Model::Vicreg(model) => onnx::export_vicreg(&model, &title, &reference, known, &encoder)?,
        }
        Ok(())
    }

    /// The spectra of some rows, `(rows, bands)`, reflectance.
    ///
    /// # Errors
    ///
    /// [`StudyError::Data`] for spectra that cannot be read.
    pub fn spectra(&self, rows: &[u32]) -> Result<Array2<f32>, StudyError> {
        Ok(matrix(self.data.spectra.rows(rows)?, rows.len(), self.data.spectra.bands()))
    }

    /// The labels of some rows, in the order of `rows`.
    pub fn factors(&self, rows: &[u32]) -> Vec<Factor> {
        let of = |factor: &Factor| Factor { of: rows.iter().map(|row| factor.of[*row as usize]).collect(), ..factor.clone() };
        self.data.factors.iter().map(of).collect()
    }

    /// The places of some rows, in the order of `rows`.
    pub fn places(&self, rows: &[u32]) -> Vec<Place> {
        rows.iter().map(|row| self.data.places[*row as usize]).collect()
    }
}

/// Writes the model of a folder, unless the folder holds the same. Codes that are newer than the model then stay.
fn write_model<T: Serialize>(folder: &Path, model: &T) -> Result<(), StudyError> {
    let text = serde_json::to_vec_pretty(model);
    let before = std::fs::read(folder.join("model.json"));
    if text.as_ref().is_ok_and(|text| before.is_ok_and(|before| before == *text)) {
        return Ok(());
    }
    Ok(model_file::write(folder, text)?)
}

fn read_model<T: DeserializeOwned>(folder: &Path) -> Result<T, StudyError> {
    let missing = || ModelFileError::of(&folder.join("model.json"))(std::io::ErrorKind::NotFound.into());
    Ok(model_file::read(folder)?.ok_or_else(missing)?)
}

fn matrix(values: Vec<f32>, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(row, column)| values[row * columns + column])
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> StudyError {
    let path = path.to_owned();
    move |source| StudyError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::part;

    #[test]
    fn a_model_of_other_wavelengths_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, data) = (folder.path().join("study.toml"), folder.path().join("a.parquet"));
        let text = "[data]\nsources = [\"a.parquet\"]\nlabels = [\"plant\"]\n[reduce]\nfolder = \"reduced\"\npca = [1]\n\
                    [[reduce.autoencoder]]\nname = \"dense2\"\nkind = \"dense\"\nlatent = 2\n[training]\nepochs = 1\nbatch = 4\n";
        std::fs::write(&path, text).unwrap();
        let config = Config::read(&path).unwrap();
        let names = [Name { name: "pca1".into(), seed: None }, Name { name: "dense2".into(), seed: Some(1) }];
        let plants = ["P1", "P2"].repeat(20);
        part(&data, &plants, 0.0, &[400.0, 700.0, 1000.0], None);
        let study = Study::open(&config).unwrap();
        study.fit_pca().unwrap();
        assert!(study.train(&config.reduce.autoencoder[0], 1, |_| true).unwrap());
        names.iter().for_each(|name| study.encode(name).unwrap());
        part(&data, &plants, 0.0, &[400.0, 700.0, 1010.0], None);
        let study = Study::open(&config).unwrap();
        for name in &names {
            let said = study.encode(name).unwrap_err().to_string();
            assert!(
                said.contains("other wavelengths (3 bands from 400 to 1000 nm) than the data has (3 bands from 400 to 1010 nm)"),
                "{said}"
            );
        }
        let said = study.train(&config.reduce.autoencoder[0], 1, |_| true).unwrap_err().to_string();
        assert!(
            said.ends_with("dense2-s1 holds a training with other settings or data; remove it, or give the model another name"),
            "{said}"
        );
    }
}
