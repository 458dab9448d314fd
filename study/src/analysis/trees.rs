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
