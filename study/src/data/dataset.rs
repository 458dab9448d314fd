//! Data sets: spectra with labels and places.

use super::spectra::Spectra;
use crate::table::{Factor, Place};
use std::path::PathBuf;

/// Sources and storage of spectra.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The sources, which are read one after the other. A source is a Parquet file, a sample HDF5, a folder of either, or a HIDSAG data
    /// set. `embeddings/` of a data root is a folder of Parquet files.
    pub sources: Vec<PathBuf>,
    /// Sample keys that serve as labels. Each needs at least two classes.
    pub labels: Vec<String>,
    /// Size up to which spectra stay in memory, MiB. Larger data sets go into a file that vanishes with the process.
    pub memory_mib: usize,
    /// Folder of that file.
    pub scratch: PathBuf,
}

/// Spectra with their labels and places.
#[derive(Debug)]
pub struct Dataset {
    /// The spectra, reflectance.
    pub spectra: Spectra,
    /// Names of the samples, in the order of their first spectrum.
    pub samples: Vec<String>,
    /// The labels, in the order of [`Reading::labels`]. Classes are in alphabetical order.
    pub factors: Vec<Factor>,
    /// The place of each spectrum.
    pub places: Vec<Place>,
    /// Number of spectra that were left out, because a band has no value (NaN).
    pub left_out: usize,
}

impl Dataset {
    /// The factor with a name.
    pub fn factor(&self, name: &str) -> Option<&Factor> {
        self.factors.iter().find(|factor| factor.name == name)
    }

    /// At most `count` rows, spread evenly over the data set, in its order.
    pub fn evenly(&self, count: usize) -> Vec<u32> {
        let all = self.spectra.len();
        let count = count.min(all);
        (0..count).map(|i| (i * all / count.max(1)) as u32).collect()
    }
}
