//! The minerals and features of a spectrum.
//!
//! A library ([`Library`]) is data: minerals with their diagnostic windows and thresholds, features, and spectra. [`Identifier`] brings it
//! onto the bands of a rig. In each window, the continuum is removed from the pixel and from the library's spectrum. The spectrum is fitted
//! to the pixel by least squares. The best fit times depth wins, once among electronic absorptions and once among vibrational ones. A
//! mineral that fails a threshold does not win. Without a winner, the pixel is "not identified". The method is that of Tetracorder (Clark
//! et al. 2003, doi 10.1029/2002JE001847). `docs/minerals.md` explains it.

mod bootstrap;
mod coverage;
mod features;
mod fit;
mod identifier;
mod judge;
mod library;
mod minerals;
mod mixture;
mod prepare;
mod pyramid;
mod spectra;
mod summary;
#[cfg(test)]
mod tests;
mod text;

pub use coverage::{Coverage, WindowCoverage};
pub use identifier::{Feature, Identifier, METHOD_VERSION, Scratch};
pub use library::{Library, LibraryFaults};
pub use minerals::{Minerals, NOT_JUDGED};
pub use mixture::{Area, Mixture};
pub use prepare::IdentifyError;
pub use summary::{FeatureSummary, Judged, NOT_IDENTIFIED, Share, Summary, summarize};
