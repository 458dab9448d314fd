//! The settings of the maps.

use serde::{Deserialize, Serialize};

/// Largest number of points of a map. More points take minutes, as the time grows with their square.
const MOST_POINTS: usize = 50_000;

/// `[tsne]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TsneConfig {
    /// Effective number of neighbours of a point.
    pub perplexity: f64,
    /// Number of spectra on each map, drawn evenly over the samples.
    pub points: usize,
    /// Steps of the descent.
    pub iterations: usize,
    /// Number of first steps with exaggerated attraction.
    pub exaggerated_iterations: usize,
    /// Factor on the attraction in these steps.
    pub early_exaggeration: f64,
    /// Step size. Without it, the rate is a quarter of the points divided by `early_exaggeration`, and at least 50.
    pub learning_rate: Option<f64>,
    /// Seed of the choice of spectra.
    pub seed: u64,
    /// The maps of each representation.
    pub views: Vec<View>,
}

/// One map of all spectra, or a set with one map for each class of a factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// A factor with one map for each of its classes, such as `size`. Without it, there is one map of all spectra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Factors that colour the maps.
    pub colour: Vec<String>,
}

impl Default for TsneConfig {
    fn default() -> Self {
        let view = |within: Option<&str>, colour: &[&str]| View {
            within: within.map(str::to_owned),
            colour: colour.iter().map(|&c| c.to_owned()).collect(),
        };
        Self {
            perplexity: 40.0,
            points: 3000,
            iterations: 1000,
            exaggerated_iterations: 250,
            early_exaggeration: 12.0,
            learning_rate: None,
            seed: 0,
            views: vec![view(None, &["size", "plant", "month"]), view(Some("size"), &["plant"]), view(Some("plant"), &["month"])],
        }
    }
}

/// Why there is no map.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TsneError {
    /// There are too few spectra. A perplexity of 40 needs 120 neighbours.
    #[error(
        "{points} spectra are too few for a perplexity of {perplexity}, which needs more than {needed}: \
         lower tsne.perplexity below {}, or give more spectra", (*points as f64 / 3.0).floor()
    )]
    TooFew {
        /// The number of spectra.
        points: usize,
        /// The configured perplexity.
        perplexity: f64,
        /// Three times the perplexity.
        needed: usize,
    },
    /// There are too many spectra. The time grows with the square of their number.
    #[error("{points} spectra are too many for a map, at most {MOST_POINTS} can be shown: lower tsne.points")]
    TooMany {
        /// The number of spectra.
        points: usize,
    },
    /// A value is not finite, so that it has no distance to others.
    #[error("row {row}, column {column} is not a finite number: leave that spectrum out, for instance by its quality")]
    NotFinite {
        /// The row of the value, from 0.
        row: usize,
        /// The column of the value, from 0.
        column: usize,
    },
    /// A setting lies outside its range.
    #[error("tsne.{key} is {found}, and must be {expected}")]
    Setting {
        /// The key of the setting, without its section.
        key: &'static str,
        /// The value in the configuration.
        found: String,
        /// The values that the setting can take.
        expected: &'static str,
    },
}

impl TsneConfig {
    /// Checks every setting against its range.
    ///
    /// # Errors
    ///
    /// [`TsneError`] with the first key outside its range.
    pub fn check(&self) -> Result<(), TsneError> {
        let refuse = |key, found: String, expected| Err(TsneError::Setting { key, found, expected });
        if !(self.perplexity >= 1.0 && self.perplexity.is_finite()) {
            return refuse("perplexity", self.perplexity.to_string(), "1 or more");
        }
        if !(self.early_exaggeration >= 1.0 && self.early_exaggeration.is_finite()) {
            return refuse("early_exaggeration", self.early_exaggeration.to_string(), "1 or more");
        }
        if let Some(rate) = self.learning_rate.filter(|r| !(*r > 0.0 && r.is_finite())) {
            return refuse("learning_rate", rate.to_string(), "above 0, or left out");
        }
        if self.exaggerated_iterations > self.iterations {
            return refuse("exaggerated_iterations", self.exaggerated_iterations.to_string(), "at most tsne.iterations");
        }
        if self.points > MOST_POINTS {
            return Err(TsneError::TooMany { points: self.points });
        }
        Ok(())
    }

    /// Number of neighbours of a point.
    pub(super) fn neighbours(&self) -> usize {
        (3.0 * self.perplexity) as usize + 1
    }

    /// Checks that a map can have a number of spectra.
    ///
    /// # Errors
    ///
    /// [`TsneError::TooFew`] or [`TsneError::TooMany`].
    pub fn check_points(&self, points: usize) -> Result<(), TsneError> {
        match points {
            n if n <= self.neighbours() => Err(TsneError::TooFew { points, perplexity: self.perplexity, needed: self.neighbours() }),
            n if n > MOST_POINTS => Err(TsneError::TooMany { points }),
            _ => Ok(()),
        }
    }
}
