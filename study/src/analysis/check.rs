//! Checks of data and settings before anything is trained.

use super::config::StepsConfig;
use super::error::StepError;
use crate::material::{MaterialError, factor_of};
use crate::table::{Factor, Place};

/// Checks before the training that every later step can use data with these labels and places.
///
/// # Errors
///
/// [`StepError`], as the step gives it later.
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
