//! Trees of every representation.

use super::clusters::FactorAgreement;
use super::error::StepError;
use crate::agreement::agreement;
use crate::linkage::{LinkageConfig, Method, Tree};
use crate::material::Material;
use crate::progress::Progress;

/// Trees of one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    /// The representation's name, or `spectra`.
    pub representation: String,
    /// Method of the two trees, the first of the configuration.
    pub method: Method,
    /// Rows of the merged spectra.
    pub rows: Vec<usize>,
    /// Tree of these spectra.
    pub of_spectra: Tree,
    /// Indices of the merged samples.
    pub samples: Vec<usize>,
    /// Tree of the means of these samples.
    pub of_samples: Tree,
    /// Agreement of the trees of spectra with every factor, for every method.
    pub agreement: Vec<(Method, FactorAgreement)>,
}

/// Makes the trees of every representation, of spectra and of the means of samples.
///
/// # Errors
///
/// [`StepError`] for data that cannot be used, and settings outside their range.
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
