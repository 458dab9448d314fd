//! Clusters of every representation.

use super::error::StepError;
use crate::agreement::{Agreement, agreement};
use crate::kmeans::{KmeansConfig, bend, cluster, elbow};
use crate::material::Material;
use crate::progress::Progress;
use serde::Serialize;

/// Agreement of a grouping with one factor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactorAgreement {
    /// The factor's name.
    pub factor: String,
    /// Number of clusters, equal to the number of classes of the factor.
    pub clusters: usize,
    /// The measures of agreement.
    #[serde(flatten)]
    pub measured: Agreement,
}

/// Result of k-means on one representation.
#[derive(Debug, Clone, PartialEq)]
pub struct Elbow {
    /// The representation's name, or `spectra`.
    pub representation: String,
    /// Number of clustered spectra.
    pub points: usize,
    /// Inertia for 1, 2, 3 and more clusters, in squared units of the representation.
    pub inertia: Vec<f64>,
    /// Agreement with every factor.
    pub agreement: Vec<FactorAgreement>,
}

impl Elbow {
    /// The number of clusters at which the curve bends most.
    pub fn bend(&self) -> usize {
        bend(&self.inertia)
    }
}

/// Clusters every representation by k-means.
///
/// # Errors
///
/// [`StepError`] for data that cannot be used, and settings outside their range.
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
