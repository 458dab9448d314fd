//! The offline study of scanned spectra: reduction by PCA and autoencoders, figures, grouping and classification.
//!
//! The steps after the reduction read a finished study folder:
//!
//! ```no_run
//! use hyclus_study::{Config, Study};
//! let config = Config::read("config/study.toml".as_ref())?;
//! let study = Study::open(&config)?;                     // reads the campaign's spectra, batch by batch
//! let names = study.representations();                    // pca4, pca16, dense4, conv16, ... with their seeds
//! let rows = study.data.evenly(5_000);                    // a sample of rows, or 0..len
//! let codes = study.codes(&names[0], &rows)?;             // of those rows, [row][code]
//! let decoded = study.decode(&names[0], &rows[..10])?;    // the spectra these codes stand for, where they are decoded
//! let spectra = study.spectra(&rows)?;                    // the spectra themselves, [row][band]
//! let (factors, places) = (study.factors(&rows), study.places(&rows));
//! let nm = study.data.spectra.wavelengths_nm();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agreement;
mod analysis;
pub mod autoencoder;
mod bootstrap;
pub mod campaign;
pub mod classify;
pub mod cli;
pub mod cloud;
pub mod codes;
pub mod config;
pub mod data;
pub mod figure;
mod floats;
mod gather;
mod held_out;
pub mod kmeans;
pub mod known;
pub mod linkage;
pub mod material;
pub mod model_file;
pub mod onnx;
pub mod pairs;
pub mod pca;
mod progress;
pub mod reduce;
pub mod regress;
pub mod report;
mod scaling;
pub mod steps;
pub mod table;
pub mod tsne;

pub use codes::Codes;
pub use config::Config;
pub use material::Material;
pub use progress::Progress;
pub use reduce::{Name, Study, StudyError};
pub use scaling::Scaling;
pub use table::{Factor, Place, Representation};
