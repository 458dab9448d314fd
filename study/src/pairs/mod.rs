//! Encoders that learn what two pixels of one container have in common. They take ln K/S of Kubelka and Munk.

mod absorption;
mod error;
mod linear;
mod moments;
mod partners;
mod settings;
mod vectors;
pub mod vicreg;

pub use absorption::{HIGHEST, LOWEST, log_absorption};
pub use error::PairsError;
pub use linear::Pairs;
pub use moments::Moments;
pub use partners::{DISTANCES, Partner};
pub use settings::{Encoder, EncoderKind, PairsConfig};
