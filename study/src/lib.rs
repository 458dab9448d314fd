//! The offline study: spectra reduced by PCA and autoencoders, looked at, grouped and classified.

pub mod agreement;
pub mod classify;
pub mod figure;
pub mod kmeans;
pub mod linkage;
pub mod material;
pub mod report;
pub mod steps;
pub mod table;
pub mod tsne;

pub use material::Material;
pub use table::{Factor, Place, Representation};

/// Hears how far a step is: its name, what is done, and of how much.
pub type Progress<'a> = &'a dyn Fn(&str, usize, usize);
