//! Settings of a training from pairs.

use super::augment::Augment;
use serde::{Deserialize, Serialize};

/// `[vicreg]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VicregConfig {
    /// Passes over `batches` batches.
    pub epochs: usize,
    /// Batches of an epoch.
    pub batches: usize,
    /// Pairs of a batch.
    pub batch: usize,
    /// Principal components of ln K/S that the network takes, each with variance 1.
    pub inputs: usize,
    /// Widths of the layers between input and code.
    pub hidden: Vec<usize>,
    /// Learning rate at first. It falls to 0 as a half cosine.
    pub rate: f64,
    /// Weight of the mean squared difference of the codes of a pair.
    pub invariance: f32,
    /// Weight of the lack of a standard deviation of 1 in each number of a code.
    pub variance: f32,
    /// Weight of the squared covariance between the numbers of a code.
    pub covariance: f32,
    /// Random changes of each spectrum before it is encoded.
    pub augment: Augment,
}

impl Default for VicregConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batches: 50,
            batch: 1024,
            inputs: 64,
            hidden: vec![128, 64],
            rate: 2e-3,
            invariance: 25.0,
            variance: 25.0,
            covariance: 25.0,
            augment: Augment::default(),
        }
    }
}

impl VicregConfig {
    /// Checks every setting. The fault is a key below `vicreg`, and the values that it can take.
    ///
    /// # Errors
    ///
    /// The first key outside its range.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let need = |holds: bool, key, needs| if holds { Ok(()) } else { Err((key, needs)) };
        need(self.epochs > 0, "vicreg.epochs", "1 or more")?;
        need(self.batches > 0, "vicreg.batches", "1 or more")?;
        need(self.batch > 1, "vicreg.batch", "2 or more")?;
        need(self.inputs > 0, "vicreg.inputs", "1 or more")?;
        need(self.hidden.iter().all(|width| *width > 0), "vicreg.hidden", "numbers above 0")?;
        need(self.rate > 0.0 && self.rate.is_finite(), "vicreg.rate", "above 0")?;
        let weights = [(self.invariance, "vicreg.invariance"), (self.variance, "vicreg.variance"), (self.covariance, "vicreg.covariance")];
        weights.iter().try_for_each(|(weight, key)| need(*weight >= 0.0 && weight.is_finite(), key, "0 or more"))?;
        self.augment.check()
    }
}
