//! Settings of encoders that learn from pairs.

use super::partners::Partner;
use serde::{Deserialize, Serialize};

/// Kinds of encoders that learn from pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKind {
    /// The linear directions, in closed form: [`super::Pairs`].
    Pairs,
    /// A network trained by VICReg: [`super::vicreg::Vicreg`].
    Vicreg,
}

/// `[[reduce.encoder]]`: one encoder that learns from pairs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Name of its representation.
    pub name: String,
    /// The kind of encoder.
    pub kind: EncoderKind,
    /// Length of a code.
    pub latent: usize,
}

/// `[pairs]` of the study's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairsConfig {
    /// What makes two pixels a pair.
    pub partner: Partner,
    /// Addend to the covariance within pairs, as a share of the mean variance of a band. It keeps noise from passing for a direction.
    pub ridge: f64,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self { partner: Partner::Container, ridge: 1e-4 }
    }
}
