//! The laboratory's dense autoencoder and a convolutional one. The spectra of a training need not fit into memory.

mod error;
mod layers;
mod network;
mod ops;
mod settings;
mod state;
mod train;
mod trained;
mod vectors;

pub use error::TrainingError;
pub(crate) use layers::{Form, Layer};
pub use network::{Architecture, Kind, Network};
pub use settings::{Compute, Training};
pub use state::Epoch;
pub use train::{Progress, train};
pub use trained::Trained;
