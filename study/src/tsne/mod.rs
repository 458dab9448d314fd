//! Maps of the spectra in two dimensions by t-SNE (van der Maaten and Hinton 2008). The forces between all pairs are exact.
//!
//! Neighbours, affinities and descent follow scikit-learn's `TSNE` with its defaults (`init="pca"`, `learning_rate="auto"`). No tree
//! approximates the repulsion. Up to some ten thousand points, plain loops over all pairs are faster than a tree.

mod affinity;
mod axes;
mod config;
mod descent;
mod neighbours;
#[cfg(test)]
mod tests;

pub use config::{TsneConfig, TsneError, View};
pub use descent::Embedding;

use ndarray::ArrayView2;

/// Maps `values` `(spectra, features)` to the plane.
///
/// The number of threads does not change the map. `progress` gets the number of every finished step.
///
/// # Errors
///
/// [`TsneError`] for settings outside their range, too few or too many rows, and values that are not finite.
pub fn embed(values: ArrayView2<f32>, config: &TsneConfig, mut progress: impl FnMut(usize)) -> Result<Embedding, TsneError> {
    embed_while(values, config, |step| {
        progress(step);
        true
    })
}

/// Maps as [`embed`] does, as long as `go_on` says so. It gets the number of every finished step. A map that was ended is not a good one.
///
/// # Errors
///
/// [`TsneError`], as [`embed`] gives it.
pub fn embed_while(values: ArrayView2<f32>, config: &TsneConfig, go_on: impl FnMut(usize) -> bool) -> Result<Embedding, TsneError> {
    config.check()?;
    config.check_points(values.nrows())?;
    if let Some(((row, column), _)) = values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(TsneError::NotFinite { row, column });
    }
    // The reference implementations also take one more than three perplexities.
    let near = neighbours::nearest(values, config.neighbours());
    let affinities = affinity::joint(&near, config.perplexity);
    let start = axes::principal_start(values);
    Ok(descent::descend(&affinities, start, config, go_on))
}
