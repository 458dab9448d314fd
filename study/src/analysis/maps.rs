//! Maps of every representation.

use super::error::StepError;
use crate::material::{Material, MaterialError};
use crate::progress::Progress;
use crate::tsne::{Embedding, TsneConfig, embed};

/// A map of some spectra in one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The representation's name.
    pub representation: String,
    /// Index of its view in [`TsneConfig::views`].
    pub view: usize,
    /// Class of the spectra, where the view has a map for each class.
    pub class: Option<String>,
    /// Rows of the spectra on the map.
    pub rows: Vec<usize>,
    /// The points of the spectra.
    pub embedding: Embedding,
}

/// Makes all configured maps of every representation.
///
/// # Errors
///
/// [`StepError`] for data that cannot be used, unknown factors, and too few spectra for the perplexity.
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
