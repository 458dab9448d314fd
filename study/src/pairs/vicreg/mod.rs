//! A network learned from pairs by VICReg (Bardes, Ponce and LeCun 2022, arXiv:2105.04906).

mod augment;
mod loss;
mod network;
mod settings;
mod train;

pub use augment::Augment;
pub use settings::VicregConfig;
pub use train::{Epoch, Source, Vicreg, train};
