//! The steps over all representations: maps, clusters, trees, classifications. Each can be run by itself, into a folder of figures and tables.

mod files;

pub use files::{classify, kmeans, linkage, report, tsne};

use crate::Progress;
use crate::agreement::{Agreement, agreement};
use crate::classify::{ClassifyConfig, ClassifyError};
use crate::kmeans::{KmeansConfig, KmeansError, cluster, elbow};
use crate::linkage::{LinkageConfig, LinkageError, Method, Tree};
use crate::material::{Material, MaterialError, factor_of};
use crate::report::ReportConfig;
use crate::table::{Factor, Place};
use crate::tsne::{Embedding, TsneConfig, TsneError, embed};
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

/// Why a step gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The data do not serve.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A setting of the maps.
    #[error(transparent)]
    Tsne(#[from] TsneError),
    /// A map.
    #[error("the map of {of} by {representation}: {source}")]
    Map {
        /// The spectra on it.
        of: String,
        /// Their representation.
        representation: String,
        /// Why.
        source: TsneError,
    },
    /// Clusters.
    #[error(transparent)]
    Kmeans(#[from] KmeansError),
    /// A tree.
    #[error(transparent)]
    Linkage(#[from] LinkageError),
    /// A classification.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// A file could not be written.
    #[error("{}: {source}; is there room, and may you write there?", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
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

/// Checks, before anything is trained, that every step after it can be done on data with these labels and places.
///
/// # Errors
///
/// [`StepError`] as the step would give it later.
pub fn check_data(factors: &[Factor], places: &[Place], config: &StepsConfig) -> Result<(), StepError> {
    config.check()?;
    if factors.is_empty() {
        return Err(MaterialError::NoFactor.into());
    }
    let enough = |count: usize, of: String| {
        let checked = config.tsne.check_points(count.min(config.tsne.points));
        checked.map_err(|source| StepError::Map { of, representation: "any representation".into(), source })
    };
    for view in &config.tsne.views {
        view.colour.iter().try_for_each(|name| factor_of(factors, name).map(|_| ()))?;
        let Some(within) = &view.within else {
            enough(places.len(), "all spectra".into())?;
            continue;
        };
        let factor = factor_of(factors, within)?;
        for (class, name) in factor.classes.iter().enumerate() {
            let count = factor.of.iter().filter(|&&of| usize::from(of) == class).count();
            enough(count, format!("the spectra of {name}"))?;
        }
    }
    Ok(crate::classify::check_data(factors, places, &config.classify)?)
}

/// A map of some spectra in one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The representation.
    pub representation: String,
    /// Index of its view in [`TsneConfig::views`].
    pub view: usize,
    /// Name of the class that its spectra are of, where the view has maps for each class.
    pub class: Option<String>,
    /// The spectra on it.
    pub rows: Vec<usize>,
    /// Where they lie.
    pub embedding: Embedding,
}

/// Makes all maps that the configuration asks for of every representation.
///
/// # Errors
///
/// [`StepError`] for data that do not serve, factors that do not exist, and too few spectra for the perplexity.
pub fn maps(material: &Material, config: &TsneConfig, progress: Progress) -> Result<Vec<Map>, StepError> {
    config.check()?;
    material.check()?;
    let mut wanted = Vec::new();
    for (view, v) in config.views.iter().enumerate() {
        v.colour.iter().try_for_each(|name| material.factor(name).map(|_| ()))?;
        match &v.within {
            None => wanted.push((view, None, material.draw(config.points, config.seed, |_| true))),
            Some(name) => {
                let factor = material.factor(name)?;
                for (class, name) in factor.classes.iter().enumerate() {
                    let rows = material.draw(config.points, config.seed, |r| usize::from(factor.of[r]) == class);
                    wanted.push((view, Some(name.clone()), rows));
                }
            }
        }
    }
    let steps = wanted.len() * material.representations.len() * config.iterations;
    let mut maps = Vec::new();
    for representation in &material.representations {
        for (view, class, rows) in &wanted {
            let values = representation.codes.select(rows).map_err(MaterialError::from)?;
            let before = maps.len() * config.iterations;
            let embedding = embed(values.view(), config, |step| progress("tsne", before + step, steps)).map_err(|source| {
                let of = class.as_deref().map_or("all spectra".into(), |c| format!("the spectra of {c}"));
                StepError::Map { of, representation: representation.name.clone(), source }
            })?;
            let representation = representation.name.clone();
            maps.push(Map { representation, view: *view, class: class.clone(), rows: rows.clone(), embedding });
        }
    }
    Ok(maps)
}

/// How a grouping agrees with one factor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactorAgreement {
    /// The factor.
    pub factor: String,
    /// Clusters that were compared: as many as the factor has classes.
    pub clusters: usize,
    /// Both measures.
    #[serde(flatten)]
    pub measured: Agreement,
}

/// k-means on one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Elbow {
    /// The representation, or `spectra`.
    pub representation: String,
    /// Spectra that were clustered.
    pub points: usize,
    /// Inertia for one cluster and more, in squared units of the representation.
    pub inertia: Vec<f64>,
    /// With every factor.
    pub agreement: Vec<FactorAgreement>,
}

