//! The embeddings of chosen scans as a cloud of points.

mod choice;
mod classes;
mod lasso;
mod minerals;
mod numbers;
mod selection;
mod set;
mod spectra;

pub use classes::classify;
pub use minerals::minerals;
pub use numbers::{elbow, info, places, points, values};
pub use selection::selection;
pub use set::{Set, Sets};
pub use spectra::spectra;
