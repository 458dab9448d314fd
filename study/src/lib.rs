//! The offline study: spectra reduced by PCA and autoencoders, looked at, grouped and classified.

pub mod table;
pub mod tsne;

pub use table::{Factor, Place, Representation};
