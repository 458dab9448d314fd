//! A data set: spectra, their labels, and where they were measured.

use super::spectra::Spectra;
use crate::table::{Factor, Place};
use std::path::PathBuf;

/// Where spectra come from and how they are kept.
#[derive(Debug, Clone)]
pub struct Reading {
    /// A Parquet file or a folder of them (such as `embeddings/` of a data root), a sample HDF5 or a folder of them, or a data set in
    /// the layout of HIDSAG; several of a kind are read one after the other.
    pub sources: Vec<PathBuf>,
    /// Sample keys to take as labels; each needs at least two classes.
    pub labels: Vec<String>,
    /// Spectra up to this size are kept in memory, MiB; beyond it in a file that vanishes with the process.
    pub memory_mib: usize,
    /// Folder of that file.
    pub scratch: PathBuf,
}

/// Spectra without their place in an image, but with their labels.
#[derive(Debug)]
pub struct Dataset {
    /// The spectra, reflectance.
    pub spectra: Spectra,
    /// Names of the samples, in the order of their first spectrum.
    pub samples: Vec<String>,
    /// The labels, in the order of [`Reading::labels`]; classes in alphabetical order.
    pub factors: Vec<Factor>,
    /// Where each spectrum was measured.
    pub places: Vec<Place>,
}

impl Dataset {
    /// The factor of a name.
    pub fn factor(&self, name: &str) -> Option<&Factor> {
        self.factors.iter().find(|factor| factor.name == name)
    }

    /// Every `n`-th row and so on until `count` rows, drawn evenly over the data set in its order; all when there are no more.
    pub fn evenly(&self, count: usize) -> Vec<u32> {
        let all = self.spectra.len();
        let count = count.min(all);
        (0..count).map(|i| (i * all / count.max(1)) as u32).collect()
    }
}
