//! Light controllers on serial lines and TCP.
//!
//! A controller may have several channels, each a light of its own. They share the port, which one thread owns. The thread opens
//! the port and first asks the controller for its identity. It reads every channel from time to time. It brings all channels to
//! their safe level after a lost link, and after their last use.

mod config;
mod controller;
mod line;
mod port;
mod protocol;

pub use config::{Config, Protocol};
pub use controller::{Controllers, SerialLight};