impl Elbow {
    /// The number of clusters at which the curve bends most: farthest below the line between its ends, both axes scaled to 1.
    pub fn bend(&self) -> usize {
        let (first, last) = (self.inertia[0], self.inertia[self.inertia.len() - 1]);
        let below = |i: usize| 1.0 - i as f64 / (self.inertia.len() - 1).max(1) as f64 - (self.inertia[i] - last) / (first - last);
        1 + (0..self.inertia.len()).fold(0, |best, i| if below(i) > below(best) { i } else { best })
    }
}

/// Clusters every representation.
///
/// # Errors
///
/// [`StepError`] for data that do not serve, and settings out of range.
pub fn elbows(material: &Material, config: &KmeansConfig, progress: Progress) -> Result<Vec<Elbow>, StepError> {
    config.check()?;
    material.check()?;
    let drawn = material.drawn(config.points, config.seed)?;
    let mut elbows = Vec::new();
    for (i, d) in drawn.iter().enumerate() {
        progress("kmeans", i, drawn.len());
        let mut compared = Vec::new();
        for factor in &material.factors {
            let clusters = factor.classes.len().min(d.rows.len());
            let labels: Vec<u16> = d.rows.iter().map(|&r| factor.of[r]).collect();
            let measured = agreement(&labels, &cluster(d.values.view(), clusters, config)?.of);
            compared.push(FactorAgreement { factor: factor.name.clone(), clusters, measured });
        }
        let inertia = elbow(d.values.view(), config)?;
        elbows.push(Elbow { representation: d.name.clone(), points: d.rows.len(), inertia, agreement: compared });
    }
    progress("kmeans", drawn.len(), drawn.len());
    Ok(elbows)
}

/// Trees of one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    /// The representation, or `spectra`.
    pub representation: String,
    /// By the first method.
    pub method: Method,
    /// The spectra that were merged.
    pub rows: Vec<usize>,
    /// The tree of these spectra.
    pub of_spectra: Tree,
    /// The samples that were merged.
    pub samples: Vec<usize>,
    /// The tree of their means.
    pub of_samples: Tree,
    /// Of the spectra, by every method with every factor.
    pub agreement: Vec<(Method, FactorAgreement)>,
}

/// Makes the trees of every representation, over spectra and over the means of samples.
///
/// # Errors
///
/// [`StepError`] for data that do not serve, and settings out of range.
pub fn trees(material: &Material, config: &LinkageConfig, progress: Progress) -> Result<Vec<Trees>, StepError> {
    config.check()?;
    material.check()?;
    let method = config.methods[0];
    let drawn = material.drawn(config.points, config.seed)?;
    let mut trees = Vec::new();
    for (i, d) in drawn.iter().enumerate() {
        progress("linkage", i, drawn.len());
        let all = material.representations.iter().find(|r| r.name == d.name);
        let (means, samples) = match all {
            Some(r) => material.means_of_codes(&r.codes)?,
            None => material.means_of_shown(),
        };
        let by_method: Vec<Tree> = config.methods.iter().map(|&m| crate::linkage::linkage(d.values.view(), m)).collect::<Result<_, _>>()?;
        let mut compared = Vec::new();
        for (&method, tree) in config.methods.iter().zip(&by_method) {
            for factor in &material.factors {
                let clusters = factor.classes.len();
                let labels: Vec<u16> = d.rows.iter().map(|&r| factor.of[r]).collect();
                let measured = agreement(&labels, &tree.cut(clusters));
                compared.push((method, FactorAgreement { factor: factor.name.clone(), clusters, measured }));
            }
        }
        let of_samples = crate::linkage::linkage(means.view(), method)?;
        let of_spectra = by_method.into_iter().next().expect("there is at least one method");
        let (representation, rows) = (d.name.clone(), d.rows.clone());
        trees.push(Trees { representation, method, rows, of_spectra, samples, of_samples, agreement: compared });
    }
    progress("linkage", drawn.len(), drawn.len());
    Ok(trees)
}
