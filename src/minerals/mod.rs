//! The minerals of samples: judged line by line, and handed over when a sample is complete.
//!
//! [`Identify`] is the stage. It holds what it found of the open samples in memory. At the [`Desk`], the writer of a sample's file takes
//! it. A sample that is not ready in time is deferred as a whole, and identified later from its file. So each sample has all of its
//! minerals or none. [`Reader`] judges the lines of one sample, from rows of the grid or from a file.

mod desk;
mod found;
mod stage;
mod summary;
#[cfg(test)]
mod tests;

pub use desk::{Desk, Taken};
pub use found::{About, Found, Place, Reader};
pub use stage::{Identified, Identify};
pub use summary::summary;
