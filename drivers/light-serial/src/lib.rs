//! Light controllers on serial lines and TCP.
//!
//! A controller may have several channels, each a light of its own; they share the port, which one thread owns. It opens the port,
//! asks the controller who it is before anything else, looks at every channel from time to time, and brings all channels to their safe
//! level when the link was lost and is there again, or when nobody uses them any more.

mod config;
mod controller;
mod line;
mod port;
mod protocol;

pub use config::{Config, Protocol};
pub use controller::{Controllers, SerialLight};
