//! Maps of the spectra in two dimensions by t-SNE (van der Maaten and Hinton 2008), with the forces between all pairs calculated exactly.
//!
//! Neighbours, affinities and the descent follow scikit-learn's `TSNE` with its defaults (`init="pca"`, `learning_rate="auto"`), except that
//! the repulsion is not approximated by a tree: up to some ten thousand points, plain loops over all pairs are quicker than one.

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

/// Maps `values` (one row per spectrum) to the plane.
///
/// The same values and settings give the same map, whatever the number of threads. `progress` hears of every step.
///
/// # Errors
///
/// [`TsneError`] for settings out of range, too few or too many rows, and values that are not finite.
pub fn embed(values: ArrayView2<f32>, config: &TsneConfig, progress: impl FnMut(usize)) -> Result<Embedding, TsneError> {
    config.check()?;
    config.check_points(values.nrows())?;
    if let Some(((row, column), _)) = values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(TsneError::NotFinite { row, column });
    }
    // One more than three perplexities, as the reference implementations have it.
    let near = neighbours::nearest(values, config.neighbours());
    let affinities = affinity::joint(&near, config.perplexity);
    let start = axes::principal_start(values);
    Ok(descent::descend(&affinities, start, config, progress))
}
